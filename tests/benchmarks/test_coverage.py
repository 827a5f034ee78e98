"""What is counted on simulated surveys, of few of them."""

import numpy as np
import pytest
import scipy.stats

from benchmarks import coverage
from benchmarks.coverage import Draws
from galjax.statistics import compare_paired


def test_repeats_share_galaxies_as_their_draws_say():
    draws = Draws(200, 100, 4)
    differences = coverage.repeat_differences(draws, 0.03, 20_000, np.random.default_rng(0))
    assert differences.shape == (4, 20_000)
    assert differences.mean() == pytest.approx(0.03, abs=0.001)
    variance = (2 * coverage.ONE_ALONE - 0.03**2) / (2 * draws.tested)
    assert differences.var() == pytest.approx(variance, rel=0.03)
    assert np.corrcoef(differences)[0, 1] == pytest.approx(30 / 200, abs=0.02)


def test_the_tests_are_those_of_scipy_and_of_the_library():
    draws = Draws(200, 100, 5)
    differences = coverage.repeat_differences(draws, 0.03, 50, np.random.default_rng(1))
    found = coverage.found_by_tests(draws, differences)
    zeros = np.zeros(5)
    assert found["plain"] == np.mean(scipy.stats.ttest_1samp(differences, 0).pvalue < 0.05)
    assert found["galjax"] == np.mean([compare_paired(one, zeros, 0.15).p_value < 0.05 for one in differences.T])
    assert found["plain"] > found["galjax"] > found["Nadeau & Bengio"]


def test_few_surveys_show_that_the_plain_test_is_too_sure_and_ours_is_not(capsys):
    assert coverage.main(["--quick"]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| 1,000 of 1,200")]
    plain, ours, theirs = (float(cell) for cell in rows[0][2:5])
    assert plain > 0.4
    assert 0.02 < ours < 0.08
    assert theirs < ours


def test_a_bad_flag_gets_a_sentence(capsys):
    assert coverage.main(["--surveys", "0"]) == 2
    assert "--surveys must be at least 1, not 0" in capsys.readouterr().err
