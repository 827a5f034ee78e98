"""Where does the time of a training step go? Every operation of the compiled program, by layer and direction.

    python -m benchmarks.profile                    # 1 minute on 2 CPU cores
    python -m benchmarks.profile --operations 30    # the 30 longest operations one by one

The program that users run trains one epoch under JAX's profiler. Times are summed over all cores, in ms of one core per
repeat and step, so that they add up to the number of cores times what `benchmarks.training` shows. Operations that the
compiler fused stand under the layer of the last one. Only XLA:CPU names its operations in this way; on a GPU use
`jax.profiler` with its own viewer.
"""

import collections
import dataclasses
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from benchmarks.measure import write_results
from galjax.analysis.tables import markdown_table
from galjax.errors import InputError
from galjax.training.execution import ExecutionConfig, use_all_cores

NAME = "profile"


@dataclasses.dataclass(frozen=True)
class ProfileBenchmark:
    """Flags."""

    repeats: int = 4
    """Repeats trained at once."""
    galaxies: int = 420
    """Galaxies in the epoch."""
    image_size: int = 64
    """Height and width of the images, px."""
    operations: int = 0
    """Number of the longest operations to list as well."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, repeats=self.repeats, galaxies=self.galaxies)
        check_at_least(8, image_size=self.image_size)
        check_at_least(0, operations=self.operations)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    # The flag must be there before XLA starts: it makes every operation report its time.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_enable_xprof_traceme=true"
    return run_benchmark(ProfileBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: ProfileBenchmark) -> dict[str, Any]:
    """Train under the profiler, print and keep the table."""
    use_all_cores()
    if jax.default_backend() != "cpu":
        raise InputError("benchmarks.profile reads XLA:CPU's own operation names; set JAX_PLATFORMS=cpu to use it.")
    problem = Problem(galaxies=config.galaxies, image_size=config.image_size)
    contender = JaxRepeats(problem, config.repeats, ExecutionConfig())
    contender.run()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            contender.run()
        (trace,) = Path(folder).rglob("*.xplane.pb")
        seconds = _seconds_by_operation(trace)
    program = contender.program
    names = _names("".join(part.as_text() or "" for part in (program.training, program.evaluation)))
    parts: collections.defaultdict[str, float] = collections.defaultdict(float)
    longest: list[tuple[float, str, str]] = []
    for operation, total in seconds.items():
        if operation in names:
            share = total / contender.repeat_steps
            parts[part_of(names[operation])] += share
            longest.append((share, operation, names[operation]))
    results: dict[str, Any] = {
        "cores": contender.execution.devices,
        "core_seconds_per_repeat_and_step": dict(sorted(parts.items(), key=lambda part: -part[1])),
        "longest": sorted(longest, reverse=True)[: config.operations],
    }
    say(tables(results)["profile"])
    for share, operation, name in results["longest"]:
        say(f"{1e3 * share:8.3f} ms  {operation}  {name}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as a Markdown table."""
    parts = results["core_seconds_per_repeat_and_step"]
    total = sum(parts.values())
    rows = [[name, f"{1e3 * value:.2f}", f"{value / total:.0%}"] for name, value in parts.items()]
    rows.append(["all", f"{1e3 * total:.2f}", "100%"])
    return {"profile": markdown_table(["part of a step", "ms of one core", "share"], rows)}


def _seconds_by_operation(trace: Path) -> dict[str, float]:
    total: collections.defaultdict[str, float] = collections.defaultdict(float)
    for plane in jax.profiler.ProfileData.from_file(str(trace)).planes:
        for line in plane.lines:
            for event in line.events:
                total[event.name] += event.duration_ns / 1e9
    return total


def _names(compiled: str) -> dict[str, str]:
    """What Python called each operation of a compiled program; without loops, whose time is that of their bodies."""
    found = re.findall(r'^\s*(?:ROOT )?%(\S+) = (.*?)(?:metadata=\{.*?op_name="([^"]*)"|$)', compiled, re.MULTILINE)
    return {operation: name for operation, definition, name in found if " while(" not in definition}


def part_of(name: str) -> str:
    """Layer and direction of an operation: "conv_2 backward"; "update of dense kernels" and "other" for the rest."""
    layer = re.search(r"/(conv_\d|dense_\d|output|drop)\b", name)
    if layer:
        return f"{layer.group(1)} {'backward' if 'transpose(' in name else 'forward'}"
    if re.search(r"body/(closed_call/)?(dot_general|add)$", name):
        return "update of dense kernels"
    return "other"


if __name__ == "__main__":
    sys.exit(main())
