"""Pure functions that train and evaluate one repeat: knows nothing of other repeats, files or devices."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, UInt32

from galjax.config.settings import InputScaling, OptimiserConfig
from galjax.metrics import auc, recalibrated
from galjax.networks import delayed_updates as delayed
from galjax.networks.delayed_updates import Parameters
from galjax.networks.network import Network
from galjax.networks.scaling import Sky, scale_images
from galjax.resample import apply_matrices
from galjax.training.augmentation import Augmentation, augmented


class Hyperparameters(NamedTuple):
    """The traced part of how networks learn."""

    learning_rate: Float[Array, ""]
    momentum: Float[Array, ""]
    augmentation: Augmentation | None = None
    """How training images change at random; None where they do not."""
    falls_over: Float[Array, ""] | None = None
    """Epochs in which the learning rate falls to 0 along half a cosine (Loshchilov & Hutter 2017, ICLR, eq. 5, without restarts); None
    where it is constant."""

    def at_epoch(self, epoch: Int[Array, ""]) -> "Hyperparameters":
        """Those of one epoch, counted from 0."""
        if self.falls_over is None:
            return self
        share = epoch.astype(jnp.float32) / self.falls_over
        return self._replace(learning_rate=self.learning_rate * (1 + jnp.cos(jnp.pi * share)) / 2)


class DeviceSample(NamedTuple):
    """The galaxies that all repeats draw from, on the device."""

    images: Float[Array, "view galaxy height width band"]
    """Pixels as the source gave them. Views show the same galaxies, as two instruments do; most pools have one."""
    labels: Int[Array, " galaxy"]


class Noise(NamedTuple):
    """White noise that a coarser survey's pixels have and blurred ones lack; the same for all methods of a factor.

    One condition is the same without the leading axis.
    """

    factor: UInt32[Array, "*condition"]
    deviation: Float[Array, "*condition band"]
    """Standard deviation per coarse pixel."""
    rows: Float[Array, "*condition height height"]
    """Enlarge coarse pixels, which are the first of an axis; columns of zeros fill up the rest."""
    columns: Float[Array, "*condition width width"]
    key: Key[Array, ""] | None = None
    """That of the repeat, once it is known (`Conditions.of_repeat`)."""


class Conditions(NamedTuple):
    """How to see galaxies: in which view, and resampled by which matrices (`galjax.resample.condition_matrices`).

    One condition is the same without the leading axis.
    """

    view: Int[Array, "*condition"]
    rows: Float[Array, "*condition height height"]
    columns: Float[Array, "*condition width width"]
    noise: Noise | None = None
    """Added to the shrunk images; None where no condition adds any."""

    def of_repeat(self, noise_key: Key[Array, ""] | None) -> "Conditions":
        """The same with the noise of one repeat; for one condition."""
        return self if self.noise is None else self._replace(noise=self.noise._replace(key=noise_key))


class Galaxies(NamedTuple):
    """One repeat's own, in the order of its draw."""

    images: Float[Array, "galaxy height width band"]
    """Scaled (`scale_images`); where they are augmented not yet."""
    labels: Int[Array, " galaxy"]
    sky: Sky | None = None
    """That of the view trained at ("band"); for images that are augmented before they are scaled."""
    noise: Float[Array, " band"] | None = None
    """That of the images' own pixels, one standard deviation; where noise is added."""


class TrainingState(NamedTuple):
    """All that changes while one repeat trains."""

    parameters: Parameters
    optimiser: optax.OptState


class Evaluation(NamedTuple):
    """What one set of galaxies gives under every condition, or without the leading axis under one."""

    confusion: Int[Array, "*condition class class"]
    """Counts; rows predicted, columns true."""
    loss: Float[Array, "*condition"]
    """Mean categorical cross-entropy."""
    probabilities: Float[Array, "*condition galaxy class"]
    """Softmax of what the network says of each galaxy."""
    auc: Float[Array, "*condition"]
    """Area under the ROC curve (`galjax.metrics.auc`)."""
    recalibrated_confusion: Int[Array, "*condition class class"]
    """Counts at thresholds fitted under the same condition (`galjax.metrics.recalibrated`)."""


