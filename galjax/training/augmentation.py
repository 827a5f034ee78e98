"""Training images that change at random in every epoch, inside the compiled step: what a survey that sees less might have seen.

All of it acts on pixels in the units of the image, before they are scaled. Each image has a key of its own, folded from those of repeat,
epoch and galaxy, so that how repeats are spread over devices and where a training was interrupted change nothing. Strengths are traced:
other strengths cost no retrace. Other parts do.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Array, Float, Int, Key

from galjax.config.settings import AugmentConfig, Convention
from galjax.resample import apply_matrices, degrade_matrices, resize_matrices

ORIENTATIONS = 8
"""Quarter turns, each also mirrored: the dihedral group of the square."""
SHARPEST = 1e-3
"""Standard deviation, px, of the narrowest Gaussian: it blurs nothing."""


class Resolutions(NamedTuple):
    """What images may be shrunk to, and enlarged with, as `galjax.resample.degrade_matrices` does it."""

    rows: Float[Array, "choice height height"]
    columns: Float[Array, "choice width width"]
    noise_rows: Float[Array, "choice height height"]
    """Enlarge coarse pixels, which are the first of an axis; columns of zeros fill up the rest."""
    noise_columns: Float[Array, "choice width width"]
    weights: Float[Array, " choice"]
    """How often each is taken, relative to the others; at least 0."""


class Augmentation(NamedTuple):
    """What happens to an image, in this order. A part that is None is not in the program."""

    turned: Float[Array, ""] | None = None
    """Probability, 0 to 1, that the image is put into an orientation drawn from its eight (four, where it is not square)."""
    rotation: Float[Array, ""] | None = None
    """Largest angle, radians, either way; bilinear, with the image mirrored beyond its edges."""
    seeing: Float[Array, ""] | None = None
    """Largest standard deviation, px, of a Gaussian that blurs it."""
    shift: Float[Array, ""] | None = None
    """Largest shift along either axis, px, either way; by cubic convolution (Keys 1981, IEEE Trans. ASSP 29, 1153)."""
    resolution: Resolutions | None = None
    noise: Float[Array, ""] | None = None
    """Largest standard deviation of white noise, added to each pixel of the shrunk image, in units of the noise of the training images'
    own pixels."""


def make_augmentation(config: AugmentConfig, shape: tuple[int, int], convention: Convention) -> Augmentation | None:
    """The parts of a recipe, for images of (height, width); None where nothing is to change.

    Each part of "all" whose strength is 0 is left out.
    """
    if config.augment == "none":
        return None
    strengths = {
        "rotation": np.deg2rad(config.augment_rotation),
        "seeing": config.augment_seeing,
        "shift": config.augment_shift,
        "noise": config.augment_noise,
    }
    more = {name: jnp.float32(value) for name, value in strengths.items() if value and config.augment == "all"}
    turned = jnp.float32(1) if config.augment in ("dihedral", "all") else None
    resolution = _resolutions(config, shape, convention) if config.augment in ("resolution", "all") else None
    return Augmentation(turned, resolution=resolution, **more)


def _resolutions(config: AugmentConfig, shape: tuple[int, int], convention: Convention) -> Resolutions:
    """Every whole factor from 1 is as likely as any other, and below Original every method."""
    most = min(config.augment_factor, *shape)
    choices = [(1, "nearest"), *((k, method) for k in range(2, most + 1) for method in config.augment_methods)]
    weights = [1.0 if k == 1 else 1 / len(config.augment_methods) for k, _ in choices]
    whole = [degrade_matrices(shape, k, method, convention) for k, method in choices]
    enlarging = [resize_matrices((shape[0] // k, shape[1] // k), shape, method, convention) for k, method in choices]
    filled = [[np.pad(one, ((0, 0), (0, len(one) - one.shape[1]))) for one in pair] for pair in enlarging]
    stacked = (np.stack(matrices) for pairs in (whole, filled) for matrices in zip(*pairs, strict=True))
    rows, columns, noise_rows, noise_columns = (jnp.asarray(matrices, jnp.float32) for matrices in stacked)
    return Resolutions(rows, columns, noise_rows, noise_columns, jnp.asarray(weights, jnp.float32))


def augmented(
    images: Float[Array, "galaxy height width band"],
    keys: Key[Array, " galaxy"],
    augmentation: Augmentation,
    noise: Float[Array, " band"] | None = None,
) -> Float[Array, "galaxy height width band"]:
    """The images as `augmentation` changes them, each by its own key.

    `noise` is that of the images' own pixels, one standard deviation; it is needed where noise is added.
    """
    return jax.vmap(lambda image, key: _changed(image, key, augmentation, noise))(images, keys)


def _changed(
    image: Float[Array, "height width band"],
    key: Key[Array, ""],
    augmentation: Augmentation,
    noise: Float[Array, " band"] | None,
) -> Float[Array, "height width band"]:
    turn, angle, blur, move, choose, level, white = jax.random.split(key, 7)
    if augmentation.turned is not None:
        image = _turned(image, turn, augmentation.turned)
    if augmentation.rotation is not None:
        image = _rotated(image, jax.random.uniform(angle, minval=-1.0) * augmentation.rotation)
    height, width, _ = image.shape
    steps: list[tuple[Float[Array, "height height"], Float[Array, "width width"]]] = []
    if augmentation.seeing is not None:
        sigma = jax.random.uniform(blur) * augmentation.seeing
        steps.append((_blurring(height, sigma), _blurring(width, sigma)))
    if augmentation.shift is not None:
        down, right = jax.random.uniform(move, (2,), minval=-1.0) * augmentation.shift
        steps.append((_shifting(height, down), _shifting(width, right)))
    choice = None
    if augmentation.resolution is not None:
        resolution = augmentation.resolution
        choice = jax.random.categorical(choose, jnp.log(resolution.weights))
        steps.append((resolution.rows[choice], resolution.columns[choice]))
    if steps:
        rows, columns = steps[0]
        for more_rows, more_columns in steps[1:]:
            rows, columns = _product(more_rows, rows), _product(more_columns, columns)
        image = _resampled(image, rows, columns)
    if augmentation.noise is not None:
        assert noise is not None
        deviation = jax.random.uniform(level) * augmentation.noise * noise
        added = jax.random.normal(white, image.shape) * deviation[None, None, :]
        if augmentation.resolution is not None and choice is not None:
            added = _resampled(
                added, augmentation.resolution.noise_rows[choice], augmentation.resolution.noise_columns[choice]
            )
        image = image + added
    return image


def _turned(
    image: Float[Array, "height width band"], key: Key[Array, ""], probability: Float[Array, ""]
) -> Float[Array, "height width band"]:
    """In an orientation drawn from all; those that exchange the axes are of a square image alone."""
    whether, which = jax.random.split(key)
    orientation = jax.random.randint(which, (), 0, ORIENTATIONS)
    orientation = jnp.where(jax.random.uniform(whether) < probability, orientation, 0)
    return oriented(image, orientation)


def oriented(
    image: Float[Array, "height width band"], orientation: Int[Array, ""]
) -> Float[Array, "height width band"]:
    """One of the `ORIENTATIONS` of a square image; numbers below 4 keep the shape of any."""
    image = jnp.where(orientation & 1, image[::-1], image)
    image = jnp.where(orientation & 2, image[:, ::-1], image)
    is_square = image.shape[0] == image.shape[1]
    return jnp.where(orientation & 4, image.swapaxes(0, 1), image) if is_square else image


def _rotated(image: Float[Array, "height width band"], angle: Float[Array, ""]) -> Float[Array, "height width band"]:
    height, width, _ = image.shape
    y, x = jnp.meshgrid(*(jnp.arange(n, dtype=jnp.float32) - (n - 1) / 2 for n in (height, width)), indexing="ij")
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    places = [cosine * y - sine * x + (height - 1) / 2, sine * y + cosine * x + (width - 1) / 2]
    return jax.vmap(lambda band: map_coordinates(band, places, 1, mode="mirror"), in_axes=2, out_axes=2)(image)


def _blurring(pixels: int, sigma: Float[Array, ""]) -> Float[Array, "pixels pixels"]:
    """Convolution of an axis with a Gaussian; at the edges only of what there is."""
    numbers = jnp.arange(pixels, dtype=jnp.float32)
    distances = numbers[None, :] - numbers[:, None]
    weights = jnp.exp(-0.5 * jnp.square(distances / jnp.maximum(sigma, SHARPEST)))
    return weights / weights.sum(axis=1, keepdims=True)


def _shifting(pixels: int, shift: Float[Array, ""]) -> Float[Array, "pixels pixels"]:
    """The axis moved by `shift` px to higher numbers, with Keys's kernel of a = -1/2; beyond its edges it is as at them."""
    numbers = jnp.arange(pixels, dtype=jnp.float32)
    places = jnp.clip(numbers - shift, 0, pixels - 1)
    x = jnp.abs(numbers[None, :] - places[:, None])
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    weights = jnp.where(x <= 1, near, jnp.where(x < 2, far, 0.0))
    return weights / weights.sum(axis=1, keepdims=True)


def _product(one: Float[Array, "n n"], other: Float[Array, "n n"]) -> Float[Array, "n n"]:
    return jnp.matmul(one, other, precision=jax.lax.Precision.HIGHEST)


def _resampled(
    image: Float[Array, "height width band"], rows: Float[Array, "height height"], columns: Float[Array, "width width"]
) -> Float[Array, "height width band"]:
    return jnp.moveaxis(apply_matrices(jnp.moveaxis(image, 2, 0), rows, columns), 0, 2)
