"""The galaxies of the simulated survey before any instrument: their classes and true physical parameters.

Galaxy i depends on the seed and on i alone: not on how many galaxies there are, nor on the instrument that sees them.
"""

import functools
from typing import NamedTuple

import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
from astropy.cosmology import FlatLambdaCDM
from jaxtyping import Array, Float, Float32, Int, Int32, Key

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
"""Cosmology of Shen et al. (2003), whose sizes are used."""

CLASS_NAMES = ("spiral", "elliptical", "uncertain")
REDSHIFT_RANGE = (0.01, 0.25)
MEDIAN_REDSHIFT = 0.104
"""Median redshift of the SDSS main galaxy sample (Strauss et al. 2002, AJ 124, 1810)."""
MAGNITUDE_LIMIT = 17.77
"""Petrosian r of the main galaxy sample (Strauss et al. 2002), from which Galaxy Zoo 1 was drawn."""
CLEAR_MAGNITUDE_LIMIT = 16.8
"""Fainter than this, few galaxies reach 80 % of the votes for one class (cf. Bamford et al. 2009, MNRAS 393, 1324)."""
LABEL_ERROR = 0.025
"""Share of clear Galaxy Zoo 1 labels that are wrong (Cheng et al. 2020, MNRAS 493, 4209, found about 2.5 %)."""
SCHECHTER = (-21.2, -1.05)
"""Characteristic magnitude (h = 0.7) and faint-end slope of the r-band luminosity function (Blanton et al. 2003, ApJ
592, 819), shifted from z = 0.1 to 0 by eye; evolution and k-corrections are neglected throughout."""


class GalaxyParameters(NamedTuple):
    """True parameters, one value per galaxy (or scalars inside vmap). Angles in radians, counter-clockwise from +x."""

    redshift: Float[Array, "*galaxy"]
    magnitude: Float[Array, "*galaxy"]
    """Total apparent r magnitude."""
    half_light_radius: Float[Array, "*galaxy"]
    """Arcsec, along the major axis, of the spheroid or (where there is one) the disc."""
    bulge_fraction: Float[Array, "*galaxy"]
    """Share of the light in the spheroid; 1 for ellipticals."""
    sersic_index: Float[Array, "*galaxy"]
    """Sérsic index of the spheroid; 4 is de Vaucouleurs' profile."""
    spheroid_radius: Float[Array, "*galaxy"]
    """Half-light radius of the spheroid, arcsec."""
    spheroid_axis_ratio: Float[Array, "*galaxy"]
    """Minor over major axis as seen on the sky."""
    inclination: Float[Array, "*galaxy"]
    """Inclination of the disc, radians: 0 face-on, pi/2 edge-on."""
    position_angle: Float[Array, "*galaxy"]
    arms: Float[Array, "*galaxy"]
    """Number of arms."""
    arm_strength: Float[Array, "*galaxy"]
    """Concentration kappa of the light around the arms: brightness along a circle goes as exp(kappa cos); 0 for none."""
    pitch_angle: Float[Array, "*galaxy"]
    """Between arm and circle."""
    winding: Float[Array, "*galaxy"]
    """+1 or -1: the sense in which arms wind outwards."""
    arm_phase: Float[Array, "*galaxy"]
    subpixel: Float[Array, "*galaxy 2"]
    """Two numbers in 0..1 that place the centre within its pixel, (y, x)."""
    neighbour_offset: Float[Array, "*galaxy neighbour 2"]
    """Stars in the field, arcsec from the centre, (y, x)."""
    neighbour_magnitude: Float[Array, "*galaxy neighbour"]
    """Infinite where there is none."""


def assign_classes(count: int, fractions: tuple[float, ...]) -> Int32[np.ndarray, " galaxy"]:
    """The class of each galaxy: interleaved, so that every first part of the survey has the fractions, to one galaxy."""
    given = np.zeros(len(fractions))
    classes = np.empty(count, np.int32)
    for index in range(count):
        classes[index] = (np.asarray(fractions) * (index + 1) - given).argmax()
        given[classes[index]] += 1
    return classes


