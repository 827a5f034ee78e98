"""What does one step of one repeat cost, in galjax and in everything else that a user could pick?

    python -m benchmarks.training                   # 2 CPU cores: 8 minutes
    python -m benchmarks.training --no-write --repeats 4 --rounds 2

Every contender trains the same network with the same starting weights, galaxies, batches of 8 and plain SGD, all in
turn in one process; frameworks that are not installed are left out with a line. First each trains an epoch without
dropout, and its mean loss is compared with PyTorch's, so that a fast but wrong result shows; rounding alone makes up to
4e-4, as PyTorch itself shows where its starting weights change by 1e-7. The machine's ceilings (a large matrix product, a
large copy) are measured in the same run, and with the operations and bytes that a step needs at the least they give its
floor. `python -m benchmarks.profile` shows where the time goes.

Expect, on 2 shared CPU cores with AVX-512, 0.35 to 0.45 of the time of the fastest PyTorch variant, whose own time varies
more than that of galjax. Tried there without gain:

- Winograd's minimal filtering for gradients to kernels (the products become too small) and for the third convolution;
- a transposed copy of the first dense kernel, which makes its forward pass as fast as its backward pass: writing the
  copy costs what it saves;
- delaying updates for 4 or 16 steps instead of 8; other sizes of the chunks in which the first dense kernel is read;
- XLA:CPU's oneDNN calls, its other library fusions, fast-math, other schedulers and vector widths: slower or the same.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.keras_fit import KerasFit
from benchmarks.contenders.problem import Contender, NotHere, Problem
from benchmarks.contenders.pytorch import CudaGraph, Ensemble, OneAtATime
from benchmarks.measure import Ceilings, Times, in_turn, measure_ceilings, write_results
from galjax.analysis.tables import markdown_table
from galjax.training.execution import ExecutionConfig, use_all_cores

NAME = "training"


@dataclasses.dataclass(frozen=True)
class TrainingBenchmark:
    """Flags."""

    repeats: int = 30
    """Repeats that galjax, the vmapped default and PyTorch's ensemble train at once."""
    galaxies: int = 420
    """Galaxies in an epoch; the slowest contenders are timed on their first 16."""
    image_size: int = 64
    """Height and width of the images, px."""
    rounds: int = 5
    """Times that each contender is timed, in turn."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, repeats=self.repeats, rounds=self.rounds, galaxies=self.galaxies)
        check_at_least(8, image_size=self.image_size)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A contender that is not made yet."""

    name: str
    make: Callable[[Problem, int], Contender]
    """From a problem and a number of repeats, which those that train one at a time do not heed."""
    galaxies: int | None = None
    """Time it on so few."""


