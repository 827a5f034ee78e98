import numpy as np
import pytest

from galjax.analysis.published import Against, Published, against_table


def test_the_difference_is_given_in_standard_errors():
    ours = np.array([0.90, 0.92, 0.94])
    table = against_table([Against(Published("accuracy", 0.90, 0.03, 9, "4.2"), ours)])
    row = table[0]
    assert row["difference"] == pytest.approx(0.02)
    assert row["thesis_ste"] == pytest.approx(0.01)
    assert row["standard_errors"] == pytest.approx(0.02 / np.hypot(0.02 / 3**0.5, 0.01))


def test_repeats_that_agree_up_to_rounding_have_no_distance():
    ours = np.array([0.1 + 0.2, 0.3])
    row = against_table([Against(Published("accuracy", 0.5, 0.0, 9), ours)])[0]
    assert row["std"] == 0
    assert np.isnan(row["standard_errors"])


def test_without_a_published_spread_or_with_one_repeat_there_is_no_distance():
    table = against_table(
        [
            Against(Published("at 1/8", 0.5), np.array([0.5, 0.6])),
            Against(Published("accuracy", 0.9, 0.03), np.array([0.9])),
        ]
    )
    assert np.isnan(table["standard_errors"]).all()
    assert len(against_table([])) == 0
