import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from galjax import GalaxySample, InputError
from galjax.config.jax_settings import PRNG
from galjax.sources.simulated.population import (
    CLEAR_MAGNITUDES,
    COSMOLOGY,
    MAGNITUDE_LIMIT,
    assign_classes,
    draw_galaxies,
)
from galjax.sources.simulated.survey import SimulatedSurvey, instrument_of, simulate


@pytest.fixture(scope="module")
def sample():
    return simulate(SimulatedSurvey(galaxies=600), seed=3)


def test_the_sample_is_well_formed(sample):
    assert isinstance(sample, GalaxySample)
    assert sample.images.shape == (600, 64, 64)
    assert sample.images.dtype == np.float32
    assert sample.class_counts() == {"spiral": 252, "elliptical": 252, "uncertain": 96}
    assert sample.pixel_scale == 0.396
    assert ((sample.redshift > 0) & (sample.redshift <= 0.25)).all()
    assert all(np.isfinite(column).all() for column in sample.columns.values())


def test_the_seed_decides_everything(sample):
    again = simulate(SimulatedSurvey(galaxies=600), seed=3)
    np.testing.assert_array_equal(sample.images, again.images)
    other = simulate(SimulatedSurvey(galaxies=600), seed=4)
    assert (sample.redshift != other.redshift).all()


def test_a_galaxy_does_not_depend_on_how_many_there_are(sample):
    few = simulate(SimulatedSurvey(galaxies=70), seed=3)
    np.testing.assert_array_equal(few.labels, sample.labels[:70])
    for name in few.columns:
        np.testing.assert_allclose(few.columns[name], sample.columns[name][:70], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(few.images, sample.images[:70], rtol=1e-4, atol=0.05)


def test_another_instrument_sees_the_same_galaxies(sample):
    finer = simulate(
        SimulatedSurvey(galaxies=70, image_size=150, pixel_scale=0.168, seeing=0.6, sky_magnitude=20.9), seed=3
    )
    np.testing.assert_array_equal(finer.redshift, sample.redshift[:70])
    for name in ("magnitude", "half_light_radius", "pitch_angle", "winding"):
        np.testing.assert_array_equal(finer.columns[name], sample.columns[name][:70])
    # The same light falls on the same square of sky, seen with finer pixels.
    wide, narrow = sample.images[:70].sum(axis=(1, 2)), finer.images.sum(axis=(1, 2))
    assert np.median(np.abs(wide / narrow - 1)) < 0.05


def test_classes_have_the_fractions_in_every_first_part():
    classes = assign_classes(1000, (0.271, 0.104, 0.625))
    for count in (10, 100, 1000):
        found = np.bincount(classes[:count], minlength=3) / count
        np.testing.assert_allclose(found, (0.271, 0.104, 0.625), atol=1.0 / count)


def test_redshift_makes_galaxies_smaller_and_fainter(sample):
    spirals = sample.labels == 0
    near, far = sample.redshift < 0.07, sample.redshift > 0.13
    radius = sample.columns["half_light_radius"]
    assert np.median(radius[spirals & near]) > 1.1 * np.median(radius[spirals & far])
    absolute = sample.columns["magnitude"] - COSMOLOGY.distmod(sample.redshift).value
    assert np.median(absolute[spirals & far]) < np.median(absolute[spirals & near]) - 1  # a flux limit: only the bright
    assert sample.columns["magnitude"].max() <= MAGNITUDE_LIMIT + 0.01


def test_galaxies_are_clear_with_the_probability_that_falls_with_magnitude():
    classes = assign_classes(6000, (0.2, 0.18, 0.62))  # as many clear ones as there are in Galaxy Zoo 1
    magnitude = np.asarray(draw_galaxies(jax.random.key(1, impl=PRNG), np.arange(6000), classes).magnitude)
    half, width = CLEAR_MAGNITUDES
    fitted = LogisticRegression(C=np.inf).fit(magnitude[:, None] - half, classes < 2)
    assert fitted.coef_[0, 0] == pytest.approx(-1 / width, rel=0.1)
    assert fitted.intercept_[0] == pytest.approx(0, abs=0.1)
    assert np.mean(magnitude[classes < 2] > 17.3) > 0.2


def test_structure_tells_the_classes_apart_and_brightness_does_not(sample):
    magnitude = [np.median(sample.columns["magnitude"][sample.labels == label]) for label in (0, 1)]
    assert abs(magnitude[0] - magnitude[1]) < 0.15
    spirals, ellipticals = sample.labels == 0, sample.labels == 1
    has_arms = sample.columns["arm_strength"] > 0
    assert has_arms[spirals].mean() == pytest.approx(0.975, abs=0.03)  # the rest is mislabelled
    assert has_arms[ellipticals].mean() == pytest.approx(0.025, abs=0.03)
    assert set(sample.columns["arms"]) == {2, 3, 4}
    assert abs(sample.columns["winding"].mean()) < 0.2
    inclination = sample.columns["inclination"][spirals]
    assert inclination.max() > 80
    assert np.median(inclination) == pytest.approx(60, abs=8)  # cos i is uniform


def test_the_background_has_the_noise_of_the_survey(sample):
    instrument = instrument_of(SimulatedSurvey())
    expected = np.sqrt(instrument.sky / instrument.gain + (instrument.read_noise / instrument.gain) ** 2)
    corner = sample.images[:, :4, :4]
    assert 1.4826 * np.median(np.abs(corner - np.median(corner))) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("galaxies", 0),
        ("image_size", 4),
        ("pixel_scale", 0.0),
        ("seeing", -1.0),
        ("gain", float("nan")),
        ("moffat_beta", 1.0),
        ("read_noise", -0.1),
        ("class_fractions", (0.5, 0.5, 0.5)),
        ("class_fractions", (1.5, -0.5, 0.0)),
    ],
)
def test_bad_surveys_get_a_sentence(field, value):
    with pytest.raises(InputError, match=f"--simulated.{field.replace('_', '-')} "):
        SimulatedSurvey(**{field: value})


def test_field_sources_have_the_number_and_the_slope_of_a_real_frame():
    population = draw_galaxies(jax.random.key(0, impl=PRNG), np.arange(3000), np.zeros(3000, np.int32))
    magnitude = np.asarray(population.neighbour_magnitude)
    magnitude = magnitude[np.isfinite(magnitude)]
    assert magnitude.min() >= 15
    assert magnitude.max() <= 21
    assert len(magnitude) / 3000 == pytest.approx(0.28, abs=0.03)
    counts = [np.sum(magnitude < limit) + 0.067 * len(magnitude) for limit in (18, 20)]  # 0.067: those brighter than 15
    assert np.log10(counts[1] / counts[0]) / 2 == pytest.approx(0.2, abs=0.03)
