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
from jaxtyping import Array, Bool, Float, Float32, Int, Int32, Key

from galjax.sources.options import SimulatedSurvey

COSMOLOGY = FlatLambdaCDM(H0=70, Om0=0.3)
"""Cosmology of Shen et al. (2003), whose sizes are used."""

CLASS_NAMES = ("spiral", "elliptical", "uncertain")
REDSHIFT_RANGE = (0.01, 0.25)
MEDIAN_REDSHIFT = 0.104
"""Median redshift of the SDSS main galaxy sample (Strauss et al. 2002, AJ 124, 1810)."""
MAGNITUDE_LIMIT = 17.77
"""Petrosian r of the main galaxy sample (Strauss et al. 2002), from which Galaxy Zoo 1 was drawn."""
CLEAR_MAGNITUDES = (16.7, 0.7)
"""Where half of the galaxies reach 80 % of the votes for one class, and how fast their share falls with magnitude:
1 / (1 + exp((r - first) / second)). Of all galaxies to r = 17.77 it leaves 0.38, as in Galaxy Zoo 1 (Lintott et al. 2011,
MNRAS 410, 166; why votes become uncertain for the faint and small: Bamford et al. 2009, MNRAS 393, 1324)."""
TRIES = 32
"""Galaxies drawn until one fits."""
UNCERTAIN_SPIRALS = 0.5
"""Share of uncertain galaxies that are spirals with faint arms; the rest is smooth."""
CLEAR_LENTICULARS, UNCERTAIN_LENTICULARS = 0.05, 0.4
"""Share of the smooth galaxies that have a disc, of those that people are sure of and of the others."""
EARLY_RADIUS = 1.15
"""Radius along the major axis over the radius of the circle of the same area, for the sizes of smooth galaxies."""
CLEAR_ARMS = (1.0, 2.5)
"""Range of the concentration of light around the arms (`arm_strength`) where people are sure of a spiral."""
FAINT_ARMS = (0.3, 1.3)
"""The same where they are not."""
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


@functools.partial(jax.jit, static_argnames="label_error")
def draw_galaxies(
    key: Key[Array, ""],
    numbers: Int[Array, " galaxy"],
    classes: Int[Array, " galaxy"],
    label_error: float = SimulatedSurvey.label_error,
) -> GalaxyParameters:
    """Parameters of the galaxies with these numbers, given their classes (positions in `CLASS_NAMES`).

    `label_error` is the share of clear galaxies, 0 to 0.5, that are of the other class than people say.
    """
    return jax.vmap(lambda number, label: _one_galaxy(jax.random.fold_in(key, number), label, label_error))(
        numbers, classes
    )


