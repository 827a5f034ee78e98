"""How long does a command take to answer: `--help`, a wrong flag, a path that is not there, and `import galjax`?

    python -m benchmarks.start                 # 2 CPU cores: 1 minute
    python -m benchmarks.start --rounds 3 --no-write

Each answer is a process of its own, all in turn; the ratio is that of its median to the median of `python -c "import jax"` in
the same run, which is what the libraries alone take.

Expect half of that for the commands of `experiments`, and less for `import galjax`.
"""

import dataclasses
import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.measure import in_turn, write_results
from galjax.analysis.tables import markdown_table

NAME = "start"
ROOT = Path(__file__).resolve().parents[1]
REFERENCE = "import jax"
SWEEP = ("-m", "experiments.resolution_sweep")
ANSWERS: dict[str, tuple[tuple[str, ...], int]] = {
    REFERENCE: (("-c", "import jax"), 0),
    "import galjax": (("-c", "import galjax"), 0),
    "resolution_sweep --help": ((*SWEEP, "--help"), 0),
    "resolution_sweep --epoch 3 (a wrong flag)": ((*SWEEP, "--epoch", "3"), 2),
    "resolution_sweep --data nowhere": ((*SWEEP, "--data", "nowhere"), 2),
    "thesis --help": (("-m", "experiments.thesis", "--help"), 0),
    "build_sample --help": (("-m", "experiments.build_sample", "--help"), 0),
    "benchmarks.training --help": (("-m", "benchmarks.training", "--help"), 0),
}
"""Arguments of Python, and the exit code that is right."""


@dataclasses.dataclass(frozen=True)
class StartBenchmark:
    """Flags."""

    rounds: int = 7
    """Times that each answer is measured."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, rounds=self.rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(StartBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: StartBenchmark) -> dict[str, Any]:
    """Measure, print and keep."""
    contenders = {name: functools.partial(_answer, *answer) for name, answer in ANSWERS.items()}
    times = in_turn(contenders, config.rounds)
    reference = times[REFERENCE].median
    rows = [{"answer": name, "ratio": its.median / reference, "seconds": its.record()} for name, its in times.items()]
    results = {"rows": rows}
    say(tables(results)["start"])
    if not config.no_write:
        say(f"Results: {write_results(NAME, results)}")
    return results


def _answer(arguments: tuple[str, ...], expected: int) -> None:
    """One process; raises ArithmeticError where it does not answer as it should."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != expected:
        raise ArithmeticError(f"{arguments} ended with {done.returncode}, not {expected}: {done.stderr[-500:]}")


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = [
        [
            row["answer"],
            f"{row['ratio']:.2f}",
            f"{row['seconds']['median']:.2f}",
            f"{row['seconds']['min']:.2f} - {row['seconds']['max']:.2f}",
        ]
        for row in results["rows"]
    ]
    return {"start": markdown_table(["answer", f"ratio to {REFERENCE}", "s", "range, s"], rows)}


if __name__ == "__main__":
    sys.exit(main())
