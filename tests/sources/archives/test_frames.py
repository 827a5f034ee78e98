import bz2
import gzip
import io

import numpy as np
import pytest
from astropy.io import fits
from astropy.stats import SigmaClip

from benchmarks.stand_in import frames
from benchmarks.stand_in.frames import Field, Light
from galjax.sources.archives.cutout import pixel_positions, place
from galjax.sources.archives.das import CorrectedFrames
from galjax.sources.archives.download import BadContent
from galjax.sources.archives.frame import FieldId, clipped_median, unpack
from galjax.sources.archives.sas import SkySubtractedFrames
from tests.sources.real_data import (
    CORRECTED_FRAME,
    PHOTOMETRY,
    SKY_SUBTRACTED_FRAME,
    needs_corrected_frame,
    needs_photometry,
    needs_sky_subtracted_frame,
)

DAS, SAS = CorrectedFrames("http://das"), SkySubtractedFrames("http://sas")
SMALL = Field(1729, 40, 3, 83, 10.0, -10.0, 130.0, declination_first=False, sky_card=True, shape=(160, 200))
SMALL_ID = FieldId(1729, 40, 3, 83)
LIGHT = Light(40, 60, np.full((20, 20), 500.0))


def test_paths_are_the_archives():
    assert DAS.path(SMALL_ID, "r") == "imaging/1729/40/corr/3/fpC-001729-r3-0083.fit.gz"
    assert SAS.path(SMALL_ID, "r") == "photoObj/frames/301/1729/3/frame-r-001729-3-0083.fits.bz2"


@needs_corrected_frame
def test_a_real_corrected_frame_without_sky_rerun_and_field_cards():
    content = CORRECTED_FRAME.read_bytes()
    frame = DAS.read(content, FieldId(5754, 40, 3, 280), "r")
    assert frame.shape == (1489, 2048)
    assert (frame.softbias, frame.sky_from, frame.units) == (1000.0, "measured", "counts")
    assert frame.sky(5, 5) == pytest.approx(391, abs=1)
    stamp = frame.stamp(700, 1000, 64)
    with fits.open(io.BytesIO(gzip.decompress(content))) as hdus:
        counts = hdus[0].data[700:764, 1000:1064]
        assert counts.dtype == np.uint16
        np.testing.assert_allclose(stamp, counts.astype(np.float64) - 1000 - frame.sky(0, 0), atol=1e-3)
    assert abs(np.median(stamp)) < 5
    y, x = pixel_positions(frame.wcs, np.array([343.62255817]), np.array([-0.31541119]))
    assert (x[0], y[0]) == pytest.approx((1023.5, 743.5), abs=1e-5)
    for wrong in (FieldId(5754, 40, 3, 281), FieldId(5754, 40, 2, 280), FieldId(5753, 40, 3, 280)):
        with pytest.raises(BadContent, match="the frame of another field"):
            DAS.read(content, wrong, "r")
    with pytest.raises(BadContent, match="FILTER is r, not g"):
        DAS.read(content, FieldId(5754, 40, 3, 280), "g")


@needs_corrected_frame
def test_a_real_star_is_cut_out_where_it_is():
    """The brightest unsaturated source, its sky position taken from the header, comes back at the recorded centre."""
    frame = DAS.read(CORRECTED_FRAME.read_bytes(), FieldId(5754, 40, 3, 280), "r")
    whole = frame.stamp(100, 100, 1200)
    candidates = np.argwhere((whole > 3000) & (whole < 20000))
    peaks = [
        (y + 100, x + 100)
        for y, x in candidates
        if 40 < y < 1160 and 40 < x < 1160 and whole[y, x] == whole[y - 15 : y + 16, x - 15 : x + 16].max()
    ]
    assert len(peaks) >= 5
    for y, x in peaks:
        position = frame.wcs.pixel_to_world(x, y)
        rows, columns = pixel_positions(frame.wcs, np.array([position.ra.deg]), np.array([position.dec.deg]))
        where = place(rows[0] + 1e-6, columns[0] + 1e-6, 64, "int", frame.shape)
        stamp = frame.stamp(where.top, where.left, 64)
        peak = np.unravel_index(stamp[17:48, 17:48].argmax(), (31, 31))
        assert (peak[0] + 17, peak[1] + 17) == (32, 32)


