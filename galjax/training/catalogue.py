"""From galaxies that nobody has labelled to a catalogue: onto the grid of the training, classified, calibrated at their resolution."""

from typing import Any, NamedTuple

import astropy.units as u
import jax.numpy as jnp
import numpy as np
from astropy.table import Column, Table
from jaxtyping import Float, Float32, Float64

from galjax import calibration
from galjax.errors import InputError
from galjax.resample import apply_matrices, resize_matrices
from galjax.sample import GalaxySample
from galjax.training.conditions import ORIGINAL
from galjax.training.ensemble import GALAXIES_AT_ONCE, Ensemble, MeasuredMetrics

FLAGS = {
    1: "pixels that are not finite: not classified",
    2: "all pixels the same: not classified",
    4: "coarser than the coarsest resolution that the networks were tested at",
}
"""The bits of the column `flags`."""
NOT_FINITE, FLAT, BEYOND = FLAGS
SAME_SCALE = 0.02
"""Pixel scales that differ by less than this share are the same."""


class Seen(NamedTuple):
    """How galaxies are seen."""

    factor: float | None = None
    """How many times coarser than the training images they are; None: by their pixel scale, else by their size."""
    method: str = "bilinear"
    """Enlarges coarser images."""
    sky: str = "training"
    """As for `Ensemble.probabilities`."""


AS_TRAINED = Seen()


def classify(ensemble: Ensemble, galaxies: Any, seen: Seen = AS_TRAINED, *, calibrated: bool = True) -> Table:
    """One row a galaxy, in the order given.

    Columns: id, class (of the largest probability; empty where there is none), p_<class> (mean over repeats of the calibrated softmax,
    0 to 1), std_<class> (sample standard deviation over repeats; NaN of a single one), entropy (of the mean probabilities, nats),
    mutual_information (its part that repeats disagree on, nats), factor, expected_accuracy and flags (a sum of the bits in
    `FLAGS`).

    `galaxies` are a sample, or images (galaxy, height, width[, band]) with the pixels of the training galaxies' survey or, with
    seen.sky = "own", of another. Images of the training's size are taken to lie on its grid where `seen.factor` is given, or no pixel scale
    is known. Of others the middle that shows as much sky is enlarged with `seen.method`, or shrunk by area where they are sharper. Where
    neither factor nor pixel scales are known, images of another size are taken to show as much sky as the training images.

    Each network's logits are calibrated at the factor (`galjax.calibration`), by its own test galaxies seen with the same method;
    expected_accuracy is the mean accuracy of single networks then, interpolated between the factors tested, and NaN beyond them.
    `calibrated=False` leaves probabilities and threshold as they were trained.

    Raises InputError where images show too little sky, do not fit, or the networks were not tested with this method.
    """
    images = galaxies.images if isinstance(galaxies, GalaxySample) else np.asarray(galaxies)
    if images.ndim not in (3, 4) or not np.issubdtype(images.dtype, np.number):
        raise InputError(
            f"Images are numbers of shape (galaxy, height, width) or (galaxy, height, width, band), not {images.dtype} of shape "
            f"{images.shape}."
        )
    factor = _factor(ensemble, galaxies, images, seen.factor)
    on_grid = seen.factor is not None and images.shape[1:3] == ensemble.about.image_size
    tested = _tested(ensemble, seen.method)
    if calibrated and not _can_calibrate(tested, factor):
        raise InputError(
            f"These networks were not tested on images enlarged with {seen.method}, so they cannot be calibrated at 1/{factor:.3g}. Train "
            f"with conditions=[(2, {seen.method!r}), (4, {seen.method!r}), ...], or give calibrated=False."
        )
    pixels = images.reshape(len(images), -1)
    not_finite = ~np.isfinite(pixels).all(axis=1)
    flat = ~not_finite & (pixels.max(axis=1, initial=-np.inf) == pixels.min(axis=1, initial=np.inf))
    good = np.flatnonzero(~(not_finite | flat))
    found = np.full((len(ensemble.about.repeats), len(images), len(ensemble.about.class_names)), np.nan)
    if len(good):
        with_sky = ensemble.in_sky(images[good].astype(np.float32, copy=False), seen.sky)
        for first in range(0, len(good), GALAXIES_AT_ONCE):
            some = good[first : first + GALAXIES_AT_ONCE]
            fitting = images[some] if on_grid else _onto_grid(ensemble, images[some], factor, seen.method)
            found[:, some] = with_sky.probabilities(fitting)
    if calibrated:
        found = _calibrated(found, tested, factor)
    flags = NOT_FINITE * not_finite + FLAT * flat + BEYOND * (factor > max(tested, default=1) * (1 + SAME_SCALE))
    ids = galaxies.ids if isinstance(galaxies, GalaxySample) else np.arange(len(images))
    return _table(ensemble, ids, found, factor, _expected(tested, factor, calibrated=calibrated), flags)


