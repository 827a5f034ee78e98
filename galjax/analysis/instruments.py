"""The same galaxies as two instruments see them: matched by id, and the sharper made like the coarser in single respects."""

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy.ndimage
from jaxtyping import Float, Float32

from galjax.errors import InputError
from galjax.resample import resize, width_between
from galjax.sample import Exclusion, GalaxySample, bands_last
from galjax.training.sky import frames_of, level_and_noise

LARGEST_FIELD_DIFFERENCE = 0.05

Images = Float32[np.ndarray, "galaxy height width *band"]
Resized = Float32[np.ndarray, "galaxy new_height new_width *band"]
Planes = Callable[[Float32[np.ndarray, "galaxy height width"]], Any]


class MatchedSamples(NamedTuple):
    """The same galaxies in the same order."""

    coarse: GalaxySample
    sharp: GalaxySample


def match_by_id(coarse: GalaxySample, sharp: GalaxySample) -> MatchedSamples:
    """The galaxies that both have, in the order of the coarse one, whose labels and redshifts hold for both.

    The others go to `excluded`. Raises InputError where there are none, or where the stamps show fields of different size on
    the sky or are not in the order that their names say.
    """
    common, at_coarse, at_sharp = np.intersect1d(coarse.ids, sharp.ids, return_indices=True)
    if not len(common):
        raise InputError(
            f"No galaxy is in both sets: ids of the first are like {coarse.ids[0]}, of the second like {sharp.ids[0]}. Give two "
            f"sets whose catalogues have the same ids."
        )
    _check_fields(coarse, sharp)
    order = np.argsort(at_coarse)
    missing = [
        Exclusion(str(i), "", f"not among the {other} images")
        for sample, other in ((coarse, "sharp"), (sharp, "coarse"))
        for i in np.setdiff1d(sample.ids, common)
    ]
    one, two = coarse.take(at_coarse[order]), sharp.take(at_sharp[order])
    excluded = (*one.excluded, *two.excluded, *missing)
    return MatchedSamples(
        dataclasses.replace(one, excluded=excluded),
        dataclasses.replace(two, labels=one.labels, class_names=one.class_names, redshift=one.redshift, excluded=()),
    )


def check_seeing(matched: MatchedSamples, seeing: tuple[float, float] | None) -> None:
    """Raise InputError where the seeing (arcsec) is to be matched and the sharp images' pixel scale is not known."""
    if seeing is not None and not np.isfinite(matched.sharp.pixel_scale):
        note = matched.sharp.provenance.get("note", "")
        raise InputError(
            f"To give the sharp images the seeing of the coarse ones, their pixel scale must be known. Give --sharp.pixel-scale, "
            f"or leave out --coarse-seeing and --sharp-seeing. {note}".strip()
        )


def unknown_fields(matched: MatchedSamples) -> str:
    """A sentence where it cannot be checked that both sets show the same fields, else nothing."""
    unknown = [name for name, sample in matched._asdict().items() if not np.isfinite(sample.pixel_scale)]
    if not unknown:
        return ""
    return (
        f"The pixel scale of the {' and '.join(unknown)} images is not known, so it was not checked that both show the same part of "
        f"the sky; this is assumed."
    )


def _check_fields(coarse: GalaxySample, sharp: GalaxySample) -> None:
    heights = (coarse.images.shape[1], sharp.images.shape[1])
    if coarse.images.ndim != sharp.images.ndim or coarse.images.shape[3:] != sharp.images.shape[3:]:
        raise InputError(f"The two sets have different bands: {coarse.bands} and {sharp.bands}. Give the same ones.")
    if heights[1] < heights[0]:
        raise InputError(
            f"The coarse images are {heights[0]} px high and the sharp ones {heights[1]}: the sharp must have at least as many "
            f"pixels on the same field. Swap --data and --sharp.data, or give other sizes."
        )
    fields = (heights[0] * coarse.pixel_scale, heights[1] * sharp.pixel_scale)
    if np.isfinite(fields).all() and abs(fields[0] / fields[1] - 1) > LARGEST_FIELD_DIFFERENCE:
        raise InputError(
            f"The stamps show different fields: {fields[0]:.1f} and {fields[1]:.1f} arcsec. Cut them so that both show the same "
            f"part of the sky (sizes in the inverse ratio of the pixel scales)."
        )


SHARP, COARSE = "sharp", "coarse"
PIXELS, SEEING, NOISE = "pixel size", "seeing", "noise"


def view_name(steps: Collection[str]) -> str:
    """The name of the sharp images after these steps: "sharp", "sharp + pixel size + seeing"."""
    return " + ".join((SHARP, *(step for step in (PIXELS, SEEING, NOISE) if step in steps)))


