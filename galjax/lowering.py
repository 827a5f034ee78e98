"""Convolution, pooling and dense layers that stay fast under vmap over repeats: every repeat has its own weights.

Under vmap XLA turns a convolution with per-repeat kernels into a grouped one, which on CPU runs through an unoptimised
loop inside `lax.scan`. Here a convolution is patches times a matrix, which vmap turns into a batched matrix product.

There are two lowerings of each layer with the same values, gradients and parameters: "patches" (this file's own) and
"xla" (`lax.conv_general_dilated`, `lax.reduce_window`, `jnp.matmul`), the reference that the tests hold the first to.
"""

from typing import Literal, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Padding = Literal["same", "valid"]
LoweringName = Literal["patches", "xla"]


class _Convolution(Protocol):
    def __call__(
        self, x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding, /
    ) -> Float[Array, "batch new_height new_width filter"]: ...


class _Pooling(Protocol):
    def __call__(
        self, x: Float[Array, "batch height width filter"], /
    ) -> Float[Array, "batch half_height half_width filter"]: ...


class _Dense(Protocol):
    def __call__(self, x: Float[Array, "batch inputs"], kernel: Float[Array, "inputs outputs"], /) -> Float[
        Array, "batch outputs"
    ]: ...  # fmt: skip


class Lowering(NamedTuple):
    """One way to compute each kind of layer, without its bias and activation."""

    convolution: _Convolution
    max_pool: _Pooling
    dense: _Dense


def convolution_by_patches(
    x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding
) -> Float[Array, "batch new_height new_width filter"]:
    """Stride-1 cross-correlation with a square kernel, as one matrix product over all patches.

    padding="same" keeps height and width; where k is even the extra row and column are at the end, as in
    `lax.conv_general_dilated`, Flax and Keras. padding="valid" gives height - k + 1.
    """
    k = kernel.shape[0]
    if padding == "same":
        before = (k - 1) // 2
        after = k - 1 - before
        x = jnp.pad(x, ((0, 0), (before, after), (before, after), (0, 0)))
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


def max_pool_by_slices(
    x: Float[Array, "batch height width filter"],
) -> Float[Array, "batch half_height half_width filter"]:
    """The largest of every 2x2 pixels; a last odd row or column is dropped. Ties share the gradient equally."""
    height, width = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    top = jnp.maximum(x[:, 0:height:2, 0:width:2], x[:, 0:height:2, 1:width:2])
    bottom = jnp.maximum(x[:, 1:height:2, 0:width:2], x[:, 1:height:2, 1:width:2])
    return jnp.maximum(top, bottom)


_INPUTS_PER_CHUNK = 64


def _chunked_matmul(
    x: Float[Array, "batch inputs"], kernel: Float[Array, "inputs outputs"]
) -> Float[Array, "batch outputs"]:
    # With 8 rows the product only streams the kernel; in chunks of 64 inputs XLA:CPU does so at twice the speed.
    inputs, outputs = kernel.shape
    if inputs % _INPUTS_PER_CHUNK:
        return x @ kernel
    chunks = inputs // _INPUTS_PER_CHUNK
    chunked = x.reshape(x.shape[0], chunks, _INPUTS_PER_CHUNK)
    return jnp.einsum("bck,ckn->cbn", chunked, kernel.reshape(chunks, _INPUTS_PER_CHUNK, outputs)).sum(axis=0)


@jax.custom_vjp
def dense_with_fused_gradient(
    x: Float[Array, "batch inputs"], kernel: Float[Array, "inputs outputs"]
) -> Float[Array, "batch outputs"]:
    """`x @ kernel`, whose kernel gradient is a sum of outer products that XLA fuses into the SGD update.

    With a batch of 8 the gradient of an 8192x1024 kernel has rank 8: written as eight outer products it is never stored.
    """
    return _chunked_matmul(x, kernel)


def _dense_forward(x, kernel):  # type: ignore[no-untyped-def]
    x = lax.optimization_barrier(x)
    return _chunked_matmul(x, kernel), (x, kernel)


def _dense_backward(saved, gradient):  # type: ignore[no-untyped-def]
    x, kernel = saved
    # Without the barrier XLA recomputes the layers that made `x` inside the update, once for every output.
    x, gradient = lax.optimization_barrier((x, gradient))
    # `gradient @ kernel.T`; with a batch axis of one it takes XLA:CPU 0.45 of the time (one core, 8x1024).
    to_inputs = jnp.einsum("bn,ckn->cbk", gradient, kernel[None])[0]
    to_kernel = sum(x[i][:, None] * gradient[i][None, :] for i in range(x.shape[0]))
    return to_inputs, to_kernel


dense_with_fused_gradient.defvjp(_dense_forward, _dense_backward)


def _xla_convolution(
    x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding
) -> Float[Array, "batch new_height new_width filter"]:
    return lax.conv_general_dilated(x, kernel, (1, 1), padding.upper(), dimension_numbers=("NHWC", "HWIO", "NHWC"))


def _xla_max_pool(x: Float[Array, "batch height width filter"]) -> Float[Array, "batch half_height half_width filter"]:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


LOWERINGS: dict[LoweringName, Lowering] = {
    "patches": Lowering(convolution_by_patches, max_pool_by_slices, dense_with_fused_gradient),
    "xla": Lowering(_xla_convolution, _xla_max_pool, jnp.matmul),
}
