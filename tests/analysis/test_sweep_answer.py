"""The answer of a sweep, of accuracies that were made up for it."""

import numpy as np
import pytest

from galjax.analysis.sweep_answer import SweepAnswer
from galjax.config.settings import UsableConfig

SPREAD = np.array([-2, -1, 0, 1, 2]) / 1000
NAN = float("nan")


def answer(accuracies, guess=0.5, **usable):
    """Of accuracies by (factor, method), in every repeat."""
    found = {key: np.asarray(values, np.float64) for key, values in accuracies.items()}
    said = SweepAnswer(found, UsableConfig(**usable), 0.0).sentences(guess, "20 galaxies per class")
    said, _, stands_on = said.rpartition(". ")
    assert "at the last epoch" in stands_on
    said = f"{said}."
    assert "nan" not in said
    assert "-0.000" not in said
    return said


def test_what_was_found_comes_first_and_the_thresholds_last():
    """A network that is far from 0.88, and loses nothing but at the coarsest resolution."""
    original = 0.828 + SPREAD[[3, 1, 0, 2, 4]]
    said = answer(
        {
            (1, "none"): original,
            (2, "bicubic"): original - 0.004 + SPREAD / 2,
            (4, "bicubic"): original - 0.006 + SPREAD,
            (8, "bicubic"): original - 0.078 + SPREAD,
        }
    )
    assert said == (
        "Accuracy 0.828 at full resolution (20 galaxies per class, 5 repeats, std 0.002). With bicubic it falls by 0.006 at 1/4 "
        "(95 % interval -0.008 to -0.004) and by 0.078 at 1/8 (95 % interval -0.080 to -0.076). As accurate as full "
        "resolution, with a loss shown to be below 0.03: bicubic down to 1/4. Full resolution itself does not reach "
        "--usable-accuracy 0.88, so nothing counts as usable."
    )


def test_a_change_within_its_interval_is_not_called_a_fall():
    original = 0.9 + SPREAD
    said = answer({(1, "none"): original, (2, "bicubic"): original - 0.001 + 3 * SPREAD[[4, 0, 1, 3, 2]]})
    assert "With bicubic it changes by -0.001 at 1/2 (95 % interval -0.007 to +0.005)." in said
    assert "bicubic down to 1/2. All of these also reach --usable-accuracy 0.88 and count as usable." in said


def test_coarser_may_be_better_and_reach_what_original_does_not():
    original = 0.87 + SPREAD
    said = answer({(1, "none"): original, (2, "bicubic"): original + 0.02 + SPREAD})
    assert "With bicubic it rises by 0.020 at 1/2 (95 % interval +0.018 to +0.022)." in said
    assert "Usable, which asks for --usable-accuracy 0.88 as well: bicubic not at full resolution, but at 1/2." in said


def test_methods_are_listed_and_gaps_are_named():
    original = 0.95 + SPREAD
    said = answer(
        {
            (1, "none"): original,
            (2, "bicubic"): original + SPREAD,
            (4, "bicubic"): original - 0.2 + SPREAD,
            (2, "nearest"): original - 0.1 + SPREAD,
            (4, "nearest"): original + SPREAD,
        }
    )
    assert "With nearest, on average the best of 2 interpolation methods, it falls by 0.100 at 1/2" in said
    assert "bicubic down to 1/2, nearest only at full resolution and, beyond a gap, at 1/4." in said


@pytest.mark.parametrize("threshold", [0.9, 0.0])
def test_the_absolute_threshold_is_left_out_where_none_is_asked_for(threshold):
    accuracies = 0.91 + SPREAD
    said = answer({(1, "none"): accuracies, (2, "bicubic"): accuracies}, usable_accuracy=threshold)
    assert "by 0.000 at 1/2 (no difference in any repeat)" in said
    assert ("--usable-accuracy 0.9" in said) == bool(threshold)


def test_a_lossy_sweep_says_that_nothing_reduced_is_as_accurate():
    original = 0.95 + SPREAD
    said = answer({(1, "none"): original, (2, "bicubic"): original - 0.2 + SPREAD})
    assert "No reduced resolution is shown to lose less than 0.03. Only full resolution counts as usable" in said


@pytest.mark.parametrize("original", [[0.91], [0.91, NAN, NAN]])
def test_one_repeat_has_no_interval_and_no_verdict(original):
    """One that was asked for, or that is left of dropped ones."""
    said = answer({(1, "none"): original, (2, "bicubic"): np.array(original) - 0.25})
    assert said == (
        "Accuracy 0.910 at full resolution (20 galaxies per class, 1 repeat). With bicubic it changes by -0.250 at 1/2 (no "
        "interval: one repeat). Which resolutions are as accurate as the full one cannot be said of one repeat."
    )


def test_the_same_loss_in_every_repeat_is_no_verdict():
    right = np.array([108, 110])
    said = answer({(1, "none"): right / 120, (2, "bicubic"): (right - 2) / 120})
    assert "With bicubic it changes by -0.017 at 1/2 (no interval: the same in every repeat)." in said
    assert "No reduced resolution is shown to lose less than 0.03." in said


@pytest.mark.parametrize(
    ("mean", "caveat"),
    [(0.45, True), (0.5, True), (0.501, True), (0.6, False)],
)
def test_an_original_that_only_guesses_is_called_so(mean, caveat):
    original = mean + SPREAD
    said = answer({(1, "none"): original, (2, "bicubic"): original - 0.01 + SPREAD}, usable_accuracy=0.0)
    assert ("not shown to be better than always naming the same class (0.500)" in said) == caveat


def test_dropped_repeats_do_not_count():
    original = 0.9 + SPREAD
    whole = answer({(1, "none"): original, (2, "bicubic"): original - 0.01 + SPREAD[[4, 1, 0, 3, 2]]})
    kept = [*original, NAN]
    dropped = answer({(1, "none"): kept, (2, "bicubic"): [*(original - 0.01 + SPREAD[[4, 1, 0, 3, 2]]), NAN]})
    assert dropped == whole
    assert "5 repeats" in dropped
