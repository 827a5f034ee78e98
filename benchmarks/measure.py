"""What every benchmark shares: timing in turn, the machine's ceilings, and where results are kept."""

import dataclasses
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from galjax.config.jax_settings import PRNG
from galjax.config.json_form import dumps
from galjax.io.whole_files import write_whole
from galjax.runs.folder import describe_environment

RESULTS = Path(__file__).resolve().parent / "results"


@dataclasses.dataclass(frozen=True)
class Times:
    """Repeated measurements of one thing, in seconds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The figure to quote."""
        return statistics.median(self.seconds)

    @property
    def mean(self) -> float:
        """As the thesis's table gives it."""
        return statistics.fmean(self.seconds)

    @property
    def std(self) -> float:
        """Sample standard deviation; 0 for one measurement."""
        return statistics.stdev(self.seconds) if len(self.seconds) > 1 else 0.0

    def scaled(self, factor: float) -> "Times":
        """The times in another unit, or per item."""
        return Times(tuple(factor * value for value in self.seconds))

    def record(self) -> dict[str, float | int]:
        """For JSON."""
        return {"median": self.median, "min": min(self.seconds), "max": max(self.seconds), "n": len(self.seconds)}


def in_turn(contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1) -> dict[str, Times]:
    """Time every contender once in each round, so that a machine that slows down slows all of them.

    A contender must have finished its work when it returns (`jax.block_until_ready`). `warm_up` rounds are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(warm_up + rounds):
        for name, run in contenders.items():
            started = time.perf_counter()
            run()
            if number >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return {name: Times(tuple(values)) for name, values in seconds.items()}


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """What the machine can do at the best, all devices together, measured in the same run."""

    flops: float
    """Floating-point operations per second of a large float32 matrix product."""
    bytes: float
    """Bytes per second of a large copy, those read plus those written."""

    def floor(self, flops: float, bytes_: float) -> float:
        """The least seconds for so many operations and bytes where neither can hide behind the other."""
        return flops / self.flops + bytes_ / self.bytes


def measure_ceilings(rounds: int = 5) -> Ceilings:
    """A 2048x2048 matrix product (8192 on an accelerator) and the copy of an array far larger than a cache."""
    on_cpu = jax.default_backend() == "cpu"
    devices = jax.devices()
    spread = NamedSharding(Mesh(devices, ("device",)), PartitionSpec("device"))
    side, length = (2048, 2**26) if on_cpu else (8192, 2**29)
    repeats = 4
    square = jax.device_put(jax.random.normal(jax.random.key(0, impl=PRNG), (len(devices), side, side)), spread)
    line = jax.device_put(jnp.ones((len(devices), length // len(devices)), jnp.float32), spread)

    def products(x: jax.Array) -> jax.Array:
        with jax.default_matmul_precision("float32"):
            return jax.lax.fori_loop(0, repeats, lambda _, y: x[0] @ y / side**0.5, x[0])[None]

    spec = PartitionSpec("device")
    mesh = spread.mesh
    multiply = jax.jit(jax.shard_map(products, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False))
    # In place, so that no memory is asked from the system: one read and one write.
    add = jax.jit(lambda x: x + 1, donate_argnums=0, out_shardings=spread)
    held = [line]

    def copy() -> None:
        held[0] = add(held[0])
        held[0].block_until_ready()

    times = in_turn({"product": lambda: multiply(square).block_until_ready(), "copy": copy}, rounds)
    operations = len(devices) * repeats * 2.0 * side**3
    return Ceilings(operations / min(times["product"].seconds), 8.0 * length / min(times["copy"].seconds))


def machine_name() -> str:
    """Name of the device that JAX computes on, fit for a folder name: nvidia-h200, cpu-amd-epyc-2-cores."""
    device = jax.devices()[0]
    name = device.device_kind
    if device.platform == "cpu":
        name = f"cpu {_processor()} {_cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def describe_machine() -> dict[str, Any]:
    """Device, cores and versions of everything that is compared."""
    environment = describe_environment()
    others = ("torch", "keras", "tensorflow")
    versions = environment["versions"] | {name: _version(name) for name in others}
    keys = ("python", "platform", "device", "cpu_count", "xla_flags", "commit")
    return {
        "machine": machine_name(),
        "processor": _processor(),
        "cores": _cores(),
        **{key: environment[key] for key in keys},
        "versions": {name: version for name, version in versions.items() if version != "not installed"},
        "command": " ".join(["python -m", f"benchmarks.{Path(sys.argv[0]).stem}", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
    }


def write_results(name: str, results: Mapping[str, Any]) -> Path:
    """Keep the results of benchmark `name` for this machine, with its description; gives the path."""
    path = RESULTS / machine_name() / f"{name}.json"
    write_whole(path, dumps({"environment": describe_machine(), **results}, indent=1).encode())
    return path


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