class Trainer(NamedTuple):
    """The static description of the training: what decides shapes or code."""

    network: Network
    batch_size: int
    has_momentum: bool = False
    delayed_steps: int = 1
    """Steps whose updates of the hidden dense kernels are made together (`galjax.networks.delayed_updates`); 1 makes each at once."""
    evaluation_batch: int = 8
    """Images that pass the convolutions together in an evaluation. Bounds memory and changes nothing else."""

    @property
    def steps_per_block(self) -> int:
        """Steps of a block (see `blocks_of`): those whose updates are made together; 1 where there is nothing to delay."""
        return self.delayed_steps if self.network.hidden_layers and not self.has_momentum else 1

    def optimiser(self, hyperparameters: Hyperparameters) -> optax.GradientTransformation:
        """Plain SGD or SGD with momentum, as `torch.optim.SGD` and Keras define it."""
        return optax.sgd(hyperparameters.learning_rate, hyperparameters.momentum if self.has_momentum else None)


def hyperparameters_of(
    optimiser: OptimiserConfig, epochs: int = 1, augmentation: Augmentation | None = None
) -> Hyperparameters:
    """The part of the configuration that is traced."""
    falls_over = None if optimiser.rate_schedule == "constant" else jnp.float32(epochs)
    return Hyperparameters(
        jnp.float32(optimiser.learning_rate), jnp.float32(optimiser.momentum), augmentation, falls_over
    )


def scaling_of(trainer: Trainer) -> InputScaling:
    """How the trainer's network wants its images scaled."""
    return trainer.network.config.input_scaling


def initialise(
    trainer: Trainer, hyperparameters: Hyperparameters, key: Key[Array, ""], image_shape: tuple[int, int, int]
) -> TrainingState:
    """Fresh parameters for images of (height, width, band)."""
    parameters = trainer.network.init(key, jnp.zeros((1, *image_shape), jnp.float32), train=False)["params"]
    return TrainingState(parameters, trainer.optimiser(hyperparameters).init(parameters))


class Batch(NamedTuple):
    """Galaxies of one step."""

    images: Float[Array, "batch height width band"]
    """Scaled (`scale_images`)."""
    labels: Int[Array, " batch"]
    mask: Float[Array, " batch"]
    """0 for galaxies that do not count, else 1."""


class StepMeasures(NamedTuple):
    """What the network made of a batch, with dropout, before it learned from it."""

    loss: Float[Array, ""]
    """Summed over the batch."""
    correct: Float[Array, ""]
    """Number of galaxies that were classified correctly."""


def nothing_measured() -> StepMeasures:
    """Before the first step of an epoch."""
    return StepMeasures(jnp.float32(0), jnp.float32(0))


def train_step(
    trainer: Trainer, hyperparameters: Hyperparameters, state: TrainingState, key: Key[Array, ""], batch: Batch
) -> tuple[TrainingState, StepMeasures]:
    """One SGD step; `key` decides the dropout."""

    def mean_loss(parameters: Parameters) -> tuple[Float[Array, ""], StepMeasures]:
        logits = trainer.network.apply({"params": parameters}, batch.images, train=True, rngs={"dropout": key})
        assert isinstance(logits, jax.Array)
        return _mean_loss(logits, batch)

    gradients, measures = jax.grad(mean_loss, has_aux=True)(state.parameters)
    updates, optimiser = trainer.optimiser(hyperparameters).update(gradients, state.optimiser, state.parameters)
    return TrainingState(optax.apply_updates(state.parameters, updates), optimiser), measures


def _mean_loss(logits: Float[Array, "batch class"], batch: Batch) -> tuple[Float[Array, ""], StepMeasures]:
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels) * batch.mask
    correct = jnp.where(logits.argmax(axis=-1) == batch.labels, batch.mask, 0.0).sum()
    return losses.sum() / batch.mask.sum(), StepMeasures(losses.sum(), correct)


def train_delayed_step(
    trainer: Trainer,
    hyperparameters: Hyperparameters,
    parameters: delayed.Delayed,
    number: Int[Array, ""],
    key: Key[Array, ""],
    batch: Batch,
) -> tuple[delayed.Delayed, StepMeasures]:
    """The same step where the updates of the hidden kernels are delayed: `parameters` hold those of `number` steps before it."""
    rest, kernels, factors = parameters
    unperturbed = {name: {"outputs": jnp.zeros((len(batch.labels), k.shape[1]))} for name, k in kernels.items()}

    def mean_loss(
        rest: Parameters, perturbations: Parameters
    ) -> tuple[Float[Array, ""], tuple[StepMeasures, dict[str, Float[Array, "batch inputs"]]]]:
        variables = {
            "params": delayed.join(rest, kernels),
            "perturbations": perturbations,
            "factors": {name: taken._asdict() for name, taken in factors.items()},
        }
        logits, seen = trainer.network.apply(
            variables, batch.images, train=True, rngs={"dropout": key}, mutable=["intermediates"]
        )
        loss, measures = _mean_loss(logits, batch)
        return loss, (measures, {name: seen["intermediates"][name]["inputs"][0] for name in kernels})

    (to_rest, to_outputs), (measures, inputs) = jax.grad(mean_loss, argnums=(0, 1), has_aux=True)(rest, unperturbed)
    optimiser = trainer.optimiser(hyperparameters)
    updates, _ = optimiser.update(to_rest, optimiser.init(rest))
    outputs = {name: -hyperparameters.learning_rate * to_outputs[name]["outputs"] for name in kernels}
    factors = delayed.with_step(factors, number, inputs, outputs)
    return delayed.Delayed(optax.apply_updates(rest, updates), kernels, factors), measures


