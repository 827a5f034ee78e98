"""Catalogues of galaxies that nobody has labelled."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import galjax
from galjax import calibration
from galjax.networks.scaling import Sky
from galjax.quality import is_saturated, look_at_source
from galjax.training.classify import (
    BEYOND,
    BLENDED,
    FLAGS,
    FLAT,
    NOT_FINITE,
    OFF_CENTRE,
    SMALL,
    UNUSABLE,
    WORSE,
    blurred_factor,
    count_flags,
    field_of,
)
from galjax.training.usual import is_unusual, usual_ranges
from tests.training import test_train
from tests.training.test_train import LEARNS, arrays


@pytest.fixture(scope="module")
def sample():
    images, labels = arrays()
    return galjax.GalaxySample.from_arrays(images, labels, class_names=["empty", "square"], pixel_scale=0.4)


@pytest.fixture(scope="module")
def ensemble(sample):
    conditions = [(2, "nearest"), (4, "nearest")]
    return galjax.train(
        sample,
        repeats=3,
        epochs=40,
        augment="none",
        seed=1,
        network=test_train.SMALL,
        optimiser=LEARNS,
        conditions=conditions,
    )


def probabilities(table):
    return np.stack([table["p_empty"], table["p_square"]], axis=1)


def shrunk(images, factor):
    size = images.shape[1] // factor
    return np.asarray(galjax.resize(images.astype(np.float32), (size, size), "area"))


def test_at_the_training_resolution_and_uncalibrated_it_says_what_predict_says(ensemble):
    images, _ = arrays(seed=5)
    table, plain = ensemble.classify(images, calibrated=False), ensemble.predict(images)
    for name in ("class", "p_square", "std_square"):
        assert (table[name] == plain[name]).all()
    assert set(table["factor"]) == {1.0}
    assert table["expected_accuracy"][0] == pytest.approx(ensemble.accuracy().mean())
    of_source = OFF_CENTRE | BLENDED | SMALL  # half of these images are empty, and the squares lie anywhere
    assert not (table["flags"] & ~of_source).any()


def test_coarser_stamps_are_enlarged_as_the_test_galaxies_were(ensemble):
    images, _ = arrays(seed=5)
    small = shrunk(images, 2)
    degraded = np.asarray(galjax.resize(small, (16, 16), "nearest"))
    of_small = ensemble.classify(small, method="nearest")
    assert set(of_small["factor"]) == {2.0}
    same = ensemble.classify(degraded, factor=2.0, method="nearest")
    np.testing.assert_allclose(probabilities(of_small), probabilities(same), rtol=1e-5)
    by_scale = galjax.GalaxySample.from_arrays(small, pixel_scale=0.8)
    assert (ensemble.classify(by_scale, method="nearest")["p_square"] == of_small["p_square"]).all()
    wider = galjax.GalaxySample.from_arrays(np.pad(small, ((0, 0), (3, 3), (3, 3))), pixel_scale=0.8)
    assert (ensemble.classify(wider, method="nearest")["p_square"] == of_small["p_square"]).all()


def test_probabilities_are_calibrated_by_test_galaxies_seen_alike(ensemble, sample):
    (measured,) = [one for one in ensemble.about.measured if one.factor == 2]
    images, _ = arrays(seed=5)
    small = shrunk(images, 2)
    table = ensemble.classify(small, method="nearest")
    plain = ensemble.probabilities(np.asarray(galjax.resize(small, (16, 16), "nearest")))
    expected = np.mean(
        [calibration.apply(np.log(p), fit) for p, fit in zip(plain, measured.calibration, strict=True)], axis=0
    )
    np.testing.assert_allclose(probabilities(table), expected, rtol=1e-4, atol=1e-6)
    assert table["expected_accuracy"][0] == pytest.approx(np.mean(measured.calibrated_accuracy))
    np.testing.assert_allclose(probabilities(table).sum(axis=1), 1)
    assert (table["mutual_information"] <= table["entropy"] + 1e-12).all()
    between = ensemble.classify(images, factor=3.0, method="nearest")["expected_accuracy"][0]
    ends = [float(np.mean(one.calibrated_accuracy)) for one in ensemble.about.measured if one.factor > 1]
    assert min(ends) - 1e-12 <= between <= max(ends) + 1e-12


def test_what_cannot_be_classified_is_flagged_and_the_rest_is(ensemble):
    images, _ = arrays(seed=5)
    images[3, 0, 0], images[4] = np.nan, 7.0
    table = ensemble.classify(images)
    of_pixels = table["flags"] & (NOT_FINITE | FLAT | UNUSABLE)
    assert of_pixels.tolist() == [{3: NOT_FINITE, 4: FLAT}.get(number, 0) for number in range(60)]
    assert table["class"][3] == table["class"][4] == ""
    assert np.isnan(probabilities(table)[3:5]).all()
    assert np.isfinite(probabilities(np.delete(table, [3, 4]))).all()
    beyond = ensemble.classify(images, factor=8.0, method="nearest")
    assert (beyond["flags"] & BEYOND).all()
    assert np.isnan(beyond["expected_accuracy"]).all()


def test_a_field_is_to_the_nearest_pixel_and_an_image_less_than_a_pixel_short_will_do():
    def width(size, factor):
        return field_of((size, size), (64, 64), factor=factor, scales=(np.nan, np.nan)).width[0]

    assert [width(size, 6.0) for size in (9, 10, 11, 30)] == [11, 10, 11, 11]  # 64 / 6 is 10.7
    assert [width(size, 4.0) for size in (15, 16, 17)] == [16, 16, 16]
    assert width(64, 4.0) == 64  # on the grid already
    assert field_of((30, 30), (64, 64), factor=None, scales=(0.8, 0.4)).width == (32, 32)
    assert field_of((30, 30), (64, 64), factor=None, scales=(np.nan, 0.4)) == ((30, 30), 64 / 30)
    assert field_of((101, 101), (64, 64), factor=None, scales=(np.nan, np.nan)) == ((64, 64), 1.0)


def test_sharper_stamps_are_shrunk(ensemble):
    images, _ = arrays(seed=5)
    sharper = galjax.GalaxySample.from_arrays(np.repeat(np.repeat(images, 2, 1), 2, 2), pixel_scale=0.2)
    table = ensemble.classify(sharper)
    np.testing.assert_allclose(probabilities(table), probabilities(ensemble.classify(images)), rtol=1e-4, atol=1e-6)
    assert set(table["factor"]) == {0.5}


def test_what_does_not_fit_gets_a_sentence(ensemble):
    images, _ = arrays(seed=5)
    with pytest.raises(galjax.InputError, match=r"have 16x16 px, and at 1/0.5 of .* 32x32 px show as much sky"):
        ensemble.classify(galjax.GalaxySample.from_arrays(images, pixel_scale=0.2))
    with pytest.raises(galjax.InputError, match="not tested on images enlarged with bicubic"):
        ensemble.classify(images, factor=2.0, method="bicubic")
    with pytest.raises(galjax.InputError, match="factor is above 0, not -1"):
        ensemble.classify(images, factor=-1.0)
    with pytest.raises(galjax.InputError, match="Images are numbers of shape"):
        ensemble.classify(np.zeros(5))
    untold = dataclasses.replace(ensemble, about=dataclasses.replace(ensemble.about, measured=()))
    with pytest.raises(galjax.InputError, match="cannot be calibrated"):
        untold.classify(images)


def test_a_saved_ensemble_classifies_alike(ensemble, tmp_path):
    images, _ = arrays(seed=5)
    ensemble.save(tmp_path / "net")
    again = galjax.load(tmp_path / "net").classify(shrunk(images, 4), method="nearest")
    assert (again["p_square"] == ensemble.classify(shrunk(images, 4), method="nearest")["p_square"]).all()


def test_images_of_another_sky_or_in_other_units_are_unlike_the_training():
    noise = np.random.default_rng(1).normal(size=(200, 64, 64))
    images = (5 * noise + np.stack([gaussian(peak=peak) for peak in np.linspace(50, 500, 200)])).astype(np.float32)
    sky = jax.tree.map(lambda value: jnp.full((2, 1), value), Sky(0.0, 5.0))
    usual = usual_ranges(images[::2], "sky", sky)
    same = np.ones(200)
    assert not is_unusual(images[1::2], "sky", sky, usual, same[:100]).any()
    blurred = np.asarray(galjax.resize(np.asarray(galjax.resize(images, (16, 16), "area")), (64, 64), "bilinear"))
    assert is_unusual(blurred, "sky", sky, usual, 4 * same).mean() < 0.1
    for other in (images + 50, 30 * images, images / 30):
        assert is_unusual(other, "sky", sky, usual, same).mean() > 0.9


def test_flags_say_where_too_much_accuracy_is_lost(ensemble):
    images, _ = arrays(seed=5)
    coarser = ensemble.classify(images, factor=4.0, method="nearest")
    falls = coarser["expected_accuracy"][0] < plain_accuracy(ensemble) - 0.03
    assert ((coarser["flags"] & WORSE != 0) == falls).all()
    assert count_flags(np.array([0, 3, 1])) == {NOT_FINITE: 2, FLAT: 1}
    assert list(FLAGS) == [2**bit for bit in range(len(FLAGS))]


def plain_accuracy(ensemble):
    return np.mean(ensemble.about.measured[0].calibrated_accuracy)


def gaussian(size=64, at=(31.5, 31.5), sigma=4.0, peak=100.0):
    rows, columns = np.indices((size, size))
    return peak * np.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / (2 * sigma**2))


def test_the_source_of_a_stamp_is_found():
    noise = np.random.default_rng(3).normal(size=(64, 64))
    off, blended, radius = look_at_source(gaussian() + noise)
    assert not off
    assert not blended
    assert radius == pytest.approx(4.0 * np.sqrt(2 * np.log(2)), rel=0.1)  # half of a Gaussian's light
    assert look_at_source(noise)[0]
    assert look_at_source(gaussian(at=(31.5, 50)) + noise)[0]
    assert look_at_source(np.zeros((64, 64)))[0]
    assert look_at_source(gaussian() + 0.7 * gaussian(at=(31.5, 52)) + noise)[1]  # apart
    assert look_at_source(gaussian() + 0.7 * gaussian(at=(31.5, 46)) + noise)[1]  # in one
    assert not look_at_source(gaussian() + gaussian(at=(31.5, 52), peak=20.0) + noise)[1]
    assert np.isnan(look_at_source(noise)[2])


def test_saturated_pixels_are_those_with_the_highest_value_there_is():
    stamp = gaussian(peak=300)
    assert is_saturated(np.minimum(stamp, 255).astype(np.uint8))
    assert not is_saturated((stamp / 2).astype(np.uint8))
    assert is_saturated(np.minimum(stamp, 200).astype(np.float32))  # a flat top
    assert not is_saturated(stamp.astype(np.float32))


def test_seeing_makes_images_coarser_than_their_pixels():
    assert blurred_factor(2.0, 0.4, (1.3, 1.3)) == 2
    assert blurred_factor(0.5, 0.4, (1.3, 1.3)) == 1
    assert blurred_factor(4.0, 0.4, (0.6, 1.3)) < 4
    # Averaging over 4 px adds a variance of 4^2 / 12 px^2; a Gaussian of that variance is as coarse.
    width = np.sqrt(8 * np.log(2) * (4**2 - 1) / 12) * 0.4
    assert blurred_factor(1.0, 0.4, (float(np.hypot(1.3, width)), 1.3)) == pytest.approx(4)


def test_small_sources_are_flagged_by_the_pixels_they_had(ensemble):
    images = np.stack([gaussian(16, (7.5, 7.5), 1.2, 1e3)] * 4).astype(np.float32)
    images += np.random.default_rng(0).normal(size=images.shape).astype(np.float32)
    assert not (ensemble.classify(images, factor=1.0, method="nearest")["flags"] & SMALL).any()
    assert (ensemble.classify(images, factor=2.0, method="nearest")["flags"] & SMALL).all()


def test_the_mean_over_orientations_does_not_depend_on_the_orientation(ensemble):
    images, _ = arrays(seed=5)
    turned = np.ascontiguousarray(np.rot90(images, axes=(1, 2))[:, ::-1])
    mean, of_turned = (ensemble.classify(each, all_orientations=True)["p_square"] for each in (images, turned))
    np.testing.assert_allclose(mean, of_turned, rtol=1e-3, atol=1e-5)
    assert np.abs(mean - ensemble.classify(images)["p_square"]).max() > 1e-4


def test_one_repeat_is_computed_on_every_device(ensemble):
    images, _ = arrays(count=7, seed=5)
    alone = ensemble._alone(1)
    np.testing.assert_allclose(alone.probabilities(images)[0], ensemble.probabilities(images)[1], rtol=1e-5)


def test_reliability_is_that_of_all_probabilities(ensemble):
    (measured,) = [one for one in ensemble.about.measured if one.factor == 2]
    before, after = measured.reliability
    assert sum(before.counts) == ensemble.tested.chosen.size
    assert before.accuracy == pytest.approx(np.mean(measured.accuracy))
    assert after.accuracy == pytest.approx(np.mean(measured.calibrated_accuracy))
    assert sum(ensemble.about.shares) == pytest.approx(1)
    table = ensemble.test_predictions(2, "nearest")
    given = probabilities(table).astype(np.float64)
    labels = (np.array(table["true"]) == "square").astype(int)
    assert before.error() == pytest.approx(calibration.expected_calibration_error(given, labels), abs=1e-3)
    assert before.brier == pytest.approx(calibration.brier_score(given, labels), rel=1e-3)
    share, right = before.confident(0.9)
    sure = given.max(axis=1) >= 0.9
    assert share == pytest.approx(sure.mean(), abs=0.01)
    assert right == pytest.approx((given.argmax(axis=1) == labels)[sure].mean(), abs=0.02)
    kept, accuracy = before.coverage()
    assert kept[-1] == 1
    assert accuracy[-1] == pytest.approx(before.accuracy)


def test_a_coarser_survey_with_units_of_its_own_is_classified_in_its_own_sky():
    survey = galjax.SimulatedSurvey(galaxies=60)
    sharp = galjax.simulate(survey, seed=1)
    small = galjax.NetworkConfig(filters=(4, 4, 4), dense_units=(8,))
    ensemble = galjax.train(
        sharp,
        repeats=2,
        epochs=2,
        augment="none",
        classes=["spiral", "elliptical"],
        network=small,
        conditions=[(2, "nearest")],
    )
    shrunken = galjax.GalaxySample.from_arrays(shrunk(sharp.images, 2), pixel_scale=2 * 0.396)
    ours = ensemble.classify(shrunken, method="nearest")
    # Another zero point, and another level of the sky.
    other = galjax.GalaxySample.from_arrays(30 * shrunken.images + 500, pixel_scale=2 * 0.396)
    np.testing.assert_allclose(ensemble.classify(other, method="nearest")["p_spiral"], ours["p_spiral"], atol=1e-3)
    # The mean over 2 x 2 pixels has half of their noise: a unit that is twice as large is the training's.
    enlarged = np.repeat(np.repeat(shrunken.images, 2, axis=1), 2, axis=2)
    own = ensemble.in_sky(enlarged, "own", 2.0).about.sky[0]
    assert own.unit[0] == pytest.approx(ensemble.about.sky[0].unit[0], rel=0.1)
    assert set(ours["factor"]) == {2.0}
    same = ensemble.classify(sharp.take(np.arange(20)), sky="training", calibrated=False)
    assert (same["p_spiral"] == ensemble.predict(sharp.take(np.arange(20)))["p_spiral"]).all()
