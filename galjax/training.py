"""Pure functions that train and evaluate one repeat: knows nothing of other repeats, files or devices."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key

from galjax.errors import InputError
from galjax.lowering import LoweringName
from galjax.network import GalaxyNetwork, InputScaling, NetworkConfig, scale_images
from galjax.resample import apply_matrices

Parameters = Any
"""The nested dict of arrays that Flax makes."""


@dataclasses.dataclass(frozen=True)
class OptimiserConfig:
    """Stochastic gradient descent. The floats are traced: another learning rate costs no retrace."""

    learning_rate: float = 0.003
    """Step size. Not stated in the thesis."""
    momentum: float = 0.0
    """Of the heavy-ball kind, 0 to below 1. Not stated in the thesis; 0 also keeps no second copy of the weights."""
    batch_size: int = 8
    """Galaxies per step; the last batch of an epoch may be smaller (thesis, section 4.1)."""

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < float("inf"):
            raise InputError(f"--learning-rate must be above 0, not {self.learning_rate}.")
        if not 0 <= self.momentum < 1:
            raise InputError(f"--momentum must be at least 0 and below 1, not {self.momentum}.")
        if self.batch_size < 1:
            raise InputError(f"--batch-size must be at least 1, not {self.batch_size}.")


class Hyperparameters(NamedTuple):
    """The traced part of the optimiser."""

    learning_rate: Float[Array, ""]
    momentum: Float[Array, ""]


class Pool(NamedTuple):
    """The galaxies that all repeats draw from, once on the device."""

    images: Float[Array, "galaxy height width band"]
    labels: Int[Array, " galaxy"]


class Conditions(NamedTuple):
    """The resolutions to evaluate at, as `galjax.resample.condition_matrices`."""

    rows: Float[Array, "condition height height"]
    columns: Float[Array, "condition width width"]


class TrainingState(NamedTuple):
    """All that changes while one repeat trains."""

    parameters: Parameters
    optimiser: optax.OptState


class Evaluation(NamedTuple):
    """What one set of galaxies gives under every condition."""

    confusion: Int[Array, "condition class class"]
    """Counts; rows predicted, columns true."""
    loss: Float[Array, " condition"]
    """Mean categorical cross-entropy."""


class Trainer(NamedTuple):
    """The static description of the training: network, batch size, whether there is momentum."""

    network: GalaxyNetwork
    batch_size: int
    has_momentum: bool

    def logits(
        self, parameters: Parameters, images: Float[Array, "batch height width band"], dropout: Key[Array, ""] | None
    ) -> Float[Array, "batch class"]:
        """Of scaled images; with a key units are dropped, as in training."""
        rngs = None if dropout is None else {"dropout": dropout}
        logits = self.network.apply({"params": parameters}, images, train=dropout is not None, rngs=rngs)
        assert isinstance(logits, jax.Array)
        return logits

    def optimiser(self, hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        """Plain SGD or SGD with momentum, as `torch.optim.SGD` and Keras define it."""
        return optax.sgd(hyperparameters.learning_rate, hyperparameters.momentum if self.has_momentum else None)


def make_trainer(
    network: NetworkConfig, optimiser: OptimiserConfig, num_classes: int, lowering: LoweringName
) -> tuple[Trainer, Hyperparameters]:
    """Split a configuration into what is static and what is traced."""
    trainer = Trainer(GalaxyNetwork(network, num_classes, lowering), optimiser.batch_size, optimiser.momentum > 0)
    return trainer, Hyperparameters(jnp.float32(optimiser.learning_rate), jnp.float32(optimiser.momentum))


def scaling_of(trainer: Trainer) -> InputScaling:
    """How the trainer's network wants its images scaled."""
    return trainer.network.config.input_scaling


def initialise(
    trainer: Trainer, hyperparameters: Hyperparameters, key: Key[Array, ""], image_shape: tuple[int, int, int]
) -> TrainingState:
    """Fresh parameters for images of (height, width, band)."""
    parameters = trainer.network.init(key, jnp.zeros((1, *image_shape), jnp.float32), train=False)["params"]
    return TrainingState(parameters, trainer.optimiser(hyperparameters).init(parameters))


