import numpy as np
import pytest

from galjax.analysis.statements import is_better, no_difference, of_sizes, of_sweep, statements_table
from galjax.config.settings import UsableConfig
from galjax.statistics import Comparison

REPEATS = np.array([-0.01, 0.0, 0.01])


def accuracies(changes=None):
    """As the thesis found them, or with changes, by factor."""
    means = {1: 0.92, 2: 0.92, 4: 0.9, 5: 0.895, 6: 0.7, 7: 0.8, 8: 0.5} | (changes or {})
    return {
        (factor, method): mean + REPEATS
        for factor, mean in means.items()
        for method in (("none",) if factor == 1 else ("nearest", "bilinear"))
    }


@pytest.mark.parametrize(
    ("changes", "refuted"),
    [
        ({}, []),
        ({4: 0.87}, ["All methods are usable to 1/4: the accuracy stays near 0.9 (300 galaxies per class)"]),
        ({5: 0.95}, ["At 1/5 a minority of the runs reaches 0.9 with nearest (300 galaxies per class)"]),
        ({8: 0.56}, ["At 1/8 the accuracy is about 0.5 (chance) with every method (300 galaxies per class)"]),
        ({7: 0.7}, ["1/7 scores higher than 1/6 with every method (300 galaxies per class)"]),
    ],
)
def test_a_sweep_like_the_thesis_holds_every_statement_and_one_change_refutes_one(changes, refuted):
    table = statements_table(of_sweep(accuracies(changes), UsableConfig(), 300))
    assert len(table) == 4
    assert list(table["statement"][table["here"] == "no"]) == refuted


def test_statements_on_factors_that_were_not_tested_are_left_out():
    kept = {key: values for key, values in accuracies().items() if key[0] in (1, 2, 7)}
    (only,) = of_sweep(kept, UsableConfig(), 300)
    assert only.words.startswith("All methods are usable to 1/2")
    assert len(statements_table([])) == 0


def test_more_galaxies_raise_the_mean_and_halve_the_spread():
    few = accuracies()
    many = {key: values.mean() + 0.01 + (values - values.mean()) / 2 for key, values in few.items()}
    assert [statement.holds for statement in of_sizes({300: few, 1000: many})] == [True, True]
    assert [statement.holds for statement in of_sizes({300: many, 1000: few})] == [False, False]
    assert of_sizes({300: few}) == []


@pytest.mark.parametrize(
    ("difference", "p_value", "none", "better"),
    [
        (0.1, 0.01, False, True),
        (-0.1, 0.01, False, False),
        (0.1, 0.2, True, False),
        (0.1, float("nan"), None, None),
    ],
)
def test_a_test_decides(difference, p_value, none, better):
    found = {"one": Comparison(difference, 0.0, 0.2, p_value, 6)}
    assert no_difference("", "", found).holds is none
    assert is_better("", "", found).holds is better
