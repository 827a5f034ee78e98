"""The thesis's convolutional network, in Flax, and how pixel values are scaled before they enter it."""

from typing import Literal, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from galjax.config.settings import KERNEL_SIZES, Initialisation, InputScaling, NetworkConfig
from galjax.errors import InputError
from galjax.networks.lowering import LOWERINGS, LoweringName, Padding

Operands = Literal["float32", "tf32", "bfloat16"]
"""What the inputs and kernels of convolutions and hidden dense layers are rounded to before they are multiplied."""

INITIALISERS = {
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "he_normal": nn.initializers.he_normal(),
    "lecun_normal": nn.initializers.lecun_normal(),
}


def _round(array: Float[Array | np.ndarray, "..."], operands: Operands) -> Float[Array, "..."]:
    """The array, and on the way back its gradient, as the matrix units see it; tf32 has 10 bits of mantissa."""
    if operands == "tf32":
        return jax.lax.reduce_precision(jnp.asarray(array), exponent_bits=8, mantissa_bits=10)
    return jnp.asarray(array, jnp.dtype(operands))


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
        convolved = lowering.convolution(_round(x, self.operands), _round(kernel, self.operands), self.padding)
        return nn.relu(lowering.max_pool(convolved).astype(bias.dtype) + bias[None, None, None, :])


class DenseLayer(nn.Module):
    """A dense layer with the parameters of `flax.linen.Dense`, computed by the chosen lowering.

    Where it is given a collection "factors", an update of its kernel that has not been applied yet, it works as if it
    had been; its inputs can be asked for as "intermediates", and "perturbations" are added to its outputs, whose gradient
    is that of the outputs. All three serve `galjax.networks.delayed_updates`.
    """

    units: int
    initialisation: Initialisation
    lowering: LoweringName
    operands: Operands

    @nn.compact
    def __call__(self, x: Float[Array, "batch inputs"]) -> Float[Array, "batch units"]:
        kernel = self.param("kernel", INITIALISERS[self.initialisation], (x.shape[-1], self.units))
        bias = self.param("bias", nn.initializers.zeros, (self.units,))
        self.sow("intermediates", "inputs", x)
        product = LOWERINGS[self.lowering].dense(_round(x, self.operands), _round(kernel, self.operands))
        product = product.astype(bias.dtype)
        if self.has_variable("perturbations", "outputs"):
            product += self.get_variable("perturbations", "outputs")
        if self.has_variable("factors", "inputs"):
            inputs: Float[Array, "rank inputs"] = self.get_variable("factors", "inputs")
            outputs: Float[Array, "rank units"] = self.get_variable("factors", "outputs")
            product += (x @ inputs.T) @ outputs
        return product + bias[None, :]


class GalaxyNetwork(nn.Module):
    """conv 3x3, pool, conv 3x3, pool, conv 2x2, pool, dense 1024, dense 1024, one output per class (figure 4.5)."""

    config: NetworkConfig
    num_classes: int
    lowering: LoweringName = "xla"
    operands: Operands = "float32"

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
        """Names of the hidden dense layers, which hold nearly all of the parameters."""
        return tuple(f"dense_{number}" for number in range(1, len(self.config.dense_units) + 1))

    def __call__(self, images: Float[Array, "batch height width band"], *, train: bool) -> Float[Array, "batch class"]:
        """Logits of scaled images (`scale_images`). With train=True an rng named "dropout" is needed."""
        return self.classify(self.features(images), train=train)

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


def scale_images(
    images: Float[Array, "*batch height width band"], scaling: InputScaling
) -> Float[Array, "*batch height width band"]:
    """Each image and band scaled by its own pixels (see `NetworkConfig.input_scaling`); a constant image gives zeros."""
    if scaling not in get_args(InputScaling):
        raise InputError(f"There is no input scaling {scaling!r}; choose from {', '.join(get_args(InputScaling))}.")
    if scaling == "none":
        return images
    pixels = (-3, -2)
    tiny = jnp.finfo(images.dtype).tiny
    if scaling == "minmax":
        lowest = images.min(axis=pixels, keepdims=True)
        return (images - lowest) / jnp.maximum(images.max(axis=pixels, keepdims=True) - lowest, tiny)
    centred = images - images.mean(axis=pixels, keepdims=True)
    standard = centred * jax.lax.rsqrt(jnp.maximum(jnp.square(centred).mean(axis=pixels, keepdims=True), tiny))
    return standard if scaling == "standard" else jnp.arcsinh(standard)
