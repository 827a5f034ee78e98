import importlib
import json

import jax
import numpy as np
import pytest

from benchmarks import measure, resampling
from benchmarks.resampling import FACTORS, GALJAX, METHODS, OPENCV

TINY = ["--loops", "3", "--runs", "2", "--stamps", "5", "--sizes", "16", "21"]


@pytest.fixture(scope="module", autouse=True)
def jax_has_its_threads():
    """As many as there are cores, for the tests that come after the benchmark has bound this process to one."""
    jax.devices()


@pytest.fixture(scope="module")
def results():
    """Of a run in batches of 2 stamps, so that there is more than one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampling, "BATCH", 2)
        kept = []
        patch.setattr(resampling, "write_results", lambda name, content: kept.append((name, content)))
        assert resampling.main(TINY) == 0
    ((name, content),) = kept
    assert name == "resampling"
    return json.loads(json.dumps(content))


def test_every_condition_has_a_row_of_every_contender(results):
    table, chain = results["table_5_1"]["rows"], results["chain"]["rows"]
    names = {row["contender"] for row in table}
    assert {GALJAX, OPENCV, "jax.image.resize"} <= names
    assert [(row["method"], row["contender"]) for row in table] == [
        (method, row["contender"]) for method in METHODS for row in table[: len(names)]
    ]
    conditions = {(row["size"], row["factor"], row["method"]) for row in chain}
    assert conditions == {(size, factor, method) for size in (16, 21) for factor in FACTORS for method in METHODS}
    assert len(chain) == len(conditions) * len({row["contender"] for row in chain})
    assert {row["stamps"] for row in chain} == {6}


def test_galjax_equals_opencv_within_the_stated_tolerance(results):
    for row in results["table_5_1"]["rows"] + results["chain"]["rows"]:
        if row["contender"] == OPENCV:
            assert row["difference"] == 0
        if row["contender"] == GALJAX:
            assert row["difference"] <= row["tolerance"] <= 2e-6


def test_what_differs_in_convention_differs(results):
    found = {(row["method"], row["contender"]): row["difference"] for row in results["table_5_1"]["rows"]}
    assert 0.01 < found["bicubic", "jax.image.resize"] < 0.2
    assert found["bilinear", "jax.image.resize"] < 1e-6


def test_ratios_follow_from_the_times(results):
    for row in results["table_5_1"]["rows"]:
        (opencv,) = (
            r for r in results["table_5_1"]["rows"] if r["contender"] == OPENCV and r["method"] == row["method"]
        )
        assert row["ratio"] == pytest.approx(opencv["mean"] / row["mean"])
        assert row["seconds"]["n"] == 2
        assert row["seconds"]["min"] <= row["mean"] <= row["seconds"]["max"]
        assert row["std"] >= 0
    for row in results["chain"]["rows"]:
        (opencv,) = (
            r
            for r in results["chain"]["rows"]
            if r["contender"] == OPENCV and all(r[key] == row[key] for key in ("size", "factor", "method"))
        )
        assert row["ratio"] == pytest.approx(row["stamps_per_second"] / opencv["stamps_per_second"])
        assert row["seconds_per_batch"]["n"] == 3


def test_tables_show_every_row(results):
    tables = resampling.tables(results)
    assert list(tables) == ["resampling-table-5-1", "resampling-chain", "resampling-chain-ranges"]
    table, chain, ranges = (text.splitlines() for text in tables.values())
    assert len(ranges) == 2 + 2 * len(METHODS)
    assert len(table) == 2 + len(results["table_5_1"]["rows"]) + len(METHODS)
    assert "| nearest, thesis's OpenCV loop (another machine) |  | 247.0 ± 2.25 |  |" in table
    assert len(chain) == 2 + 2 * len(FACTORS) * len(METHODS)
    assert all(line.count("|") == chain[0].count("|") for line in chain)


def test_without_pytorch_it_is_left_out_with_a_line(monkeypatch, capsys):
    def not_installed(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", not_installed)
    monkeypatch.setattr(measure, "RESULTS", None)  # nothing can be kept
    assert resampling.main(["--quick", "--sizes", "8"]) == 0
    output = capsys.readouterr().out
    assert output.count("PyTorch") == 1
    assert "PyTorch: left out, it is not installed\n" in output
    assert "| bicubic, galjax |" in output
    assert "| 8x8 px, 1/8, bicubic |" in output
    assert "kept in" not in output


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["--loops", "0"], "--loops must be at least 1, not 0."),
        (["--runs", "-1"], "--runs must be at least 1, not -1."),
        (["--stamps", "0"], "--stamps must be at least 1, not 0."),
        (["--sizes", "64", "7"], "--sizes must be at least 8, not 7."),
        (["--sizes", "64", "64"], "--sizes takes one or more values, each once"),
        (["--cores", "0"], "--cores must be at least 1, not 0."),
        (["--cores", "100000"], "--cores can be at most"),
    ],
)
def test_bad_flags_get_a_sentence(flags, sentence, capsys):
    assert resampling.main([*flags, "--no-write"]) == 2
    assert f"error: {sentence}" in capsys.readouterr().err


def test_a_wrong_result_stops_the_benchmark(monkeypatch):
    monkeypatch.setattr(resampling, "resize", lambda images, size, method: 1.01 * np.float32(1) * _enlarged(images))
    with pytest.raises(ArithmeticError, match="nearest enlargement differs from OpenCV's by"):
        resampling.main(["--quick", "--no-write"])


def _enlarged(images):
    return images.repeat(8, axis=1).repeat(8, axis=2)