def blocks_of(trainer: Trainer, galaxies: int) -> int:
    """Blocks in an epoch over so many galaxies; a block is the smallest part of an epoch that can be trained by itself."""
    return -(-galaxies // (trainer.batch_size * trainer.steps_per_block))


def train_blocks(
    trainer: Trainer,
    hyperparameters: Hyperparameters,
    carry: tuple[TrainingState, StepMeasures],
    key: Key[Array, ""],
    galaxies: Galaxies,
    blocks: tuple[Int[Array, ""], Int[Array, ""]],
) -> tuple[TrainingState, StepMeasures]:
    """The blocks from `blocks[0]` to before `blocks[1]` of one pass over all `galaxies` in a new order, augmented anew where they are.

    `key` is that of the epoch. `carry` is the state before, and the measures summed over the epoch so far (with dropout);
    both are returned as they are afterwards.
    """
    shuffle_key, dropout_key = jax.random.split(key)
    count, size = len(galaxies.labels), trainer.batch_size
    steps = -(-count // size)
    order = jnp.pad(jax.random.permutation(shuffle_key, count), (0, steps * size - count)).reshape(steps, size)
    mask = (jnp.arange(steps * size) < count).astype(jnp.float32).reshape(steps, size)

    def step_inputs(number: Int[Array, ""]) -> tuple[Key[Array, ""], Batch]:
        chosen = order[number]
        images = galaxies.images[chosen]
        if hyperparameters.augmentation is not None:
            keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.fold_in(key, 2), chosen)
            images = augmented(images, keys, hyperparameters.augmentation, galaxies.noise)
            images = scale_images(images, scaling_of(trainer), galaxies.sky)
        batch = Batch(images, galaxies.labels[chosen], mask[number])
        return jax.random.fold_in(dropout_key, number), batch

    def one_step(
        number: Int[Array, ""], carry: tuple[TrainingState, StepMeasures]
    ) -> tuple[TrainingState, StepMeasures]:
        state, sums = carry
        state, measures = train_step(trainer, hyperparameters, state, *step_inputs(number))
        return state, jax.tree.map(jnp.add, sums, measures)

    def delayed_block(
        block: Int[Array, ""], carry: tuple[TrainingState, StepMeasures]
    ) -> tuple[TrainingState, StepMeasures]:
        state, sums = carry
        rest, kernels = delayed.split(state.parameters, trainer.network.hidden_layers)
        first = block * trainer.delayed_steps

        def one_delayed_step(
            number: Int[Array, ""], carry: tuple[Parameters, dict[str, delayed.Factors], StepMeasures]
        ) -> tuple[Parameters, dict[str, delayed.Factors], StepMeasures]:
            rest, factors, sums = carry
            before = delayed.Delayed(rest, kernels, factors)  # the kernels are the same in all steps: not carried
            after, measures = train_delayed_step(trainer, hyperparameters, before, number, *step_inputs(first + number))
            return after.rest, after.factors, jax.tree.map(jnp.add, sums, measures)

        factors = delayed.no_factors(kernels, trainer.delayed_steps * size)
        length = jnp.minimum(trainer.delayed_steps, steps - first)
        rest, factors, sums = jax.lax.fori_loop(0, length, one_delayed_step, (rest, factors, sums))
        return state._replace(parameters=delayed.join(rest, delayed.apply(kernels, factors))), sums

    return jax.lax.fori_loop(*blocks, delayed_block if trainer.steps_per_block > 1 else one_step, carry)


def train_epoch(
    trainer: Trainer, hyperparameters: Hyperparameters, state: TrainingState, key: Key[Array, ""], galaxies: Galaxies
) -> tuple[TrainingState, Float[Array, ""], Float[Array, ""]]:
    """One pass over all `galaxies` (scaled images) in a new order.

    Returns the state, and mean loss and accuracy over the epoch as the network was while it learned (with dropout).
    """
    count = len(galaxies.labels)
    blocks = (jnp.int32(0), jnp.int32(blocks_of(trainer, count)))
    state, sums = train_blocks(trainer, hyperparameters, (state, nothing_measured()), key, galaxies, blocks)
    return state, sums.loss / count, sums.correct / count


def see(
    pool: DeviceSample,
    chosen: Int[Array, " chosen"],
    condition: Conditions,
    scaling: InputScaling,
    sky: Sky | None = None,
) -> Float[Array, "chosen height width band"]:
    """Images of the `chosen` galaxies under one condition, as they enter the network.

    Shrinking, noise and enlarging come before the scaling, as for images of a coarser survey. `sky` is that of every view
    ("view band"), for the scaling of that name.
    """
    bands_first = jnp.moveaxis(pool.images[condition.view, chosen], -1, 1)
    resampled = apply_matrices(bands_first, condition.rows, condition.columns)
    if condition.noise is not None:
        resampled += added_noise(condition.noise, chosen, resampled.shape[1:])
    return scale_images(jnp.moveaxis(resampled, 1, -1), scaling, jax.tree.map(lambda value: value[condition.view], sky))


def added_noise(
    noise: Noise, chosen: Int[Array, " chosen"], shape: tuple[int, ...]
) -> Float[Array, "chosen band height width"]:
    """What a coarser survey's noise adds to enlarged images of `shape` (band, height, width) of the `chosen` galaxies.

    It depends on key, factor and galaxy alone: the same whatever else is drawn, and in every evaluation.
    """
    assert noise.key is not None
    key = jax.random.fold_in(noise.key, noise.factor)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, chosen)
    white = jax.vmap(lambda one: jax.random.normal(one, shape))(keys)
    return apply_matrices(white * noise.deviation[None, :, None, None], noise.rows, noise.columns)


