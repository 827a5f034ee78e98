"""HSC's cut-out service and hips2fits, against the stand-in."""

import logging

import numpy as np
import pytest
import scipy.ndimage

from benchmarks.stand_in.faults import Fault
from benchmarks.stand_in.server import Server
from benchmarks.stand_in.services import PASSWORD, USER, Archives
from benchmarks.stand_in.universe import Shares, make_universe
from experiments import build_sample
from galjax import GalaxySample, InputError
from galjax.sources.archives import hips, hsc
from galjax.sources.archives.download import BadContent
from tests.test_sample import make_sample


@pytest.fixture(scope="module")
def universe():
    return make_universe(fields=12, galaxies=30, shape=(700, 700), shares=Shares(faulty=0.0))


@pytest.fixture(scope="module")
def sdss(universe, tmp_path_factory):
    """A sample of the same galaxies from SDSS, which others are matched with."""
    folder = tmp_path_factory.mktemp("sdss")
    (folder / "t.csv.gz").write_bytes(universe.catalogue())
    with Server(Archives(universe)) as server:
        code = build_sample.main(
            [
                "--catalogue",
                str(folder / "t.csv.gz"),
                "--out",
                str(folder / "sdss.fits"),
                "--redshifts",
                "none",
                *server.addresses(),
            ]
        )
    assert code == 0
    return folder / "sdss.fits"


@pytest.fixture
def login(monkeypatch):
    monkeypatch.setenv(hsc.USER, USER)
    monkeypatch.setenv(hsc.PASSWORD, PASSWORD)


def build(server, sdss, out, survey, *more):
    return build_sample.main(
        [
            "--survey",
            survey,
            "--same-as",
            str(sdss),
            "--out",
            str(out),
            "--backoff",
            "0.01",
            "--timeout",
            "2.0",
            *server.addresses(),
            *more,
        ]
    )


def centroid(stamp, y, x):
    """Of the star near a position."""
    top, left = round(y) - 8, round(x) - 8
    part = np.clip(stamp[top : top + 17, left : left + 17] - 20, 0, None)
    found = scipy.ndimage.center_of_mass(part)
    return found[0] + top, found[1] + left


def assert_stars_are_where_they_should(sample, size):
    for stamp, y, x in zip(sample.images, sample.columns["centre_y"], sample.columns["centre_x"], strict=True):
        assert size // 2 <= min(y, x)
        assert max(y, x) < size // 2 + 1
        found = centroid(stamp, y, x)
        assert found == pytest.approx((y, x), abs=0.2)


def test_hsc_gives_the_same_galaxies_at_its_own_scale(universe, sdss, tmp_path, login, monkeypatch):
    monkeypatch.setattr("galjax.sources.surveys.hsc.POSITIONS_AT_ONCE", 10)
    archives = Archives(universe, service_faults={"/hsc/cgi-bin/cutout": Fault("truncated", 1)})
    outside = {round(g.ra, 3) for g in universe.galaxies[5:9]}
    archives.footprint = lambda ra, dec: round(ra, 3) not in outside
    with Server(archives) as server:
        assert build(server, sdss, tmp_path / "hsc.fits", "hsc-pdr3") == 0
    coarse, sample = GalaxySample.load(sdss), GalaxySample.load(tmp_path / "hsc.fits")
    assert sample.images.shape[1:] == (150, 150)
    assert sample.pixel_scale == 0.168
    assert abs(64 * coarse.pixel_scale / (150 * sample.pixel_scale) - 1) < 0.01
    missing = np.array([round(float(ra), 3) in outside for ra in coarse.columns["ra"]])
    np.testing.assert_array_equal(sample.ids, coarse.ids[~missing])
    np.testing.assert_array_equal(sample.labels, coarse.labels[~missing])
    assert len(sample) + len(sample.excluded) == len(coarse)
    assert all("no image of this position" in row.reason for row in sample.excluded)
    assert_stars_are_where_they_should(sample, 150)
    assert set(sample.columns["frame"]) == {"pdr3_wide/9813"}
    assert set(sample.columns["units"]) == {"counts, zero point 27.0 mag"}
    # The list that was sent: semi-sizes in degrees, in the documented order.
    head, line, *_ = archives.lists[0].splitlines()
    assert head == "#? rerun type filter tract ra dec sw sh image mask variance"
    cells = dict(zip(head[3:].split(), line.split(), strict=True))
    assert (cells["rerun"], cells["type"], cells["filter"], cells["image"]) == ("pdr3_wide", "coadd", "HSC-R", "true")
    assert float(cells["sw"]) == float(cells["sh"]) == pytest.approx((75 + hsc.SPARE) * 0.168 / 3600, abs=1e-8)
    # Nothing was written under a name that the archive gave.
    names = {path.name for path in tmp_path.rglob("*")}
    assert not any("escaped" in name or "cutout" in name for name in names)
    assert not list(tmp_path.parent.glob("escaped*"))