def entries() -> list[Entry]:
    """galjax first, then what it is compared with."""
    default = ExecutionConfig(lowering="xla", delayed_steps=1)
    side_by_side = ExecutionConfig(lowering="xla", delayed_steps=1, repeats_at_once=10**6)
    return [
        Entry("galjax, all repeats", lambda p, n: JaxRepeats(p, n, ExecutionConfig())),
        Entry("galjax, one repeat", lambda p, n: JaxRepeats(p, 1, ExecutionConfig())),
        Entry("Flax default layers, one repeat", lambda p, n: JaxRepeats(p, 1, default), galaxies=16),
        Entry("Flax default layers, vmap", lambda p, n: JaxRepeats(p, n, side_by_side, devices=1), galaxies=16),
        Entry("PyTorch eager", lambda p, n: OneAtATime(p)),
        Entry("PyTorch channels-last, fused SGD", lambda p, n: OneAtATime(p, channels_last=True, fused=True)),
        Entry("PyTorch torch.compile", lambda p, n: OneAtATime(p, channels_last=True, fused=True, compiled=True)),
        Entry("PyTorch CUDA graph", lambda p, n: CudaGraph(p)),
        Entry("PyTorch torch.func ensemble", Ensemble, galaxies=16),
        Entry(f"Keras 3 fit ({KerasFit.backend() or 'not here'})", lambda p, n: KerasFit(p)),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(TrainingBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: TrainingBenchmark) -> dict[str, Any]:
    """Check losses, time everything in turn, print and keep the tables."""
    use_all_cores()
    problem = Problem(galaxies=config.galaxies, image_size=config.image_size)
    contenders, losses, skipped = _prepare(problem, config.repeats)
    say(f"timing {len(contenders)} contenders, {config.rounds} rounds in turn")
    ceilings = measure_ceilings()
    times = in_turn({name: contender.run for name, contender in contenders.items()}, config.rounds)
    results = summarise(problem, config, contenders, times, losses, ceilings) | {"skipped": skipped}
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def _prepare(problem: Problem, repeats: int) -> tuple[dict[str, Contender], dict[str, float], dict[str, str]]:
    """Contenders ready to be timed, the loss of each without dropout over the reference's, and those left out."""
    contenders: dict[str, Contender] = {}
    differences: dict[str, float] = {}
    skipped: dict[str, str] = {}
    references: dict[int, float] = {}
    for entry in entries():
        its = dataclasses.replace(problem, galaxies=min(entry.galaxies or problem.galaxies, problem.galaxies))
        # At a small learning rate, where training is not chaotic, and rounding stays rounding.
        undropped = dataclasses.replace(its, dropout=0.0, learning_rate=problem.learning_rate / 10)
        try:
            loss = entry.make(undropped, min(repeats, 2)).run()
            if its.galaxies not in references:
                references[its.galaxies] = _reference_loss(undropped)
            differences[entry.name] = abs(loss / references[its.galaxies] - 1)
            contenders[entry.name] = entry.make(its, repeats)
            say(f"{entry.name}: mean loss of an epoch {loss:.6f}, {differences[entry.name]:.0e} from the reference")
        except NotHere as reason:
            skipped[entry.name] = str(reason)
            say(f"{entry.name}: left out, {reason}")
    return contenders, differences, skipped


def _reference_loss(problem: Problem) -> float:
    """Mean loss of an epoch by PyTorch where it is installed, else by Flax's own layers."""
    try:
        return OneAtATime(problem).run()
    except NotHere:
        return JaxRepeats(problem, 1, ExecutionConfig(lowering="xla", delayed_steps=1)).run()


def summarise(
    problem: Problem,
    config: TrainingBenchmark,
    contenders: Mapping[str, Contender],
    times: Mapping[str, Times],
    losses: Mapping[str, float],
    ceilings: Ceilings,
) -> dict[str, Any]:
    """Everything that was measured, per repeat and step, for JSON and `tables`."""
    per_step = {name: times[name].scaled(1 / contender.repeat_steps) for name, contender in contenders.items()}
    pytorch = [value.median for name, value in per_step.items() if name.startswith("PyTorch")]
    fastest = min(pytorch) if pytorch else None
    first = contenders["galjax, all repeats"]
    assert isinstance(first, JaxRepeats)
    work = problem.work(first.execution.delayed_steps)
    convolutions, weights = work.convolution_flops / ceilings.flops, work.weight_bytes / ceilings.bytes
    return {
        "repeats": config.repeats,
        "image_size": config.image_size,
        "batch_size": problem.batch_size,
        "execution": first.execution._asdict(),
        "compile_seconds": {n: c.compile_seconds for n, c in contenders.items() if isinstance(c, JaxRepeats)},
        "contenders": {
            name: {
                "seconds": value.record(),
                "ratio_to_fastest_pytorch": value.median / fastest if fastest else None,
                "loss_difference": losses[name],
            }
            for name, value in per_step.items()
        },
        "ceilings": dataclasses.asdict(ceilings),
        "work": dataclasses.asdict(work),
        "floor_seconds": {"convolutions": convolutions, "weights": weights, "all": convolutions + weights},
    }


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = []
    fastest_first = sorted(results["contenders"].items(), key=lambda item: item[1]["seconds"]["median"])
    for name, row in fastest_first:
        ratio, seconds = row["ratio_to_fastest_pytorch"], row["seconds"]
        rows.append(
            [
                name,
                "" if ratio is None else f"{ratio:.2f}",
                f"{1e3 * seconds['median']:.2f}",
                f"{1e3 * seconds['min']:.2f} - {1e3 * seconds['max']:.2f}",
                f"{row['loss_difference']:.0e}",
            ]
        )
    header = ["training", "time / fastest PyTorch", "ms per repeat and step", "range", "loss differs by"]
    floor, ceilings = results["floor_seconds"], results["ceilings"]
    ours = results["contenders"]["galjax, all repeats"]["seconds"]["median"]
    floor_rows = [
        [
            "convolutions",
            f"{results['work']['convolution_flops'] / 1e9:.2f} GFLOP at {ceilings['flops'] / 1e9:.0f} GFLOP/s",
            f"{1e3 * floor['convolutions']:.2f}",
        ],
        [
            "dense weights",
            f"{results['work']['weight_bytes'] / 1e6:.0f} MB at {ceilings['bytes'] / 1e9:.0f} GB/s",
            f"{1e3 * floor['weights']:.2f}",
        ],
        ["floor", f"{floor['all'] / ours:.2f} of galjax's time", f"{1e3 * floor['all']:.2f}"],
    ]
    return {
        "training": markdown_table(header, rows),
        "training-floor": markdown_table(["floor of a step", "work at this machine's ceilings", "ms"], floor_rows),
    }


if __name__ == "__main__":
    sys.exit(main())
