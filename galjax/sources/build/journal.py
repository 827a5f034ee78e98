"""What a build has done so far, on disk: whatever ends the program, it resumes from here.

An SQLite database with write-ahead log: a transaction is there whole or not at all, even after kill -9. (After a power cut
the last transactions may be gone; their files are then fetched again.)
"""

import contextlib
import dataclasses
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32

from galjax.errors import InputError
from galjax.sources.archives.skyserver import Spectrum

FORMAT = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS jobs (job TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stamps (galaxy INTEGER PRIMARY KEY, job TEXT NOT NULL, pixels BLOB NOT NULL, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
    galaxy INTEGER PRIMARY KEY, job TEXT NOT NULL, stage TEXT NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
    transient INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pages (page TEXT PRIMARY KEY, spectra TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclasses.dataclass(frozen=True)
class Stamp:
    """A galaxy that was cut out."""

    galaxy: int
    """Index into the list of galaxies."""
    pixels: Float32[np.ndarray, "size size"]
    facts: Mapping[str, float | str]
    """What the sample keeps of it besides the pixels."""


@dataclasses.dataclass(frozen=True)
class Failure:
    """A galaxy that was not."""

    galaxy: int
    stage: str
    reason: str
    attempts: int
    transient: bool
    """Whether a later try may succeed."""


class Counts(NamedTuple):
    """How far a build is."""

    stamps: int
    failures: int


class Journal:
    """The journal of one build; only one program may have it open. Use `open_journal`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def done(self) -> set[str]:
        """Jobs that need not be done again."""
        return {job for (job,) in self._connection.execute("SELECT job FROM jobs")}

    def counts(self) -> Counts:
        """Galaxies cut out and failed."""
        numbers = [self._connection.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in ("stamps", "failures")]
        return Counts(*numbers)

    def record(self, job: str, outcomes: Iterable[Stamp | Failure]) -> None:
        """Keep what became of every galaxy of a job, all together."""
        outcomes = list(outcomes)
        stamps = [
            (o.galaxy, job, np.ascontiguousarray(o.pixels, "<f4").tobytes(), json.dumps(dict(o.facts)))
            for o in outcomes
            if isinstance(o, Stamp)
        ]
        failures = [
            (o.galaxy, job, o.stage, o.reason, o.attempts, int(o.transient)) for o in outcomes if isinstance(o, Failure)
        ]
        with self._writing():
            self._connection.executemany("INSERT OR REPLACE INTO stamps VALUES (?, ?, ?, ?)", stamps)
            self._connection.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?, ?)", failures)
            self._connection.execute("INSERT OR REPLACE INTO jobs VALUES (?)", (job,))

    def forget(self, jobs: Iterable[str]) -> None:
        """Have jobs done again."""
        names = [(job,) for job in jobs]
        with self._writing():
            for table in ("stamps", "failures", "jobs"):
                self._connection.executemany(f"DELETE FROM {table} WHERE job = ?", names)

    def failed_jobs(self) -> list[str]:
        """Jobs with a failure that a later try may fix."""
        return [job for (job,) in self._connection.execute("SELECT DISTINCT job FROM failures WHERE transient = 1")]

    def stamps(self) -> Iterator[tuple[int, bytes, dict[str, Any]]]:
        """(galaxy, pixels as little-endian float32, facts) of every stamp, in the galaxies' order."""
        for galaxy, pixels, facts in self._connection.execute(
            "SELECT galaxy, pixels, facts FROM stamps ORDER BY galaxy"
        ):
            yield galaxy, pixels, json.loads(facts)

    def failures(self) -> list[Failure]:
        """In the galaxies' order."""
        rows = self._connection.execute(
            "SELECT galaxy, stage, reason, attempts, transient FROM failures ORDER BY galaxy"
        )
        return [
            Failure(galaxy, stage, reason, attempts, bool(transient))
            for galaxy, stage, reason, attempts, transient in rows
        ]

    def has_page(self, page: str) -> bool:
        """Whether the spectra of a page are kept."""
        return self._connection.execute("SELECT 1 FROM pages WHERE page = ?", (page,)).fetchone() is not None

    def record_page(self, page: str, spectra: list[Spectrum]) -> None:
        """Keep the spectra of a page."""
        with self._writing():
            self._connection.execute("INSERT OR REPLACE INTO pages VALUES (?, ?)", (page, json.dumps(spectra)))

    def spectra(self) -> list[Spectrum]:
        """Spectra of all pages."""
        pages = self._connection.execute("SELECT spectra FROM pages ORDER BY page")
        return [Spectrum(*row) for (text,) in pages for row in json.loads(text)]

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Remember what is built; raise InputError where something else was begun here, and name what differs.

        A build that has got nowhere yet does not count as begun.
        """
        known = dict(self._connection.execute("SELECT name, value FROM facts"))
        begun = self._connection.execute(
            "SELECT EXISTS (SELECT 1 FROM jobs) OR EXISTS (SELECT 1 FROM pages)"
        ).fetchone()[0]
        differences = [
            f"{name} was {known.get(name, 'not there')}, now {facts.get(name, 'not there')}"
            for name in sorted({*known, *facts})
            if known.get(name) != facts.get(name)
        ]
        if begun and differences:
            raise InputError(
                f"{self.path.parent} holds a build with another configuration: {'; '.join(differences)}. Give the same flags "
                f"to resume it, delete that folder to start anew, or give another --out."
            )
        with self._writing():
            self._connection.execute("DELETE FROM facts")
            self._connection.executemany("INSERT INTO facts VALUES (?, ?)", list(facts.items()))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._connection:
                yield
        except sqlite3.OperationalError as error:
            raise InputError(_cannot_write(self.path, error)) from error


@contextlib.contextmanager
def open_journal(folder: Path) -> Iterator[Journal]:
    """The journal in a build's folder, which is made where it is missing.

    Raises InputError where the folder cannot be made or written, the journal is damaged, of another version, or open in
    another program.
    """
    path = folder / "journal.sqlite"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {folder} ({error.strerror}). Give another --out.") from error
    connection = sqlite3.connect(path, timeout=0.5)
    try:
        try:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_TABLES)
            with connection:
                connection.execute("BEGIN EXCLUSIVE")
                (version,) = connection.execute("PRAGMA user_version").fetchone()
                if version == 0:
                    connection.execute(f"PRAGMA user_version = {FORMAT}")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise InputError(
                    f"Another program is building in {folder}. Wait for it, or give another --out."
                ) from error
            raise InputError(_cannot_write(path, error)) from error
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} is damaged ({error}). Delete the folder {folder} to start anew.") from error
        if version not in (0, FORMAT):
            raise InputError(f"{path} is of layout {version}, this version writes {FORMAT}. Give another --out.")
        yield Journal(path, connection)
    finally:
        connection.close()


def _cannot_write(path: Path, error: sqlite3.OperationalError) -> str:
    if "full" in str(error):
        return (
            f"The disk of {path.parent} is full. What was done so far is kept; make room and run the same command again to "
            f"resume."
        )
    return f"Cannot write {path} ({error}). Fix the permissions and run the same command again, or give another --out."
