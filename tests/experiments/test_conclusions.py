"""Sentences and tables computed from results that were made up for it."""

import re

import numpy as np
import pytest

from experiments import (
    class_balance,
    cross_survey,
    interpolation_cost,
    phase_shift,
    same_resolution,
    uncertain_labels,
)
from galjax.analysis.attribution import subsets
from galjax.analysis.instruments import COARSE, NOISE, PIXELS, SEEING, SHARP, view_name
from galjax.analysis.reference import Reference, reference_table
from galjax.analysis.tables import rows_with
from galjax.sources import SimulatedSurvey, simulate
from tests.made_up_cases import MadeUpCase

RNG = np.random.default_rng(0)


def around(mean, shared=0.0):
    return mean + shared + 0.002 * RNG.standard_normal(8)


def test_losses_are_split_into_mismatch_and_information():
    luck = 0.03 * RNG.standard_normal(8)
    accuracies = {
        (1, 1): around(0.92, luck),
        (1, 4): around(0.70, luck),
        (4, 4): around(0.88, luck),
        (4, 1): around(0.60, luck),
    }
    losses = same_resolution.losses_table(accuracies, 0.0)
    parts = {row["part"]: row for row in losses}
    assert parts["total"]["difference"] == pytest.approx(0.22, abs=0.01)
    assert parts["mismatch"]["difference"] + parts["not won back"]["difference"] == pytest.approx(
        parts["total"]["difference"]
    )
    assert parts["mismatch"]["p_corrected"] < 0.001
    (sentence,) = same_resolution._conclusions(losses)
    assert sentence.startswith("At 1/4 the loss of accuracy of a network trained at full resolution is 0.2")
    assert (
        "significant; training at 1/4 wins this back), and not won back by this network and training +0.0" in sentence
    )


def test_training_at_the_low_resolution_may_win_nothing_back():
    accuracies = {(1, 1): around(0.80), (1, 4): around(0.85), (4, 4): around(0.70), (4, 1): around(0.60)}
    (sentence,) = same_resolution._conclusions(same_resolution.losses_table(accuracies, 0.0))
    assert "of a network trained at full resolution is -0.0" in sentence
    assert "mismatch -0.1" in sentence
    assert "training at 1/4 wins nothing back" in sentence


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (0.94, "0.1[01][0-9] against the network .*, significant.: so much more is in these images, and not won back"),
        (0.831, "0.0.* against the network .*: whether more can be had from these images is not known"),
        (0.60, "-0.2.* against the network .*, significant.: whether more can be had from these images is not known"),
    ],
)
def test_what_is_not_won_back_need_not_be_lost(machine, words):
    accuracies = {(1, 1): around(0.92), (1, 8): around(0.50), (8, 8): around(0.83), (8, 1): around(0.60)}
    losses, networks = same_resolution.losses_table(accuracies, 0.0), {8: accuracies[8, 8]}
    compared = reference_table({8: Reference((8, 8), around(machine))}, networks, 0.0)
    (sentence,) = same_resolution._conclusions(losses, compared)
    assert "8x8 px each, reaches 0." in sentence
    assert re.search(words, sentence)


