"""The report's tables in words."""

import pytest

from galjax.report.html import _cell


@pytest.mark.parametrize(
    ("value", "column", "words"),
    [
        (0.12345, "mean", "0.123"),
        (-0.0001, "difference", "0.000"),
        (float("nan"), "low", "-"),
        (4e-5, "p_value", "4.0e-05"),
        (0.031, "p_corrected", "0.031"),
        (4e-5, "difference", "0.000"),
        (True, "usable", "yes"),
        (7, "n", "7"),
    ],
)
def test_cells_hide_neither_small_probabilities_nor_what_is_unknown(value, column, words):
    assert _cell(value, column) == words