def in_batches(chosen: Int[Array, " chosen"], most: int) -> Int[Array, "batch galaxy"]:
    """Positions in rows of up to `most`, the last row filled up with zeros."""
    size = min(most, len(chosen))
    batches = -(-len(chosen) // size)
    return jnp.pad(chosen, (0, batches * size - len(chosen))).reshape(batches, size)


def logits_of(
    trainer: Trainer,
    parameters: Parameters,
    batches: Int[Array, "batch galaxy"],
    count: int,
    images_of: Callable[[Int[Array, " galaxy"]], Float[Array, "galaxy height width band"]],
) -> Float[Array, "count class"]:
    """What the network makes of the first `count` of the galaxies in `batches` (`in_batches`), without dropout.

    `images_of` gives scaled images by their positions. The convolutions take one batch at a time; the dense layers, whose
    kernels are large, all galaxies at once.
    """
    variables = {"params": parameters}

    def features_of(galaxies: Int[Array, " galaxy"]) -> Float[Array, "galaxy feature"]:
        features = trainer.network.apply(variables, images_of(galaxies), method="features")
        assert isinstance(features, jax.Array)
        return features

    features = jax.lax.map(features_of, batches)
    features = features.reshape(batches.size, -1)[:count]
    logits = trainer.network.apply(variables, features, train=False, method="classify")
    assert isinstance(logits, jax.Array)
    return logits


def evaluate(
    trainer: Trainer,
    parameters: Parameters,
    pool: DeviceSample,
    chosen: Int[Array, " test"],
    conditions: Conditions,
    sky: Sky | None = None,
) -> Evaluation:
    """Show the network the `chosen` galaxies under every condition (`see`), and count what it takes them for."""
    return jax.lax.map(lambda condition: evaluate_one(trainer, parameters, pool, chosen, condition, sky), conditions)


def evaluate_one(
    trainer: Trainer,
    parameters: Parameters,
    pool: DeviceSample,
    chosen: Int[Array, " test"],
    condition: Conditions,
    sky: Sky | None = None,
) -> Evaluation:
    """`evaluate` under one condition, without the condition axis."""
    labels, num_classes = pool.labels[chosen], trainer.network.num_classes
    batches = in_batches(chosen, trainer.evaluation_batch)
    seen = lambda galaxies: see(pool, galaxies, condition, scaling_of(trainer), sky)  # noqa: E731
    logits = logits_of(trainer, parameters, batches, len(chosen), seen)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)

    def confusion(predicted: Int[Array, " galaxy"]) -> Int[Array, "class class"]:
        pairs = predicted.astype(labels.dtype) * num_classes + labels
        counts = (pairs[:, None] == jnp.arange(num_classes**2)[None, :]).sum(axis=0, dtype=jnp.int32)
        return counts.reshape(num_classes, num_classes)

    return Evaluation(
        confusion(logits.argmax(axis=-1)),
        losses.mean(),
        jax.nn.softmax(logits),
        auc(logits, labels),
        confusion(recalibrated(logits, labels)),
    )