def _factor(ensemble: Ensemble, galaxies: Any, images: np.ndarray, given: float | None) -> float:
    """How many times coarser the galaxies' images are than the training's; below 1 where they are sharper."""
    if given is not None:
        if not 0 < given < np.inf:
            raise InputError(f"factor is above 0, not {given}.")
        return given
    scales = (getattr(galaxies, "pixel_scale", np.nan), ensemble.about.pixel_scale)
    if np.isfinite(scales).all():
        ratio = scales[0] / scales[1]
        return 1.0 if abs(ratio - 1) < SAME_SCALE else float(ratio)
    return ensemble.about.image_size[0] / images.shape[1]


def _onto_grid(
    ensemble: Ensemble, images: Float[np.ndarray, "galaxy height width *band"], factor: float, method: str
) -> Float32[np.ndarray, "galaxy new_height new_width *band"]:
    """The middle that shows as much sky as a training image, enlarged to its size, or shrunk."""
    size = ensemble.about.image_size
    field = tuple(max(1, round(side / factor)) for side in size)
    if images.shape[1] < field[0] or images.shape[2] < field[1]:
        raise InputError(
            f"The images have {images.shape[1]}x{images.shape[2]} px. At 1/{factor:.3g} of the training's resolution {field[0]}x{field[1]} "
            f"px show as much sky as a training image: cut larger stamps, or give factor=."
        )
    top, left = ((have - want) // 2 for have, want in zip(images.shape[1:3], field, strict=True))
    middle = images[:, top : top + field[0], left : left + field[1]].astype(np.float32)
    if field == size:
        return middle
    bands_first = np.moveaxis(middle, -1, 1) if middle.ndim == 4 else middle
    rows, columns = resize_matrices(field, size, method if factor > 1 else "area", ensemble.about.convention)
    weights = (jnp.asarray(matrix, jnp.float32) for matrix in (rows, columns))
    resized = np.asarray(apply_matrices(bands_first, *weights))
    return np.moveaxis(resized, 1, -1) if middle.ndim == 4 else resized


def _tested(ensemble: Ensemble, method: str) -> dict[int, MeasuredMetrics]:
    """What was measured at Original and with this method, by factor."""
    return {one.factor: one for one in ensemble.about.measured if one.method == method or one.factor == ORIGINAL.factor}


def _can_calibrate(tested: dict[int, MeasuredMetrics], factor: float) -> bool:
    known = [at for at, one in tested.items() if one.calibration]
    return bool(known) and (factor <= 1 or max(known) > 1)


def _calibrated(
    probabilities: Float[np.ndarray, "repeat galaxy class"], tested: dict[int, MeasuredMetrics], factor: float
) -> Float64[np.ndarray, "repeat galaxy class"]:
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    found = np.empty(probabilities.shape)
    for number, own in enumerate(logits):
        known = {at: one.calibration[number] for at, one in tested.items() if one.calibration}
        found[number] = calibration.apply(own, calibration.between(known, max(factor, 1.0)))
    return found


def _expected(tested: dict[int, MeasuredMetrics], factor: float, *, calibrated: bool) -> float:
    """The mean accuracy of single networks at this factor, interpolated in its logarithm; NaN beyond the factors tested."""
    known = {at: one.calibrated_accuracy if calibrated else one.accuracy for at, one in sorted(tested.items())}
    if not known:
        return float("nan")
    means = [float(np.mean(values)) for values in known.values()]
    return float(np.interp(np.log(max(factor, 1.0)), np.log(list(known)), means, right=np.nan))


def _table(
    ensemble: Ensemble,
    ids: np.ndarray,
    found: Float[np.ndarray, "repeat galaxy class"],
    factor: float,
    expected: float,
    flags: np.ndarray,
) -> Table:
    names = ensemble.about.class_names
    mean = found.mean(axis=0)
    std = found.std(axis=0, ddof=1) if len(found) > 1 else np.full(mean.shape, np.nan)
    entropy, single = _entropy(mean), _entropy(found).mean(axis=0)
    known = np.isfinite(mean).all(axis=1)
    named = np.where(known, np.array(names)[np.nan_to_num(mean).argmax(axis=1)], "")
    count = len(ids)
    table = Table(
        [
            Column(ids, "id"),
            Column(named, "class", description="of the largest probability"),
            *(Column(mean[:, n], f"p_{name}", description="mean over repeats") for n, name in enumerate(names)),
            *(Column(std[:, n], f"std_{name}", description="over repeats") for n, name in enumerate(names)),
            Column(entropy, "entropy", unit=u.dimensionless_unscaled, description="of the mean probabilities, nats"),
            Column(np.maximum(entropy - single, 0), "mutual_information", description="repeats disagree on, nats"),
            Column(np.full(count, factor), "factor", description="resolution is 1 / factor of the training's"),
            Column(
                np.full(count, expected), "expected_accuracy", description="of single networks, on their test galaxies"
            ),
            Column(
                flags.astype(np.int32), "flags", description="; ".join(f"{bit}: {what}" for bit, what in FLAGS.items())
            ),
        ]
    )
    table.meta["networks"] = repr(ensemble)
    return table


def _entropy(probabilities: Float[np.ndarray, "*any class"]) -> Float[np.ndarray, "*any"]:
    return -(probabilities * np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))).sum(axis=-1)
