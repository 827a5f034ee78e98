"""Shrink and enlarge images on the accelerator, as products with small weight matrices.

Pixel convention: integer coordinates are pixel centres, so an axis of n pixels spans -0.5 .. n - 0.5. What is preserved
is surface brightness: the rows of every weight matrix sum to 1, and a constant image stays constant. Every method is
separable, `out = W_y @ image @ W_x.T`. `resize` adds up rows where sizes change by a whole number, instead of multiplying
them by mostly zeros; where the resolution is an input of a compiled program, a chain of resizes is one pair of matrices,
multiplied in float64. Arithmetic is float32 at the highest matmul precision, also where training runs at a lower one.
"""

import functools
from collections.abc import Sequence
from typing import Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from jaxtyping import Array, Float, Float64, Real, Shaped

from galjax.config.settings import Convention
from galjax.errors import InputError

Method = Literal["nearest", "bilinear", "bicubic", "lanczos", "wiener", "area"]

_KEYS_A = -0.75
"""The free parameter of Keys (1981, IEEE Trans. ASSP 29, 1153, eq. 15) that OpenCV uses; jax.image uses -0.5."""


WIENER_LENGTH, WIENER_NOISE = 0.25, 1e-3
"""What `_wiener_weights` takes: a galaxy's share of its stamp, and a signal of about 30 standard deviations of the noise."""

FWHM_PER_SIGMA = 2 * (2 * np.log(2)) ** 0.5
"""Full width at half maximum of a Gaussian, in its standard deviations."""


def resize(
    images: Real[Array | np.ndarray, "*batch height width"],
    size: tuple[int, int],
    method: Method,
    convention: Convention = "opencv",
) -> Float[Array, "*batch new_height new_width"]:
    """Resize the last two axes to `size` = (height, width).

    convention="opencv" equals `cv2.resize(image, (width, height), interpolation=INTER_NEAREST | INTER_LINEAR |
    INTER_CUBIC | INTER_LANCZOS4 | INTER_AREA)` to float32 rounding (nearest: exactly): no antialiasing except in "area", edges
    replicated, Keys' cubic with a = -0.75; "area" that enlarges either axis is OpenCV's fallback, a linear
    interpolation with coefficients clipped to whole-pixel overlap. "wiener", which OpenCV lacks, enlarges pixels that are means over
    the new ones (`_wiener_weights`); where an axis does not grow it is "area".

    convention="jax" is `jax.image.resize` with its default antialiasing; "area", which it lacks, is its nearest
    relative there: the antialiased "linear" (a triangle of half-width n_in / n_out instead of a box). For images with
    pixels in [0, 1] the largest possible difference between the two conventions, between 64 px and 64 // 2..8 px, is

    - bilinear enlargement: none (float32 rounding);
    - nearest enlargement: none from 32, 16 and 8 px; from 21, 12, 10 and 9 px up to 1, because INTER_NEAREST maps pixel
      corners and jax pixel centres, so that they pick different pixels for 10, 4, 4 and 4 of 64 indices per axis;
    - bicubic enlargement: 0.17 (another Keys parameter, and taps outside the image dropped instead of replicated);
    - area shrinking: 0.44 (box against triangle), and through it 0.40 for the whole of `degrade` with bilinear.

    Pixels of any integer or floating-point type are taken, in either byte order (FITS files are big-endian).

    Raises InputError for an unknown method or convention, a size below one pixel, masked pixels, or pixels that are not
    real numbers.
    """
    return _resize(_native(images), (size[0], size[1]), method, convention)


