"""What every network in the registry must be to the rest of galjax, and that a run can name it."""

import dataclasses
import json
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import resolution_sweep
from galjax.cli.flags import parse
from galjax.config.json_form import dumps, from_json, to_json
from galjax.config.settings import LEARNING_RATES, NO_EFFECT, LoweringName, NetworkConfig, NetworkName, TrainingConfig
from galjax.errors import InputError
from galjax.networks.registry import NETWORKS, check_image_shape, make_network
from galjax.report.figures.network import layers_of, network_figure
from galjax.training.step import Batch, OptimiserConfig, Trainer, hyperparameters_of, initialise, train_step
from tests.training.test_repeats import make_program, train

SMALL = {
    "thesis": NetworkConfig(
        filters=(4, 6, 8), dense_units=(16, 12), dropout=0.25, input_scaling="asinh", padding="same"
    )
} | {
    name: NetworkConfig(network=name, filters=(4, 6, 8), input_scaling="asinh")
    for name in get_args(NetworkName)
    if name != "thesis"
}
every_network = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL)
smallest_images = pytest.mark.parametrize(
    ("config", "smallest"),
    [*((config, 8) for config in SMALL.values()), (dataclasses.replace(SMALL["thesis"], padding="valid"), 18)],
)


def test_every_name_of_the_flag_is_a_network():
    assert tuple(NETWORKS) == get_args(NetworkName) == tuple(NO_EFFECT)


@every_network
def test_it_is_features_and_then_classify(config):
    network = make_network(config, 3)
    images = jax.random.normal(jax.random.key(0), (5, 19, 16, 2))
    variables = network.init(jax.random.key(1), images, train=False)
    assert set(variables) == {"params"}  # nothing that a batch leaves behind
    features = network.apply(variables, images, method="features")
    assert features.ndim == 2
    logits = network.apply(variables, features, train=False, method="classify")
    assert logits.shape == (5, 3)
    np.testing.assert_array_equal(logits, network.apply(variables, images, train=False))


@every_network
def test_an_image_is_classified_the_same_whatever_is_beside_it(config):
    network = make_network(config, 3)
    images = jax.random.normal(jax.random.key(0), (5, 16, 16, 1))
    variables = network.init(jax.random.key(1), images, train=False)
    alone = network.apply(variables, images[2:3], train=False)
    np.testing.assert_allclose(network.apply(variables, images, train=False)[2:3], alone, rtol=1e-5, atol=1e-6)


@every_network
def test_only_dense_layers_with_kernels_of_their_own_may_be_delayed(config):
    network = make_network(config, 3)
    parameters = network.init(jax.random.key(1), jnp.zeros((1, 16, 16, 1)), train=False)["params"]
    assert all(parameters[name]["kernel"].ndim == 2 for name in network.hidden_layers)
    trainer = Trainer(network, batch_size=8, delayed_steps=4)
    assert trainer.steps_per_block == (4 if network.hidden_layers else 1)


@smallest_images
def test_the_smallest_image_is_the_one_that_the_error_names(config, smallest):
    assert make_network(config, 2).smallest_image == smallest
    check_image_shape(config, smallest, smallest)
    for shape in ((smallest - 1, 64), (64, smallest - 1)):
        with pytest.raises(InputError, match=rf"{shape[0]}x{shape[1]} px are too small.*at least {smallest} px"):
            check_image_shape(config, *shape)
    network, images = make_network(config, 2), jax.random.normal(jax.random.key(0), (1, smallest, smallest, 1))
    variables = network.init(jax.random.key(0), images, train=False)
    assert np.isfinite(network.apply(variables, images, train=False)).all()
    assert network.apply(variables, images, method="features").any()


