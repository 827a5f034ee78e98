"""All repeats in one compiled program, spread over devices, in chunks of a few seconds; evaluated after every few epochs."""

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Key

from galjax.config.jax_settings import PRNG
from galjax.draw import Draw
from galjax.training import processes
from galjax.training.chunks import CHUNK_SECONDS, Groups, Kind, Pace, Stretch
from galjax.training.execution import Execution
from galjax.training.history import History
from galjax.training.placement import gather, gather_on_first, place, scatter_from_first
from galjax.training.step import (
    Conditions,
    Evaluation,
    Galaxies,
    Hyperparameters,
    Parameters,
    Pool,
    StepMeasures,
    Trainer,
    TrainingState,
    blocks_of,
    evaluate_one,
    initialise,
    scaling_of,
    see,
    train_blocks,
)


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


class Measured(NamedTuple):
    """What a stretch gives besides the state; a repeat axis leads every array."""

    sums: StepMeasures
    """Measures of the stretch's epochs so far, each "repeat epoch": losses summed over galaxies, and the number of correct ones."""
    test: Evaluation
    """Under the conditions evaluated so far."""
    validation: Evaluation | None


class Progress(NamedTuple):
    """What the repeats, and what fills up the devices, have come to; a repeat axis leads every leaf."""

    state: TrainingState
    measured: Measured


class Snapshot(NamedTuple):
    """Where a run stands after a chunk: enough to resume from, bit for bit."""

    epoch: int
    """Epochs after which all repeats were last evaluated."""
    progress: Progress
    history: History | None
    """What was measured up to that epoch; None before the first evaluation."""
    stretch: Stretch | None = None
    """How far the repeats are towards the next evaluation; None at an evaluation."""

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

    def __init__(
        self,
        trainer: Trainer,
        hyperparameters: Hyperparameters,
        pool: Pool,
        draw: Draw,
        trained_at: Conditions,
        conditions: Conditions,
        keys: RepeatKeys,
        evaluate_every: int,
        execution: Execution,
    ) -> None:
        """Train on galaxies as the one condition `trained_at` shows them, and evaluate under every one of `conditions`."""
        self.evaluate_every = evaluate_every
        self.repeats = len(keys.initial)
        self.chunk_ends = math.nan
        """When the chunk under way should end, on the clock of `time.monotonic`; NaN where that is not known."""
        self._given = (trainer, hyperparameters, pool, draw, trained_at, conditions, keys, evaluate_every)
        self._hyperparameters, self._keys, self._execution = hyperparameters, keys, execution
        self._pace = Pace()
        _, _, height, width, bands = pool.images.shape
        has_validation = draw.validation.shape[1] > 0
        shape, seen = (height, width, bands), len(conditions.view)
        self._layout = _Layout(trainer, shape, evaluate_every, seen, has_validation)
        self._galaxies = draw.train.shape[1]
        self._mesh = Mesh(np.array(jax.devices()[: execution.devices]), (REPEAT,))
        self._on_all, self._spread = (NamedSharding(self._mesh, PartitionSpec(*axis)) for axis in ((), (REPEAT,)))
        self._groups = Groups(execution.devices, execution.repeats_at_once)
        self._padding = -self.repeats % (execution.devices * execution.repeats_at_once)
        started = time.perf_counter()
        self._epoch_keys, self._draw = self.pad((keys.epochs, draw))
        self._evaluated_galaxies = (self._draw.test, self._draw.validation if has_validation else None)
        everywhere = (hyperparameters, pool, trained_at, conditions)
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
        start = _spread_start(self._layout, self._mesh)
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
        epoch, (state, measured), _, stretch = snapshot
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
            own = (self._epoch_keys, self._draw.train, begin, end)
            shared = (groups, first_epoch, hyperparameters, pool, trained_at)
            state, sums = self.training((state, measured.sums), own, shared)
            measured, stretch = measured._replace(sums=sums), stretch._replace(trained=part.end)
        else:
            own = (state.parameters, self._evaluated_galaxies, begin, end)
            found = self.evaluation((measured.test, measured.validation), own, (groups, pool, conditions))
            measured, stretch = Measured(measured.sums, *found), stretch._replace(evaluated=part.end)
        jax.block_until_ready(measured)
        self._pace.measured(kind, units, time.monotonic() - started)
        return snapshot._replace(progress=Progress(state, measured), stretch=stretch)

    def _with_history(self, snapshot: Snapshot) -> Snapshot:
        """The same snapshot, or where every repeat is evaluated, one at the end of the stretch."""
        epoch, progress, history, stretch = snapshot
        assert stretch is not None
        if (stretch.evaluated < stretch.conditions).any():
            return snapshot
        own = jax.tree.map(lambda leaf: gather(leaf)[: self.repeats], progress.measured)
        measured = _to_history(stretch.until, stretch.until - epoch, own, self._galaxies)
        return Snapshot(stretch.until, progress, measured if history is None else history.extended(measured))

    def _one_at_a_time(self, snapshot: Snapshot, chunk_seconds: float) -> Iterator[Snapshot]:
        """To the end of a stretch on which repeats are not equally far, so that they cannot be computed side by side."""
        assert snapshot.stretch is not None
        alone = RepeatProgram(*self._given, self._execution._replace(repeats_at_once=1))
        stretch = alone.stretch_from(snapshot.stretch.arrays())
        progress = alone.progress_from(self.host_arrays(snapshot.progress))
        return alone.continue_from(
            snapshot._replace(progress=progress, stretch=stretch), snapshot.stretch.until, chunk_seconds
        )

    def _shapes(self, repeats: int) -> Progress:
        """Shapes and dtypes of the progress of so many repeats."""
        start = functools.partial(_start, self._layout)
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
            (self._epoch_keys, self._draw.train, count, count),
            (pair, number, hyperparameters, pool, trained_at),
        )
        evaluation = (
            (measured.test, measured.validation),
            (state.parameters, self._evaluated_galaxies, count, count),
            (pair, pool, conditions),
        )
        train, evaluate = (
            _compile(function, self._layout.trainer, self._execution, self._mesh, *_shapes_of(arguments))
            for function, arguments in ((_train, training), (_evaluate, evaluation))
        )
        return train, evaluate


