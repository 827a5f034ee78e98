"""From a list of galaxies to a sample: all jobs of a survey, side by side, each kept as soon as it is done."""

import contextlib
import dataclasses
import errno
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from astropy.table import Table

from galjax.errors import InputError
from galjax.sample import Exclusion, GalaxySample
from galjax.sources.archives.skyserver import Redshifts
from galjax.sources.download import Client, Stop, Stopped
from galjax.sources.galaxy_list import GalaxyList
from galjax.sources.journal import Failure, Journal
from galjax.sources.survey import FETCH, Job, Outcome, StampRequest, Survey

FAILURE_COLUMNS = ("id", "stage", "reason", "attempts")
OUTAGE = 12
"""Jobs in a row that fail for reasons that may pass, after which nobody is asked any more."""
GRACE = 5.0
"""Seconds that files under way have to arrive once the build is asked to stop."""


class BuildInterrupted(Exception):
    """SIGINT or SIGTERM; what was done is kept."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")
        self.exit_code = 128 + signal_number


@runtime_checkable
class BuildProgress(Protocol):
    """Told how far a build is; what becomes of it is the caller's choice."""

    def note(self, text: str) -> None:
        """One line that stays."""

    def begin(self, done: int, failed: int, total: int) -> None:
        """Of `total` galaxies, `done` are cut out and `failed` have failed before this run."""

    def advance(self, done: int, failed: int, received: int) -> None:
        """So many are now, and so many bytes were received in this run."""


class Built(NamedTuple):
    """What came of a build."""

    sample: GalaxySample
    failures: Table
    """Columns id, stage, reason, attempts: every galaxy and catalogue row that is not in the sample."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise BuildInterrupted in the main thread."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise BuildInterrupted(number)

    try:
        earlier = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # Not in the main thread, where signals cannot be caught: then they keep their meaning.
        earlier = {}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def cut_all(
    survey: Survey,
    galaxies: GalaxyList,
    client: Client,
    journal: Journal,
    progress: BuildProgress,
    *,
    stop_in_outage: bool = True,
) -> None:
    """Do every job that the journal does not know as done, and keep what comes of it.

    `stop_in_outage=False` goes on though nobody answers, as where nothing is tried but what has failed before.
    Raises BuildInterrupted (within `interruptible`), or InputError where the disk is full, a login is refused, or nobody
    answers any more: what was done is kept, and the next call goes on from there.
    """
    done = journal.done()
    jobs = survey.jobs(galaxies)
    todo = [job for job in jobs if job.key not in done]
    for job in jobs:
        if job.key in done:
            survey.done(job)  # a build that was ended may have left its files
    count = journal.counts()
    progress.begin(count.stamps, count.failures, len(galaxies))
    failing: list[str] = []
    workers = _Workers(lambda job: survey.work(job, galaxies), todo, client.politeness.connections, client.stop)

    def keep(job: Job, outcomes: list[Outcome]) -> None:
        nonlocal count
        journal.record(job.key, outcomes)
        survey.done(job)
        failed = sum(isinstance(outcome, Failure) for outcome in outcomes)
        count = count._replace(stamps=count.stamps + len(outcomes) - failed, failures=count.failures + failed)
        progress.advance(count.stamps, count.failures, client.bytes_received)
        if all(isinstance(o, Failure) and o.stage == FETCH and o.transient for o in outcomes):
            failing.append(job.key)
        else:
            failing.clear()

    try:
        for job, outcomes in workers.results():
            keep(job, outcomes)
            if stop_in_outage and len(failing) >= OUTAGE:
                journal.forget(failing)
                reason = next(o.reason for o in outcomes if isinstance(o, Failure))
                raise InputError(
                    f"The last {len(failing)} files asked for could not be had ({reason}): the archive seems to be down. What was "
                    f"done so far is kept; run the same command again later to go on, or see which archives are up with --check."
                )
    except BuildInterrupted:
        for job, outcomes in workers.wind_up(GRACE):
            keep(job, outcomes)
        raise
    except OSError as error:
        raise InputError(_about_disk(journal.path.parent, error)) from error
    finally:
        client.stop.at_once()


class _Workers:
    """Threads that do jobs. They end with the program, so that a stalled connection does not hold it up."""

    def __init__(self, work: Callable[[Job], list[Outcome]], jobs: Sequence[Job], threads: int, stop: Stop) -> None:
        self._work, self._stop = work, stop
        self._todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            self._todo.put(job)
        self._done: queue.SimpleQueue[tuple[Job, list[Outcome] | Exception]] = queue.SimpleQueue()
        self._left = len(jobs)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(min(threads, len(jobs)))]

    def results(self) -> Iterator[tuple[Job, list[Outcome]]]:
        """Every job with its outcomes as they come. Raises what a worker raised."""
        for thread in self._threads:
            thread.start()
        while self._left:
            # A limit, so that signals are seen while nothing happens.
            with contextlib.suppress(queue.Empty):
                yield self._take(0.2)

    def wind_up(self, seconds: float) -> Iterator[tuple[Job, list[Outcome]]]:
        """What the jobs under way still give within so many seconds, while no new one is begun."""
        self._stop.soon.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            alive = any(thread.is_alive() for thread in self._threads)
            try:
                yield self._take(0.05)
            except queue.Empty:
                if not alive:
                    return

    def _take(self, timeout: float) -> tuple[Job, list[Outcome]]:
        job, result = self._done.get(timeout=timeout)
        self._left -= 1
        if isinstance(result, Exception):
            raise result
        return job, result

    def _run(self) -> None:
        while not self._stop.soon.is_set():
            try:
                job = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._done.put((job, self._work(job)))
            except Stopped:
                return
            except Exception as error:
                self._done.put((job, error))
                return


def _about_disk(folder: Path, error: OSError) -> str:
    what = (
        "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"cannot be written ({error.strerror or error})"
    )
    return (
        f"The disk of {folder} {what}. What was done so far is kept; make room or mend the permissions, and run the same command "
        f"again to go on."
    )


def failures_table(galaxies: GalaxyList, failures: Sequence[Failure]) -> Table:
    """Everything that was left out, in the catalogue's order: rows that are no galaxies, and galaxies without a stamp."""
    rows = [(rejected.row, rejected.id, "catalogue", rejected.reason, 0) for rejected in galaxies.rejected]
    rows += [(int(galaxies.row[f.galaxy]), str(galaxies.id[f.galaxy]), f.stage, f.reason, f.attempts) for f in failures]
    columns = list(zip(*sorted(rows), strict=True))[1:] or [()] * len(FAILURE_COLUMNS)
    return Table(
        [np.array(c, t) for c, t in zip(columns, (str, str, str, np.int64), strict=True)], names=FAILURE_COLUMNS
    )


