import numpy as np
import pytest
import scipy.stats

from galjax.errors import InputError
from galjax.statistics import UsableConfig, choose_evaluation, is_usable, summarise, upper_bound_of_mean


def test_summary_of_repeats():
    values = np.random.default_rng(0).random((30, 4))
    mean, std, ste, n = summarise(values)
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(std, np.std(values, axis=0, ddof=1))
    np.testing.assert_allclose(ste, scipy.stats.sem(values))
    assert n == 30


def test_a_single_repeat_has_no_spread():
    mean, std, ste, n = summarise(np.array([[0.5]]))
    assert (mean, n) == (0.5, 1)
    assert np.isnan(std).all()
    assert np.isnan(ste).all()


def test_epoch_choice():
    test = np.array([[0.6, 0.9, 0.8, 0.9], [0.6, 0.7, 0.8, 0.7]])
    validation = np.array([[0.9, 0.5, 0.5, 0.6], [0.9, 0.5, 0.5, 0.6]])
    assert choose_evaluation("test-mean", test) == 1  # the earliest of three equal means
    assert choose_evaluation("last", test) == 3
    assert choose_evaluation("validation", test, validation) == 0
    with pytest.raises(InputError, match="--validation-fraction"):
        choose_evaluation("validation", test)


def test_upper_bound_is_the_t_interval():
    values = np.random.default_rng(1).normal(0.02, 0.01, 12)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.90).high  # two-sided 90 % is one-sided 95 %
    assert upper_bound_of_mean(values, 0.05) == pytest.approx(expected)


def test_usable_is_paired_and_asks_for_both_conditions():
    config = UsableConfig(usable_accuracy=0.88, usable_loss=0.03)
    rng = np.random.default_rng(2)
    original = 0.93 + 0.05 * rng.standard_normal(20)  # a spread larger than the loss allowed
    assert is_usable(original, original - 0.01 + 0.005 * rng.standard_normal(20), config)
    assert not is_usable(original, original - 0.04, config)
    assert not is_usable(original, rng.permutation(original) - 0.01, config)  # the same values, not paired
    assert not is_usable(original - 0.1, original - 0.1, config)  # equal to Original, but not near 0.9
    assert is_usable(original - 0.1, original - 0.1, UsableConfig(usable_accuracy=0.0))
    assert not is_usable(original[:1], original[:1], config)


@pytest.mark.parametrize(
    ("field", "value"), [("usable_accuracy", 1.5), ("usable_loss", 0.0), ("usable_significance", 0.7)]
)
def test_thresholds_out_of_range_get_a_sentence(field, value):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} must .* not {value}"):
        UsableConfig(**{field: value})
