"""Products are counted as they are by hand."""

import jax
import jax.numpy as jnp
import pytest

from galjax.config.settings import NetworkConfig
from galjax.networks.counting import Product, parameter_shapes, products_of, step_products
from galjax.networks.lowering import LOWERINGS
from galjax.networks.registry import make_network


def shape(*axes):
    return jax.ShapeDtypeStruct(axes, jnp.float32)


def test_a_matrix_product_and_a_batched_one():
    assert products_of(lambda x, y: x @ y, shape(3, 5), shape(5, 7)) == [
        Product("matrix", 2 * 3 * 5 * 7, 3 * 5 + 5 * 7, 3 * 7)
    ]
    batched = products_of(jax.vmap(lambda x, y: x @ y), shape(4, 3, 5), shape(4, 5, 7))
    assert batched == [Product("matrix", 4 * 2 * 3 * 5 * 7, 4 * (3 * 5 + 5 * 7), 4 * 3 * 7)]


def test_a_convolution_and_the_gradients_of_both_of_its_operands():
    def convolution(x, kernel):
        return LOWERINGS["xla"].convolution(x, kernel, "same")

    x, kernel = shape(2, 8, 6, 3), shape(3, 3, 3, 5)
    forward = Product("convolution", 2 * (2 * 8 * 6 * 5) * (3 * 3 * 3), 2 * 8 * 6 * 3 + 3 * 3 * 3 * 5, 2 * 8 * 6 * 5)
    assert products_of(convolution, x, kernel) == [forward]
    step = products_of(jax.grad(lambda x, kernel: convolution(x, kernel).sum(), (0, 1)), x, kernel)
    assert [product.flops for product in step] == [forward.flops] * 3


@pytest.mark.parametrize("lowering", ["patches", "xla"])
def test_a_step_of_the_thesis_network_whatever_the_lowering(lowering):
    batch = 4
    conv_1, conv_2, conv_3 = 32**2 * 9 * 2 * 8, 16**2 * 9 * 8 * 16, 8**2 * 4 * 16 * 24
    dense = 4 * 4 * 24 * 10 + 10 * 3
    network = make_network(NetworkConfig(filters=(8, 16, 24), dense_units=(10,), padding="same"), 3, lowering)
    step = step_products(network, (32, 32, 2), batch)
    # The images have no gradient, so that the first convolution makes two products and all others three.
    counted = sum(product.flops for product in step)
    images_too = (
        2 * batch * conv_1 if lowering == "patches" else 0
    )  # written out by hand there, and dropped by the compiler
    assert counted - images_too == 2 * batch * (2 * conv_1 + 3 * (conv_2 + conv_3 + dense))


def test_parameters_are_those_that_the_network_starts_with():
    network = make_network(NetworkConfig(network="residual", filters=(4, 6, 8)), 3)
    started = network.init(jax.random.key(0), jnp.zeros((1, 16, 16, 2)), train=False)["params"]
    assert jax.tree.map(jnp.shape, started) == jax.tree.map(
        lambda leaf: leaf.shape, parameter_shapes(network, (16, 16, 2))
    )
