"""How fast are stamps shrunk and enlarged, in galjax, OpenCV, jax.image and PyTorch?

    python -m benchmarks.resampling                 # 2 CPU cores, of which it uses 1: 7 minutes
    python -m benchmarks.resampling --quick         # a smoke run of seconds; its results are not kept
    python -m benchmarks.resampling --cores 2

Part one: 100 stamps of 8x8 px enlarged to 64x64 px, as a loop of `cv2.resize` over the stamps (as in table 5.1 of the
thesis) and as one call of each of the others. Part two is the whole chain of `galjax.resample.degrade`, shrinking with "area"
and enlarging back, for all factors and methods: two calls of `cv2.resize` for each stamp, one compiled program of galjax for
each batch, two calls of PyTorch's `interpolate`. Contenders take turns in one process.

What is timed: from stamps in the memory of the device that computes (the transfer to it is not timed) to results there,
waited for after every call, so that every call's dispatch counts. Compiling is not timed. OpenCV's loop computes on one
core, so by default nothing has more (--cores); stamps as small as in part one gain nothing from threads. "PyTorch, stamps
innermost" is its fastest layout, stamps side by side in memory pixel by pixel; bringing them into it, and the results
back, is not timed.

Expect on one core in part one that galjax takes 1/14, 1/6 and 1/16 of OpenCV's time for nearest, bilinear and bicubic. In
part two it does 1.5 to 9 times as many stamps per second at 64x64 px, and 0.4 to 3 times as many at 150x150 px: fewer at
factor 2, where its matrix products are largest, and at 4 and 7, which do not divide 150. PyTorch is mostly slower than
OpenCV; with stamps innermost it is mostly faster than galjax in the chain with nearest and bilinear, and slower with
bicubic and in part one.

The largest difference from OpenCV stands beside each figure; galjax's must be rounding. The others' is their convention:
`jax.image.resize` has another cubic (Keys' a = -0.5, taps outside the image dropped); PyTorch's "area" takes whole
pixels, so that it is OpenCV's only where the factor divides the size.
"""

import contextlib
import dataclasses
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.measure import Times, in_turn, write_results
from galjax.analysis.published import INTERPOLATION_MICROSECONDS
from galjax.analysis.tables import markdown_table
from galjax.errors import InputError
from galjax.resample import degrade, resize

NAME = "resampling"
EnlargingMethod = Literal["nearest", "bilinear", "bicubic"]
METHODS: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
FACTORS = (2, 3, 4, 5, 6, 7, 8)
GALJAX, OPENCV, JAX_IMAGE = "galjax", "OpenCV loop", "jax.image.resize"
PYTORCH, INNERMOST = "PyTorch", "PyTorch, stamps innermost"

THESIS = {m: (1e-6 * mean, 1e-6 * std) for m, (mean, std) in INTERPOLATION_MICROSECONDS.items()}
"""Table 5.1: mean and standard deviation of a loop (s), on the thesis's machine."""
SMALL, LARGE, TABLE_STAMPS = 8, 64, 100
"""Sizes (px) and number of the stamps of table 5.1."""
TOLERANCE = {"nearest": 0.0, "bilinear": 1e-6, "bicubic": 1e-6}
"""Largest difference of galjax from OpenCV's enlargement of pixels in 0..1."""
CHAIN_TOLERANCE = 2e-6
"""The same for the chain, whose stamps reach 1.3."""
BATCH = 1500
"""Most stamps in a batch of the chain."""
BATCH_PIXELS = {"cpu": 2**22}
"""And most pixels. On a CPU, memory for results larger than 32 MB is asked from the system anew in every call."""

_OPENCV = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
_JAX_IMAGE = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic"}


