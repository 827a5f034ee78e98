import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

from experiments import resolution_sweep
from galjax import GalaxySample
from galjax.sources.simulated.survey import SimulatedSurvey, simulate

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "--simulated.galaxies 120 --simulated.image-size 32 --per-class 20 --repeats 3 --epochs 3 "
    "--evaluate-every 2 --factors 2 4 --filters 4 4 4 --dense-units 16"
).split()


def run(*arguments):
    return resolution_sweep.main([*SMALL, *map(str, arguments)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory, figures_drawn):
    path = tmp_path_factory.mktemp("runs") / "first"
    with figures_drawn():
        assert run("--out", path, "--per-class", 20, 30, "--validation-fraction", 0.1) == 0
    return path


def test_the_run_folder_is_complete(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "results.ecsv",
        "summary.ecsv",
        "excluded.ecsv",
        "test_predictions.ecsv",
        "ensemble",
        "history.npz",
        "figures",
        "report.html",
        "checkpoints",
        "methods.ecsv",
        "threshold.ecsv",
        "classes.ecsv",
        "statements.ecsv",
        ".lock",
    }
    figures = {path.name for path in (folder / "figures").iterdir()}
    for stem in (
        "accuracy_std_20",
        "accuracy_ste_30",
        "methods_compared_20",
        "sample_sizes_compared",
        "discrimination_20",
        "selections_compared_30",
        "training_curves_20",
        "gallery_spiral",
        "gallery_elliptical",
    ):
        assert {f"{stem}.png", f"{stem}.pdf"} <= figures
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["compile_seconds"] > 0
    assert environment["device"]["platform"] == "cpu"
    execution = environment["execution"]["per_class_20"]
    assert execution["lowering"] == "direct"
    assert execution["precision"] == "float32"
    assert execution["repeats_at_once"] == 1


def test_results_are_tidy_and_the_summary_follows_from_them(folder):
    results, summary = (Table.read(folder / name) for name in ("results.ecsv", "summary.ecsv"))
    metrics = ["accuracy", "auc", "recalibrated_accuracy"]
    assert results.colnames == ["repeat", "per_class", "factor", "method", "selection", "epoch", *metrics]
    assert summary.colnames == [
        "per_class",
        "factor",
        "method",
        "selection",
        "epoch",
        "mean",
        "std",
        "ste",
        "n",
        "auc",
        "auc_std",
        "recalibrated_accuracy",
        "recalibrated_accuracy_std",
        "usable",
        "within_loss",
        "usable_recalibrated",
    ]
    conditions = 1 + 2 * 3
    assert len(results) == 3 * 2 * conditions * 3
    assert set(results["selection"]) == {"test-mean", "last", "validation"}
    assert set(results["method"][results["factor"] == 1]) == {"none"}
    for row in summary:
        chosen = np.ones(len(results), bool)
        for name in ("per_class", "factor", "method", "selection", "epoch"):
            chosen &= results[name] == row[name]
        values = np.asarray(results["accuracy"][chosen])
        assert len(values) == row["n"] == 3
        assert row["mean"] == pytest.approx(values.mean())
        assert row["std"] == pytest.approx(values.std(ddof=1))
        assert row["ste"] == pytest.approx(values.std(ddof=1) / 3**0.5)
        for name in ("auc", "recalibrated_accuracy"):
            assert row[name] == pytest.approx(np.mean(results[name][chosen]))
            assert row[f"{name}_std"] == pytest.approx(np.std(results[name][chosen], ddof=1))
    last = summary[summary["selection"] == "last"]
    assert set(last["epoch"]) == {3}
    best = summary[summary["selection"] == "test-mean"]
    assert (np.asarray(best["mean"]) >= np.asarray(last["mean"])).all()  # the test set chooses: never worse


def test_the_history_has_named_axes(folder):
    with np.load(folder / "history.npz", allow_pickle=False) as history:
        assert history["evaluated_epoch"].tolist() == [2, 3]
        assert history["train_loss"].shape == (2, 3, 3)
        confusion = history["test_confusion"]
        assert history["test_confusion_axes"].tolist() == [
            "per_class",
            "repeat",
            "evaluation",
            "condition",
            "predicted",
            "true",
        ]
        assert confusion.shape == (2, 3, 2, 7, 2, 2)
        assert history["test_auc_axes"].tolist() == ["per_class", "repeat", "evaluation", "condition"]
        assert history["test_auc"].shape == confusion.shape[:-2]
        assert history["test_recalibrated_confusion"].shape == confusion.shape
        assert (confusion[0].sum(axis=(-2, -1)) == 12).all()
        assert (confusion[1].sum(axis=-2) == 9).all()  # columns are true classes: balanced


def test_the_report_is_self_contained_and_holds_every_figure(folder):
    page = (folder / "report.html").read_text()
    assert "(--degrade area)" in page
    for target in re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]*)", page):
        assert (folder / target).is_file(), target  # tables and figures beside it
    for words in ("Methods, to copy", "@software{galjax", "Completeness and purity", "Every setting"):
        assert words in page
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", page)
    for figure in (folder / "figures").glob("*.png"):
        assert f'id="{figure.stem}"' in page
    assert page.count("<img") == len(list((folder / "figures").glob("*.png")))
    assert page.count('alt=""') == 0


