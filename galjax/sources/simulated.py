"""The embedded default survey: galaxies that look like SDSS r-band cut-outs with Galaxy Zoo 1 labels, rendered here."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int, Int32, Key

from galjax.errors import InputError
from galjax.host import host_memory
from galjax.jax_settings import PRNG
from galjax.sample import GalaxySample
from galjax.sources.cutout import CutoutConvention
from galjax.sources.population import CLASS_NAMES, Galaxies, assign_classes, draw_galaxies
from galjax.sources.rendering import Instrument, add_noise, render

_AT_ONCE = 50
_FIRST_ID = 1
RANGES = {
    "galaxies": (1, 1e9), "image_size": (8, 4096), "pixel_scale": (1e-3, 1e3), "seeing": (1e-3, 1e3), "moffat_beta": (1, 100),
    "zero_point": (0, 50), "gain": (1e-3, 1e6), "sky_magnitude": (0, 50), "read_noise": (0, 1e6),
}  # fmt: skip
"""Of what can be asked for, both ends included: beyond any instrument, and within float32."""


@dataclasses.dataclass(frozen=True)
class SimulatedSurvey:
    """How many galaxies there are and what instrument sees them; the defaults are SDSS in the r band."""

    galaxies: int = 3000
    """Galaxies to render."""
    class_fractions: tuple[float, float, float] = (0.42, 0.42, 0.16)
    """Shares of spiral, elliptical and uncertain galaxies; (0.271, 0.104, 0.625) are the thesis's."""
    image_size: int = 64
    """Height and width of the images, px."""
    pixel_scale: float = 0.396
    """Arcsec per pixel (SDSS: York et al. 2000, AJ 120, 1579)."""
    seeing: float = 1.32
    """Full width at half maximum of the point-spread function, arcsec (the SDSS median in r)."""
    moffat_beta: float = 3.0
    """Wing exponent of the Moffat point-spread function, above 1."""
    zero_point: float = 28.65
    """Magnitude of one count in the exposure (SDSS r: 53.9 s, typical photometric zero point of DR7 fields)."""
    gain: float = 4.7
    """Electrons per count (SDSS r: Gunn et al. 1998, AJ 116, 3040)."""
    sky_magnitude: float = 20.9
    """Sky brightness, mag per square arcsec (Apache Point, r, no moon)."""
    read_noise: float = 5.0
    """Electrons per pixel (SDSS CCDs: Gunn et al. 1998)."""
    cutout: CutoutConvention = "int"
    """Which pixel of a 64 px stamp holds the centre: int, data[int(y)-32:], 32.0..33.0; round 31.5..32.5; cutout2d
    (astropy) 31..32."""

    def __post_init__(self) -> None:
        if self.image_size < 8:
            raise InputError(f"--simulated.image-size must be at least 8 px, not {self.image_size}.")
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"--simulated.{_flag(name)} must lie in {low:g}..{high:g}, not {getattr(self, name)}.")
        if not self.moffat_beta > 1:
            raise InputError(f"--simulated.moffat-beta must be above 1, not {self.moffat_beta}.")
        if not (min(self.class_fractions) >= 0 and abs(sum(self.class_fractions) - 1) <= 1e-6):
            raise InputError(
                f"--simulated.class-fractions takes three shares of at least 0 that sum to 1, not {self.class_fractions}."
            )

    def instrument(self) -> Instrument:
        """The part that turns light into pixel values."""
        middle = self.image_size // 2
        low = {"int": middle, "round": middle - 0.5, "cutout2d": middle - 1}[self.cutout]
        return Instrument(
            self.image_size, self.pixel_scale, self.seeing, self.moffat_beta, self.zero_point, self.gain,
            self.sky_magnitude, self.read_noise, (float(low), float(low + 1)),
        )  # fmt: skip


