"""A small residual network: three blocks, group normalisation, and the mean over all pixels instead of wide dense layers.

He et al. 2016 (CVPR, arXiv:1512.03385) for blocks and projections, Wu & He 2018 (ECCV, arXiv:1803.08494) for the
normalisation, which takes its statistics from one image alone: nothing is shared in a batch or kept between steps.
"""

import math

import flax.linen as nn
from jaxtyping import Array, Float

from galjax.config.settings import Initialisation
from galjax.networks.layers import INITIALISERS, Operands, rounded
from galjax.networks.lowering import LOWERINGS, LoweringName
from galjax.networks.network import Network

MOST_GROUPS = 8
"""Of filters that are normalised together; fewer where they do not divide the filters."""


class NormalisedConvolution(nn.Module):
    """Convolution without bias, "same" padding, and group normalisation, with the parameters of Flax's layers."""

    filters: int
    kernel_size: int
    initialisation: Initialisation
    lowering: LoweringName
    operands: Operands

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width band"]) -> Float[Array, "batch height width filter"]:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.filters)
        kernel = self.param("kernel", INITIALISERS[self.initialisation], shape)
        convolution = LOWERINGS[self.lowering].convolution
        convolved = convolution(rounded(x, self.operands), rounded(kernel, self.operands), "same").astype(kernel.dtype)
        return nn.GroupNorm(math.gcd(MOST_GROUPS, self.filters), name="norm")(convolved)


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
        y = nn.relu(NormalisedConvolution(self.filters, 3, *how, name="conv_1")(x))
        y = NormalisedConvolution(self.filters, 3, *how, name="conv_2")(y)
        if x.shape[-1] != self.filters:
            x = NormalisedConvolution(self.filters, 1, *how, name="projection")(x)
        return nn.relu(x + y)


class ResidualNetwork(Network):
    """conv 3x3, three residual blocks that each halve the image first, mean over pixels, one output per class."""

    def setup(self) -> None:
        """Layers with the names they have in the parameter tree."""
        how = (self.config.initialisation, self.lowering, self.operands)
        self.stem = NormalisedConvolution(self.config.filters[0], 3, *how)
        for number, filters in enumerate(self.config.filters, 1):
            setattr(self, f"block_{number}", ResidualBlock(filters, *how))
        self.drop = nn.Dropout(self.config.dropout)
        self.output = nn.Dense(self.num_classes, kernel_init=INITIALISERS[self.config.initialisation])

    @property
    def smallest_image(self) -> int:
        """One pixel is left after the last pooling."""
        return 2 ** len(self.config.filters)

    @property
    def between_layers(self) -> str:
        """As `Network.between_layers`."""
        return (
            "Every convolution is followed by group normalisation and ReLU; every block begins with 2x2 max-pooling and "
            f"adds what it was given to what it makes of it. The output takes the mean over all pixels, with dropout of "
            f"{self.config.dropout:g}."
        )

    def features(self, images: Float[Array, "batch height width band"]) -> Float[Array, "batch feature"]:
        """The mean over the pixels of what the last block makes of scaled images."""
        x = nn.relu(self.stem(images))
        for number in range(1, len(self.config.filters) + 1):
            x = getattr(self, f"block_{number}")(x)
        return x.mean(axis=(1, 2))

    def classify(self, features: Float[Array, "batch feature"], *, train: bool) -> Float[Array, "batch class"]:
        """Logits of features."""
        return self.output(self.drop(features, deterministic=not train))
