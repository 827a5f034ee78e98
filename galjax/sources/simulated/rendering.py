"""Galaxies onto the pixels of an instrument: profiles, seeing, pixel integration and noise.

A galaxy is sampled on a grid a few times finer than the pixels. Seeing and pixel integration are one step: a Moffat
function is a mixture of Gaussians (below), and a Gaussian's blur with integration over pixels is a pair of matrices.
"""

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special
from jaxtyping import Array, Float, Float32, Key

from galjax.sources.simulated.population import GalaxyParameters

OVERSAMPLING = 3
"""Nodes of the fine grid along a pixel, at least."""
COARSEST_NODES = 0.396 / 3
"""Arcsec between them, at most: a wide pixel must not widen the galaxy's core."""
MARGIN = 5
"""Pixels around the stamp whose light the seeing may carry into it."""
MOFFAT_COMPONENTS = 8
DISC_THICKNESS = 0.2
"""Axis ratio of a disc seen edge-on (Hubble 1926, ApJ 64, 321; Holmberg 1958)."""


class Instrument(NamedTuple):
    """What turns light into pixel values."""

    image_size: int
    pixel_scale: float
    """Arcsec."""
    seeing: float
    """Full width at half maximum, arcsec."""
    moffat_beta: float
    zero_point: float
    """Magnitude of one count."""
    gain: float
    """Electrons per count."""
    sky_magnitude: float
    """Magnitude of one square arcsec of sky."""
    read_noise: float
    """Electrons per pixel."""
    centre: tuple[float, float]
    """Where the centre falls, pixel index, for a sub-pixel number of 0 and of 1."""

    @property
    def oversampling(self) -> int:
        """Nodes of the fine grid along a pixel."""
        return max(OVERSAMPLING, math.ceil(self.pixel_scale / COARSEST_NODES - 1e-6))

    @property
    def sky(self) -> float:
        """Counts of sky per pixel."""
        return 10 ** (0.4 * (self.zero_point - self.sky_magnitude)) * self.pixel_scale**2


def moffat_mixture(
    seeing: float, beta: float, components: int = MOFFAT_COMPONENTS
) -> tuple[Float[np.ndarray, " component"], Float[np.ndarray, " component"]]:
    """Weights (sum 1) and standard deviations of circular Gaussians that together are a Moffat function.

    (1 + r^2/a^2)^-beta is the Laplace transform of a gamma density, so Gauss-Laguerre quadrature gives the mixture.
    `seeing` is the full width at half maximum, 2 a sqrt(2^(1/beta) - 1) (Trujillo et al. 2001, MNRAS 328, 977, eq. 3),
    in any unit, and decides that of the deviations; beta > 1.
    """
    scale = seeing / (2 * np.sqrt(2 ** (1 / beta) - 1))
    nodes, weights = scipy.special.roots_genlaguerre(components, beta - 2)
    return weights / weights.sum(), scale / np.sqrt(2 * nodes)


@functools.lru_cache(maxsize=8)
def _blur_matrices(instrument: Instrument) -> Float32[np.ndarray, "component pixel node"]:
    """For every Gaussian of the seeing: the share of the light of each fine node that falls into each pixel."""
    weights, deviations = moffat_mixture(instrument.seeing / instrument.pixel_scale, instrument.moffat_beta)
    edges = np.arange(instrument.image_size + 1) - 0.5
    nodes = _fine_nodes(instrument)
    argument = (edges[None, :, None] - nodes) / (np.sqrt(2) * deviations[:, None, None])
    shares = np.diff(scipy.special.erf(argument) / 2, axis=1)
    return (shares * np.sqrt(weights)[:, None, None]).astype(np.float32)


def _fine_nodes(instrument: Instrument) -> Float[np.ndarray, " node"]:
    count = (instrument.image_size + 2 * MARGIN) * instrument.oversampling
    return (np.arange(count) + 0.5) / instrument.oversampling - 0.5 - MARGIN


def render(galaxy: GalaxyParameters, instrument: Instrument) -> Float[Array, "height width"]:
    """One galaxy and its neighbours as counts per pixel, without sky and noise."""
    return render_alone(galaxy, instrument) + render_neighbours(galaxy, instrument)


def render_alone(galaxy: GalaxyParameters, instrument: Instrument) -> Float[Array, "height width"]:
    """One galaxy without its neighbours as counts per pixel, without sky and noise."""
    nodes = jnp.asarray(_fine_nodes(instrument), jnp.float32)
    centre = _centre(galaxy, instrument)
    y = ((nodes - centre[0]) * instrument.pixel_scale)[:, None]
    x = ((nodes - centre[1]) * instrument.pixel_scale)[None, :]
    cos, sin = jnp.cos(galaxy.position_angle), jnp.sin(galaxy.position_angle)
    along, across = x * cos + y * sin, y * cos - x * sin
    step = instrument.pixel_scale / instrument.oversampling
    light = galaxy.bulge_fraction * _spheroid(galaxy, along, across, step)
    light += (1 - galaxy.bulge_fraction) * _disc(galaxy, along, across) * step**2
    blur = jnp.asarray(_blur_matrices(instrument))
    seen = jnp.einsum("kYy,yx,kXx->YX", blur, light, blur, precision="highest", optimize=[(0, 1), (0, 1)])
    return seen * _counts(galaxy.magnitude, instrument)


def _centre(galaxy: GalaxyParameters, instrument: Instrument) -> Float[Array, "2"]:
    low, high = instrument.centre
    return low + (high - low) * galaxy.subpixel


def _counts(magnitude: Float[Array, "*source"], instrument: Instrument) -> Float[Array, "*source"]:
    return 10 ** (0.4 * (instrument.zero_point - magnitude))