@needs_photometry
@needs_sky_subtracted_frame
def test_a_real_sky_subtracted_frame_and_its_catalogue():
    content = SKY_SUBTRACTED_FRAME.read_bytes()
    field = FieldId(1000, 301, 1, 100)
    counts, nanomaggies = (SAS.read(content, field, "r", units) for units in ("counts", "nanomaggies"))
    assert counts.shape == (100, 100)
    ratio = nanomaggies.stamp(0, 0, 100) / counts.stamp(0, 0, 100)
    assert np.nanmedian(ratio) == pytest.approx(0.00478, rel=0.05)
    assert counts.sky(50.0, 50.0) > 20
    assert nanomaggies.sky(50.0, 50.0) == pytest.approx(counts.sky(50.0, 50.0) * 0.00478, rel=0.05)
    with fits.open(PHOTOMETRY) as hdus:
        data = hdus[1].data
        y, x = pixel_positions(counts.wcs, data["RA"].astype(float), data["DEC"].astype(float))
        # The frame's linear coordinates and the pipeline's positions differ by less than a pixel; both count from the
        # pixel's corner, hence the half.
        assert np.abs(y - (data["ROWC"][:, 2] - 0.5)).max() < 1
        assert np.abs(x - (data["COLC"][:, 2] - 0.5)).max() < 1
    with pytest.raises(BadContent, match="RUN is 1000, not 1001"):
        SAS.read(content, FieldId(1001, 301, 1, 100), "r")


@needs_corrected_frame
def test_the_stand_in_has_the_real_frame_s_cards_and_pixels():
    made = gzip.decompress(frames.corrected_frame(Field(5754, 40, 3, 280, 343.6, -0.3, 391.0, False, False), seed=1))
    with fits.open(io.BytesIO(made)) as ours, fits.open(CORRECTED_FRAME) as theirs:
        assert ours[0].data.dtype == theirs[0].data.dtype == np.uint16
        assert ours[0].shape == theirs[0].shape
        assert set(ours[0].header) <= set(theirs[0].header)
        for card in (
            "BITPIX",
            "BZERO",
            "BSCALE",
            "SOFTBIAS",
            "RUN",
            "FRAME",
            "CAMCOL",
            "FILTER",
            "CTYPE1",
            "CD1_2",
            "EXPTIME",
        ):
            assert ours[0].header[card] == theirs[0].header[card]
        assert np.median(ours[0].data) == pytest.approx(np.median(theirs[0].data), abs=2)
    compressed = len(frames.corrected_frame(Field(5754, 40, 3, 280, 343.6, -0.3, 391.0, False, False), seed=1))
    assert compressed == pytest.approx(CORRECTED_FRAME.stat().st_size, rel=0.2)


@pytest.mark.parametrize("sky_card", [True, False])
@pytest.mark.parametrize("declination_first", [True, False])
def test_sky_is_taken_off_whether_the_header_has_it_or_not(sky_card, declination_first):
    field = SMALL._replace(sky_card=sky_card, declination_first=declination_first)
    frame = DAS.read(frames.corrected_frame(field, [LIGHT]), SMALL_ID, "r")
    assert frame.sky_from == ("header" if sky_card else "measured")
    assert frame.sky(3, 3) == pytest.approx(130, abs=0.2)
    stamp = frame.stamp(34, 54, 32)
    assert stamp.dtype == np.float32
    assert stamp[6:26, 6:26].mean() == pytest.approx(500, rel=0.01)
    assert stamp[:6].mean() == pytest.approx(0, abs=1)


def test_both_archives_give_the_same_counts():
    das = DAS.read(frames.corrected_frame(SMALL, [LIGHT]), SMALL_ID, "r")
    sas = SAS.read(frames.sky_subtracted_frame(SMALL, [LIGHT]), SMALL_ID, "r")
    np.testing.assert_allclose(sas.stamp(20, 30, 64), das.stamp(20, 30, 64), atol=0.55)
    assert sas.sky(80.0, 100.0) == pytest.approx(das.sky(80.0, 100.0))
    assert (sas.units, sas.sky_from, sas.softbias) == ("counts", "pipeline", 0.0)