@jax.jit
def draw_galaxies(
    key: Key[Array, ""], numbers: Int[Array, " galaxy"], classes: Int[Array, " galaxy"]
) -> GalaxyParameters:
    """Parameters of the galaxies with these numbers, given their classes (positions in `CLASS_NAMES`)."""
    return jax.vmap(lambda number, label: _one_galaxy(jax.random.fold_in(key, number), label))(numbers, classes)


def _one_galaxy(key: Key[Array, ""], label: Int[Array, ""]) -> GalaxyParameters:
    keys = iter(jax.random.split(key, 32))

    def uniform(low: float, high: float) -> Float[Array, ""]:
        return jax.random.uniform(next(keys), minval=low, maxval=high)

    def normal(low: float, high: float, mean: float, std: float) -> Float[Array, ""]:
        return mean + std * jax.random.truncated_normal(next(keys), (low - mean) / std, (high - mean) / std)

    # Half of the uncertain are faint spirals and ellipticals, half are between the two: discs with a large bulge.
    uncertain, kind = label == 2, uniform(0.0, 1.0)
    between = uncertain & (kind < 0.5)
    mislabelled = uniform(0.0, 1.0) < LABEL_ERROR
    elliptical = jnp.where(uncertain, kind >= 0.75, (label == 1) ^ mislabelled)

    redshift = _draw_redshift(uniform(0.0, 1.0))
    limit = jnp.where(uncertain, MAGNITUDE_LIMIT, CLEAR_MAGNITUDE_LIMIT)
    absolute = _draw_absolute_magnitude(uniform(0.0, 1.0), limit - _distance_modulus(redshift))
    faint_limit = uniform(CLEAR_MAGNITUDE_LIMIT, MAGNITUDE_LIMIT)
    magnitude = jnp.where(uncertain & ~between, faint_limit, absolute + _distance_modulus(redshift))
    absolute = magnitude - _distance_modulus(redshift)
    # Sizes, Shen et al. (2003, MNRAS 343, 978), table 1 and eqs. 14 and 15: median and scatter of log-normals.
    early_size = 10 ** (-0.4 * 0.65 * absolute - 5.06)
    late_size = 10 ** (-0.4 * 0.26 * absolute - 1.71) * (1 + 10 ** (-0.4 * (absolute + 20.91))) ** (0.51 - 0.26)
    # People are sure of galaxies that look large: clear ones come from the upper part of the size distribution.
    scatter = jnp.where(uncertain, normal(-0.9, 0.3, 0.0, 0.3), normal(0.0, 0.9, 0.0, 0.35))
    size = jnp.where(elliptical, early_size, late_size) * jnp.exp(scatter)
    radius = size / _kiloparsec_per_arcsec(redshift)

    # Small bulges of spirals: Graham & Worley (2008, MNRAS 388, 1708), medians over Hubble types.
    bulge_fraction = jnp.where(between, normal(0.35, 0.75, 0.55, 0.1), jnp.exp(normal(-4.0, -0.9, -2.1, 0.7)))
    bulge_index = jnp.where(between, normal(1.5, 4.0, 3.0, 0.7), normal(0.8, 4.0, 1.9, 0.7))
    scale_length = radius / 1.678  # exponential disc
    bulge_radius = scale_length * jnp.where(between, uniform(0.3, 0.7), uniform(0.15, 0.35))
    # Ellipticals from E0 to E6, mostly round: Padilla & Strauss (2008, MNRAS 388, 1321).
    spheroid_axis_ratio = jnp.where(elliptical, normal(0.4, 1.0, 0.78, 0.15), normal(0.7, 1.0, 0.9, 0.1))
    # Random orientation is uniform in cos i. An edge-on lens of the in-between kind would pass for a spiral.
    inclination = jnp.arccos(jnp.where(between, uniform(0.35, 1.0), uniform(0.0, 1.0)))
    arms = jnp.asarray([2.0, 2.0, 2.0, 3.0, 4.0])[jax.random.randint(next(keys), (), 0, 5)]
    # Pitch angles of Sa to Sc: Kennicutt (1981, AJ 86, 1847).
    pitch = jnp.deg2rad(normal(7.0, 35.0, 17.0, 6.0))
    strength = jnp.where(elliptical | between, 0.0, uniform(0.8, 2.0)) * jnp.where(uncertain, 0.5, 1.0)

    # Sources of r = 15 to 21 in an SDSS frame at galactic latitude -51 (run 5754, camera column 3, field 280): 1.5 in
    # an arcmin^2, 0.28 in the 26" x 26" here, and as many brighter than m as 10^(0.2 m) says.
    neighbours = 2
    rank = jax.random.uniform(next(keys), (neighbours,), minval=10 ** (0.2 * (15 - 21)), maxval=1.0)
    star_magnitude = 21.0 + jnp.log10(rank) / 0.2
    present = jax.random.uniform(next(keys), (neighbours,)) < 0.14
    one = jnp.float32(1)
    return GalaxyParameters(
        redshift=redshift,
        magnitude=magnitude,
        half_light_radius=radius,
        bulge_fraction=jnp.where(elliptical, one, bulge_fraction),
        sersic_index=jnp.where(elliptical, normal(2.8, 5.5, 4.0, 0.7), bulge_index),
        spheroid_radius=jnp.where(elliptical, radius, bulge_radius),
        spheroid_axis_ratio=spheroid_axis_ratio,
        inclination=jnp.where(elliptical, 0.0, inclination),
        position_angle=uniform(0.0, np.pi),
        arms=arms,
        arm_strength=strength,
        pitch_angle=pitch,
        winding=jnp.where(uniform(0.0, 1.0) < 0.5, -one, one),
        arm_phase=uniform(0.0, 2 * np.pi),
        subpixel=jax.random.uniform(next(keys), (2,)),
        neighbour_offset=jax.random.uniform(next(keys), (neighbours, 2), minval=-13.0, maxval=13.0),
        neighbour_magnitude=jnp.where(present, star_magnitude, jnp.inf),
    )


