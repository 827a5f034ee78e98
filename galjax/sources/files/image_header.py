"""What a FITS image's own world coordinates say: its pixel scale and where its middle is on the sky."""

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS
from astropy.wcs.utils import proj_plane_pixel_scales

from galjax.io.fits_files import open_fits
from galjax.sources.files.image_files import ONE_AT_A_TIME, content_of

SQUARE = 0.01
"""Sides of a pixel that differ by more than this share have no one scale."""
SCALES = (1e-3, 1e3)
"""Arcsec per pixel of any instrument."""


class ImageHeader(NamedTuple):
    """NaN where the header does not say it."""

    scale: float = float("nan")
    """Arcsec per pixel."""
    ra: float = float("nan")
    """Right ascension of the middle of the image, ICRS, degrees."""
    dec: float = float("nan")
    """Declination."""


def read_image_header(path: Path) -> ImageHeader:
    """What the first image of a FITS file says; nothing where the file cannot be read."""
    try:
        with ONE_AT_A_TIME, open_fits(content_of(path), tiled_images=True) as hdus:
            for hdu in hdus:
                if (
                    isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU)
                    and hdu.header.get("NAXIS", 0) > 1
                ):
                    return understand(hdu.header)
    except Exception:  # whatever a damaged header leads astropy to; its reader says what is wrong
        return ImageHeader()
    return ImageHeader()


def understand(header: fits.Header) -> ImageHeader:
    """Scale and middle by the celestial coordinates of an image's header (Greisen & Calabretta 2002, A&A 395, 1061)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # of cards that keep to no standard
        coordinates = WCS(header, naxis=2)
        if not coordinates.has_celestial:
            return ImageHeader()
        sides = np.abs(proj_plane_pixel_scales(coordinates)) * 3600
        middle = [(header.get(f"NAXIS{axis}", 1) - 1) / 2 for axis in (1, 2)]
        try:
            ra, dec = _world(coordinates, *middle)
        except (
            Exception
        ):  # a frame that astropy does not know, or distortions without an inverse: the scale is known all the same
            ra = dec = float("nan")
    low, high = sides.min(), sides.max()
    is_one = SCALES[0] <= low <= high <= SCALES[1] and high <= low * (1 + SQUARE)
    return ImageHeader(float(np.sqrt(low * high)) if is_one else float("nan"), ra, dec)


def _world(coordinates: WCS, x: float, y: float) -> tuple[float, float]:
    """ICRS degrees of a pixel, counted from 0."""
    wcs = coordinates.wcs
    is_modern = wcs.radesys == "ICRS" or (wcs.radesys == "FK5" and wcs.equinox == 2000)
    if is_modern and (wcs.lng, wcs.lngtyp) == (0, "RA"):
        ra, dec = (float(value) for value in coordinates.all_pix2world(x, y, 0))  # sixty times as fast as by a frame
    else:
        place = coordinates.pixel_to_world(x, y).icrs
        ra, dec = float(place.ra.deg), float(place.dec.deg)
    return (ra % 360, dec) if np.isfinite([ra, dec]).all() else (float("nan"), float("nan"))
