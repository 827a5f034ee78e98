"""The plain layers, as the compiler lowers them."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from galjax.networks.lowering.padding import Padding


def convolution(
    x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding
) -> Float[Array, "batch new_height new_width filter"]:
    """Stride-1 cross-correlation, as `flax.linen.Conv` asks for it."""
    return lax.conv_general_dilated(x, kernel, (1, 1), padding.upper(), dimension_numbers=("NHWC", "HWIO", "NHWC"))


def max_pool(x: Float[Array, "batch height width filter"]) -> Float[Array, "batch half_height half_width filter"]:
    """The largest of every 2x2 pixels; a last odd row or column is dropped. The first of equal ones has the gradient."""
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def dense(x: Float[Array, "batch inputs"], kernel: Float[Array, "inputs outputs"]) -> Float[Array, "batch outputs"]:
    """`x @ kernel`."""
    return jnp.matmul(x, kernel)
