import astropy.units as u
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
import scipy.special
from astropy.io import fits
from astropy.modeling.functional_models import Moffat2D, Sersic2D

from galjax.sources.simulated.population import GalaxyParameters
from galjax.sources.simulated.rendering import (
    Instrument,
    add_noise,
    moffat_mixture,
    render,
    render_alone,
    signal_to_noise,
)
from galjax.sources.simulated.survey import SimulatedSurvey, instrument_of
from tests.sources.real_data import (
    PHOTOMETRY,
    SKY_SUBTRACTED_FRAME,
    needs_photometry,
    needs_sky_subtracted_frame,
)


def galaxy(**changes):
    """A round galaxy of magnitude 15 without arms and neighbours, in the middle of its sub-pixel range."""
    values = {
        "redshift": 0.1,
        "magnitude": 15.0,
        "half_light_radius": 3.0,
        "bulge_fraction": 1.0,
        "sersic_index": 4.0,
        "spheroid_radius": 3.0,
        "spheroid_axis_ratio": 1.0,
        "inclination": 0.0,
        "position_angle": 0.0,
        "arms": 2.0,
        "arm_strength": 0.0,
        "pitch_angle": 0.3,
        "winding": 1.0,
        "arm_phase": 0.0,
        "subpixel": [0.5, 0.5],
        "neighbour_offset": [[0.0, 0.0]],
        "neighbour_magnitude": [np.inf],
    } | changes
    return GalaxyParameters(**{name: jnp.asarray(value, jnp.float32) for name, value in values.items()})


def instrument(**changes) -> Instrument:
    return instrument_of(SimulatedSurvey())._replace(**changes)


def flux_of(magnitude):
    return 10 ** (0.4 * (SimulatedSurvey().zero_point - magnitude))


@pytest.mark.parametrize("beta", [2.5, 3.0, 4.765])
def test_the_mixture_of_gaussians_is_the_moffat_function(beta):
    weights, deviations = moffat_mixture(1.3, beta)
    assert weights.sum() == pytest.approx(1)
    alpha = 1.3 / (2 * np.sqrt(2 ** (1 / beta) - 1))
    radius = np.linspace(0, 5, 300)
    moffat = Moffat2D(gamma=alpha, alpha=beta, amplitude=(beta - 1) / (np.pi * alpha**2))
    mixture = (weights / (2 * np.pi * deviations**2) * np.exp(-(radius[:, None] ** 2) / (2 * deviations**2))).sum(
        axis=1
    )
    expected = moffat(radius, 0)
    assert np.abs(mixture - expected).max() < 0.005 * expected[0]
    half = np.interp(0.65, radius, mixture) / mixture[0]
    assert half == pytest.approx(0.5, abs=0.005)


