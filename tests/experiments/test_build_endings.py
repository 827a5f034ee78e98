"""Builds that are killed, interrupted, short of disk, or without an archive that answers."""

import errno
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.table import Table

from benchmarks.stand_in.faults import Fault
from benchmarks.stand_in.frames import Field
from benchmarks.stand_in.server import Server
from benchmarks.stand_in.services import Archives
from benchmarks.stand_in.universe import Galaxy, Shares, Universe, make_universe
from experiments import build_sample
from galjax import GalaxySample
from galjax.io.whole_files import write_whole
from galjax.sources.archives import check, skyserver
from galjax.sources.build import survey
from tests.experiments.building import ATTEMPTS, NAME, QUICK, ROOT, SHAPE, flags, run


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(skyserver, "QUERIES_APART", 0.0)


@pytest.fixture(scope="module")
def calm():
    """No faults."""
    made = make_universe(fields=24, galaxies=36, shape=SHAPE, shares=Shares(faulty=0.0), seed=5)
    for number in range(len(made.fields)):
        made.file(made.sas_path(number))
    return made.make_frames()


@pytest.fixture(scope="module")
def small():
    return make_universe(fields=36, galaxies=60, shape=SHAPE, shares=Shares(faulty=0.3), seed=5).make_frames()


def slow_archives(universe):
    """As the others, but an answer takes its time, so that a build can be ended in its midst."""
    archives = Archives(universe)
    answer = archives.answer

    def slowly(handler, path):
        time.sleep(0.06)
        return answer(handler, path)

    archives.answer = slowly
    return archives


def test_killed_and_interrupted_it_goes_on_and_gives_the_same_bytes(small, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / NAME).write_bytes(small.catalogue())
    with Server(Archives(small), stall_seconds=3) as server:
        assert run(tmp_path / "one", server) == 0
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    out = tmp_path / "two"
    with Server(slow_archives(small), stall_seconds=3) as server:
        done_with: set[str] = set()
        for signal_number, target in ((signal.SIGKILL, 12), (signal.SIGINT, 26)):
            started = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "experiments.build_sample", *flags(out, server)],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            while len({r.path for r in server.requests}) < target and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal_number)
            _, error = process.communicate(timeout=600)
            assert process.returncode == (130 if signal_number == signal.SIGINT else -signal.SIGKILL), error
            if signal_number == signal.SIGINT:
                assert error.strip() == "Stopped by SIGINT. Nothing is lost: run the same command again to resume."
            assert not asked_since(server, started) & done_with, "frames were fetched twice"
            done_with = finished(out, small)
            assert done_with
        started = time.monotonic()
        assert run(out, server) == 0
        assert not asked_since(server, started) & done_with, "frames were fetched twice"
    assert (out / "sdss.fits").read_bytes() == (tmp_path / "one" / "sdss.fits").read_bytes()
    one, two = (Table.read(tmp_path / name / "failures.ecsv") for name in ("one", "two"))
    for column in ("id", "stage", "reason"):  # attempts are those of the program that was not ended
        assert one[column].tolist() == two[column].tolist()


def asked_since(server, moment):
    """Paths of requests that came after the moment."""
    with server.lock:
        return {request.path for request in server.requests if request.arrived >= moment}


def finished(folder, universe):
    """Paths of frames that are whole on disk, or whose galaxies are recorded, and which must not be asked for again.

    A file on disk may also be half a frame, or a page in its place, as the archive sent it just before the program was
    killed: that one is found bad, and rightly asked for again.
    """
    build = folder / "sdss.fits.build"
    connection = sqlite3.connect(build / "journal.sqlite")
    done = {job for (job,) in connection.execute("SELECT job FROM jobs")}
    connection.close()
    paths = set()
    for number, field in enumerate(universe.fields):
        for archive, path in (("das", universe.das_path(number)), ("sas", universe.sas_path(number))):
            key = f"{field.run}-{field.rerun}-{field.camcol}-{field.field}"
            file = build / "frames" / archive / path.rsplit("/", 1)[-1]
            if key in done or (file.is_file() and file.read_bytes() == universe.file(path)):
                paths.add(f"/{path}")
    return paths


