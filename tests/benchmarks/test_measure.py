import json

import jax
import pytest

from benchmarks import measure, readme
from benchmarks.measure import Times, in_turn
from galjax.analysis.tables import markdown_table


def test_contenders_take_turns_and_the_warm_up_is_not_counted():
    calls = []
    times = in_turn({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2, warm_up=1)
    assert calls == ["a", "b"] * 3
    assert {name: len(value.seconds) for name, value in times.items()} == {"a": 2, "b": 2}


def test_times_in_another_unit():
    times = Times((1.0, 2.0, 6.0)).scaled(0.5)
    assert (times.median, times.mean, times.record()) == (1.0, 1.5, {"median": 1.0, "min": 0.5, "max": 3.0, "n": 3})
    assert Times((1.0, 3.0)).std == pytest.approx(2**0.5)
    assert Times((1.0,)).std == 0


def test_the_ceilings_are_positive_and_make_a_floor():
    ceilings = measure.measure_ceilings(rounds=1)
    assert ceilings.flops > 1e9
    assert ceilings.bytes > 1e8
    assert ceilings.floor(2 * ceilings.flops, 3 * ceilings.bytes) == pytest.approx(5)


def test_results_are_kept_by_machine_with_what_measured_them(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    path = measure.write_results("some", {"figure": 1.5})
    assert path == tmp_path / measure.machine_name() / "some.json"
    content = json.loads(path.read_text())
    assert content["figure"] == 1.5
    assert content["environment"]["versions"]["jax"] == jax.__version__
    assert content["environment"]["machine"].startswith("cpu-")


def test_tables_of_the_readmes_are_those_of_the_kept_results():
    texts = [path.read_text() for path in readme.READMES]
    assert sum(len(readme.PLACE.findall(text)) for text in texts) >= 11
    assert [readme.with_tables(text) for text in texts] == texts


def test_a_markdown_table():
    assert markdown_table(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"