@functools.cache
def _tables() -> dict[str, Float32[np.ndarray, " node"]]:
    """Cosmology and cumulative distributions on fine grids, for interpolation on the accelerator."""
    redshift = np.linspace(*REDSHIFT_RANGE, 500)
    # Flux-limited redshift distribution, Baugh & Efstathiou (1993, MNRAS 265, 145), eq. 7.
    density = redshift**2 * np.exp(-((redshift * 1.412 / MEDIAN_REDSHIFT) ** 1.5))
    magnitude = np.linspace(-24.5, -15, 500)
    luminosity = 10 ** (-0.4 * (magnitude - SCHECHTER[0]))
    schechter = luminosity ** (SCHECHTER[1] + 1) * np.exp(-luminosity)
    tables = {
        "redshift": redshift,
        "redshift_cumulative": np.cumsum(density) / density.sum(),
        "distance_modulus": COSMOLOGY.distmod(redshift).to_value(u.mag),
        "kpc_per_arcsec": COSMOLOGY.kpc_proper_per_arcmin(redshift).to_value(u.kpc / u.arcsec),
        "magnitude": magnitude,
        "magnitude_cumulative": np.cumsum(schechter) / schechter.sum(),
    }
    return {name: table.astype(np.float32) for name, table in tables.items()}


def _draw_redshift(uniform: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.interp(uniform, _tables()["redshift_cumulative"], _tables()["redshift"])


def _distance_modulus(redshift: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.interp(redshift, _tables()["redshift"], _tables()["distance_modulus"])


def _kiloparsec_per_arcsec(redshift: Float[Array, ""]) -> Float[Array, ""]:
    return jnp.interp(redshift, _tables()["redshift"], _tables()["kpc_per_arcsec"])


def _draw_absolute_magnitude(uniform: Float[Array, ""], limit: Float[Array, ""]) -> Float[Array, ""]:
    """An absolute magnitude drawn from the Schechter function, brighter than `limit`."""
    tables = _tables()
    share = uniform * jnp.interp(limit, tables["magnitude"], tables["magnitude_cumulative"])
    return jnp.interp(share, tables["magnitude_cumulative"], tables["magnitude"])
