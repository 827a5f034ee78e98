"""The thesis's convolutional network: nearly all of its parameters are in two wide dense layers."""

import flax.linen as nn
from jaxtyping import Array, Float

from galjax.config.settings import KERNEL_SIZES, Initialisation
from galjax.networks.layers import INITIALISERS, DenseLayer, Operands, rounded
from galjax.networks.lowering import LOWERINGS, LoweringName, Padding
from galjax.networks.network import Network


class ConvolutionBlock(nn.Module):
    """Convolution, bias, ReLU and 2x2 max-pooling, with the parameters of `flax.linen.Conv`.

    Pooling comes before bias and ReLU: both are monotonic, so the values are the same on a quarter of the pixels.
    """

    filters: int
    kernel_size: int
    padding: Padding
    initialisation: Initialisation
    lowering: LoweringName
    operands: Operands

    @nn.compact
    def __call__(self, x: Float[Array, "batch height width band"]) -> Float[Array, "batch h w filter"]:
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.filters)
        kernel = self.param("kernel", INITIALISERS[self.initialisation], shape)
        bias = self.param("bias", nn.initializers.zeros, (self.filters,))
        lowering = LOWERINGS[self.lowering]
        convolved = lowering.convolution(rounded(x, self.operands), rounded(kernel, self.operands), self.padding)
        return nn.relu(lowering.max_pool(convolved).astype(bias.dtype) + bias[None, None, None, :])


class ThesisNetwork(Network):
    """conv 3x3, pool, conv 3x3, pool, conv 2x2, pool, dense 1024, dense 1024, one output per class (figure 4.5)."""

    def setup(self) -> None:
        """Layers with the names they have in the parameter tree."""
        how = (self.config.initialisation, self.lowering, self.operands)
        for number, (filters, size) in enumerate(zip(self.config.filters, KERNEL_SIZES, strict=True), 1):
            setattr(self, f"conv_{number}", ConvolutionBlock(filters, size, self.config.padding, *how))
        for name, units in zip(self.hidden_layers, self.config.dense_units, strict=True):
            setattr(self, name, DenseLayer(units, *how))
        self.drop = nn.Dropout(self.config.dropout)
        self.output = nn.Dense(self.num_classes, kernel_init=INITIALISERS[self.config.initialisation])

    @property
    def hidden_layers(self) -> tuple[str, ...]:
        """They hold nearly all of the parameters."""
        return tuple(f"dense_{number}" for number in range(1, len(self.config.dense_units) + 1))

    @property
    def smallest_image(self) -> int:
        """One pixel is left after the last pooling."""
        size = 1
        for kernel in reversed(KERNEL_SIZES):
            size = 2 * size + (0 if self.config.padding == "same" else kernel - 1)
        return size

    @property
    def between_layers(self) -> str:
        """As `Network.between_layers`."""
        return (
            "Every convolution is followed by ReLU and 2x2 max-pooling, every hidden dense layer by ReLU and dropout of "
            f"{self.config.dropout:g}."
        )

    def features(self, images: Float[Array, "batch height width band"]) -> Float[Array, "batch feature"]:
        """What the convolutions make of scaled images."""
        x = images
        for number in range(1, len(self.config.filters) + 1):
            x = getattr(self, f"conv_{number}")(x)
        return x.reshape(x.shape[0], -1)

    def classify(self, features: Float[Array, "batch feature"], *, train: bool) -> Float[Array, "batch class"]:
        """Logits of features."""
        x = features
        for name in self.hidden_layers:
            x = self.drop(nn.relu(getattr(self, name)(x)), deterministic=not train)
        return self.output(x)
