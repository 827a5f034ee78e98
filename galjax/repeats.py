"""All repeats in one compiled program, spread over devices; chunks of epochs, an evaluation at the end of each chunk."""

import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from galjax.draw import Draw
from galjax.execution import Execution
from galjax.jax_settings import PRNG
from galjax.placement import gather, gather_on_first, place, scatter_from_first
from galjax.training import (
    Conditions,
    Evaluation,
    Galaxies,
    Hyperparameters,
    Pool,
    Trainer,
    TrainingState,
    evaluate,
    initialise,
    scaling_of,
    see,
    train_epoch,
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


@dataclasses.dataclass(frozen=True)
class History:
    """Everything measured on the way, on the host. The first axis of every measurement is the repeat."""

    train_loss: Float[np.ndarray, "repeat epoch"]
    """Mean over the epoch while the network learns, with dropout."""
    train_accuracy: Float[np.ndarray, "repeat epoch"]
    evaluated_epoch: Int[np.ndarray, " evaluation"]
    """Epochs trained when each evaluation was made, from 1."""
    test_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"]
    test_loss: Float[np.ndarray, "repeat evaluation condition"]
    validation_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"] | None = None
    validation_loss: Float[np.ndarray, "repeat evaluation condition"] | None = None

    def extended(self, later: "History") -> "History":
        """This history followed by a later one of the same repeats."""
        joined: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            ours, theirs = getattr(self, field.name), getattr(later, field.name)
            joined[field.name] = None if ours is None else np.concatenate(
                [ours, theirs], axis=0 if field.name == "evaluated_epoch" else 1
            )  # fmt: skip
        return dataclasses.replace(self, **joined)

    def evaluated_every(self, every: int, last: int) -> "History":
        """With the evaluations alone that a training to epoch `last` makes, one `every` so many epochs and one at its end."""
        kept = (self.evaluated_epoch % every == 0) | (self.evaluated_epoch == last)
        measured = {
            name: array[kept] if name == "evaluated_epoch" else array[:, kept]
            for name, array in self.arrays().items()
            if not name.startswith("train_")
        }
        return dataclasses.replace(self, **measured)

    def arrays(self) -> dict[str, np.ndarray]:
        """The measurements by name, without those that were not made."""
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: array for name, array in named.items() if array is not None}


class Snapshot(NamedTuple):
    """Where a run stands after a chunk: enough to go on from, bit for bit."""

    epoch: int
    state: TrainingState
    """Of all repeats and what fills up the devices (see `RepeatProgram.state_arrays`); a repeat axis leads every leaf."""
    history: History | None


class Measured(NamedTuple):
    """What a chunk gives besides the state; a repeat axis leads every array. Only the epochs trained are set."""

    loss: Float[Array, "repeat epoch"]
    accuracy: Float[Array, "repeat epoch"]
    test: Evaluation
    validation: Evaluation | None


