"""How galaxies are shown to a network: in which view, and at which resolution."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Float64

from galjax.resample import Convention, blur_matrix, degrade_matrices, resize_matrices, round_trip_matrices
from galjax.sample import GalaxySample, bands_last
from galjax.training.step import Conditions, DeviceSample, Noise

MatrixPair = tuple[Float64[np.ndarray, "new_height height"], Float64[np.ndarray, "new_width width"]]


class Condition(NamedTuple):
    """A way to see galaxies: shrunk by `factor` and enlarged with `method`; factor 1 has the method "none"."""

    factor: int = 1
    method: str = "none"
    size: int | None = None
    """Height that it is shrunk to, px, instead of height // factor."""
    view: int = 0
    """Index of the view in the pool."""
    blur: float = 0.0
    """Standard deviation, px, of a Gaussian that blurs them before they are shrunk."""
    noise: tuple[float, ...] = ()
    """Standard deviation, by band, of the white noise added to each pixel of the shrunk images; none where it is empty."""

    @property
    def label(self) -> str:
        """The condition's name in figures, as in the thesis: "Original" or "1/4"."""
        return "Original" if self.factor == 1 else f"1/{self.factor}"

    def small(self, shape: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) that images of this (height, width) are shrunk to."""
        if self.size is None:
            return shape[0] // self.factor, shape[1] // self.factor
        return self.size, max(1, round(shape[1] * self.size / shape[0]))

    def matrices(self, shape: tuple[int, int], convention: Convention) -> MatrixPair:
        """Blurring and resampling of images of this (height, width), as `galjax.resample.degrade_matrices`."""
        if self.size is None:
            method = "nearest" if self.factor == 1 else self.method
            return self._after_blur(degrade_matrices(shape, self.factor, method, convention))
        return self._after_blur(round_trip_matrices(shape, self.small(shape), self.method, convention))

    def shrinking(self, shape: tuple[int, int], convention: Convention) -> MatrixPair:
        """The first part of `matrices`: blurring, and shrinking by "area"."""
        return self._after_blur(resize_matrices(shape, self.small(shape), "area", convention))

    def enlarging(self, shape: tuple[int, int], convention: Convention) -> MatrixPair:
        """The last part of `matrices`: enlarging the shrunk images."""
        method = "nearest" if self.factor == 1 else self.method
        return resize_matrices(self.small(shape), shape, method, convention)

    def _after_blur(self, matrices: MatrixPair) -> MatrixPair:
        if not self.blur:
            return matrices
        rows, columns = (matrix @ blur_matrix(matrix.shape[1], self.blur) for matrix in matrices)
        return rows, columns


ORIGINAL = Condition()


def make_conditions(factors: Sequence[int], methods: Sequence[str]) -> tuple[Condition, ...]:
    """Original once, then every method at every factor above 1, in the given order."""
    return (ORIGINAL, *(Condition(factor, method) for method in methods for factor in factors if factor > 1))


def to_device(sample: GalaxySample, *views: Float32[np.ndarray, "galaxy height width *band"]) -> DeviceSample:
    """The sample's images, always with a band axis, and labels as device arrays; and further views of its galaxies."""
    images = [bands_last(view) for view in (sample.images, *views)]
    return DeviceSample(jnp.stack(images), jnp.asarray(sample.labels))


def device_conditions(pool: DeviceSample, conditions: Sequence[Condition], convention: Convention) -> Conditions:
    """The conditions' views, and their resampling matrices for the pool's image size, in float32; noise where any adds it."""
    _, _, height, width, bands = pool.images.shape
    shape = (height, width)
    pairs = [condition.matrices(shape, convention) for condition in conditions]
    rows, columns = (jnp.asarray(np.stack(matrices), jnp.float32) for matrices in zip(*pairs, strict=True))
    views = jnp.asarray([condition.view for condition in conditions], jnp.int32)
    return Conditions(views, rows, columns, _device_noise(conditions, (height, width, bands), convention))


def _device_noise(
    conditions: Sequence[Condition], image_shape: tuple[int, int, int], convention: Convention
) -> Noise | None:
    """The noise that conditions add to images of (height, width, band): none of them, or some while others add 0."""
    if not any(condition.noise for condition in conditions):
        return None
    *shape, bands = image_shape
    factors = jnp.asarray([condition.factor for condition in conditions], jnp.uint32)
    deviation = jnp.asarray([condition.noise or (0.0,) * bands for condition in conditions], jnp.float32)
    pairs = [condition.enlarging((shape[0], shape[1]), convention) for condition in conditions]
    filled = [[np.pad(matrix, ((0, 0), (0, len(matrix) - matrix.shape[1]))) for matrix in pair] for pair in pairs]
    rows, columns = (jnp.asarray(np.stack(matrices), jnp.float32) for matrices in zip(*filled, strict=True))
    return Noise(factors, deviation, rows, columns)
