"""What one device computes in a chunk: some blocks of the training, or some conditions of the evaluation, of its repeats."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key

from galjax.networks.scaling import Sky
from galjax.training.execution import Execution
from galjax.training.step import (
    Conditions,
    DeviceSample,
    Evaluation,
    Galaxies,
    Hyperparameters,
    Parameters,
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


class Measured(NamedTuple):
    """What a stretch gives besides the state; a repeat axis leads every array."""

    sums: StepMeasures
    """Sums over the galaxies of each epoch of the stretch so far ("repeat epoch"): losses, and how many were correct."""
    test: Evaluation
    """Under the conditions evaluated so far."""
    validation: Evaluation | None
    """Under the condition trained at alone, so without a condition axis."""


class Progress(NamedTuple):
    """What the repeats, and what fills up the devices, have come to; a repeat axis leads every leaf."""

    state: TrainingState
    measured: Measured


class ToTrain(NamedTuple):
    """A repeat's own that its training takes."""

    key: Key[Array, "*repeat"]
    """Its epochs are keyed by it."""
    draw: Int[Array, "*repeat train"]
    """Positions in the pool."""
    sky: Sky | None
    noise: Float[Array, "*repeat band"] | None
    """That of the galaxies' own pixels, one standard deviation; None where no noise is added to them."""


class ToEvaluate(NamedTuple):
    """A repeat's own that its evaluation takes."""

    parameters: Parameters
    tested: Int[Array, "*repeat test"]
    """Positions in the pool."""
    validated: Int[Array, "*repeat validation"] | None
    """None without validation galaxies."""
    sky: Sky | None
    noise_key: Key[Array, "*repeat"] | None
    """None where no condition adds noise."""


Spans = tuple[Int[Array, "*repeat"], Int[Array, "*repeat"]]
"""A repeat's first unit of work in a part (`galjax.training.chunks`), and the one after its last."""

REPEAT = "repeat"
"""The mesh axis."""


class Layout(NamedTuple):
    """What decides the shapes of a program's progress."""

    trainer: Trainer
    image_shape: tuple[int, int, int]
    epochs: int
    """Most of them in a stretch."""
    conditions: int
    tested: int
    """Test galaxies of a repeat."""
    validated: int
    """Validation galaxies of a repeat."""


def start_all(layout: Layout, hyperparameters: Hyperparameters, keys: Key[Array, " repeat"]) -> Progress:
    """All repeats before their first epoch."""
    trainer, image_shape, epochs, conditions, tested, validated = layout
    # One after the other: the random bits of all repeats at once take three times the memory of their weights.
    state = jax.lax.map(lambda key: initialise(trainer, hyperparameters, key, image_shape), keys)
    repeats, classes = len(keys), trainer.network.num_classes

    def nothing(galaxies: int, *axes: int) -> Evaluation:
        counts, each = jnp.zeros((repeats, *axes, classes, classes), jnp.int32), jnp.zeros((repeats, *axes))
        return Evaluation(counts, each, jnp.zeros((repeats, *axes, galaxies, classes)), each, counts)

    sums = StepMeasures(jnp.zeros((repeats, epochs)), jnp.zeros((repeats, epochs)))
    return Progress(state, Measured(sums, nothing(tested, conditions), nothing(validated) if validated else None))


@functools.lru_cache(maxsize=8)
def compile_start(layout: Layout, mesh: Mesh) -> Any:
    """`start_all` on every device of the mesh for its own repeats."""
    own, shared = PartitionSpec(REPEAT), PartitionSpec()
    start = functools.partial(start_all, layout)
    spread = jax.shard_map(start, mesh=mesh, in_specs=(shared, own), out_specs=own, check_vma=False)
    return jax.jit(spread, out_shardings=NamedSharding(mesh, own))


