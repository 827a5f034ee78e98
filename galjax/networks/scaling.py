"""How pixel values are scaled before they enter a network."""

from typing import get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from galjax.config.settings import InputScaling
from galjax.errors import InputError


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
