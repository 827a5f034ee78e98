"""Galaxies in, rows out: while a batch is classified the next one is read, and what is done is kept."""

import collections
import dataclasses
import hashlib
import itertools
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol, runtime_checkable

import numpy as np
from astropy.table import Column, Table
from jaxtyping import Shaped

from galjax.catalogue.parts import Parts, Stretch
from galjax.catalogue.stamps import Cut, Stamper, stack
from galjax.sample import UNLABELLED
from galjax.training.applying import GALAXIES_AT_ONCE
from galjax.training.classify import Classifier, Stamps, meta_of

BATCH_BYTES = 64 * 2**20
"""Stamps that are classified together take at most so much memory; as many again are being read."""
SECONDS_BETWEEN_PARTS = 30.0
"""What a program that is killed loses, at most."""
MOST_IN_PART = 2**17
READERS = 2
"""Threads: more of them wait for each other, as most of what is done with a stamp holds the interpreter."""
CHECKED = 5
"""Stamps, spread over all galaxies, that galaxies are known by."""


@runtime_checkable
class CatalogueProgress(Protocol):
    """Told how far a catalogue is."""

    def advance(self, done: int, measured: str) -> None:
        """So many galaxies are classified; what is measured is in words."""


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """What is to be classified."""

    stamper: Stamper
    classifier: Classifier
    stretch: Stretch
    """Which of the galaxies."""
    keep_columns: tuple[str, ...] = ()
    """Columns of the galaxies' own that are copied."""


def batch_of(job: Job) -> int:
    """Galaxies that are classified together."""
    about = job.classifier.ensemble.about
    stamp = 4 * len(about.bands) * about.image_size[0] * about.image_size[1]
    return int(np.clip(BATCH_BYTES // stamp, 16, GALAXIES_AT_ONCE))


def run(
    job: Job, parts: Parts, progress: CatalogueProgress, should_stop: Callable[[], bool] = lambda: False
) -> collections.Counter[str]:
    """Classify what is missing in the parts, and write it; gives how stamps came about, in words, with their numbers.

    Where `should_stop` says so, what has been classified is written first.
    """
    made: collections.Counter[str] = collections.Counter()
    missing = parts.missing(job.stretch)
    done = job.stretch.stop - job.stretch.start - sum(stop - start for start, stop in missing)
    began, new = time.monotonic(), 0
    progress.advance(done, "")
    for gap in missing:
        kept: list[Table] = []
        first = gap.start
        last_written = time.monotonic()
        for stretch, cuts in _read(job, gap):
            kept.append(_table(job, stretch, cuts))
            made.update(one.made for one in cuts if one.made)
            new += len(cuts)
            progress.advance(done + new, f"{new / max(time.monotonic() - began, 1e-9):.0f}/s")
            stop = should_stop()
            late = time.monotonic() - last_written > SECONDS_BETWEEN_PARTS
            if stop or late or stretch.stop == gap.stop or stretch.stop - first >= MOST_IN_PART:
                parts.write(Stretch(first, stretch.stop), _stacked(kept))
                kept, first, last_written = [], stretch.stop, time.monotonic()
            if stop:
                return made
    return made


def _read(job: Job, gap: Stretch) -> Iterator[tuple[Stretch, list[Cut]]]:
    """The stamps of every batch, in order; the next is read meanwhile."""
    starts = range(gap.start, gap.stop, batch_of(job))
    batches = [Stretch(start, min(start + batch_of(job), gap.stop)) for start in starts]
    with ThreadPoolExecutor(READERS) as readers:

        def cut_all(numbers: Shaped[np.ndarray, " some"]) -> list[Cut]:
            return [job.stamper.cut(int(number)) for number in numbers]

        def begin(batch: Stretch) -> list[Future[list[Cut]]]:
            return [readers.submit(cut_all, some) for some in np.array_split(np.arange(*batch), READERS)]

        try:
            reading = begin(batches[0])
            for batch, following in itertools.zip_longest(batches, batches[1:]):
                cuts = [cut for future in reading for cut in future.result()]
                reading = begin(following) if following is not None else []
                yield batch, cuts
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


def _table(job: Job, stretch: Stretch, cuts: list[Cut]) -> Table:
    classifier, galaxies = job.classifier, job.stamper.galaxies
    rows = slice(*stretch)
    stamps = Stamps(
        stack(cuts, classifier.grid, len(classifier.ensemble.about.bands)),
        np.array([one.factor for one in cuts]),
        np.array([one.flags for one in cuts], np.int32),
    )
    table = Table([Column(galaxies.ids[rows], "id"), *_places(job.stamper, rows, cuts)], meta=meta_of(classifier))
    if galaxies.class_names:
        names = np.array([*galaxies.class_names, ""])
        text = "the class that the galaxy was given with; empty for none"
        table["label"] = Column(
            names[np.where(galaxies.labels[rows] == UNLABELLED, -1, galaxies.labels[rows])], description=text
        )
    for name in job.keep_columns:
        text = "as the table of the galaxies has it"
        table[name] = Column(galaxies.columns[name][rows], description=text)
    table.add_columns(classifier.columns(stamps))
    table["reason"] = Column([one.reason for one in cuts], dtype=np.str_, description="why it is not classified")
    return table


def _places(stamper: Stamper, rows: slice, cuts: list[Cut]) -> list[Column]:
    """Right ascension and declination, where they are known: from the table of the galaxies, or the headers of their images."""
    said = {"ra": "right ascension", "dec": "declination"}
    if stamper.has_places:
        of_middle = {name: np.array([getattr(one.header, name) for one in cuts], np.float64) for name in said}
        text = "of the middle of the image, ICRS"
        return [
            Column(values, name, unit="deg", description=f"{said[name]} {text}") for name, values in of_middle.items()
        ]
    known = stamper.galaxies.columns
    return [
        Column(known[name][rows], name, unit="deg", description=text) for name, text in said.items() if name in known
    ]


def _stacked(tables: list[Table]) -> Table:
    """Tables with the same columns in one; texts of any length."""
    first = tables[0]
    stacked = Table(meta=first.meta)
    for column in first.itercols():
        values = np.concatenate([np.asarray(table[column.name]) for table in tables])
        stacked[column.name] = Column(values, unit=column.unit, description=column.description)
    return stacked


def digest_of(stamper: Stamper) -> str:
    """A checksum of the ids and of a few stamps, by which a catalogue knows its galaxies again."""
    ids = stamper.galaxies.ids
    checksum = hashlib.sha256(repr(ids.dtype.kind).encode() + np.ascontiguousarray(ids).tobytes())
    for number in np.unique(np.linspace(0, len(ids) - 1, CHECKED).astype(int)).tolist():
        cut = stamper.cut(number)
        checksum.update(cut.reason.encode() if cut.stamp is None else np.ascontiguousarray(cut.stamp).tobytes())
    return checksum.hexdigest()[:16]
