"""The sky's level and noise, measured once at the borders of training images: the units of the input scaling "sky"."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.stats import median_abs_deviation

from galjax.config.settings import InputScaling
from galjax.errors import InputError
from galjax.networks.scaling import Sky
from galjax.sample import GalaxySample

FRAME = 5
"""Width of the frame around a stamp in which the sky is measured, px; at most a quarter of the stamp."""
INSTEAD = "Choose --input-scaling asinh, which scales each image by its own pixels"
ALONE = "each image and band by its own pixels"
IN_WORDS: dict[InputScaling, str] = {
    "none": "Pixels enter the network as they are (none).",
    "minmax": f"Pixels enter the network scaled to 0..1, {ALONE} (minmax).",
    "standard": f"Pixels enter the network scaled to mean 0 and standard deviation 1, {ALONE} (standard).",
    "asinh": f"Pixels enter the network as the arcsinh of those scaled to mean 0 and standard deviation 1, {ALONE} (asinh).",
}


def chosen_scaling(scaling: InputScaling, *samples: GalaxySample) -> InputScaling:
    """What "auto" stands for: asinh where any sample was made of 8-bit images, whose pixels are stretched already, else sky."""
    if scaling != "auto":
        return scaling
    return "asinh" if any(sample.is_8_bit for sample in samples) else "sky"


def frames_of(
    images: Float[np.ndarray, "galaxy height width *band"],
) -> Float[np.ndarray, "galaxy pixel *band"]:
    """The pixels of a frame of `FRAME` px along the border of each image."""
    mask = np.ones(images.shape[1:3], bool)
    width = min(FRAME, min(mask.shape) // 4)
    mask[width:-width, width:-width] = False
    return images[:, mask]


def measure_sky(
    images: Float[np.ndarray, "galaxy height width band"], chosen: Int[np.ndarray, "repeat chosen"] | None = None
) -> Sky:
    """Level and unit of every repeat and band ("repeat band"), from the images that the repeat has chosen; None: one from all.

    Of each image the median of its frame and 1.4826 times the median absolute deviation from it (the standard deviation of
    normal noise), then the medians over the images: sources at the border, in less than half of a frame or of the images,
    move neither far. Raises InputError where a unit is 0 or not finite.
    """
    level, unit = level_and_noise(images, chosen)
    if not (jnp.isfinite(unit) & (unit > 0)).all():
        raise InputError(
            f"--input-scaling sky measures pixels in units of the sky's noise, which is {float(unit.min()):g} in the frames of "
            f"{FRAME} px along the borders of these images. {INSTEAD}."
        )
    return Sky(level, unit)


def level_and_noise(
    images: Float[np.ndarray, "galaxy height width band"], chosen: Int[np.ndarray, "repeat chosen"] | None = None
) -> Sky:
    """`measure_sky`, where the noise may also be 0."""
    frames = frames_of(images)
    everywhere = np.median(frames, axis=1), median_abs_deviation(frames, axis=1, scale="normal")
    rows = np.arange(len(images))[None] if chosen is None else chosen
    return Sky(*(jnp.asarray(np.median(each[rows], axis=1), jnp.float32) for each in everywhere))


def sky_of_views(
    views: Float[Array, "view galaxy height width band"], chosen: Int[Array, "repeat chosen"], the_same: int | None
) -> Sky:
    """The sky of every repeat, view and band ("repeat view band"), from the galaxies that the repeat trains on, before they are
    resampled; that of the view `the_same` in all views, or each view's own (None)."""
    rows = np.asarray(chosen)
    numbers = range(len(views)) if the_same is None else [the_same]
    found = [measure_sky(np.asarray(views[number]), rows) for number in numbers]
    shape = (len(rows), len(views), views.shape[-1])
    return Sky(*(jnp.broadcast_to(jnp.stack(each, axis=1), shape) for each in zip(*found, strict=True)))


def noise_of(
    views: Float[Array, "view galaxy height width band"],
    chosen: Int[Array, "repeat chosen"],
    view: int,
    sky: Sky | None,
) -> Float[Array, "repeat band"]:
    """The noise of the pixels that each repeat trains on, one standard deviation: the unit of its sky, or where none is measured that of
    the same frames, which may be 0."""
    return sky.unit[:, view] if sky is not None else level_and_noise(np.asarray(views[view]), np.asarray(chosen)).unit


def in_words(scaling: InputScaling, sky: Sky | None = None, bands: Sequence[str] = (), of: str = "the training") -> str:
    """A sentence for the screen and the report: which scaling, and of "sky" ("repeat band") the medians over repeats.

    `of` says whose images it was measured in.
    """
    if sky is None:
        return IN_WORDS[scaling]
    levels, units = (np.median(np.asarray(value), axis=0) for value in sky)
    measured = ", ".join(
        f"{band} {level:.4g}, {unit:.4g}" for band, level, unit in zip(bands, levels, units, strict=True)
    )
    return (
        f"Pixels enter the network as arcsinh((pixel - level) / unit) / 2 (sky), with the level and the noise of the sky at the "
        f"borders of {of} images, in their units: {measured}."
    )
