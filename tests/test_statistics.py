import numpy as np
import pytest
import scipy.stats

from galjax.errors import InputError
from galjax.statistics import (
    choose_evaluation,
    compare_independent,
    compare_paired,
    holm,
    summarise,
    upper_bound_of_mean,
)


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


def test_paired_comparison_is_the_paired_t_test():
    rng = np.random.default_rng(0)
    first = rng.normal(0.9, 0.05, 12)
    second = first - 0.01 + rng.normal(0, 0.01, 12)
    expected = scipy.stats.ttest_rel(first, second)
    found = compare_paired(first, second)
    assert found.difference == pytest.approx((first - second).mean())
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p_value < compare_independent(first, second).p_value  # pairs take away what the draws share


def test_independent_comparison_is_welchs():
    rng = np.random.default_rng(1)
    first, second = rng.normal(0.9, 0.01, 9), rng.normal(0.88, 0.05, 15)
    expected = scipy.stats.ttest_ind(first, second, equal_var=False)
    found = compare_independent(first, second)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.n == 9


def test_comparisons_without_spread_or_of_single_repeats():
    same = np.full(5, 0.9)
    assert compare_paired(same, same) == (0.0, 0.0, 0.0, 1.0, 5)
    constant = compare_paired(same, same - 0.25)
    assert constant.difference == 0.25
    assert np.isnan([constant.low, constant.high, constant.p_value]).all()
    assert compare_independent(same, same).p_value == 1.0
    alone = compare_paired(same[:1], same[:1] - 0.25)
    assert alone.difference == 0.25
    assert np.isnan([alone.low, alone.high, alone.p_value]).all()


def test_holm_corrects_step_by_step():
    # Holm (1979): the smallest times 4, the next times 3, ..., never falling, never above 1.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])
    np.testing.assert_array_equal(holm([0.02, float("nan"), 0.5]), [0.04, np.nan, 0.5])
    assert len(holm([])) == 0
