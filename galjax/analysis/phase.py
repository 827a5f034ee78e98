"""Where the centre of a galaxy goes when its image is shrunk and enlarged (thesis, 5.4), and galaxies moved onto the grid.

Positions are pixel indices, so that the middle of an axis of n pixels is (n - 1) / 2: of 64 px, 31.5. Rows and columns behave
alike, so the tables are those of one axis.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import scipy.ndimage
from astropy.table import Table
from jaxtyping import Float, Float32, Float64

from galjax.resample import resize_matrices

SizeRule = Literal["floor", "round"]
SIZE_RULES: tuple[SizeRule, ...] = ("floor", "round")
"""H // factor, the thesis's, and round(H / factor), what cv2.resize makes of fx = fy = 1 / factor."""
SOURCE_SIGMA = 2.0
"""Standard deviation of the Gaussian source, px."""
WINDOW_SIGMA = 3.0
"""Standard deviation of the weight with which a galaxy's centre is measured, px."""
LARGEST_MOVE = 4.0
"""A centre farther from the middle than this (px) is taken for another object's, and the galaxy is left as it is."""


class Cutout(NamedTuple):
    """A rule for cutting a galaxy out of a frame, by where it puts the centre: from `low` to `high`, evenly."""

    name: str
    low: float
    high: float

    def positions(self, count: int = 101) -> Float64[np.ndarray, " position"]:
        """Evenly spaced centres; one, where the rule leaves nothing to chance."""
        return np.linspace(self.low, self.high, count if self.high > self.low else 1)


def cutouts(size: int) -> tuple[Cutout, ...]:
    """The rules for stamps of `size` px: on a pixel, on the middle of the grid, and real cut-outs with random sub-pixels."""
    half = size // 2
    return (
        Cutout(f"at index {half}", half, half),
        Cutout(f"at index {half - 0.5}", half - 0.5, half - 0.5),
        Cutout("cut by int(position)", half, half + 1),
        Cutout("cut by round(position)", half - 0.5, half + 0.5),
        Cutout("cut by astropy Cutout2D", half - 1, half),
    )


def grid_size(size: int, factor: int, rule: SizeRule) -> int:
    """Pixels left of `size` after shrinking by `factor`; round is to the nearest, halves to even, as OpenCV rounds."""
    return size // factor if rule == "floor" else round(size / factor)


def gaussian_source(size: int, position: float, sigma: float = SOURCE_SIGMA) -> Float64[np.ndarray, " pixel"]:
    """A Gaussian at a pixel index, on one axis."""
    return np.exp(-0.5 * ((np.arange(size) - position) / sigma) ** 2)


def centroid(profile: Float[np.ndarray, " pixel"]) -> float:
    """Mean pixel index, weighted with brightness."""
    return float((np.arange(len(profile)) * profile).sum() / profile.sum())


def shrunk_table(size: int, factors: Sequence[int]) -> Table:
    """Where the brightest pixel lies after shrinking, for every factor, size rule and cut-out.

    `brightest` is in shrunken pixels from the middle of the grid, on average over the cut-out's positions, where +0.5 on both
    axes is "right-below of the centre" and 0 "at the centre"; `spread` is its standard deviation.
    """
    rows = []
    for factor in factors:
        for rule in SIZE_RULES:
            new = grid_size(size, factor, rule)
            (shrink, _) = resize_matrices((size, size), (new, new), "area")
            for cutout in cutouts(size):
                brightest = [
                    int((shrink @ gaussian_source(size, p)).argmax()) - (new - 1) / 2 for p in cutout.positions()
                ]
                rows.append(
                    (f"1/{factor}", rule, new, cutout.name, float(np.mean(brightest)), float(np.std(brightest)))
                )
    return Table(rows=rows, names=("resolution", "size_rule", "size", "cutout", "brightest", "spread"))


def enlarged_table(size: int, factors: Sequence[int], methods: Sequence[str]) -> Table:
    """How far the centre has moved once the image is enlarged back, for every factor, size rule, method and cut-out.

    In px of the original, on average over the cut-out's positions: `centroid` of a Gaussian source of `SOURCE_SIGMA` px, and
    `brightest`, the middle of its brightest pixels; `brightest_spread` is the standard deviation of the latter.
    """
    rows = []
    for factor, rule, method in itertools.product(factors, SIZE_RULES, methods):
        new = grid_size(size, factor, rule)
        shrink, enlarge = (
            resize_matrices((a, a), (b, b), m)[0] for a, b, m in ((size, new, "area"), (new, size, method))
        )
        for cutout in cutouts(size):
            positions = cutout.positions()
            profiles = [enlarge @ (shrink @ gaussian_source(size, position)) for position in positions]
            moved = np.array([centroid(profile) for profile in profiles]) - positions
            brightest = np.array([_middle_of_brightest(profile) for profile in profiles]) - positions
            figures = (float(moved.mean()), float(brightest.mean()), float(brightest.std()))
            rows.append((f"1/{factor}", rule, new, method, cutout.name, *figures))
    names = ("resolution", "size_rule", "size", "method", "cutout", "centroid", "brightest", "brightest_spread")
    return Table(rows=rows, names=names)


