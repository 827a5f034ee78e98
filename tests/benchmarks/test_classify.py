"""Classifying, measured: probabilities are those of PyTorch, and tables have the ratio first."""

import pytest

from benchmarks import classify
from benchmarks.classify import OURS, TOLD, ClassifyBenchmark
from benchmarks.measure import Ceilings

RESULTS = {
    "repeats": 10,
    "contenders": {
        name: {
            "seconds": {"median": 1 / rate, "min": 0.5 / rate, "max": 2 / rate, "n": 5},
            "stamps_per_second": rate,
            "ratio_to_fastest_pytorch": rate / 500,
            "difference": difference,
            "share_of_matmul": 0.5,
        }
        for name, rate, difference in (
            (TOLD, 1000.0, 0.0),
            ("PyTorch, batches of 32", 500.0, 1e-6),
            (OURS, 2000.0, 0.0),
        )
    },
}


def test_the_table_has_the_ratio_first_and_the_fastest_on_top():
    made = classify.tables(RESULTS)
    _, _, first, second, third = made["classify"].splitlines()
    assert first.startswith("| galjax | 4.00 | 2,000 | 1,000 - 4,000 | 0.50 |")
    assert second.startswith("| galjax, end to end | 2.00 |")
    assert third.startswith("| PyTorch, batches of 32 | 1.00 | 500 |")
    head, _, one, many = made["classify-plan"].splitlines()
    assert head.startswith("| 1e+10 galaxies, 10 networks |")
    assert one == f"| one machine like this | 100 | {10**10 / 100 / 86400:,.0f} |"
    assert many.startswith("| 1,000 of them")


def test_a_bad_flag_gets_a_sentence(capsys):
    assert classify.main(["--repeats", "0"]) == 2
    assert "--repeats must be at least 1, not 0" in capsys.readouterr().err


@pytest.fixture(autouse=True)
def ceilings(monkeypatch):
    monkeypatch.setattr(classify, "measure_ceilings", lambda: Ceilings(1e11, 1e10))


def test_without_pytorch_it_is_left_out_with_a_line(monkeypatch, capsys):
    monkeypatch.setattr(classify, "optional", lambda module: None)
    results = classify.run(ClassifyBenchmark(repeats=2, galaxies=8, image_size=16, rounds=1, no_write=True))
    assert "PyTorch: left out" in capsys.readouterr().out
    assert set(results["contenders"]) == {OURS, TOLD}
    assert all(row["stamps_per_second"] > 0 for row in results["contenders"].values())


def test_probabilities_are_those_of_pytorch(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(classify, "PYTORCH_BATCHES", (4,))
    results = classify.run(ClassifyBenchmark(repeats=2, galaxies=8, image_size=16, rounds=1, no_write=True))
    assert results["contenders"]["PyTorch, batches of 4"]["difference"] < 1e-5
