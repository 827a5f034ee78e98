"""The whole chain from a catalogue to a sample, against the stand-in archives and every fault."""

import collections
import shlex
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage
from astropy.table import Table

from benchmarks.stand_in import frames
from benchmarks.stand_in.faults import LASTING, PASSING
from benchmarks.stand_in.server import Server
from benchmarks.stand_in.services import Archives, every_service_fault
from benchmarks.stand_in.universe import Shares, make_universe
from experiments import build_sample
from galjax import GalaxySample
from galjax.sources.archives import skyserver
from tests.experiments.building import ATTEMPTS, NAME, QUICK, SHAPE


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(skyserver, "QUERIES_APART", 0.0)


@pytest.fixture(scope="module")
def universe():
    """Every fault, passing and lasting, and of the lasting ones each with and without a frame in the other archive."""
    made = make_universe(fields=110, galaxies=180, shape=SHAPE, shares=Shares(faulty=0.52), seed=3)
    kinds = collections.Counter((f.kind, f.times < ATTEMPTS) for f in made.faults.values())
    assert {kind for kind, passing in kinds if passing} == set(PASSING) - {"cached"}
    assert {kind for kind, passing in kinds if not passing} == set(LASTING) | {"cached"}
    return made.make_frames()


class Chain:
    """A build with every fault, and what the server saw."""

    def __init__(self, universe, folder, *flags):
        self.out = folder / "sdss.fits"
        archives = Archives(universe, service_faults=every_service_fault())
        with Server(archives, stall_seconds=3) as server:
            self.code = build_sample.main(
                [
                    "--catalogue",
                    str(folder / NAME),
                    "--out",
                    str(self.out),
                    *QUICK,
                    *server.addresses(),
                    *flags,
                ]
            )
            self.requests = list(server.requests)
        self.sample = GalaxySample.load(self.out)
        self.failures = Table.read(folder / "failures.ecsv")


