"""From galaxies that nobody has labelled to a catalogue: onto the grid of the training, classified, calibrated at their resolution."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import astropy.units as u
import jax.numpy as jnp
import numpy as np
from astropy.table import Column, Table
from jaxtyping import Bool, Float, Float32, Float64, Int32, Shaped

from galjax import calibration
from galjax.errors import InputError
from galjax.quality import is_saturated, look_at_source
from galjax.resample import apply_matrices, resize_matrices
from galjax.sample import GalaxySample, bands_last
from galjax.training.applying import GALAXIES_AT_ONCE, make_applied
from galjax.training.conditions import ORIGINAL
from galjax.training.description import MeasuredMetrics
from galjax.training.ensemble import Ensemble
from galjax.training.execution import for_applying
from galjax.training.usual import is_unusual

FLAGS = {
    1: "pixels that are not finite: not classified",
    2: "all pixels the same: not classified",
    4: "coarser than the coarsest resolution that the networks were tested at",
    8: "at this resolution the accuracy to expect is more than 0.03 below that at full resolution",
    16: "no source in the middle, or one that is off it",
    32: "other sources near it, or a second peak",
    64: "saturated pixels",
    128: "half of the light within one pixel",
    256: "unlike the training images: sky, noise or brightness",
    512: "the image cannot be used: not classified",
}
"""The bits of the column `flags`."""
NOT_FINITE, FLAT, BEYOND, WORSE, OFF_CENTRE, BLENDED, SATURATED, SMALL, UNLIKE, UNUSABLE = FLAGS
UNCALIBRATED = "uncalibrated_"
"""Begins the names of the columns with probabilities before calibration."""
LOST = 0.03
"""Accuracy that a resolution may lose before WORSE is set."""
SKY_FROM = 2048
"""Images that an own sky is measured in, at least, where there are as many."""
SAME_SCALE = 0.02
"""Pixel scales that differ by less than this share are the same."""


class Seen(NamedTuple):
    """How galaxies are seen, and what is made of it."""

    factor: float | None = None
    """How many times coarser than the training images they are; None: by their pixel scale, else by their size."""
    method: str = "bilinear"
    """Enlarges coarser images."""
    sky: str = "auto"
    """Where the input scaling is "sky", pixels are measured in the sky of these images (own), because another survey has other
    units, or in that of the training images (training). auto: own for that scaling; others measure no sky."""
    calibrated: bool = True
    """Whether probabilities are calibrated at the factor; else they, and the threshold, are as they were trained."""
    all_orientations: bool = False
    """Whether each network sees a galaxy in its eight orientations, and the mean counts."""


AS_TRAINED = Seen()


def chosen_sky(sky: str, ensemble: Ensemble) -> str:
    """What "auto" stands for."""
    if sky != "auto":
        return sky
    return "own" if ensemble.about.network.input_scaling == "sky" else "training"


class Field(NamedTuple):
    """The middle of an image that shows as much sky as a training image."""

    width: tuple[int, int]
    """Height and width, px of the image."""
    factor: float
    """How many times coarser than the training images the image is; below 1 where it is sharper."""


def field_of(
    shape: tuple[int, int], grid: tuple[int, int], *, factor: float | None, scales: tuple[float, float]
) -> Field:
    """Which part of an image of this shape is put onto the grid of the training.

    By the factor, where one is given; images of the grid's size then lie on it already. By the pixel scales (of the image, and of the
    training images, arcsec), where both are known. Else pixels are taken to be as wide as the training's, unless the image is smaller
    than the grid: then it is taken to show as much sky.
    """
    if factor is not None:
        return Field(grid if shape == grid else _narrowed(grid, factor, shape), factor)
    if np.isfinite(scales).all():
        ratio = scales[0] / scales[1]
        ratio = 1.0 if abs(ratio - 1) < SAME_SCALE else ratio
        return Field(_narrowed(grid, ratio, shape), ratio)
    if shape[0] < grid[0] or shape[1] < grid[1]:
        return Field(shape, grid[0] / shape[0])
    return Field(grid, 1.0)


def blurred_factor(factor: float, pixel_scale: float, seeing: tuple[float, float]) -> float:
    """The factor of the same loss of resolution for images whose seeing differs from the training's too.

    Seeing (of the images, and of the training, full width at half maximum in arcsec) and the training's pixel scale (arcsec). Degrading
    by k averages over k pixels, a box of variance k^2 / 12; a Gaussian of full width w has w^2 / (8 ln 2). Variances add, so that
    k^2 = factor^2 + 12 (w^2 - w_training^2) / (8 ln 2 pixel_scale^2), and at least 1.
    """
    more = 12 * (seeing[0] ** 2 - seeing[1] ** 2) / (8 * np.log(2) * pixel_scale**2)
    return float(np.sqrt(max(max(factor, 1.0) ** 2 + more, 1.0)))


class Stamps(NamedTuple):
    """Galaxies on the grid of the training."""

    images: Float32[np.ndarray, "galaxy height width *band"]
    """Zeros where there is nothing to classify."""
    factor: Float64[np.ndarray, " galaxy"]
    flags: Int32[np.ndarray, " galaxy"]
    """What is known before they are classified: with NOT_FINITE, FLAT or UNUSABLE they are not."""


class Classifier:
    """An ensemble made ready for many galaxies: its networks on the devices, and what it knows of each resolution."""

    def __init__(self, ensemble: Ensemble, seen: Seen) -> None:
        """`ensemble` measures pixels in the sky that is to be used (`Ensemble.in_sky`)."""
        self.ensemble, self.seen = ensemble, seen
        about = ensemble.about
        self.grid, self.class_names = about.image_size, about.class_names
        self._tested = {
            one.factor: one for one in about.measured if one.method == seen.method or one.factor == ORIGINAL.factor
        }
        execution = for_applying(about.precision)
        self._applied = make_applied(about, ensemble.parameters, execution, all_orientations=seen.all_orientations)
        rows, columns = ORIGINAL.matrices(self.grid, about.convention)
        self._matrices = jnp.asarray(rows, jnp.float32), jnp.asarray(columns, jnp.float32)

    def check(self, factors: Shaped[np.ndarray, " galaxy"] | Sequence[float]) -> None:
        """Raise InputError where probabilities are to be calibrated at one of these factors, and cannot be."""
        known = [at for at, one in self._tested.items() if one.calibration]
        worst = max(factors, default=1.0)
        if self.seen.calibrated and not (known and (worst <= 1 or max(known) > 1)):
            tested = ", ".join(sorted({one.method for one in self.ensemble.about.measured if one.factor > 1})) or "none"
            raise InputError(
                f"These networks were not tested on images enlarged with {self.seen.method} (but with: {tested}), so they cannot be "
                f"calibrated at 1/{worst:.3g} of their resolution. Choose another method (--enlarge, method=), train with further conditions (2, "
                f"{self.seen.method!r}), (4, {self.seen.method!r}) ..., or leave them uncalibrated (--uncalibrated, calibrated=False)."
            )

    @property
    def factors_tested(self) -> list[int]:
        """The factors that the networks were tested at with this method; 1 is Original."""
        return sorted(self._tested)

    def measured_at(self, factor: int) -> MeasuredMetrics:
        """What was measured at one of `factors_tested`."""
        return self._tested[factor]

    def expected(self, factor: float) -> float:
        """The mean accuracy of single networks at this factor, interpolated in its logarithm; NaN beyond the factors tested."""
        known = {
            at: one.calibrated_accuracy if self.seen.calibrated else one.accuracy
            for at, one in sorted(self._tested.items())
        }
        if not known:
            return float("nan")
        means = [float(np.mean(values)) for values in known.values()]
        return float(np.interp(np.log(max(factor, 1.0)), np.log(list(known)), means, right=np.nan))

    def columns(self, stamps: Stamps) -> list[Column]:
        """What a catalogue says of galaxies: the columns of `classify`, without their ids."""
        flags = stamps.flags.copy()
        good = np.flatnonzero(flags & (NOT_FINITE | FLAT | UNUSABLE) == 0)
        found = np.full((len(self.ensemble.about.repeats), len(flags), len(self.class_names)), np.nan)
        if len(good):
            images, about = stamps.images[good], self.ensemble.about
            found[:, good] = self._applied(bands_last(images), self._matrices)
            sky = about.sky_array()
            flags[good] |= UNLIKE * is_unusual(
                images, about.network.input_scaling, sky, about.usual, stamps.factor[good]
            )
        expected = np.full(len(flags), np.nan)
        trained = found.mean(axis=0)
        for factor in np.unique(stamps.factor[np.isfinite(stamps.factor)]).tolist():
            here = np.flatnonzero(stamps.factor == factor)
            expected[here] = self.expected(factor)
            flags[here] |= BEYOND * (factor > max(self._tested, default=1) * (1 + SAME_SCALE))
            flags[here] |= WORSE * (self.expected(factor) < self.expected(1.0) - LOST)
            if self.seen.calibrated:
                found[:, here] = self._calibrated(found[:, here], factor)
        expected[~np.isfinite(found).all(axis=(0, 2))] = np.nan
        columns = _columns(self.class_names, found, stamps.factor, expected, flags)
        if not self.seen.calibrated:
            return columns
        text = "mean over repeats, as they were trained"
        return columns + [
            Column(trained[:, n], f"{UNCALIBRATED}{name}", unit=u.dimensionless_unscaled, description=text)
            for n, name in enumerate(self.class_names)
        ]

    def _calibrated(
        self, probabilities: Float[np.ndarray, "repeat galaxy class"], factor: float
    ) -> Float64[np.ndarray, "repeat galaxy class"]:
        logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        found = np.empty(probabilities.shape)
        for number, own in enumerate(logits):
            known = {at: one.calibration[number] for at, one in self._tested.items() if one.calibration}
            found[number] = calibration.apply(own, calibration.between(known, max(factor, 1.0)))
        return found


def classify(ensemble: Ensemble, galaxies: Any, seen: Seen = AS_TRAINED) -> Table:
    """One row a galaxy, in the order given.

    Columns: id, class (of the largest probability; empty where there is none), p_<class> (mean over repeats of the calibrated softmax,
    0 to 1), std_<class> (sample standard deviation over repeats; NaN of a single one), entropy (of the mean probabilities, nats),
    mutual_information (its part that repeats disagree on, nats), factor, expected_accuracy, flags (a sum of the bits in `FLAGS`), and
    where they are calibrated uncalibrated_<class>.

    `galaxies` are a sample, or images (galaxy, height, width[, band]), of the training galaxies' survey or another. `field_of` says which
    part of them is classified; it is enlarged with `seen.method`, or shrunk by area where it is sharper.

    Each network's logits are calibrated at the factor (`galjax.calibration`), by its own test galaxies seen with the same method;
    expected_accuracy is the mean accuracy of single networks then, interpolated between the factors tested, and NaN beyond them.

    Raises InputError where images show too little sky, do not fit, or the networks were not tested with this method.
    """
    images = galaxies.images if isinstance(galaxies, GalaxySample) else np.asarray(galaxies)
    if images.ndim not in (3, 4) or not np.issubdtype(images.dtype, np.number):
        raise InputError(
            f"Images are numbers of shape (galaxy, height, width) or (galaxy, height, width, band), not {images.dtype} of shape "
            f"{images.shape}."
        )
    check_factor(seen.factor)
    scales = (getattr(galaxies, "pixel_scale", np.nan), ensemble.about.pixel_scale)
    size = (images.shape[1], images.shape[2])
    field = field_of(size, ensemble.about.image_size, factor=seen.factor, scales=scales)
    if min(size[0] - field.width[0], size[1] - field.width[1]) < 0:
        raise InputError(f"The images have {too_narrow(size, field)}: cut larger stamps, or give factor=.")
    pixels = images.reshape(len(images), -1)
    not_finite = ~np.isfinite(pixels).all(axis=1)
    flat = ~not_finite & (pixels.max(axis=1, initial=-np.inf) == pixels.min(axis=1, initial=np.inf))
    good = ~(not_finite | flat)
    seen = seen._replace(sky=chosen_sky(seen.sky, ensemble))
    with_sky = ensemble
    if good.any():
        some = images[good][:: max(1, int(good.sum()) // SKY_FROM)]
        # With nearest, which keeps the noise of their pixels.
        with_sky = ensemble.in_sky(_onto_grid(ensemble, some, field, "nearest"), seen.sky, field.factor)
    classifier = Classifier(with_sky, seen)
    classifier.check([field.factor])
    if len(images):
        ensemble.check_fits(_onto_grid(ensemble, images[:1], field, seen.method), getattr(galaxies, "bands", None))
    ids = galaxies.ids if isinstance(galaxies, GalaxySample) else np.arange(len(images))
    parts: list[list[Column]] = []
    for first in range(0, max(len(images), 1), GALAXIES_AT_ONCE):
        some = slice(first, first + GALAXIES_AT_ONCE)
        on_grid = np.where(
            _of_galaxies(good[some], images.ndim), _onto_grid(ensemble, images[some], field, seen.method), 0
        )
        flags = NOT_FINITE * not_finite[some] + FLAT * flat[some]
        flags = flags | _source_flags(on_grid, _middle(images[some], field), good[some], field.factor)
        factors = np.full(len(flags), field.factor)
        parts.append(classifier.columns(Stamps(on_grid.astype(np.float32), factors, flags.astype(np.int32))))
    columns = [_joined([part[n] for part in parts]) for n in range(len(parts[0]))]
    return Table([Column(ids, "id"), *columns], meta=meta_of(classifier))


def methods_tested(ensemble: Ensemble) -> list[str]:
    """The methods that networks were tested with, and can be calibrated for, below their resolution."""
    return list(dict.fromkeys(one.method for one in ensemble.about.measured if one.factor > 1 and one.calibration))


def check_factor(factor: float | None) -> None:
    """Raise InputError for a factor that is none."""
    if factor is not None and not 0 < factor < np.inf:
        raise InputError(f"factor is above 0, not {factor}.")


def too_narrow(size: tuple[int, int], field: Field) -> str:
    """What is wrong with images that show less sky than training images."""
    return (
        f"{size[0]}x{size[1]} px, and at 1/{field.factor:.3g} of the training's resolution {field.width[0]}x{field.width[1]} px show as "
        f"much sky as a training image"
    )


def meta_of(classifier: Classifier) -> dict[str, Any]:
    """What a catalogue says of itself."""
    seen = classifier.seen
    return {
        "networks": repr(classifier.ensemble),
        "enlarged with": seen.method,
        "calibrated": "yes" if seen.calibrated else "no",
        "sky": seen.sky,
        "orientations": "8" if seen.all_orientations else "1",
    }


def source_flags(
    stamp: Float[np.ndarray, "height width *band"], pixels: Shaped[np.ndarray, "..."], factor: float
) -> int:
    """The bits of OFF_CENTRE, BLENDED, SATURATED and SMALL of a stamp, and of the pixels in their own type that it is made of."""
    off, blended, radius = look_at_source(stamp if stamp.ndim == 2 else stamp.mean(axis=2))
    is_small = radius < max(factor, 1.0)
    return OFF_CENTRE * off | BLENDED * blended | SATURATED * is_saturated(pixels) | SMALL * is_small


def _source_flags(
    stamps: Float[np.ndarray, "galaxy height width *band"],
    pixels: Shaped[np.ndarray, "galaxy ..."],
    good: Bool[np.ndarray, " galaxy"],
    factor: float,
) -> Int32[np.ndarray, " galaxy"]:
    each = zip(stamps, pixels, good.tolist(), strict=True)
    return np.array([source_flags(stamp, own, factor) if is_good else 0 for stamp, own, is_good in each], np.int32)


def _of_galaxies(values: Bool[np.ndarray, " galaxy"], axes: int) -> Bool[np.ndarray, "galaxy ..."]:
    return values.reshape(-1, *(1,) * (axes - 1))


def _narrowed(grid: tuple[int, int], factor: float, shape: tuple[int, int]) -> tuple[int, int]:
    """The grid in pixels `factor` times as wide, to the nearest pixel; a side that is less than a pixel short of it will do."""

    def side(wanted: float, there: int) -> int:
        return there if math.floor(wanted) <= there < wanted else max(1, round(wanted))

    return side(grid[0] / factor, shape[0]), side(grid[1] / factor, shape[1])


def _onto_grid(
    ensemble: Ensemble, images: Shaped[np.ndarray, "galaxy height width *band"], field: Field, method: str
) -> Float32[np.ndarray, "galaxy new_height new_width *band"]:
    """The field of each image, enlarged to the size of the training images, or shrunk."""
    size, width, middle = ensemble.about.image_size, field.width, _middle(images, field).astype(np.float32)
    if width == size:
        return middle
    bands_first = np.moveaxis(middle, -1, 1) if middle.ndim == 4 else middle
    rows, columns = resize_matrices(width, size, method if field.factor > 1 else "area", ensemble.about.convention)
    weights = (jnp.asarray(matrix, jnp.float32) for matrix in (rows, columns))
    resized = np.asarray(apply_matrices(bands_first, *weights))
    return np.moveaxis(resized, 1, -1) if middle.ndim == 4 else resized


def _middle(
    images: Shaped[np.ndarray, "galaxy height width *band"], field: Field
) -> Shaped[np.ndarray, "galaxy field_height field_width *band"]:
    height, width = field.width
    top, left = (images.shape[1] - height) // 2, (images.shape[2] - width) // 2
    return images[:, top : top + height, left : left + width]


def _columns(
    names: Sequence[str],
    found: Float[np.ndarray, "repeat galaxy class"],
    factor: Float64[np.ndarray, " galaxy"],
    expected: Float64[np.ndarray, " galaxy"],
    flags: Int32[np.ndarray, " galaxy"],
) -> list[Column]:
    mean = found.mean(axis=0)
    std = found.std(axis=0, ddof=1) if len(found) > 1 else np.full(mean.shape, np.nan)
    entropy, single = _entropy(mean), _entropy(found).mean(axis=0)
    known = np.isfinite(mean).all(axis=1)
    named = np.where(known, np.array(names)[np.nan_to_num(mean).argmax(axis=1)], "")
    one = u.dimensionless_unscaled
    return [
        Column(named, "class", description="of the largest probability"),
        *(Column(mean[:, n], f"p_{name}", unit=one, description="mean over repeats") for n, name in enumerate(names)),
        *(Column(std[:, n], f"std_{name}", unit=one, description="over repeats") for n, name in enumerate(names)),
        Column(entropy, "entropy", unit=one, description="of the mean probabilities, nats"),
        Column(
            np.maximum(entropy - single, 0), "mutual_information", unit=one, description="repeats disagree on, nats"
        ),
        Column(factor, "factor", unit=one, description="resolution is 1 / factor of the training's"),
        Column(expected, "expected_accuracy", unit=one, description="of single networks, on their test galaxies"),
        Column(flags, "flags", description="; ".join(f"{bit}: {what}" for bit, what in FLAGS.items())),
    ]


def _joined(columns: Sequence[Column]) -> Column:
    first = columns[0]
    values = np.concatenate([np.asarray(column) for column in columns])
    return Column(values, first.name, unit=first.unit, description=first.description)


def _entropy(probabilities: Float[np.ndarray, "*any class"]) -> Float[np.ndarray, "*any"]:
    return -(probabilities * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))).sum(axis=-1)


def count_flags(flags: Shaped[np.ndarray, " galaxy"]) -> dict[int, int]:
    """How many galaxies have each bit that any has."""
    counts = {bit: int((flags & bit != 0).sum()) for bit in FLAGS}
    return {bit: n for bit, n in counts.items() if n}
