"""The pixel scale that a FITS image's own world coordinates say."""

import math
import warnings
from pathlib import Path

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


def header_scale(path: Path) -> float:
    """Arcsec per pixel of the first image of a FITS file; NaN where its header does not say it, or cannot be read."""
    try:
        with ONE_AT_A_TIME, open_fits(content_of(path), tiled_images=True) as hdus:
            for hdu in hdus:
                if (
                    isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU)
                    and hdu.header.get("NAXIS", 0) > 1
                ):
                    return scale_of_header(hdu.header)
    except Exception:  # whatever a damaged header leads astropy to; its reader says what is wrong
        return math.nan
    return math.nan


def scale_of_header(header: fits.Header) -> float:
    """Arcsec per pixel by the celestial coordinates of a header (Greisen & Calabretta 2002, A&A 395, 1061); NaN without."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # of cards that keep to no standard
        coordinates = WCS(header, naxis=2)
        if not coordinates.has_celestial:
            return math.nan
        sides = np.abs(proj_plane_pixel_scales(coordinates)) * 3600
    low, high = sides.min(), sides.max()
    if not SCALES[0] <= low <= high <= SCALES[1] or high > low * (1 + SQUARE):
        return math.nan
    return float(np.sqrt(low * high))
