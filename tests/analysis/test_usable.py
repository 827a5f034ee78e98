import numpy as np
import pytest

from galjax.analysis import usable
from galjax.analysis.usable import UsableConfig
from galjax.errors import InputError


def is_usable(original, degraded, config):
    """Of repeats that share no galaxies."""
    return usable.is_usable(original, degraded, config, 0.0)


def is_as_accurate(original, degraded, config):
    return usable.is_as_accurate(original, degraded, config, 0.0)


def limit_interval(factors, values, config):
    return usable.limit_interval(factors, values, config, 0.0)


def test_repeats_that_share_galaxies_show_less():
    rng = np.random.default_rng(2)
    original = 0.93 + 0.05 * rng.standard_normal(20)
    degraded = original - 0.02 + 0.01 * rng.standard_normal(20)
    assert usable.is_usable(original, degraded, UsableConfig(), 0.0)
    assert not usable.is_usable(original, degraded, UsableConfig(), 0.25)


def test_usable_is_paired_and_asks_for_both_conditions():
    config = UsableConfig(usable_accuracy=0.88, usable_loss=0.03)
    rng = np.random.default_rng(2)
    original = 0.93 + 0.05 * rng.standard_normal(20)  # a spread larger than the loss allowed
    assert is_usable(original, original - 0.01 + 0.005 * rng.standard_normal(20), config)
    assert not is_usable(original, original - 0.04 + 0.005 * rng.standard_normal(20), config)
    assert not is_usable(original, rng.permutation(original) - 0.01, config)  # the same values, not paired
    assert not is_usable(original - 0.1, original - 0.1, config)  # equal to Original, but not near 0.9
    assert is_usable(original - 0.1, original - 0.1, UsableConfig(usable_accuracy=0.0))
    assert not is_usable(original[:1], original[:1], config)
    assert not is_as_accurate(original[:1], original[:1], config)


def test_as_accurate_is_relative_to_original_whatever_its_accuracy():
    config = UsableConfig(usable_accuracy=0.88, usable_loss=0.03)
    rng = np.random.default_rng(2)
    original = 0.83 + 0.01 * rng.standard_normal(20)
    degraded = original - 0.01 + 0.005 * rng.standard_normal(20)
    assert is_as_accurate(original, degraded, config)
    assert not is_usable(original, degraded, config)
    degraded[3] = np.nan  # dropped
    assert is_as_accurate(original, degraded, config)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_the_same_loss_in_every_repeat_shows_nothing(lost):
    """Of 120 galaxies, 1 to 3 lost in each repeat: less than 0.03, but nothing says how far the mean may be off."""
    right = np.array([108, 110, 113])
    config = UsableConfig(usable_accuracy=0.5)
    assert not is_as_accurate(right / 120, (right - lost) / 120, config)
    assert is_as_accurate(right / 120, right / 120, config)
    assert is_as_accurate(right / 120, (right + lost) / 120, config)  # better in every repeat
    assert is_as_accurate(right / 120, (right - [lost, 0, 0]) / 120, UsableConfig(usable_loss=0.2))


def test_thresholds_are_met_up_to_rounding():
    original = np.array([0.1 + 0.2, 0.3, 0.3])  # whose mean is not exactly 0.3
    assert is_usable(original, original, UsableConfig(usable_accuracy=0.3))
    assert not is_usable(original, original, UsableConfig(usable_accuracy=0.3001))
    bound = UsableConfig(usable_accuracy=0.0, usable_loss=1 / 12)
    assert not is_as_accurate(np.array([8, 10]) / 12, np.array([7, 9]) / 12, bound)


@pytest.mark.parametrize(
    ("field", "value"), [("usable_accuracy", 1.5), ("usable_loss", 0.0), ("usable_significance", 0.7)]
)
def test_thresholds_out_of_range_get_a_sentence(field, value):
    with pytest.raises(InputError, match=f"--{field.replace('_', '-')} must .* not {value}"):
        UsableConfig(**{field: value})


def test_the_limit_interval_is_narrow_where_all_is_clear_and_wide_where_it_is_not():
    config = UsableConfig()
    rng = np.random.default_rng(0)
    original = 0.93 + 0.01 * rng.standard_normal(20)
    clear = np.stack([original, original - 0.01 + 0.002 * rng.standard_normal(20), original - 0.3])
    assert limit_interval((1, 2, 4), clear, config) == (2, 2, 1.0)
    doubtful = np.stack([original, clear[1], original - 0.022 + 0.025 * rng.standard_normal(20)])
    found = limit_interval((1, 2, 4), doubtful, config)
    assert (found.low, found.high) == (2, 4)
    assert 0.02 < found.share < 0.98
    assert limit_interval((1, 2, 4), clear - 0.2, config) == (0, 0, 1.0)
    assert limit_interval((1, 2, 4), clear[:, :10], config) is not None
    assert limit_interval((1, 2, 4), clear[:, :9], config) is None


def test_a_gap_ends_the_usable_range():
    original = np.full(10, 0.93) + 0.001 * np.arange(10)
    values = np.stack([original, original - 0.2, original])
    assert limit_interval((1, 2, 4), values, UsableConfig()) == (1, 1, 1.0)


def test_the_interval_agrees_with_the_rule_for_one_set():
    rng = np.random.default_rng(3)
    for _ in range(50):
        values = 0.91 + 0.02 * rng.standard_normal((3, 12))
        meets = [is_usable(values[0], row, UsableConfig()) for row in values]
        expected = [0, 1, 2, 4][meets.index(False) if False in meets else 3]
        found = limit_interval((1, 2, 4), values, UsableConfig())
        assert found.low <= expected <= found.high
