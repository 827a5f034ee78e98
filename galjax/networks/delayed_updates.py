"""Delayed updates: several SGD steps on a dense kernel kept as factors, and applied to it in one product.

A step changes a dense kernel W by the product of what went into the layer and the gradient of what came out of it:
W <- W + X^T G, with X the inputs (batch x inputs) and G = -learning rate x gradient (batch x outputs). Until the change
is made, x W reads x W + (x X^T) G, which costs next to nothing: the factors of eight steps with batches of 8 are a
hundredth of an 8192x1024 kernel. So W is written once in eight steps, by a matrix product of rank 64 instead of eight
passes over memory, and the results are those of plain SGD up to rounding. Quantum Monte Carlo delays the updates of its
Slater determinants in the same way (McDaniel et al. 2017, J. Chem. Phys. 147, 174107).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

Parameters = Any
"""The nested dict of arrays that Flax makes."""


class Factors(NamedTuple):
    """The update of one kernel that is still to be made: `inputs.T @ outputs`."""

    inputs: Float[Array, "rank inputs"]
    outputs: Float[Array, "rank outputs"]


class Delayed(NamedTuple):
    """The parameters of a network while updates of its hidden kernels are delayed."""

    rest: Parameters
    """All but those kernels, up to date."""
    kernels: dict[str, Float[Array, "inputs outputs"]]
    """By layer, as they were before the first delayed step."""
    factors: dict[str, Factors]
    """What the steps since then would have made of them."""


def split(
    parameters: Parameters, layers: Sequence[str]
) -> tuple[Parameters, dict[str, Float[Array, "inputs outputs"]]]:
    """The parameters without the kernels of `layers`, and those kernels."""
    kernels = {name: parameters[name]["kernel"] for name in layers}
    rest = {
        name: {part: value for part, value in layer.items() if not (name in kernels and part == "kernel")}
        for name, layer in parameters.items()
    }
    return rest, kernels


def join(rest: Parameters, kernels: Mapping[str, Float[Array, "inputs outputs"]]) -> Parameters:
    """The opposite of `split`."""
    return {name: {**layer, "kernel": kernels[name]} if name in kernels else layer for name, layer in rest.items()}


def no_factors(kernels: Mapping[str, Float[Array, "inputs outputs"]], rank: int) -> dict[str, Factors]:
    """Room for updates of `rank` (steps x batch size) in all, none of them taken."""
    return {
        name: Factors(
            jnp.zeros((rank, kernel.shape[0]), kernel.dtype), jnp.zeros((rank, kernel.shape[1]), kernel.dtype)
        )
        for name, kernel in kernels.items()
    }


def with_step(
    factors: Mapping[str, Factors],
    step: Int[Array, ""],
    inputs: Mapping[str, Float[Array, "batch inputs"]],
    outputs: Mapping[str, Float[Array, "batch outputs"]],
) -> dict[str, Factors]:
    """The factors with those of the `step`-th delayed step written in their place."""

    def write(into: Array, rows: Array) -> Array:
        return lax.dynamic_update_slice_in_dim(into, rows, step * rows.shape[0], axis=0)

    return {
        name: Factors(write(taken.inputs, inputs[name]), write(taken.outputs, outputs[name]))
        for name, taken in factors.items()
    }


def apply(
    kernels: Mapping[str, Float[Array, "inputs outputs"]], factors: Mapping[str, Factors]
) -> dict[str, Float[Array, "inputs outputs"]]:
    """The kernels after the delayed updates, made in float32 also where the layers multiply at a lower precision."""
    contract_rank, precision = (((0,), (0,)), ((), ())), lax.Precision.HIGHEST
    return {
        name: kernel + lax.dot_general(factors[name].inputs, factors[name].outputs, contract_rank, precision=precision)
        for name, kernel in kernels.items()
    }
