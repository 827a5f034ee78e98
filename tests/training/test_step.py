import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.metrics import auc, confusion_matrix, recalibrated
from galjax.networks.scaling import scale_images
from galjax.networks.thesis import ThesisNetwork
from galjax.resample import condition_matrices, degrade
from galjax.training.step import (
    Batch,
    Conditions,
    DeviceSample,
    Galaxies,
    OptimiserConfig,
    Trainer,
    evaluate,
    hyperparameters_of,
    initialise,
    scaling_of,
    see,
    train_epoch,
    train_step,
)

SMALL = NetworkConfig(filters=(4, 6, 8), dense_units=(24, 16), dropout=0.0, input_scaling="asinh", padding="same")


def make_pool(count=40, size=16, bands=1):
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int32) % 2
    images = rng.standard_normal((count, size, size, bands), dtype=np.float32)
    images[labels == 1, 4:8, 4:8] += 2
    return DeviceSample(jnp.asarray(images)[None], jnp.asarray(labels))


def make_conditions(pairs, size=16):
    rows, columns = (jnp.asarray(m, jnp.float32) for m in condition_matrices((size, size), pairs))
    return Conditions(jnp.zeros(len(pairs), jnp.int32), rows, columns)


def start(network=SMALL, optimiser=None, shape=(16, 16, 1), **how):
    optimiser = optimiser or OptimiserConfig()
    how = {"batch_size": optimiser.batch_size, "has_momentum": optimiser.momentum > 0, **how}
    trainer, hyperparameters = Trainer(ThesisNetwork(network, 2, "direct"), **how), hyperparameters_of(optimiser)
    return trainer, hyperparameters, initialise(trainer, hyperparameters, jax.random.key(0), shape)


def as_torch(torch, parameters):
    """The same network in PyTorch, with the parameters copied."""
    layers = []
    for name in ("conv_1", "conv_2", "conv_3"):
        k, _, bands, filters = parameters[name]["kernel"].shape
        if k == 2:
            layers.append(torch.nn.ZeroPad2d((0, 1, 0, 1)))
        convolution = torch.nn.Conv2d(bands, filters, k, padding=1 if k == 3 else 0)
        convolution.weight.data = torch.tensor(np.asarray(parameters[name]["kernel"]).transpose(3, 2, 0, 1).copy())
        convolution.bias.data = torch.tensor(np.array(parameters[name]["bias"]))
        layers += [convolution, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    flatten = torch.nn.Sequential(*layers)
    dense = []
    for name in ("dense_1", "dense_2", "output"):
        kernel = np.asarray(parameters[name]["kernel"])
        linear = torch.nn.Linear(*kernel.shape)
        linear.weight.data = torch.tensor(kernel.T.copy())
        linear.bias.data = torch.tensor(np.array(parameters[name]["bias"]))
        dense += [linear, torch.nn.ReLU()]
    tail = torch.nn.Sequential(*dense[:-1])

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.tail = flatten, tail

        def forward(self, x):
            return self.tail(self.features(x).permute(0, 2, 3, 1).flatten(1))

    return Network()


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("bands", [1, 3])
def test_twenty_steps_equal_pytorch(momentum, bands):
    torch = pytest.importorskip("torch", reason="PyTorch, the reference, is not installed")
    pool = make_pool(bands=bands)
    trainer, hyperparameters, state = start(
        optimiser=OptimiserConfig(learning_rate=0.05, momentum=momentum), shape=(16, 16, bands)
    )
    network = as_torch(torch, state.parameters)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.05, momentum=momentum)
    step = jax.jit(train_step, static_argnums=0)
    ours, theirs = [], []
    for number in range(20):
        chosen = np.random.default_rng(number).permutation(40)[: 8 if number % 4 else 3]  # some last, partial batches
        padded = np.pad(chosen, (0, 8 - len(chosen)))
        mask = jnp.asarray(np.arange(8) < len(chosen), jnp.float32)
        with jax.default_matmul_precision("float32"):
            batch = Batch(pool.images[0, padded], pool.labels[padded], mask)
            state, measures = step(trainer, hyperparameters, state, jax.random.key(0), batch)
        ours.append(float(measures.loss) / len(chosen))
        images = torch.tensor(np.asarray(pool.images[0])[chosen].transpose(0, 3, 1, 2).copy())
        optimiser.zero_grad()
        their_loss = torch.nn.functional.cross_entropy(
            network(images), torch.tensor(np.asarray(pool.labels)[chosen], dtype=torch.long)
        )
        their_loss.backward()
        optimiser.step()
        theirs.append(float(their_loss.detach()))
    assert theirs[-1] != pytest.approx(theirs[0], rel=0.05)  # it does learn
    np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4)
    for mine, reference in zip(
        jax.tree.leaves(state.parameters), jax.tree.leaves(as_flax(network, state.parameters)), strict=True
    ):
        np.testing.assert_allclose(mine, reference, atol=2e-4)


def as_flax(network, like):
    convolutions = [m for m in network.features if hasattr(m, "weight")]
    linears = [m for m in network.tail if hasattr(m, "weight")]
    values = {}
    for name, module in zip(
        ["conv_1", "conv_2", "conv_3", "dense_1", "dense_2", "output"], convolutions + linears, strict=True
    ):
        weight = module.weight.detach().numpy()
        kernel = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
        values[name] = {"kernel": kernel, "bias": module.bias.detach().numpy()}
    assert jax.tree.structure(values) == jax.tree.structure(dict(like))
    return values


