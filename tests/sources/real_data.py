"""Real files beside the repository, for tests that skip where they are absent."""

from pathlib import Path

import pytest

_DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TABLE2_ROWS = _DATA / "gz1_table2" / "GalaxyZoo1_DR_table2_99rows.csv"
CORRECTED_FRAME = _DATA / "sdss_frame" / "fpC-005754-r3-0280.fit.gz"
SKY_SUBTRACTED_FRAME = _DATA / "sdss_frame" / "frame-r-001000-1-0100.fits.bz2"
PHOTOMETRY = _DATA / "sdss_frame" / "photoObj-001000-1-0100.fits"


def _needs(path):
    return pytest.mark.skipif(not path.exists(), reason=f"the real file {path.name} is not beside this repository")


needs_table2_rows = _needs(TABLE2_ROWS)
needs_corrected_frame = _needs(CORRECTED_FRAME)
needs_sky_subtracted_frame = _needs(SKY_SUBTRACTED_FRAME)
needs_photometry = _needs(PHOTOMETRY)
