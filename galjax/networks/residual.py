"""A small residual network: three blocks, standardised kernels, and the mean over all pixels instead of wide dense layers.

Blocks as by He et al. 2016 (ECCV, arXiv:1603.05027). Kernels are standardised (Qiao et al. 2019, arXiv:1903.10520), scaled
as by Brock et al. 2021 (ICLR, arXiv:2101.08692, eq. 1). So nothing is normalised by the statistics of a batch, which repeats
under `vmap` and galaxies that fill up a batch would change, or of an image, whose one pixel after pooling would become zero.
"""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from galjax.config.settings import Initialisation
from galjax.networks.layers import INITIALISERS, Operands, rounded
from galjax.networks.lowering import LOWERINGS, LoweringName
from galjax.networks.network import Network

SMALLEST_VARIANCE = 1e-4
"""Least variance of a kernel, times its taps: one that is constant becomes zero, not a division by zero."""


def standardised(kernel: Float[Array, "k k band filter"]) -> Float[Array, "k k band filter"]:
    """The kernel with mean 0 and variance 1 / taps in every filter, so that it keeps the variance of what it is applied to.

    A filter of a single tap stays as it is.
    """
    taps = math.prod(kernel.shape[:-1])
    if taps == 1:
        return kernel
    centred = kernel - kernel.mean((0, 1, 2), keepdims=True)
    variance = taps * jnp.square(centred).mean((0, 1, 2), keepdims=True)
    return centred * jax.lax.rsqrt(jnp.maximum(variance, SMALLEST_VARIANCE))


def rectified(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """ReLU, scaled so that a standard normal distribution keeps its variance."""
    return nn.relu(x) * math.sqrt(2 / (1 - 1 / math.pi))


class StandardisedConvolution(nn.Module):
    """Convolution with a `standardised` kernel, a learned gain and bias for each filter, and zeros outside the image."""

    filters: int
    kernel_size: int
    initialisation: Initialisation
    lowering: LoweringName
    operands: Operands

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width band"]) -> Float[Array, "batch height width filter"]:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.filters)
        kernel = self.param("kernel", INITIALISERS[self.initialisation], shape)
        gain = self.param("gain", nn.initializers.ones, (self.filters,))
        bias = self.param("bias", nn.initializers.zeros, (self.filters,))
        applied = standardised(kernel) * gain[None, None, None, :]
        convolution = LOWERINGS[self.lowering].convolution
        convolved = convolution(rounded(x, self.operands), rounded(applied, self.operands), "same")
        return convolved.astype(bias.dtype) + bias[None, None, None, :]


class ResidualBlock(nn.Module):
    """2x2 max-pooling, then two convolutions 3x3 whose result is added to what went in, projected where the bands change."""

    filters: int
    initialisation: Initialisation
    lowering: LoweringName
    operands: Operands

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width band"]) -> Float[Array, "batch h w filter"]:
        how = (self.initialisation, self.lowering, self.operands)
        x = LOWERINGS[self.lowering].max_pool(x)
        y = StandardisedConvolution(self.filters, 3, *how, name="conv_1")(rectified(x))
        y = StandardisedConvolution(self.filters, 3, *how, name="conv_2")(rectified(y))
        if x.shape[-1] != self.filters:
            x = StandardisedConvolution(self.filters, 1, *how, name="projection")(x)
        return x + y


class ResidualNetwork(Network):
    """conv 3x3, three residual blocks that each halve the image first, mean over pixels, one output per class."""

    def setup(self) -> None:
        """Layers with the names they have in the parameter tree."""
        how = (self.config.initialisation, self.lowering, self.operands)
        self.stem = StandardisedConvolution(self.config.filters[0], 3, *how)
        for number, filters in enumerate(self.config.filters, 1):
            setattr(self, f"block_{number}", ResidualBlock(filters, *how))
        self.output = nn.Dense(self.num_classes, kernel_init=INITIALISERS[self.config.initialisation])

    @property
    def smallest_image(self) -> int:
        """One pixel is left after the last pooling."""
        return 2 ** len(self.config.filters)

    @property
    def between_layers(self) -> str:
        """As `Network.between_layers`."""
        return (
            "Kernels of convolutions are standardised. Every block begins with 2x2 max-pooling, puts ReLU before each of two "
            "convolutions, and adds what it was given to what it makes of it. The output takes the mean of the last ReLU over "
            "all pixels."
        )

    def features(self, images: Float[Array, "batch height width band"]) -> Float[Array, "batch feature"]:
        """The mean over the pixels of what the last block makes of scaled images."""
        x = self.stem(images)
        for number in range(1, len(self.config.filters) + 1):
            x = getattr(self, f"block_{number}")(x)
        return rectified(x).mean(axis=(1, 2))

    def classify(self, features: Float[Array, "batch feature"], *, train: bool) -> Float[Array, "batch class"]:
        """Logits of features; the same while training."""
        return self.output(features)
