"""What training images usually look like to a network, so that images which do not can be told: other units, sky or sizes."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Float64
from scipy.stats import median_abs_deviation

from galjax.config.settings import InputScaling
from galjax.networks.scaling import Sky, scale_images
from galjax.sample import bands_last
from galjax.training.sky import frames_of

OUTSIDE = 0.005
"""Share of the training images below, and above, the range that is widened then."""
WIDENED = 0.5
"""By this part of itself at either end."""
MOST = 4096
"""Training images that are measured, at even steps."""


def usual_ranges(
    images: Float[np.ndarray, "galaxy height width *band"], scaling: InputScaling, sky: Sky | None
) -> dict[str, tuple[float, float]]:
    """The range of every measure (`measures_of`) of the training images, widened by half at either end."""
    some = images[np.unique(np.linspace(0, len(images) - 1, min(MOST, len(images))).astype(int))]
    found = {}
    for name, values in measures_of(some, scaling, sky).items():
        low, high = np.quantile(values, [OUTSIDE, 1 - OUTSIDE]).tolist()
        found[name] = (low - WIDENED * (high - low), high + WIDENED * (high - low))
    return found


def is_unusual(
    images: Float[np.ndarray, "galaxy height width *band"],
    scaling: InputScaling,
    sky: Sky | None,
    usual: Mapping[str, tuple[float, float]],
    factor: Float64[np.ndarray, " galaxy"],
) -> Bool[np.ndarray, " galaxy"]:
    """Whether a measure of an image lies outside of its range. The mean over `factor` pixels lowers the noise by as much, and
    interpolation by up to two."""
    outside = np.zeros(len(images), bool)
    for name, values in measures_of(images, scaling, sky).items():
        if name in usual:
            low, high = usual[name]
            lowest = low / np.where(factor > 1, 2 * factor, 1) if name == "noise" else low
            outside |= (values < lowest) | (values > high)
    return outside


def measures_of(
    images: Float[np.ndarray, "galaxy height width *band"], scaling: InputScaling, sky: Sky | None
) -> dict[str, Float64[np.ndarray, " galaxy"]]:
    """What is measured in every image as it enters the network, mean over bands: median and noise (from the median absolute deviation) of its frame,
    and the mean of its middle quarter.

    Median and mean do not change much where an image is blurred. Of a sky ("repeat band") the mean over repeats is taken.
    """
    mean_sky = None if sky is None else jax.tree.map(lambda value: jnp.asarray(value).mean(axis=0), sky)
    pixels = bands_last(images).astype(np.float32, copy=False)
    scaled = np.asarray(scale_images(jnp.asarray(pixels), scaling, mean_sky), np.float64)
    height, width = scaled.shape[1:3]
    middle = scaled[:, height // 4 : height - height // 4, width // 4 : width - width // 4]
    frames = frames_of(scaled)
    return {
        "frame": np.median(frames, axis=1).mean(axis=1),
        "noise": median_abs_deviation(frames, axis=1, scale="normal").mean(axis=1),
        "middle": middle.mean(axis=(1, 2, 3)),
    }
