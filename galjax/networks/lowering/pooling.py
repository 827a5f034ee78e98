"""Max-pooling that remembers where each maximum was in one byte, for its gradient."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int8


def max_pool(x: Float[Array, "batch height width filter"]) -> Float[Array, "batch half_height half_width filter"]:
    """The largest of every 2x2 pixels; a last odd row or column is dropped.

    Of equal pixels the first has the gradient, as in `lax.reduce_window`, Keras and PyTorch.
    """
    return _max_pool_even(x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2])


def _quarters(x: Array) -> tuple[Array, Array, Array, Array]:
    """The four pixels of every 2x2 square: upper left, upper right, lower left, lower right."""
    return x[:, 0::2, 0::2], x[:, 0::2, 1::2], x[:, 1::2, 0::2], x[:, 1::2, 1::2]


@jax.custom_vjp
def _max_pool_even(x: Array) -> Array:
    upper_left, upper_right, lower_left, lower_right = _quarters(x)
    return jnp.maximum(jnp.maximum(upper_left, upper_right), jnp.maximum(lower_left, lower_right))


def _forward(x: Array) -> tuple[Array, Int8[Array, "batch h w filter"]]:
    largest = _max_pool_even(x)
    upper_left, upper_right, lower_left, _ = (quarter == largest for quarter in _quarters(x))
    where = jnp.where(upper_left, 0, jnp.where(upper_right, 1, jnp.where(lower_left, 2, 3)))
    return largest, where.astype(jnp.int8)


def _backward(where: Int8[Array, "batch h w filter"], gradient: Array) -> tuple[Array]:
    batch, height, width, filters = gradient.shape
    quarter = jnp.arange(4, dtype=jnp.int8).reshape(1, 1, 2, 1, 2, 1)
    spread = jnp.where(where[:, :, None, :, None] == quarter, gradient[:, :, None, :, None], 0)
    return (spread.reshape(batch, 2 * height, 2 * width, filters),)


_max_pool_even.defvjp(_forward, _backward)