def test_the_password_is_in_no_file_log_or_message(universe, sdss, tmp_path, login, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    archives = Archives(universe, service_faults={"/hsc/cgi-bin/cutout": Fault("unavailable")})
    with Server(archives) as server:
        code = build(server, sdss, tmp_path / "hsc.fits", "hsc-pdr3", "--attempts", "2")
        assert code == 2
        archives.faults.by_path.clear()
        assert build(server, sdss, tmp_path / "hsc.fits", "hsc-pdr3", "--retry-failed", "--keep-frames") == 0
        assert PASSWORD not in " ".join(r.path for r in server.requests)
    captured = capfd.readouterr()
    for text in (captured.out, captured.err, caplog.text):
        assert PASSWORD not in text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        assert PASSWORD.encode() not in path.read_bytes()
        assert USER.encode() not in path.read_bytes()
    assert PASSWORD not in repr(build_sample.BuildSample())


def test_a_missing_or_wrong_login_gets_a_sentence(universe, sdss, tmp_path, monkeypatch, capsys):
    monkeypatch.delenv(hsc.USER, raising=False)
    monkeypatch.delenv(hsc.PASSWORD, raising=False)
    with Server(Archives(universe)) as server:
        assert build(server, sdss, tmp_path / "hsc.fits", "hsc-pdr3") == 2
        assert "set the environment variables SSP_PDR_USR and SSP_PDR_PWD" in capsys.readouterr().err
        monkeypatch.setenv(hsc.USER, USER)
        monkeypatch.setenv(hsc.PASSWORD, "another")
        assert build(server, sdss, tmp_path / "hsc.fits", "hsc-pdr3") == 2
    error = capsys.readouterr().err
    assert "refuses the login in SSP_PDR_USR and SSP_PDR_PWD" in error
    assert "another" not in error


def test_a_tar_that_ends_between_members_is_cut_off():
    whole = Archives(make_universe(fields=2, galaxies=4, shape=(600, 600), shares=Shares(faulty=0.0)))._tar(
        hsc.position_list(np.array([1.0, 2.0]), np.array([1.0, 2.0]), 16, "r").decode().splitlines()
    )
    assert sorted(hsc.read_answer(whole, 2)) == [0, 1]
    ends = [number for number in range(512, len(whole), 512) if whole[number:].startswith(b"arch-26")]
    assert len(ends) == 2
    for cut in (*ends, 512 * 7, 512 * 7 + 100, 10):
        with pytest.raises(BadContent, match="tar"):
            hsc.read_answer(whole[:cut], 2)
    with pytest.raises(BadContent, match="a member for line 3 of a list of 2"):
        hsc.read_answer(whole, 1)


def test_hips_without_a_login_and_with_its_caveat(universe, sdss, tmp_path):
    archives = Archives(universe)
    outside = {round(g.ra, 3) for g in universe.galaxies[5:9]}
    archives.footprint = lambda ra, dec: round(ra, 3) not in outside
    with Server(archives) as server:
        assert (
            build(
                server,
                sdss,
                tmp_path / "p.fits",
                "hips-panstarrs",
                "--hips-url",
                f"{server.url}/nowhere",
                f"{server.url}/hips",
            )
            == 0
        )
    coarse, sample = GalaxySample.load(sdss), GalaxySample.load(tmp_path / "p.fits")
    missing = np.array([round(float(ra), 3) in outside for ra in coarse.columns["ra"]])
    np.testing.assert_array_equal(sample.ids, coarse.ids[~missing])
    assert sample.images.shape[1] == 102  # the even number nearest to 64 * 0.396 / 0.25
    assert sample.pixel_scale == 0.25
    assert len(sample.excluded) == missing.sum() > 0
    assert all("blank: no pixel has a value (outside the survey's footprint?)" in r.reason for r in sample.excluded)
    assert_stars_are_where_they_should(sample, 102)
    assert sample.provenance["resampling"] == hips.CAVEAT
    assert "noise of neighbouring pixels is correlated" in hips.CAVEAT


def test_what_hips2fits_answers_besides_images():
    for content, reason in (
        (b'{"title": "Bad request"}', "an error message"),
        (b"<html>", "an HTML page"),
        (b"", "a damaged FITS file"),
    ):
        with pytest.raises(BadContent, match=reason):
            hips.read_answer(content, 16)


@pytest.mark.parametrize(
    ("survey", "size"), [("hsc-pdr3", 150), ("hips-hsc", 150), ("hips-sdss", 64), ("hips-legacy", 96)]
)
def test_sizes_cover_the_field_of_64_sdss_pixels(survey, size):
    assert build_sample.BuildSample(survey=survey).stamp_request().size == size


def test_bands_that_a_survey_has_not_get_a_sentence():
    with pytest.raises(InputError, match="has the bands g, r, i, z, not u"):
        build_sample.BuildSample(survey="hsc-pdr3", band="u")


def test_a_sample_without_positions_cannot_be_matched(tmp_path, capsys):
    make_sample().save(tmp_path / "other.fits")
    code = build_sample.main(
        ["--survey", "hips-hsc", "--same-as", str(tmp_path / "other.fits"), "--out", str(tmp_path / "h.fits")]
    )
    assert code == 2
    assert "other.fits has no positions (columns ra and dec)" in capsys.readouterr().err
