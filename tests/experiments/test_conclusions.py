"""Sentences and tables computed from results that were made up for it."""

import numpy as np
import pytest

from experiments import cross_survey, interpolation_cost, phase_shift, same_resolution
from galjax.instruments import COARSE, PIXELS, SEEING, SHARP
from galjax.outcome import rows_with

RNG = np.random.default_rng(0)


def around(mean, shared=0.0):
    return mean + shared + 0.002 * RNG.standard_normal(8)


def test_losses_are_split_into_mismatch_and_information():
    luck = 0.03 * RNG.standard_normal(8)
    accuracies = {
        (1, 1): around(0.92, luck), (1, 4): around(0.70, luck), (4, 4): around(0.88, luck), (4, 1): around(0.60, luck)
    }  # fmt: skip
    losses = same_resolution.losses_table(accuracies)
    parts = {row["part"]: row for row in losses}
    assert parts["total"]["difference"] == pytest.approx(0.22, abs=0.01)
    assert parts["mismatch"]["difference"] + parts["information"]["difference"] == pytest.approx(
        parts["total"]["difference"]
    )
    assert parts["mismatch"]["p_corrected"] < 0.001
    (sentence,) = same_resolution._conclusions(losses)
    assert sentence.startswith("At 1/4 a network trained at Original loses 0.2")
    assert "is information gone for good" in sentence


@pytest.mark.parametrize(
    ("dips", "verdict"),
    [
        (
            (0.08, 0.0, 0.0),
            "goes away where galaxies are centred on the grid and goes away where galaxies are centred on a pixel",
        ),
        (
            (0.08, 0.08, 0.0),
            "stays where galaxies are centred on the grid and goes away where galaxies are centred on a pixel",
        ),
        ((0.08, 0.03, 0.08), "becomes smaller where galaxies are centred on the grid and stays"),
        ((0.0, 0.06, 0.0), "the dip is there centred on the grid, and not as cut."),
        ((0.0, 0.0, 0.0), "parity makes no significant difference."),
    ],
)
def test_the_verdict_on_phase_follows_the_paired_tests(dips, verdict):
    accuracies = {
        (position, "nearest", size): around(0.8 - (dip if size % 2 == 0 else 0))
        for position, dip in zip(phase_shift.POSITIONS, dips, strict=True)
        for size in range(8, 13)
    }
    parity = phase_shift.parity_table(accuracies, ("nearest",))
    assert set(parity["method"]) == {"nearest", "all methods"}
    assert verdict in phase_shift._headline(parity)
    (sentence,) = phase_shift._conclusions(parity, accuracies, 64)
    assert verdict in sentence
    assert "1/7 less 1/6" in sentence


def test_every_step_between_instruments_has_its_cost():
    luck = 0.03 * RNG.standard_normal(8)
    means = {SHARP: 0.93, PIXELS: 0.92, SEEING: 0.80, "+ noise": 0.79, COARSE: 0.79}
    accuracies = {(SHARP, name): around(mean, luck) for name, mean in means.items()}
    accuracies |= {(COARSE, name): around(0.90, luck) for name in means}
    costs = cross_survey.steps_table(accuracies, list(means))
    assert costs["step"].tolist() == ["+ pixel size", "+ seeing", "+ noise", "what remains to the coarse images"]
    assert rows_with(costs, step="+ seeing")["cost"][0] == pytest.approx(0.12, abs=0.005)
    compared = cross_survey.conditions_table(accuracies)
    assert len(compared) == 3
    sentences = cross_survey._conclusions(compared, costs, accuracies, cross_survey.CrossSurvey())
    assert "Of the steps from sharp to coarse, seeing costs most" in " ".join(sentences)
    assert "left out" not in " ".join(sentences)


def test_the_cost_of_enlarging_is_shown_beside_the_thesis(capsys):
    found = interpolation_cost.chapter()
    (table,) = list(found.sections[0].tables.values())[:1]
    theirs = rows_with(table, program="thesis, OpenCV")
    assert theirs["mean_us"].tolist() == [247.0, 378.0, 1480.0]
    assert {"galjax", "OpenCV loop"} <= set(table["program"])
    assert interpolation_cost.main([]) == 0
    assert "galjax enlarges faster than a loop over OpenCV" in capsys.readouterr().out
    assert interpolation_cost.main(["--fast"]) == 2
    assert "takes no flags, not --fast" in capsys.readouterr().err


def test_without_measurements_there_is_a_sentence(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(interpolation_cost, "RESULTS", tmp_path)
    assert interpolation_cost.chapter() is None
    assert interpolation_cost.main([]) == 2
    assert "Run python -m benchmarks.resampling first" in capsys.readouterr().err
