"""One training of all repeats inside a run folder: starts or resumes, shows progress, and stops safely when asked."""

import functools
import math
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from galjax.config.settings import ScheduleConfig, TrainingConfig
from galjax.draw import Draw
from galjax.metrics import accuracy
from galjax.runs.checkpoints import Checkpoints
from galjax.runs.folder import RunFolder
from galjax.sample import GalaxySample
from galjax.statistics import summarise
from galjax.terminal.interrupts import Interrupted, stop_requests
from galjax.terminal.progress import TrainingProgress
from galjax.training import processes
from galjax.training.conditions import ORIGINAL, Condition
from galjax.training.description import describe
from galjax.training.divergence import Divergence, check_diverged, find_diverged, without
from galjax.training.divergence import describe as describe_diverged
from galjax.training.ensemble import IN_RUN, Ensemble, parameters_of
from galjax.training.execution import Execution
from galjax.training.history import History
from galjax.training.memory import exhaustion_explained
from galjax.training.repeats import RepeatProgram, Snapshot, Task, assemble, execution_of, load_of_task


class Stage(NamedTuple):
    """One training to do: its name in the folder and on the bar, its galaxies, and how they are seen."""

    name: str
    label: str
    draw: Draw
    conditions: Sequence[Condition]
    """Under which to evaluate."""
    trained_at: Condition = ORIGINAL
    keeps_ensemble: bool = False
    """Whether it is the main training of the run, whose networks are kept (`Task.kept`)."""
    own_sky: bool = False
    """As `Task.own_sky`."""
    training: TrainingConfig | None = None
    """How it is trained, instead of as the run's configuration says."""


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
    task: Task,
    galaxies: GalaxySample,
    config: TrainingConfig,
    folder: RunFolder,
    progress: TrainingProgress,
) -> StageOutcome:
    """Train and evaluate the task of one stage, whose pool holds the pixels of `galaxies`, to its end.

    A stage that ended in an earlier process is read back; one that was stopped, or is to train to more epochs than before,
    resumes from its newest checkpoint. Raises `Interrupted`, with a checkpoint written, where SIGINT or SIGTERM came;
    `Diverged` where a loss is no longer a number and the configuration does not say to drop that repeat; InputError
    where the memory is too small.
    """
    execution, schedule = execution_of(task, config), config.schedule
    check = functools.partial(check_diverged, label=stage.label, on_divergence=schedule.on_divergence)
    done = folder.read_history(f"checkpoints/{stage.name}.npz")
    if done is not None and done.evaluated_epoch[-1] == schedule.epochs:
        if schedule.discard_state:
            folder.remove_subfolder(f"checkpoints/{stage.name}")
        progress.note(f"{stage.label}: already trained")
        gone = check(done, last_good="Its training had ended.")
        return StageOutcome(without(done, gone), execution, 0.0, 0.0, 0.0, tuple(gone))
    started = time.perf_counter()
    load = load_of_task(task, config, execution)
    with exhaustion_explained(load):
        program = assemble(task, config, execution)
    place = folder.subfolder(f"checkpoints/{stage.name}")
    with (
        exhaustion_explained(load),
        stop_requests(lambda: progress.note(_ending(program))) as stop,
        Checkpoints(place, schedule.checkpoint_seconds, progress.note) as checkpoints,
    ):
        snapshot = first = _resumed(program, checkpoints, stage, schedule, progress)
        diverged = find_diverged(first.history) if first.history else []
        for snapshot in program.continue_from(first, schedule.epochs):
            # Before anything is written: a checkpoint of a network that diverged is not one to resume from.
            newly = find_diverged(snapshot.history) if snapshot.history else []
            if snapshot.history and newly:
                check(snapshot.history, last_good=checkpoints.last_good())
            if len(newly) > len(diverged):
                progress.note(
                    f"{stage.label}: continuing without {describe_diverged(newly)}: the loss is NaN or infinite"
                )
            diverged = newly
            _tell(progress, snapshot, diverged)
            stopped_by = processes.all_reduce_max(max(stop, default=0))
            checkpoints.maybe_save(program, snapshot, force=stopped_by > 0)
            if stopped_by:
                stop.clear()
                raise Interrupted(stopped_by)
        assert snapshot.history is not None
        history = snapshot.history.evaluated_every(schedule.evaluate_every, schedule.epochs)
        if program.kept:
            measured = without(history, diverged)
            _keep_ensemble(program, snapshot._replace(history=measured), galaxies, config, folder, progress)
        if not schedule.discard_state:
            checkpoints.maybe_save(program, snapshot, force=True)
            checkpoints.keep_last()
    folder.write_arrays(f"checkpoints/{stage.name}.npz", history.stored())
    if schedule.discard_state:
        folder.remove_subfolder(f"checkpoints/{stage.name}")
    trained = time.perf_counter() - started
    return StageOutcome(
        without(history, diverged), execution, program.compile_seconds, trained, checkpoints.seconds, tuple(diverged)
    )


def _resumed(
    program: RepeatProgram,
    checkpoints: Checkpoints,
    stage: Stage,
    schedule: ScheduleConfig,
    progress: TrainingProgress,
) -> Snapshot:
    """Where the training begins: at the newest checkpoint, or at its beginning."""
    first = checkpoints.latest(program, schedule.epochs) or program.start()
    if first.history:  # a shorter training evaluated its last epoch, which is no longer one to evaluate
        kept = first.history.evaluated_every(schedule.evaluate_every, schedule.epochs)
        first = first._replace(history=kept)
    if first.epochs_trained:
        progress.note(f"{stage.label}: resuming at epoch {first.epochs_trained:.3g}")
    progress.begin(stage.label, first.epochs_trained, schedule.epochs)
    return first


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


def _keep_ensemble(
    program: RepeatProgram,
    snapshot: Snapshot,
    galaxies: GalaxySample,
    config: TrainingConfig,
    folder: RunFolder,
    progress: TrainingProgress,
) -> None:
    """The networks of the first repeats at the leading epoch, in a folder of their own. Before the stage counts as done.

    Of another epoch than the last the parameters are those of `snapshot.best`; where a repeat that was dropped has changed the choice
    since, they are gone, and those of the last epoch take their place.
    """
    history, best, count = snapshot.history, snapshot.best, program.kept
    assert history is not None
    assert history.predicted_epoch is not None
    selection, last = history.leading, config.schedule.epochs
    epoch = int(history.evaluated_epoch[history.evaluation(selection)])
    if epoch not in (last, int(history.predicted_epoch[0])):
        selection, epoch = "last", last
        progress.note(
            "The networks of the epoch chosen were not kept, because a repeat was dropped: those of the last are."
        )
    own: Mapping[str, np.ndarray] = best if epoch != last else program.first_networks(snapshot.state, count)
    if not folder.writes:
        return
    about = {
        "network": config.network,
        "repeats": tuple(range(count)),
        "epoch": epoch,
        "selection": selection,
        "convention": config.convention,
        "precision": program.execution.precision,
        "augmentation": config.augment.in_words(),
    }
    ensemble = Ensemble(describe(galaxies, history, program.task, about), parameters_of(own))
    place = folder.path / IN_RUN
    ensemble.save(place)
    progress.note(
        f"{count} of {program.repeats} trained networks, of epoch {epoch}, are kept in {place} ({ensemble.size / 1e6:.0f} MB; "
        f"--keep-ensemble)"
    )