def test_what_was_left_out_is_listed(folder):
    excluded = Table.read(folder / "excluded.ecsv")
    assert excluded.colnames == ["id", "file", "reason"]
    assert len(excluded) > 0
    kinds = ("is outside 0.0 < z < 0.2", "uncertain is not among the classes spiral, elliptical")
    assert {kind for reason in excluded["reason"] for kind in kinds if kind in reason} == set(kinds)
    assert all(any(kind in reason for kind in kinds) for reason in excluded["reason"])


def test_the_same_command_twice_gives_identical_results(folder, tmp_path):
    assert run("--out", tmp_path / "again", "--per-class", 20, 30, "--validation-fraction", 0.1) == 0
    for name in ("results.ecsv", "summary.ecsv", "excluded.ecsv"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_a_finished_run_is_shown_again_without_training(folder, capsys):
    before = (folder / "results.ecsv").read_bytes()
    assert run("--out", folder, "--per-class", 20, 30, "--validation-fraction", 0.1) == 0
    assert "20 per class: already trained" in capsys.readouterr().out
    assert (folder / "results.ecsv").read_bytes() == before


def test_natural_draw_from_a_saved_sample_in_the_jax_convention(tmp_path, capsys):
    simulate(SimulatedSurvey(galaxies=120, image_size=32)).save(tmp_path / "sample.fits")
    out = tmp_path / "run"
    assert run("--data", tmp_path / "sample.fits", "--total", 60, "--convention", "jax", "--out", out) == 0
    summary = Table.read(out / "summary.ecsv")
    assert set(summary["per_class"]) == {30}
    assert "natural draw of 60" in summary.meta["draw"]
    assert "report.html" in capsys.readouterr().out


def test_a_coarser_survey_is_said_and_drawn_and_its_pixel_scale_must_be_known(tmp_path, capsys, figures_drawn):
    known = simulate(SimulatedSurvey(galaxies=120, image_size=32))
    known.save(tmp_path / "known.fits")
    dataclasses.replace(known, pixel_scale=float("nan")).save(tmp_path / "unknown.fits")
    psf = ("--degrade", "psf", "--seeing", 1.2, "--data")
    with figures_drawn():
        assert run(*psf, tmp_path / "known.fits", "--out", tmp_path / "run") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "what a survey of k times the seeing (1.2 arcsec, 3.03 px)" in said
    assert json.loads((tmp_path / "run" / "config.json").read_text())["config"]["degrade"] == "psf"
    assert "(--degrade psf)" in Table.read(tmp_path / "run" / "summary.ecsv").meta["degrade"]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "blurred, shrunk by the mean over covered pixels, with noise added, and enlarged" in page
    assert "(--degrade area)" not in page
    assert not (tmp_path / "run" / "against_thesis.ecsv").exists()
    assert run(*psf, tmp_path / "unknown.fits", "--out", tmp_path / "refused") == 2
    assert "For --degrade psf the pixel scale of the images must be known" in capsys.readouterr().err


def test_colour_images_and_three_classes(tmp_path):
    sample = simulate(SimulatedSurvey(galaxies=120, image_size=32, class_fractions=(0.4, 0.3, 0.3)))
    colour = GalaxySample(**{**sample.__dict__, "images": np.stack([sample.images] * 2, axis=-1), "bands": ("g", "r")})
    colour.save(tmp_path / "sample.fits")
    classes = ("--classes", "spiral", "elliptical", "uncertain")
    assert run("--data", tmp_path / "sample.fits", *classes, "--out", tmp_path / "run") == 0
    with np.load(tmp_path / "run" / "history.npz") as history:
        assert history["test_confusion"].shape[-2:] == (3, 3)


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--per-class", 500], r"there are \d+ spiral, \d+ elliptical\. Choose --per-class from 1 to"),
        (["--total", 5000], "so --total 5000 cannot be drawn"),
        (["--data", "no/such/place"], "neither 'simulated' nor an existing folder or file"),
        (["--data", __file__], "has an ending that is not read"),
        (["--data", "."], "has no catalogue"),
        (["--classes", "spiral", "star"], "no class 'star'; its classes are spiral, elliptical, uncertain"),
        (["--classes", "spiral"], "--classes takes two or more"),
        (["--repeats", 0], "--repeats must be at least 1"),
        (["--epochs", 0], "--epochs must be at least 1"),
        (["--evaluate-every", 0], r"--evaluate-every must lie in 1\.\.1000000, not 0"),
        (["--factors", 1, 2], "--factors start at 2"),
        (["--factors", 33], "can be shrunk by factors 1 to 32, not by 33"),
        (["--factors", 2, 2], "--factors takes one or more values, each once"),
        (["--seeing", 1.3], "--seeing has no effect on --degrade area. Leave it out, or give --degrade psf"),
        (["--degrade", "psf", "--seeing", 0], "--seeing must be above 0 arcsec, not 0"),
        (
            ["--degrade", "psf", "--data", "."],
            r"--degrade psf makes images of a multiple of their seeing.*Give --seeing",
        ),
        (["--learning-rate", -1], "--learning-rate must be above 0"),
        (["--dropout", 1], "--dropout must be at least 0 and below 1"),
        (["--seed", -1], r"--seed must lie in 0\.\."),
        (["--redshift-range", 0.2, 0.1], "--redshift-range takes a lower and a higher"),
        (["--redshift-range", 0.9, 1.0], "None of the .* galaxies has a redshift"),
        (["--test-fraction", 1], "--test-fraction must lie between 0 and 1"),
        (["--validation-fraction", 0.7], "--validation-fraction must be at least 0 and below 0.7"),
        (["--usable-loss", 0], "--usable-loss must be above 0"),
        (["--simulated.image-size", 7], "--simulated.image-size must be at least 8"),
        (["--preset", "huge"], "--preset is one of quick, standard, thesis, robust, not 'huge'"),
        (["--out", __file__], "is a file"),
    ],
)
def test_bad_flags_get_a_sentence_and_exit_code_2(tmp_path, monkeypatch, capsys, flags, sentence):
    monkeypatch.chdir(tmp_path)
    assert run(*flags) == 2
    error = capsys.readouterr().err
    assert re.search(sentence, error), error
    assert "Traceback" not in error
    assert not list(tmp_path.rglob("results.ecsv"))


