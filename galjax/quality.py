"""Whether a stamp shows one source in its middle: flags for a catalogue, from its pixels alone."""

import numpy as np
from jaxtyping import Float, Shaped
from scipy import ndimage
from scipy.stats import median_abs_deviation

FRAME = 5
"""Width of the frame along the border, where the sky is measured, px; at most a quarter of the image."""
DETECTED = 5.0
"""Noise of the smoothed image above the sky that a source has."""
NEAR = 1 / 8
"""Of the width of the image: how far from the middle its source may be, and how far apart two peaks are at least."""
BRIGHT = 0.5
"""Of the source in the middle: the flux of all others together, or the brightness of a second peak, that makes a blend."""
SATURATED_PIXELS = 5
"""Pixels with the highest value that there is."""


def is_saturated(pixels: Shaped[np.ndarray, "height width *band"]) -> bool:
    """Whether several pixels have the highest value of their whole-number type, or lie side by side with that of the image.

    Pixels of other types have no highest value; there a flat top of as many pixels that touch counts.
    """
    highest = pixels.max()
    at_top = (pixels == highest).reshape(*pixels.shape[:2], -1).any(axis=2)
    if int(at_top.sum()) < SATURATED_PIXELS:
        return False
    if pixels.dtype.kind in "iu" and highest == np.iinfo(pixels.dtype).max:
        return True
    if pixels.dtype.kind in "iu" and pixels.dtype.itemsize == 1:
        return False  # few values, of which neighbours share many
    touching, count = ndimage.label(at_top)
    return bool(count and ndimage.sum_labels(at_top, touching, range(1, count + 1)).max() >= SATURATED_PIXELS)


def look_at_source(image: Float[np.ndarray, "height width"]) -> tuple[bool, bool, float]:
    """Whether the source is off the middle or missing, whether it is blended with others, and its half-light radius, px.

    The radius is NaN without a source.
    """
    height, width = image.shape
    frame = np.ones(image.shape, bool)
    inside = min(FRAME, min(image.shape) // 4)
    frame[inside : height - inside, inside : width - inside] = False
    above = image.astype(np.float64) - np.median(image[frame])
    smooth = ndimage.uniform_filter(above, 3)
    noise = float(median_abs_deviation(smooth[frame], scale="normal")) or 0.01 * float(smooth.max())
    sources, count = ndimage.label(smooth > DETECTED * noise)
    rows, columns = (np.abs(np.arange(n) - (n - 1) / 2) <= max(n * NEAR, 1) for n in image.shape)
    near = sources[np.ix_(rows, columns)]
    if not count or not near.any():
        return True, False, float("nan")
    flux = ndimage.sum_labels(above, sources, np.arange(count + 1))
    flux[0] = 0
    here = np.unique(near[near > 0])
    ours = int(here[flux[here].argmax()])
    own = np.where(sources == ours, np.maximum(above, 0), 0)
    places = np.indices(image.shape)
    centre = (own * places).sum(axis=(1, 2)) / max(own.sum(), np.finfo(np.float64).tiny)
    off = bool((np.abs(centre - (np.array(image.shape) - 1) / 2) > np.maximum(np.array(image.shape) * NEAR, 1)).any())
    distance = np.hypot(*(places - centre[:, None, None]))[sources == ours]
    order = distance.argsort()
    grown = own[sources == ours][order].cumsum()
    radius = float(distance[order][np.searchsorted(grown, grown[-1] / 2)])
    blended = bool(flux.sum() - flux[ours] > BRIGHT * flux[ours]) or _has_second_peak(np.where(own > 0, smooth, 0))
    return off, blended, radius


def _has_second_peak(source: Float[np.ndarray, "height width"]) -> bool:
    apart = max(3, round(min(source.shape) * NEAR))
    peaks = (source == ndimage.maximum_filter(source, 2 * apart + 1)) & (source > BRIGHT * source.max())
    return int(ndimage.label(peaks)[1]) > 1
