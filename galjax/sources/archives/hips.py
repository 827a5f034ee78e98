"""Cut-outs from hierarchical progressive surveys (HiPS) by the hips2fits service of the CDS; no login is needed.

Document: alasky.cds.unistra.fr/hips-image-services/hips2fits. A HiPS is the survey resampled onto HEALPix cells, and hips2fits
resamples it once more, bilinearly: its pixels are smoother than the survey's own, and their noise is correlated. Positions
outside the survey come as blank images, not as errors.
"""

from typing import NamedTuple

import numpy as np
from astropy.io import fits

from galjax.sources.archives.download import BadContent
from galjax.sources.archives.frame import Band, open_fits

CAVEAT = (
    "Resampled twice: onto HEALPix cells when the HiPS was made, and bilinearly onto this grid by hips2fits. Fine detail is "
    "smoothed and the noise of neighbouring pixels is correlated; do not use for statements about resolution at the pixel level."
)
SPARE = 4
"""Pixels that are asked for beyond a stamp's size, so that it can be placed on the grid."""


class HipsSurvey(NamedTuple):
    """A survey as HiPS."""

    hips: str
    """Identifier of the HiPS, with {band}."""
    pixel_scale: float
    """The survey's own, arcsec per pixel, which is what is asked for."""
    units: str
    bands: str


SURVEYS = {
    "hips-sdss": HipsSurvey("CDS/P/SDSS9/{band}", 0.396, "as in the HiPS (nanomaggies)", "ugriz"),
    "hips-panstarrs": HipsSurvey("CDS/P/PanSTARRS/DR1/{band}", 0.25, "as in the HiPS", "griz"),
    "hips-legacy": HipsSurvey("CDS/P/DESI-Legacy-Surveys/DR10/{band}", 0.262, "as in the HiPS (nanomaggies)", "griz"),
    "hips-hsc": HipsSurvey("CDS/P/HSC/DR2/wide/{band}", 0.168, "as in the HiPS", "griz"),
}


def parameters(survey: HipsSurvey, ra: float, dec: float, size: int, band: Band) -> dict[str, str]:
    """Parameters of the request for one position (degrees)."""
    side = size + SPARE
    return {
        "hips": survey.hips.format(band=band),
        "width": str(side),
        "height": str(side),
        "fov": f"{side * survey.pixel_scale / 3600:.10f}",
        "projection": "TAN",
        "coordsys": "icrs",
        "ra": f"{ra:.8f}",
        "dec": f"{dec:.8f}",
        "rotation_angle": "0",
        "format": "fits",
    }


def read_answer(content: bytes, size: int) -> tuple[fits.Header, np.ndarray]:
    """Header and pixels of the answer. Raises BadContent where it is no FITS image of the size asked for."""
    start = content[:512].lstrip()
    if start[:1] == b"<":
        raise BadContent("an HTML page in place of the cut-out")
    if start[:1] == b"{":
        raise BadContent("an error message of hips2fits in place of the cut-out")
    with open_fits(content) as hdus:
        header, data = hdus[0].header, hdus[0].data
    if data is None or data.shape != (size + SPARE, size + SPARE):
        raise BadContent(f"an image of another size than {size + SPARE}x{size + SPARE} px")
    return header, np.asarray(data)