@functools.lru_cache(maxsize=16)
def _compiled(
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
"""What training changes: the state, and measures summed over each epoch of the stretch."""


def _train(
    trainer: Trainer,
    at_once: int,
    trained: Trained,
    own: tuple[ToTrain, Spans],
    shared: tuple[Int[Array, " 2"], Int[Array, ""], Hyperparameters, DeviceSample, Conditions],
) -> Trained:
    """Train this device's repeats on the blocks of a `Part`.

    `shared` are the part's groups, the first epoch of the stretch, and what is the same for all.
    """
    groups, first_epoch, hyperparameters, pool, trained_at = shared

    def one_repeat(trained: Trained, own: ToTrain, span: Spans) -> Trained:
        (key, draw, _, _), (begin, end) = own, span
        galaxies = _seen(trainer, hyperparameters, pool, own, trained_at)
        blocks = blocks_of(trainer, len(draw))

        def one_epoch(index: Int[Array, ""], trained: Trained) -> Trained:
            state, sums = trained
            first, stop = jnp.maximum(begin - index * blocks, 0), jnp.minimum(end - index * blocks, blocks)
            so_far = jax.tree.map(lambda leaf: jnp.where(first == 0, 0, leaf[index]), sums)
            epoch_key = jax.random.fold_in(key, first_epoch + index)
            at_epoch = hyperparameters.at_epoch(first_epoch + index)
            state, new = train_blocks(trainer, at_epoch, (state, so_far), epoch_key, galaxies, (first, stop))
            return state, jax.tree.map(lambda all_, one: all_.at[index].set(one), sums, new)

        return jax.lax.fori_loop(begin // blocks, -(-end // blocks), one_epoch, trained)

    return _group_by_group(one_repeat, at_once, trained, *own, groups)


def _seen(
    trainer: Trainer, hyperparameters: Hyperparameters, pool: DeviceSample, own: ToTrain, trained_at: Conditions
) -> Galaxies:
    """A repeat's training galaxies; where they are augmented, which comes first, they are not scaled."""
    labels = pool.labels[own.draw]
    if hyperparameters.augmentation is None:
        return Galaxies(see(pool, own.draw, trained_at, scaling_of(trainer), own.sky), labels)
    sky = jax.tree.map(lambda value: value[trained_at.view], own.sky)
    return Galaxies(see(pool, own.draw, trained_at, "none"), labels, sky, own.noise)


Evaluated = tuple[Evaluation, Evaluation | None]
"""On the test and on the validation galaxies."""


def _evaluate(
    trainer: Trainer,
    at_once: int,
    evaluated: Evaluated,
    own: tuple[ToEvaluate, Spans],
    shared: tuple[Int[Array, " 2"], DeviceSample, Conditions, Conditions],
) -> Evaluated:
    """Evaluate this device's repeats under the conditions of a `Part`, and with the first of them on the validation galaxies.

    `shared` are the part's groups, and what is the same for all, the condition trained at last.
    """
    groups, pool, conditions, trained_at = shared

    def one_repeat(evaluated: Evaluated, own: ToEvaluate, span: Spans) -> Evaluated:
        (parameters, tested, validated, sky, noise_key), (test, validation), (begin, end) = own, evaluated, span

        def one_condition(index: Int[Array, ""], test: Evaluation) -> Evaluation:
            condition = jax.tree.map(lambda leaf: leaf[index], conditions).of_repeat(noise_key)
            new = evaluate_one(trainer, parameters, pool, tested, condition, sky)
            return jax.tree.map(lambda all_, one: all_.at[index].set(one), test, new)

        if validated is not None:
            validation = jax.lax.cond(
                (begin == 0) & (end > 0),
                lambda: evaluate_one(trainer, parameters, pool, validated, trained_at, sky),
                lambda: validation,
            )
        return jax.lax.fori_loop(begin, end, one_condition, test), validation

    return _group_by_group(one_repeat, at_once, evaluated, *own, groups)


def _group_by_group(
    one_repeat: Callable[..., Any],
    at_once: int,
    carried: Any,
    own: Any,
    spans: Spans,
    groups: Int[Array, " 2"],
) -> Any:
    """`one_repeat(carried, own, span)` for the repeats of these groups, `at_once` side by side, written in place.

    A repeat axis leads every array of `carried` and `own`; the repeats of a group have the same span.
    """
    begin, end = spans
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


def compile_training(layout: Layout, execution: Execution, mesh: Mesh, arguments: Any) -> jax.stages.Compiled:
    """The program that trains, for arguments of these shapes (see `_train`)."""
    return _compiled(_train, layout.trainer, execution, mesh, *_shapes_of(arguments))


def compile_evaluation(layout: Layout, execution: Execution, mesh: Mesh, arguments: Any) -> jax.stages.Compiled:
    """The program that evaluates, for arguments of these shapes (see `_evaluate`)."""
    return _compiled(_evaluate, layout.trainer, execution, mesh, *_shapes_of(arguments))


def _shapes_of(arguments: Any) -> tuple[jax.tree_util.PyTreeDef, tuple[jax.ShapeDtypeStruct, ...]]:
    leaves, structure = jax.tree.flatten(arguments)
    return structure, tuple(jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves)
