"""How a training is computed on the device there is: chosen per backend, overridden by flags.

The choice for a CPU is from measurement (`benchmarks.training`); the one for a GPU is reasoned, not measured yet.
Nothing here changes a result beyond rounding, except a precision other than float32.
"""

import math
import os
from typing import NamedTuple

import jax

from galjax.config.settings import ExecutionConfig, NetworkConfig, OptimiserConfig, Precision
from galjax.io.host import host_memory
from galjax.networks.layers import Operands
from galjax.networks.lowering import LoweringName
from galjax.networks.registry import make_network
from galjax.training.memory import EVALUATION_BATCH, Load, Sizes, device_memory, memory_of
from galjax.training.step import Trainer

CPU_COMPILER_OPTIONS: dict[str, str | bool] = {"xla_cpu_copy_insertion_use_region_analysis": True}
"""Without it XLA:CPU copies all weights in every step."""

CPU_EVALUATION_BATCH = 8
"""Images that pass the convolutions together in an evaluation: few, for the cache of a CPU; `EVALUATION_BATCH` elsewhere."""
COPIES_ON_CPU = 2
"""Copies of every repeat's state in a CPU's memory: while a checkpoint is written, what it writes is there too."""


class Execution(NamedTuple):
    """What was chosen."""

    backend: str
    devices: int
    """Over which the repeats are spread."""
    lowering: LoweringName
    repeats_at_once: int
    """Repeats side by side on each device."""
    delayed_steps: int
    precision: Precision
    evaluation_batch: int

    @property
    def matmul_precision(self) -> str:
        """For `jax.default_matmul_precision`: without it a GPU takes TF32 for float32."""
        return "tensorfloat32" if self.precision == "tf32" else "float32"

    def trainer(self, network: NetworkConfig, optimiser: OptimiserConfig, num_classes: int) -> Trainer:
        """The training as it is computed here."""
        emulated = self.precision == "tf32" and self.backend == "cpu"
        operands: Operands = self.precision if emulated or self.precision == "bfloat16" else "float32"
        return Trainer(
            make_network(network, num_classes, self.lowering, operands),
            optimiser.batch_size,
            optimiser.momentum > 0,
            self.delayed_steps,
            self.evaluation_batch,
        )

    def compile(self, lowered: jax.stages.Lowered) -> jax.stages.Compiled:
        """Compile, on a CPU with its options where this jaxlib knows them."""
        if self.backend != "cpu":
            return lowered.compile()
        try:
            return lowered.compile(compiler_options=CPU_COMPILER_OPTIONS)
        except jax.errors.JaxRuntimeError as error:
            if "No such compile option" not in str(error):
                raise
            return lowered.compile()  # The same results, about a fifth slower.


def choose(
    config: ExecutionConfig, network: NetworkConfig, optimiser: OptimiserConfig, sizes: Sizes, repeats: int
) -> Execution:
    """The execution of `repeats` repeats on the devices that JAX sees.

    On a CPU every core is a device of its own (`use_all_cores`) that trains one repeat after the other: an arrangement
    for which XLA:CPU has fast kernels, and whose activations fit the cache. A GPU computes as many repeats side by side
    as `memory_of` says that nine tenths of its memory hold. Several processes use all of their devices.
    """
    devices, backend = jax.devices(), jax.default_backend()
    on_cpu = backend == "cpu"
    memory = memory_of(network, optimiser, sizes)
    together = jax.process_count() > 1
    used = len(devices) if together else min(len(devices), repeats)
    if on_cpu and not together:  # all devices share one memory
        room = 0.9 * host_memory() - repeats * COPIES_ON_CPU * memory.state
        used = max(1, min(used, int(room // (memory.galaxies + memory.working))))
    each = math.ceil(repeats / used)
    if config.repeats_at_once is not None:
        at_once = min(config.repeats_at_once, each)
    elif on_cpu:
        at_once = 1
    else:
        room = 0.9 * device_memory(devices[0]) - each * memory.state - memory.galaxies
        at_once = max(1, min(each, int(room // memory.working)))
    at_once = math.ceil(each / math.ceil(each / at_once))  # as many in the last group as in the others
    return Execution(
        backend=backend,
        devices=used,
        lowering=config.lowering or _lowering(backend),
        repeats_at_once=at_once,
        delayed_steps=config.delayed_steps if optimiser.momentum == 0 else 1,
        precision=config.precision,
        evaluation_batch=CPU_EVALUATION_BATCH if on_cpu else EVALUATION_BATCH,
    )


def for_applying(precision: Precision) -> Execution:
    """How trained networks are applied here, one repeat after the other, in the precision that they were trained in."""
    backend = jax.default_backend()
    batch = CPU_EVALUATION_BATCH if backend == "cpu" else EVALUATION_BATCH
    return Execution(backend, 1, _lowering(backend), 1, 1, precision, batch)


def _lowering(backend: str) -> LoweringName:
    return "direct" if backend == "cpu" else "patches"


def load_of(
    execution: Execution, network: NetworkConfig, optimiser: OptimiserConfig, sizes: Sizes, repeats: int
) -> Load:
    """What the training asks of the memory of one device, or of one machine whose devices share it (CPU)."""
    memory = memory_of(network, optimiser, sizes)
    on_cpu = execution.backend == "cpu"
    return Load(
        memory=memory,
        repeats=repeats,
        repeats_at_once=execution.repeats_at_once,
        devices=execution.devices,
        sharing=execution.devices // jax.process_count() if on_cpu else 1,
        holds_checkpoint=on_cpu,
        available=host_memory() if on_cpu else device_memory(jax.local_devices()[0]),
    )


def cores() -> int:
    """Those that this process may use, where the system can say so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_all_cores() -> None:
    """Make every core that this process may use a device of its own, as `choose` wants it on a CPU.

    To be called before JAX is first asked for its devices, else it has no effect. A count given in `XLA_FLAGS`
    (--xla_force_host_platform_device_count) or `JAX_NUM_CPU_DEVICES` is kept.
    """
    if "host_platform_device_count" in os.environ.get("XLA_FLAGS", "") or "JAX_NUM_CPU_DEVICES" in os.environ:
        return
    try:
        jax.config.update("jax_num_cpu_devices", cores())
    except RuntimeError:  # JAX has its devices already.
        return
