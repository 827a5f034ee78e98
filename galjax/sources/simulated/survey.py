"""The embedded default survey: galaxies that look like SDSS r-band cut-outs with Galaxy Zoo 1 labels, rendered here."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32, Key

from galjax.config.jax_settings import PRNG
from galjax.errors import InputError
from galjax.io.host import host_memory
from galjax.sample import GalaxySample
from galjax.sources.options import HSC_WIDE, SimulatedSurvey
from galjax.sources.simulated.population import CLASS_NAMES, GalaxyParameters, assign_classes, draw_galaxies
from galjax.sources.simulated.rendering import Instrument, add_noise, render_alone, render_neighbours, signal_to_noise

_AT_ONCE = 50
_FIRST_ID = 1
SIMULATED = "simulated by galjax"
"""What the provenance of such galaxies says of their survey."""

__all__ = ["HSC_WIDE", "SimulatedSurvey", "instrument_of", "simulate", "true_labels"]


def instrument_of(survey: SimulatedSurvey) -> Instrument:
    """The part of the survey that turns light into pixel values."""
    middle = survey.image_size // 2
    low = {"int": middle, "round": middle - 0.5, "cutout2d": middle - 1}[survey.cutout]
    return Instrument(
        survey.image_size,
        survey.pixel_scale,
        survey.seeing,
        survey.moffat_beta,
        survey.zero_point,
        survey.gain,
        survey.sky_magnitude,
        survey.read_noise,
        (float(low), float(low + 1)),
    )


def simulate(survey: SimulatedSurvey | None = None, seed: int = 0) -> GalaxySample:
    """Render the survey; the same seed gives the same galaxies, whatever instrument sees them and however many there are.

    Images are float32 counts per pixel, sky subtracted; `columns` holds the true parameters (angles in degrees), and
    in `signal_to_noise` that of the light inside the half-light isophote.
    """
    survey = survey or SimulatedSurvey()
    _check_memory(survey)
    population_key, noise_key = jax.random.split(jax.random.key(seed, impl=PRNG))
    classes = assign_classes(survey.galaxies, survey.class_fractions)
    galaxies, ratios, images = _see_all(population_key, noise_key, classes, instrument_of(survey), survey.label_error)
    return GalaxySample(
        images=images,
        labels=classes,
        class_names=CLASS_NAMES,
        ids=np.arange(_FIRST_ID, _FIRST_ID + survey.galaxies, dtype=np.int64),
        redshift=np.asarray(galaxies.redshift, np.float64),
        pixel_scale=survey.pixel_scale,
        bands=("r",),
        provenance={
            "survey": SIMULATED,
            "seed": str(seed),
            "units": f"counts per pixel, sky subtracted; zero point {survey.zero_point} mag",
            "cutout": survey.cutout,
            "seeing": f"Moffat, FWHM {survey.seeing} arcsec, beta {survey.moffat_beta}",
        },
        columns=_columns(galaxies, instrument_of(survey)) | {"signal_to_noise": ratios},
    )


def true_labels(sample: GalaxySample) -> Int32[np.ndarray, " galaxy"] | None:
    """What galaxies of a simulated survey are, whatever people call them, as positions in `sample.class_names`: spiral where there are arms.

    Differs from the label where that is wrong (`SimulatedSurvey.label_error`), and says what an uncertain one is. None for other galaxies, and
    where spiral or elliptical is not among the classes.
    """
    names = sample.class_names
    if sample.provenance.get("survey") != SIMULATED or not {"spiral", "elliptical"} <= set(names):
        return None
    spiral, elliptical = names.index("spiral"), names.index("elliptical")
    return np.where(sample.columns["arm_strength"] > 0, spiral, elliptical).astype(np.int32)


def _check_memory(survey: SimulatedSurvey) -> None:
    """Raise InputError where the images, which are copied from the device, do not fit into the memory of this machine."""
    needed = 2 * 4 * survey.galaxies * survey.image_size**2
    there = host_memory()
    if needed > there:
        raise InputError(
            f"--simulated.galaxies {survey.galaxies} of {survey.image_size}x{survey.image_size} px need {needed / 1e9:.0f} GB of "
            f"memory, and this machine has {there / 1e9:.0f} GB. Ask for fewer, or for a smaller --simulated.image-size."
        )


def _see_all(
    population_key: Key[Array, ""],
    noise_key: Key[Array, ""],
    classes: Int32[np.ndarray, " galaxy"],
    instrument: Instrument,
    label_error: float,
) -> tuple[GalaxyParameters, Float32[np.ndarray, " galaxy"], Float32[np.ndarray, "galaxy height width"]]:
    """All galaxies and their images, so many at a time: one program, whatever their number."""
    count = len(classes)
    numbers = np.arange(-(-count // _AT_ONCE) * _AT_ONCE)  # the last part is filled up, and cut off again
    padded = np.resize(classes, len(numbers))
    parts = [
        _see(
            population_key, noise_key, jnp.asarray(some, jnp.int32), jnp.asarray(padded[some]), instrument, label_error
        )
        for some in numbers.reshape(-1, _AT_ONCE)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)


@functools.partial(jax.jit, static_argnums=(4, 5))
def _see(
    population_key: Key[Array, ""],
    noise_key: Key[Array, ""],
    numbers: Int[Array, " galaxy"],
    classes: Int[Array, " galaxy"],
    instrument: Instrument,
    label_error: float,
) -> tuple[GalaxyParameters, Float[Array, " galaxy"], Float[Array, "galaxy height width"]]:
    galaxies = draw_galaxies(population_key, numbers, classes, label_error=label_error)

    def one(number: Int[Array, ""], galaxy: GalaxyParameters) -> tuple[Float[Array, ""], Float[Array, "height width"]]:
        alone = render_alone(galaxy, instrument)
        light = alone + render_neighbours(galaxy, instrument)
        ratio = signal_to_noise(alone, galaxy.magnitude, instrument)
        return ratio, add_noise(light, jax.random.fold_in(noise_key, number), instrument)

    return galaxies, *jax.vmap(one)(numbers, galaxies)


def _columns(galaxies: GalaxyParameters, instrument: Instrument) -> dict[str, np.ndarray]:
    low, high = instrument.centre
    centre = low + (high - low) * np.asarray(galaxies.subpixel)
    plain = (
        "magnitude",
        "half_light_radius",
        "bulge_fraction",
        "sersic_index",
        "spheroid_axis_ratio",
        "arms",
        "arm_strength",
        "winding",
    )
    angles = ("inclination", "position_angle", "pitch_angle")
    columns = {name: np.asarray(getattr(galaxies, name)) for name in plain}
    columns |= {name: np.rad2deg(np.asarray(getattr(galaxies, name))) for name in angles}
    return columns | {"centre_y": centre[:, 0], "centre_x": centre[:, 1]}
