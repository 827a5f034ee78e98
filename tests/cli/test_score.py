"""`galjax score`: our own predictions get the scores of the benchmark, and what cannot be scored gets a sentence."""

import numpy as np
import pytest
from astropy.table import Table

from experiments import robustness_benchmark
from galjax.cli import score

TINY = (
    "--simulated.galaxies 90 --simulated.image-size 32 --simulated.class-fractions 0.4 0.4 0.2 --repeats 3 --epochs 2 "
    "--evaluate-every 1 --per-class 20 --factors 2 4 --methods nearest --recipes none all --networks thesis --filters 4 4 4 --dense-units 8 --all-predictions"
).split()


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark") / "run"
    assert robustness_benchmark.main([*TINY, "--out", str(folder)]) == 0
    return folder


def test_the_scores_of_our_own_predictions_are_those_of_the_benchmark(benchmark, tmp_path, capsys):
    out = tmp_path / "scores.csv"
    assert score.main([str(benchmark / "test_predictions.ecsv"), "--against", str(benchmark), "--out", str(out)]) == 0
    found, table = (Table.read(path, format="ascii.csv") for path in (out, benchmark / "benchmark.csv"))
    own = table[table["recipe"] == "all"]  # the networks that the run keeps
    for name in found.colnames:
        if name != "method":
            np.testing.assert_allclose(found[name], own[name], rtol=1e-5, err_msg=name)
    text = capsys.readouterr().out
    assert "thesis, none | thesis, all" in text
    compared = text[text.index("accuracy above") :]
    assert (
        compared.count("| 0.000 (no difference in any repeat) |") >= 3
    )  # from the column of these networks themselves


def test_what_the_task_has_not_is_refused_and_what_is_missing_said(benchmark, tmp_path, capsys):
    table = Table.read(benchmark / "test_predictions.ecsv")
    table = table[(table["selection"] == "validation") & (table["repeat"] > 0) & (table["factor"] < 4)]
    table.write(tmp_path / "some.csv", format="ascii.csv")
    assert score.main([str(tmp_path / "some.csv"), "--against", str(benchmark), "--out", str(tmp_path / "all.md")]) == 0
    assert "Not predicted: 1/4 nearest, repeat 0." in capsys.readouterr().out
    assert "| accuracy above |" in (tmp_path / "all.md").read_text()
    table["method"][:] = "cubic"
    table.write(tmp_path / "other.csv", format="ascii.csv")
    assert score.main([str(tmp_path / "other.csv"), "--against", str(benchmark)]) == 2
    assert "were not tested at 1/2 cubic, but at Original, 1/2 nearest, 1/4 nearest" in capsys.readouterr().err


def test_the_task_says_who_is_trained_on_and_tested(benchmark):
    task = Table.read(benchmark / "task.csv")
    for repeat in range(3):
        own = task[task["repeat"] == repeat]
        sizes = {name: int((own["set"] == name).sum()) for name in ("train", "validation", "test")}
        assert sizes == {"train": 24, "validation": 4, "test": 12}
        assert len(set(own["id"])) == 40
    assert set(task["class"]) == {"spiral", "elliptical"}


def test_anybody_can_write_the_predictions_by_hand(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text(
        "id;factor;method;p_spiral;p_elliptical;true\na;1;;0.9;0.1;spiral\nb;1;;0.2;0.8;elliptical\nc;1;;0.6;0.4;elliptical\n"
    )
    assert score.main([str(path), "--out", str(tmp_path / "table.md")]) == 0
    assert "| Original | 1 | 3 | 0.667" in capsys.readouterr().out
    assert (tmp_path / "table.md").read_text().startswith("| test images | repeats | galaxies | accuracy |")


@pytest.mark.parametrize(
    ("text", "flags", "sentence"),
    [
        (None, [], "There is no file"),
        (
            "id,p_spiral,p_elliptical\n1,0.5,0.5\n",
            [],
            "has no column 'true'; its columns are id, p_spiral, p_elliptical",
        ),
        ("galaxy,p_spiral,p_elliptical,true\n1,0.5,0.5,spiral\n", [], "has no column 'id'"),
        ("id,p_spiral,true\n1,0.5,spiral\n", [], "needs the probability of two or more classes"),
        ("id,p_spiral,p_elliptical,true\n1,half,0.5,spiral\n", [], "mine.csv: Row 1: p_spiral is 'half', not a number"),
        ("id,p_spiral,p_elliptical\n1,0.5,0.5\n", ["--against", "nowhere"], "nowhere has no task.csv"),
        (
            "id,p_spiral,p_elliptical,true\n1,0.5,0.5,spiral\n",
            ["--out", "table.txt"],
            "--out is a .csv, .ecsv or .md file",
        ),
    ],
)
def test_what_cannot_be_scored_gets_a_sentence(text, flags, sentence, tmp_path, capsys):
    path = tmp_path / "mine.csv"
    if text is not None:
        path.write_text(text)
    assert score.main([str(path), *flags]) == 2
    assert sentence in capsys.readouterr().err