def test_galaxies_of_mask_zero_change_nothing():
    pool = make_pool()
    trainer, hyperparameters, state = start()
    mask = jnp.asarray([1, 1, 1, 0], jnp.float32)
    batch = Batch(pool.images[0, :4], pool.labels[:4], mask)
    step = jax.jit(train_step, static_argnums=0)
    one, measures_one = step(trainer, hyperparameters, state, jax.random.key(0), batch)
    other = batch._replace(images=batch.images.at[3].set(100.0))
    two, measures_two = step(trainer, hyperparameters, state, jax.random.key(0), other)
    assert measures_one == measures_two
    jax.tree.map(np.testing.assert_array_equal, one.parameters, two.parameters)


@pytest.mark.parametrize("delayed_steps", [1, 2, 8])
def test_an_epoch_visits_every_galaxy_once_and_the_last_batch_is_partial(delayed_steps):
    pool = make_pool()
    still = OptimiserConfig(learning_rate=1e-20)
    trainer, hyperparameters, state = start(optimiser=still, delayed_steps=delayed_steps)
    chosen = jnp.arange(3, 22)  # 19 galaxies: two batches of 8 and one of 3
    galaxies = Galaxies(pool.images[0, chosen], pool.labels[chosen])
    _, loss, accuracy = train_epoch(trainer, hyperparameters, state, jax.random.key(5), galaxies)
    identity = make_conditions([(1, "nearest")])
    unscaled = ThesisNetwork(dataclasses.replace(SMALL, input_scaling="none"), 2, "direct")
    expected = evaluate(trainer._replace(network=unscaled), state.parameters, pool, chosen, identity)
    np.testing.assert_allclose(loss, expected.loss[0], rtol=1e-5)
    np.testing.assert_allclose(accuracy, np.trace(expected.confusion[0]) / 19, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 32])
def test_evaluation_degrades_then_scales_then_counts(batch_size):
    pool = make_pool(bands=2)
    trainer, _, state = start(shape=(16, 16, 2), evaluation_batch=batch_size)
    chosen = jnp.asarray([4, 9, 2, 31, 30, 8, 7, 22, 39, 0, 1])
    pairs = [(1, "nearest"), (2, "bilinear"), (5, "bicubic")]
    conditions = make_conditions(pairs)
    found = evaluate(trainer, state.parameters, pool, chosen, conditions)
    for number, (factor, method) in enumerate(pairs):
        bands = [degrade(pool.images[0, chosen, :, :, band], factor, method) for band in range(2)]
        images = scale_images(jnp.stack(bands, axis=-1), scaling_of(trainer))
        logits = trainer.network.apply({"params": state.parameters}, images, train=False)
        true = np.asarray(pool.labels[chosen])
        np.testing.assert_array_equal(
            found.confusion[number], confusion_matrix(np.asarray(logits.argmax(axis=-1)), true, 2)
        )
        losses = -jax.nn.log_softmax(logits)[np.arange(len(true)), true]
        np.testing.assert_allclose(found.loss[number], losses.mean(), rtol=1e-4)
        np.testing.assert_allclose(found.auc[number], auc(logits, pool.labels[chosen]), rtol=1e-6)
        np.testing.assert_array_equal(
            found.recalibrated_confusion[number],
            confusion_matrix(np.asarray(recalibrated(logits, pool.labels[chosen])), true, 2),
        )


def test_a_condition_names_the_view_and_its_resampling():
    pool = make_pool(count=6)
    both = pool._replace(images=jnp.concatenate([pool.images, -2 * pool.images]))
    chosen = jnp.asarray([5, 0, 3])
    conditions = make_conditions([(1, "nearest"), (4, "bilinear")])._replace(view=jnp.asarray([0, 1], jnp.int32))
    first, second = (jax.tree.map(lambda leaf, n=n: leaf[n], conditions) for n in (0, 1))
    np.testing.assert_array_equal(see(both, chosen, first, "none"), pool.images[0, chosen])
    expected = degrade(-2 * pool.images[0, chosen, :, :, 0], 4, "bilinear")
    np.testing.assert_allclose(see(both, chosen, second, "none")[..., 0], expected, atol=1e-5)


def test_training_separates_classes_that_differ():
    pool = make_pool()
    trainer, hyperparameters, state = start(optimiser=OptimiserConfig(learning_rate=0.05))
    epoch = jax.jit(train_epoch, static_argnums=0)
    for number in range(8):
        state, loss, accuracy = epoch(
            trainer, hyperparameters, state, jax.random.key(number), Galaxies(pool.images[0], pool.labels)
        )
    assert accuracy > 0.9
    assert loss < 0.4


@pytest.mark.parametrize(
    ("field", "value"), [("learning_rate", 0.0), ("momentum", 1.0), ("batch_size", 0), ("learning_rate", float("nan"))]
)
def test_bad_optimisers_get_a_sentence(field, value):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} must be .* not {value}"):
        OptimiserConfig(**{field: value})
