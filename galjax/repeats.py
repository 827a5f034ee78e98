"""All repeats in one compiled program: vmap over repeats, chunks of epochs, an evaluation at the end of each chunk."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from galjax.draw import Draw
from galjax.network import scale_images
from galjax.training import (
    Conditions,
    Evaluation,
    Hyperparameters,
    Pool,
    Trainer,
    TrainingState,
    evaluate,
    initialise,
    scaling_of,
    train_epoch,
)


class RepeatKeys(NamedTuple):
    """The randomness of every repeat: which galaxies, which starting weights, and the order and dropout of epochs."""

    draw: Key[Array, " repeat"]
    initial: Key[Array, " repeat"]
    epochs: Key[Array, " repeat"]


def repeat_keys(seed: int, repeats: Sequence[int]) -> RepeatKeys:
    """Keys by `fold_in(key(seed), repeat)`, so that repeat 7 alone has the keys of repeat 7 among 30."""
    keys = jax.vmap(lambda repeat: jax.random.split(jax.random.fold_in(jax.random.key(seed), repeat), 3))(
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

    def arrays(self) -> dict[str, np.ndarray]:
        """The measurements by name, without those that were not made."""
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: array for name, array in named.items() if array is not None}


class Snapshot(NamedTuple):
    """Where a run stands after a chunk: enough to go on from, bit for bit."""

    epoch: int
    state: TrainingState
    """Of all repeats; every leaf has a leading repeat axis."""
    history: History | None


class RepeatProgram:
    """The compiled training and evaluation of all repeats of one draw.

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
        conditions: Conditions,
        keys: RepeatKeys,
        evaluate_every: int,
    ) -> None:
        self.evaluate_every = evaluate_every
        self._trainer, self._hyperparameters, self._keys = trainer, hyperparameters, keys
        self._image_shape = (pool.images.shape[1], pool.images.shape[2], pool.images.shape[3])
        started = time.perf_counter()
        with jax.default_matmul_precision("float32"):
            scaled = Pool(jax.jit(scale_images, static_argnums=1)(pool.images, scaling_of(trainer)), pool.labels)
            self._fixed = (hyperparameters, keys.epochs, pool, scaled, draw, conditions)
            run_chunk = jax.jit(_chunk, static_argnums=(0, 1), donate_argnums=2)
            state = jax.eval_shape(self._initialise, keys.initial)
            count = jax.ShapeDtypeStruct((), jnp.int32)
            lowered = run_chunk.lower(trainer, evaluate_every, state, count, count, *self._fixed)
            self._compiled = _compile(lowered)
        self.compile_seconds = time.perf_counter() - started

    def _initialise(self, keys: Key[Array, " repeat"]) -> TrainingState:
        return jax.vmap(lambda key: initialise(self._trainer, self._hyperparameters, key, self._image_shape))(keys)

    def start(self) -> Snapshot:
        """All repeats before their first epoch."""
        return Snapshot(0, jax.jit(self._initialise)(self._keys.initial), None)

    def state_shapes(self) -> TrainingState:
        """Shapes and dtypes of a snapshot's state, for reading one back from disk."""
        return jax.eval_shape(self._initialise, self._keys.initial)

    def continue_from(self, snapshot: Snapshot, epochs: int) -> Iterator[Snapshot]:
        """Train to `epochs`, giving a snapshot after every chunk. A snapshot's state is gone once the next one is asked
        for: its buffers are reused."""
        epoch, state, history = snapshot
        while epoch < epochs:
            count = min(self.evaluate_every - epoch % self.evaluate_every, epochs - epoch)
            state, losses, accuracies, test, validation = self._compiled(
                state, jnp.int32(epoch), jnp.int32(count), *self._fixed
            )
            epoch += count
            chunk = _to_history(epoch, losses[:, :count], accuracies[:, :count], test, validation)
            history = chunk if history is None else history.extended(chunk)
            yield Snapshot(epoch, state, history)


CPU_COMPILER_OPTIONS: dict[str, str | bool] = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""Without it XLA:CPU copies all weights in every step."""


def _compile(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compile, on a CPU with its options where this jaxlib knows them."""
    if jax.default_backend() != "cpu":
        return lowered.compile()
    try:
        return lowered.compile(compiler_options=CPU_COMPILER_OPTIONS)
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return lowered.compile()  # The same results, about a fifth slower.


def _chunk(
    trainer: Trainer,
    capacity: int,
    states: TrainingState,
    first_epoch: Int[Array, ""],
    count: Int[Array, ""],
    hyperparameters: Hyperparameters,
    epoch_keys: Key[Array, " repeat"],
    pool: Pool,
    scaled_pool: Pool,
    draw: Draw,
    conditions: Conditions,
) -> tuple[
    TrainingState, Float[Array, "repeat epoch"], Float[Array, "repeat epoch"], Evaluation, Evaluation | None
]:  # fmt: skip
    """Train `count` <= `capacity` epochs of every repeat, then evaluate. Only the first `count` measurements are set."""

    def one_repeat(
        state: TrainingState, key: Key[Array, ""], draw: Draw
    ) -> tuple[TrainingState, Array, Array, Evaluation, Evaluation | None]:
        def one_epoch(
            index: Int[Array, ""], carry: tuple[TrainingState, Float[Array, " epoch"], Float[Array, " epoch"]]
        ) -> tuple[TrainingState, Float[Array, " epoch"], Float[Array, " epoch"]]:
            state, losses, accuracies = carry
            epoch_key = jax.random.fold_in(key, first_epoch + index)
            state, loss, accuracy = train_epoch(trainer, hyperparameters, state, epoch_key, scaled_pool, draw.train)
            return state, losses.at[index].set(loss), accuracies.at[index].set(accuracy)

        unset = jnp.full(capacity, jnp.nan, jnp.float32)
        state, losses, accuracies = jax.lax.fori_loop(jnp.int32(0), count, one_epoch, (state, unset, unset))
        test = evaluate(trainer, state.parameters, pool, draw.test, conditions)
        has_validation = draw.validation.shape[0] > 0
        validation = evaluate(trainer, state.parameters, pool, draw.validation, conditions) if has_validation else None
        return state, losses, accuracies, test, validation

    return jax.vmap(one_repeat)(states, epoch_keys, draw)


def _to_history(
    epoch: int, losses: Array, accuracies: Array, test: Evaluation, validation: Evaluation | None
) -> History:
    def host(array: Array) -> np.ndarray:
        return np.asarray(jax.device_get(array))

    return History(
        train_loss=host(losses),
        train_accuracy=host(accuracies),
        evaluated_epoch=np.array([epoch]),
        test_confusion=host(test.confusion)[:, None],
        test_loss=host(test.loss)[:, None],
        validation_confusion=None if validation is None else host(validation.confusion)[:, None],
        validation_loss=None if validation is None else host(validation.loss)[:, None],
    )
