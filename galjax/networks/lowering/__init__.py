"""Convolution, pooling and dense layers, several ways: same parameters, values and gradients, other speed.

Every repeat has its own weights, so under vmap over repeats XLA turns a convolution into a grouped one, which no
backend runs well. What to do instead depends on the machine; `galjax.training.execution` chooses, from measurement.

- "direct" (CPU, one repeat after the other): convolutions in the one arrangement that XLA:CPU hands to its fast kernels;
- "patches" (repeats under vmap): convolution as patches times a matrix, which vmap turns into a batched product;
- "xla": what the compiler makes of the plain layer; the reference that the tests hold the others to.
"""

from typing import NamedTuple, Protocol

from jaxtyping import Array, Float

from galjax.config.settings import LoweringName, Padding
from galjax.networks.lowering import direct, patches, xla
from galjax.networks.lowering.pooling import max_pool


class _Convolution(Protocol):
    def __call__(
        self, x: Float[Array, "batch height width band"], kernel: Float[Array, "k k band filter"], padding: Padding, /
    ) -> Float[Array, "batch new_height new_width filter"]: ...


class _Pooling(Protocol):
    def __call__(
        self, x: Float[Array, "batch height width filter"], /
    ) -> Float[Array, "batch half_height half_width filter"]: ...


class _Dense(Protocol):
    def __call__(
        self, x: Float[Array, "batch inputs"], kernel: Float[Array, "inputs outputs"], /
    ) -> Float[Array, "batch outputs"]: ...


class Lowering(NamedTuple):
    """One way to compute each kind of layer, without its bias and activation."""

    convolution: _Convolution
    max_pool: _Pooling
    dense: _Dense


LOWERINGS: dict[LoweringName, Lowering] = {
    "direct": Lowering(direct.convolution, max_pool, direct.dense),
    "patches": Lowering(patches.convolution, max_pool, xla.dense),
    "xla": Lowering(xla.convolution, xla.max_pool, xla.dense),
}

__all__ = ["LOWERINGS", "Lowering", "LoweringName", "Padding"]
