import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D
from astropy.wcs import WCS
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.stand_in import frames
from benchmarks.stand_in.frames import Field
from galjax.sources.archives.cutout import NoCutout, check_stamp, pixel_positions, place, read_wcs, start_of

FRAME = np.arange(300 * 400, dtype=np.float32).reshape(300, 400)
inside = st.floats(40, 250, allow_nan=False)


@settings(deadline=None, derandomize=True, database=None)
@given(inside, inside, st.sampled_from([64, 33]))
def test_int_is_the_thesis_s_slice(y, x, size):
    where = place(y, x, size, "int", FRAME.shape)
    half = size // 2
    theirs = FRAME[int(y) - half : int(y) - half + size, int(x) - half : int(x) - half + size]
    ours = FRAME[where.top : where.top + size, where.left : where.left + size]
    np.testing.assert_array_equal(ours, theirs)
    if size == 64:
        np.testing.assert_array_equal(ours, FRAME[int(y) - 32 : int(y) + 32, int(x) - 32 : int(x) + 32])
    assert half <= where.centre_y < half + 1
    assert where.top + where.centre_y == pytest.approx(y, abs=1e-9)


@settings(deadline=None, derandomize=True, database=None)
@given(inside, inside, st.sampled_from([64, 33]))
def test_cutout2d_is_astropy_s(y, x, size):
    where = place(y, x, size, "cutout2d", FRAME.shape)
    theirs = Cutout2D(FRAME, (x, y), size, mode="strict")
    assert (where.left, where.top) == theirs.origin_original


@settings(deadline=None, derandomize=True, database=None)
@given(inside, st.sampled_from([64, 33]))
def test_round_has_the_centre_within_half_a_pixel(y, size):
    centre = y - start_of(y, size, "round")
    assert size // 2 - 0.5 <= centre < size // 2 + 0.5


@pytest.mark.parametrize("declination_first", [False, True])
def test_either_order_of_axes_gives_the_same_pixels(declination_first):
    field = Field(1, 40, 1, 11, 343.6, -0.3, 130.0, declination_first, sky_card=False)
    header = frames.corrected_header(field)
    assert header["CTYPE1"] == ("DEC--TAN" if declination_first else "RA---TAN")
    wcs = read_wcs(header)
    y, x = pixel_positions(wcs, np.array([343.6, 343.62]), np.array([-0.3, -0.31]))
    assert (x[0], y[0]) == pytest.approx((1023.5, 744.0), abs=1e-6)
    # Right ascension runs along the rows: 0.02 degrees are 182 of them.
    assert y[1] - y[0] == pytest.approx(0.02 * np.cos(np.deg2rad(0.3)) / 1.1e-4, abs=0.2)
    assert x[1] - x[0] == pytest.approx(-0.01 / 1.1e-4, abs=0.2)


def test_plain_pixel_functions_would_be_wrong_by_far():
    field = Field(1, 40, 1, 11, 343.6, -0.3, 130.0, declination_first=True, sky_card=False)
    wcs = read_wcs(frames.corrected_header(field))
    x, _ = wcs.wcs_world2pix(343.62, -0.31, 0)
    assert abs(x - 1023.5) > 1e4
    assert np.asarray(wcs.world_to_pixel(SkyCoord(343.62 * u.deg, -0.31 * u.deg))).max() < 2048


def test_a_wcs_with_rotation_cards_or_none():
    header = WCS(naxis=2).to_header()
    with pytest.raises(NoCutout, match="no celestial coordinates"):
        read_wcs(header)
    broken = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "RA---TAN", "CRVAL1": 1.0})
    with pytest.raises(NoCutout, match="coordinates"):
        read_wcs(broken)


@pytest.mark.parametrize("convention", ["int", "round", "cutout2d"])
def test_a_stamp_that_leaves_the_frame_is_none(convention):
    for y, x in ((31.0, 100.0), (100.0, 369.4), (269.0, 100.0), (100.0, 30.4)):
        with pytest.raises(NoCutout, match="off the frame's edge"):
            place(y, x, 64, convention, FRAME.shape)
    for y, x in ((-5.0, 100.0), (300.0, 100.0), (100.0, 5000.0), (float("nan"), 3.0)):
        with pytest.raises(NoCutout, match="outside the frame"):
            place(y, x, 64, convention, FRAME.shape)
    place(32.5, 32.5, 64, convention, FRAME.shape)


def test_blank_and_half_blank_stamps_are_none():
    noise = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    check_stamp(noise)
    whole_counts = np.random.default_rng(0).normal(130, 5.3, (64, 64)).round().astype(np.float32)
    check_stamp(whole_counts, most_common=0.3)
    holes = noise.copy()
    holes[3, 4] = np.nan
    corner = noise.copy()
    corner[np.add.outer(np.arange(64), np.arange(64)) < 20] = 0
    for stamp, reason in (
        (np.full((64, 64), np.nan, np.float32), "blank: no pixel has a value"),
        (np.zeros((64, 64), np.float32), "blank: all pixels are 0"),
        (holes, "1 of 4096 pixels have no value"),
        (corner, "partly blank: 210 of 4096 pixels are 0"),
    ):
        with pytest.raises(NoCutout, match=reason):
            check_stamp(stamp)
