"""How does the cost grow with repeats, galaxies, image size, batch size and devices?

    python -m benchmarks.scaling                    # 2 CPU cores: 10 minutes
    python -m benchmarks.scaling --quick            # a minute, small numbers

One thing is changed at a time from the default setting (300 per class, 64x64 px, batch 8). Each point is the time of a
training epoch, the median of a few; the exponent p of cost ~ size^p is fitted through the points, and the times are
given per repeat and galaxy too, where a flat line means that nothing is lost. Devices: the CPU's cores, as JAX is told
to see them; a GPU machine has its own number.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from benchmarks.measure import in_turn, write_results
from galjax.analysis.tables import markdown_table
from galjax.training.execution import ExecutionConfig, use_all_cores

NAME = "scaling"
TRAIN_SHARE = 0.7
"""Share of the galaxies drawn that is trained on."""


@dataclasses.dataclass(frozen=True)
class ScalingBenchmark:
    """Flags."""

    repeats: tuple[int, ...] = (1, 2, 5, 10, 30, 100)
    """Numbers of repeats to measure."""
    per_class: tuple[int, ...] = (100, 300, 1000)
    """Numbers of galaxies of each of two classes to measure; 7 in 10 of them are trained on."""
    image_sizes: tuple[int, ...] = (32, 64, 100, 150)
    """Heights and widths of the images to measure, px."""
    batch_sizes: tuple[int, ...] = (2, 4, 8, 16, 32, 64)
    """Numbers of galaxies in a step to measure."""
    rounds: int = 3
    """Times that each point is measured."""
    repeats_elsewhere: int | None = None
    """Repeats trained where something else is varied. None: one on every core of a CPU, 30 elsewhere."""
    quick: bool = False
    """Measure small numbers only, to see that it works; what comes out is no result."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        for name in ("repeats", "per_class", "image_sizes", "batch_sizes"):
            check_at_least(8 if name == "image_sizes" else 1, **{name: min(getattr(self, name), default=0)})
        check_at_least(
            1, rounds=self.rounds, repeats_elsewhere=1 if self.repeats_elsewhere is None else self.repeats_elsewhere
        )


@dataclasses.dataclass(frozen=True)
class Point:
    """One setting."""

    axis: str
    value: int
    repeats: int
    problem: Problem
    devices: int | None = None

    @property
    def label(self) -> str:
        """As the tables call it."""
        return f"{self.axis} {self.value}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(ScalingBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: ScalingBenchmark) -> dict[str, Any]:
    """Measure every point, fit, print and keep."""
    use_all_cores()
    if config.quick:
        config = dataclasses.replace(
            config, repeats=(1, 2, 3), per_class=(10, 20), image_sizes=(16, 24), batch_sizes=(4, 8), rounds=1
        )
    rows = []
    for point in points(config):
        rows.append(measure_point(point, config.rounds))
        say(f"{point.label}: {rows[-1]['seconds']['median']:.3f} s an epoch")
    results = {"rows": rows, "exponents": exponents(rows)}
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def points(config: ScalingBenchmark) -> list[Point]:
    """All settings; where the axis is not the galaxies, an epoch is a sixth as long as with 300 per class."""
    devices = jax.device_count()
    repeats = config.repeats_elsewhere or (devices if jax.default_backend() == "cpu" else 30)
    short = Problem(galaxies=24 if config.quick else 72, image_size=16 if config.quick else 64)
    found = [Point("repeats", n, n, short) for n in config.repeats]
    found += [
        Point("galaxies per class", n, repeats, dataclasses.replace(short, galaxies=round(2 * n * TRAIN_SHARE)))
        for n in config.per_class
    ]
    found += [Point("image size", n, repeats, dataclasses.replace(short, image_size=n)) for n in config.image_sizes]
    found += [Point("batch size", n, repeats, dataclasses.replace(short, batch_size=n)) for n in config.batch_sizes]
    numbers = [n for n in (1, 2, 4, 8, 16) if n <= devices]
    found += [Point("devices", n, max(repeats, 2 * max(numbers)), short, devices=n) for n in numbers]
    return found


def measure_point(point: Point, rounds: int) -> dict[str, Any]:
    """The time of an epoch, in all and per repeat and galaxy."""
    contender = JaxRepeats(point.problem, point.repeats, ExecutionConfig(), devices=point.devices)
    seconds = in_turn({"epoch": contender.run}, rounds)["epoch"]
    return {
        "axis": point.axis,
        "value": point.value,
        "repeats": point.repeats,
        "galaxies": point.problem.galaxies,
        "seconds": seconds.record(),
        "seconds_per_galaxy": seconds.median / point.repeats / point.problem.galaxies,
        "compile_seconds": contender.compile_seconds,
    }


def exponents(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The slope of log time against log value for every axis with two points or more."""
    found = {}
    for axis in dict.fromkeys(row["axis"] for row in rows):
        values = [(row["value"], row["seconds"]["median"]) for row in rows if row["axis"] == axis]
        if len(values) > 1:
            value, seconds = np.log(np.array(values)).T
            found[axis] = float(np.polyfit(value, seconds, 1)[0])
    return found


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = [
        [
            f"{row['axis']} {row['value']}",
            f"{row['seconds']['median']:.2f}",
            f"{1e3 * row['seconds_per_galaxy']:.2f}",
            f"{row['compile_seconds']:.1f}",
        ]
        for row in results["rows"]
    ]
    fits = [[axis, f"{value:.2f}"] for axis, value in results["exponents"].items()]
    return {
        "scaling": markdown_table(["setting", "s an epoch", "ms per repeat and galaxy", "compile (s)"], rows),
        "scaling-exponents": markdown_table(["cost grows with", "to the power"], fits),
    }


if __name__ == "__main__":
    sys.exit(main())
