import gzip
import hashlib

import pytest

from benchmarks.stand_in.faults import Fault
from benchmarks.stand_in.server import Server
from benchmarks.stand_in.services import Archives
from benchmarks.stand_in.universe import Shares, make_universe
from galjax import InputError
from galjax.sources.archives import galaxy_zoo_tables
from galjax.sources.archives.download import Client, Politeness
from galjax.sources.archives.galaxy_zoo_tables import fetch_table2
from galjax.sources.surveys.galaxy_zoo import read_table2

NAME = "GalaxyZoo1_DR_table2.csv.gz"
ONE, TWO = f"/gz1/{NAME}", f"/gz1-mirror/{NAME}"


@pytest.fixture(scope="module")
def universe():
    return make_universe(fields=4, galaxies=8, shape=(340, 460), shares=Shares(faulty=0.0))


def fetch(universe, path, faults):
    notes = []
    with Server(Archives(universe, service_faults=faults)) as server:
        bases = [f"{server.url}/gz1", f"{server.url}/gz1-mirror"]
        fetch_table2(Client(Politeness(attempts=2, backoff=0.01, timeout=5.0)), bases, path, notes.append)
        return notes, [r.path for r in server.requests]


def test_the_first_mirror_that_has_it(universe, tmp_path):
    notes, asked = fetch(universe, tmp_path / NAME, {})
    assert asked == [ONE]
    assert len(read_table2(tmp_path / NAME)) == 8
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    assert "Fetched" in notes[0]


@pytest.mark.parametrize("kind", ["missing", "html", "truncated", "corrupt", "unavailable", "empty"])
def test_a_mirror_that_fails_is_followed_by_the_next(universe, tmp_path, kind):
    notes, asked = fetch(universe, tmp_path / NAME, {ONE: Fault(kind)})
    assert TWO in asked
    assert "gz1-mirror" in notes[0]
    assert len(read_table2(tmp_path / NAME)) == 8


def test_an_unknown_checksum_is_a_warning(universe, tmp_path, monkeypatch):
    notes, _ = fetch(universe, tmp_path / NAME, {})
    assert notes[1].startswith("Warning: the checksum of GalaxyZoo1_DR_table2.csv.gz is")
    assert (tmp_path / NAME).exists()
    monkeypatch.setitem(galaxy_zoo_tables.SHA256, NAME, hashlib.sha256(universe.catalogue()).hexdigest())
    notes, _ = fetch(universe, tmp_path / NAME, {})
    assert len(notes) == 1


def test_no_mirror_or_no_such_table_is_a_sentence_and_leaves_no_file(universe, tmp_path):
    with pytest.raises(InputError, match=r"gz1: HTTP 404 \(not found\); .*gz1-mirror: an HTML page"):
        fetch(universe, tmp_path / NAME, {ONE: Fault("missing"), TWO: Fault("html")})
    with pytest.raises(InputError, match=r"one of the names GalaxyZoo1_DR_table2\.csv\.gz,"):
        fetch(universe, tmp_path / "mine.csv", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "content", "right"),
    [
        ("GalaxyZoo1_DR_table2.csv.gz", gzip.compress(b"OBJID,RA\n", mtime=0), True),
        ("GalaxyZoo1_DR_table2.csv.gz", gzip.compress(b"something else", mtime=0), False),
        ("GalaxyZoo1_DR_table2.fits", b"SIMPLE  =", True),
        ("GalaxyZoo1_DR_table2.fits", b"\x1f\x8bnot FITS", False),
        ("GalaxyZoo1_DR_table2.vot.gz", gzip.compress(b"<?xml version='1.0'?><VOTABLE>", mtime=0), True),
        ("GalaxyZoo1_DR_table2.vot.gz", gzip.compress(b"<?xml version='1.0'?><other>", mtime=0), False),
    ],
)
def test_what_comes_must_be_the_table(name, content, right):
    if right:
        assert galaxy_zoo_tables._checked(content, name) == content
    else:
        with pytest.raises(galaxy_zoo_tables.BadContent):
            galaxy_zoo_tables._checked(content, name)