HSC_WIDE = SimulatedSurvey(
    image_size=150, pixel_scale=0.168, seeing=0.6, zero_point=33.85, read_noise=9.0,
)  # fmt: skip
"""The Hyper Suprime-Cam survey in r: pixels and seeing of Aihara et al. (2018, PASJ 70, S4), on the field of 64 SDSS pixels.

Its depth is reckoned from SDSS's: 8.2 m against 2.5 m of aperture and 600 s against 53.9 s gather 120 times the light (5.2 mag),
with the same sky and throughput; the read noise is that of four exposures of 4.5 electrons.
"""


def simulate(survey: SimulatedSurvey | None = None, seed: int = 0) -> GalaxySample:
    """Render the survey; the same seed gives the same galaxies, whatever instrument sees them and however many there are.

    Images are float32 counts per pixel, sky taken off; `columns` holds the true parameters (angles in degrees).
    """
    survey = survey or SimulatedSurvey()
    _check_memory(survey)
    population_key, noise_key = jax.random.split(jax.random.key(seed, impl=PRNG))
    classes = assign_classes(survey.galaxies, survey.class_fractions)
    galaxies, images = _see_all(population_key, noise_key, classes, survey.instrument())
    return GalaxySample(
        images=images,
        labels=classes,
        class_names=CLASS_NAMES,
        ids=np.arange(_FIRST_ID, _FIRST_ID + survey.galaxies, dtype=np.int64),
        redshift=np.asarray(galaxies.redshift, np.float64),
        pixel_scale=survey.pixel_scale,
        bands=("r",),
        provenance={
            "survey": "simulated by galjax",
            "seed": str(seed),
            "units": f"counts per pixel, sky subtracted; zero point {survey.zero_point} mag",
            "cutout": survey.cutout,
            "seeing": f"Moffat, FWHM {survey.seeing} arcsec, beta {survey.moffat_beta}",
        },
        columns=_columns(galaxies, survey.instrument()),
    )


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
) -> tuple[Galaxies, Float32[np.ndarray, "galaxy height width"]]:
    """All galaxies and their images, so many at a time: one program, whatever their number."""
    count = len(classes)
    numbers = np.arange(-(-count // _AT_ONCE) * _AT_ONCE)  # the last part is filled up, and cut off again
    padded = np.resize(classes, len(numbers))
    parts = [
        _see(population_key, noise_key, jnp.asarray(some, jnp.int32), jnp.asarray(padded[some]), instrument)
        for some in numbers.reshape(-1, _AT_ONCE)
    ]
    galaxies, images = jax.tree.map(lambda *leaves: np.concatenate(leaves)[:count], *parts)
    return galaxies, images


@functools.partial(jax.jit, static_argnums=4)
def _see(
    population_key: Key[Array, ""],
    noise_key: Key[Array, ""],
    numbers: Int[Array, " galaxy"],
    classes: Int[Array, " galaxy"],
    instrument: Instrument,
) -> tuple[Galaxies, Float[Array, "galaxy height width"]]:
    galaxies = draw_galaxies(population_key, numbers, classes)

    def one(number: Int[Array, ""], galaxy: Galaxies) -> Float[Array, "height width"]:
        return add_noise(render(galaxy, instrument), jax.random.fold_in(noise_key, number), instrument)

    return galaxies, jax.vmap(one)(numbers, galaxies)


def _columns(galaxies: Galaxies, instrument: Instrument) -> dict[str, np.ndarray]:
    low, high = instrument.centre
    centre = low + (high - low) * np.asarray(galaxies.subpixel)
    plain = ("magnitude", "half_light_radius", "bulge_fraction", "sersic_index", "spheroid_axis_ratio", "arms",
             "arm_strength", "winding")  # fmt: skip
    angles = ("inclination", "position_angle", "pitch_angle")
    columns = {name: np.asarray(getattr(galaxies, name)) for name in plain}
    columns |= {name: np.rad2deg(np.asarray(getattr(galaxies, name))) for name in angles}
    return columns | {"centre_y": centre[:, 0], "centre_x": centre[:, 1]}


def _flag(field: str) -> str:
    return field.replace("_", "-")