def assemble(
    survey: Survey,
    galaxies: GalaxyList,
    redshifts: Redshifts,
    request: StampRequest,
    journal: Journal,
    provenance: Mapping[str, str],
) -> Built:
    """The sample of all stamps, in the catalogue's order: the same bytes whatever happened on the way.

    Raises InputError where there is no stamp at all.
    """
    failures = journal.failures()
    table = failures_table(galaxies, failures)
    count = journal.counts().stamps
    if not count:
        first = f"; the first is left out because: {table['reason'][0]}" if len(table) else ""
        raise InputError(f"No galaxy could be cut out of {len(galaxies)}{first}. The reasons are in failures.ecsv.")
    images = np.empty((count, request.size, request.size), np.float32)
    chosen = np.empty(count, np.int64)
    facts: list[dict[str, Any]] = []
    for number, (galaxy, pixels, of_stamp) in enumerate(journal.stamps()):
        images[number] = np.frombuffer(pixels, "<f4").reshape(request.size, request.size)
        chosen[number] = galaxy
        facts.append(of_stamp)
    columns: dict[str, np.ndarray] = {"ra": galaxies.ra[chosen], "dec": galaxies.dec[chosen]}
    columns |= {name: column[chosen] for name, column in galaxies.columns.items()}
    if np.isfinite(redshifts.z_warning).any():
        columns["z_warning"] = redshifts.z_warning[chosen]
    columns |= {name: np.array([of_stamp[name] for of_stamp in facts]) for name in facts[0]}
    excluded = tuple(Exclusion(str(row["id"]), "", f"{row['stage']}: {row['reason']}") for row in table)
    sample = GalaxySample(
        images=images,
        labels=galaxies.label[chosen],
        class_names=galaxies.class_names,
        ids=galaxies.id[chosen],
        redshift=redshifts.redshift[chosen],
        pixel_scale=survey.pixel_scale,
        bands=(request.band,),
        provenance={
            **survey.provenance(),
            "cutout": request.cutout,
            "cutout in words": CUTOUT_IN_WORDS[request.cutout].format(size=request.size, half=request.size // 2),
            **provenance,
        },
        columns=columns,
        excluded=excluded,
    )
    return Built(sample, table)


CUTOUT_IN_WORDS = {
    "int": "start int(position) - {half}, so that the centre lies in [{half}, {half} + 1) of {size} px, right of and below the "
    "middle; pixel indices count from 0 and are pixel centres",
    "round": "start floor(position + 1/2) - {half}, so that the centre lies in [{half} - 1/2, {half} + 1/2) of {size} px; pixel "
    "indices count from 0 and are pixel centres",
    "cutout2d": "start ceil(position - {size} / 2), as astropy's Cutout2D; pixel indices count from 0 and are pixel centres",
}


@dataclasses.dataclass
class SilentProgress:
    """Keeps notes and counts, shows nothing."""

    notes: list[str] = dataclasses.field(default_factory=list)
    done: int = 0
    failed: int = 0

    def note(self, text: str) -> None:
        """Keep it."""
        self.notes.append(text)

    def begin(self, done: int, failed: int, total: int) -> None:
        """Keep it."""
        self.done, self.failed = done, failed

    def advance(self, done: int, failed: int, received: int) -> None:
        """Keep it."""
        self.done, self.failed = done, failed
