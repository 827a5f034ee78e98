"""A loss of accuracy is split into the threshold and what can no longer be told apart."""

import re

import numpy as np
import pytest

from galjax.analysis.threshold import PARTS, Mismatch, about_own_threshold, about_threshold, in_short, threshold_table
from tests.made_up_cases import MadeUpCase

NOISE = 0.002 * np.random.default_rng(0).standard_normal((3, 3, 6))


def case(number, right, fitted, area, repeats=6):
    """One condition whose metrics differ a little from repeat to repeat."""
    measured = zip(("accuracy", "recalibrated_accuracy", "auc"), (right, fitted, area), NOISE[number], strict=True)
    return MadeUpCase({"factor": number + 1}, {name: mean + noise[:repeats] for name, mean, noise in measured})


def made_up(repeats=6, shared=0.0):
    original = case(0, 0.92, 0.91, 0.96, repeats)
    others = (case(1, 0.70, 0.90, 0.95, repeats), case(2, 0.50, 0.80, 0.85, repeats))
    return threshold_table(Mismatch(original, other, shared) for other in others)


def test_the_parts_are_paired_differences_that_add_up():
    table = made_up()
    assert table["factor"].tolist() == [2, 3]
    np.testing.assert_allclose(table["loss"], [0.22, 0.42], atol=0.01)
    np.testing.assert_allclose(table["threshold"], [0.21, 0.31], atol=0.01)
    np.testing.assert_allclose(table["discrimination"], [0.01, 0.11], atol=0.01)
    np.testing.assert_allclose(table["auc_loss"], [0.01, 0.11], atol=0.01)
    np.testing.assert_allclose(table["threshold"] + table["discrimination"], table["loss"])
    np.testing.assert_allclose(table["auc"], [0.95, 0.85], atol=0.01)
    for part in PARTS:
        assert (table[f"{part}_low"] < table[part]).all()
        assert (table[part] < table[f"{part}_high"]).all()


def test_repeats_that_share_galaxies_and_many_conditions_make_it_less_sure():
    alone, shared = made_up(), made_up(shared=0.5)
    for part in PARTS:
        widths = [np.asarray(table[f"{part}_high"] - table[f"{part}_low"]) for table in (alone, shared)]
        np.testing.assert_allclose(widths[1] / widths[0], (1 + 6) ** 0.5)
    one = threshold_table([Mismatch(case(0, 0.92, 0.91, 0.96), case(2, 0.50, 0.80, 0.85), 0.0)])
    assert alone["discrimination_p"][1] == pytest.approx(2 * one["discrimination_p"][0])  # Holm's correction


def test_a_part_in_short_has_its_interval_and_a_mark_where_it_is_significant():
    table = in_short(made_up())
    assert table.colnames == ["factor", "accuracy", "auc", "recalibrated_accuracy", "n", *PARTS]
    assert re.fullmatch(r"\+0\.2\d\d \(\+0\.2\d\d to \+0\.2\d\d\) \*", table["threshold"][0])
    assert in_short(made_up(repeats=1))["threshold"][0].endswith("(- to -)")


def test_the_largest_loss_is_told_in_words():
    words = about_threshold(made_up(), lambda row: f"between Original and 1/{row['factor']}")
    assert words.startswith("Most accuracy is lost between Original and 1/3, 0.4")
    assert re.search(
        r": \+0\.3\d\d of it is the threshold between classes \(95 % interval \+0\.\d+ to \+0\.\d+, paired", words
    )
    assert "what the network can no longer tell apart (95 % interval +0.1" in words
    assert re.search(r"bring the accuracy from 0\.(49|50)\d to 0\.(79|80)\d; ", words)
    assert words.endswith(
        "Of 2 conditions the threshold costs accuracy significantly under 2, what can no longer be told apart under 2."
    )


def test_nothing_is_claimed_of_one_repeat_or_where_nothing_is_lost():
    words = about_threshold(made_up(repeats=1), lambda row: "here")
    assert "(no interval: one repeat)" in words
    assert "significantly" not in words
    assert "nan" not in words
    better = threshold_table([Mismatch(case(0, 0.80, 0.80, 0.9), case(1, 0.9, 0.9, 0.95), 0.0)])
    assert about_threshold(better, lambda row: "here").startswith("No condition loses accuracy")
    gone = MadeUpCase({"factor": 2}, dict.fromkeys(("accuracy", "recalibrated_accuracy", "auc"), [np.nan] * 6))
    nothing = threshold_table([Mismatch(case(0, 0.80, 0.80, 0.9), gone, 0.0)])
    assert "nan" not in about_threshold(nothing, lambda row: "here")


def test_where_nothing_differs_the_threshold_is_said_to_cost_little():
    cases = {"natural": case(0, 0.90, 0.91, 0.96), "balanced": case(1, 0.91, 0.90, 0.97)}
    words = about_own_threshold(cases, dict.fromkeys(cases, 0.1))
    assert "change the accuracy by +0.0" in words
    assert "(natural, 95 % interval +0.00" in words
    assert "and -0.0" in words
    assert "The area under the ROC curve is 0.9" in words
