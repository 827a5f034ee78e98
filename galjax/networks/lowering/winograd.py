"""Winograd's minimal filtering along the rows of an image: convolution with fewer multiplications.

F(m, r) gives m neighbouring outputs of a filter of r taps with m + r - 1 multiplications instead of m r: input and
filter are transformed by small constant matrices, multiplied, and the products transformed back, y = A^T ((G g) * (B^T
d)) (Lavin & Gray 2016, CVPR, arXiv:1509.09308, eq. 9). Here along the width only, F(4, 3): half the multiplications. The
transforms are additions of whole arrays, and the products are convolutions along the height, one for each of the six
points, which keep the arrangement that XLA:CPU has fast kernels for. In float32 the error is about three times that of
the plain sum.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from galjax.networks.lowering import canonical

OUTPUTS = 4
"""m, outputs of one tile."""
_POINTS = (0.0, 1.0, -1.0, 2.0, -2.0)


@functools.cache
def matrices(taps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A^T (outputs x points), G (points x taps) and B^T (points x points) of F(4, taps), 2 <= taps <= 3, in float32.

    By Toom and Cook: the polynomials of input and filter are evaluated at small whole numbers and at infinity.
    """
    points = np.array(_POINTS[: OUTPUTS + taps - 2])
    last = lambda size: np.eye(size)[-1:]  # noqa: E731
    others = [np.delete(points, number) for number in range(len(points))]
    scale = np.array([np.prod(point - rest) for point, rest in zip(points, others, strict=True)])
    outputs = np.concatenate([np.vander(points, OUTPUTS, increasing=True), last(OUTPUTS)]).T
    filter_ = np.concatenate([np.vander(points, taps, increasing=True) / scale[:, None], last(taps)])
    inputs = np.array([[*np.poly(rest)[::-1], 0.0] for rest in others] + [np.poly(points)[::-1]])
    return outputs.astype(np.float32), filter_.astype(np.float32), inputs.astype(np.float32)


def correlate(
    x: Float[Array, "batch height width band"],
    kernel: Float[Array, "k taps band filter"],
    rows: tuple[int, int],
    columns: tuple[int, int],
) -> Float[Array, "batch new_height new_width filter"]:
    """Stride-1 cross-correlation with zeros around: `rows` above and below, `columns` left and right."""
    taps = kernel.shape[1]
    to_outputs, to_filter, to_inputs = matrices(taps)
    batch, height, width, bands = x.shape
    new_width = width + sum(columns) - taps + 1
    tiles = -(-new_width // OUTPUTS)
    right = (tiles + 1) * OUTPUTS - width - columns[0]
    tiled = canonical.computed_once(jnp.pad(x, ((0, 0), (0, 0), (columns[0], right), (0, 0))))
    tiled = tiled.reshape(batch, height, tiles + 1, OUTPUTS, bands)
    seen = [tiled[:, :, :tiles, i] if i < OUTPUTS else tiled[:, :, 1:, i - OUTPUTS] for i in range(len(to_inputs))]
    products = [
        canonical.correlate(_sum(row, seen), _sum(filter_row, list(jnp.moveaxis(kernel, 1, 0)))[:, None], rows, (0, 0))
        for row, filter_row in zip(to_inputs, to_filter, strict=True)
    ]
    outputs = jnp.stack([_sum(row, products) for row in to_outputs], axis=3)
    return outputs.reshape(batch, outputs.shape[1], tiles * OUTPUTS, -1)[:, :, :new_width]


def _sum(factors: np.ndarray, arrays: list[Array]) -> Array:
    """The sum of factor times array, without the terms that are 0 and the products that are by 1."""
    terms = [
        array if f == 1 else -array if f == -1 else array * f for f, array in zip(factors, arrays, strict=True) if f
    ]
    return functools.reduce(jnp.add, terms)
