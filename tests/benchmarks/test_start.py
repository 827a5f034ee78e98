"""Answers are timed as processes of their own, in ratio to `import jax`, and only where they are the right ones."""

import pytest

from benchmarks import start


def test_ratios_are_to_the_reference(monkeypatch):
    monkeypatch.setattr(start, "ANSWERS", {start.REFERENCE: (("-c", "pass"), 0), "wrong": (("-c", "exit(2)"), 2)})
    results = start.run(start.StartBenchmark(rounds=1, no_write=True))
    first, second = results["rows"]
    assert (first["answer"], first["ratio"], first["seconds"]["n"]) == (start.REFERENCE, 1.0, 1)
    assert second["ratio"] == second["seconds"]["median"] / first["seconds"]["median"]
    table = start.tables(
        {"rows": [{"answer": "a", "ratio": 0.5, "seconds": {"median": 1, "min": 0.9, "max": 1.25, "n": 3}}]}
    )
    assert table["start"].splitlines()[-1] == "| a | 0.50 | 1.00 | 0.90 - 1.25 |"


def test_an_answer_that_is_not_the_right_one_is_not_timed(monkeypatch):
    monkeypatch.setattr(start, "ANSWERS", {start.REFERENCE: (("-c", "exit(3)"), 0)})
    with pytest.raises(ArithmeticError, match="ended with 3, not 0"):
        start.run(start.StartBenchmark(rounds=1, no_write=True))