def _spheroid(
    galaxy: GalaxyParameters, along: Float[Array, "y x"], across: Float[Array, "y x"], step: float
) -> Float[Array, "y x"]:
    """Share of a Sersic profile's light per fine node (Graham & Driver 2005, PASA 22, 118, eqs. 1-4).

    The cusp is too steep to sample, and blurred by the seeing anyway: the nodes of the innermost ellipse share its light,
    which is known from the incomplete gamma function. The brightest pixel is right to 3 %, the total to rounding.
    """
    n, q, radius = galaxy.sersic_index, galaxy.spheroid_axis_ratio, galaxy.spheroid_radius
    b = 2 * n - 1 / 3 + 4 / (405 * n) + 46 / (25515 * n**2)  # Ciotti & Bertin (1999, A&A 352, 447), eq. 18
    elliptical_radius = jnp.sqrt(along**2 + (across / q) ** 2)
    log_norm = 2 * n * jnp.log(b) - jnp.log(2 * jnp.pi * n * q) - jax.scipy.special.gammaln(2 * n)
    scaled = jnp.maximum(elliptical_radius / radius, 1e-6)
    sampled = jnp.exp(log_norm - b * scaled ** (1 / n)) * (step / radius) ** 2
    core = 2.5 * step / jnp.sqrt(q)
    inside = elliptical_radius < core
    core_light = jax.scipy.special.gammainc(2 * n, b * (core / radius) ** (1 / n))
    return jnp.where(inside, core_light / jnp.maximum(inside.sum().astype(jnp.float32), 1.0), sampled)


def _disc(galaxy: GalaxyParameters, along: Float[Array, "y x"], across: Float[Array, "y x"]) -> Float[Array, "y x"]:
    """Exponential disc of unit flux per square arcsec (Freeman 1970, ApJ 160, 811) with logarithmic arms.

    Light gathers along arms as a von Mises function of the angle, of mean 1 on every circle, so that arms do not change
    the radial profile. Arms fade into the centre.
    """
    scale_length = galaxy.half_light_radius / 1.678
    cos_i = jnp.cos(galaxy.inclination)
    axis_ratio = jnp.sqrt(DISC_THICKNESS**2 + (1 - DISC_THICKNESS**2) * cos_i**2)
    in_plane = across / axis_ratio
    radius = jnp.sqrt(along**2 + in_plane**2) / scale_length
    smooth = jnp.exp(-radius) / (2 * jnp.pi * scale_length**2 * axis_ratio)
    angle = jnp.arctan2(in_plane, along)
    turn = galaxy.winding * jnp.log(jnp.maximum(radius, 1e-3)) / jnp.tan(galaxy.pitch_angle)
    strength = galaxy.arm_strength * (1 - jnp.exp(-(radius**2)))
    wave = jnp.cos(galaxy.arms * (angle - turn) + galaxy.arm_phase)
    return smooth * jnp.exp(strength * (wave - 1)) / jax.scipy.special.i0e(strength)


def render_neighbours(galaxy: GalaxyParameters, instrument: Instrument) -> Float[Array, "height width"]:
    """The stars of its field, point sources seen through the seeing, as counts per pixel."""
    weights, deviations = moffat_mixture(instrument.seeing / instrument.pixel_scale, instrument.moffat_beta)
    edges = jnp.arange(instrument.image_size + 1, dtype=jnp.float32) - 0.5
    position = _centre(galaxy, instrument)[None] + galaxy.neighbour_offset / instrument.pixel_scale
    distance = edges[None, None, None, :] - position[:, :, None, None]
    scale = jnp.asarray(np.sqrt(2) * deviations, jnp.float32)[None, None, :, None]
    shares = jnp.diff(jax.scipy.special.erf(distance / scale) / 2)
    flux = _counts(galaxy.neighbour_magnitude, instrument)
    return jnp.einsum(
        "s,k,skY,skX->YX", flux, jnp.asarray(weights, jnp.float32), shares[:, 0], shares[:, 1], precision="highest"
    )


def add_noise(
    image: Float[Array, "height width"], key: Key[Array, ""], instrument: Instrument
) -> Float[Array, "height width"]:
    """Photon noise of galaxy and sky, and read noise; the mean sky is taken off again.

    A pixel collects hundreds of electrons, so the Poisson distribution is drawn as a normal one of the same variance.
    """
    return image + jnp.sqrt(_variance(image, instrument)) * jax.random.normal(key, image.shape)


def signal_to_noise(
    alone: Float[Array, "height width"], magnitude: Float[Array, ""], instrument: Instrument
) -> Float[Array, ""]:
    """True signal-to-noise ratio inside the half-light isophote: the brightest pixels that hold half of all the light.

    `alone` is a galaxy as `render_alone` gives it: its counts there over the root of their summed variance, as in the CCD equation
    (Merline & Howell 1995, Exp. Astron. 6, 163); the seeing counts. Where half of the light lies outside the image, the
    whole image is summed.
    """
    pixels = jnp.sort(alone.ravel())[::-1]
    inside = jnp.cumsum(pixels) <= _counts(magnitude, instrument) / 2
    signal = jnp.where(inside, pixels, 0.0).sum()
    return signal / jnp.sqrt(jnp.where(inside, _variance(pixels, instrument), 0.0).sum())


def _variance(image: Float[Array, "*pixel"], instrument: Instrument) -> Float[Array, "*pixel"]:
    """Variance of every pixel, counts squared."""
    electrons = jnp.maximum((image + instrument.sky) * instrument.gain, 0.0)
    return (electrons + instrument.read_noise**2) / instrument.gain**2
