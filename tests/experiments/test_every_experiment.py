"""What all experiments have in common, each run end to end on tiny data."""

import html
import json
import re
import shutil

import numpy as np
import pytest
from astropy.table import Table

from experiments import (
    ablation,
    class_balance,
    cross_survey,
    label_audit,
    phase_shift,
    robust_training,
    robustness_benchmark,
    same_resolution,
    uncertain_labels,
)
from galjax.cli.command import exit_code
from galjax.sources import SimulatedSurvey, simulate

TINY = (
    "--simulated.galaxies 90 --simulated.image-size 32 --simulated.class-fractions 0.4 0.3 0.3 --repeats 3 "
    "--epochs 2 --evaluate-every 1 --filters 4 4 4 --dense-units 8"
).split()
FLAGS = {
    uncertain_labels: ["--total", "40"],
    class_balance: ["--total", "40"],
    phase_shift: [
        "--per-class",
        "20",
        "--factors",
        "2",
        "4",
        "--sizes",
        "5",
        "6",
        "7",
        "--methods",
        "nearest",
        "bicubic",
    ],
    same_resolution: ["--per-class", "20", "--factors", "2", "4"],
    robust_training: "--per-class 20 --factors 2 4 --methods nearest bicubic --recipes none all --ceiling nearest".split(),
    label_audit: "--per-class 15 --planted 0.2 --confidence 0.5 --held-out 0.3".split(),
    ablation: "--per-class 10 --factors 2 --changes momentum half-epochs one-band --aside 0.3".split(),
    robustness_benchmark: "--per-class 20 --factors 2 4 --methods nearest --networks thesis --recipes none all".split(),
    cross_survey: ["--per-class", "15", "--sharp.simulated.image-size", "75", "--simulated.pixel-scale", "0.396"],
}
KEYS = {
    uncertain_labels: ["labels"],
    class_balance: ["draw", "trainings"],
    phase_shift: ["position", "size", "method"],
    same_resolution: ["trained_at", "factor", "method"],
    robust_training: ["trained_with", "factor", "method"],
    label_audit: ["labels", "tested_on"],
    ablation: ["change", "factor", "method"],
    robustness_benchmark: ["network", "recipe", "factor", "method"],
    cross_survey: ["trained_on", "tested_on"],
}
FURTHER = {
    uncertain_labels: set(),
    class_balance: set(),
    phase_shift: {"brightest_pixel.ecsv", "centre_shift.ecsv", "parity.ecsv", "threshold.ecsv"},
    same_resolution: {"losses.ecsv", "reference.ecsv", "threshold.ecsv"},
    robust_training: {"gaps.ecsv", "limits.ecsv", "losses.ecsv"},
    label_audit: {
        "agreement.ecsv",
        "audit.ecsv",
        "detection_given.ecsv",
        "detection_planted.ecsv",
        "gains.ecsv",
        "verdicts.ecsv",
    },
    ablation: {"ablation.ecsv", "gains.ecsv"},
    robustness_benchmark: {"benchmark.csv", "benchmark.md", "task.csv"},
    cross_survey: {"attribution.ecsv", "conditions.ecsv", "steps.ecsv", "threshold.ecsv"},
}


def run(experiment, *arguments):
    return experiment.main([*TINY, *FLAGS[experiment], *map(str, arguments)])


@pytest.fixture(scope="module", params=list(FLAGS), ids=lambda module: module.NAME)
def done(request, tmp_path_factory, figures_drawn):
    folder = tmp_path_factory.mktemp("runs") / "first"
    with figures_drawn():
        assert run(request.param, "--out", folder) == 0
    return request.param, folder


