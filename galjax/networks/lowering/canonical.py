"""What XLA:CPU runs fast inside a loop, and how to keep it from computing a thing twice."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float


def correlate(
    x: Float[Array, "batch height width band"],
    kernel: Float[Array, "k taps band filter"],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Float[Array, "batch new_height new_width filter"]:
    """Stride-1 cross-correlation in the arrangement that has a fast kernel; zeros around: `rows` above and below,
    `columns` left and right."""
    return lax.conv_general_dilated(x, kernel, (1, 1), (rows, columns), dimension_numbers=("NHWC", "HWIO", "NHWC"))


def computed_once(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """`x`, which XLA:CPU must not compute anew in everything that uses it.

    It repeats cheap operations, in spite of an optimization_barrier, but not divisions; this one is by 1, which it
    cannot know.
    """
    one = jnp.ones_like(x)
    return x / lax.clamp(one, x, one)
