"""Catalogues of galaxies that nobody has labelled."""

import dataclasses

import numpy as np
import pytest

import galjax
from galjax import calibration
from galjax.training.catalogue import BEYOND, FLAT, NOT_FINITE
from tests.training.test_train import LEARNS, SMALL, arrays


@pytest.fixture(scope="module")
def sample():
    images, labels = arrays()
    return galjax.GalaxySample.from_arrays(images, labels, class_names=["empty", "square"], pixel_scale=0.4)


@pytest.fixture(scope="module")
def ensemble(sample):
    conditions = [(2, "nearest"), (4, "nearest")]
    return galjax.train(sample, repeats=3, epochs=40, seed=1, network=SMALL, optimiser=LEARNS, conditions=conditions)


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
    assert not table["flags"].any()


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
    assert table["flags"].tolist() == [{3: NOT_FINITE, 4: FLAT}.get(number, 0) for number in range(60)]
    assert table["class"][3] == table["class"][4] == ""
    assert np.isnan(probabilities(table)[3:5]).all()
    assert np.isfinite(probabilities(np.delete(table, [3, 4]))).all()
    beyond = ensemble.classify(images, factor=8.0, method="nearest")
    assert (beyond["flags"] & BEYOND).all()
    assert np.isnan(beyond["expected_accuracy"]).all()


def test_sharper_stamps_are_shrunk(ensemble):
    images, _ = arrays(seed=5)
    sharper = galjax.GalaxySample.from_arrays(np.repeat(np.repeat(images, 2, 1), 2, 2), pixel_scale=0.2)
    table = ensemble.classify(sharper)
    np.testing.assert_allclose(probabilities(table), probabilities(ensemble.classify(images)), rtol=1e-4, atol=1e-6)
    assert set(table["factor"]) == {0.5}


def test_what_does_not_fit_gets_a_sentence(ensemble):
    images, _ = arrays(seed=5)
    with pytest.raises(galjax.InputError, match=r"have 16x16 px. At 1/0.5 of .* 32x32 px show as much sky"):
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