def test_counts_below_the_softbias_do_not_wrap_round():
    dark = Light(40, 60, np.full((20, 20), -400.0))
    stamp = DAS.read(frames.corrected_frame(SMALL, [dark]), SMALL_ID, "r").stamp(44, 64, 10)
    assert stamp.mean() == pytest.approx(-400, abs=5)


def test_clipped_median_is_astropy_s_but_for_the_grouping():
    rng = np.random.default_rng(0)
    counts = rng.normal(1130.3, 6, 200_000)
    counts[:20_000] += rng.exponential(500, 20_000)
    counts = counts.round().clip(0, 65535).astype(np.uint16)
    clipped = SigmaClip(sigma=3, maxiters=10)(counts.astype(float))
    assert clipped_median(counts) == pytest.approx(np.ma.median(clipped), abs=0.5)
    # Grouping finds the part of a count that the plain median cannot.
    assert clipped_median(rng.normal(1130.3, 6, 10**6).round().astype(np.uint16)) == pytest.approx(1130.3, abs=0.03)
    assert clipped_median(np.full(100, 7, np.uint16)) == 7


GZ, BZ2 = frames.corrected_frame(SMALL), frames.sky_subtracted_frame(SMALL)
PLAIN = gzip.decompress(GZ)


def without(card):
    header = fits.Header.fromfile(io.BytesIO(PLAIN))
    del header[card]
    return header.tostring(padding=True).encode() + PLAIN[(-160 * 200 * 2 // 2880) * 2880 :]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Service unavailable</html>", "an HTML page"),
        (b"\n  <HTML><body>", "an HTML page"),
        (b"nonsense", "neither gzip, bzip2 nor FITS"),
        (GZ[: len(GZ) // 2], "a gzip file that is cut off"),
        (GZ[:-4], "a gzip file that is cut off"),
        (GZ[:20000] + b"\0\0\0\0" + GZ[20004:], "a corrupt gzip file"),
        (GZ[:-8] + b"\0\0\0\0" + GZ[-4:], "a corrupt gzip file"),
        (gzip.compress(PLAIN[:-5760]), "not a whole FITS file: it is cut off"),
        (gzip.compress(PLAIN[:3000]), "not a whole FITS file: the header at byte 0 has no end"),
        (gzip.compress(b"<html>", mtime=0), "not a whole FITS file"),
        (gzip.compress(without("RUN")), "a frame without the card RUN"),
        (gzip.compress(without("BZERO")), "16-bit counts"),
        (gzip.compress(without("CTYPE1")), "celestial coordinates"),
    ],
)
def test_files_that_are_no_frame_are_recognised(content, reason):
    with pytest.raises(BadContent, match=reason):
        DAS.read(content, SMALL_ID, "r")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BZ2[: len(BZ2) // 2], "a bzip2 file that is cut off"),
        (BZ2[:9000] + b"\0\0\0\0" + BZ2[9004:], "a corrupt bzip2 file"),
        (bz2.compress(bz2.decompress(BZ2)[:-2880]), "not a whole FITS file: it is cut off"),
        (bz2.compress(without("RERUN")), "without its calibration"),
    ],
)
def test_damaged_sky_subtracted_frames_are_recognised(content, reason):
    with pytest.raises(BadContent, match=reason):
        SAS.read(content, SMALL_ID, "r")


def test_a_file_that_the_server_has_unpacked_on_the_way_is_read_all_the_same():
    assert DAS.read(PLAIN, SMALL_ID, "r").shape == (160, 200)


def test_a_gzip_of_several_members_is_read_whole():
    assert unpack(gzip.compress(PLAIN[:5000]) + gzip.compress(PLAIN[5000:])) == PLAIN


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(monkeypatch):
    monkeypatch.setattr("galjax.sources.archives.frame.MOST_BYTES", 10_000)
    for content in (gzip.compress(b"SIMPLE" + b"\0" * 100_000), bz2.compress(b"SIMPLE" + b"\0" * 100_000)):
        with pytest.raises(BadContent, match="unpacks to more"):
            unpack(content)
