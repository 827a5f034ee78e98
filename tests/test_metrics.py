import numpy as np
import pytest
import sklearn.metrics

from galjax.metrics import accuracy, confusion_matrix, true_positive_rate, true_skill_statistic


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