@every_network
@pytest.mark.parametrize("lowering", [name for name in get_args(LoweringName) if name != "xla"])
def test_every_lowering_gives_the_same_values_and_gradients(config, lowering):
    config = dataclasses.replace(config, filters=(16, 16, 24))  # enough for every kernel that "direct" has
    images = jax.random.normal(jax.random.key(0), (4, 17, 16, 1))
    reference = make_network(config, 3)
    parameters = varied(reference.init(jax.random.key(1), images, train=False)["params"])

    def value(network, parameters):
        return jnp.square(network.apply({"params": parameters}, images, train=False)).sum()

    with jax.default_matmul_precision("float32"):
        expected, wanted = jax.jit(jax.value_and_grad(lambda p: value(reference, p)))(parameters)
        ours = make_network(config, 3, lowering)
        found, gradients = jax.jit(jax.value_and_grad(lambda p: value(ours, p)))(parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    for name, gradient in jax.tree.leaves_with_path(gradients):
        theirs = dict(jax.tree.leaves_with_path(wanted))[name]
        np.testing.assert_allclose(gradient, theirs, atol=1e-4 * float(jnp.abs(theirs).max()) + 1e-6, err_msg=str(name))


@every_network
@pytest.mark.parametrize("operands", ["tf32", "bfloat16"])
def test_a_lower_precision_changes_little_and_parameters_stay_float32(config, operands):
    images = jax.random.normal(jax.random.key(0), (4, 16, 16, 1))
    network = make_network(config, 3, "patches", operands)
    variables = network.init(jax.random.key(1), images, train=False)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    logits = network.apply(variables, images, train=False)
    expected = make_network(config, 3).apply(variables, images, train=False)
    assert logits.dtype == jnp.float32
    difference = float(jnp.abs(logits - expected).max())
    assert 0 < difference < (0.01 if operands == "tf32" else 0.1) * float(jnp.abs(expected).max())


@every_network
def test_galaxies_that_only_fill_up_a_batch_change_nothing(config):
    if "dropout" not in NO_EFFECT[config.network]:
        config = dataclasses.replace(config, dropout=0.0)
    trainer, hyperparameters = Trainer(make_network(config, 2), 6), hyperparameters_of(OptimiserConfig(0.05))
    state = initialise(trainer, hyperparameters, jax.random.key(0), (16, 16, 1))
    images = jax.random.normal(jax.random.key(1), (6, 16, 16, 1))
    labels, mask = jnp.asarray([0, 1, 1, 0, 1, 0], jnp.int32), jnp.asarray([1.0, 1, 1, 1, 0, 0])
    step = jax.jit(train_step, static_argnums=0)
    first, _ = step(trainer, hyperparameters, state, jax.random.key(2), Batch(images, labels, mask))
    other = images.at[4:].set(3.0)
    second, _ = step(trainer, hyperparameters, state, jax.random.key(2), Batch(other, 1 - labels, mask))
    # The labels of those that count are the other way round in `second`, so they must be put back.
    third, _ = step(trainer, hyperparameters, state, jax.random.key(2), Batch(other, labels.at[4:].set(0), mask))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), first.parameters, third.parameters)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), first.parameters, second.parameters)
    assert max(jax.tree.leaves(moved)) > 1e-4  # what is compared learns from its labels


@pytest.mark.parametrize(
    "config",
    [pytest.param(config, marks=[pytest.mark.thorough] * (name == "thesis")) for name, config in SMALL.items()],
    ids=SMALL,
)
def test_a_repeat_alone_equals_the_same_repeat_among_others_and_it_learns(config):
    rate = 0.02
    together = train(make_program([0, 1, 2, 3], learning_rate=rate, network=config), 16)
    alone = train(make_program([3], learning_rate=rate, network=config), 4)
    among = together.history.train_loss[3]
    np.testing.assert_allclose(alone.history.train_loss[0], among[:4], rtol=1e-4)
    np.testing.assert_array_equal(alone.history.test_confusion[0], together.history.test_confusion[3][:2])
    side_by_side = make_program(
        [0, 1, 2, 3], learning_rate=rate, network=config, repeats_at_once=4, devices=1, lowering="patches"
    )
    np.testing.assert_allclose(train(side_by_side, 4).history.train_loss[3], among[:4], rtol=1e-3)
    losses = together.history.train_loss.mean(axis=0)
    assert losses[-3:].mean() < 0.5 * losses[0]


@every_network
def test_it_is_drawn_with_all_of_its_parameters(config):
    network = make_network(config, 3)
    parameters = network.init(jax.random.key(0), jnp.zeros((1, 32, 32, 2)), train=False)["params"]
    layers = layers_of(network, (32, 32, 2))
    assert sum(layer.parameters for layer in layers) == sum(leaf.size for leaf in jax.tree.leaves(parameters))
    assert layers[-1].output == (3,)
    named = network_figure(config, 3, (32, 32, 2))
    assert network.between_layers in named.caption


@every_network
def test_a_configuration_is_read_back_and_one_from_before_there_were_several_is_the_thesis_network(config):
    written = to_json(config)
    assert from_json(NetworkConfig, written) == config
    del written["network"]
    if config.network == "thesis":
        assert from_json(NetworkConfig, written) == config


def rate_of(*arguments):
    config = parse(resolution_sweep.PRESETS["quick"], list(arguments), "x", "")
    return config.training.optimiser.learning_rate


def test_each_network_has_its_own_learning_rate_unless_one_is_given():
    assert (rate_of(), rate_of("--network", "residual")) == (0.003, LEARNING_RATES["residual"])
    assert LEARNING_RATES["residual"] != LEARNING_RATES["thesis"]
    assert rate_of("--network", "residual", "--learning-rate", "0.003") == 0.003
    chosen = TrainingConfig(network=NetworkConfig(network="residual"))
    assert chosen.optimiser.learning_rate == LEARNING_RATES["residual"]
    assert dataclasses.replace(chosen, network=NetworkConfig()).optimiser.learning_rate == 0.003
    assert from_json(TrainingConfig, json.loads(dumps(chosen))) == chosen
    asked = TrainingConfig(optimiser=OptimiserConfig(0.003), network=NetworkConfig(network="residual"))
    assert asked.optimiser.learning_rate == 0.003


def varied(parameters):
    """Parameters none of which is at its start, where a wrong gradient of zero would not show."""
    leaves, tree = jax.tree.flatten(parameters)
    keys = jax.random.split(jax.random.key(7), len(leaves))
    return tree.unflatten(
        [leaf + 0.1 * jax.random.normal(key, leaf.shape) for leaf, key in zip(leaves, keys, strict=True)]
    )
