"""The plain way to cut-outs: one frame after the other, with astropy's own functions for every step."""

import warnings
from collections.abc import Iterable
from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.stats import sigma_clipped_stats
from astropy.utils.data import download_file
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS


class Wanted(NamedTuple):
    """A frame and the galaxies in it."""

    url: str
    ids: tuple[int, ...]
    ra: np.ndarray
    """Degrees."""
    dec: np.ndarray


def cut_out(wanted: Iterable[Wanted], size: int = 64) -> dict[int, np.ndarray]:
    """Stamps by id: download, open, world to pixel, sky from the header or measured, slice. No retries, no checks."""
    stamps = {}
    half = size // 2
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)  # of dates and of RADECSYS
        for frame in wanted:
            with fits.open(download_file(frame.url, cache=False, show_progress=False)) as hdus:
                header, data = hdus[0].header, hdus[0].data
                x, y = WCS(header).world_to_pixel(SkyCoord(frame.ra * u.deg, frame.dec * u.deg))
                sky = (
                    header["SKY"] if "SKY" in header else sigma_clipped_stats(data, maxiters=10)[1] - header["SOFTBIAS"]
                )
                for identifier, row, column in zip(frame.ids, y.astype(int), x.astype(int), strict=True):
                    cut = data[row - half : row + half, column - half : column + half]
                    if cut.shape == (size, size):
                        stamps[identifier] = (cut.astype(np.float64) - header["SOFTBIAS"] - sky).astype(np.float32)
    return stamps