@pytest.fixture
def folder(tmp_path, calm):
    (tmp_path / NAME).write_bytes(calm.catalogue())
    return tmp_path


def test_a_full_disk_is_a_sentence_and_the_build_goes_on(calm, folder, monkeypatch, capsys):
    written = []

    def write(path, content):
        written.append(path)
        if len(written) == 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, content)

    with Server(Archives(calm)) as server:
        monkeypatch.setattr(survey, "write_whole", write)
        assert run(folder, server) == 2
        error = capsys.readouterr().err
        assert re.search(r"The disk of .*sdss\.fits\.build is full\. What was done so far is kept", error)
        assert not (folder / "sdss.fits").exists()
        assert run(folder, server) == 0
    assert len(GalaxySample.load(folder / "sdss.fits")) > 25


def test_an_outage_is_a_sentence_and_not_thousands_of_failures(calm, folder, capsys):
    archives = Archives(calm)
    with Server(archives) as server:
        down = [Fault("unavailable")] * len(calm.fields)
        archives.faults.by_path = {f"/{calm.das_path(n)}": fault for n, fault in enumerate(down)}
        assert run(folder, server, "--archive", "das") == 2
        assert "the archive seems to be down" in capsys.readouterr().err
        assert len(server.requests) < 30 * ATTEMPTS
        archives.faults.by_path = {}
        assert run(folder, server, "--archive", "das") == 0
    sample = GalaxySample.load(folder / "sdss.fits")
    off_edge = sum(galaxy.off_edge for galaxy in calm.galaxies)
    assert len(sample) == len(calm.galaxies) - off_edge


def test_auto_goes_to_the_other_archive_when_one_is_down(calm, folder):
    archives = Archives(calm)
    with Server(archives) as server:
        archives.faults.by_path = {f"/{calm.das_path(n)}": Fault("closed") for n in range(len(calm.fields))}
        assert run(folder, server, "--keep-frames") == 0
        asked = sum(r.path.startswith("/das") for r in server.requests)
    # After a few frames the archive that is down is no longer asked.
    assert asked <= 14 * ATTEMPTS < len(calm.fields) * ATTEMPTS
    sample = GalaxySample.load(folder / "sdss.fits")
    assert set(sample.columns["archive"]) == {"sas"}
    kept = [path.name for path in (folder / "sdss.fits.build" / "frames").rglob("*.bz2")]
    assert len(kept) == len(calm.fields)


def test_a_damaged_frame_on_disk_is_not_served_again(calm, folder):
    with Server(Archives(calm)) as server:
        frames = folder / "sdss.fits.build" / "frames" / "das"
        frames.mkdir(parents=True)
        path = calm.das_path(3)
        (frames / path.rsplit("/", 1)[-1]).write_bytes(b"<html>Down for maintenance</html>")
        assert run(folder, server) == 0
        assert server.count(re.escape(path))[f"/{path}"] >= 1  # more where a busy machine lets a request time out


def test_nanomaggies_need_the_archive_that_has_them(calm, folder, capsys):
    with Server(Archives(calm)) as server:
        assert run(folder, server, "--units", "nanomaggies") == 2
        assert "--units nanomaggies needs --archive sas" in capsys.readouterr().err
        assert run(folder, server, "--units", "nanomaggies", "--archive", "sas", "--rows", "20") == 0
    sample = GalaxySample.load(folder / "sdss.fits")
    assert set(sample.columns["units"]) == {"nanomaggies"}
    assert sample.columns["sky"].max() < 391 * 0.005
    assert "nanomaggies" in sample.provenance["units"]


def test_a_table_of_redshifts(calm, folder, capsys):
    rows = "\n".join(f"{identifier},{z}" for identifier, z in calm.redshift.items())
    (folder / "z.csv").write_text(f"objid,z\n{rows}\n")
    with Server(Archives(calm)) as server:
        assert run(folder, server, "--redshifts", str(folder / "z.csv")) == 0
        assert run(folder, server, "--redshifts", str(folder / "no.csv")) == 2
        assert "another configuration: redshifts was" in capsys.readouterr().err
    sample = GalaxySample.load(folder / "sdss.fits")
    np.testing.assert_array_equal(sample.redshift, [calm.redshift.get(i, np.nan) for i in sample.ids.tolist()])


