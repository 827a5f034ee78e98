"""Simulated and real galaxies are measured alike, and arms are what the visibility sees."""

import numpy as np
import pytest

from benchmarks import simulated_against_real
from benchmarks.simulated_against_real import RADII, shape_of
from galjax.sources import SimulatedSurvey, simulate


def disc(arms):
    y, x = np.indices((64, 64)) - 31.5
    radius, angle = np.hypot(y, x), np.arctan2(y, x)
    return np.exp(-radius / 5) * (1 + arms * np.cos(2 * (angle - 3 * np.log(radius + 1))))


def test_a_smooth_disc_has_the_profile_of_an_exponential_and_no_arms():
    profile, visibility = shape_of(disc(0.0))
    middle = (RADII[1:] + RADII[:-1]) / 2
    slope = np.polyfit(middle[3:10], np.log(profile[3:10]), 1)[0]
    assert slope == pytest.approx(-1.678, rel=0.1)  # an exponential's half-light radius is 1.678 scale lengths
    assert visibility < 0.15  # what the pixels make of a steep centre


def test_arms_are_visible_in_their_own_strength():
    assert shape_of(disc(0.5))[1] > shape_of(disc(0.2))[1] > shape_of(disc(0.0))[1]


def test_an_empty_image_is_left_out():
    assert shape_of(np.zeros((64, 64))) is None


def test_the_command_draws_a_figure(tmp_path, capsys):
    path, figure = tmp_path / "sample.fits", tmp_path / "figure.png"
    simulate(SimulatedSurvey(galaxies=12), seed=5).save(path)
    arguments = ["--data", str(path), "--galaxies", "4", "--softening", "0", "--out", str(figure)]
    assert simulated_against_real.main(arguments) == 0
    assert figure.stat().st_size > 10_000
    assert "median arm visibility" in capsys.readouterr().out


def test_real_galaxies_must_be_named(capsys):
    assert simulated_against_real.main([]) == 2
    assert "--data is missing" in capsys.readouterr().err
