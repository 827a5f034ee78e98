"""One training of all repeats inside a run folder: starts or resumes, shows progress, and stops safely when asked."""

import functools
import math
import time
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32

from galjax.training import processes
from galjax.runs.checkpoints import Checkpoints
from galjax.training.ensemble import save_parameters
from galjax.config.json_form import to_json
from galjax.training.divergence import Divergence, check_diverged, describe, find_diverged, without
from galjax.draw import Draw
from galjax.training.execution import Execution, choose, load_of
from galjax.training.memory import Sizes, check_fits, exhaustion_explained
from galjax.metrics import accuracy
from galjax.training.ensemble import FORMAT, Description
from galjax.training.conditions import ORIGINAL, Condition, device_conditions
from galjax.terminal.progress import TrainingProgress
from galjax.training.repeats import RepeatKeys, RepeatProgram, Snapshot
from galjax.training.history import History
from galjax.runs.folder import RunFolder
from galjax.sample import GalaxySample
from galjax.config.settings import Convention, TrainingConfig
from galjax.statistics import summarise
from galjax.terminal.interrupts import Interrupted, stop_requests
from galjax.training.step import Conditions, Pool, hyperparameters_of


class Stage(NamedTuple):
    """One training to do: its name in the folder and on the bar, its galaxies, and how they are seen."""

    name: str
    label: str
    draw: Draw
    conditions: Sequence[Condition]
    """Under which to evaluate."""
    trained_at: Condition = ORIGINAL


class StageOutcome(NamedTuple):
    """What a stage measured, without repeats that were dropped, and what it cost in this process."""

    history: History
    execution: Execution
    compile_seconds: float
    train_seconds: float
    checkpoint_seconds: float = 0.0
    """Part of `train_seconds` spent waiting for checkpoints."""
    dropped: tuple[Divergence, ...] = ()
    """Repeats that are NaN in the history, because they diverged."""