@pytest.mark.parametrize(
    "flags", [["--repeat", "3"], ["--methods", "spline"], ["--epochs", "many"], ["--convention", "torch"]]
)
def test_unknown_flags_and_values_exit_with_2(capsys, flags):
    with pytest.raises(SystemExit) as caught:
        run(*flags)
    assert caught.value.code == 2
    assert flags[-1] in capsys.readouterr().err


def test_another_configuration_in_the_same_folder_is_refused(folder, capsys):
    assert run("--out", folder, "--per-class", 20, 30, "--validation-fraction", 0.1, "--learning-rate", 0.5) == 2
    assert "--learning-rate was 0.003, now 0.5" in capsys.readouterr().err


def test_natural_draws_are_named_and_not_compared_with_the_thesis(tmp_path, capsys):
    assert run("--total", 40, "--out", tmp_path / "run") == 0
    said = capsys.readouterr().out
    assert "(40 galaxies in natural proportions, 3 repeats" in said
    assert "galaxies per class" not in said
    page = (tmp_path / "run" / "report.html").read_text()
    assert "trained at Original on natural draw of 40 galaxies" in page
    assert not (tmp_path / "run" / "against_thesis.ecsv").exists()


def test_one_repeat_is_shown_without_intervals_or_verdicts(tmp_path, capsys):
    assert run("--repeats", 1, "--out", tmp_path / "run") == 0
    said = capsys.readouterr().out
    assert "(no interval: one repeat)" in said
    assert "cannot be said of one repeat" in said
    page = re.sub(r"data:image/png;base64,[^\"]*", "", (tmp_path / "run" / "report.html").read_text())
    assert "a single repeat (n = 1), which has no bars" in page
    for text in (said, page):
        assert not re.search(r"\bnan\b|-0\.000|significantly", text)


