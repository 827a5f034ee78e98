"""Numbers that nobody asked for fit the galaxies; what was asked for and cannot be is an error."""

import dataclasses
import json

import numpy as np
import pytest

import galjax.cli.experiment
from experiments import (
    class_balance,
    cross_survey,
    phase_shift,
    resolution_sweep,
    same_resolution,
    thesis,
    uncertain_labels,
)
from galjax.errors import InputError
from galjax.sources.simulated.survey import SimulatedSurvey, simulate

QUICK = ["--repeats", "2", "--epochs", "1", "--filters", "2,2,2", "--dense-units", "4", "--padding", "same"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """Saved: 40 spirals, 25 ellipticals and 20 uncertain, of 8 px."""
    galaxies = simulate(SimulatedSurvey(galaxies=150, image_size=8, class_fractions=(0.4, 0.3, 0.3)))
    chosen = [
        number for label, count in enumerate((40, 25, 20)) for number in (galaxies.labels == label).nonzero()[0][:count]
    ]
    path = tmp_path_factory.mktemp("galaxies") / "small.fits"
    galaxies.take(np.sort(chosen)).save(path)
    return path


@pytest.fixture
def opened(monkeypatch):
    """The configurations with which runs were opened; nothing is trained."""
    seen = []

    def stop(name, config, out, **given):
        seen.append(config)
        raise InputError("enough")

    monkeypatch.setattr(galjax.cli.experiment, "open_run", stop)
    return seen


@pytest.mark.parametrize(
    ("module", "flags", "expected"),
    [
        (resolution_sweep, [], {"per_class": (25,), "factors": (2, 3, 4, 5, 6, 7, 8), "batch": 8}),
        (resolution_sweep, ["--preset", "thesis"], {"per_class": (25,)}),
        (resolution_sweep, ["--total", "30"], {"per_class": (300,)}),  # without effect, so left alone
        (resolution_sweep, ["--per-class", "4,5"], {"per_class": (4, 5), "batch": 4}),
        (same_resolution, ["--per-class", "5"], {"batch": 4}),
        (same_resolution, [], {"per_class": 25, "factors": (2, 4, 6, 8)}),
        (phase_shift, ["--sizes", "5,6,7"], {"per_class": 25}),
        (class_balance, [], {"total": 50}),
        (class_balance, ["--preset", "thesis"], {"total": 50}),
        (uncertain_labels, [], {"total": 65}),
        (uncertain_labels, ["--total", "7"], {"total": 7, "batch": 4}),
    ],
)
def test_defaults_fit_the_galaxies(module, flags, expected, sample, opened, capsys):
    assert module.main([*QUICK, "--redshift-range", "0,9", "--data", str(sample), *flags]) == 2
    (config,) = opened
    preset = module.PRESETS["thesis" if "thesis" in flags else "quick"]
    said = " ".join(capsys.readouterr().out.split())
    for name, value in expected.items():
        is_batch = name == "batch"
        assert (config.training.optimiser.batch_size if is_batch else getattr(config, name)) == value
        default = 8 if is_batch else getattr(preset, name)
        flag = "--batch-size" if is_batch else f"--{name.replace('_', '-')}"
        given = flag in flags
        assert (f"{flag} is " in said) == (value != default and not given)
    if "thesis" in flags and module is resolution_sweep:
        assert "--per-class is 25 instead of 300 500 800 1000: these galaxies allow no more." in said


def test_galaxies_that_two_surveys_share_are_counted_after_matching(opened):
    flags = ["--simulated.galaxies", "60", "--simulated.image-size", "32", "--sharp.simulated.image-size", "75"]
    assert cross_survey.main([*QUICK, *flags]) == 2
    (config,) = opened
    assert 5 < config.per_class < 30


@pytest.mark.parametrize(
    ("module", "flags", "sentence"),
    [
        (resolution_sweep, ["--per-class", "25,26"], "A draw of 26 galaxies per class is not possible"),
        (resolution_sweep, ["--factors", "2,9"], "can be shrunk by factors 1 to 8, not by 9"),
        (resolution_sweep, ["--total", "66"], "so --total 66 cannot be drawn"),
        (same_resolution, ["--per-class", "300"], "A draw of 300 galaxies per class is not possible"),
        (class_balance, ["--total", "52"], "A draw of 26 galaxies per class is not possible"),
        (uncertain_labels, ["--total", "66"], "so --total 66 cannot be drawn"),
        (same_resolution, ["--per-class", "5", "--batch-size", "9"], "--batch-size 9 is more than the 4 galaxies"),
    ],
)
def test_what_was_asked_for_is_an_error(module, flags, sentence, sample, opened, capsys):
    assert module.main([*QUICK, "--redshift-range", "0,9", "--data", str(sample), *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert not opened


@pytest.mark.thorough
def test_a_run_says_what_was_made_to_fit_keeps_it_and_goes_on_with_the_same_command(sample, tmp_path, capsys):
    command = [
        *QUICK,
        "--redshift-range",
        "0,9",
        "--data",
        str(sample),
        "--methods",
        "nearest",
        "--factors",
        "1/2",
        "--out",
        str(tmp_path),
    ]
    assert resolution_sweep.main(command) == 0
    sentence = "--per-class is 25 instead of 300: these galaxies allow no more."
    assert capsys.readouterr().out.count(sentence) == 2  # when it is decided, and in the end
    assert sentence in (tmp_path / "report.html").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["config"]["per_class"] == [25]
    assert resolution_sweep.main(command) == 0
    assert "25 per class: already trained" in capsys.readouterr().out


def test_all_experiments_together_fit_their_defaults(sample, tmp_path, monkeypatch, capsys):
    quick = same_resolution.EXPERIMENT.presets["quick"]
    network = dataclasses.replace(quick.training.network, filters=(2, 2, 2), dense_units=(4,), padding="same")
    training = dataclasses.replace(quick.training, network=network)
    small = dataclasses.replace(quick, redshift_range=(0.0, 9.0), training=training)
    experiment = dataclasses.replace(same_resolution.EXPERIMENT, presets={"quick": small})
    monkeypatch.setitem(thesis.EXPERIMENTS, "same_resolution", experiment)
    command = ["--experiments", "same_resolution", "--repeats", "2", "--epochs", "1", "--data", str(sample)]
    assert thesis.main([*command, "--out", str(tmp_path)]) == 0
    assert "--per-class is 25 instead of 300" in (tmp_path / "report.html").read_text()
