"""What a network costs, read off the program that JAX makes of it: no shape is worked out by hand, nothing is computed."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn

from galjax.config.jax_settings import PRNG
from galjax.networks.network import Network


class Product(NamedTuple):
    """A convolution or a matrix product."""

    kind: Literal["convolution", "matrix"]
    flops: int
    """Floating-point operations: two for each product of two numbers that is added to a sum."""
    read: int
    """Numbers in both operands."""
    written: int
    """Numbers in the result."""


def products_of(function: Callable[..., Any], *arguments: Any) -> list[Product]:
    """All products in what JAX makes of `function`, in order; a product in a loop is counted once.

    Zeros around an image are multiplied like pixels.
    """
    return [_product(equation) for equation in _equations(jax.make_jaxpr(function)(*arguments).jaxpr)]


def parameter_shapes(network: Network, image_shape: tuple[int, int, int]) -> Any:
    """The tree of its parameters, as shapes and dtypes, for images of (height, width, band)."""
    return jax.eval_shape(
        lambda image: network.init(jax.random.key(0, impl=PRNG), image, train=False)["params"], images(1, image_shape)
    )


def images(count: int, image_shape: tuple[int, int, int]) -> jax.ShapeDtypeStruct:
    """So many images of (height, width, band), without pixels."""
    return jax.ShapeDtypeStruct((count, *image_shape), jnp.float32)


def forward_products(network: Network, image_shape: tuple[int, int, int], batch: int) -> list[Product]:
    """Those of classifying some images."""

    def logits(parameters: Any, images: jax.Array) -> Any:
        return network.apply({"params": parameters}, images, train=False)

    return products_of(logits, parameter_shapes(network, image_shape), images(batch, image_shape))


def step_products(network: Network, image_shape: tuple[int, int, int], batch: int) -> list[Product]:
    """Those of one training step: forward, and for the gradients of all parameters."""

    def summed(parameters: Any, images: jax.Array) -> jax.Array:
        return network.apply({"params": parameters}, images, train=False).sum()  # type: ignore[union-attr]

    return products_of(jax.grad(summed), parameter_shapes(network, image_shape), images(batch, image_shape))


def _equations(jaxpr: Jaxpr) -> Iterator[JaxprEqn]:
    for equation in jaxpr.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            yield equation
        for inner in jax.tree.leaves(equation.params, is_leaf=lambda leaf: isinstance(leaf, ClosedJaxpr | Jaxpr)):
            if isinstance(inner, ClosedJaxpr):
                yield from _equations(inner.jaxpr)
            elif isinstance(inner, Jaxpr):
                yield from _equations(inner)


def _product(equation: JaxprEqn) -> Product:
    avals: list[Any] = [variable.aval for variable in (*equation.invars, *equation.outvars)]
    one, other, made = (aval.shape for aval in avals)
    result = math.prod(made)
    if equation.primitive.name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        summed = math.prod(one[axis] for axis in contracted)
    else:
        output_axis, *_ = equation.params["dimension_numbers"].rhs_spec
        summed = math.prod(other) // other[output_axis]
    kind: Literal["convolution", "matrix"] = "matrix" if equation.primitive.name == "dot_general" else "convolution"
    return Product(kind, 2 * result * summed, math.prod(one) + math.prod(other), result)
