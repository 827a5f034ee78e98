import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from galjax.metrics import (
    accuracy,
    auc,
    confusion_matrix,
    recalibrated,
    recalibrated_accuracy,
    true_positive_rate,
    true_skill_statistic,
)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_equal_scikit_learn(num_classes):
    rng = np.random.default_rng(num_classes)
    true, predicted = rng.integers(0, num_classes, (2, 400))
    confusion = confusion_matrix(predicted, true, num_classes)
    np.testing.assert_array_equal(confusion, sklearn.metrics.confusion_matrix(true, predicted).T)
    assert accuracy(confusion) == pytest.approx(sklearn.metrics.accuracy_score(true, predicted))
    recall = sklearn.metrics.recall_score(true, predicted, average=None)
    np.testing.assert_allclose(true_positive_rate(confusion), recall)
    for positive in range(num_classes):
        # Youden's J of one class against the rest: sensitivity + specificity - 1.
        balanced = sklearn.metrics.balanced_accuracy_score(true == positive, predicted == positive)
        assert true_skill_statistic(confusion, positive) == pytest.approx(2 * balanced - 1)


def test_the_thesis_two_class_table():
    # Section 4.2: spirals 215.0 right and 11.7 wrong, ellipticals 61.7 right and 11.6 wrong.
    confusion = np.array([[2150, 116], [117, 617]])
    np.testing.assert_allclose(true_positive_rate(confusion), [0.948, 0.842], atol=6e-4)


def test_leading_axes_are_kept():
    confusions = np.arange(2 * 3 * 4).reshape(2, 3, 2, 2)
    assert accuracy(confusions).shape == (2, 3)
    assert true_positive_rate(confusions).shape == (2, 3, 2)
    assert true_skill_statistic(confusions)[1, 2] == true_skill_statistic(confusions[1, 2])


def test_a_class_without_galaxies_gives_nan_not_a_warning():
    confusion = confusion_matrix(np.array([0, 1]), np.array([0, 0]), 3)
    np.testing.assert_array_equal(true_positive_rate(confusion), [0.5, np.nan, np.nan])
    assert np.isnan(true_skill_statistic(confusion, 1))
    assert np.isnan(accuracy(np.zeros((2, 2), int)))


def test_labels_out_of_range_are_an_error():
    with pytest.raises(ValueError, match=r"0\.\.1"):
        confusion_matrix(np.array([2]), np.array([1]), 2)


def made_up(num_classes, galaxies, seed=0, spread=1.0):
    """Logits somewhat higher for the true class, of two classes with many ties, and labels of which no class is missing."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(galaxies) % num_classes).astype(np.int32)
    logits = rng.normal(0, spread, (galaxies, num_classes)) + (np.arange(num_classes) == labels[:, None])
    if num_classes == 2:
        logits = (8 * logits).round() / 8  # whose differences are exact
    return jnp.asarray(logits, jnp.float32), jnp.asarray(labels)


@pytest.mark.parametrize("num_classes", [2, 3, 5])
def test_the_area_under_the_roc_curve_equals_scikit_learns(num_classes):
    sets = [made_up(num_classes, 83, seed) for seed in range(3)]
    logits, labels = (jnp.stack(parts) for parts in zip(*sets, strict=True))
    found = jax.jit(jax.vmap(auc))(logits, labels)
    probabilities = scipy.special.softmax(np.asarray(logits, np.float64), axis=-1)
    for own, true, area in zip(probabilities, labels, found, strict=True):
        scores = own[:, 1].round(12) if num_classes == 2 else own
        assert area == pytest.approx(sklearn.metrics.roc_auc_score(true, scores, multi_class="ovo"), abs=1e-6)
    np.testing.assert_allclose(jax.vmap(auc)(logits + 4.0, labels), found, rtol=2e-3)


def test_the_area_of_what_is_told_apart_perfectly_wrongly_or_not_at_all():
    labels = jnp.arange(40, dtype=jnp.int32) % 2
    apart = jnp.where(
        labels[:, None] == jnp.arange(2)[None], 0.0, -100.0
    )  # beyond what float32 probabilities tell apart
    assert auc(apart, labels) == 1
    assert auc(-apart, labels) == 0
    assert auc(jnp.zeros((40, 2)), labels) == 0.5
    assert np.isnan(auc(apart, jnp.zeros_like(labels)))


def best_by_trying(logits, labels):
    """The bias of the second class that classifies most right, of all that make a difference."""
    needed = np.unique(logits[:, 0] - logits[:, 1])
    tried = np.concatenate([needed[:1] - 1, (needed[:-1] + needed[1:]) / 2, needed[-1:] + 1])
    right = [((logits[:, 1] + bias > logits[:, 0]) == labels).sum() for bias in tried]
    best = tried[right == np.max(right)]
    return best[np.abs(best).argmin()]


@pytest.mark.parametrize(("galaxies", "offset"), [(60, 0.0), (61, 5.0), (3, -9.0), (2, 0.0)])
def test_thresholds_are_fitted_on_one_half_and_applied_to_the_other(galaxies, offset):
    logits, labels = made_up(2, galaxies)
    logits = logits + jnp.asarray([[0.0, offset]])
    ours, true = np.asarray(logits, np.float64), np.asarray(labels)
    expected = np.zeros(galaxies, int)
    halves = [np.concatenate([np.flatnonzero(true == label) for label in (0, 1)])[first::2] for first in (0, 1)]
    for fitted_on, applied_to in (halves, halves[::-1]):
        bias = best_by_trying(ours[fitted_on], true[fitted_on])
        expected[applied_to] = ours[applied_to, 1] + bias > ours[applied_to, 0]
    np.testing.assert_array_equal(jax.jit(recalibrated)(logits, labels), expected)
    assert recalibrated_accuracy(logits, labels) == pytest.approx((expected == true).mean())


def test_an_offset_of_the_threshold_costs_nothing_and_no_information_is_made():
    logits, labels = made_up(3, 300, spread=0.4)
    plain = (logits.argmax(axis=-1) == labels).mean()
    shifted = logits + jnp.asarray([[0.0, 40.0, -7.0]])
    assert (shifted.argmax(axis=-1) == labels).mean() < 0.4
    assert recalibrated_accuracy(shifted, labels) > plain - 0.03
    guessed = [recalibrated_accuracy(made_up(2, 400, seed)[0], made_up(2, 400, seed + 50)[1]) for seed in range(10)]
    assert np.mean(guessed) == pytest.approx(0.5, abs=0.04)


def test_several_biases_are_nearly_the_best_together():
    logits, labels = made_up(3, 40)
    logits = logits + jnp.asarray([[0.0, 2.0, -3.0]])
    same = jnp.repeat(logits, 2, axis=0), jnp.repeat(labels, 2)  # both halves are the same galaxies
    grid = np.arange(-6, 6, 0.05) + 0.025
    right = [
        (np.argmax(np.asarray(logits) + np.array([0.0, *biases]), axis=1) == np.asarray(labels)).mean()
        for biases in itertools.product(grid[::3], grid[::3])
    ]
    assert recalibrated_accuracy(*same) > max(right) - 0.03


@pytest.mark.parametrize("num_classes", [2, 3])
def test_one_galaxy_keeps_its_class(num_classes):
    logits = jnp.arange(float(num_classes))[None]
    assert recalibrated(logits, jnp.zeros(1, jnp.int32)).tolist() == [num_classes - 1]