@pytest.mark.parametrize("repeats", [1, 2])
def test_without_spread_there_is_no_interval_and_no_verdict(repeats):
    """7/12 and 9/12 against 8/12 and 10/12: the same difference in every repeat, 1e-16 apart."""
    low, high = (np.array(right[:repeats]) / 12 for right in ([7, 9], [8, 10]))
    why = "no interval: one repeat" if repeats == 1 else "no interval: the same in every repeat"
    losses = same_resolution.losses_table({(1, 1): high, (1, 4): low, (4, 4): low, (4, 1): low}, 0.0)
    (sentence,) = same_resolution._conclusions(losses)
    assert f"is 0.083 ({why}): mismatch 0.000" in sentence
    assert "significant" not in sentence.replace("not significant", "")
    accuracies = {
        (position, "nearest", size): high if size % 2 else low
        for position in phase_shift.POSITIONS
        for size in range(8, 13)
    }
    parity = phase_shift.parity_table(accuracies, ("nearest",), 0.0)
    assert f"+0.083 as cut ({why})" in phase_shift._headline(parity)
    views = (SHARP, view_name([PIXELS]), COARSE)
    steps = {(trained, name): high for trained in (SHARP, COARSE) for name in views} | {(SHARP, COARSE): low}
    compared = cross_survey.conditions_table(steps, 0.0)
    costs = cross_survey.costs_table(dict.fromkeys(cross_survey.ATTRIBUTED, steps), [PIXELS], 0.0)
    said = cross_survey._conclusions(compared, costs, steps, cross_survey.CrossSurvey())
    assert any(f"+0.083 ({why})." in sentence for sentence in said)
    assert f"{PIXELS} 0.000 (" in " ".join(said)
    cases = {
        (name, which): MadeUpCase({}, {"accuracy": [value] * repeats})
        for name, value in (("natural", 0.5), ("balanced", 0.6))
        for which in ("first", "second")
    }
    pool = simulate(SimulatedSurvey(galaxies=20, image_size=8)).with_classes(("spiral", "elliptical"))
    verdict, found, *_ = class_balance._conclusions(cases, pool, ("accuracy",), {"natural": 0.0, "balanced": 0.0})
    assert verdict.startswith("Whether balancing the classes makes a difference cannot be said")
    assert f"difference +0.100 ({why}, n = {repeats})" in found
    for text in (sentence, *said, verdict, found, phase_shift._headline(parity)):
        assert "nan" not in text
        assert "-0.000" not in text


@pytest.mark.parametrize(
    ("dips", "verdict"),
    [
        (
            (0.08, 0.0, 0.0),
            "significantly smaller and no longer significant where galaxies are centred on the grid and significantly smaller "
            "and no longer significant where galaxies are centred on a pixel",
        ),
        (
            (0.08, 0.08, 0.0),
            "as cut, not significantly smaller where galaxies are centred on the grid and significantly smaller and no longer "
            "significant where galaxies are centred on a pixel",
        ),
        (
            (0.08, 0.03, 0.08),
            "significantly smaller where galaxies are centred on the grid and not significantly smaller where",
        ),
        ((0.0, 0.06, 0.0), "the dip is significant centred on the grid, and not as cut."),
        ((0.0, 0.0, 0.0), "no position loses a significant amount."),
        ((-0.08, -0.08, -0.08), "no position loses a significant amount."),
    ],
)
def test_the_verdict_on_phase_follows_the_paired_tests(dips, verdict):
    accuracies = {
        (position, "nearest", size): around(0.8 - (dip if size % 2 == 0 else 0))
        for position, dip in zip(phase_shift.POSITIONS, dips, strict=True)
        for size in range(8, 13)
    }
    parity = phase_shift.parity_table(accuracies, ("nearest",), 0.0)
    assert set(parity["method"]) == {"nearest", "all methods"}
    assert verdict in phase_shift._headline(parity)
    (sentence,) = phase_shift._conclusions(parity, accuracies, 64, 0.0)
    assert verdict in sentence
    assert "1/7 \N{MINUS SIGN} 1/6" in sentence