REPEAT = "repeat"
"""The mesh axis."""


def _named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths, in its order."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }


class _Layout(NamedTuple):
    """What decides the shapes of a program's progress."""

    trainer: Trainer
    image_shape: tuple[int, int, int]
    epochs: int
    """Most of them in a stretch."""
    conditions: int
    has_validation: bool


def _start(layout: _Layout, hyperparameters: Hyperparameters, keys: Key[Array, " repeat"]) -> Progress:
    """All repeats before their first epoch."""
    trainer, image_shape, epochs, conditions, has_validation = layout
    # One after the other: the random bits of all repeats at once take three times the memory of their weights.
    state = jax.lax.map(lambda key: initialise(trainer, hyperparameters, key, image_shape), keys)
    repeats, classes = len(keys), trainer.network.num_classes

    def nothing() -> Evaluation:
        return Evaluation(
            jnp.zeros((repeats, conditions, classes, classes), jnp.int32), jnp.zeros((repeats, conditions))
        )

    sums = StepMeasures(jnp.zeros((repeats, epochs)), jnp.zeros((repeats, epochs)))
    return Progress(state, Measured(sums, nothing(), nothing() if has_validation else None))


@functools.lru_cache(maxsize=8)
def _spread_start(layout: _Layout, mesh: Mesh) -> Any:
    """`_start` on every device of the mesh for its own repeats."""
    own, shared = PartitionSpec(REPEAT), PartitionSpec()
    start = functools.partial(_start, layout)
    spread = jax.shard_map(start, mesh=mesh, in_specs=(shared, own), out_specs=own, check_vma=False)
    return jax.jit(spread, out_shardings=NamedSharding(mesh, own))


def _shapes_of(arguments: Any) -> tuple[jax.tree_util.PyTreeDef, tuple[jax.ShapeDtypeStruct, ...]]:
    leaves, structure = jax.tree.flatten(arguments)
    return structure, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)


@functools.lru_cache(maxsize=16)
def _compile(
    function: Callable[..., Any],
    trainer: Trainer,
    execution: Execution,
    mesh: Mesh,
    structure: jax.tree_util.PyTreeDef,
    shapes: tuple[jax.ShapeDtypeStruct, ...],
) -> jax.stages.Compiled:
    """`_train` or `_evaluate` on every device of the mesh for its own repeats, the first argument updated in place.

    Compiled once for trainings that differ only in galaxies, learning rate or conditions.
    """
    own, shared = PartitionSpec(REPEAT), PartitionSpec()
    specs = (own, own, shared)
    chunk = jax.jit(
        jax.shard_map(
            functools.partial(function, trainer, execution.repeats_at_once),
            mesh=mesh,
            in_specs=specs,
            out_specs=own,
            check_vma=False,
        ),
        in_shardings=tuple(NamedSharding(mesh, spec) for spec in specs),
        out_shardings=NamedSharding(mesh, own),
        donate_argnums=0,
    )
    with jax.default_matmul_precision(execution.matmul_precision):
        return execution.compile(chunk.lower(*jax.tree.unflatten(structure, shapes)))


Trained = tuple[TrainingState, StepMeasures]
"""What a chunk of training gives: the state, and measures summed over each epoch of the stretch."""


