import numpy as np
import pytest

from benchmarks.stand_in.faults import Fault
from benchmarks.stand_in.server import Server
from benchmarks.stand_in.services import Archives
from benchmarks.stand_in.universe import Shares, make_universe
from galjax.sources.archives import skyserver
from galjax.sources.archives.download import BadContent, Client, FetchFailed, Politeness
from galjax.sources.archives.skyserver import Page, Spectrum, fetch_page, match, pages, read_answer

PATH = "/skyserver/en/tools/search/x_results.aspx"
QUICK = Politeness(attempts=3, backoff=0.01, timeout=0.5)


@pytest.fixture(scope="module")
def universe():
    return make_universe(fields=30, galaxies=200, shape=(900, 900), shares=Shares(faulty=0.0))


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(skyserver, "QUERIES_APART", 0.0)


def fetch(server, page):
    return [s for _, part in fetch_page(Client(QUICK), f"{server.url}/skyserver", page) for s in part]


def test_every_galaxy_with_a_spectrum_gets_the_right_redshift(universe):
    ids, ra = (np.array([getattr(g, name) for g in universe.galaxies]) for name in ("id", "ra"))
    with Server(Archives(universe)) as server:
        spectra = [s for page in pages(ra) for s in fetch(server, page)]
    found = match(ids, spectra)
    for identifier, z, warning in zip(ids.tolist(), found.redshift, found.z_warning, strict=True):
        if identifier in universe.redshift:
            assert (z, warning) == (pytest.approx(universe.redshift[identifier]), 0)
        else:
            assert np.isnan(z)
            assert np.isnan(warning)
    several = {s[0] for s in universe.spectra if sum(t[0] == s[0] for t in universe.spectra) > 1}
    assert found.repeated == len(several) > 3


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", ["html", "unavailable", "cut-off", "empty", "closed", "truncated"])
def test_what_passes_is_asked_again(universe, kind, times):
    with Server(Archives(universe, service_faults={PATH: Fault(kind, times)})) as server:
        spectra = fetch(server, Page(0.0, 3.0))
    assert len(spectra) == len({s for s in universe.spectra if s[0] in {g.id for g in universe.galaxies if g.ra < 3}})


def test_a_page_of_html_is_never_taken_for_a_table(universe):
    with (
        Server(Archives(universe, service_faults={PATH: Fault("html")})) as server,
        pytest.raises(FetchFailed, match="an HTML page in place of the table"),
    ):
        fetch(server, Page(0.0, 3.0))


def test_a_page_with_too_many_rows_is_asked_for_in_halves(universe, monkeypatch):
    monkeypatch.setattr(skyserver, "MOST_ROWS", 20)
    archives = Archives(universe)
    with Server(archives) as server:
        spectra = fetch(server, Page(0.0, 10.0))
    assert len(archives.queries) > 5
    assert all("SELECT TOP 20 " in query for query in archives.queries)
    assert sorted(spectra) == sorted(Spectrum(*row) for row in universe.spectra)


def test_a_page_that_takes_too_long_is_asked_for_in_halves(universe):
    with Server(Archives(universe, service_faults={PATH: Fault("stalled", 3)})) as server:
        assert len(fetch(server, Page(0.0, 10.0))) == len(universe.spectra)


def test_pages_hold_every_position_once_or_more_and_leave_gaps_out(monkeypatch):
    monkeypatch.setattr(skyserver, "GALAXIES_PER_PAGE", 50)
    ra = np.concatenate([np.random.default_rng(0).uniform(0, 30, 400), np.random.default_rng(1).uniform(200, 201, 10)])
    found = pages(ra)
    inside = [(ra.astype(np.float32) >= page.low) & (ra.astype(np.float32) < page.high) for page in found]
    assert np.any(inside, axis=0).all()
    assert max(mask.sum() for mask in inside) <= 52
    assert not any(page.low < 100 < page.high for page in found)
    assert pages(np.array([])) == []


def test_the_rule_for_several_spectra():
    rows = [
        Spectrum(7, 5, 0.5, 1e-5, 4, "GALAXY"),
        Spectrum(7, 4, 0.4, 1e-6, 0, "STAR"),
        Spectrum(7, 3, 0.3, 2e-4, 0, "GALAXY"),
        Spectrum(7, 2, 0.2, 1e-4, 0, "GALAXY"),
        Spectrum(7, 1, 0.1, -1.0, 0, "GALAXY"),
        Spectrum(7, 0, 0.15, 1e-4, 0, "GALAXY"),
    ]
    for order in (rows, rows[::-1]):
        found = match([7, 8], order)
        np.testing.assert_array_equal(found.redshift, [0.15, np.nan])
        assert found.repeated == 1
    assert match([7], rows[:2]).redshift == 0.5


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "without the columns"),
        (b"<html>", "an HTML page"),
        (b'[{"error_message": "timeout"}]', "an error message"),
        (b"#Table1\nobjid,z\n1,2\n", "without the columns"),
        (b"#Table1\ndr7objid,specobjid,z,zerr,zwarning,class\n1,2,0.1,1e-4", "cut off"),
        (b"#Table1\ndr7objid,specobjid,z,zerr,zwarning,class\n1,2,0.1\n", "a damaged row"),
        (b"\xff\xfe\xfa", "not text"),
    ],
)
def test_answers_that_are_no_table(content, reason):
    with pytest.raises(BadContent, match=reason):
        read_answer(content)


def test_an_empty_table_is_an_answer():
    assert read_answer(b"#Table1\ndr7objid,specobjid,z,zerr,zwarning,class\n") == []