def _middle_of_brightest(profile: Float64[np.ndarray, " pixel"]) -> float:
    """Nearest makes blocks of equal pixels: the middle of the block."""
    return float(np.flatnonzero(profile >= profile.max() * (1 - 1e-9)).mean())


def measure_centres(images: Float[np.ndarray, "galaxy height width"]) -> Float64[np.ndarray, "galaxy 2"]:
    """The centre (y, x) of the galaxy in the middle of each image, pixel index.

    Brightness above the sky (median of the image's frame of 4 px), weighted with a Gaussian window that follows the centre
    until it rests: the windowed position of SExtractor (Bertin, user's manual, XWIN_IMAGE).
    """
    height, width = images.shape[1:]
    y, x = np.arange(height)[:, None], np.arange(width)[None, :]
    frame = np.ones((height, width), bool)
    frame[4:-4, 4:-4] = False
    light = images.astype(np.float64) - np.median(images[:, frame], axis=1)[:, None, None]
    centres = np.full((len(images), 2), ((height - 1) / 2, (width - 1) / 2))
    for number, image in enumerate(light):
        centre = centres[number]
        for _ in range(40):
            window = image * np.exp(-0.5 * ((y - centre[0]) ** 2 + (x - centre[1]) ** 2) / WINDOW_SIGMA**2)
            total = window.sum()
            if total <= 0:
                break
            step = 2 * np.array([(window * (y - centre[0])).sum(), (window * (x - centre[1])).sum()]) / total
            centre += np.clip(step, -1, 1)
            if np.abs(step).max() < 1e-4:
                break
    return centres


class Recentred(NamedTuple):
    """Images moved so that each galaxy's centre lies where it was wanted."""

    images: Float32[np.ndarray, "galaxy height width *band"]
    centres: Float64[np.ndarray, "galaxy 2"]
    """Centres before they were moved."""
    moved: np.ndarray
    """False where the centre is too far off to be the galaxy's; such images are as they were."""


def recentre(images: Float32[np.ndarray, "galaxy height width *band"], offset: float = 0.0) -> Recentred:
    """Move every galaxy's centre to the middle of the grid, or `offset` px off it on both axes.

    By cubic-spline interpolation (`scipy.ndimage.shift`), edges replicated. The interpolation touches scales of a pixel, far below those of images shrunk to 1/4 or less.
    """
    plain = images if images.ndim == 3 else images.mean(axis=-1)
    middle = (np.array(plain.shape[1:]) - 1) / 2
    centres = measure_centres(plain)
    moved = np.abs(centres - middle).max(axis=1) <= LARGEST_MOVE
    found = images.copy()
    for number in np.flatnonzero(moved):
        by = (*(middle + offset - centres[number]), *[0.0] * (images.ndim - 3))
        found[number] = scipy.ndimage.shift(images[number].astype(np.float64), by, order=3, mode="nearest")
    return Recentred(found, centres, moved)


def offset_of_pixel(size: int, new: int) -> float:
    """From the middle of `size` px to the middle of the nearest of the `new` pixels it is shrunk to (px); 0 for odd `new`."""
    return 0.0 if new % 2 else size / new / 2


def even_size_deficit(
    accuracies: Mapping[int, Float[np.ndarray, " repeat"]],
) -> Float64[np.ndarray, " repeat"]:
    """By how much shrinking to an even number of pixels scores below the odd numbers on both sides of it.

    The mean over all even sizes whose neighbours were measured too, in every repeat: 0 where parity does not matter.
    """
    deficits = [
        (accuracies[size - 1] + accuracies[size + 1]) / 2 - accuracies[size]
        for size in accuracies
        if size % 2 == 0 and size - 1 in accuracies and size + 1 in accuracies
    ]
    if not deficits:
        raise ValueError("No even size has both neighbours.")
    return np.mean(deficits, axis=0)
