"""SDSS frames of DR8 and later from the Science Archive Server.

Document: data.sdss.org datamodel "frame". HDU 0 is the image in nanomaggies with the sky subtracted; HDU 1 the nanomaggies
per count of every column; HDU 2 the sky that was taken off, in counts, on a coarse grid (ALLSKY) with the grid positions of
every column and row (XINTERP, YINTERP). Runs, columns and fields are numbered as in DR7, the rerun is 301.
"""

import dataclasses

import numpy as np
from astropy.io import fits
from jaxtyping import Float32

from galjax.sources.archives.download import BadContent
from galjax.sources.archives.frame import (
    Band,
    FieldId,
    Frame,
    Units,
    bilinear,
    read_frame,
)

RERUN = 301


@dataclasses.dataclass(frozen=True)
class SkySubtractedFrames:
    """The archive of calibrated, sky-subtracted frames below a base address."""

    base: str
    name: str = "sas"

    def path(self, field: FieldId, band: Band) -> str:
        """photoObj/frames/301/RUN/CAMCOL/frame-b-RRRRRR-C-FFFF.fits.bz2."""
        run, _, camcol, number = field
        return f"photoObj/frames/{RERUN}/{run}/{camcol}/frame-{band}-{run:06d}-{camcol}-{number:04d}.fits.bz2"

    def read(self, content: bytes, field: FieldId, band: Band, units: Units = "counts") -> Frame:
        """The frame in counts (nanomaggies divided by those of one count) or as it is. Raises BadContent."""
        hdus, wcs, pixels = read_frame(content, field, band, RERUN)
        per_count = _nanomaggies_per_count(hdus, pixels.shape[1])
        allsky, x_grid, y_grid = _sky(hdus, pixels.shape)

        def stamp(top: int, left: int, size: int) -> Float32[np.ndarray, "size size"]:
            cut = pixels[top : top + size, left : left + size].astype(np.float64)
            scale = per_count[left : left + size] if units == "counts" else 1.0
            return (cut / scale).astype(np.float32)

        def sky(y: float, x: float) -> float:
            row, column = round(y), round(x)
            counts = bilinear(allsky, float(y_grid[row]), float(x_grid[column]))
            return counts if units == "counts" else counts * float(per_count[column])

        return Frame(wcs, pixels.shape, units, "pipeline", 0.0, stamp, sky, 0.02)


def _nanomaggies_per_count(hdus: fits.HDUList, columns: int) -> np.ndarray:
    try:
        calibration = np.asarray(hdus[1].data, np.float64)
    except (IndexError, TypeError, ValueError, OSError) as error:
        raise BadContent("a frame without its calibration (HDU 1)") from error
    if calibration.shape != (columns,) or not (np.isfinite(calibration) & (calibration > 0)).all():
        raise BadContent("a frame whose calibration (HDU 1) is not one positive number per column")
    return calibration


def _sky(hdus: fits.HDUList, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    try:
        row = hdus[2].data[0]
        allsky = np.asarray(row["ALLSKY"], np.float64)
        x_grid, y_grid = (np.asarray(row[name], np.float64) for name in ("XINTERP", "YINTERP"))
    except (IndexError, KeyError, TypeError, ValueError, OSError, AttributeError) as error:
        raise BadContent("a frame without its sky (HDU 2)") from error
    if allsky.ndim != 2 or min(allsky.shape) < 2 or len(x_grid) < shape[1] or len(y_grid) < shape[0]:
        raise BadContent("a frame whose sky (HDU 2) does not fit its image")
    return allsky, x_grid, y_grid
