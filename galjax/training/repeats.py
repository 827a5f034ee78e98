"""All repeats in one compiled program, spread over devices, in chunks of a few seconds; evaluated after every few epochs."""

import dataclasses
import functools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Key

from galjax.config.jax_settings import PRNG
from galjax.config.settings import MOST_EPOCHS, TrainingConfig
from galjax.draw import Draw
from galjax.networks.scaling import Sky
from galjax.training import processes
from galjax.training.augmentation import make_augmentation
from galjax.training.chunks import CHUNK_SECONDS, Groups, Kind, Pace, Stretch
from galjax.training.conditions import ORIGINAL, Condition, device_conditions
from galjax.training.device import (
    REPEAT,
    Layout,
    Measured,
    Progress,
    ToEvaluate,
    ToTrain,
    compile_evaluation,
    compile_start,
    compile_training,
    start_all,
)
from galjax.training.execution import Execution, choose, load_of
from galjax.training.history import History
from galjax.training.memory import Load, Sizes, check_fits
from galjax.training.placement import gather, gather_on_first, place, scatter_from_first
from galjax.training.sky import noise_of, sky_of_views
from galjax.training.step import DeviceSample, TrainingState, blocks_of, hyperparameters_of


class RepeatKeys(NamedTuple):
    """The randomness of every repeat: which galaxies, which starting weights, and the order and dropout of epochs."""

    draw: Key[Array, " repeat"]
    initial: Key[Array, " repeat"]
    epochs: Key[Array, " repeat"]


def repeat_keys(seed: int, repeats: Sequence[int]) -> RepeatKeys:
    """Keys by `fold_in(key(seed), repeat)`, so that repeat 7 alone has the keys of repeat 7 among 30."""
    keys = jax.vmap(lambda repeat: jax.random.split(jax.random.fold_in(jax.random.key(seed, impl=PRNG), repeat), 3))(
        jnp.asarray(repeats, jnp.uint32)
    )
    return RepeatKeys(keys[:, 0], keys[:, 1], keys[:, 2])


class Task(NamedTuple):
    """One training of all repeats: its galaxies, and how they are seen."""

    pool: DeviceSample
    draw: Draw
    keys: RepeatKeys
    num_classes: int
    conditions: Sequence[Condition] = (ORIGINAL,)
    """Under which test galaxies are evaluated."""
    trained_at: Condition = ORIGINAL
    kept: int = 0
    """Number of repeats, the first ones, whose networks at the best validation epoch are kept."""
    own_sky: bool = False
    """Whether the scaling "sky" measures each view in its own sky, instead of that of the view trained at: of another survey."""
    sky: Sky | None = None
    """For every repeat, view and band ("repeat view band"), once it is measured (`with_sky`)."""

    @property
    def sizes(self) -> Sizes:
        """What decides how much memory it takes."""
        _, _, height, width, bands = self.pool.images.shape
        train, test = self.draw.train.shape[1], self.draw.test.shape[1]
        return Sizes((height, width, bands), len(self.pool.labels), train, test, self.num_classes)


def execution_of(task: Task, config: TrainingConfig) -> Execution:
    """How the task is computed on the devices that JAX sees."""
    return choose(config.execution, config.network, config.optimiser, task.sizes, len(task.keys.initial))


def with_sky(task: Task, config: TrainingConfig) -> Task:
    """The task with its sky measured, where the input scaling takes it.

    Raises InputError where there is no noise to measure.
    """
    if config.network.input_scaling != "sky" or task.sky is not None:
        return task
    the_same = None if task.own_sky else task.trained_at.view
    return task._replace(sky=sky_of_views(task.pool.images, task.draw.train, the_same))


def load_of_task(task: Task, config: TrainingConfig, execution: Execution) -> Load:
    """What it asks of the memory."""
    repeats = len(task.keys.initial)
    load = load_of(execution, config.network, config.optimiser, task.sizes, repeats)
    return dataclasses.replace(load, kept=min(task.kept, repeats) if task.draw.validation.shape[1] else 0)


def assemble(task: Task, config: TrainingConfig, execution: Execution | None = None) -> "RepeatProgram":
    """The program that trains and evaluates a task: of every run, benchmark and call.

    Raises InputError where the memory is too small, or the sky cannot be measured (`with_sky`).
    """
    execution = execution or execution_of(task, config)
    check_fits(load_of_task(task, config, execution))
    return RepeatProgram(with_sky(task, config), config, execution)


