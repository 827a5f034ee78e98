"""SDSS DR7 corrected frames (fpC) from the Data Archive Server.

Documents: classic.sdss.org/dr7/dm/flatFiles/fpC.php and the DR7 data directory. A corrected frame is flat-fielded and
bias-subtracted, unsigned 16-bit counts (BZERO 32768), gzipped. Since DR1 the sky is not taken off: the background is
SOFTBIAS + sky. Some files have the sky in the card SKY; where it is missing it is measured here, as the median of every fourth
row clipped at 3 standard deviations: of 760,000 pixels with noise of 9 counts it is good to 0.013 counts.
"""

import dataclasses

import numpy as np
from jaxtyping import Float32

from galjax.sources.archives.download import BadContent
from galjax.sources.archives.frame import (
    MOST_COMMON_COUNT,
    Band,
    FieldId,
    Frame,
    Units,
    clipped_median,
    read_frame,
)

SKY_ROWS_APART = 4


@dataclasses.dataclass(frozen=True)
class CorrectedFrames:
    """The archive of corrected frames below a base address."""

    base: str
    name: str = "das"

    def path(self, field: FieldId, band: Band) -> str:
        """imaging/RUN/RERUN/corr/CAMCOL/fpC-RRRRRR-bC-FFFF.fit.gz, the run unpadded in the folders."""
        run, rerun, camcol, number = field
        return f"imaging/{run}/{rerun}/corr/{camcol}/fpC-{run:06d}-{band}{camcol}-{number:04d}.fit.gz"

    def read(self, content: bytes, field: FieldId, band: Band, units: Units = "counts") -> Frame:
        """The frame, in counts; without the cards SKY, RERUN and FIELD, too. Raises BadContent."""
        if units != "counts":
            raise BadContent(f"corrected frames are in counts, not in {units}")
        hdus, wcs, pixels = read_frame(content, field, band, field.rerun)
        header = hdus[0].header
        if pixels.dtype != np.uint16:
            raise BadContent(f"a frame with {pixels.dtype} pixels, not 16-bit counts")
        try:
            softbias = float(header.get("SOFTBIAS", 0.0))
            in_header = "SKY" in header
            sky = float(header["SKY"]) if in_header else clipped_median(pixels[::SKY_ROWS_APART]) - softbias
        except ValueError as error:
            raise BadContent("a frame whose card SKY or SOFTBIAS is no number") from error

        def stamp(top: int, left: int, size: int) -> Float32[np.ndarray, "size size"]:
            # uint16 would wrap round below the sky.
            counts = pixels[top : top + size, left : left + size].astype(np.float64)
            return (counts - (softbias + sky)).astype(np.float32)

        return Frame(
            wcs,
            pixels.shape,
            "counts",
            "header" if in_header else "measured",
            softbias,
            stamp,
            lambda y, x: sky,
            MOST_COMMON_COUNT,
        )
