import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.networks.scaling import scale_images
from galjax.networks.thesis import ThesisNetwork


class StockNetwork(nn.Module):
    """The same network from Flax's own layers, in the order the thesis names them."""

    padding: str

    @nn.compact
    def __call__(self, x):
        for number, (filters, size) in enumerate([(4, 3), (6, 3), (8, 2)], 1):
            x = nn.relu(nn.Conv(filters, (size, size), padding=self.padding.upper(), name=f"conv_{number}")(x))
            x = nn.max_pool(x, (2, 2), (2, 2))
        x = x.reshape(x.shape[0], -1)
        for number in (1, 2):
            x = nn.relu(nn.Dense(16, name=f"dense_{number}")(x))
        return nn.Dense(3, name="output")(x)


@pytest.mark.parametrize("lowering", ["direct", "patches", "xla"])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [32, 29])
def test_equals_the_network_of_stock_flax_layers_with_the_same_parameters(lowering, padding, size):
    config = NetworkConfig(filters=(4, 6, 8), dense_units=(16, 16), padding=padding)
    images = jax.random.normal(jax.random.key(0), (5, size, size, 2))
    stock = StockNetwork(padding)
    variables = stock.init(jax.random.key(1), images)
    variables = jax.tree.map(lambda p: p + 0.1 * jax.random.normal(jax.random.key(2), p.shape), variables)
    ours = ThesisNetwork(config, 3, lowering)
    own = ours.init(jax.random.key(1), images, train=False)
    assert jax.tree.map(jnp.shape, own) == jax.tree.map(jnp.shape, variables)
    np.testing.assert_allclose(
        ours.apply(variables, images, train=False), stock.apply(variables, images), rtol=2e-4, atol=1e-4
    )


def test_the_thesis_network_has_the_shapes_of_figure_4_5():
    parameters = jax.eval_shape(
        lambda: ThesisNetwork(NetworkConfig(padding="same"), 2).init(
            jax.random.key(0), jnp.zeros((1, 64, 64, 1)), train=False
        )
    )["params"]
    kernels = {name: layer["kernel"].shape for name, layer in parameters.items()}
    assert kernels == {
        "conv_1": (3, 3, 1, 32),
        "conv_2": (3, 3, 32, 64),
        "conv_3": (2, 2, 64, 128),
        "dense_1": (8192, 1024),
        "dense_2": (1024, 1024),
        "output": (1024, 2),
    }


def test_dropout_acts_only_while_training():
    network = ThesisNetwork(NetworkConfig(filters=(2, 2, 2), dense_units=(64,), dropout=0.5, padding="same"), 2)
    images = jax.random.normal(jax.random.key(0), (1, 16, 16, 1))
    variables = network.init(jax.random.key(1), images, train=False)

    def logits(seed):
        return network.apply(variables, images, train=True, rngs={"dropout": jax.random.key(seed)})

    assert not np.allclose(logits(0), logits(1))
    np.testing.assert_array_equal(
        network.apply(variables, images, train=False), network.apply(variables, images, train=False)
    )
    many = jax.vmap(lambda key: network.apply(variables, images, train=True, rngs={"dropout": key}))(
        jax.random.split(jax.random.key(2), 4000)
    )  # one dropout layer before a linear output: the mean over masks is the output without dropout
    error = (many.mean(axis=0) - network.apply(variables, images, train=False)) / (many.std(axis=0) / 4000**0.5)
    assert jnp.abs(error).max() < 4


def test_input_scaling():
    images = 50 + 7 * jax.random.normal(jax.random.key(0), (3, 8, 9, 2))
    minmax = scale_images(images, "minmax")
    np.testing.assert_allclose(minmax.min(axis=(1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(minmax.max(axis=(1, 2)), 1, atol=1e-6)
    standard = scale_images(images, "standard")
    np.testing.assert_allclose(standard.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(standard.std(axis=(1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(scale_images(images, "asinh"), jnp.arcsinh(standard), rtol=1e-6)
    np.testing.assert_array_equal(scale_images(images, "none"), images)
    for name in ("minmax", "standard", "asinh"):
        scaled = scale_images(jnp.concatenate([images * 3 - 20, jnp.full((1, 8, 9, 2), 4.0)]), name)
        np.testing.assert_allclose(
            scaled[:3], scale_images(images, name), atol=2e-4
        )  # zero point and gain do not matter
        np.testing.assert_array_equal(scaled[3], 0)  # a constant image carries nothing, and no NaN


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: NetworkConfig(dropout=1.0), "--dropout must be at least 0 and below 1, not 1.0"),
        (lambda: NetworkConfig(filters=(0, 1, 1)), "--filters takes three numbers of at least 1"),
        (lambda: NetworkConfig(dense_units=()), "--dense-units takes one or more"),
    ],
)
def test_bad_configurations_get_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()