def _train(
    trainer: Trainer,
    at_once: int,
    trained: Trained,
    own: tuple[Key[Array, " repeat"], Int[Array, "repeat train"], Int[Array, " repeat"], Int[Array, " repeat"]],
    shared: tuple[Int[Array, " 2"], Int[Array, ""], Hyperparameters, Pool, Conditions],
) -> Trained:
    """Train this device's repeats on the blocks of a `Part`.

    `own` are epoch keys, draws, and the part's begin and end; `shared` are its groups, the first epoch of the stretch, and
    what is the same for all.
    """
    groups, first_epoch, hyperparameters, pool, trained_at = shared

    def one_repeat(trained: Trained, own: tuple[Key[Array, ""], Int[Array, " train"]], span: _Span) -> Trained:
        (key, draw), (begin, end) = own, span
        galaxies = Galaxies(see(pool, draw, trained_at, scaling_of(trainer)), pool.labels[draw])
        blocks = blocks_of(trainer, len(draw))

        def one_epoch(index: Int[Array, ""], trained: Trained) -> Trained:
            state, sums = trained
            first, stop = jnp.maximum(begin - index * blocks, 0), jnp.minimum(end - index * blocks, blocks)
            so_far = jax.tree.map(lambda leaf: jnp.where(first == 0, 0, leaf[index]), sums)
            epoch_key = jax.random.fold_in(key, first_epoch + index)
            state, new = train_blocks(trainer, hyperparameters, (state, so_far), epoch_key, galaxies, (first, stop))
            return state, jax.tree.map(lambda all_, one: all_.at[index].set(one), sums, new)

        return jax.lax.fori_loop(begin // blocks, -(-end // blocks), one_epoch, trained)

    *given, begin, end = own
    return _group_by_group(one_repeat, at_once, trained, tuple(given), (begin, end, groups))


Evaluated = tuple[Evaluation, Evaluation | None]
"""Measures on the test and on the validation galaxies."""


def _evaluate(
    trainer: Trainer,
    at_once: int,
    evaluated: Evaluated,
    own: tuple[Parameters, tuple[Any, Any], Int[Array, " repeat"], Int[Array, " repeat"]],
    shared: tuple[Int[Array, " 2"], Pool, Conditions],
) -> Evaluated:
    """Evaluate this device's repeats under the conditions of a `Part`.

    `own` are parameters, the test and validation galaxies (None without), and the part's begin and end; `shared` are its groups,
    and what is the same for all.
    """
    groups, pool, conditions = shared

    def one_repeat(
        evaluated: Evaluated,
        own: tuple[Parameters, tuple[Int[Array, " test"], Int[Array, " validation"] | None]],
        span: _Span,
    ) -> Evaluated:
        parameters, chosen = own

        def one_condition(index: Int[Array, ""], evaluated: Evaluated) -> Evaluated:
            condition = jax.tree.map(lambda leaf: leaf[index], conditions)
            new = tuple(
                None if galaxies is None else evaluate_one(trainer, parameters, pool, galaxies, condition)
                for galaxies in chosen
            )
            return jax.tree.map(lambda all_, one: all_.at[index].set(one), evaluated, new)

        return jax.lax.fori_loop(*span, one_condition, evaluated)

    parameters, chosen, begin, end = own
    return _group_by_group(one_repeat, at_once, evaluated, (parameters, chosen), (begin, end, groups))


_Span = tuple[Int[Array, ""], Int[Array, ""]]
"""The first unit of work, and the one after the last."""


def _group_by_group(
    one_repeat: Callable[..., Any],
    at_once: int,
    carried: Any,
    own: Any,
    part: tuple[Int[Array, " repeat"], Int[Array, " repeat"], Int[Array, " 2"]],
) -> Any:
    """`one_repeat(carried, own, span)` for the repeats of the part's groups, `at_once` side by side, written in place.

    A repeat axis leads every array of `carried` and `own`; the repeats of a group have the same span.
    """
    begin, end, groups = part
    together = jax.vmap(one_repeat, in_axes=(0, 0, None)) if at_once > 1 else _alone(one_repeat)

    def one_group(group: Int[Array, ""], carried: Any) -> Any:
        first = group * at_once
        mine = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, at_once), (carried, own))
        new = together(*mine, (begin[first], end[first]))
        # Carried and written in place, so that the states are in memory once.
        write = lambda all_, new: jax.lax.dynamic_update_slice_in_dim(all_, new, first, 0)  # noqa: E731
        return jax.tree.map(write, carried, new)

    return jax.lax.fori_loop(groups[0], groups[1], one_group, carried)


def _alone(one_repeat: Callable[..., Any]) -> Callable[..., Any]:
    """`one_repeat` on a group of one, without the batch axis that vmap would put into every layer."""

    def on_group(carried: Any, own: Any, span: Any) -> Any:
        first = jax.tree.map(lambda leaf: leaf[0], (carried, own))
        return jax.tree.map(lambda leaf: leaf[None], one_repeat(*first, span))

    return on_group


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
        validation_confusion=None if validation is None else np.asarray(validation.confusion)[:, None],
        validation_loss=None if validation is None else np.asarray(validation.loss)[:, None],
    )