def _one_galaxy(key: Key[Array, ""], label: Int[Array, ""], label_error: float) -> GalaxyParameters:
    keys = iter(jax.random.split(key, 40))

    def uniform(low: float, high: float) -> Float[Array, ""]:
        return jax.random.uniform(next(keys), minval=low, maxval=high)

    def normal(low: float, high: float, mean: float, std: float) -> Float[Array, ""]:
        return mean + std * jax.random.truncated_normal(next(keys), (low - mean) / std, (high - mean) / std)

    # What people are unsure of: spirals whose arms are faint, smooth galaxies, and lenticulars between the two. What
    # they call elliptical is smooth: spheroids, and lenticulars that are not seen from the side.
    uncertain, kind = label == 2, uniform(0.0, 1.0)
    mislabelled = uniform(0.0, 1.0) < label_error
    smooth = jnp.where(uncertain, kind >= UNCERTAIN_SPIRALS, (label == 1) ^ mislabelled)
    lenticular = smooth & (uniform(0.0, 1.0) < jnp.where(uncertain, UNCERTAIN_LENTICULARS, CLEAR_LENTICULARS))
    elliptical = smooth & ~lenticular

    redshift, magnitude = _draw_brightness(next(keys), ~uncertain)
    absolute = magnitude - _distance_modulus(redshift)
    # Sizes, Shen et al. (2003, MNRAS 343, 978), table 1 and eqs. 14 and 15: median and scatter of log-normals, of which
    # clear galaxies come from the upper part: people are sure of what looks large.
    early_size = 10 ** (-0.4 * 0.65 * absolute - 5.06)
    late_size = 10 ** (-0.4 * 0.26 * absolute - 1.71) * (1 + 10 ** (-0.4 * (absolute + 20.91))) ** (0.51 - 0.26)
    size = jnp.where(smooth, EARLY_RADIUS * early_size, late_size) * jnp.exp(
        jnp.where(uncertain, normal(-0.6, 0.6, 0.1, 0.3), normal(-0.1, 0.9, 0.35, 0.25))
    )
    radius = size / _kiloparsec_per_arcsec(redshift)

    # Bulges of spirals: Graham & Worley (2008, MNRAS 388, 1708), from late to early Hubble types; larger in lenticulars.
    bulge_fraction = jnp.where(lenticular, normal(0.1, 0.8, 0.4, 0.15), jnp.exp(normal(-4.0, -0.9, -2.1, 0.7)))
    bulge_index = jnp.where(lenticular, normal(1.0, 4.0, 2.5, 0.7), normal(0.8, 4.0, 2.0, 0.7))
    scale_length = radius / 1.678  # exponential disc
    bulge_radius = scale_length * jnp.where(lenticular, uniform(0.2, 0.7), uniform(0.15, 0.45))
    # Ellipticals from E0 to E6, mostly round: Padilla & Strauss (2008, MNRAS 388, 1321).
    spheroid_axis_ratio = jnp.where(elliptical, normal(0.35, 1.0, 0.78, 0.16), normal(0.7, 1.0, 0.9, 0.1))
    # Random orientation is uniform in cos i.
    inclination = jnp.arccos(jnp.where(lenticular, uniform(0.3, 1.0), uniform(0.0, 1.0)))
    arms = jnp.asarray([2.0, 2.0, 2.0, 3.0, 4.0])[jax.random.randint(next(keys), (), 0, 5)]
    # Pitch angles of Sa to Sc: Kennicutt (1981, AJ 86, 1847).
    pitch = jnp.deg2rad(normal(7.0, 35.0, 17.0, 6.0))
    strength = jnp.where(uncertain, uniform(*FAINT_ARMS), uniform(*CLEAR_ARMS)) * jnp.where(smooth, 0.0, 1.0)

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
        sersic_index=jnp.where(elliptical, normal(2.5, 6.0, 4.2, 0.7), bulge_index),
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


def _draw_brightness(key: Key[Array, ""], clear: Bool[Array, ""]) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Redshift and magnitude of one galaxy of the survey of which people are sure, or are not.

    Drawn again until a galaxy fits, at most `TRIES` times.
    """
    numbers = jax.random.uniform(key, (3, TRIES))
    redshift = _draw_redshift(numbers[0])
    modulus = _distance_modulus(redshift)
    magnitude = _draw_absolute_magnitude(numbers[1], MAGNITUDE_LIMIT - modulus) + modulus
    half, width = CLEAR_MAGNITUDES
    share = jax.nn.sigmoid((half - magnitude) / width)
    chosen = jnp.argmax(numbers[2] < jnp.where(clear, share, 1 - share))
    return redshift[chosen], magnitude[chosen]


def _draw_redshift(uniform: Float[Array, "*try"]) -> Float[Array, "*try"]:
    return jnp.interp(uniform, _tables()["redshift_cumulative"], _tables()["redshift"])


def _distance_modulus(redshift: Float[Array, "*try"]) -> Float[Array, "*try"]:
    return jnp.interp(redshift, _tables()["redshift"], _tables()["distance_modulus"])


def _kiloparsec_per_arcsec(redshift: Float[Array, "*try"]) -> Float[Array, "*try"]:
    return jnp.interp(redshift, _tables()["redshift"], _tables()["kpc_per_arcsec"])


def _draw_absolute_magnitude(uniform: Float[Array, "*try"], limit: Float[Array, "*try"]) -> Float[Array, "*try"]:
    """An absolute magnitude drawn from the Schechter function, brighter than `limit`."""
    tables = _tables()
    share = uniform * jnp.interp(limit, tables["magnitude"], tables["magnitude_cumulative"])
    return jnp.interp(share, tables["magnitude_cumulative"], tables["magnitude"])
