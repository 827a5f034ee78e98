"""From a position on the sky to a stamp of pixels: the pixel convention, and what is no stamp.

Integer coordinates are pixel centres, counted from 0, as everywhere in galjax. The galaxy's centre lies at some
sub-pixel position of the frame; the convention decides on which side of the stamp's middle it falls:

    int       start = int(position) - size // 2         centre in [size//2, size//2 + 1), right of and below the middle
    round     start = floor(position + 1/2) - size // 2 centre in [size//2 - 1/2, size//2 + 1/2)
    cutout2d  start = ceil(position - size / 2)         centre in (size/2 - 1, size/2] (astropy.nddata.Cutout2D)

for a stamp's middle at (size - 1) / 2. `int` is what the slice `data[int(y)-32:int(y)+32, int(x)-32:int(x)+32]` does.
"""

import math
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Float64, Shaped

from galjax.sources.options import CutoutConvention

_WCS_CARDS = (
    "CTYPE1",
    "CTYPE2",
    "CUNIT1",
    "CUNIT2",
    "CRPIX1",
    "CRPIX2",
    "CRVAL1",
    "CRVAL2",
    "CD1_1",
    "CD1_2",
    "CD2_1",
    "CD2_2",
    "CDELT1",
    "CDELT2",
    "CROTA1",
    "CROTA2",
    "PC1_1",
    "PC1_2",
    "PC2_1",
    "PC2_2",
    "EQUINOX",
    "LONPOLE",
    "LATPOLE",
)


class NoCutout(Exception):
    """Why a galaxy has no stamp; the message is the reason for the table of failures."""


class Place(NamedTuple):
    """Where a stamp lies in its frame, and the galaxy's centre in the stamp."""

    top: int
    left: int
    centre_y: float
    """Pixel index in the stamp, sub-pixel."""
    centre_x: float


def read_wcs(header: fits.Header) -> WCS:
    """The header's celestial coordinates, from their own cards alone.

    SDSS headers name the reference system in the outdated card RADECSYS and have dates that astropy would fix with a
    warning; neither matters here. Raises NoCutout where the header has no celestial axes.
    """
    chosen = fits.Header([(name, header[name]) for name in _WCS_CARDS if name in header])
    chosen["RADESYS"] = str(header.get("RADESYS", header.get("RADECSYS", "ICRS"))).strip() or "ICRS"
    try:
        wcs = WCS(chosen, naxis=2)
    except (ValueError, TypeError, KeyError, MemoryError) as error:
        raise NoCutout("the header's celestial coordinates cannot be read") from error
    if not wcs.has_celestial:
        raise NoCutout("the header has no celestial coordinates")
    return wcs


def pixel_positions(
    wcs: WCS, ra: Float64[np.ndarray, " galaxy"], dec: Float64[np.ndarray, " galaxy"]
) -> tuple[Float64[np.ndarray, " galaxy"], Float64[np.ndarray, " galaxy"]]:
    """Pixel coordinates (y, x) of positions in ICRS degrees.

    By way of SkyCoord, which finds out by itself which axis is right ascension: in SDSS frames the first axis is either
    (CTYPE1 may be DEC--TAN), and plain `wcs_world2pix(ra, dec)` would be wrong by 1e5 px.
    """
    x, y = wcs.world_to_pixel(SkyCoord(ra * u.deg, dec * u.deg, frame="icrs"))
    return np.asarray(y, np.float64), np.asarray(x, np.float64)


def start_of(position: float, size: int, convention: CutoutConvention) -> int:
    """The first pixel of a stamp of `size` px around a position on one axis (see the module's table)."""
    if convention == "int":
        return int(position) - size // 2
    if convention == "round":
        return math.floor(position + 0.5) - size // 2
    return math.ceil(position - size / 2)


def place(y: float, x: float, size: int, convention: CutoutConvention, shape: tuple[int, ...]) -> Place:
    """Where the stamp around (y, x) lies in a frame of that shape.

    Raises NoCutout where the position is outside the frame or the stamp leaves it: a part of a stamp is none.
    """
    height, width = shape
    if not (math.isfinite(y) and math.isfinite(x) and -0.5 <= y < height - 0.5 and -0.5 <= x < width - 0.5):
        raise NoCutout(f"the position is outside the frame (x {x:.1f}, y {y:.1f} of {width}x{height} px)")
    top, left = start_of(y, size, convention), start_of(x, size, convention)
    if min(top, left) < 0 or top + size > height or left + size > width:
        raise NoCutout(f"off the frame's edge (x {x:.1f}, y {y:.1f} of {width}x{height} px, stamp {size} px)")
    return Place(top, left, y - top, x - left)


def check_stamp(stamp: Shaped[np.ndarray, "size size"], most_common: float = 0.02) -> None:
    """Raise NoCutout where a stamp has pixels without a value, or a larger share than `most_common` of one and the same.

    Archives fill what they have no data for with NaN or a constant. Noise does not repeat itself: floating-point pixels
    hardly ever, whole counts in a share of about 0.4 / (standard deviation).
    """
    bad = stamp.size - int(np.isfinite(stamp).sum())
    if bad == stamp.size:
        raise NoCutout("blank: no pixel has a value (outside the survey's footprint?)")
    if bad:
        raise NoCutout(f"{bad} of {stamp.size} pixels have no value")
    values, counts = np.unique(stamp, return_counts=True)
    if len(values) == 1:
        raise NoCutout(f"blank: all pixels are {values[0]:g} (outside the survey's footprint?)")
    if counts.max() > most_common * stamp.size:
        raise NoCutout(f"partly blank: {counts.max()} of {stamp.size} pixels are {values[counts.argmax()]:g}")
