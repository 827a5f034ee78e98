"""Does the cost per device stay flat when repeats and devices grow together?

    python -m benchmarks.weak_scaling               # 2 CPU cores: 3 minutes
    python -m benchmarks.weak_scaling --quick       # a minute, small numbers

As many repeats on every device, on 1, 2, 4 ... devices. The training program holds no exchange between repeats, so an epoch should
take as long on all of them, where devices share nothing. A CPU's devices are host devices: they share its memory and caches,
and where they are more than its cores (marked "oversubscribed") they take turns. So on a CPU each point has its baseline in the
same run: as many separate processes of one device, each with its own repeats, that train at the same time. What one program takes
beyond those is the cost of its being one. Points are measured in turn, round by round, so that a busy machine is as unkind to each.
"""

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.apart import start_apart
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
    on_cpu = jax.default_backend() == "cpu"
    numbers = [n for n in sorted(config.devices) if n <= jax.device_count()]
    contenders = {
        str(n): JaxRepeats(problem, n * config.repeats_per_device, ExecutionConfig(), devices=n) for n in numbers
    }
    runs: dict[str, Callable[[], object]] = {name: one.run for name, one in contenders.items()}
    with contextlib.ExitStack() as stack:
        if on_cpu:
            say(f"Starting {numbers[-1]} separate processes, the baseline.")
            apart = stack.enter_context(start_apart(problem, config.repeats_per_device, numbers[-1]))
            runs |= {f"{n} apart": partial(apart.run, n) for n in numbers}
        seconds = in_turn(runs, 1 if config.quick else config.rounds)
    at_once = cores() if on_cpu else jax.device_count()
    rows = [
        {"devices": n, "at_once": min(n, at_once), "repeats": contenders[str(n)].execution.devices * config.repeats_per_device,
         "seconds": seconds[str(n)].record(), "apart": seconds[f"{n} apart"].record() if on_cpu else None}
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
    rows = []
    for row in results["rows"]:
        devices, seconds, apart = row["devices"], row["seconds"], row["apart"]
        rows.append([
            f"{devices}{', oversubscribed' if row['at_once'] < devices else ''}", str(row["repeats"]),
            f"{seconds['median'] / apart['median']:.2f}" if apart else "-",
            f"{seconds['median']:.3f} ({seconds['min']:.3f} - {seconds['max']:.3f})",
            f"{apart['median']:.3f} ({apart['min']:.3f} - {apart['max']:.3f})" if apart else "-",
        ])  # fmt: skip
    header = ["devices", "repeats", "one program / separate processes", "one program, s an epoch (range)",
              "separate processes, s an epoch (range)"]  # fmt: skip
    return {"weak-scaling": markdown_table(header, rows)}


if __name__ == "__main__":
    sys.exit(main())
