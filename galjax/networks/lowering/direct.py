"""Layers for one repeat at a time on a CPU: every convolution in the arrangement for which XLA:CPU has a fast kernel.

Inside a loop XLA:CPU runs a convolution at the speed of a matrix product only where it stands as batch, height, width,
feature with a kernel of height, width, input, output. Automatic differentiation writes both gradients otherwise, twenty
times slower, so they are written out here. Under vmap over repeats use `patches`.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from galjax.networks.lowering import canonical, winograd
from galjax.networks.lowering.padding import Padding, pixels_around

_Sides = tuple[tuple[int, int], tuple[int, int]]


def convolution(
    x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding
) -> Float[Array, "batch new_height new_width filter"]:
    """Stride-1 cross-correlation with a square kernel (see `pixels_around` for the padding)."""
    sides = pixels_around(padding, kernel.shape[0])
    return _convolution(x, kernel, (sides, sides))


def _correlate(x: Array, kernel: Array, sides: _Sides) -> Array:
    """By Winograd's filtering where that is faster: kernels of 3x3 with enough bands to make up for its transforms, which
    need the precision of float32."""
    if kernel.shape[:2] == (3, 3) and min(kernel.shape[2:]) >= 16 and x.dtype == jnp.float32:
        return winograd.correlate(x, kernel, *sides)
    return canonical.correlate(x, kernel, *sides)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def _convolution(x: Array, kernel: Array, sides: _Sides) -> Array:
    return _correlate(x, kernel, sides)


def _convolution_forward(x: Array, kernel: Array, sides: _Sides) -> tuple[Array, tuple[Array, Array]]:
    if x.shape[-1] > 1:
        # It is used as it is and transposed; fused into both, what made it would be read in strides from the four times
        # larger array before pooling (1.4 instead of 0.14 ms on one core).
        x = canonical.computed_once(x)
    return _correlate(x, kernel, sides), (x, kernel)


def _convolution_backward(sides: _Sides, saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    k = kernel.shape[0]
    height, width = gradient.shape[1:3]
    if x.shape[-1] > 1 and (height % 2 or width % 2):
        # Pooling drops an odd row and column. XLA puts the zeros for those into the convolution below, and its result then
        # differs between runs of one and the same program on two host devices (jaxlib 0.10.2, seen from 100x100 px on).
        gradient = canonical.computed_once(gradient)
    around = tuple((k - 1 - before, k - 1 - after) for before, after in sides)
    to_x = _correlate(gradient, kernel[::-1, ::-1].transpose(0, 1, 3, 2), (around[0], around[1]))
    return to_x, _to_kernel(x, gradient, k, sides)


def _to_kernel(x: Array, gradient: Array, k: int, sides: _Sides) -> Array:
    """The correlation of `x` with `gradient`, as a convolution whose batch is the bands and whose bands are the batch."""
    if x.shape[-1] > 1:
        swapped = canonical.correlate(x.transpose(3, 1, 2, 0), gradient.transpose(1, 2, 0, 3), *sides)
        return swapped.transpose(1, 2, 0, 3)
    # With one band that product has k * k rows only: then the patches are small, and the large gradient is not moved.
    height, width, filters = gradient.shape[1:]
    padded = jnp.pad(x[..., 0], ((0, 0), *sides))
    patches = jnp.stack([padded[:, i : i + height, j : j + width] for i in range(k) for j in range(k)])
    product = lax.dot_general(patches.reshape(k * k, -1), gradient.reshape(-1, filters), (((1,), (0,)), ((), ())))
    return product.reshape(k, k, 1, filters)


_convolution.defvjp(_convolution_forward, _convolution_backward)


_INPUTS_PER_CHUNK = 16


def _chunked_product(x: Array, kernel: Array) -> Array:
    # With 8 rows the product only streams the kernel, and XLA:CPU copies it into another order on the way; in chunks of
    # 16 inputs that copy stays in the nearest cache: 3.6 instead of 5.0 ms (one core, 8x8192 times 8192x1024).
    inputs, outputs = kernel.shape
    if inputs % _INPUTS_PER_CHUNK or x.shape[0] > 32:
        return x @ kernel
    chunks = inputs // _INPUTS_PER_CHUNK
    chunked = x.reshape(x.shape[0], chunks, _INPUTS_PER_CHUNK)
    return jnp.einsum("bck,ckn->cbn", chunked, kernel.reshape(chunks, _INPUTS_PER_CHUNK, outputs)).sum(axis=0)


@jax.custom_vjp
def dense(x: Float[Array, "batch inputs"], kernel: Float[Array, "inputs outputs"]) -> Float[Array, "batch outputs"]:
    """`x @ kernel`."""
    return _chunked_product(x, kernel)


def _dense_forward(x: Array, kernel: Array) -> tuple[Array, tuple[Array, Array]]:
    return _chunked_product(x, kernel), (x, kernel)


def _dense_backward(saved: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    x, kernel = saved
    # Without the barrier XLA recomputes the layers that made `x` inside the update, once for every output.
    x, gradient = lax.optimization_barrier((x, gradient))
    # `gradient @ kernel.T`, in a form that keeps the kernel the left factor, which XLA:CPU does not copy: half the time.
    to_x = jnp.einsum("bn,ckn->cbk", gradient, kernel[None])[0]
    # Rank `batch`: as outer products, which XLA fuses into the update of the kernel, it is never stored.
    to_kernel = sum(x[i][:, None] * gradient[i][None, :] for i in range(x.shape[0]))
    return to_x, to_kernel


dense.defvjp(_dense_forward, _dense_backward)