@pytest.fixture(scope="module")
def chain(universe, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(skyserver, "QUERIES_APART", 0.0)
        return Chain(universe, tmp_path_factory.mktemp("chain"))


def test_counts_in_are_cut_outs_and_failures(chain, universe):
    assert chain.code == 0
    assert len(chain.sample) + len(chain.failures) == universe.rows()
    assert int(chain.sample.provenance["catalogue rows"]) == universe.rows()
    assert chain.failures.colnames == ["id", "stage", "reason", "attempts"]
    assert len(chain.sample.excluded) == len(chain.failures)


def test_every_galaxy_is_where_the_truth_says_and_failures_say_why(chain, universe):
    truth = universe.expected(attempts=ATTEMPTS)
    archives = dict(zip(map(str, chain.sample.ids.tolist()), chain.sample.columns["archive"].tolist(), strict=True))
    reasons = {str(row["id"]): row["reason"] for row in chain.failures}
    for identifier, expected in truth.items():
        if expected in ("das", "sas"):
            assert archives[identifier] == expected
        else:
            assert expected in reasons[identifier]
    counts = collections.Counter(archives.values())
    assert min(counts["das"], counts["sas"]) > 10
    assert len(archives) + len(reasons) == len(truth) + 1  # one bad row has no readable id
    assert set(chain.failures["stage"]) == {"catalogue", "fetch", "cut-out"}


def test_labels_redshifts_and_positions_are_the_catalogue_s(chain, universe):
    by_id = {galaxy.id: galaxy for galaxy in universe.galaxies}
    ids = chain.sample.ids.tolist()
    assert chain.sample.class_names == ("spiral", "elliptical", "uncertain")
    assert chain.sample.labels.tolist() == [by_id[i].label for i in ids]
    np.testing.assert_array_equal(chain.sample.redshift, [universe.redshift.get(i, np.nan) for i in ids])
    unmatched = sum(galaxy.id not in universe.redshift for galaxy in universe.galaxies)
    assert chain.sample.provenance["redshifts unmatched"] == str(unmatched)
    # The table gives positions to 0.15 and 0.1 arcsec.
    np.testing.assert_allclose(chain.sample.columns["dec"], [by_id[i].dec for i in ids], atol=0.06 / 3600)
    np.testing.assert_allclose(chain.sample.columns["ra"], [by_id[i].ra for i in ids], atol=0.08 / 3600)


def test_stars_planted_at_the_catalogue_s_positions_are_right_of_and_below_the_middle(chain, universe):
    stars = {galaxy.id for galaxy in universe.galaxies if galaxy.is_star}
    seen = 0
    for number, identifier in enumerate(chain.sample.ids.tolist()):
        if identifier not in stars:
            continue
        seen += 1
        centre = [float(chain.sample.columns[name][number]) for name in ("centre_y", "centre_x")]
        stamp = np.clip(chain.sample.images[number] - 60, 0, None)
        found = np.array(scipy.ndimage.center_of_mass(stamp[24:42, 24:42])) + 24
        assert np.abs(found - centre).max() < 0.5
        assert min(centre) >= 32
        assert max(centre) < 33
        assert found.min() > 31.5  # the middle of 64 pixels
    assert seen > 20


def test_the_sample_keeps_frame_centre_sky_and_units(chain, universe):
    columns, by_id = chain.sample.columns, {galaxy.id: galaxy for galaxy in universe.galaxies}
    for number, identifier in enumerate(chain.sample.ids.tolist()):
        galaxy = by_id[identifier]
        field = universe.fields[galaxy.field]
        path = (
            universe.das_path(galaxy.field) if columns["archive"][number] == "das" else universe.sas_path(galaxy.field)
        )
        assert f"{columns['archive'][number]}/{columns['frame'][number]}" == path
        assert columns["frame_y"][number] == pytest.approx(galaxy.y, abs=0.4)
        assert columns["frame_x"][number] == pytest.approx(galaxy.x, abs=0.4)
        assert columns["sky"][number] == pytest.approx(field.sky, abs=0.5)
        assert columns["units"][number] == "counts"
        expected = "pipeline" if columns["archive"][number] == "sas" else "header" if field.sky_card else "measured"
        assert columns["sky_from"][number] == expected
    assert "SOFTBIAS" in chain.sample.provenance["sky"]
    assert chain.sample.provenance["cutout"] == "int"
    assert chain.sample.pixel_scale == 0.396
    # Sky is off: the median of all stamps' frames is near zero, whatever archive they came from.
    border = np.concatenate([chain.sample.images[:, :4].ravel(), chain.sample.images[:, -4:].ravel()])
    assert abs(np.median(border)) < 1


def test_no_stamp_is_partial_or_of_another_field(chain, universe):
    """Each stamp equals the truth's frame at the truth's place, up to the noise that both archives share."""
    by_id = {galaxy.id: galaxy for galaxy in universe.galaxies}
    for number in range(0, len(chain.sample), 9):
        galaxy = by_id[int(chain.sample.ids[number])]
        field = universe.fields[galaxy.field]
        counts = frames.counts_of(field, universe.lights[galaxy.field], galaxy.field % 2) - 1000 - field.sky
        top, left = (int(chain.sample.columns[f"frame_{a}"][number]) - 32 for a in "yx")
        np.testing.assert_allclose(chain.sample.images[number], counts[top : top + 64, left : left + 64], atol=0.7)


def test_every_frame_is_fetched_once_and_deleted(chain, universe):
    whole = collections.Counter(
        r.path
        for r in chain.requests
        if r.whole and r.status == 200 and not r.fault and r.path.startswith(("/das/", "/sas/"))
    )
    assert len(whole) > 90
    assert max(whole.values()) == 1
    assert [path.name for path in (chain.out.parent / "sdss.fits.build").iterdir()] == ["journal.sqlite"]
    assert (chain.out.parent / NAME).exists()


def test_attempts_are_counted(chain):
    for row in chain.failures:
        if row["stage"] == "catalogue":
            assert row["attempts"] == 0
        if "das: HTTP 404 (not found); sas: HTTP 404" in row["reason"]:
            assert row["attempts"] == 2
        if "das: HTTP 503 (Service Unavailable); sas: HTTP 404" in row["reason"]:
            assert row["attempts"] == ATTEMPTS + 1


def test_the_same_command_again_asks_nothing_and_gives_the_same_bytes(chain, universe):
    before = chain.out.read_bytes()
    with Server(Archives(universe)) as server:
        again = ["--catalogue", str(chain.out.parent / NAME), "--out", str(chain.out), *QUICK, *server.addresses()]
        assert build_sample.main(again) == 0
        assert server.requests == []
        assert chain.out.read_bytes() == before
        # Mended archives: what failed for reasons that may pass is tried again.
        assert build_sample.main([*again, "--retry-failed"]) == 0
        archives = server.archive
        archives.faults.by_path.clear()
        assert build_sample.main([*again, "--retry-failed"]) == 0
    assert len(GalaxySample.load(chain.out)) > len(chain.sample)


def test_the_recipe_is_understood(monkeypatch):
    understood = []
    monkeypatch.setattr(build_sample, "run", lambda config, console: understood.append(config) or 0)
    lines = [line.split("#")[0] for line in build_sample.__doc__.splitlines() if "python -m" in line]
    assert len(lines) == 4
    for line in lines:
        assert build_sample.main(shlex.split(line)[3:]) == 0
    assert understood[0].check
    assert (understood[1].rows, understood[1].out) == (15000, Path("sdss.fits"))
