import numpy as np
import pytest
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss

from galjax.calibration import (
    Calibration,
    apply,
    between,
    brier_score,
    cross_fitted,
    expected_calibration_error,
    fit,
    with_shares,
)


def galaxies(count, classes=2, seed=0, shares=None):
    """Logits whose softmax is the probability of each class, and labels drawn by it."""
    rng = np.random.default_rng(seed)
    true = rng.choice(classes, count, p=shares)
    logits = 1.5 * rng.normal(size=(count, classes))
    logits[np.arange(count), true] += 1.5
    probabilities = softmax(logits, axis=1)
    labels = (rng.random((count, 1)) > probabilities.cumsum(axis=1)).sum(axis=1)
    return logits, labels.astype(np.int32)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_fit_undoes_a_wrong_temperature_and_bias(classes):
    logits, labels = galaxies(20_000, classes)
    bias = np.linspace(0, 2, classes)
    found = fit((logits + bias) * 3, labels)
    assert found.temperature == pytest.approx(3, rel=0.05)
    np.testing.assert_allclose(found.bias, -(bias - bias[0]), atol=0.06)
    calibrated = apply((logits + bias) * 3, found)
    assert expected_calibration_error(calibrated, labels) < 0.015
    assert expected_calibration_error(softmax((logits + bias) * 3, axis=1), labels) > 0.05


def test_two_classes_are_fitted_as_by_logistic_regression():
    logits, labels = galaxies(500)
    found = fit(logits, labels)
    reference = LogisticRegression(C=np.inf).fit(logits[:, 1:] - logits[:, :1], labels)
    assert 1 / found.temperature == pytest.approx(reference.coef_[0, 0], rel=0.01)
    assert found.bias[1] == pytest.approx(reference.intercept_[0], abs=0.01)


def test_classes_without_an_error_and_no_galaxies_have_finite_fits():
    labels = np.array([0, 1] * 10, np.int32)
    perfect = fit(np.where(np.eye(2)[labels] > 0, 5.0, -5.0), labels)
    assert np.isfinite(perfect.temperature)
    assert perfect.temperature > 0
    assert fit(np.zeros((0, 3)), np.zeros(0, np.int32)) == Calibration(1.0, (0.0, 0.0, 0.0))


def test_no_label_has_a_part_in_its_own_probability():
    logits, labels = galaxies(60)
    logits, labels = logits[np.argsort(labels, kind="stable")], np.sort(labels)
    other = labels.copy()
    ones = np.flatnonzero(labels == 0)
    # The last galaxy of the first class becomes the first of the second: all others stay in their halves.
    other[ones[-1]] = 1
    changed = np.flatnonzero((cross_fitted(logits, labels) != cross_fitted(logits, other)).any(axis=1))
    assert ones[-1] not in changed
    assert len(changed)


def test_between_factors_numbers_are_interpolated_and_beyond_them_they_stay():
    known = {1: Calibration(1.0, (0.0, 0.0)), 4: Calibration(4.0, (0.0, 2.0)), 8: Calibration(4.0, (0.0, 3.0))}
    assert between(known, 4.0).bias == pytest.approx(known[4].bias)
    middle = between(known, 2.0)
    assert middle.temperature == pytest.approx(2)
    assert middle.bias == pytest.approx((0, 1))
    assert between(known, 16.0).bias == pytest.approx(known[8].bias)


def test_scores_are_those_of_scikit_learn_and_of_a_hand():
    logits, labels = galaxies(300)
    probabilities = softmax(logits, axis=1)
    assert brier_score(probabilities, labels) == pytest.approx(2 * brier_score_loss(labels, probabilities[:, 1]))
    sure = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    assert expected_calibration_error(sure, np.array([0, 1, 1, 1])) == pytest.approx((0.8 + 0.8) / 4)
    assert np.isnan(expected_calibration_error(sure[:0], np.zeros(0, np.int32)))


def test_shares_of_classes_are_found_and_taken():
    logits, labels = galaxies(20_000, seed=1)
    rare = np.flatnonzero(labels == 1)[: len(labels) // 10]
    some = np.concatenate([np.flatnonzero(labels == 0), rare])
    probabilities, balanced = softmax(logits[some], axis=1), np.bincount(labels) / len(labels)
    truth = np.bincount(labels[some]) / len(some)
    found, shares = with_shares(probabilities, balanced)
    np.testing.assert_allclose(shares, truth, atol=0.01)
    known, same = with_shares(probabilities, balanced, truth)
    assert same == pytest.approx(truth)
    np.testing.assert_allclose(known, found, atol=0.02)
    assert brier_score(known, labels[some]) < brier_score(probabilities, labels[some])