def sizes_table(stds):
    rows = [(size, factor, "last", 0.8 + size / 1000, std) for size, std in stds.items() for factor in (1, 8)]
    return Table(rows=rows, names=("per_class", "factor", "selection", "mean", "std"))


@pytest.mark.parametrize(
    ("stds", "ending"),
    [
        (
            {20: 0.04, 30: 0.02},
            "changes by +0.010, and its standard deviation to 0.50 of what it was (geometric mean; the thesis: about half). The sizes of "
            "the test sets alone, 12 and 18 galaxies, predict 0.82 (binomial); a repeat's smaller draw is part of its larger one.",
        ),
        ({20: 0.02, 30: 0.04}, "changes by +0.010, and its standard deviation to 2.00 of what it was"),
        ({20: 0.0, 30: 0.02}, "changes by +0.010."),
        ({20: np.nan, 30: np.nan}, "changes by +0.010."),
    ],
)
def test_what_more_galaxies_change_is_said_of_the_resolutions_tested(stds, ending):
    (sentence,) = resolution_sweep._about_sizes(
        sizes_table(stds), {20: 12, 30: 18}, resolution_sweep.ResolutionSweep(repeats=2)
    )
    assert sentence.startswith("From 20 to 30 galaxies per class the mean accuracy at full resolution")
    assert ending in sentence


def test_help_that_nobody_reads_on_ends_quietly():
    command = [sys.executable, "-m", "experiments.resolution_sweep", "--help"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=600), error) == (128 + signal.SIGPIPE, "")


def test_help_has_a_line_for_every_flag(capsys):
    with pytest.raises(SystemExit) as caught:
        resolution_sweep.main(["--help-all", "--preset", "thesis"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in (
        "--data",
        "--repeats",
        "--epochs",
        "--out",
        "--seed",
        "--resume",
        "--preset",
        "--convention",
        "--per-class",
        "--total",
        "--usable-loss",
        "--channel",
        "--crop",
        "--learning-rate",
        "--filters",
    ):
        assert flag in text
    assert "(default: 300 500 800 1000)" in re.sub(r"[\s│]+", " ", text)


LONG = ["--epochs", "120"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The folder of a run that nothing stopped."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert run(*LONG, "--out", out) == 0
    return out


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_run_goes_on_and_equals_an_undisturbed_one(undisturbed, tmp_path, number):
    """The first process gets its signal while it trains; the same command then takes the folder to the end."""
    out = tmp_path / "stopped"
    first = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "experiments.resolution_sweep",
            *SMALL,
            *LONG,
            "--checkpoint-seconds",
            "0",
            "--out",
            out,
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not any((out / "checkpoints" / "per_class_20").glob("[0-9]*000")) and first.poll() is None:
        time.sleep(0.02)
    first.send_signal(number)
    _, error = first.communicate()
    assert first.returncode == 128 + number
    assert f"Stopped by {number.name}. Run the same command again" in error
    assert not (out / "results.ecsv").exists()
    assert list((out / "checkpoints" / "per_class_20").iterdir())
    assert run(*LONG, "--out", out) == 0
    for name in ("results.ecsv", "summary.ecsv", "history.npz"):
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes()