class RepeatProgram:
    """The compiled training and evaluation of all repeats of one draw.

    The repeats are spread over `execution.devices` devices on a mesh axis; each device computes
    `execution.repeats_at_once` side by side (vmap) and such groups one after the other. Where the numbers do not divide,
    copies of the last repeat fill up the rest; they are in no history and no checkpoint. No device waits for another
    within a chunk.

    One chunk trains up to `evaluate_every` epochs and then evaluates; the number of epochs in a chunk is traced, so a
    shorter last chunk needs no second program. The program is compiled ahead of time, and arguments of any other shape
    are an error instead of a silent retrace.
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
        self._trainer, self._hyperparameters, self._keys = trainer, hyperparameters, keys
        _, _, height, width, bands = pool.images.shape
        self._image_shape = (height, width, bands)
        self._mesh = Mesh(np.array(jax.devices()[: execution.devices]), (REPEAT,))
        self._on_all, self._spread = (NamedSharding(self._mesh, PartitionSpec(*axis)) for axis in ((), (REPEAT,)))
        granule = execution.devices * execution.repeats_at_once
        self._padding = -self.repeats % granule
        started = time.perf_counter()
        self._own = self.filled_up((keys.epochs, draw))
        everywhere = (hyperparameters, pool, trained_at, conditions)
        self._shared = jax.tree.map(lambda leaf: place(leaf, self._on_all), everywhere)
        state = jax.eval_shape(self._initialise, hyperparameters, self.filled_up(keys.initial))
        count = jax.ShapeDtypeStruct((), jnp.int32)
        arguments = (state, *self._own, count, count, *self._shared)
        leaves, structure = jax.tree.flatten(arguments)
        shapes = tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
        self.compiled = _compile_chunk(trainer, evaluate_every, execution, self._mesh, structure, shapes)
        self.compile_seconds = time.perf_counter() - started

    def filled_up(self, tree: Any) -> Any:
        """Arrays of all repeats, spread over the devices, with copies of the last repeat where they do not divide."""
        if self._padding:
            last = lambda leaf: jnp.concatenate([leaf, jnp.repeat(leaf[-1:], self._padding, axis=0)])  # noqa: E731
            tree = jax.tree.map(last, tree)
        return jax.tree.map(lambda leaf: place(leaf, self._spread), tree)

    @property
    def _initialise(self) -> Any:
        return functools.partial(_initialise_all, self._trainer, self._image_shape)

    def start(self) -> Snapshot:
        """All repeats before their first epoch."""
        start = _spread_start(self._trainer, self._image_shape, self._mesh)
        hyperparameters, _, _, _ = self._shared
        return Snapshot(0, start(hyperparameters, self.filled_up(self._keys.initial)), None)

    def state_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shape and dtype of every array of the repeats' own state, by its path ("parameters/output/bias")."""
        return _named(jax.eval_shape(self._initialise, self._hyperparameters, self._keys.initial))

    def state_arrays(self, state: TrainingState) -> dict[str, np.ndarray]:
        """The repeats' own state on the host of the first process, by path; nothing in the others. A copy."""
        gathered = {name: gather_on_first(leaf) for name, leaf in _named(state).items()}
        return {name: leaf[: self.repeats] for name, leaf in gathered.items() if leaf is not None}

    def state_from(self, arrays: Mapping[str, np.ndarray]) -> TrainingState:
        """The opposite of `state_arrays`, on the devices there are now: `arrays` are those of the first process."""
        shapes, total = self.state_shapes(), self.repeats + self._padding

        def place_named(name: str, shape: jax.ShapeDtypeStruct) -> jax.Array:
            def rows_of(rows: slice) -> np.ndarray:
                return arrays[name][np.minimum(np.arange(rows.start, rows.stop), self.repeats - 1)]

            return scatter_from_first(rows_of, (total, *shape.shape[1:]), shape.dtype, self._spread)

        placed = [place_named(name, shape) for name, shape in shapes.items()]
        structure = jax.tree.structure(jax.eval_shape(self._initialise, self._hyperparameters, self._keys.initial))
        return jax.tree.unflatten(structure, placed)

    def continue_from(self, snapshot: Snapshot, epochs: int) -> Iterator[Snapshot]:
        """Train to `epochs`, giving a snapshot after every chunk. A snapshot's state is gone once the next one is asked
        for: its buffers are reused."""
        epoch, state, history = snapshot
        while epoch < epochs:
            count = min(self.evaluate_every - epoch % self.evaluate_every, epochs - epoch)
            state, measured = self.compiled(state, *self._own, np.int32(epoch), np.int32(count), *self._shared)
            epoch += count
            own = jax.tree.map(lambda leaf: gather(leaf)[: self.repeats], measured)
            chunk = _to_history(epoch, count, own)
            history = chunk if history is None else history.extended(chunk)
            yield Snapshot(epoch, state, history)


REPEAT = "repeat"
"""The mesh axis."""


def _named(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by their paths, in its order."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in jax.tree.leaves_with_path(tree)
    }


def _initialise_all(
    trainer: Trainer, image_shape: tuple[int, int, int], hyperparameters: Hyperparameters, keys: Key[Array, " repeat"]
) -> TrainingState:
    # One after the other: the random bits of all repeats at once take three times the memory of their weights.
    return jax.lax.map(lambda key: initialise(trainer, hyperparameters, key, image_shape), keys)


@functools.lru_cache(maxsize=8)
def _spread_start(trainer: Trainer, image_shape: tuple[int, int, int], mesh: Mesh) -> Any:
    """`_initialise_all` on every device of the mesh for its own repeats."""
    own, shared = PartitionSpec(REPEAT), PartitionSpec()
    start = functools.partial(_initialise_all, trainer, image_shape)
    spread = jax.shard_map(start, mesh=mesh, in_specs=(shared, own), out_specs=own, check_vma=False)
    return jax.jit(spread, out_shardings=NamedSharding(mesh, own))


