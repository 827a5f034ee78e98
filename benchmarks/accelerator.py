"""How fast is this device for this project? One command, under 10 minutes, for whatever device JAX sees.

    python -m benchmarks.accelerator                # at most 10 minutes (--minutes)
    python -m benchmarks.accelerator --quick        # a minute, small numbers

Ends with a table to paste: repeats x images per second in training, the share of the device's floor (its measured
ceilings and the least work of a step, see `benchmarks.training`), the cost of evaluating all 22 conditions, and what
that makes for a sweep of 30 repeats and 900 epochs at 300 galaxies per class, every condition every 10
epochs. Before it: PyTorch (on a GPU with CUDA graphs) and Keras, one repeat at a time; precisions and delayed updates;
the cost against repeats, galaxies per class, image size and batch size with fitted exponents; the length of a chunk;
resampling; and each convolution as a grouped one, as patches and one repeat after the other (`lax.map`), forward and
backward. A CPU, which trains one repeat after the other on every core, is measured with few repeats, and with its own
choice of layers only; a GPU with all of them, and with every choice for 1, 5, 10 and 30 repeats.

What does not fit the time is named and left out. On an H200, expect the sweep within 2 minutes, 5 times faster than
PyTorch; no GPU has been measured yet.
"""

import dataclasses
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks import scaling
from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import SWEEP, JaxRepeats, Workload
from benchmarks.contenders.keras_fit import KerasFit
from benchmarks.contenders.problem import Contender, NotHere, Problem
from benchmarks.contenders.pytorch import CudaGraph, OneAtATime
from benchmarks.measure import Ceilings, in_turn, machine_name, measure_ceilings, write_results
from galjax.analysis.tables import markdown_table
from galjax.config.jax_settings import PRNG
from galjax.config.settings import KERNEL_SIZES
from galjax.networks.lowering import LOWERINGS
from galjax.resample import apply_matrices, condition_matrices
from galjax.training.execution import ExecutionConfig, use_all_cores

NAME = "accelerator"
EPOCHS, EVALUATE_EVERY, TEST_SHARE = 900, 10, 3 / 7
"""Schedule of the thesis's sweep; the test galaxies as a share of those trained on."""


