"""Going on with a run: with its own flags, to more epochs, with its galaxies elsewhere."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from experiments import class_balance, resolution_sweep, thesis
from galjax import GalaxySample
from galjax.config.json_form import from_json
from galjax.sources.simulated.survey import SimulatedSurvey, simulate
from galjax.training.ensemble import load
from tests.experiments.test_every_experiment import TINY
from tests.experiments.test_resolution_sweep import SMALL, run

RESULTS = ("results.ecsv", "summary.ecsv", "history.npz", "methods.ecsv")
KEPT = ["--keep-ensemble", "all", "--evaluate-every", 4]


def assert_same(one, other, names=RESULTS):
    for name in names:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def resume(*flags, module=resolution_sweep):
    return module.main(["--resume", *map(str, flags)])


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """A saved sample, in a folder of its own."""
    path = tmp_path_factory.mktemp("galaxies") / "sample.fits"
    simulate(SimulatedSurvey(galaxies=120, image_size=32)).save(path)
    return path


@pytest.fixture(scope="module")
def short(sample, tmp_path_factory):
    """A working folder with one run, of 6 epochs with an evaluation every 4: so one more at its end."""
    place = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert run(*KEPT, "--epochs", 6, "--data", sample) == 0
    return place


@pytest.fixture(scope="module")
def whole(sample, tmp_path_factory):
    """The folder of an undisturbed run of 11 epochs."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert run(*KEPT, "--epochs", 11, "--data", sample, "--out", out) == 0
    return out


@pytest.fixture
def work(short, tmp_path, monkeypatch):
    """A copy of the working folder, entered; gives its run."""
    import shutil

    shutil.copytree(short, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    (folder,) = Path("runs", "resolution_sweep").iterdir()
    return folder


def test_a_run_that_has_ended_is_trained_on_with_its_own_flags_bit_for_bit(work, whole, capsys):
    assert run("--epochs", 9, "--out", work) == 2  # other flags: those of SMALL alone
    assert "--evaluate-every was 4, now 2" in capsys.readouterr().err
    assert resume("--epochs", 11) == 0
    assert "20 per class: resuming at epoch 6" in capsys.readouterr().out
    assert_same(work, whole)
    ours, theirs = (load(folder) for folder in (work, whole))
    jax.tree.map(np.testing.assert_array_equal, ours.parameters, theirs.parameters)
    assert ours.about == theirs.about
    assert [path.name for path in (work / "checkpoints" / "per_class_20").iterdir()] == ["11000"]
    ours, theirs = (json.loads((folder / "config.json").read_text()) for folder in (work, whole))
    assert ours["config"] == theirs["config"]
    assert from_json(resolution_sweep.ResolutionSweep, ours["config"]).training.schedule.epochs == 11
    assert resume("--keep-ensemble", "all") == 0  # now of 11 epochs by itself
    assert "already trained" in capsys.readouterr().out


def test_without_its_last_checkpoint_it_is_trained_anew_to_the_same(work, whole, capsys):
    assert resume("--discard-state") == 0
    assert not (work / "checkpoints" / "per_class_20").exists()
    assert resume("--epochs", 11, "--discard-state") == 0
    assert "resuming at" not in capsys.readouterr().out
    assert_same(work, whole)
    assert not (work / "checkpoints" / "per_class_20").exists()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--epochs", 3], "--epochs was 6, now 3 (a run can be trained on, not back)"),
        (["--seed", 7], "--seed was 0, now 7"),
        (["--per-class", "10,20"], "--per-class was 20, now 10 20"),
        (["--out", "other"], "other holds files, but no readable run"),
    ],
)
def test_what_may_not_differ_is_named_by_its_flag_and_nothing_is_changed(work, capsys, flags, sentence):
    Path("other").mkdir()
    Path("other", "thesis.txt").write_text("years of work")
    before = (work / "config.json").read_bytes()
    assert resume(*flags) == 2
    assert sentence in capsys.readouterr().err
    assert (work / "config.json").read_bytes() == before
    assert (work / "environment.json").exists()


def test_a_preset_that_is_given_is_a_configuration_of_its_own(work, sample, capsys):
    assert resume("--preset", "quick", "--data", sample) == 2
    assert "--dense-units was 16, now 1024 1024" in capsys.readouterr().err


def test_the_same_galaxies_elsewhere_are_the_same(work, sample, capsys, tmp_path):
    elsewhere = tmp_path / "elsewhere.fits"
    elsewhere.write_bytes(sample.read_bytes())
    before = (work / "results.ecsv").read_bytes()
    assert resume("--data", elsewhere) == 0
    assert "already trained" in capsys.readouterr().out
    assert (work / "results.ecsv").read_bytes() == before
    assert json.loads((work / "config.json").read_text())["config"]["source"]["data"] == str(elsewhere)
    galaxies = GalaxySample.load(sample)
    galaxies.take(np.arange(len(galaxies)) > 0).save(elsewhere)
    assert resume() == 2
    assert "holds a run on other galaxies" in capsys.readouterr().err


@pytest.mark.thorough
def test_a_second_training_that_is_to_stop_earlier_than_before_starts_anew(tmp_path, capsys, monkeypatch):
    """More epochs, another choice of epoch: here the choice of the short run is the last epoch, of the long one the first."""
    command = [*TINY, "--total", "40", "--evaluate-every", "2"]
    original = class_balance.Case.chosen
    monkeypatch.setattr(
        class_balance.Case,
        "chosen",
        lambda case, selection=None: (
            original(case, selection) if case.epochs else 0 if case.history.train_loss.shape[1] == 5 else -1
        ),
    )
    assert class_balance.main([*command, "--epochs", "3", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert class_balance.main([*command, "--epochs", "5", "--out", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "natural: resuming at epoch 3" in said
    assert "natural, to epoch 2: resuming" not in said
    assert class_balance.main([*command, "--epochs", "5", "--out", str(tmp_path / "whole")]) == 0
    assert_same(tmp_path / "run", tmp_path / "whole", ("results.ecsv", "summary.ecsv", "history.npz"))


@pytest.mark.thorough
def test_a_run_of_one_epoch_needs_no_other_flag_and_is_trained_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = [*SMALL[:8], *SMALL[12:]]  # without --epochs and --evaluate-every
    assert resolution_sweep.main([*small, "--epochs", "1", "--out", "run"]) == 0
    assert resume("--out", "run", "--epochs", 9) == 0
    assert resolution_sweep.main([*small, "--epochs", "9", "--out", "whole"]) == 0
    assert_same(tmp_path / "run", tmp_path / "whole")
    with np.load("run/history.npz") as history:
        assert history["evaluated_epoch"].tolist() == [8, 9]


def test_all_experiments_together_are_resumed_with_their_flags(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    ran = []
    monkeypatch.setattr(thesis, "_run", lambda config, folder, load, console: ran.append((config, folder.path)))
    assert thesis.main(["--preset", "thesis", "--repeats", "2", "--experiments", "phase_shift,class_balance"]) == 0
    assert thesis.main(["--resume", "--epochs", "1000"]) == 0
    (first, place), (second, again) = ran
    assert (again, second.preset, second.repeats, second.experiments) == (place, "thesis", 2, first.experiments)
    assert (first.epochs, second.epochs) == (None, 1000)
    assert second.of("phase_shift", place).training.schedule.epochs == 1000
    assert thesis.main(["--resume", "--repeats", "3"]) == 2
    assert "--repeats was 2, now 3" in capsys.readouterr().err
