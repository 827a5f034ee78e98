"""The residual network against the same computed from plain `lax` and Flax operations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.networks.registry import make_network
from galjax.networks.residual import ResidualBlock, rectified, standardised
from tests.networks.test_registry import varied

GAIN = float(np.sqrt(2 / (1 - 1 / np.pi)))  # of ReLU: Brock et al. 2021 (arXiv:2101.08692), section 3


def reference_convolution(parameters, x):
    """Brock et al. 2021, equation 1: W = gain (w - mean) / (std sqrt(taps)) in each filter."""
    kernel = parameters["kernel"]
    taps = np.prod(kernel.shape[:3])
    weights = (kernel - jnp.mean(kernel, (0, 1, 2))[None, None, None]) / (
        jnp.std(kernel, (0, 1, 2))[None, None, None] * np.sqrt(taps)
    )
    weights = weights * parameters["gain"][None, None, None]
    convolved = lax.conv_general_dilated(x, weights, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    return convolved + parameters["bias"][None, None, None]


def reference_block(parameters, x):
    x = nn.max_pool(x, (2, 2), (2, 2))
    y = reference_convolution(parameters["conv_1"], GAIN * jax.nn.relu(x))
    y = reference_convolution(parameters["conv_2"], GAIN * jax.nn.relu(y))
    if "projection" in parameters:
        x = reference_convolution(parameters["projection"], x)
    return x + y


def assert_close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * float(jnp.abs(theirs).max()) + 1e-6)


@pytest.mark.parametrize("lowering", ["direct", "patches", "xla"])
@pytest.mark.parametrize(("bands", "filters"), [(4, 6), (16, 16), (6, 4)])
@pytest.mark.parametrize("shape", [(8, 8), (7, 10)])
def test_a_block_equals_the_reference_in_values_and_gradients(lowering, bands, filters, shape):
    block = ResidualBlock(filters, "he_normal", lowering, "float32")
    images = jax.random.normal(jax.random.key(0), (3, *shape, bands))
    parameters = varied(block.init(jax.random.key(1), images)["params"])
    assert ("projection" in parameters) == (bands != filters)
    weights = jax.random.normal(jax.random.key(2), (3, shape[0] // 2, shape[1] // 2, filters))
    with jax.default_matmul_precision("float32"):
        assert_close(block.apply({"params": parameters}, images), reference_block(parameters, images))
        found = jax.jit(jax.grad(lambda p, x: (block.apply({"params": p}, x) * weights).sum(), (0, 1)))(
            parameters, images
        )
        wanted = jax.jit(jax.grad(lambda p, x: (reference_block(p, x) * weights).sum(), (0, 1)))(parameters, images)
    jax.tree.map(assert_close, found, wanted)


def test_the_network_is_a_convolution_three_blocks_the_mean_over_pixels_and_a_dense_layer():
    network = make_network(NetworkConfig(network="residual", filters=(4, 4, 6)), 3)
    images = jax.random.normal(jax.random.key(0), (3, 20, 17, 2))
    parameters = varied(network.init(jax.random.key(1), images, train=False)["params"])
    assert set(parameters) == {"stem", "block_1", "block_2", "block_3", "output"}
    x = reference_convolution(parameters["stem"], images)
    for name in ("block_1", "block_2", "block_3"):
        x = reference_block(parameters[name], x)
    features = (GAIN * jax.nn.relu(x)).mean(axis=(1, 2))
    assert_close(network.apply({"params": parameters}, images, method="features"), features)
    logits = features @ parameters["output"]["kernel"] + parameters["output"]["bias"][None]
    assert_close(network.apply({"params": parameters}, images, train=False), logits)


def test_standardised_kernels_and_scaled_relu_keep_the_variance():
    kernel = 3 + 5 * jax.random.normal(jax.random.key(0), (3, 3, 8, 4))
    found = standardised(kernel)
    np.testing.assert_allclose(found.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(jnp.square(found).sum((0, 1, 2)), 1, rtol=1e-5)
    np.testing.assert_array_equal(standardised(jnp.full((3, 3, 1, 2), 4.0)), 0)  # no NaN
    single = jnp.asarray([[[[2.0, -3.0]]]])
    np.testing.assert_array_equal(standardised(single), single)
    assert float(rectified(jax.random.normal(jax.random.key(1), (100_000,))).var()) == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"padding": "same"}, "--padding has no effect on --network residual: its convolutions keep the size"),
        ({"dense_units": (8,)}, "--dense-units has no effect on --network residual"),
        ({"dropout": 0.25}, "--dropout has no effect on --network residual: it trains without. Leave it out"),
        ({"filters": (4, 4, 0)}, "--filters takes three numbers of at least 1"),
    ],
)
def test_flags_that_it_has_no_use_for_get_a_sentence(flags, sentence):
    with pytest.raises(InputError, match=sentence):
        NetworkConfig(network="residual", **flags)