@dataclasses.dataclass(frozen=True)
class ResamplingBenchmark:
    """Flags."""

    loops: int = 10_000
    """Loops in each run of part one, each over its 100 stamps; for PyTorch a tenth."""
    runs: int = 7
    """Runs of each contender of part one, over which mean and standard deviation are taken."""
    stamps: int = 15_000
    """Stamps to shrink and enlarge in the chain, for each size, factor and method."""
    sizes: tuple[int, ...] = (64, 150)
    """Height and width (px) of the chain's stamps, each at least 8."""
    cores: int = 1
    """Cores that all contenders may use."""
    quick: bool = False
    """Measure at most 20 loops, 3 runs and 60 stamps, and keep no results."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, loops=self.loops, runs=self.runs, stamps=self.stamps, cores=self.cores)
        if not self.sizes or len(set(self.sizes)) != len(self.sizes):
            raise InputError(f"--sizes takes one or more values, each once, not {self.sizes}.")
        check_at_least(max(FACTORS), sizes=min(self.sizes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(ResamplingBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: ResamplingBenchmark) -> dict[str, Any]:
    """Time both parts, print and keep the tables."""
    if config.quick:
        config = dataclasses.replace(
            config, loops=min(config.loops, 20), runs=min(config.runs, 3), stamps=min(config.stamps, 60), no_write=True
        )
    with _on_cores(config.cores):
        torch = _torch()
        results = {
            "cores": config.cores,
            "table_5_1": {
                "loops": config.loops,
                "runs": config.runs,
                "rows": [row for method in METHODS for row in _table_rows(method, config, torch)],
            },
            "chain": {"rows": [row for size in config.sizes for row in _chain_rows(size, config.stamps, torch)]},
        }
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


@contextlib.contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """Bind this process to `count` of its cores; XLA and PyTorch start as many threads when they are first used."""
    if not hasattr(os, "sched_setaffinity"):
        say("this system cannot bind a process to cores: --cores is without effect")
        yield
        return
    before = os.sched_getaffinity(0)
    if count > len(before):
        raise InputError(f"--cores can be at most {len(before)} here, not {count}.")
    os.sched_setaffinity(0, sorted(before)[-count:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _torch() -> Any:
    try:
        return importlib.import_module("torch")
    except ImportError:
        say("PyTorch: left out, it is not installed")
        return None


def _table_rows(method: EnlargingMethod, config: ResamplingBenchmark, torch: Any) -> list[dict[str, Any]]:
    """Table 5.1 for one method: a row for each contender."""
    stamps = np.random.default_rng(0).random((TABLE_STAMPS, SMALL, SMALL), dtype=np.float32)
    contenders = _enlarging(method, stamps, torch)
    found = {name: np.asarray(contender()) for name, contender in contenders.items()}  # compiles, too
    differences = {name: _difference(images, found[OPENCV]) for name, images in found.items()}
    _check(differences[GALJAX], TOLERANCE[method], f"{method} enlargement")
    loops = {name: max(1, config.loops // (10 if name in (PYTORCH, INNERMOST) else 1)) for name in contenders}
    for contender in contenders.values():
        _loop(contender, min(config.loops, 100))
    runs = {name: functools.partial(_loop, contender, loops[name]) for name, contender in contenders.items()}
    times = {name: time.scaled(1 / loops[name]) for name, time in in_turn(runs, config.runs, warm_up=0).items()}
    rows = [
        {
            "method": method,
            "contender": name,
            "ratio": times[OPENCV].mean / times[name].mean,
            "mean": times[name].mean,
            "std": times[name].std,
            "seconds": times[name].record(),
            "loops": loops[name],
            "difference": differences[name],
            "tolerance": TOLERANCE[method] if name == GALJAX else None,
        }
        for name in contenders
    ]
    say(f"{method}: " + ", ".join(f"{name} {1e6 * times[name].mean:.1f} us" for name in contenders))
    return rows


def _loop(call: Callable[[], object], loops: int) -> None:
    for _ in range(loops):
        call()


def _enlarging(
    method: EnlargingMethod, stamps: Float[np.ndarray, "stamp height width"], torch: Any
) -> dict[str, Callable[[], Any]]:
    """What enlarges the stamps once and waits for the result."""
    size = (LARGE, LARGE)
    on_device = jnp.asarray(stamps)
    galjax = jax.jit(lambda images: resize(images, size, method))
    image = jax.jit(lambda images: jax.image.resize(images, (len(images), *size), _JAX_IMAGE[method]))
    contenders: dict[str, Callable[[], Any]] = {
        GALJAX: lambda: galjax(on_device).block_until_ready(),
        JAX_IMAGE: lambda: image(on_device).block_until_ready(),
        OPENCV: lambda: [cv2.resize(stamp, size, interpolation=_OPENCV[method]) for stamp in stamps],
    }
    if torch is not None:
        interpolate = torch.nn.functional.interpolate
        tensor, innermost = torch.from_numpy(stamps)[:, None], _innermost(stamps, torch)
        contenders[PYTORCH] = lambda: interpolate(tensor, size, mode=method)[:, 0]
        contenders[INNERMOST] = lambda: interpolate(innermost, size, mode=method)[0]
    return contenders


def _innermost(stamps: Float[np.ndarray, "stamp height width"], torch: Any) -> Any:
    """The stamps as the channels of one channels-last image, which PyTorch computes side by side in vector registers."""
    return torch.from_numpy(stamps)[None].contiguous(memory_format=torch.channels_last)


def _chain_rows(size: int, stamps: int, torch: Any) -> list[dict[str, Any]]:
    """The chain for one size: a row for each factor, method and contender.

    Batches are equally large, lest a smaller last one be compiled anew; together they are at least `stamps`.
    """
    most_pixels = BATCH_PIXELS.get(jax.default_backend(), 2**25)
    batches = -(-stamps // max(1, min(BATCH, most_pixels // size**2)))
    batch = -(-stamps // batches)
    conditions = {(factor, method): _chain(factor, method, torch) for factor in FACTORS for method in METHODS}
    seconds: dict[tuple[int, str], dict[str, list[float]]] = {
        condition: {name: [] for name in contenders} for condition, contenders in conditions.items()
    }
    differences: dict[tuple[int, str], dict[str, float]] = {}
    for number in range(batches):
        images = make_stamps(batch, size, seed=number)
        held: dict[str, Any] = {GALJAX: jnp.asarray(images).block_until_ready(), OPENCV: images}
        if torch is not None:
            held |= {PYTORCH: torch.from_numpy(images)[:, None], INNERMOST: _innermost(images, torch)}
        for condition, contenders in conditions.items():
            calls = {name: functools.partial(call, held[name]) for name, call in contenders.items()}
            if number == 0:
                differences[condition] = _chain_differences(calls)
                _check(differences[condition][GALJAX], CHAIN_TOLERANCE, f"1/{condition[0]}, {condition[1]}")
            for name, time in in_turn(calls, 1, warm_up=0).items():
                seconds[condition][name] += time.seconds
        if (number + 1) % -(-batches // 10) == 0:
            say(f"chain, {size}x{size} px: {batch * (number + 1)} of {batch * batches} stamps")
    rows = []
    for (factor, method), per_batch in seconds.items():
        rate = {name: batch * batches / sum(values) for name, values in per_batch.items()}
        say(f"{size}x{size} px, 1/{factor}, {method}: " + ", ".join(f"{n} {r:.0f} stamps/s" for n, r in rate.items()))
        rows += [
            {
                "size": size,
                "factor": factor,
                "method": method,
                "contender": name,
                "ratio": rate[name] / rate[OPENCV],
                "stamps": batch * batches,
                "stamps_per_second": rate[name],
                "seconds_per_batch": Times(tuple(values)).record(),
                "difference": differences[factor, method][name],
                "tolerance": CHAIN_TOLERANCE if name == GALJAX else None,
            }
            for name, values in per_batch.items()
        ]
    return rows


def make_stamps(count: int, size: int, seed: int) -> Float[np.ndarray, "stamp size size"]:
    """A round blob of height 1 in the middle, of another width in each stamp, and noise."""
    rng = np.random.default_rng(seed)
    offset = np.arange(size, dtype=np.float32) - (size - 1) / 2
    width = rng.uniform(size / 20, size / 6, (count, 1)).astype(np.float32)
    profile = np.exp(-0.5 * (offset.astype(np.float32) / width) ** 2)
    stamps = rng.standard_normal((count, size, size), dtype=np.float32)
    stamps *= np.float32(0.05)
    stamps += profile[:, :, None] * profile[:, None, :]
    return stamps


def _chain(factor: int, method: EnlargingMethod, torch: Any) -> dict[str, Callable[[Any], Any]]:
    """What shrinks and enlarges a batch once and waits for the result."""
    galjax = jax.jit(functools.partial(degrade, factor=factor, method=method))

    def opencv(images: Float[np.ndarray, "stamp size size"]) -> list[Any]:
        height, width = images.shape[1:]
        small = (width // factor, height // factor)
        return [
            cv2.resize(
                cv2.resize(image, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=_OPENCV[method]
            )
            for image in images
        ]

    def pytorch(images: Any) -> Any:
        interpolate = torch.nn.functional.interpolate
        height, width = images.shape[2:]
        return interpolate(
            interpolate(images, (height // factor, width // factor), mode="area"), (height, width), mode=method
        )

    contenders: dict[str, Callable[[Any], Any]] = {
        GALJAX: lambda images: galjax(images).block_until_ready(),
        OPENCV: opencv,
    }
    if torch is not None:
        contenders |= {PYTORCH: lambda images: pytorch(images)[:, 0], INNERMOST: lambda images: pytorch(images)[0]}
    return contenders


def _chain_differences(calls: Mapping[str, Callable[[], Any]], stamps: int = 100) -> dict[str, float]:
    """Largest differences from OpenCV on the first stamps; what is compiled is compiled here."""
    found = {name: np.asarray(call()[:stamps]) for name, call in calls.items()}
    return {name: _difference(images, found[OPENCV]) for name, images in found.items()}


def _difference(images: np.ndarray, reference: np.ndarray) -> float:
    return float(np.abs(images - reference).max())


def _check(difference: float, tolerance: float, what: str) -> None:
    if not difference <= tolerance:
        raise ArithmeticError(f"galjax's {what} differs from OpenCV's by {difference:g}, more than {tolerance:g}.")


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    return {
        "resampling-table-5-1": _table_5_1(results["table_5_1"]["rows"]),
        "resampling-chain": _chain_table(results["chain"]["rows"]),
        "resampling-chain-ranges": _chain_ranges(results["chain"]["rows"]),
    }


def _table_5_1(rows: Sequence[Mapping[str, Any]]) -> str:
    cells = []
    for method in METHODS:
        ours = [row for row in rows if row["method"] == method]
        cells += [
            [
                f"{method}, {row['contender']}",
                f"{row['ratio']:.1f}",
                _microseconds(row["mean"], row["std"]),
                f"{row['difference']:.1g}",
            ]
            for row in sorted(ours, key=lambda row: row["mean"])
        ]
        cells.append([f"{method}, thesis's OpenCV loop (another machine)", "", _microseconds(*THESIS[method]), ""])
    return markdown_table(
        [
            f"{TABLE_STAMPS} stamps, {SMALL}x{SMALL} to {LARGE}x{LARGE} px",
            "OpenCV's time / its time",
            "us per loop, mean ± std",
            "largest difference from OpenCV",
        ],
        cells,
    )


def _microseconds(mean: float, std: float) -> str:
    return f"{1e6 * mean:.1f} ± {1e6 * std:.2f}"


def _chain_table(rows: Sequence[Mapping[str, Any]]) -> str:
    by_condition: dict[tuple[int, int, str], dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        by_condition.setdefault((row["size"], row["factor"], row["method"]), {})[row["contender"]] = row
    present = {row["contender"] for row in rows}
    names = [name for name in (GALJAX, OPENCV, PYTORCH, INNERMOST) if name in present]
    others = [name for name in names if name != OPENCV]
    differing = [name for name in others if name != INNERMOST]  # which computes what PyTorch does otherwise
    cells = [
        [
            f"{size}x{size} px, 1/{factor}, {method}",
            *(f"{found[name]['ratio']:.2f}" for name in others),
            *(f"{found[name]['stamps_per_second']:.0f}" for name in names),
            *(f"{found[name]['difference']:.1g}" for name in differing),
        ]
        for (size, factor, method), found in by_condition.items()
    ]
    header = [
        "shrunk and enlarged",
        *(f"{name} / OpenCV" for name in others),
        *(f"{name}, stamps/s" for name in names),
        *(f"{name} differs by" for name in differing),
    ]
    return markdown_table(header, cells)


def _chain_ranges(rows: Sequence[Mapping[str, Any]]) -> str:
    """The chain over all factors: the least and the greatest ratio, and stamps per second."""
    cells = []
    for size, method in dict.fromkeys((row["size"], row["method"]) for row in rows):
        found = [r for r in rows if (r["size"], r["method"], r["contender"]) == (size, method, GALJAX)]
        ratios, rates = ([row[name] for row in found] for name in ("ratio", "stamps_per_second"))
        cells.append(
            [
                f"{size}x{size} px, {method}",
                f"{min(ratios):.1f} - {max(ratios):.1f}",
                f"{min(rates):,.0f} - {max(rates):,.0f}",
            ]
        )
    return markdown_table(["shrunk to 1/2 ... 1/8 and enlarged", "galjax / OpenCV", "galjax, stamps/s"], cells)


if __name__ == "__main__":
    sys.exit(main())
