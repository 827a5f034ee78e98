"""Snapshots of a training on disk: written atomically and in the background by orbax, the newest two kept, checked on reading.

And the trained networks of a run, for those who want to apply them.
"""

import io
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import orbax.checkpoint as ocp

from galjax.config.settings import MOST_EPOCHS
from galjax.errors import InputError
from galjax.io import stored_arrays
from galjax.io.stored_arrays import Corrupt
from galjax.training import processes
from galjax.training.history import History
from galjax.training.repeats import RepeatProgram, Snapshot

LARGEST_SHARE = 0.05
"""Largest share of the time between two writes that waiting for them may take."""
EPOCH, PROGRESS, HISTORY, STRETCH, BEST = "epoch", "progress/", "history/", "stretch/", "best/"
"""Name of one, and what the names of the other stored arrays begin with."""
STEPS_PER_EPOCH = 1000


class Checkpoints:
    """The checkpoints of one training, in one folder. Use as a context manager: leaving it ends the last write.

    Of several processes the first alone touches the disk; all must make the same calls.
    """

    def __init__(self, folder: Path, seconds_between: float, note: Callable[[str], None] = lambda text: None) -> None:
        """At least `seconds_between` pass from one write to the next, and so many that waiting for writes takes less than
        `LARGEST_SHARE` of the time; 0 writes after every evaluation, whatever it costs. `note` is given corrupt checkpoints."""
        stored_arrays.quiet()
        self.seconds = 0.0
        """Spent waiting for checkpoints so far."""
        self._folder, self._seconds_between, self._note = folder.resolve(), seconds_between, note
        self._last_write = time.monotonic()
        self._last_cost = 0.0
        self._manager = self._open() if processes.is_first() else None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._manager is None:
            return
        started = time.monotonic()
        try:
            self._written(self._manager.wait_until_finished)
        except InputError:
            if error is None:  # else what ended the training is what to tell of
                raise
        finally:
            self._manager.close()
            self.seconds += time.monotonic() - started

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints on disk, rising (see `step_of`). In the first process."""
        return sorted(self._manager.all_steps()) if self._manager is not None else []

    def last_good(self) -> str:
        """In a sentence, what is kept; the same in all processes."""
        self._wait()
        steps = processes.on_first(lambda: self.steps)
        if not steps:
            return "No checkpoint was written before."
        return f"The checkpoint {_epoch_of(steps[-1])} in {self._folder} is kept."

    def latest(self, program: RepeatProgram, last_epoch: int = MOST_EPOCHS) -> Snapshot | None:
        """The newest snapshot that is whole, or None where there is none. Those after `last_epoch` are deleted.

        1. Half-written checkpoints, which a killed process leaves, are not among the steps and are cleared away.
        2. The newest is read, and its checksums are compared. Where they match, it is the snapshot.
        3. A newest one of a format that this version does not know is an InputError; nothing is changed.
        4. One that cannot be read, or differs from what was written, is reported and deleted; the one before takes its place.
        """
        arrays: dict[str, np.ndarray] = {}

        def read() -> int | None:
            step, found = self._newest_whole(last_epoch)
            arrays.update(found)
            return step

        if processes.on_first(read) is None:
            return None
        told = {name: array for name, array in arrays.items() if not name.startswith((PROGRESS, BEST))}
        known = _unpacked(processes.broadcast(_packed(told)))
        history, stretch = _named_after(HISTORY, known), _named_after(STRETCH, known)
        return Snapshot(
            int(known[EPOCH]),
            program.progress_from(_named_after(PROGRESS, arrays)),
            History(**history) if history else None,
            program.stretch_from(stretch) if stretch else None,
            _named_after(BEST, arrays),
        )

    def maybe_save(self, program: RepeatProgram, snapshot: Snapshot, *, force: bool = False) -> None:
        """Write the snapshot where enough time has passed since the last one, or where `force` asks for it.

        Raises InputError where the disk is full or cannot be written; earlier checkpoints stay.
        """
        step = step_of(snapshot)
        is_wanted = self._manager is not None and (force or self._is_due(snapshot)) and step not in self.steps
        if not processes.all_reduce_max(int(is_wanted)):
            return
        started = time.monotonic()
        progress = program.host_arrays(snapshot.progress)
        if self._manager is not None:
            history = {} if snapshot.history is None else snapshot.history.stored()
            stretch = {} if snapshot.stretch is None else snapshot.stretch.arrays()
            arrays = {
                EPOCH: np.array(snapshot.epoch, np.int32),
                **_named(PROGRESS, progress),
                **_named(HISTORY, history),
                **_named(STRETCH, stretch),
                **_named(BEST, snapshot.best),
            }
            manager = self._manager
            self._written(lambda: manager.save(step, args=stored_arrays.to_save(arrays)))
        self._last_write = time.monotonic()
        self._last_cost = self._last_write - started
        self.seconds += self._last_cost

    def keep_last(self) -> None:
        """Delete all checkpoints but the newest, once it is whole."""
        started = time.monotonic()
        self._wait()
        for step in self.steps[:-1]:
            if self._manager is not None:
                self._manager.delete(step)
        self.seconds += time.monotonic() - started

    def _open(self) -> ocp.CheckpointManager:
        for half_written in self._folder.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(half_written, ignore_errors=True)
        return self._written(self._new_manager)

    def _new_manager(self) -> ocp.CheckpointManager:
        return stored_arrays.open_manager(self._folder, keep=2, several_processes=processes.count() > 1)

    def _is_due(self, snapshot: Snapshot) -> bool:
        if self._manager is None:
            return False  # the first process decides
        passed = time.monotonic() - self._last_write
        if self._seconds_between == 0:
            return snapshot.stretch is None
        return passed >= max(self._seconds_between, self._last_cost / LARGEST_SHARE) and not self._is_writing()

    def _is_writing(self) -> bool:
        return self._manager is not None and self._manager.is_saving_in_progress()

    def _newest_whole(self, last_epoch: int) -> tuple[int | None, dict[str, np.ndarray]]:
        assert self._manager is not None
        for step in reversed(self.steps):
            if step > STEPS_PER_EPOCH * last_epoch:
                self._manager.delete(step)
                continue
            place = self._folder / str(step)
            try:
                return step, self._read(step, place)
            except InputError:
                raise
            except Exception as error:  # Whatever orbax makes of bytes that nobody wrote.
                reason = str(error) if isinstance(error, Corrupt) else stored_arrays.reason_of(error)
                self._note(f"The checkpoint {_epoch_of(step)} in {place} is damaged ({reason}): going back before it.")
                self._manager.delete(step)
        return None, {}

    def _read(self, step: int, place: Path) -> dict[str, np.ndarray]:
        assert self._manager is not None
        return stored_arrays.restored(self._manager, step, place)

    def _wait(self) -> None:
        if self._manager is not None:
            self._written(self._manager.wait_until_finished)

    def _written(self, write: Callable[[], Any]) -> Any:
        """Do it, and turn a failure to write into an InputError that names what is kept."""
        try:
            return write()
        except Exception as error:
            if not stored_arrays.is_full(error):
                raise
            kept = [path.name for path in self._folder.glob("*") if path.name.isdigit()]
            last = (
                f"The checkpoint {_epoch_of(max(map(int, kept)))} is complete and kept"
                if kept
                else "There is none before it"
            )
            raise InputError(
                f"Cannot write a checkpoint into {self._folder} ({stored_arrays.reason_of(error)}). {last}; make room or fix "
                f"the permissions, and run the same command with the same --out to resume."
            ) from error


def step_of(snapshot: Snapshot) -> int:
    """The number under which a snapshot is stored: a thousand times its epoch, and some more where it is between two evaluations."""
    further = 0.0
    if snapshot.stretch is not None:
        done = (snapshot.stretch.share_trained + snapshot.stretch.share_evaluated) / 2
        further = done * (snapshot.stretch.until - snapshot.epoch)
    return STEPS_PER_EPOCH * snapshot.epoch + int(STEPS_PER_EPOCH * further)


def _epoch_of(step: int) -> str:
    """In words, what a checkpoint stored under `step` holds."""
    epoch, further = divmod(step, STEPS_PER_EPOCH)
    return f"after epoch {epoch}" if further else f"of epoch {epoch}"


def _named(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {prefix + name: array for name, array in arrays.items()}


def _named_after(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _packed(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _unpacked(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)
