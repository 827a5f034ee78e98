"""Does the cost per device stay flat when repeats and devices grow together?

    python -m benchmarks.weak_scaling               # 2 CPU cores: 3 minutes
    python -m benchmarks.weak_scaling --quick       # a minute, small numbers

As many repeats on every device, on 1, 2, 4 ... devices. The training program holds no exchange between repeats, so an epoch should
take as long on all of them. A CPU's devices are host devices; where they are more than its cores (marked "oversubscribed") they
take turns, and what should stay flat is the time of an epoch times cores / devices. Points are measured in turn, round by
round, so that a busy machine is as unkind to each.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

import jax

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from benchmarks.measure import in_turn, markdown_table, write_results
from galjax.execution import ExecutionConfig, cores

NAME = "weak_scaling"


@dataclasses.dataclass(frozen=True)
class WeakScalingBenchmark:
    """Flags."""

    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of devices; of GPUs only as many as there are."""
    repeats_per_device: int = 2
    """Repeats on every device."""
    rounds: int = 5
    """Times that each point is measured."""
    quick: bool = False
    """Small numbers, to see that it works."""
    write: bool = True
    """Keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, devices=min(self.devices, default=0), rounds=self.rounds)
        check_at_least(1, repeats_per_device=self.repeats_per_device)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(WeakScalingBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: WeakScalingBenchmark) -> dict[str, Any]:
    """Measure every number of devices, print and keep."""
    try:
        jax.config.update("jax_num_cpu_devices", max(config.devices))
    except RuntimeError:
        say("JAX has its devices already; only as many as those are measured.")
    problem = Problem(galaxies=24 if config.quick else 72, image_size=16 if config.quick else 64)
    numbers = [n for n in sorted(config.devices) if n <= jax.device_count()]
    contenders = {
        str(n): JaxRepeats(problem, n * config.repeats_per_device, ExecutionConfig(), devices=n) for n in numbers
    }
    seconds = in_turn({name: one.run for name, one in contenders.items()}, 1 if config.quick else config.rounds)
    at_once = cores() if jax.default_backend() == "cpu" else jax.device_count()
    rows = [
        {"devices": n, "at_once": min(n, at_once), "repeats": contenders[str(n)].execution.devices * config.repeats_per_device,
         "seconds": seconds[str(n)].record()}
        for n in numbers
    ]  # fmt: skip
    results = {"repeats_per_device": config.repeats_per_device, "rows": rows}
    for table in tables(results).values():
        say(f"\n{table}")
    if config.write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    first = results["rows"][0]["seconds"]["median"]
    rows = []
    for row in results["rows"]:
        devices, at_once = row["devices"], row["at_once"]
        own = row["seconds"]["median"] * at_once / devices
        rows.append([
            f"{devices}{', oversubscribed' if at_once < devices else ''}", str(row["repeats"]),
            f"{row['seconds']['median']:.3f}", f"{row['seconds']['min']:.3f} - {row['seconds']['max']:.3f}",
            f"{own:.3f}", f"{first / own:.2f}",
        ])  # fmt: skip
    header = ["devices", "repeats", "s an epoch", "range", "s of each device's own time", "efficiency"]
    return {"weak-scaling": markdown_table(header, rows)}


if __name__ == "__main__":
    sys.exit(main())