class Snapshot(NamedTuple):
    """Where a run stands after a chunk: enough to resume from, bit for bit."""

    epoch: int
    """Epochs after which all repeats were last evaluated."""
    progress: Progress
    history: History | None
    """What was measured up to that epoch; None before the first evaluation."""
    stretch: Stretch | None = None
    """How far the repeats are towards the next evaluation; None at an evaluation."""
    best: Mapping[str, np.ndarray] = MappingProxyType({})
    """Parameters, by path, of the first `Task.kept` repeats at the best validation epoch so far (the first of
    `History.predicted_epoch`); in the first process. Nothing without validation galaxies."""

    @property
    def epochs_trained(self) -> float:
        """Epochs trained, averaged over the repeats, so that it need not be a whole number."""
        if self.stretch is None:
            return float(self.epoch)
        return self.epoch + (self.stretch.until - self.epoch) * self.stretch.share_trained

    @property
    def state(self) -> TrainingState:
        """State of all repeats and of the padding (see `RepeatProgram.host_arrays`)."""
        return self.progress.state


class RepeatProgram:
    """The compiled training and evaluation of all repeats of one draw.

    The repeats are spread over `execution.devices` devices on a mesh axis; each device computes
    `execution.repeats_at_once` side by side (vmap) and such groups one after the other. Where the numbers do not divide,
    copies of the last repeat fill up the rest; they are in no history and no checkpoint. No device waits for another
    within a chunk.

    All repeats train `evaluate_every` epochs, or fewer before the end, and are then evaluated. Which part of that a call of
    the program does (`galjax.training.chunks`) is traced: chunks of any length, and a shorter last stretch, need no second program.
    Training and evaluation are compiled ahead of time, and arguments of any other shape are an error instead of a silent
    retrace.
    """

    def __init__(self, task: Task, config: TrainingConfig, execution: Execution) -> None:
        """Use `assemble`, which looks whether the memory holds it."""
        self.evaluate_every = config.schedule.evaluate_every
        self.repeats = len(task.keys.initial)
        self.kept = min(task.kept, self.repeats)
        """Repeats whose networks are to be kept."""
        self.chunk_ends = math.nan
        """When the chunk under way should end, on the clock of `time.monotonic`; NaN where that is not known."""
        self.execution = execution
        self.task, self._config, self._keys = task, config, task.keys
        shape = (task.sizes.image_shape[0], task.sizes.image_shape[1])
        augmentation = make_augmentation(config.augment, shape, config.convention)
        self._hyperparameters = hyperparameters_of(config.optimiser, config.schedule.epochs, augmentation)
        self._pace = Pace()
        sizes, draw = task.sizes, task.draw
        self._galaxies, validated = sizes.train, draw.validation.shape[1]
        trainer = execution.trainer(config.network, config.optimiser, task.num_classes)
        self._layout = Layout(
            trainer, sizes.image_shape, self.evaluate_every, len(task.conditions), sizes.test, validated
        )
        self._mesh = Mesh(np.array(jax.devices()[: execution.devices]), (REPEAT,))
        self._on_all, self._spread = (NamedSharding(self._mesh, PartitionSpec(*axis)) for axis in ((), (REPEAT,)))
        self._groups = Groups(execution.devices, execution.repeats_at_once)
        self._padding = -self.repeats % (execution.devices * execution.repeats_at_once)
        started = time.perf_counter()
        adds_noise = augmentation is not None and augmentation.noise is not None
        noise = noise_of(task.pool.images, draw.train, task.trained_at.view, task.sky) if adds_noise else None
        self._epoch_keys, self._draw, self._sky, self._noise = self.pad((task.keys.epochs, draw, task.sky, noise))
        self._validated = self._draw.validation if validated else None
        conditions = device_conditions(task.pool, task.conditions, config.convention)
        trained_at = jax.tree.map(
            lambda leaf: leaf[0], device_conditions(task.pool, [task.trained_at], config.convention)
        )
        # The epochs' own keys end before that number.
        noise_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(task.keys.epochs, MOST_EPOCHS)
        self._noise_keys = self.pad(noise_keys) if conditions.noise is not None else None
        everywhere = (self._hyperparameters, task.pool, trained_at, conditions)
        self._shared = jax.tree.map(lambda leaf: place(leaf, self._on_all), everywhere)
        self.training, self.evaluation = self._compiled()
        self.compile_seconds = time.perf_counter() - started

    def pad(self, tree: Any) -> Any:
        """Arrays of all repeats, spread over the devices, with copies of the last repeat where they do not divide."""
        if self._padding:
            last = lambda leaf: jnp.concatenate([leaf, jnp.repeat(leaf[-1:], self._padding, axis=0)])  # noqa: E731
            tree = jax.tree.map(last, tree)
        return jax.tree.map(lambda leaf: place(leaf, self._spread), tree)

    def start(self) -> Snapshot:
        """All repeats before their first epoch."""
        start = compile_start(self._layout, self._mesh)
        progress = start(self._shared[0], self.pad(self._keys.initial))
        return Snapshot(0, jax.block_until_ready(progress), None)  # else the first chunk would seem slow

    def shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of every array of the repeats' own progress, by its path ("state/parameters/output/bias")."""
        return _named(self._shapes(self.repeats))

    def host_arrays(self, progress: Progress) -> dict[str, np.ndarray]:
        """The repeats' own progress on the host of the first process, by path; nothing in the others. A copy."""
        gathered = {name: gather_on_first(leaf) for name, leaf in _named(progress).items()}
        return {name: leaf[: self.repeats] for name, leaf in gathered.items() if leaf is not None}

    def progress_from(self, arrays: Mapping[str, np.ndarray]) -> Progress:
        """The opposite of `host_arrays`, on the devices there are now: `arrays` are those of the first process."""
        shapes, total = self._shapes(self.repeats), self.repeats + self._padding

        def place_named(name: str, shape: jax.ShapeDtypeStruct) -> jax.Array:
            def rows_of(rows: slice) -> np.ndarray:
                return arrays[name][np.minimum(np.arange(rows.start, rows.stop), self.repeats - 1)]

            return scatter_from_first(rows_of, (total, *shape.shape[1:]), shape.dtype, self._spread)

        placed = [place_named(name, shape) for name, shape in _named(shapes).items()]
        return jax.tree.unflatten(jax.tree.structure(shapes), placed)

    def stretch_from(self, arrays: Mapping[str, np.ndarray]) -> Stretch:
        """The opposite of `Stretch.arrays`, on the devices there are now."""
        return Stretch.from_arrays(arrays, self.repeats + self._padding)

    def continue_from(
        self, snapshot: Snapshot, epochs: int, chunk_seconds: float = CHUNK_SECONDS
    ) -> Iterator[Snapshot]:
        """Train to `epochs`, giving a snapshot after every chunk, which takes about `chunk_seconds` (infinity: as much as can be).

        A stretch that has begun is ended as it began. A snapshot's progress is gone once the next one is asked for: its
        buffers are reused.
        """
        if snapshot.stretch is not None and not self._groups.are_level(snapshot.stretch):
            later = snapshot
            for later in self._one_at_a_time(snapshot, chunk_seconds):
                yield later
            snapshot = later._replace(progress=self.progress_from(self.host_arrays(later.progress)))
        while snapshot.epoch < epochs:
            if snapshot.stretch is None:
                snapshot = snapshot._replace(stretch=self._stretch_after(snapshot.epoch, epochs))
            snapshot = self._with_history(self._after_chunk(snapshot, chunk_seconds))
            yield snapshot

    def _stretch_after(self, epoch: int, epochs: int) -> Stretch:
        count = min(self.evaluate_every - epoch % self.evaluate_every, epochs - epoch)
        nothing = np.zeros(self.repeats + self._padding, np.int32)
        blocks = count * blocks_of(self._layout.trainer, self._galaxies)
        return Stretch(self.repeats, epoch + count, blocks, self._layout.conditions, nothing, nothing)

    def _after_chunk(self, snapshot: Snapshot, chunk_seconds: float) -> Snapshot:
        """One chunk later: of training, or once every repeat has trained to the end of the stretch, of evaluation."""
        epoch, (state, measured), _, stretch, _ = snapshot
        assert stretch is not None
        kind: Kind = "train" if (stretch.trained < stretch.blocks).any() else "evaluate"
        done, total = (stretch.trained, stretch.blocks) if kind == "train" else (stretch.evaluated, stretch.conditions)
        # The smallest of all processes, whose clocks differ.
        part = self._groups.next_part(done, total, -processes.all_reduce_max(-self._pace.units(kind, chunk_seconds)))
        units, started = self._groups.units_of(part), time.monotonic()
        self.chunk_ends = started + self._pace.seconds(kind, units)
        begin, end = (place(array, self._spread) for array in (part.begin, part.end))
        groups, first_epoch = (place(array, self._on_all) for array in (part.groups, np.int32(epoch)))
        hyperparameters, pool, trained_at, conditions = self._shared
        if kind == "train":
            own = ToTrain(self._epoch_keys, self._draw.train, self._sky, self._noise)
            shared = (groups, first_epoch, hyperparameters, pool, trained_at)
            state, sums = self.training((state, measured.sums), (own, (begin, end)), shared)
            measured, stretch = measured._replace(sums=sums), stretch._replace(trained=part.end)
        else:
            evaluated = self._to_evaluate(state.parameters)
            shown = (groups, pool, conditions, trained_at)
            found = self.evaluation((measured.test, measured.validation), (evaluated, (begin, end)), shown)
            measured, stretch = Measured(measured.sums, *found), stretch._replace(evaluated=part.end)
        jax.block_until_ready(measured)
        self._pace.measured(kind, units, time.monotonic() - started)
        return snapshot._replace(progress=Progress(state, measured), stretch=stretch)

    def _to_evaluate(self, parameters: Any) -> ToEvaluate:
        return ToEvaluate(parameters, self._draw.test, self._validated, self._sky, self._noise_keys)

    def _with_history(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, or where every repeat is evaluated, one at the end of the stretch."""
        epoch, progress, history, stretch, best = snapshot
        assert stretch is not None
        if (stretch.evaluated < stretch.conditions).any():
            return snapshot
        own = jax.tree.map(lambda leaf: gather(leaf)[: self.repeats], progress.measured)
        measured = _to_history(stretch.until, stretch.until - epoch, own, self._galaxies)
        if history is not None:
            in_turn = stretch.until % self.evaluate_every == 0
            measured = history.extended(measured, in_turn=in_turn)
        assert measured.predicted_epoch is not None
        if self.kept and own.validation is not None and measured.predicted_epoch[0] == stretch.until:
            best = self.first_networks(progress.state, self.kept)
        return Snapshot(stretch.until, progress, measured, best=best)

    def first_networks(self, state: TrainingState, count: int) -> dict[str, np.ndarray]:
        """Parameters of the first `count` repeats by path, on the host of the first process. A copy."""
        found = {name: gather_on_first(leaf, count) for name, leaf in _named(state.parameters).items()}
        return {name: leaf for name, leaf in found.items() if leaf is not None}

    def _one_at_a_time(self, snapshot: Snapshot, chunk_seconds: float) -> Iterator[Snapshot]:
        """To the end of a stretch on which repeats are not equally far, so that they cannot be computed side by side."""
        assert snapshot.stretch is not None
        alone = RepeatProgram(self.task, self._config, self.execution._replace(repeats_at_once=1))
        stretch = alone.stretch_from(snapshot.stretch.arrays())
        progress = alone.progress_from(self.host_arrays(snapshot.progress))
        return alone.continue_from(
            snapshot._replace(progress=progress, stretch=stretch), snapshot.stretch.until, chunk_seconds
        )

    def _shapes(self, repeats: int) -> Progress:
        """Shapes and dtypes of the progress of so many repeats."""
        start = functools.partial(start_all, self._layout)
        return jax.eval_shape(
            lambda hyperparameters, key: start(hyperparameters, jnp.broadcast_to(key, (repeats,))),
            self._hyperparameters,
            self._keys.initial[0],
        )

    def _compiled(self) -> tuple[jax.stages.Compiled, jax.stages.Compiled]:
        """The program that trains and the one that evaluates."""
        state, measured = self._shapes(self.repeats + self._padding)
        hyperparameters, pool, trained_at, conditions = self._shared
        count, pair, number = (jax.ShapeDtypeStruct(shape, jnp.int32) for shape in (self._epoch_keys.shape, (2,), ()))
        training = (
            (state, measured.sums),
            (ToTrain(self._epoch_keys, self._draw.train, self._sky, self._noise), (count, count)),
            (pair, number, hyperparameters, pool, trained_at),
        )
        evaluation = (
            (measured.test, measured.validation),
            (self._to_evaluate(state.parameters), (count, count)),
            (pair, pool, conditions, trained_at),
        )
        compiling = (self._layout, self.execution, self._mesh)
        return compile_training(*compiling, training), compile_evaluation(*compiling, evaluation)


def _named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths, in its order."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _to_history(epoch: int, count: int, measured: Measured, galaxies: int) -> History:
    """History of a stretch of `count` epochs that ends with `epoch`; sums over so many `galaxies` become means."""
    sums, test, validation = measured
    loss, correct = (np.asarray(total[:, :count]) * np.float32(1 / galaxies) for total in sums)
    return History(
        train_loss=loss,
        train_accuracy=correct,
        evaluated_epoch=np.array([epoch]),
        test_confusion=np.asarray(test.confusion)[:, None],
        test_loss=np.asarray(test.loss)[:, None],
        predictions=np.repeat(np.asarray(test.probabilities)[:, None], 1 if validation is None else 2, axis=1),
        predicted_epoch=np.full(1 if validation is None else 2, epoch),
        validation_confusion=None if validation is None else np.asarray(validation.confusion)[:, None],
        validation_loss=None if validation is None else np.asarray(validation.loss)[:, None],
        test_auc=np.asarray(test.auc)[:, None],
        test_recalibrated_confusion=np.asarray(test.recalibrated_confusion)[:, None],
    )