def run_stage(
    stage: Stage,
    pool: Pool,
    keys: RepeatKeys,
    galaxies: GalaxySample,
    config: TrainingConfig,
    folder: RunFolder,
    progress: TrainingProgress,
) -> StageOutcome:
    """Train and evaluate one stage on `pool`, which holds the pixels of `galaxies`, to its end.

    A stage that ended in an earlier process is read back; one that was stopped, or is to train to more epochs than before,
    resumes from its newest checkpoint.
    Raises `Interrupted`, with a checkpoint written, where SIGINT or SIGTERM came; `Diverged` where a loss is no longer a
    number and the configuration does not say to continue without that repeat; InputError where the memory is too small.
    """
    train, test = stage.draw.train.shape[1], stage.draw.test.shape[1]
    _, _, height, width, bands = pool.images.shape
    sizes = Sizes((height, width, bands), len(pool.labels), train, test)
    execution = choose(config.execution, config.network, config.optimiser, sizes, len(keys.initial))
    check = functools.partial(check_diverged, label=stage.label, on_divergence=config.schedule.on_divergence)
    schedule = config.schedule
    done = folder.read_history(f"checkpoints/{stage.name}.npz")
    if done is not None and done.evaluated_epoch[-1] == schedule.epochs:
        if schedule.discard_state:
            folder.remove_subfolder(f"checkpoints/{stage.name}")
        progress.note(f"{stage.label}: already trained")
        gone = check(done, last_good="Its training had ended.")
        return StageOutcome(without(done, gone), execution, 0.0, 0.0, 0.0, tuple(gone))
    load = load_of(execution, config.network, config.optimiser, sizes, len(keys.initial))
    check_fits(load)
    started = time.perf_counter()
    place = folder.subfolder(f"checkpoints/{stage.name}")
    with exhaustion_explained(load):
        program = RepeatProgram(
            execution.trainer(config.network, config.optimiser, len(galaxies.class_names)),
            hyperparameters_of(config.optimiser),
            pool,
            stage.draw,
            jax.tree.map(lambda leaf: leaf[0], device_conditions(pool, [stage.trained_at], config.convention)),
            device_conditions(pool, stage.conditions, config.convention),
            keys,
            schedule.evaluate_every,
            execution,
        )
    with (
        exhaustion_explained(load),
        stop_requests(lambda: progress.note(_ending(program))) as stop,
        Checkpoints(place, schedule.checkpoint_seconds, progress.note) as checkpoints,
    ):
        snapshot = first = checkpoints.latest(program, schedule.epochs) or program.start()
        if first.history:  # a shorter training evaluated its last epoch, which is no longer one to evaluate
            kept = first.history.evaluated_every(schedule.evaluate_every, schedule.epochs)
            snapshot = first = first._replace(history=kept)
        if snapshot.epochs_trained:
            progress.note(f"{stage.label}: resuming at epoch {snapshot.epochs_trained:.3g}")
        progress.begin(stage.label, snapshot.epochs_trained, schedule.epochs)
        diverged = find_diverged(first.history) if first.history else []
        for snapshot in program.continue_from(first, schedule.epochs):
            # Before anything is written: a checkpoint of a network that diverged is not one to resume from.
            newly = find_diverged(snapshot.history) if snapshot.history else []
            if snapshot.history and newly:
                check(snapshot.history, last_good=checkpoints.last_good())
            if len(newly) > len(diverged):
                progress.note(f"{stage.label}: continuing without {describe(newly)}: the loss is NaN or infinite")
            diverged = newly
            _tell(progress, snapshot, diverged)
            stopped_by = processes.all_reduce_max(max(stop, default=0))
            checkpoints.maybe_save(program, snapshot, force=stopped_by > 0)
            if stopped_by:
                stop.clear()
                raise Interrupted(stopped_by)
        if schedule.keep_parameters:
            _keep_networks(folder, stage.name, program, snapshot, _describe(stage, config, galaxies, execution))
        if not schedule.discard_state:
            checkpoints.maybe_save(program, snapshot, force=True)
            checkpoints.keep_last()
    assert snapshot.history is not None
    history = snapshot.history.evaluated_every(schedule.evaluate_every, schedule.epochs)
    folder.write_arrays(f"checkpoints/{stage.name}.npz", history.arrays())
    if schedule.discard_state:
        folder.remove_subfolder(f"checkpoints/{stage.name}")
    return StageOutcome(
        without(history, diverged), execution, program.compile_seconds, time.perf_counter() - started,
        checkpoints.seconds, tuple(diverged),
    )


def _ending(program: RepeatProgram) -> str:
    """When a training that is asked to stop will have stopped."""
    left = program.chunk_ends - time.monotonic()
    about = f", about {max(1, round(left))} s" if math.isfinite(left) else ""
    return f"Stopping after this chunk{about}, and a checkpoint. Ctrl-C again stops now, at the checkpoint before."


def _tell(progress: TrainingProgress, snapshot: Snapshot, diverged: Sequence[Divergence]) -> None:
    loss = at_original = math.nan
    if snapshot.history is not None:
        history = without(snapshot.history, diverged)
        if len(history.evaluated_epoch):  # none where a shorter training evaluated none of those of this one
            at_original = float(summarise(accuracy(history.test_confusion[:, -1, 0])).mean)
        loss = float(summarise(history.train_loss[:, -1]).mean)
    progress.advance(snapshot.epochs_trained, loss, at_original)


def _describe(stage: Stage, config: TrainingConfig, galaxies: GalaxySample, execution: Execution) -> Description:
    return Description(
        network=config.network, class_names=galaxies.class_names, epoch=config.schedule.epochs,
        image_size=(galaxies.images.shape[1], galaxies.images.shape[2]), bands=galaxies.bands,
        pixel_scale=galaxies.pixel_scale, factor=stage.trained_at.factor, method=stage.trained_at.method,
        convention=config.convention, precision=execution.precision,
    )


def _keep_networks(
    folder: RunFolder, stage: str, program: RepeatProgram, snapshot: Snapshot, about: Description
) -> None:
    """The final networks, for `galjax.training.ensemble.load_networks`. Before the stage counts as done."""
    state = program.host_arrays(snapshot.progress)
    if folder.writes:
        prefix = "state/parameters/"
        parameters = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
        save_parameters(folder.path, stage, snapshot.epoch, parameters, {"format": FORMAT, **to_json(about)})
