"""From a list of galaxies to a sample: all jobs of a survey, side by side, each kept as soon as it is done."""

import contextlib
import dataclasses
import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, runtime_checkable

from galjax.errors import InputError
from galjax.sources.archives.download import Client
from galjax.sources.build.journal import Failure, Journal
from galjax.sources.build.survey import FETCH, Job, Outcome, SurveyImages
from galjax.sources.build.workers import Workers
from galjax.sources.surveys.galaxy_list import GalaxyList
from galjax.terminal.interrupts import Interrupted, handling

OUTAGE = 12
"""Jobs in a row that fail for reasons that may pass, after which nobody is asked any more."""
GRACE = 5.0
"""Seconds that files under way have to arrive once the build is asked to stop."""


@runtime_checkable
class BuildProgress(Protocol):
    """Told how far a build is; what becomes of it is the caller's choice."""

    def note(self, text: str) -> None:
        """One line that stays."""

    def begin(self, done: int, failed: int, total: int) -> None:
        """The build begins: of `total` galaxies, `done` are cut out and `failed` have failed before."""

    def advance(self, done: int, failed: int, received: int) -> None:
        """So many are now, and so many bytes were received in this run."""


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within, SIGINT and SIGTERM raise Interrupted in the main thread."""

    def interrupt(number: int) -> None:
        raise Interrupted(number)

    with handling(interrupt):
        yield


def cut_all(
    survey: SurveyImages,
    galaxies: GalaxyList,
    client: Client,
    journal: Journal,
    progress: BuildProgress,
    *,
    stop_in_outage: bool = True,
) -> None:
    """Do every job that the journal does not know as done, and keep what comes of it.

    `stop_in_outage=False` continues though nobody answers, as where nothing is tried but what has failed before.
    Raises Interrupted (within `interruptible`), or InputError where the disk is full, a login is refused, or nobody
    answers any more: what was done is kept, and the next call resumes there.
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
    workers = Workers(lambda job: survey.work(job, galaxies), todo, client.politeness.connections, client.stop)

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
                    f"done so far is kept; run the same command again later to resume, or see which archives are up with --check."
                )
    except Interrupted:
        for job, outcomes in workers.wind_up(GRACE):
            keep(job, outcomes)
        raise
    except OSError as error:
        raise InputError(_about_disk(journal.path.parent, error)) from error
    finally:
        client.stop.at_once()


def _about_disk(folder: Path, error: OSError) -> str:
    what = (
        "is full" if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"cannot be written ({error.strerror or error})"
    )
    return (
        f"The disk of {folder} {what}. What was done so far is kept; make room or fix the permissions, and run the same command "
        f"again to resume."
    )


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
