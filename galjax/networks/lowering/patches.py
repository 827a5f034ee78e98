"""Layers for many repeats under vmap: convolution as patches times a matrix, which vmap turns into a batched product."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from galjax.networks.lowering.padding import Padding, pixels_around


def convolution(
    x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding
) -> Float[Array, "batch new_height new_width filter"]:
    """Stride-1 cross-correlation with a square kernel, as one matrix product over all patches (see `pixels_around`)."""
    k = kernel.shape[0]
    sides = pixels_around(padding, k)
    x = jnp.pad(x, ((0, 0), sides, sides, (0, 0)))
    height, width = x.shape[1] - k + 1, x.shape[2] - k + 1
    patches = [x[:, i : i + height, j : j + width] for i in range(k) for j in range(k)]
    return _patches_times_kernel(jnp.concatenate(patches, axis=-1), kernel.reshape(-1, kernel.shape[-1]))


@jax.custom_vjp
def _patches_times_kernel(
    patches: Float[Array, "batch height width tap"], kernel: Float[Array, "tap filter"]
) -> Float[Array, "batch height width filter"]:
    return patches @ kernel


def _patches_times_kernel_forward(patches, kernel):  # type: ignore[no-untyped-def]
    return patches @ kernel, (patches, kernel)


def _patches_times_kernel_backward(saved, gradient):  # type: ignore[no-untyped-def]
    # The barrier keeps XLA from fusing the pooling's gradient into a transposed copy of the largest array, and the
    # explicit contraction over patches from transposing `gradient` at all: together 40 % of the convolutions' time.
    patches, kernel = saved
    gradient = lax.optimization_barrier(gradient)
    flat_patches = patches.reshape(-1, patches.shape[-1])
    flat_gradient = gradient.reshape(-1, gradient.shape[-1])
    return gradient @ kernel.T, lax.dot_general(flat_patches, flat_gradient, (((0,), (0,)), ((), ())))


_patches_times_kernel.defvjp(_patches_times_kernel_forward, _patches_times_kernel_backward)
