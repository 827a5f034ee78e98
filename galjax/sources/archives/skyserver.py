"""Spectroscopic redshifts of Galaxy Zoo 1 galaxies from SkyServer, by SQL in pages.

SkyServer's table zooSpec holds Galaxy Zoo 1 Table 2 with the DR7 object id of each galaxy and the spectrum that belongs to it
(schema/sql/GalaxyZooTables.sql of its loader). A query is asked as `BASE/en/tools/search/x_results.aspx?searchtool=SQL&
cmd=...&format=csv`, GET. Its limits are those of the DR8 help pages: 60 queries a minute, 600 s, 500,000 rows.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from galjax.sources.archives.addresses import join
from galjax.sources.archives.download import BadContent, Client, FetchFailed, Request

COLUMNS = ("dr7objid", "specobjid", "z", "zerr", "zwarning", "class")
QUERIES_APART = 1.05
"""Seconds between two queries: 60 a minute are allowed."""
MOST_ROWS = 100_000
"""That a page may have: the lowest of the servers' limits (DR7). A page that has as many is asked for again in halves."""
GALAXIES_PER_PAGE = 5_000
WIDEST_PAGE = 15.0
"""Degrees of right ascension that a page may span."""
MARGIN = 1e-3
"""Degrees added to a page on both sides: zooSpec.ra is a 32-bit float, rounded to 3e-5 at 360 degrees."""
RULE = (
    "of several spectra of one galaxy: class GALAXY first, then zWarning 0, then the least zErr above 0, then the least "
    "specObjID"
)


class Spectrum(NamedTuple):
    """One row of the answer."""

    dr7objid: int
    specobjid: int
    z: float
    z_error: float
    z_warning: int
    kind: str


class Page(NamedTuple):
    """A range of right ascension, degrees; the lower bound is part of it."""

    low: float
    high: float

    @property
    def key(self) -> str:
        """Name of the page in the journal."""
        return f"{self.low:.6f}-{self.high:.6f}"


def pages(ra: Float64[np.ndarray, " galaxy"]) -> list[Page]:
    """Ranges that hold all positions, with few enough galaxies in each; gaps are left out."""
    found: list[Page] = []
    ordered = np.unique(ra)
    start = 0
    while start < len(ordered):
        stop = start + 1
        while (
            stop < len(ordered)
            and stop - start < GALAXIES_PER_PAGE
            and ordered[stop] - ordered[start] < WIDEST_PAGE
            and ordered[stop] - ordered[stop - 1] < 1.0
        ):
            stop += 1
        found.append(Page(float(ordered[start]) - MARGIN, float(ordered[stop - 1]) + MARGIN))
        start = stop
    return found


def query(page: Page) -> str:
    """The SQL of a page; an answer of MOST_ROWS rows may have lost some."""
    return (
        f"SELECT TOP {MOST_ROWS} z.dr7objid, s.specObjID AS specobjid, s.z, s.zErr AS zerr, s.zWarning AS zwarning, s.class "
        f"FROM zooSpec AS z JOIN SpecObjAll AS s ON s.specObjID = z.specobjid "
        f"WHERE z.ra >= {page.low:.6f} AND z.ra < {page.high:.6f}"
    )


def fetch_page(client: Client, base: str, page: Page) -> Iterator[tuple[Page, list[Spectrum]]]:
    """The spectra of a page; of its halves where it has too many rows or takes the server too long.

    Raises FetchFailed where the server does not give an answer even so.
    """
    url = join(base, "en/tools/search/x_results.aspx")
    params = {"searchtool": "SQL", "TaskName": "Skyserver.Search.SQL", "cmd": query(page), "format": "csv"}
    try:
        rows = client.fetch(Request(url, params, interval=QUERIES_APART), read_answer).value
        overflow = len(rows) >= MOST_ROWS
    except FetchFailed as failure:
        too_long = "stalled" in failure.reason or failure.status in (500, 504)
        if not too_long or page.high - page.low < 0.5:
            raise
        overflow = True
    if not overflow:
        yield page, rows
        return
    middle = (page.low + page.high) / 2
    yield from fetch_page(client, base, Page(page.low, middle))
    yield from fetch_page(client, base, Page(middle, page.high))


def read_answer(content: bytes) -> list[Spectrum]:
    """The rows of a CSV answer, whose first line may be `#Table1`. Raises BadContent for anything else.

    SkyServer answers an error, or that it is down for maintenance, with a page of status 200.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadContent("not text") from error
    if "<html" in text[:2000].lower() or text.lstrip()[:1] == "<":
        raise BadContent("an HTML page in place of the table")
    if "error_message" in text[:2000].lower():
        raise BadContent("an error message of the database in place of the table")
    lines = [line for line in csv.reader(io.StringIO(text)) if line and not line[0].startswith("#")]
    if not lines or tuple(name.strip().lower() for name in lines[0]) != COLUMNS:
        raise BadContent(f"a table without the columns {', '.join(COLUMNS)}")
    if not text.endswith("\n"):
        raise BadContent("a table that is cut off")
    try:
        return [
            Spectrum(int(line[0]), int(line[1]), float(line[2]), float(line[3]), int(line[4]), line[5].strip())
            for line in lines[1:]
        ]
    except (ValueError, IndexError) as error:
        raise BadContent("a table with a damaged row") from error


class Redshifts(NamedTuple):
    """Redshifts in the galaxies' order."""

    redshift: Float64[np.ndarray, " galaxy"]
    """NaN where no spectrum was found."""
    z_warning: Float64[np.ndarray, " galaxy"]
    """The pipeline's warning flags, 0 for none; NaN where no spectrum was found."""
    repeated: int
    """Galaxies with several spectra."""


def match(ids: Sequence[int] | np.ndarray, spectra: Sequence[Spectrum]) -> Redshifts:
    """The redshift of every id, by the DR7 id; see RULE for galaxies with several spectra."""
    best: dict[int, Spectrum] = {}
    several: set[int] = set()
    wanted = {int(i) for i in ids}
    for spectrum in set(spectra):
        if spectrum.dr7objid not in wanted:
            continue
        other = best.setdefault(spectrum.dr7objid, spectrum)
        if other is not spectrum:
            several.add(spectrum.dr7objid)
            best[spectrum.dr7objid] = min(other, spectrum, key=_preference)
    chosen = [best.get(int(i)) for i in ids]
    return Redshifts(
        np.array([spectrum.z if spectrum else np.nan for spectrum in chosen], np.float64),
        np.array([spectrum.z_warning if spectrum else np.nan for spectrum in chosen], np.float64),
        len(several),
    )


def _preference(spectrum: Spectrum) -> tuple[bool, bool, float, int]:
    error = spectrum.z_error if spectrum.z_error > 0 else np.inf
    return spectrum.kind != "GALAXY", spectrum.z_warning != 0, error, spectrum.specobjid
