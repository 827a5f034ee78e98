"""One training of all repeats inside a run folder: starts or goes on, shows progress, and stops safely when asked."""

import dataclasses
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Float32

from galjax.checkpoints import Checkpoints
from galjax.draw import Draw
from galjax.errors import InputError
from galjax.execution import Execution, ExecutionConfig, Sizes, choose
from galjax.metrics import accuracy
from galjax.network import NetworkConfig
from galjax.outcome import ORIGINAL, Condition
from galjax.progress import TrainingProgress
from galjax.repeats import History, RepeatKeys, RepeatProgram
from galjax.resample import Convention
from galjax.runs import RunFolder
from galjax.sample import GalaxySample
from galjax.training import Conditions, OptimiserConfig, Pool, hyperparameters_of

Flat = tyro.conf.arg(name="")
"""Marks a nested configuration whose fields are flags without a prefix."""


MOST_EPOCHS = 1_000_000


class Interrupted(Exception):
    """The user or the system asked to stop; the last snapshot is on disk."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long all repeats train and how often they are evaluated."""

    epochs: int = 900
    """Passes over the training galaxies."""
    evaluate_every: int = 10
    """Epochs from one evaluation of every condition to the next; the last epoch is always evaluated."""
    checkpoint_seconds: float = 120.0
    """Least time (s) between two checkpoints."""

    def __post_init__(self) -> None:
        if not 1 <= self.epochs <= MOST_EPOCHS:
            raise InputError(f"--epochs must be at least 1 and at most {MOST_EPOCHS}, not {self.epochs}.")
        if not 1 <= self.evaluate_every <= self.epochs:
            raise InputError(f"--evaluate-every must lie in 1..{self.epochs} (--epochs), not {self.evaluate_every}.")
        if not self.checkpoint_seconds >= 0:
            raise InputError(f"--checkpoint-seconds must be at least 0, not {self.checkpoint_seconds}.")


@dataclasses.dataclass(frozen=True)
class TrainingConfig:
    """What decides a training, whatever the galaxies."""

    schedule: Annotated[ScheduleConfig, Flat] = dataclasses.field(default_factory=ScheduleConfig)
    optimiser: Annotated[OptimiserConfig, Flat] = dataclasses.field(default_factory=OptimiserConfig)
    network: Annotated[NetworkConfig, Flat] = dataclasses.field(default_factory=NetworkConfig)
    execution: Annotated[ExecutionConfig, Flat] = dataclasses.field(default_factory=ExecutionConfig)
    convention: Convention = "opencv"
    """Resize rule: opencv (the thesis's pixels) or jax (jax.image.resize)."""


class Stage(NamedTuple):
    """One training to do: its name in the folder and on the bar, its galaxies, and how they are seen."""

    name: str
    label: str
    draw: Draw
    conditions: Sequence[Condition]
    """Under which to evaluate."""
    trained_at: Condition = ORIGINAL


class StageOutcome(NamedTuple):
    """What a stage measured and what it cost in this process."""

    history: History
    execution: Execution
    compile_seconds: float
    train_seconds: float


def to_device(sample: GalaxySample, *views: Float32[np.ndarray, "galaxy height width *band"]) -> Pool:
    """The sample's images, always with a band axis, and labels as device arrays; and further views of its galaxies."""
    images = [view if view.ndim == 4 else view[..., None] for view in (sample.images, *views)]
    return Pool(jnp.stack(images), jnp.asarray(sample.labels))


def device_conditions(pool: Pool, conditions: Sequence[Condition], convention: Convention) -> Conditions:
    """The conditions' views, and their resampling matrices for the pool's image size, in float32."""
    shape = (pool.images.shape[2], pool.images.shape[3])
    pairs = [condition.matrices(shape, convention) for condition in conditions]
    rows, columns = (jnp.asarray(np.stack(matrices), jnp.float32) for matrices in zip(*pairs, strict=True))
    return Conditions(jnp.asarray([condition.view for condition in conditions], jnp.int32), rows, columns)


def run_stage(
    stage: Stage,
    pool: Pool,
    keys: RepeatKeys,
    num_classes: int,
    config: TrainingConfig,
    folder: RunFolder,
    progress: TrainingProgress,
) -> StageOutcome:
    """Train and evaluate one stage to its end.

    A stage that ended in an earlier process is read back; one that was stopped goes on from its newest checkpoint.
    Raises `Interrupted`, with a checkpoint written, where SIGINT or SIGTERM came.
    """
    train, test = stage.draw.train.shape[1], stage.draw.test.shape[1]
    _, _, height, width, bands = pool.images.shape
    sizes = Sizes((height, width, bands), len(pool.labels), train, test)
    execution = choose(config.execution, config.network, config.optimiser, sizes, len(keys.initial))
    done = folder.read_history(f"checkpoints/{stage.name}.npz")
    if done is not None:
        progress.note(f"{stage.label}: already trained")
        return StageOutcome(done, execution, 0.0, 0.0)
    program = RepeatProgram(
        execution.trainer(config.network, config.optimiser, num_classes),
        hyperparameters_of(config.optimiser),
        pool,
        stage.draw,
        jax.tree.map(lambda leaf: leaf[0], device_conditions(pool, [stage.trained_at], config.convention)),
        device_conditions(pool, stage.conditions, config.convention),
        keys,
        config.schedule.evaluate_every,
        execution,
    )
    schedule = config.schedule
    started = time.perf_counter()
    checkpoint_folder = folder.subfolder(f"checkpoints/{stage.name}")
    with _stop_requests() as stop, Checkpoints(checkpoint_folder, schedule.checkpoint_seconds) as checkpoints:
        first = checkpoints.latest(program) or program.start()
        history = first.history
        if first.epoch:
            progress.note(f"{stage.label}: goes on after epoch {first.epoch}")
        progress.begin(stage.label, first.epoch, schedule.epochs)
        for snapshot in program.continue_from(first, schedule.epochs):
            history = snapshot.history
            assert history is not None
            at_original = accuracy(history.test_confusion[:, -1, 0]).mean()
            progress.advance(snapshot.epoch, float(history.train_loss[:, -1].mean()), float(at_original))
            checkpoints.offer(program, snapshot, force=bool(stop))
            if stop:
                raise Interrupted(stop[0])
    assert history is not None
    folder.write_arrays(f"checkpoints/{stage.name}.npz", history.arrays())
    folder.remove_subfolder(f"checkpoints/{stage.name}")
    return StageOutcome(history, execution, program.compile_seconds, time.perf_counter() - started)


@contextmanager
def _stop_requests() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that a chunk in flight can end; a second SIGINT stops at once."""
    requests: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if requests and number == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(number)

    try:
        earlier = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # Not in the main thread, where signals cannot be caught: then they keep their meaning.
        yield requests
        return
    try:
        yield requests
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