@dataclasses.dataclass(frozen=True)
class AcceleratorBenchmark:
    """Flags."""

    repeats: int = 30
    """Repeats of the sweep."""
    galaxies: int = 420
    """Galaxies that an epoch visits."""
    image_size: int = 64
    """Height and width of the images, px."""
    minutes: float = 9.0
    """Minutes after which no further measurement is started."""
    quick: bool = False
    """Measure small numbers only, to see that it works; what comes out is no result."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, repeats=self.repeats, galaxies=self.galaxies)
        check_at_least(8, image_size=self.image_size)


class Clock:
    """Says whether there is time for one more measurement, and remembers what there was none for."""

    def __init__(self, minutes: float) -> None:
        self._end = time.monotonic() + 60 * minutes
        self.left_out: list[str] = []

    def allows(self, name: str) -> bool:
        """Whether to measure `name`."""
        if time.monotonic() < self._end:
            return True
        self.left_out.append(name)
        say(f"{name}: left out, the time is up")
        return False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(AcceleratorBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: AcceleratorBenchmark) -> dict[str, Any]:
    """Measure in order of importance, print and keep."""
    use_all_cores()
    if config.quick:
        config = dataclasses.replace(config, repeats=2, galaxies=24, image_size=16)
    clock = Clock(config.minutes)
    problem = Problem(galaxies=config.galaxies, image_size=config.image_size)
    few = min(config.repeats, jax.device_count()) if jax.default_backend() == "cpu" else config.repeats
    ceilings = measure_ceilings()
    say(f"{machine_name()}: {ceilings.flops / 1e12:.2f} TFLOP/s, {ceilings.bytes / 1e9:.0f} GB/s")
    results: dict[str, Any] = {
        "ceilings": dataclasses.asdict(ceilings),
        "sweep": _sweep(problem, config.repeats, ceilings),
        "others": _others(problem, clock),
        "training": _variants(problem, few, clock),
        **_scaling(few, clock, quick=config.quick),
        "chunks": _chunk_lengths(problem, few, clock),
        "resampling": _resampling(problem.image_size, 200 if config.quick else 15_000, clock),
        "layers": _layers(problem, few, clock),
    }
    results["left_out"] = clock.left_out
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def _sweep(problem: Problem, repeats: int, ceilings: Ceilings) -> dict[str, Any]:
    """The default program with and without the evaluation of all conditions, and the whole sweep estimated from it."""
    tested = max(1, round(TEST_SHARE * problem.galaxies))
    training = JaxRepeats(problem, repeats, ExecutionConfig())
    evaluated = JaxRepeats(problem, repeats, ExecutionConfig(), workload=Workload(tested=tested, conditions=SWEEP))
    rounds = 1 if jax.default_backend() == "cpu" else 3  # a minute each on a CPU
    times = in_turn({"training": training.run, "evaluated": evaluated.run}, rounds)
    epoch = times["training"].median
    evaluation = max(times["evaluated"].median - epoch, 0.0)
    work = problem.work(training.execution.delayed_steps)
    floor = ceilings.floor(work.convolution_flops, work.weight_bytes) * training.repeat_steps
    return {
        "execution": training.execution._asdict(),
        "repeats": repeats,
        "compile_seconds": evaluated.compile_seconds,
        "epoch_seconds": epoch,
        "evaluation_seconds": evaluation,
        "images_per_second": repeats * problem.galaxies / epoch,
        "evaluated_images_per_second": repeats * tested * len(SWEEP) / evaluation if evaluation else None,
        "share_of_floor": floor / epoch,
        "sweep_seconds": EPOCHS * epoch + EPOCHS / EVALUATE_EVERY * evaluation,
    }


def _others(problem: Problem, clock: Clock) -> dict[str, float]:
    """What else a user could train with, one repeat at a time: seconds per repeat and step."""
    found: dict[str, float] = {}
    makers: dict[str, Callable[[], Contender]] = {
        "PyTorch CUDA graph": lambda: CudaGraph(problem),
        "PyTorch channels-last, fused SGD": lambda: OneAtATime(problem, channels_last=True, fused=True),
        f"Keras 3 fit ({KerasFit.backend() or 'not here'})": lambda: KerasFit(problem),
    }
    for name, make in makers.items():
        if clock.allows(name):
            try:
                contender = make()
                found[name] = in_turn({name: contender.run}, rounds=3)[name].median / contender.repeat_steps
            except NotHere as reason:
                say(f"{name}: left out, {reason}")
    return found


def _scaling(repeats: int, clock: Clock, *, quick: bool) -> dict[str, Any]:
    """The points of `benchmarks.scaling`, largest sizes last, as far as the time goes; and the exponents."""
    if quick:
        config = scaling.ScalingBenchmark(
            repeats=(1, 2), per_class=(10, 20), image_sizes=(16, 24), batch_sizes=(4, 8), quick=True
        )
    else:
        config = scaling.ScalingBenchmark(
            repeats=tuple(n for n in (1, 2, 5, 10, 30, 100) if n <= max(5, repeats)),
            per_class=(100, 300, 1000),
            image_sizes=(64, 150),
            batch_sizes=(8, 32),
            repeats_elsewhere=repeats,
        )
    rows = [
        scaling.measure_point(point, rounds=1)
        for point in scaling.points(config)
        if point.axis != "devices" and clock.allows(point.label)
    ]
    return {"scaling": rows, "exponents": scaling.exponents(rows)}


def _variants(problem: Problem, repeats: int, clock: Clock) -> list[dict[str, Any]]:
    """Whole trainings computed in other ways, in seconds per repeat and step."""
    rows = []
    for name, number, config in _choices(repeats):
        if not clock.allows(name):
            continue
        try:
            contender = JaxRepeats(problem, number, config)
            seconds = in_turn({name: contender.run}, rounds=2)[name].median / contender.repeat_steps
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            say(f"{name}: out of memory")
            continue
        rows.append({"name": name, "seconds": seconds, "compile_seconds": contender.compile_seconds})
        say(f"{name}: {1e3 * seconds:.3f} ms per repeat and step")
    return rows


def _choices(repeats: int) -> Iterator[tuple[str, int, ExecutionConfig]]:
    """What to try, the most telling first: name, number of repeats, and how."""
    default = ExecutionConfig()
    numbers = sorted({n for n in (1, 5, 10, 30) if n <= repeats} | {repeats}, reverse=True)
    for number in numbers:
        yield f"{number} repeats", number, default
    for precision in ("bfloat16", "tf32"):
        yield f"{repeats} repeats, {precision}", repeats, dataclasses.replace(default, precision=precision)
    for steps in (1, 4, 16):
        yield f"{repeats} repeats, {steps} delayed steps", repeats, dataclasses.replace(default, delayed_steps=steps)
    if jax.default_backend() == "cpu":
        return
    grouped = ExecutionConfig(lowering="xla")
    one_by_one = ExecutionConfig(lowering="xla", repeats_at_once=1)
    for number in numbers:
        yield f"{number} repeats, grouped convolution", number, grouped
        yield f"{number} repeats, lax.map", number, one_by_one


def _chunk_lengths(problem: Problem, repeats: int, clock: Clock) -> dict[str, float]:
    """Seconds per epoch where so many epochs are one call of the program."""
    found: dict[str, float] = {}
    for epochs in (1, 10) if jax.default_backend() != "cpu" else (1, 2):
        if clock.allows(f"chunks of {epochs}"):
            run_ = JaxRepeats(problem, repeats, ExecutionConfig(), workload=Workload(epochs=epochs)).run
            found[str(epochs)] = in_turn({"chunk": run_}, rounds=2)["chunk"].median / epochs
    return found


def _resampling(size: int, stamps: int, clock: Clock) -> dict[str, float]:
    """Stamps per second through the whole chain down and up, for factor 4 with every method."""
    found: dict[str, float] = {}
    images = jax.random.normal(jax.random.key(0, impl=PRNG), (stamps, size, size))
    degrade = jax.jit(apply_matrices)
    for method in ("nearest", "bilinear", "bicubic"):
        if clock.allows(f"resampling, {method}"):
            rows, columns = (jnp.asarray(m[0], jnp.float32) for m in condition_matrices((size, size), [(4, method)]))
            call = lambda r=rows, c=columns: degrade(images, r, c).block_until_ready()  # noqa: E731
            found[method] = stamps / in_turn({method: call}, rounds=5)[method].median
    return found


def _layers(problem: Problem, repeats: int, clock: Clock) -> list[dict[str, Any]]:
    """Each convolution alone, in seconds per repeat: value, and value with both gradients."""
    rows: list[dict[str, Any]] = []
    on_cpu = jax.default_backend() == "cpu"
    numbers = (1, 2) if on_cpu else tuple(n for n in (1, 5, 10, 30) if n <= repeats)
    ways = ("grouped", "patches", "lax.map")
    size, bands = problem.image_size, 1
    for layer, (filters, kernel) in enumerate(zip(problem.network.filters, KERNEL_SIZES, strict=True), 1):
        for number, way in itertools.product(numbers, ways):
            name = f"conv_{layer}, {number} repeats, {way}"
            if clock.allows(name):
                images = jax.random.normal(
                    jax.random.key(0, impl=PRNG), (number, problem.batch_size, size, size, bands)
                )
                kernels = jax.random.normal(jax.random.key(1, impl=PRNG), (number, kernel, kernel, bands, filters))
                rows.append({"name": name, **_time_layer(way, images, kernels)})
        size, bands = size // 2, filters
    return rows


def _time_layer(way: str, images: jax.Array, kernels: jax.Array) -> dict[str, float]:
    convolution = LOWERINGS["patches" if way == "patches" else "xla"].convolution

    def alone(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return convolution(x, kernel, "same")

    def forward(x: jax.Array, kernels: jax.Array) -> jax.Array:
        if way == "lax.map":
            return jax.lax.map(lambda pair: alone(*pair), (x, kernels))
        return jax.vmap(alone)(x, kernels)

    def both(x: jax.Array, kernels: jax.Array) -> Any:
        return jax.grad(lambda *a: jnp.square(forward(*a)).sum(), argnums=(0, 1))(x, kernels)

    found = {}
    for name, function in {"forward": forward, "forward_and_backward": both}.items():
        compiled = jax.jit(function).lower(images, kernels).compile()
        run_ = lambda c=compiled: jax.block_until_ready(c(images, kernels))  # noqa: E731
        found[name] = in_turn({name: run_}, rounds=5)[name].median / len(images)
    return found


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name; the one to paste is the last."""
    sweep = results["sweep"]
    found = {}
    if results["layers"]:
        rows = [
            [r["name"], *(f"{1e6 * r[k]:.0f}" for k in ("forward", "forward_and_backward"))] for r in results["layers"]
        ]
        found["accelerator-layers"] = markdown_table(["layer", "forward (us per repeat)", "with gradients"], rows)
    rows = [[r["name"], f"{1e3 * r['seconds']:.3f}", f"{r['compile_seconds']:.0f}"] for r in results["training"]]
    rows += [[name, f"{1e3 * seconds:.3f}", ""] for name, seconds in results["others"].items()]
    found["accelerator-training"] = markdown_table(["training", "ms per repeat and step", "compile (s)"], rows)
    scaled = scaling.tables({"rows": results["scaling"], "exponents": results["exponents"]})
    found |= {f"accelerator-{name}": table for name, table in scaled.items()}
    rows = [
        ["device", results.get("environment", {}).get("machine") or machine_name()],
        ["repeats x images per second, training", f"{sweep['images_per_second']:,.0f}"],
        ["share of the floor", f"{sweep['share_of_floor']:.0%}"],
        ["one evaluation of all conditions / one epoch", f"{sweep['evaluation_seconds'] / sweep['epoch_seconds']:.2f}"],
        *(
            [f"stamps per second down and up, {method}", f"{rate:,.0f}"]
            for method, rate in results["resampling"].items()
        ),
        *([f"an epoch in chunks of {n}", f"{seconds:.2f} s"] for n, seconds in results["chunks"].items()),
        *([f"cost grows with {axis} to the power", f"{value:.2f}"] for axis, value in results["exponents"].items()),
        [f"sweep of {sweep['repeats']} repeats, {EPOCHS} epochs, estimated", f"{sweep['sweep_seconds'] / 60:.1f} min"],
    ]
    found["accelerator"] = markdown_table([NAME, ""], rows)
    return found


if __name__ == "__main__":
    sys.exit(main())