def degrade(
    images: Real[Array | np.ndarray, "*batch height width"],
    factor: int,
    method: Method,
    convention: Convention = "opencv",
) -> Float[Array, "*batch height width"]:
    """The images as an instrument of `factor` times coarser pixels gives them, enlarged back to their own size.

    Shrunk with "area" to `height // factor` x `width // factor` (the thesis's section 5.2), then enlarged with `method`.
    factor=1 returns the images unchanged, whatever the method.

    Raises InputError for a factor below 1 or larger than the image, and for pixels that `resize` does not take.
    """
    images = _native(images)
    height, width = images.shape[-2:]
    _check_factor(height, width, factor)
    if factor == 1:
        return jnp.asarray(images, jnp.float32)
    small = resize(images, (height // factor, width // factor), "area", convention)
    return resize(small, (height, width), method, convention)


def apply_matrices(
    images: Real[Array | np.ndarray, "*batch height width"],
    rows: Float[Array, "new_height height"],
    columns: Float[Array, "new_width width"],
) -> Float[Array, "*batch new_height new_width"]:
    """`rows @ image @ columns.T` for every image, in float32 at the highest matmul precision."""
    images, precision = _native(images).astype(jnp.float32), jax.lax.Precision.HIGHEST
    if rows.shape[0] > rows.shape[1]:  # A product over rows transposes its result: it comes while the image is small.
        tall = jnp.einsum("Hh,...hw->...Hw", rows, images, precision=precision)
        return jnp.einsum("...Hw,Ww->...HW", tall, columns, precision=precision)
    narrow = jnp.einsum("...hw,Ww->...hW", images, columns, precision=precision)
    return jnp.einsum("Hh,...hW->...HW", rows, narrow, precision=precision)


def condition_matrices(
    shape: Sequence[int], conditions: Sequence[tuple[int, str]], convention: Convention = "opencv"
) -> tuple[Float64[np.ndarray, "condition height height"], Float64[np.ndarray, "condition width width"]]:
    """The `degrade_matrices` of several (factor, method) conditions, stacked. The method of factor 1 is not used."""
    pairs = [degrade_matrices(shape, factor, method, convention) for factor, method in conditions]
    return np.stack([rows for rows, _ in pairs]), np.stack([columns for _, columns in pairs])


def degrade_matrices(
    shape: Sequence[int], factor: int, method: str, convention: Convention = "opencv"
) -> tuple[Float64[np.ndarray, "height height"], Float64[np.ndarray, "width width"]]:
    """The matrix pair of `degrade`: for each axis, enlargement @ shrinking, multiplied in float64."""
    height, width = shape
    _check_factor(height, width, factor)
    if factor == 1:
        return np.eye(height), np.eye(width)
    return round_trip_matrices(shape, (height // factor, width // factor), method, convention)


def round_trip_matrices(
    shape: Sequence[int], small: Sequence[int], method: str, convention: Convention = "opencv"
) -> tuple[Float64[np.ndarray, "height height"], Float64[np.ndarray, "width width"]]:
    """Shrinking by "area" to `small` = (height, width) pixels and enlarging back with `method`, as one matrix pair."""
    down = resize_matrices(shape, small, "area", convention)
    up = resize_matrices(small, shape, method, convention)
    return up[0] @ down[0], up[1] @ down[1]


def resize_matrices(
    shape: Sequence[int], size: Sequence[int], method: str, convention: Convention = "opencv"
) -> tuple[Float64[np.ndarray, "new_height height"], Float64[np.ndarray, "new_width width"]]:
    """The matrices of `resize` for the rows and the columns of a (height, width) image; each row sums to 1."""
    if method not in get_args(Method):
        raise InputError(f"There is no resampling method {method!r}; choose from {', '.join(get_args(Method))}.")
    if convention not in get_args(Convention):
        raise InputError(
            f"There is no resize convention {convention!r}; choose from {', '.join(get_args(Convention))}."
        )
    if min(*shape, *size) < 1:
        raise InputError(f"Cannot resize {tuple(shape)} px to {tuple(size)} px: every side must be at least 1.")
    if convention == "jax" and method in ("lanczos", "wiener"):
        raise InputError(f"The convention jax has no method {method}. Choose opencv, or another method.")
    if convention == "jax":
        return _jax_weights(shape[0], size[0], method), _jax_weights(shape[1], size[1], method)
    if method == "area" and (size[0] > shape[0] or size[1] > shape[1]):
        # OpenCV takes boxes only where neither axis grows; one growing axis switches both to the fallback.
        return _clipped_linear_weights(shape[0], size[0]), _clipped_linear_weights(shape[1], size[1])
    weights = {
        "nearest": _nearest_weights,
        "bilinear": _bilinear_weights,
        "bicubic": _bicubic_weights,
        "lanczos": _lanczos_weights,
        "wiener": _wiener_weights,
        "area": _area_weights,
    }[method]
    return weights(shape[0], size[0]), weights(shape[1], size[1])


def _native(
    images: Shaped[Array | np.ndarray, "*batch height width"],
) -> Real[Array | np.ndarray, "*batch height width"]:
    """The same pixels in the byte order of this machine, the only one that JAX takes.

    Raises InputError for masked pixels, and for complex numbers, texts and objects.
    """
    if np.ma.is_masked(images):
        raise InputError("Some pixels are masked. Fill them first, e.g. with images.filled(0).")
    if not (jnp.issubdtype(images.dtype, jnp.floating) or images.dtype.kind in "iub"):
        raise InputError(f"Pixels are integers or floating-point numbers, not {images.dtype}.")
    if isinstance(images, np.ndarray):
        return np.asarray(images, images.dtype.newbyteorder("="))
    return images


def width_between(coarse: float, sharp: float) -> float:
    """Standard deviation of the Gaussian that takes images from one seeing to another, in the unit of both (arcsec, px).

    Both are full widths at half maximum. Exact for Gaussian point-spread functions; of others the wings stay those of the sharp
    one. 0 where the first is not larger.
    """
    return max(coarse**2 - sharp**2, 0.0) ** 0.5 / FWHM_PER_SIGMA


def blur_matrix(pixels: int, width: float) -> Float64[np.ndarray, "pixels pixels"]:
    """Convolution of an axis with a Gaussian of standard deviation `width` px, cut off at 4 of them.

    Beyond its edges the axis goes on as its mirror image, so that rows and columns sum to 1: the total flux stays.
    """
    return scipy.ndimage.gaussian_filter1d(np.eye(pixels), width, axis=0, mode="reflect")


def _check_factor(height: int, width: int, factor: int) -> None:
    if not 1 <= factor <= min(height, width):
        raise InputError(
            f"Images of {height}x{width} px can be shrunk by factors 1 to {min(height, width)}, not by {factor}."
        )


@functools.partial(jax.jit, static_argnames=("size", "method", "convention"))
def _resize(
    images: Real[Array | np.ndarray, "*batch height width"],
    size: tuple[int, int],
    method: Method,
    convention: Convention,
) -> Float[Array, "*batch new_height new_width"]:
    """`resize`, compiled: what is done depends on the sizes.

    A weighted sum of a few strided or shifted copies is one loop to XLA, several times faster than a matrix product over
    rows. Columns, which lie next to one another in memory, stay a product.
    """
    rows, columns = resize_matrices(images.shape[-2:], size, method, convention)
    images, (new, old) = jnp.asarray(images, jnp.float32), rows.shape
    if _repeats_pixels(rows) and _repeats_pixels(columns):
        tall = jnp.repeat(images, new // old, axis=-2)
        return jnp.repeat(tall, len(columns) // columns.shape[1], axis=-1)
    if new > old and new % old == 0:
        return _enlarge_rows(_product_over_columns(images, columns), rows)
    if new < old and old % new == 0 and _draws_on_own_block(rows):
        return _product_over_columns(_shrink_rows(images, rows), columns)
    return apply_matrices(images, jnp.asarray(rows, jnp.float32), jnp.asarray(columns, jnp.float32))


def _product_over_columns(
    images: Float[Array, "*batch height width"], columns: Float64[np.ndarray, "new_width width"]
) -> Float[Array, "*batch height new_width"]:
    weights = jnp.asarray(columns, jnp.float32)
    return jnp.einsum("...hw,Ww->...hW", images, weights, precision=jax.lax.Precision.HIGHEST)


def _enlarge_rows(
    images: Float[Array, "*batch height width"], rows: Float64[np.ndarray, "new_height height"]
) -> Float[Array, "*batch new_height width"]:
    """`rows @ image` where new_height is a multiple of height: new row (y, phase) is a sum over few old rows y + shift."""
    new, height = rows.shape
    blocks = rows.reshape(height, new // height, height)
    terms, ahead = [], (None,) * (images.ndim - 2)
    for shift in range(1 - height, height):
        y = np.arange(max(0, -shift), height - max(0, shift))
        weights = np.zeros(blocks.shape[:2], np.float32)
        weights[y] = blocks[y, :, y + shift]
        if weights.any():
            shifted = jax.lax.pad(
                images, np.float32(0), [(0, 0, 0)] * (images.ndim - 2) + [(-shift, shift, 0), (0, 0, 0)]
            )
            terms.append(shifted[..., None, :] * weights[..., None][ahead])
    return functools.reduce(jnp.add, terms).reshape(*images.shape[:-2], new, images.shape[-1])


def _shrink_rows(
    images: Float[Array, "*batch height width"], rows: Float64[np.ndarray, "new_height height"]
) -> Float[Array, "*batch new_height width"]:
    """`rows @ image` where each new row draws on the `height // new_height` old rows of its own block."""
    new, height = rows.shape
    factor, y = height // new, np.arange(new)
    weights = rows.reshape(new, new, factor)[y, y].astype(np.float32)
    ahead = (None,) * (images.ndim - 2)
    terms = (images[..., phase::factor, :] * weights[:, phase, None][ahead] for phase in range(factor))
    return functools.reduce(jnp.add, terms)


def _draws_on_own_block(rows: Float64[np.ndarray, "new old"]) -> bool:
    """Whether new row y has weights only for the old rows of its block, as area shrinking by a whole number."""
    new, old = rows.shape
    y = np.arange(new)
    return bool(np.count_nonzero(rows) == np.count_nonzero(rows.reshape(new, new, old // new)[y, y]))


def _repeats_pixels(matrix: Float64[np.ndarray, "new old"]) -> bool:
    """Whether every pixel is just taken the same number of times."""
    new, old = matrix.shape
    return new % old == 0 and np.array_equal(matrix, np.repeat(np.eye(old), new // old, axis=0))


@functools.lru_cache(maxsize=256)
def _jax_weights(old: int, new: int, method: str) -> Float64[np.ndarray, "new old"]:
    """The image of every single pixel, from a program of its own: op by op, jax.image.resize rounds ties to other pixels."""
    name = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "area": "linear"}[method]
    pixels = np.eye(old, dtype=np.float32)
    with jax.default_matmul_precision("highest"):
        resizing = jax.jit(jax.image.resize, static_argnums=(1, 2)).lower(pixels, (new, old), name).compile()
    return np.asarray(resizing(pixels), np.float64)


def _opencv_scale(old: int, new: int) -> float:
    """Old pixels per new pixel as OpenCV rounds it: for some size pairs `x * old / new` has another floor."""
    return 1.0 / (new / old)


def _scatter(sources: np.ndarray, weights: np.ndarray, old: int) -> Float64[np.ndarray, "new old"]:
    """Sum weight `[new, tap]` into column `sources[new, tap]`; sources beyond the edges count for the edge pixel."""
    matrix = np.zeros((len(sources), old))
    rows = np.broadcast_to(np.arange(len(sources))[:, None], sources.shape)
    np.add.at(matrix, (rows, np.clip(sources, 0, old - 1)), weights)
    return matrix


def _nearest_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    # Pixel corners, not centres, are mapped, so the result is not mirror-symmetric.
    sources = np.floor(np.arange(new) * _opencv_scale(old, new)).astype(int)
    return _scatter(sources[:, None], np.ones((new, 1)), old)


def _linear_coordinates(old: int, new: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixel at or below each new pixel centre and the fraction beyond it."""
    position = (np.arange(new) + 0.5) * _opencv_scale(old, new) - 0.5
    below = np.floor(position)
    return below.astype(int), position - below


def _bilinear_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    below, fraction = _linear_coordinates(old, new)
    return _scatter(np.stack([below, below + 1], 1), np.stack([1 - fraction, fraction], 1), old)


def _bicubic_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    below, fraction = _linear_coordinates(old, new)
    a, t = _KEYS_A, fraction
    first = ((a * (t + 1) - 5 * a) * (t + 1) + 8 * a) * (t + 1) - 4 * a
    second = ((a + 2) * t - (a + 3)) * t * t + 1
    third = ((a + 2) * (1 - t) - (a + 3)) * (1 - t) * (1 - t) + 1
    weights = np.stack([first, second, third, 1 - first - second - third], 1)
    return _scatter(below[:, None] + np.arange(-1, 3), weights, old)


def _lanczos_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    """Eight taps of sinc(x) sinc(x / 4), made to sum to 1."""
    below, fraction = _linear_coordinates(old, new)
    taps = np.arange(-3, 5)
    weights = np.sinc(fraction[:, None] - taps) * np.sinc((fraction[:, None] - taps) / 4)
    return _scatter(below[:, None] + taps, weights / weights.sum(axis=1, keepdims=True), old)


def _wiener_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    """The linear estimate of the least mean square error of new pixels whose means over an old pixel are known (Wiener 1949).

    Of an axis whose pixels correlate by exp(-d / L) over d of them, L = `WIENER_LENGTH` of the axis, and whose means have white noise of
    the variance `WIENER_NOISE` of a new pixel's.
    """
    if new <= old:
        return _area_weights(old, new)
    pixels = np.arange(new)
    covariance = np.exp(-np.abs(pixels[:, None] - pixels) / (WIENER_LENGTH * new))
    means = _area_weights(new, old)
    of_means = means @ covariance @ means.T + WIENER_NOISE * np.eye(old)
    weights = np.linalg.solve(of_means, means @ covariance).T
    return weights / weights.sum(axis=1, keepdims=True)


def _area_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    edges = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    overlap = np.maximum(overlap, 0.0)
    return overlap / overlap.sum(axis=1, keepdims=True)


def _clipped_linear_weights(old: int, new: int) -> Float64[np.ndarray, "new old"]:
    below = np.floor(np.arange(new) * _opencv_scale(old, new)).astype(int)
    beyond = ((np.arange(new) + 1) - (below + 1) * (new / old)).astype(np.float32)
    fraction = np.where(beyond <= 0, 0.0, beyond - np.floor(beyond)).astype(np.float64)
    return _scatter(np.stack([below, below + 1], 1), np.stack([1 - fraction, fraction], 1), old)
