import json

import numpy as np
import pytest

from benchmarks import catalogue
from benchmarks.catalogue import ASTROPY, GALJAX, tables

RESULTS = {
    "rows": 1_000_000,
    "files": [
        {
            "file": "csv",
            "bytes": 4e7,
            "ratio": 0.5,
            "gigabytes": 0.8,
            "seconds": {
                GALJAX: {"median": 4.0, "min": 3.0, "max": 5.0, "n": 5},
                ASTROPY: {"median": 2.0, "min": 1.0, "max": 3.0, "n": 5},
            },
        }
    ],
}


def test_the_table_has_the_ratio_first_and_the_range():
    lines = tables(RESULTS)["catalogue"].splitlines()
    assert lines[0].startswith("| catalogue of 1,000,000 rows | Table.read's time / galjax's |")
    assert lines[2] == "| CSV, 40 MB | 0.5 | 250,000 | 4.00 (3.00 - 5.00) | 2.00 (1.00 - 3.00) | 0.80 |"


def test_a_small_run(monkeypatch, capsys):
    monkeypatch.setattr(catalogue.multiprocessing, "get_context", lambda kind: Here())
    kept = []
    monkeypatch.setattr(catalogue, "write_results", lambda name, content: kept.append((name, content)))
    assert catalogue.main(["--rows", "100", "--rounds", "2"]) == 0
    ((name, results),) = kept
    assert (name, [row["file"] for row in results["files"]]) == ("catalogue", ["csv", "fits"])
    for row in json.loads(json.dumps(results))["files"]:
        assert row["ratio"] == pytest.approx(row["seconds"][ASTROPY]["median"] / row["seconds"][GALJAX]["median"])
        assert {times["n"] for times in row["seconds"].values()} == {2}
    assert "catalogue of 100 rows" in capsys.readouterr().out


class Here:
    """A pool of no processes."""

    def Pool(self, count):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def apply(self, function, arguments):
        return 0.5


def test_flags_have_one_class_but_for_every_eighth():
    set_flags = catalogue._flags(80).sum(axis=0)
    assert np.flatnonzero(set_flags != 1).tolist() == list(range(0, 80, 8))


def test_a_wrong_reading_stops_the_benchmark(monkeypatch):
    right = catalogue.read_columns

    def wrong(*arguments):
        columns = right(*arguments)
        return columns._replace(ids=columns.ids + 1)

    monkeypatch.setattr(catalogue, "read_columns", wrong)
    with pytest.raises(ArithmeticError, match="is not read as it was made"):
        catalogue.main(["--quick"])


def test_bad_flags_get_a_sentence(capsys):
    assert catalogue.main(["--rows", "3", "--no-write"]) == 2
    assert "error: --rows must be at least 80, not 3." in capsys.readouterr().err
