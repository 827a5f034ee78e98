"""Does the cost per device stay flat when repeats and devices grow together?

    python -m benchmarks.weak_scaling               # 2 CPU cores: 3 minutes
    python -m benchmarks.weak_scaling --quick       # a minute, small numbers

As many repeats on every device, on 1, 2, 4 ... devices. The training program holds no exchange between repeats, so an epoch should
take as long on all of them, where devices share nothing. A CPU's devices are host devices: they share its memory and caches,
and where they are more than its cores (marked "oversubscribed") they take turns. So on a CPU each point has its baseline in the
same run: as many separate processes of one device, each with its own repeats, that train at the same time. What one program takes
beyond those is the cost of its being one; for one device it is the same process, and shows the noise. Points are measured in
turn, round by round, so that a busy machine is as unkind to each.
"""

import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.apart import start_apart
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from benchmarks.measure import Times, in_turn, write_results
from galjax.analysis.tables import markdown_table
from galjax.training.execution import ExecutionConfig, cores

NAME = "weak_scaling"


@dataclasses.dataclass(frozen=True)
class WeakScalingBenchmark:
    """Flags."""

    devices: tuple[int, ...] = (1, 2, 4, 8)
    """Numbers of devices to measure; of GPUs only as many as there are."""
    repeats_per_device: int = 2
    """Repeats on every device."""
    rounds: int = 5
    """Times that each point is measured."""
    quick: bool = False
    """Measure small numbers only, to see that it works; what comes out is no result."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, devices=min(self.devices, default=0), rounds=self.rounds)
        check_at_least(1, repeats_per_device=self.repeats_per_device)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(WeakScalingBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: WeakScalingBenchmark) -> dict[str, Any]:
    """Measure every number of devices, print and keep."""
    problem = Problem(galaxies=24 if config.quick else 72, image_size=16 if config.quick else 64)
    rounds, on_cpu = 1 if config.quick else config.rounds, jax.default_backend() == "cpu"
    numbers = [n for n in sorted(config.devices) if on_cpu or n <= jax.device_count()]
    seconds = (_on_host_devices if on_cpu else _on_accelerators)(numbers, problem, config.repeats_per_device, rounds)
    at_once = cores() if on_cpu else jax.device_count()
    rows = [
        {
            "devices": n,
            "at_once": min(n, at_once),
            "repeats": n * config.repeats_per_device,
            "seconds": seconds[str(n)].record(),
            "apart": seconds[f"{n} apart"].record() if on_cpu else None,
        }
        for n in numbers
    ]
    results = {"repeats_per_device": config.repeats_per_device, "rows": rows}
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def _on_accelerators(numbers: Sequence[int], problem: Problem, repeats: int, rounds: int) -> dict[str, Times]:
    """Seconds of an epoch by number of devices, with `repeats` on each."""
    programs = {str(n): JaxRepeats(problem, n * repeats, ExecutionConfig(), devices=n) for n in numbers}
    return in_turn({name: program.run for name, program in programs.items()}, rounds)


def _on_host_devices(numbers: Sequence[int], problem: Problem, repeats: int, rounds: int) -> dict[str, Times]:
    """The same, and "N apart": of N processes of one device at the same time.

    Each number of devices has a process of its own: with eight host devices JAX is slower on one of them than where there
    is one.
    """
    singles, more = numbers[-1], [n for n in numbers if n > 1]
    say(f"Starting {singles + len(more)} processes.")
    with start_apart(problem, repeats, [*[1] * singles, *more]) as processes:
        place = {1: 0, **{n: singles + index for index, n in enumerate(more)}}
        runs = {str(n): partial(processes.run, [place[n]]) for n in numbers}
        runs |= {f"{n} apart": partial(processes.run, range(n)) for n in numbers}
        return in_turn(runs, rounds)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = []
    for row in results["rows"]:
        devices, seconds, apart = row["devices"], row["seconds"], row["apart"]
        rows.append(
            [
                f"{devices}{', oversubscribed' if row['at_once'] < devices else ''}",
                str(row["repeats"]),
                f"{seconds['median'] / apart['median']:.2f}" if apart else "-",
                f"{seconds['median']:.3f} ({seconds['min']:.3f} - {seconds['max']:.3f})",
                f"{apart['median']:.3f} ({apart['min']:.3f} - {apart['max']:.3f})" if apart else "-",
            ]
        )
    header = [
        "devices",
        "repeats",
        "one program / separate processes",
        "one program, s an epoch (range)",
        "separate processes, s an epoch (range)",
    ]
    return {"weak-scaling": markdown_table(header, rows)}


if __name__ == "__main__":
    sys.exit(main())