@functools.lru_cache(maxsize=8)
def _compile_chunk(
    trainer: Trainer,
    capacity: int,
    execution: Execution,
    mesh: Mesh,
    structure: jax.tree_util.PyTreeDef,
    shapes: tuple[jax.ShapeDtypeStruct, ...],
) -> jax.stages.Compiled:
    """`_chunk` on every device of the mesh for its own repeats, the states updated in place.

    Compiled once for trainings that differ only in galaxies, learning rate or conditions.
    """
    own, shared = PartitionSpec(REPEAT), PartitionSpec()
    specs = (own, own, own, *[shared] * 6)
    chunk = functools.partial(_chunk, trainer, capacity, execution.repeats_at_once)
    run_chunk = jax.jit(
        jax.shard_map(chunk, mesh=mesh, in_specs=specs, out_specs=own, check_vma=False),
        in_shardings=tuple(NamedSharding(mesh, spec) for spec in specs),
        out_shardings=NamedSharding(mesh, own),
        donate_argnums=0,
    )
    with jax.default_matmul_precision(execution.matmul_precision):
        return execution.compile(run_chunk.lower(*jax.tree.unflatten(structure, shapes)))


def _chunk(
    trainer: Trainer,
    capacity: int,
    at_once: int,
    states: TrainingState,
    epoch_keys: Key[Array, " repeat"],
    draw: Draw,
    first_epoch: Int[Array, ""],
    count: Int[Array, ""],
    hyperparameters: Hyperparameters,
    pool: Pool,
    trained_at: Conditions,
    conditions: Conditions,
) -> tuple[TrainingState, Measured]:
    """Train `count` <= `capacity` epochs of every repeat on this device, then evaluate, `at_once` repeats at a time."""

    def one_repeat(state: TrainingState, key: Key[Array, ""], draw: Draw) -> tuple[TrainingState, Measured]:
        images = see(pool, draw.train, trained_at, scaling_of(trainer))
        galaxies = Galaxies(images, pool.labels[draw.train])

        def one_epoch(
            index: Int[Array, ""], carry: tuple[TrainingState, Float[Array, " epoch"], Float[Array, " epoch"]]
        ) -> tuple[TrainingState, Float[Array, " epoch"], Float[Array, " epoch"]]:
            state, losses, accuracies = carry
            epoch_key = jax.random.fold_in(key, first_epoch + index)
            state, loss, accuracy = train_epoch(trainer, hyperparameters, state, epoch_key, galaxies)
            return state, losses.at[index].set(loss), accuracies.at[index].set(accuracy)

        unset = jnp.full(capacity, jnp.nan, jnp.float32)
        state, losses, accuracies = jax.lax.fori_loop(jnp.int32(0), count, one_epoch, (state, unset, unset))
        test = evaluate(trainer, state.parameters, pool, draw.test, conditions)
        has_validation = draw.validation.shape[0] > 0
        validation = evaluate(trainer, state.parameters, pool, draw.validation, conditions) if has_validation else None
        return state, Measured(losses, accuracies, test, validation)

    def one_group(
        states: TrainingState, group: tuple[Int[Array, ""], Key[Array, " repeat"], Draw]
    ) -> tuple[TrainingState, Measured]:
        first, keys, draws = group
        together = jax.vmap(one_repeat) if at_once > 1 else _alone(one_repeat)
        mine = jax.tree.map(lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, first, at_once), states)
        mine, measured = together(mine, keys, draws)
        # The states are carried and written in place, so that they are in memory once.
        write = lambda all_, new: jax.lax.dynamic_update_slice_in_dim(all_, new, first, 0)  # noqa: E731
        return jax.tree.map(write, states, mine), measured

    repeats = len(epoch_keys)
    grouped = jax.tree.map(lambda leaf: leaf.reshape(repeats // at_once, at_once, *leaf.shape[1:]), (epoch_keys, draw))
    states, measured = jax.lax.scan(one_group, states, (jnp.arange(0, repeats, at_once), *grouped))
    return states, jax.tree.map(lambda leaf: leaf.reshape(repeats, *leaf.shape[2:]), measured)


def _alone(function: Any) -> Any:
    """`function` on a group of one, without the batch axis that vmap would put into every layer."""

    def on_group(*group: Any) -> Any:
        first = jax.tree.map(lambda leaf: leaf[0], group)
        return jax.tree.map(lambda leaf: leaf[None], function(*first))

    return on_group


def _to_history(epoch: int, count: int, measured: Measured) -> History:
    test, validation = measured.test, measured.validation
    return History(
        train_loss=np.asarray(measured.loss[:, :count]),
        train_accuracy=np.asarray(measured.accuracy[:, :count]),
        evaluated_epoch=np.array([epoch]),
        test_confusion=np.asarray(test.confusion)[:, None],
        test_loss=np.asarray(test.loss)[:, None],
        validation_confusion=None if validation is None else np.asarray(validation.confusion)[:, None],
        validation_loss=None if validation is None else np.asarray(validation.loss)[:, None],
    )
