"""Whether a stamp shows one source in its middle: flags for a catalogue, from its pixels alone."""

import cv2
import numpy as np
from jaxtyping import Float, Shaped

FRAME = 5
"""Width of the frame along the border, where the sky is measured, px; at most a quarter of the image."""
DETECTED = 5.0
"""Noise of the smoothed image above the sky that a source has."""
NEAR = 1 / 8
"""How far from the middle a source may be, and how far apart two peaks are at least, in widths of the image."""
BRIGHT = 0.5
"""What makes a blend: the flux of all other sources together, or the brightness of a second peak, over that of the source."""
NORMAL = 1.4826
"""Standard deviation of normal noise over its median absolute deviation."""
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
    _, touching = cv2.connectedComponents(at_top.astype(np.uint8), connectivity=4)
    return bool(np.bincount(touching[at_top]).max() >= SATURATED_PIXELS)


def look_at_source(image: Float[np.ndarray, "height width"]) -> tuple[bool, bool, float]:
    """Whether the source is off the middle or missing, whether it is blended with others, and its half-light radius, px.

    The radius is NaN without a source.
    """
    height, width = image.shape
    frame = np.ones(image.shape, bool)
    inside = min(FRAME, min(image.shape) // 4)
    frame[inside : height - inside, inside : width - inside] = False
    above = image.astype(np.float64) - _median(image[frame])
    smooth = cv2.blur(above, (3, 3), borderType=cv2.BORDER_REFLECT)
    around = smooth[frame]
    noise = NORMAL * _median(np.abs(around - _median(around))) or 0.01 * float(smooth.max())
    labels, sources = cv2.connectedComponents((smooth > DETECTED * noise).astype(np.uint8), connectivity=4)
    count = labels - 1  # without the sky
    rows, columns = (np.abs(np.arange(n) - (n - 1) / 2) <= max(n * NEAR, 1) for n in image.shape)
    near = sources[np.ix_(rows, columns)]
    if not count or not near.any():
        return True, False, float("nan")
    flux = np.bincount(sources.ravel(), above.ravel(), count + 1)
    flux[0] = 0
    here = np.unique(near[near > 0])
    ours = int(here[flux[here].argmax()])
    where = np.argwhere(sources == ours)
    light = np.maximum(above[sources == ours], 0)
    centre = light @ where / max(light.sum(), np.finfo(np.float64).tiny)
    middle, allowed = (np.array(image.shape) - 1) / 2, np.maximum(np.array(image.shape) * NEAR, 1)
    off = bool((np.abs(centre - middle) > allowed).any())
    distance = np.hypot(*(where - centre).T)
    order = distance.argsort()
    grown = light[order].cumsum()
    radius = float(distance[order][np.searchsorted(grown, grown[-1] / 2)])
    box = tuple(slice(low, high + 1) for low, high in zip(where.min(axis=0), where.max(axis=0), strict=True))
    apart = max(3, round(min(image.shape) * NEAR))
    own = np.where(sources[box] == ours, smooth[box], 0)
    blended = bool(flux.sum() - flux[ours] > BRIGHT * flux[ours]) or _has_second_peak(own, apart)
    return off, blended, radius


def _has_second_peak(source: Float[np.ndarray, "height width"], apart: int) -> bool:
    """Whether there are two bright maxima, each of all within `apart` px."""
    if max(source.shape) <= apart:
        return False
    highest = cv2.dilate(source, np.ones((2 * apart + 1,) * 2, np.uint8))
    peaks = (source == highest) & (source > BRIGHT * source.max())
    return int(cv2.connectedComponents(peaks.astype(np.uint8), connectivity=4)[0]) > 2  # the sky among them


def _median(values: Shaped[np.ndarray, " pixel"]) -> float:
    """Several times as fast as NumPy's, of finite values."""
    middle = len(values) // 2
    part = np.partition(values, (middle - 1 + len(values) % 2, middle))
    return float(part[middle - 1 + len(values) % 2] / 2 + part[middle] / 2)
