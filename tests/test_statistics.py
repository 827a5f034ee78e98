import numpy as np
import pytest
import scipy.stats

from galjax import statistics
from galjax.errors import InputError
from galjax.statistics import choose_evaluation, error_of_mean, holm, leading, summarise


def compare_paired(first, second):
    """Of repeats that share no galaxies, as everywhere here where nothing else is said."""
    return statistics.compare_paired(first, second, 0.0)


def compare_independent(first, second):
    return statistics.compare_independent(first, second, (0.0, 0.0))


def upper_bound_of_mean(values, significance):
    return statistics.upper_bound_of_mean(values, significance, 0.0)


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


def test_results_stand_on_the_validation_galaxies_where_there_are_any():
    assert leading(("test-mean", "last", "validation")) == "validation"
    assert leading(("test-mean", "last")) == "last"


def test_shared_test_galaxies_widen_every_interval_by_the_same_factor():
    rng = np.random.default_rng(4)
    first, second = rng.normal(0.9, 0.02, 12), rng.normal(0.88, 0.02, 12)
    shared = 0.075
    wider = (1 + 12 * shared / (1 - shared)) ** 0.5
    plain, found = compare_paired(first, second), statistics.compare_paired(first, second, shared)
    assert found.high - found.difference == pytest.approx(wider * (plain.high - plain.difference))
    assert found.p_value == pytest.approx(
        2 * scipy.stats.t.sf(abs(found.difference) / (wider * scipy.stats.sem(first - second)), 11)
    )
    values = first - second
    assert statistics.upper_bound_of_mean(values, 0.05, shared) - values.mean() == pytest.approx(
        wider * (upper_bound_of_mean(values, 0.05) - values.mean())
    )
    both = statistics.compare_independent(first, second, (shared, shared))
    independent = compare_independent(first, second)
    assert both.high - both.low == pytest.approx(wider * (independent.high - independent.low))
    one = statistics.compare_independent(first, second, (shared, 0.0))
    assert independent.high < one.high < both.high


def test_where_every_repeat_uses_all_galaxies_the_factor_is_that_of_nadeau_and_bengio():
    """1/n + test/train: shared is then the share of galaxies that are tested."""
    assert error_of_mean(np.float64(0.02), 10, 0.3) == pytest.approx(0.02 * (1 / 10 + 0.3 / 0.7) ** 0.5)
    assert error_of_mean(np.float64(0.02), 10, 0.0) == pytest.approx(0.02 / 10**0.5)


def test_upper_bound_is_the_t_interval():
    values = np.random.default_rng(1).normal(0.02, 0.01, 12)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.90).high  # two-sided 90 % is one-sided 95 %
    assert upper_bound_of_mean(values, 0.05) == pytest.approx(expected)
    np.testing.assert_allclose(upper_bound_of_mean(np.stack([values, 2 * values]), 0.05), [expected, 2 * expected])


def test_nothing_bounds_the_mean_of_values_without_spread():
    same = np.array([[7, 9], [8, 10], [9, 9], [10, 8]]) / 12
    assert upper_bound_of_mean(same[1] - same[0], 0.05) == np.inf
    assert upper_bound_of_mean(same[0] - same[1], 0.05) == pytest.approx(-1 / 12)
    assert upper_bound_of_mean(same[0] - same[0], 0.05) == 0


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


