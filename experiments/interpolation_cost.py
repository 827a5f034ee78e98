"""What does enlarging an image cost? (thesis, 5.4, table 5.1)

    python -m benchmarks.resampling                   # measures; 15 minutes on 2 CPU cores
    python -m experiments.interpolation_cost          # shows what was measured, at once

The thesis timed OpenCV on 100 stamps from 8x8 to 64x64 px: 247 us with nearest, 378 us with bilinear, 1.48 ms with bicubic.
`benchmarks.resampling` does so with OpenCV, galjax, `jax.image.resize` and PyTorch on this machine and keeps the result; this
shows the results that are kept, and gives the chapter of the report of `experiments.thesis`.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astropy.table import Table, vstack
from rich.console import Console

from galjax.analysis.published import INTERPOLATION_MICROSECONDS
from galjax.analysis.wording import fixed
from galjax.cli.command import exit_code
from galjax.cli.experiment import screen_table
from galjax.errors import InputError
from galjax.report.html import Chapter, Section
from galjax.terminal.console import say

NAME = "interpolation_cost"
TITLE = "The cost of enlarging images"
QUESTION = "What does enlarging an image cost?"
RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return exit_code(lambda: _show(given))


def _show(arguments: list[str]) -> None:
    if arguments in (["--help"], ["-h"]):
        Console().print(__doc__ or QUESTION, highlight=False, markup=False)
        return
    if arguments:
        raise InputError(f"This command takes no flags, but got {' '.join(arguments)}; benchmarks.resampling measures.")
    found = chapter()
    if found is None:
        raise InputError(f"No result is kept in {RESULTS}. Run python -m benchmarks.resampling first.")
    console = Console()
    for section in found.sections:
        for caption, table in section.tables.items():
            rows = [[fixed(v, 1) if isinstance(v, float) else str(v) for v in row] for row in table]
            console.print(screen_table(caption, list(table.colnames), rows))
    for sentence in found.conclusions:
        say(console, sentence)


def chapter() -> Chapter | None:
    """What is known of every machine that was measured; None where none was."""
    tables = {}
    sentences = []
    for path in sorted(RESULTS.glob("*/resampling.json")):
        measured = json.loads(path.read_text())
        tables[f"{path.parent.name}: us for 100 stamps, 8x8 to 64x64 px (table 5.1)"] = _table(measured)
        sentences += _sentences(path.parent.name, measured)
    if not tables:
        return None
    return Chapter(NAME, TITLE, QUESTION, tuple(sentences), (Section("Table 5.1", tables=tables),))


def _table(measured: dict[str, Any]) -> Table:
    rows = [
        (row["method"], row["contender"], 1e6 * row["mean"], 1e6 * row["std"], row["seconds"]["n"], float(row["ratio"]))
        for row in measured["table_5_1"]["rows"]
    ]
    names = ("method", "program", "mean_us", "std_us", "n", "opencv_time_over_its_time")
    ours = Table(rows=rows, names=names)
    theirs = Table(
        rows=[(m, "thesis, OpenCV", *figures, 7, float("nan")) for m, figures in INTERPOLATION_MICROSECONDS.items()],
        names=names,
    )
    return vstack([ours, theirs])


def _sentences(machine: str, measured: dict[str, Any]) -> list[str]:
    ratios = {row["method"]: row["ratio"] for row in measured["table_5_1"]["rows"] if row["contender"] == "galjax"}
    words = ", ".join(f"{_speed(ratio)} with {method}" for method, ratio in ratios.items())
    return [f"{machine}: compared with a loop over OpenCV, galjax is {words}."] if ratios else []


def _speed(ratio: float) -> str:
    """OpenCV's time over ours in words: how many times as fast, or slower."""
    if abs(ratio - 1) < 0.05:
        return "as fast"
    return f"{ratio:.1f} times as fast" if ratio > 1 else f"{1 / ratio:.1f} times slower"


if __name__ == "__main__":
    sys.exit(main())
