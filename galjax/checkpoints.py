"""Snapshots of a training on disk: written atomically and in the background by orbax, the newest two kept."""

import logging
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import orbax.checkpoint as ocp

from galjax.repeats import History, RepeatProgram, Snapshot


class Checkpoints:
    """The checkpoints of one training, in one folder. Use as a context manager: leaving it ends the last write."""

    def __init__(self, folder: Path, seconds_between: float) -> None:
        """At least `seconds_between` pass from one write to the next, so that the share of time they take is small."""
        logging.getLogger("absl").setLevel(logging.ERROR)
        self._seconds_between = seconds_between
        self._last_write = time.monotonic()
        options = ocp.CheckpointManagerOptions(max_to_keep=2, create=True)
        self._manager = ocp.CheckpointManager(folder.resolve(), options=options)

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._manager.wait_until_finished()
        self._manager.close()

    def latest(self, program: RepeatProgram) -> Snapshot | None:
        """The newest snapshot, or None where there is none."""
        step = self._manager.latest_step()
        if step is None:
            return None
        arguments = ocp.args.Composite(
            state=ocp.args.StandardRestore(program.state_shapes()), history=ocp.args.StandardRestore()
        )
        read = self._manager.restore(step, args=arguments)
        history = {name: np.asarray(array) for name, array in read.history.items()}
        return Snapshot(step, program.filled_up(read.state), History(**history))

    def offer(self, program: RepeatProgram, snapshot: Snapshot, *, force: bool = False) -> None:
        """Write the snapshot where enough time has passed since the last one, or where `force` asks for it."""
        due = time.monotonic() - self._last_write >= self._seconds_between
        if snapshot.history is None or not (due or force) or snapshot.epoch in self._manager.all_steps():
            return
        arguments = ocp.args.Composite(
            state=ocp.args.StandardSave(program.own_repeats(snapshot.state)),
            history=ocp.args.StandardSave(snapshot.history.arrays()),
        )
        self._manager.save(snapshot.epoch, args=arguments)
        self._last_write = time.monotonic()