def test_the_run_folder_is_complete(done):
    experiment, folder = done
    names = {path.name for path in folder.iterdir()} - {"against_thesis.ecsv", "statements.ecsv", ".lock"}
    assert (
        names
        == {
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
        }
        | FURTHER[experiment]
    )
    environment = json.loads((folder / "environment.json").read_text())
    assert environment["compile_seconds"] > 0
    assert all(how["lowering"] == "direct" for how in environment["execution"].values())
    assert {path.suffix for path in (folder / "figures").iterdir()} == {".png", ".pdf"}


def test_every_galaxy_is_drawn_from_or_listed_once_with_its_reason(done):
    experiment, folder = done
    sample = simulate(SimulatedSurvey(galaxies=90, image_size=32, class_fractions=(0.4, 0.3, 0.3)))
    drawn_from = sample.in_redshift_range(0.0, 0.2)
    if experiment is not uncertain_labels:  # which uses all three classes
        drawn_from &= np.isin(sample.labels, [sample.class_names.index(name) for name in ("spiral", "elliptical")])
    excluded = Table.read(folder / "excluded.ecsv")
    assert sorted(map(int, excluded["id"])) == sorted(sample.ids[~drawn_from])
    others = sum("uncertain is not among the classes" in reason for reason in excluded["reason"])
    assert others == (0 if experiment is uncertain_labels else 27)


def test_results_are_tidy_and_the_summary_follows_from_them(done):
    experiment, folder = done
    results, summary = (Table.read(folder / name) for name in ("results.ecsv", "summary.ecsv"))
    keys = KEYS[experiment]
    measured = ["accuracy", "auc", "recalibrated_accuracy"]
    assert results.colnames[: len(keys) + 6] == ["repeat", *keys, "selection", "epoch", *measured]
    assert set(results["repeat"]) == {0, 1, 2}
    accuracies = summary[summary["metric"] == "accuracy"] if "metric" in summary.colnames else summary
    assert len(accuracies) * 3 == len(results)
    for row in accuracies:
        chosen = np.ones(len(results), bool)
        for name in (*keys, "selection"):
            chosen &= results[name] == row[name]
        assert row["mean"] == pytest.approx(np.mean(results["accuracy"][chosen]))
        assert row["std"] == pytest.approx(np.std(results["accuracy"][chosen], ddof=1))
    for name in measured[1:]:
        assert ((results[name] >= 0) & (results[name] <= 1)).all()


def test_the_history_loads_without_pickle_and_names_its_axes(done):
    _, folder = done
    with np.load(folder / "history.npz", allow_pickle=False) as history:
        confusions = [name for name in history.files if name.endswith("test_confusion")]
        assert confusions
        for name in confusions:
            assert history[name].ndim == len(history[f"{name}_axes"])


def test_the_report_is_self_contained_and_holds_every_figure(done):
    _, folder = done
    page = (folder / "report.html").read_text()
    for target in re.findall(r"(?:src|href)=\"(?!data:|#)([^\"]*)", page):
        assert (folder / target).is_file(), target  # tables and figures beside it
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", page)
    assert "could not be drawn" not in page
    figures = list((folder / "figures").glob("*.png"))
    assert page.count("<img") == len(figures) > 0
    for figure in figures:
        assert f'id="{figure.stem}"' in page
    assert page.count('alt=""') == 0
    captions = [html.unescape(text) for text in re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)]
    assert all(re.search(r"n = 3|galax|network|source|pixel", caption, re.IGNORECASE) for caption in captions)
    assert not re.search(r"\bnan\b", re.sub(r"data:image/png;base64,[^\"]*", "", page).lower())


def test_a_finished_run_is_shown_again_without_training_and_bit_for_bit(done, capsys):
    experiment, folder = done
    before = {path.name: path.read_bytes() for path in folder.glob("*.ecsv")}
    assert run(experiment, "--out", folder) == 0
    assert "already trained" in capsys.readouterr().out
    assert {path.name: path.read_bytes() for path in folder.glob("*.ecsv")} == before