def test_skyserver_down_is_a_sentence(calm, folder, capsys):
    archives = Archives(calm, service_faults={"/skyserver/en/tools/search/x_results.aspx": Fault("html")})
    with Server(archives) as server:
        assert run(folder, server, "--redshifts", "skyserver") == 2
    error = capsys.readouterr().err
    assert "does not give redshifts: an HTML page in place of the table, after 3 tries" in error
    assert "--redshifts none or a table" in error


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--rows", "0"], "--rows must be at least 1"),
        (["--size", "4"], "--size must lie in 8..1024"),
        (["--out", "sample.txt"], "ends in .fits"),
        (["--das-url", "das.sdss.org"], "--das-url takes addresses such as https://host/path"),
        (["--hsc-url", "http://hsc.example"], "--hsc-url must be https, since a login is sent there"),
        (["--hsc-url", "https://me:secret@hsc.example"], "--hsc-url must not hold a name or password"),
        (["--catalogue", "absent.csv"], "There is no catalogue absent.csv"),
        (["--same-as", "absent.fits"], "There is no sample file absent.fits"),
    ],
)
def test_what_cannot_be_used_gets_a_sentence(given, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert build_sample.main(given) == 2
    error = capsys.readouterr().err
    assert sentence in error
    assert "secret@" not in error or "must not hold" in error


def test_the_failures_of_another_sample_are_not_overwritten(calm, folder, capsys):
    Table({"id": ["1"]}, meta={"sample": "other.fits"}).write(folder / "failures.ecsv")
    with Server(Archives(calm)) as server:
        assert run(folder, server) == 2
        assert "lists the failures of other.fits, not of sdss.fits" in capsys.readouterr().err
        assert run(folder, server, "--rows", "20", "--failures", str(folder / "mine.ecsv")) == 0
    assert Table.read(folder / "mine.ecsv").meta["sample"] == "sdss.fits"


def test_a_catalogue_that_no_mirror_has(tmp_path, calm, capsys):
    faults = {f"/{mirror}/{NAME}": Fault("missing") for mirror in ("gz1", "gz1-mirror")}
    with Server(Archives(calm, service_faults=faults)) as server:
        assert run(tmp_path, server) == 2
    assert re.search(
        r"could not be fetched: .*gz1: HTTP 404 \(not found\); .*gz1-mirror: HTTP 404", capsys.readouterr().err
    )


def test_check_says_which_archives_are_up(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.delenv("SSP_PDR_USR", raising=False)
    field = Field(1729, 40, 3, 83, 0.0017, -10.37, 130.0, declination_first=False, sky_card=True, shape=(300, 400))
    galaxy = Galaxy(check.KNOWN_ID, 0, 100.0, 100.0, check.KNOWN_RA, check.KNOWN_DEC, 2, False, False)
    spectra = [(check.KNOWN_ID, 1, 0.0912, 1e-4, 0, "GALAXY")]
    archives = Archives(Universe([field], [galaxy], [[]], {}, set(), [], spectra, {}))
    with Server(archives) as server:
        assert build_sample.main(["--check", *QUICK, *server.addresses()]) == 0
        shown = capsys.readouterr().out
        assert "7 of 7 are up" in shown
        assert "redshift of 587727178986356823 is 0.0912" in shown
        assert "has the frame of run 1729, camcol 3, field 83" in shown
        assert "asks for a login" in shown
        archives.faults.by_path = {
            f"/{archives.universe.das_path(0)}": Fault("unavailable"),
            "/hips": Fault("html"),
        }
        assert build_sample.main(["--check", *QUICK, *server.addresses()]) == build_sample.SOME_DOWN
    shown = capsys.readouterr().out
    assert "5 of 7 are up" in shown
    assert "HTTP 503" in shown
    assert "an HTML page" in shown