def train_step(
    trainer: Trainer,
    hyperparameters: Hyperparameters,
    state: TrainingState,
    key: Key[Array, ""],
    images: Float[Array, "batch height width band"],
    labels: Int[Array, " batch"],
    mask: Float[Array, " batch"],
) -> tuple[TrainingState, Float[Array, ""], Float[Array, ""]]:
    """One SGD step on scaled images; galaxies of mask 0 do not count. Returns summed loss and number right."""

    def mean_loss(parameters: Parameters) -> tuple[Float[Array, ""], tuple[Float[Array, ""], Float[Array, ""]]]:
        logits = trainer.logits(parameters, images, key)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels) * mask
        right = jnp.where(logits.argmax(axis=-1) == labels, mask, 0.0).sum()
        return losses.sum() / mask.sum(), (losses.sum(), right)

    gradients, (loss, right) = jax.grad(mean_loss, has_aux=True)(state.parameters)
    updates, optimiser = trainer.optimiser(hyperparameters).update(gradients, state.optimiser, state.parameters)
    return TrainingState(optax.apply_updates(state.parameters, updates), optimiser), loss, right


def train_epoch(
    trainer: Trainer,
    hyperparameters: Hyperparameters,
    state: TrainingState,
    key: Key[Array, ""],
    pool: Pool,
    chosen: Int[Array, " train"],
) -> tuple[TrainingState, Float[Array, ""], Float[Array, ""]]:
    """One pass over the `chosen` galaxies of the pool (scaled images) in a new order.

    Returns the state, and mean loss and accuracy over the epoch as the network was while it learned (with dropout).
    """
    shuffle_key, dropout_key = jax.random.split(key)
    count, batch = len(chosen), trainer.batch_size
    steps = -(-count // batch)
    order = jnp.pad(jax.random.permutation(shuffle_key, chosen), (0, steps * batch - count)).reshape(steps, batch)
    mask = (jnp.arange(steps * batch) < count).astype(jnp.float32).reshape(steps, batch)

    def step(
        state: TrainingState, batch: tuple[Int[Array, ""], Int[Array, " batch"], Float[Array, " batch"]]
    ) -> tuple[TrainingState, tuple[Float[Array, ""], Float[Array, ""]]]:
        number, galaxies, mask = batch
        key = jax.random.fold_in(dropout_key, number)
        images, labels = pool.images[galaxies], pool.labels[galaxies]
        state, loss, right = train_step(trainer, hyperparameters, state, key, images, labels, mask)
        return state, (loss, right)

    state, (losses, rights) = jax.lax.scan(step, state, (jnp.arange(steps), order, mask))
    return state, losses.sum() / count, rights.sum() / count


def evaluate(
    trainer: Trainer,
    parameters: Parameters,
    pool: Pool,
    chosen: Int[Array, " test"],
    conditions: Conditions,
    batch_size: int = 8,
) -> Evaluation:
    """Degrade the `chosen` galaxies of the pool (pixels as the source gave them), scale, classify and count.

    Shrinking and enlarging come before the scaling, as for images of a coarser survey. `batch_size` bounds memory and
    changes nothing else; 8, whose patches stay in the cache, takes 0.6 of the time of 32 on a CPU.
    """
    count, num_classes = len(chosen), trainer.network.num_classes
    batches = -(-count // batch_size)
    padded = jnp.pad(chosen, (0, batches * batch_size - count)).reshape(batches, batch_size)
    mask = (jnp.arange(batches * batch_size) < count).reshape(batches, batch_size)

    def one_batch(
        matrices: Conditions, galaxies: Int[Array, " batch"], mask: Array
    ) -> tuple[Int[Array, "class class"], Float[Array, ""]]:
        bands_first = jnp.moveaxis(pool.images[galaxies], -1, 1)
        degraded = jnp.moveaxis(apply_matrices(bands_first, matrices.rows, matrices.columns), 1, -1)
        images, labels = scale_images(degraded, scaling_of(trainer)), pool.labels[galaxies]
        logits = trainer.logits(parameters, images, None)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        flat = jnp.where(mask, logits.argmax(axis=-1).astype(labels.dtype) * num_classes + labels, -1)
        confusion = (flat[:, None] == jnp.arange(num_classes**2)).sum(axis=0, dtype=jnp.int32)
        return confusion.reshape(num_classes, num_classes), jnp.where(mask, losses, 0.0).sum()

    def one_condition(matrices: Conditions) -> tuple[Int[Array, "class class"], Float[Array, ""]]:
        confusions, losses = jax.lax.map(lambda batch: one_batch(matrices, *batch), (padded, mask))
        return confusions.sum(axis=0), losses.sum() / count

    return Evaluation(*jax.lax.map(one_condition, conditions))
