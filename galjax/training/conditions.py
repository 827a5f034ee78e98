"""How galaxies are shown to a network: in which view, and at which resolution."""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, Float64

from galjax.resample import Convention, degrade_matrices, round_trip_matrices
from galjax.sample import GalaxySample
from galjax.training.step import Conditions, DeviceSample


class Condition(NamedTuple):
    """A way to see galaxies: shrunk by `factor` and enlarged with `method`; factor 1 has the method "none"."""

    factor: int = 1
    method: str = "none"
    size: int | None = None
    """Height that it is shrunk to, px, instead of height // factor."""
    view: int = 0
    """Index of the view in the pool."""

    @property
    def label(self) -> str:
        """The condition's name in figures, as in the thesis: "Original" or "1/4"."""
        return "Original" if self.factor == 1 else f"1/{self.factor}"

    def matrices(
        self, shape: tuple[int, int], convention: Convention
    ) -> tuple[Float64[np.ndarray, "height height"], Float64[np.ndarray, "width width"]]:
        """The resampling of images of this (height, width), as `galjax.resample.degrade_matrices`."""
        if self.size is None:
            return degrade_matrices(shape, self.factor, "nearest" if self.factor == 1 else self.method, convention)
        small = (self.size, max(1, round(shape[1] * self.size / shape[0])))
        return round_trip_matrices(shape, small, self.method, convention)


ORIGINAL = Condition()


def make_conditions(factors: Sequence[int], methods: Sequence[str]) -> tuple[Condition, ...]:
    """Original once, then every method at every factor above 1, in the given order."""
    return (ORIGINAL, *(Condition(factor, method) for method in methods for factor in factors if factor > 1))


def to_device(sample: GalaxySample, *views: Float32[np.ndarray, "galaxy height width *band"]) -> DeviceSample:
    """The sample's images, always with a band axis, and labels as device arrays; and further views of its galaxies."""
    images = [view if view.ndim == 4 else view[..., None] for view in (sample.images, *views)]
    return DeviceSample(jnp.stack(images), jnp.asarray(sample.labels))


def device_conditions(pool: DeviceSample, conditions: Sequence[Condition], convention: Convention) -> Conditions:
    """The conditions' views, and their resampling matrices for the pool's image size, in float32."""
    shape = (pool.images.shape[2], pool.images.shape[3])
    pairs = [condition.matrices(shape, convention) for condition in conditions]
    rows, columns = (jnp.asarray(np.stack(matrices), jnp.float32) for matrices in zip(*pairs, strict=True))
    return Conditions(jnp.asarray([condition.view for condition in conditions], jnp.int32), rows, columns)
