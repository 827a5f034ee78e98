"""What recipes reach, from made-up accuracies."""

import numpy as np
import pytest

from galjax.analysis.robustness import CEILING, Found, best_recipe, gap_table, limits_table, losses_table
from galjax.analysis.tables import rows_with
from galjax.config.settings import UsableConfig
from galjax.report.figures.robustness import gap_figure, recipes_figure
from galjax.training.conditions import make_conditions

MEANS = {
    "none": {1: 0.92, 2: 0.91, 4: 0.70},
    "resolution": {1: 0.915, 2: 0.915, 4: 0.905},
    "all": {1: 0.90, 2: 0.90, 4: 0.80},
}
ANEW = {"none": 0.12, "resolution": 0.005, "all": 0.05}
"""What a new threshold adds at 1/4."""


@pytest.fixture(scope="module")
def found():
    rng = np.random.default_rng(0)
    accuracy, recalibrated = {}, {}
    for recipe, means in MEANS.items():
        for condition in make_conditions((2, 4), ("nearest", "bilinear")):
            key = (recipe, condition.factor, condition.method)
            accuracy[key] = means[condition.factor] + rng.normal(scale=0.004, size=10)
            recalibrated[key] = accuracy[key] + ANEW[recipe] * (condition.factor == 4)
    for factor, mean in ((2, 0.92), (4, 0.91)):
        accuracy[CEILING, factor, "bilinear"] = mean + rng.normal(scale=0.004, size=10)
        recalibrated[CEILING, factor, "bilinear"] = accuracy[CEILING, factor, "bilinear"]
    return Found(accuracy, recalibrated, 0.2)


def test_limits_are_those_of_each_recipe_against_its_own_full_resolution(found):
    limits = limits_table(found, UsableConfig(usable_accuracy=0.0))
    by_recipe = {row["trained_with"]: (row["usable"], row["usable_recalibrated"]) for row in limits}
    assert by_recipe == {"none": (2, 2), "resolution": (4, 4), "all": (2, 2)}
    assert set(limits["method"]) == {"nearest", "bilinear"}
    assert best_recipe(limits, found, ("nearest", "bilinear")) == "resolution"


def test_the_cost_at_full_resolution_is_paired_with_training_without_changes(found):
    losses = losses_table(found)
    assert losses["trained_with"].tolist() == ["resolution", "all"]
    np.testing.assert_allclose(losses["difference"], [-0.005, -0.02], atol=0.004)
    assert losses["p_corrected"][1] < 0.05
    accuracy = dict(reversed(found.accuracy.items()))  # none is not the first
    assert losses_table(found._replace(accuracy=accuracy))["trained_with"].tolist() == ["all", "resolution"]


def test_the_parts_of_a_gap_fit_together(found):
    gaps = gap_table(found)
    assert set(gaps["method"]) == {"bilinear"}  # the one whose ceiling is known
    own = {row["part"]: row["difference"] for row in rows_with(gaps, trained_with="resolution", factor=4)}
    expected = {"gap": 0.21, "recalibration": 0.12, "training": 0.205, "both": 0.21, "left": 0.0}
    for part, value in expected.items():
        assert own[part] == pytest.approx(value, abs=0.006)
    assert own["gap"] == pytest.approx(own["both"] + own["left"])


def test_without_a_ceiling_there_is_no_gap(found):
    without = {key: values for key, values in found.accuracy.items() if key[0] != CEILING}
    gaps = gap_table(found._replace(accuracy=without))
    assert len(gaps) == 0
    assert "p_corrected" in gaps.colnames


def test_figures_say_in_words_what_they_show(found):
    figure = recipes_figure(found, ("nearest", "bilinear"))
    assert figure.figure is not None, figure.caption
    assert "resolution, bilinear: 1/1 0.9" in figure.alternative
    gap = gap_figure(gap_table(found), "resolution")
    assert gap.figure is not None, gap.caption
    assert "training at 1/4: 0.20" in gap.alternative
    assert len(gap.figure.axes[0].containers) == 10  # five parts: bars and their intervals