def test_another_configuration_is_refused(done, capsys):
    experiment, folder = done
    assert run(experiment, "--out", folder, "--seed", "7") == 2
    assert "seed was 0, now 7" in capsys.readouterr().err


def test_a_stage_that_is_missing_is_trained_again_to_the_same_results(done, tmp_path):
    experiment, folder = done
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    stages = sorted(path for path in (again / "checkpoints").glob("*.npz") if path.stem not in ("reference", "seconds"))
    stages[-1].unlink()
    assert run(experiment, "--out", again) == 0
    assert (again / "results.ecsv").read_bytes() == (folder / "results.ecsv").read_bytes()


@pytest.mark.parametrize("experiment", list(FLAGS), ids=lambda module: module.NAME)
def test_help_names_every_flag_and_the_question(experiment, capsys):
    with pytest.raises(SystemExit) as caught:
        experiment.main(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    for flag in ("--data", "--repeats", "--epochs", "--out", "--seed", "--resume", "--preset"):
        assert flag in text
    assert experiment.QUESTION.split()[0] in text


@pytest.mark.parametrize(
    ("experiment", "flags", "sentence"),
    [
        (uncertain_labels, ["--uncertain-class", "spiral"], "--uncertain-class spiral is among --classes"),
        (uncertain_labels, ["--total", "5000"], "so --total 5000 cannot be drawn"),
        (class_balance, ["--total", "56"], "A draw of 28 galaxies per class is not possible"),
        (phase_shift, ["--sizes", "5", "6"], "--sizes needs an even size with both its neighbours"),
        (phase_shift, ["--factors", "1"], "--factors start at 2"),
        (robust_training, ["--recipes", "all"], "--recipes takes none, which others are compared with"),
        (robust_training, ["--augment", "dihedral"], "--augment has no effect here"),
        (robust_training, ["--ceiling", "bilinear"], "--ceiling bilinear is none of --methods nearest bicubic"),
        (robust_training, ["--factors", "40"], "can be shrunk by factors 1 to 32, not by 40"),
        (same_resolution, ["--factors", "2", "2"], "--factors takes one or more values, each once"),
        (same_resolution, ["--factors", "40"], "can be shrunk by factors 1 to 32, not by 40"),
        (label_audit, ["--planted", "0.5"], "--planted must be at least 0 and below 0.5, not 0.5"),
        (label_audit, ["--confidence", "1"], "--confidence must lie between 0 and 1, not 1"),
        (label_audit, ["--held-out", "0"], "--held-out must lie between 0 and 1, not 0"),
        (label_audit, ["--fewest-votes", "0"], "--fewest-votes must be at least 1, not 0"),
        (label_audit, ["--uncertain-class", "spiral"], "--uncertain-class spiral is among --classes"),
        (ablation, ["--changes", "momentum", "momentum"], "--changes takes one or more values, each once"),
        (ablation, ["--aside", "1"], "--aside must lie between 0 and 1, not 1"),
        (ablation, ["--factors", "1"], "--factors start at 2"),
        (robustness_benchmark, ["--networks", "thesis", "thesis"], "--networks takes one or more values, each once"),
        (robustness_benchmark, ["--augment", "all"], "--augment has no effect here"),
        (robustness_benchmark, ["--factors", "40"], "can be shrunk by factors 1 to 32, not by 40"),
        (cross_survey, ["--sharp.data", "nowhere"], "the simulated survey and the other is not"),
        (cross_survey, ["--coarse-seeing", "0"], "--coarse-seeing must be above 0 arcsec, not 0"),
        (cross_survey, ["--sharp.simulated.image-size", "32"], "The stamps show different fields: 12.7 and 5.4 arcsec"),
    ],
)
def test_bad_flags_get_a_sentence_and_leave_nothing_behind(experiment, flags, sentence, tmp_path, capsys):
    assert run(experiment, "--out", tmp_path / "run", *flags) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_exit_codes_pass_through():
    assert exit_code(lambda: None) == 0