def test_every_step_between_instruments_has_its_cost():
    luck = 0.03 * RNG.standard_normal(8)
    steps = (PIXELS, SEEING, NOISE)
    loss = {PIXELS: -0.02, SEEING: 0.05, NOISE: 0.20}
    views = {view_name(done): sum(loss[step] for step in done) for done in subsets(steps)} | {COARSE: 0.25}
    accuracies = {(SHARP, name): around(0.93 - lost, luck) for name, lost in views.items()}
    accuracies |= {(COARSE, name): around(0.90, luck) for name in views}
    path = [view_name(steps[:count]) for count in range(4)]
    single = cross_survey.steps_table(accuracies, [*path, COARSE], 0.0)
    assert single["tested_on"].tolist() == [*path[1:], COARSE]
    np.testing.assert_allclose(single["cost"], [-0.02, 0.05, 0.20, 0.02], atol=0.005)
    costs = cross_survey.costs_table(dict.fromkeys(cross_survey.ATTRIBUTED, accuracies), steps, 0.0)
    np.testing.assert_allclose(costs["cost"], 2 * [-0.02, 0.05, 0.20, 0.02], atol=0.005)
    compared = cross_survey.conditions_table(accuracies, 0.0)
    assert len(compared) == 3
    said = " ".join(cross_survey._conclusions(compared, costs, accuracies, cross_survey.CrossSurvey()))
    assert "A network trained on sharp images loses 0.2" in said
    assert "its parts are pixel size -0.0" in said
    assert "noise +0.20" in said or "noise +0.19" in said
    assert "(coarse → coarse) \N{MINUS SIGN} (sharp → coarse): +0.2" in said
    assert "left out" not in said


@pytest.mark.parametrize(
    ("two", "three", "sentence"),
    [
        ([0.9, 0.92], [0.7, 0.71], "Without the uncertain class the accuracy is 0.205 higher (95 % interval"),
        ([0.7, 0.71], [0.9, 0.92], "Without the uncertain class the accuracy is 0.205 lower (95 % interval"),
        ([0.7, 0.7], [0.7, 0.7], "Without the uncertain class the accuracy is the same (no difference in any repeat)"),
    ],
)
def test_the_uncertain_class_may_help_or_hurt(two, three, sentence):
    rates = {f"tpr_{name}": [np.nan] * 2 for name in ("spiral", "elliptical", "uncertain")}
    cases = {
        name: MadeUpCase({}, {"accuracy": values, **rates})
        for name, values in ((uncertain_labels.TWO, two), (uncertain_labels.THREE, three))
    }
    survey = simulate(SimulatedSurvey(galaxies=20, image_size=8))
    pools = {uncertain_labels.THREE: survey, uncertain_labels.TWO: survey.with_classes(("spiral", "elliptical"))}
    said = uncertain_labels._conclusions(cases, pools, dict.fromkeys(cases, 0.0))
    assert said[0].startswith(sentence)
    assert said[-1] == "With three classes the true positive rates are - (spiral), - (elliptical), - (uncertain)."


@pytest.mark.parametrize(
    ("ratio", "words"),
    [(4.0, "4.0 times as fast with nearest"), (0.5, "2.0 times slower with nearest"), (1.02, "as fast with nearest")],
)
def test_enlarging_may_be_faster_or_slower(ratio, words):
    measured = {"table_5_1": {"rows": [{"method": "nearest", "contender": "galjax", "ratio": ratio}]}}
    assert interpolation_cost._sentences("here", measured) == [
        f"here: compared with a loop over OpenCV, galjax is {words}."
    ]


def test_the_cost_of_enlarging_is_shown_beside_the_thesis(capsys):
    found = interpolation_cost.chapter()
    (table,) = list(found.sections[0].tables.values())[:1]
    theirs = rows_with(table, program="thesis, OpenCV")
    assert theirs["mean_us"].tolist() == [247.0, 378.0, 1480.0]
    assert {"galjax", "OpenCV loop"} <= set(table["program"])
    assert interpolation_cost.main([]) == 0
    said = capsys.readouterr().out
    assert "compared with a loop over OpenCV, galjax is" in said
    assert "nan" not in said
    assert interpolation_cost.main(["--fast"]) == 2
    assert "takes no flags, but got --fast" in capsys.readouterr().err


def test_without_measurements_there_is_a_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(interpolation_cost, "RESULTS", tmp_path)
    assert interpolation_cost.chapter() is None
    assert interpolation_cost.main([]) == 2
    assert "Run python -m benchmarks.resampling first" in capsys.readouterr().err
