"""How pixel values are scaled before they enter a network."""

from typing import NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from galjax.config.settings import InputScaling
from galjax.errors import InputError


class Sky(NamedTuple):
    """The sky of a whole sample, in the units of its pixels: what the scaling "sky" measures pixels in."""

    level: Float[Array, "*of band"]
    """Its brightness; 0 where it was subtracted."""
    unit: Float[Array, "*of band"]
    """Its noise, one standard deviation, above 0."""


def scale_images(
    images: Float[Array, "*batch height width band"], scaling: InputScaling, sky: Sky | None = None
) -> Float[Array, "*batch height width band"]:
    """Images as they enter a network (see `NetworkConfig.input_scaling`).

    "sky" is arcsinh((pixel - level) / unit) / 2, the same for all images: an inverse hyperbolic sine with the noise as its
    softening (as in the magnitudes of Lupton, Gunn & Szalay 1999, AJ 118, 1406), so that noise and brightness stay what they are where
    an image is blurred. It takes a `sky` of one value a band. All others scale each image and band by its own pixels, and a
    constant image gives zeros. Raises InputError for a scaling that there is not, and for "auto", which `chosen_scaling`
    decides.
    """
    known = [name for name in get_args(InputScaling) if name != "auto"]
    if scaling not in known:
        raise InputError(f"There is no input scaling {scaling!r} of images; choose from {', '.join(known)}.")
    if scaling == "none":
        return images
    if scaling == "sky":
        assert sky is not None
        level, unit = (jnp.expand_dims(value, tuple(range(images.ndim - 1))) for value in sky)
        return jnp.arcsinh((images - level) / unit) / 2
    pixels = (-3, -2)
    tiny = jnp.finfo(images.dtype).tiny
    if scaling == "minmax":
        lowest = images.min(axis=pixels, keepdims=True)
        return (images - lowest) / jnp.maximum(images.max(axis=pixels, keepdims=True) - lowest, tiny)
    centred = images - images.mean(axis=pixels, keepdims=True)
    standard = centred * jax.lax.rsqrt(jnp.maximum(jnp.square(centred).mean(axis=pixels, keepdims=True), tiny))
    return standard if scaling == "standard" else jnp.arcsinh(standard)