def reference(profile, size, margin, scale, seeing, beta):
    """Sersic light convolved with a Moffat function on a grid much finer than ours, then averaged over pixels.

    The grid has `margin` pixels more on every side, for the light that the seeing brings in.
    """
    pixels, fine = size + 2 * margin, 15
    nodes = (np.arange(pixels * fine) + 0.5) / fine - 0.5 - margin
    y, x = np.meshgrid(nodes, nodes, indexing="ij")
    light = np.zeros_like(x)
    sub = (np.arange(3) - 1) / (3 * fine)  # each node from 3 x 3 samples, for the cusp
    for dy in sub:
        for dx in sub:
            light += profile((x + dx) * scale, (y + dy) * scale) / 9
    half = (np.arange(pixels * fine + 1) - pixels * fine // 2) * scale / fine
    alpha = seeing / (2 * np.sqrt(2 ** (1 / beta) - 1))
    amplitude = (beta - 1) / (np.pi * alpha**2) * (scale / fine) ** 2
    blurred = scipy.signal.fftconvolve(
        light, Moffat2D(amplitude, gamma=alpha, alpha=beta)(*np.meshgrid(half, half)), mode="same"
    )
    return blurred.reshape(pixels, fine, pixels, fine).mean(axis=(1, 3))[margin:-margin, margin:-margin]


@pytest.mark.parametrize(("index", "ratio", "angle"), [(4.0, 0.6, 0.5), (2.5, 1.0, 0.0), (1.0, 0.7, 2.0)])
def test_a_spheroid_equals_astropy_sersic_blurred_by_astropy_moffat(index, ratio, angle):
    view = instrument(image_size=21, centre=(9.5, 10.5))
    ours = np.asarray(
        render(galaxy(sersic_index=index, spheroid_axis_ratio=ratio, position_angle=angle, spheroid_radius=1.5), view)
    )
    b = scipy.special.gammaincinv(2 * index, 0.5)
    norm = 2 * np.pi * index * 1.5**2 * ratio * np.exp(b) * b ** (-2 * index) * scipy.special.gamma(2 * index)
    profile = Sersic2D(
        amplitude=flux_of(15) * 0.396**2 / norm,
        r_eff=1.5,
        n=index,
        x_0=10 * 0.396,
        y_0=10 * 0.396,
        ellip=1 - ratio,
        theta=angle * u.rad,
    )
    expected = reference(profile, 21, 14, 0.396, 1.32, 3.0)
    assert np.abs(ours - expected).max() < 0.03 * expected.max()
    # The outskirts too, where an error would hide beside the peak.
    outside = expected < 0.05 * expected.max()
    assert outside.sum() > 100
    assert np.abs(ours - expected)[outside].max() < 0.002 * expected.max()


@pytest.mark.parametrize("bulge_fraction", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("inclination", [0.0, 1.0, 1.5])
def test_the_flux_is_that_of_the_magnitude(bulge_fraction, inclination):
    view = instrument(image_size=160, centre=(79.5, 80.5))
    image = render(
        galaxy(
            bulge_fraction=bulge_fraction,
            inclination=inclination,
            spheroid_radius=0.8,
            half_light_radius=2.5,
            arm_strength=1.5,
            spheroid_axis_ratio=0.6,
        ),
        view,
    )
    # What lies outside the stamp: the wings of a de Vaucouleurs profile and of the seeing.
    assert float(image.sum()) == pytest.approx(flux_of(15), rel=0.05)


def test_arms_do_not_change_the_light_on_a_circle():
    view = instrument(seeing=0.5)
    smooth = render(galaxy(bulge_fraction=0.0, half_light_radius=5.0), view)
    for arms in (2.0, 3.0):
        wound = render(galaxy(bulge_fraction=0.0, half_light_radius=5.0, arm_strength=1.5, arms=arms), view)
        assert float(jnp.abs(wound - smooth).max()) > 0.1 * float(smooth.max())
        y, x = np.indices(smooth.shape) - 32.5
        for inner, outer in [(6, 9), (9, 14), (14, 20)]:
            ring = (np.hypot(y, x) >= inner) & (np.hypot(y, x) < outer)
            assert np.asarray(wound)[ring].mean() == pytest.approx(np.asarray(smooth)[ring].mean(), rel=0.03)


def test_the_winding_sense_is_a_mirror_image():
    view = instrument(image_size=33, centre=(15.5, 16.5))
    one = render(galaxy(bulge_fraction=0.1, arm_strength=2.0, winding=1.0), view)
    other = render(galaxy(bulge_fraction=0.1, arm_strength=2.0, winding=-1.0), view)
    assert float(jnp.abs(one - other).max()) > 0.02 * float(one.max())
    np.testing.assert_allclose(one, other[::-1], atol=1e-3 * float(one.max()))


@pytest.mark.parametrize(
    ("cutout", "range_of_centres"), [("int", (32.0, 33.0)), ("round", (31.5, 32.5)), ("cutout2d", (31.0, 32.0))]
)
def test_the_centre_falls_where_the_cutout_convention_says(cutout, range_of_centres):
    view = instrument_of(SimulatedSurvey(cutout=cutout))
    for part in (0.1, 0.5, 0.9):
        image = np.asarray(render(galaxy(subpixel=[part, 1 - part], sersic_index=1.0, spheroid_radius=1.5), view))
        expected = [range_of_centres[0] + part, range_of_centres[0] + 1 - part]
        found = [(image.sum(axis=1 - axis) * np.arange(64)).sum() / image.sum() for axis in (0, 1)]
        np.testing.assert_allclose(found, expected, atol=0.02)


def test_a_star_has_the_seeing_as_its_width():
    view = instrument(pixel_scale=0.05, centre=(31.5, 32.5))
    image = render(galaxy(magnitude=99.0, neighbour_magnitude=[15.0]), view)
    profile = np.asarray(image)[32, 32:]
    assert np.interp(0.66 / 0.05, np.arange(32), profile) / profile[0] == pytest.approx(0.5, abs=0.01)


def test_noise_has_the_variance_of_photons_and_readout():
    view = instrument()
    image = jnp.full((64, 64), 500.0)
    noise = jax.vmap(lambda key: add_noise(image, key, view))(jax.random.split(jax.random.key(0), 50)) - 500
    expected = (500 + view.sky) / view.gain + (view.read_noise / view.gain) ** 2
    assert float(noise.mean()) == pytest.approx(0, abs=5 * (expected / noise.size) ** 0.5)
    assert float(noise.var()) == pytest.approx(expected, rel=0.02)


def test_the_sky_is_the_surface_brightness_times_the_pixel():
    view = instrument()
    per_arcsec2 = view.sky / view.pixel_scale**2
    assert view.zero_point - 2.5 * np.log10(per_arcsec2) == pytest.approx(view.sky_magnitude)


@needs_sky_subtracted_frame
@needs_photometry
def test_counts_and_noise_are_those_of_a_real_frame():
    with fits.open(SKY_SUBTRACTED_FRAME) as frame, fits.open(PHOTOMETRY) as objects:
        per_count, sky = frame[1].data, float(np.median(frame[2].data["ALLSKY"]))
        counts = frame[0].data / per_count
        sky_flux = float(np.median(objects[1].data["SKYFLUX"][:, 2]))
    view = instrument(sky_magnitude=22.5 - 2.5 * np.log10(sky_flux))  # a field in the Milky Way has a brighter sky
    assert view.zero_point == pytest.approx(22.5 - 2.5 * np.log10(per_count.mean()), abs=0.02)
    assert view.sky == pytest.approx(sky, rel=0.02)
    below = (counts - np.median(counts))[counts < np.median(counts)]  # no sources there
    noise = np.sqrt(view.sky / view.gain + (view.read_noise / view.gain) ** 2)
    assert np.sqrt((below**2).mean()) == pytest.approx(noise, rel=0.15)


def test_a_dark_sky_has_the_counts_and_the_noise_of_sdss_in_r():
    view = instrument()
    assert 85 < view.sky < 146
    assert 4.5 < np.sqrt(view.sky / view.gain + (view.read_noise / view.gain) ** 2) < 5.9


@pytest.mark.parametrize("inclination", [0.0, 1.0])
def test_the_signal_to_noise_ratio_is_that_of_half_the_light_on_the_half_light_ellipse(inclination):
    """Of an exponential disc, whose half-light area is known."""
    view = instrument(seeing=0.2)
    ratio = np.sqrt(0.2**2 + (1 - 0.2**2) * np.cos(inclination) ** 2)
    area = np.pi * (4.0 / view.pixel_scale) ** 2 * ratio
    signal = flux_of(16) / 2
    variance = (signal + area * view.sky) / view.gain + area * (view.read_noise / view.gain) ** 2
    disc = galaxy(magnitude=16.0, bulge_fraction=0.0, half_light_radius=4.0, inclination=inclination)
    found = signal_to_noise(render_alone(disc, view), disc.magnitude, view)
    assert float(found) == pytest.approx(signal / np.sqrt(variance), rel=0.01)


def test_where_half_of_the_light_lies_outside_the_image_its_whole_light_counts():
    view, large = instrument(image_size=8, centre=(3.5, 4.5)), galaxy(sersic_index=1.0, spheroid_radius=8.0)
    image = np.asarray(render(large, view), np.float64)
    variance = (image + view.sky) / view.gain + (view.read_noise / view.gain) ** 2
    found = signal_to_noise(render_alone(large, view), large.magnitude, view)
    assert float(found) == pytest.approx(image.sum() / np.sqrt(variance.sum()), rel=1e-4)