class Steps(NamedTuple):
    """The sharp galaxies made like the coarse ones in some respects; all views are as large as the sharp images."""

    names: tuple[str, ...]
    """The steps that there are, in the order of an observation."""
    views: Mapping[str, Images]
    """The sharp images after every subset of the steps, by `view_name`; and the coarse images, enlarged, as `COARSE`."""
    noise_added: float
    """Standard deviation that was added per coarse pixel after all other steps, in units of the sharp images; 0 where they are noisier
    already."""

    @property
    def path(self) -> tuple[str, ...]:
        """The names of the views from sharp to coarse, one step more in each."""
        return (*(view_name(self.names[:count]) for count in range(len(self.names) + 1)), COARSE)


def degrade_in_steps(matched: MatchedSamples, seeing: tuple[float, float] | None, seed: int = 0) -> Steps:
    """The sharp images with every subset of {pixel size, seeing, noise} of the coarse ones; and the coarse images.

    - Pixel size: shrunk by "area" to the coarse size, and enlarged with "nearest" as the coarse images are, as the thesis
      did (6.3).
    - Seeing: `seeing` is (coarse, sharp), full width at half maximum in arcsec; a Gaussian of sqrt(coarse^2 - sharp^2) brings
      one to the other, which is exact for Gaussian point-spread functions and leaves the wings of others to the sharp one.
      Without it that step is left out.
    - Noise: white, so much that coarse pixels have the noise of the coarse images, measured in the frames of the stamps. It is
      drawn per coarse pixel; where the sharp pixels stay, per sharp pixel, with the same variance per area of sky.

    Raises InputError where the seeing is given and the pixel scale is unknown.
    """
    check_seeing(matched, seeing)
    coarse, sharp = matched
    steps = (PIXELS, NOISE) if seeing is None else (PIXELS, SEEING, NOISE)
    size, large = coarse.images.shape[1:3], sharp.images.shape[1:3]
    views: dict[str, Images] = {}
    lacking = 0.0
    for optics in ((), (SEEING,)) if SEEING in steps else ((),):
        width = width_between(*seeing) / sharp.pixel_scale if seeing and optics else 0.0
        images = _blur(sharp.images, width)
        shrunk = _shrink(images, size)
        lacking = _lacking_noise(shrunk, coarse.images)
        per_sharp_pixel = lacking * (math.prod(large) / math.prod(size)) ** 0.5
        views |= {
            view_name(optics): images,
            view_name((PIXELS, *optics)): _enlarge(shrunk, large),
            view_name((*optics, NOISE)): _with_noise(images, per_sharp_pixel, seed),
            view_name((PIXELS, *optics, NOISE)): _enlarge(_with_noise(shrunk, lacking, seed), large),
        }
    return Steps(steps, {**views, COARSE: _enlarge(coarse.images, large)}, lacking)


def _lacking_noise(shrunk: Resized, coarse: Resized) -> float:
    """Standard deviation per coarse pixel, in the first one's units, that the first images lack to the noise of the second."""
    wanted = sky_noise(coarse) * brightness_ratio(shrunk, coarse)
    return float(max(wanted**2 - sky_noise(shrunk) ** 2, 0.0) ** 0.5)


def _with_noise(images: Resized, sigma: float, seed: int) -> Resized:
    noise = np.random.default_rng(seed).standard_normal(images.shape, dtype=np.float32)
    return images + np.float32(sigma) * noise


def _by_planes(images: Images, function: Planes) -> Resized:
    """A function of (galaxy, height, width), for images with or without bands."""
    if images.ndim == 3:
        return np.asarray(function(images), np.float32)
    bands = np.moveaxis(images, -1, 0)
    return np.stack([np.asarray(function(band), np.float32) for band in bands], axis=-1)


def _shrink(images: Images, size: tuple[int, int]) -> Resized:
    return _by_planes(images, lambda planes: resize(planes, size, "area"))


def _enlarge(images: Images, size: tuple[int, int]) -> Resized:
    return _by_planes(images, lambda planes: resize(planes, size, "nearest"))


def _blur(images: Images, sigma: float) -> Images:
    if sigma == 0:
        return images
    return _by_planes(images, lambda planes: scipy.ndimage.gaussian_filter(planes, (0, sigma, sigma), mode="nearest"))


def sky_noise(images: Images) -> float:
    """Standard deviation of the sky per pixel in the frames of the stamps (`galjax.training.sky`), the mean over the bands."""
    return float(np.mean(level_and_noise(bands_last(images)).unit))


def brightness_ratio(ours: Images, theirs: Resized) -> float:
    """How many units of `ours` one unit of `theirs` is: the median ratio of the galaxies' light above the sky."""
    light = [
        (images - np.median(_frames(images), axis=1).reshape(-1, *[1] * (images.ndim - 1))).sum(
            axis=tuple(range(1, images.ndim))
        )
        for images in (ours, theirs)
    ]
    usable = (light[0] > 0) & (light[1] > 0)
    return float(np.median(light[0][usable] / light[1][usable])) if usable.any() else 1.0


def _frames(images: Images) -> Float[np.ndarray, "galaxy pixel"]:
    return frames_of(images).reshape(len(images), -1)