def simulated_pairs(cases, seed=0):
    """Accuracies of 2-4 repeats on small test sets, whose second side has the same number of galaxies more in each."""
    rng = np.random.default_rng(seed)
    for _ in range(cases):
        galaxies, repeats = int(rng.integers(10, 200)), int(rng.integers(2, 5))
        more = int(rng.integers(1, 1 + galaxies // 4))
        right = rng.integers(galaxies - more + 1, size=repeats)
        yield right / galaxies, (right + more) / galaxies


def test_equal_differences_never_have_a_verdict_whatever_they_round_to():
    with_spread = 0
    for first, second in simulated_pairs(6000):
        with_spread += (first - second).std() > 0
        for one, other in ((first, second), (second, first)):
            found = compare_paired(one, other)
            assert found.difference == pytest.approx((one - other).mean())
            assert np.isnan([found.low, found.high, found.p_value]).all()
    assert with_spread > 2000  # differences of 1e-16, which a t-test takes for a spread


@pytest.mark.parametrize("repeats", [2, 3, 6])
def test_repeats_that_agree_up_to_rounding_have_no_spread(repeats):
    nearly = np.array([0.1 + 0.2, 0.3] * 3)[:repeats]
    assert summarise(nearly).std == 0
    assert summarise(np.stack([nearly, nearly * 1e5], axis=1)).std.tolist() == [0, 0]
    constant = compare_independent(nearly, np.full(4, 0.5))
    assert constant.difference == pytest.approx(-0.2)
    assert np.isnan([constant.low, constant.high, constant.p_value]).all()
    assert compare_independent(nearly, np.full(4, 0.3)) == (0, 0, 0, 1, min(repeats, 4))
    assert compare_paired(nearly, np.full(repeats, 0.3)) == (0, 0, 0, 1, repeats)
    assert (
        compare_paired(nearly - 0.3, np.zeros(repeats)).p_value == 1
    )  # differences of differences round as accuracies do


def test_tiny_but_real_spreads_are_judged():
    """One galaxy in a thousand million."""
    first = 0.9 + 1e-9 * np.array([1, 2, 3, 5])
    second = np.full(4, 0.9)
    for found in (compare_paired(first, second), compare_independent(first, second)):
        assert found.p_value == pytest.approx(scipy.stats.ttest_1samp([1, 2, 3, 5], 0).pvalue, rel=1e-5)
        assert found.low < 2.75e-9 < found.high
    assert summarise(first).std == pytest.approx(1e-9 * np.std([1, 2, 3, 5], ddof=1), rel=1e-6)


def test_ordinary_comparisons_are_those_of_scipy():
    rng = np.random.default_rng(3)
    for _ in range(100):
        first = rng.integers(70, 100, size=rng.integers(2, 7)) / 120
        second = rng.integers(70, 100, size=len(first)) / 120
        if (
            np.ptp(first - second) < 1e-3
            or max(np.ptp(first), np.ptp(second)) < 1e-3
            or min(np.ptp(first), np.ptp(second)) == 0
        ):
            continue
        paired, welch = scipy.stats.ttest_rel(first, second), scipy.stats.ttest_ind(first, second, equal_var=False)
        for found, expected in ((compare_paired(first, second), paired), (compare_independent(first, second), welch)):
            assert found.p_value == pytest.approx(expected.pvalue)
            assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_one_side_without_spread_leaves_welchs_test_the_other():
    first, second = np.full(4, 0.9), np.array([0.8, 0.85, 0.9, 0.7])
    assert compare_independent(first, second).p_value == pytest.approx(scipy.stats.ttest_1samp(second, 0.9).pvalue)


def test_dropped_repeats_do_not_count():
    first, second = np.array([0.9, np.nan, 0.8, 0.7]), np.array([0.8, 0.7, np.nan, 0.65])
    assert compare_paired(first, second) == compare_paired(first[[0, 3]], second[[0, 3]])
    assert compare_independent(first, second) == compare_independent(first[[0, 2, 3]], second[[0, 1, 3]])
    nothing = compare_paired(first[1:2], second[1:2])
    assert nothing.n == 0
    assert np.isnan(nothing[:4]).all()


def test_holm_corrects_step_by_step():
    # Holm (1979): the smallest times 4, the next times 3, ..., never falling, never above 1.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm([0.9, 0.6]), [1.0, 1.0])
    np.testing.assert_array_equal(holm([0.02, float("nan"), 0.5]), [0.04, np.nan, 0.5])
    assert len(holm([])) == 0
