"""Layers that networks share, computed by the chosen lowering at the chosen precision."""

from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from galjax.config.settings import Initialisation
from galjax.networks.lowering import LOWERINGS, LoweringName

Operands = Literal["float32", "tf32", "bfloat16"]
"""What the inputs and kernels of convolutions and hidden dense layers are rounded to before they are multiplied."""

INITIALISERS = {
    "glorot_uniform": nn.initializers.glorot_uniform(),
    "he_normal": nn.initializers.he_normal(),
    "lecun_normal": nn.initializers.lecun_normal(),
}


def rounded(array: Float[Array | np.ndarray, "..."], operands: Operands) -> Float[Array, "..."]:
    """The array, and on the way back its gradient, as the matrix units see it; tf32 has 10 bits of mantissa."""
    if operands == "tf32":
        return jax.lax.reduce_precision(jnp.asarray(array), exponent_bits=8, mantissa_bits=10)
    return jnp.asarray(array, jnp.dtype(operands))


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
        product = LOWERINGS[self.lowering].dense(rounded(x, self.operands), rounded(kernel, self.operands))
        product = product.astype(bias.dtype)
        if self.has_variable("perturbations", "outputs"):
            product += self.get_variable("perturbations", "outputs")
        if self.has_variable("factors", "inputs"):
            inputs: Float[Array, "rank inputs"] = self.get_variable("factors", "inputs")
            outputs: Float[Array, "rank units"] = self.get_variable("factors", "outputs")
            product += (x @ inputs.T) @ outputs
        return product + bias[None, :]
