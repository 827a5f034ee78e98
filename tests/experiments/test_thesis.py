import dataclasses
import importlib
import json
import re
from pathlib import Path

import pytest
from astropy.table import Table

import experiments
from experiments import thesis
from galjax.cli.experiment import Experiment
from galjax.config.settings import NetworkConfig, ScheduleConfig, TrainingConfig
from galjax.sources import SourceConfig
from galjax.sources.simulated.survey import SimulatedSurvey, simulate

SMALL = {
    "uncertain_labels": {"total": 40},
    "class_balance": {"total": 40},
    "resolution_sweep": {"per_class": (20,), "factors": (2, 8), "methods": ("nearest",)},
    "phase_shift": {"per_class": 20, "factors": (2,), "sizes": (5, 6, 7), "methods": ("nearest",)},
    "same_resolution": {"per_class": 20, "factors": (2,)},
    "cross_survey": {"per_class": 15},
}


@pytest.fixture(autouse=True)
def tiny_presets(monkeypatch):
    """The quick presets made tiny; everything else is as a user runs it."""
    training = TrainingConfig(
        ScheduleConfig(epochs=2, evaluate_every=1), network=NetworkConfig(filters=(4, 4, 4), dense_units=(8,))
    )
    survey = SimulatedSurvey(galaxies=90, image_size=32, class_fractions=(0.4, 0.3, 0.3))
    for name in experiments.OF_THESIS:
        experiment = thesis.EXPERIMENTS[name]
        quick = experiment.presets["quick"]
        source = dataclasses.replace(quick.source, simulated=survey)
        small = dataclasses.replace(quick, source=source, repeats=3, training=training, **SMALL[name])
        monkeypatch.setitem(thesis.EXPERIMENTS, name, dataclasses.replace(experiment, presets={"quick": small}))


@pytest.mark.slow
def test_all_experiments_make_one_report_and_go_on_where_they_stopped(tmp_path, capsys):
    out = tmp_path / "all"
    command = ["--out", str(out), "--sharp.simulated.image-size", "75"]
    assert thesis.main(command) == 0
    said = capsys.readouterr().out
    assert "6 of 6" in said
    assert "left out" not in said.split("All experiments")[1]
    page = (out / "report.html").read_text()
    plain = re.sub(r"data:image/png;base64,[^\"]*", "", page)
    assert not re.search(r"(src|href)=\"(?!data:|#)", page)
    assert "http" not in plain
    for name in experiments.OF_THESIS:
        assert (out / name / "report.html").exists()
        assert f'<section id="{name}">' in page
        for figure in (out / name / "figures").glob("*.png"):
            assert f'id="{name}-{figure.stem}"' in page
    ids = re.findall(r' id="([^"]+)"', plain)
    assert len(ids) == len(set(ids))
    for target in re.findall(r'href="#([^"]+)"', plain):
        assert target in ids
    beside = Table.read(out / "against_thesis.ecsv")
    assert {"uncertain_labels", "class_balance"} <= set(beside["experiment"])
    assert beside["thesis"][beside["quantity"] == "3-class, accuracy"][0] == pytest.approx(0.688)
    said_there = Table.read(out / "statements.ecsv")
    assert set(said_there["experiment"]) == set(experiments.OF_THESIS) - {"same_resolution"}
    assert set(said_there["here"]) <= {"yes", "no", "unknown"}
    assert "6.1" in plain  # the last of the thesis's figures

    (out / "phase_shift" / "checkpoints" / "training.npz").unlink()
    before = (out / "phase_shift" / "results.ecsv").read_bytes()
    assert thesis.main(command) == 0
    said = capsys.readouterr().out
    assert said.count("already trained") == 11  # of 12 trainings
    assert (out / "phase_shift" / "results.ecsv").read_bytes() == before


def test_what_the_galaxies_do_not_allow_is_left_out_and_named(tmp_path, capsys):
    sample = simulate(SimulatedSurvey(galaxies=90, image_size=32, class_fractions=(0.4, 0.3, 0.3)))
    sample.with_classes(("spiral", "elliptical")).save(tmp_path / "two.fits")
    out = tmp_path / "run"
    names = ["uncertain_labels", "same_resolution", "cross_survey"]
    assert thesis.main(["--data", str(tmp_path / "two.fits"), "--out", str(out), "--experiments", *names]) == 0
    said = capsys.readouterr().out
    assert "uncertain_labels: left out. The sample has no class 'uncertain'" in said
    assert "cross_survey: left out. One of --data and --sharp.data is the simulated survey" in said
    assert json.loads((out / "environment.json").read_text())["experiments"] == {
        "uncertain_labels": "left out",
        "same_resolution": "run",
        "cross_survey": "left out",
    }
    assert "left out. The sample has no class" in (out / "report.html").read_text().replace("&#39;", "'")


def test_where_nothing_can_run_the_reason_is_said(tmp_path, capsys):
    sample = simulate(SimulatedSurvey(galaxies=90, image_size=32))
    dataclasses.replace(sample, class_names=("a", "b", "c")).save(tmp_path / "others.fits")
    assert thesis.main(["--data", str(tmp_path / "others.fits"), "--out", str(tmp_path / "run")]) == 2
    assert "No experiment can be run. The sample has no class 'spiral'" in capsys.readouterr().err


def test_overrides_reach_every_experiment(tmp_path):
    config = thesis.Thesis(repeats=5, epochs=3, seed=4, data="somewhere")
    for name in thesis.EXPERIMENTS:
        its = config.of(name, tmp_path / name)
        assert (its.repeats, its.training.schedule.epochs, its.seed, its.source.data) == (5, 3, 4, "somewhere")


def test_galaxies_are_read_once_for_experiments_in_a_row():
    calls = []
    load = thesis.remembering(lambda source, seed, progress: calls.append(source) or len(calls))
    assert [load(SourceConfig(name), 0) for name in ("a", "a", "b", "a", "c", "a")] == [1, 1, 2, 1, 3, 4]
    sharp, coarse = (SourceConfig("a", simulated=SimulatedSurvey(image_size=size)) for size in (75, 32))
    assert load(sharp, 0) == load(coarse, 0) == 4  # the survey that is not simulated makes no difference


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--repeats", "0"], "--repeats must be at least 1, not 0"),
        (["--experiments", "phase_shift", "phase_shift"], "each once"),
    ],
)
def test_bad_flags_get_a_sentence(flags, sentence, capsys):
    assert thesis.main(flags) == 2
    assert sentence in capsys.readouterr().err


def test_every_experiment_is_offered():
    """The registry has every module of the folder whose `EXPERIMENT` is one, each under its own name."""
    folder = Path(experiments.__file__).parent
    modules = [importlib.import_module(f"experiments.{path.stem}") for path in folder.glob("[!_]*.py")]
    found = {m.NAME: m.EXPERIMENT.name for m in modules if isinstance(getattr(m, "EXPERIMENT", None), Experiment)}
    assert found == {name: name for name in experiments.EXPERIMENTS}
    assert tuple(thesis.EXPERIMENTS) == experiments.EXPERIMENTS
    assert thesis.Thesis().experiments == experiments.OF_THESIS
