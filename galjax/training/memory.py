"""How much memory a training needs and a machine has, and what to change where the one exceeds the other."""

import bisect
import contextlib
import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from galjax.config.settings import KERNEL_SIZES, NetworkConfig, OptimiserConfig
from galjax.errors import InputError, in_short, is_exhaustion
from galjax.io.host import host_memory

EVALUATION_BATCH = 60
"""Images that pass the convolutions together in an evaluation, where they are many."""
GIGABYTE = 1e9
SMALLER = "Take smaller images, fewer galaxies, or smaller --filters and --dense-units."


class Sizes(NamedTuple):
    """What decides how much memory a training takes."""

    image_shape: tuple[int, int, int]
    pool: int
    """Galaxies that are drawn from."""
    train: int
    """Galaxies that one repeat trains on."""
    test: int


class Memory(NamedTuple):
    """An estimate in bytes."""

    state: float
    """State of one repeat: parameters and momentum."""
    working: float
    """Working memory of one repeat while it is computed: activations, gradients, its own galaxies."""
    galaxies: float
    """The pool, once on every device."""


def memory_of(network: NetworkConfig, optimiser: OptimiserConfig, sizes: Sizes) -> Memory:
    """What one repeat needs.

    Counted for each convolution: input, patches and output, and the gradients of all three; the evaluation's larger
    batches without gradients; the state a second time while it is updated; the training galaxies and the features of
    all test galaxies.
    """
    height, width, bands = sizes.image_shape
    image = height * width * bands
    parameters = gradients = inference = 0
    for filters, size in zip(network.filters, KERNEL_SIZES, strict=True):
        patches, output = height * width * bands * size**2, height * width * filters
        gradients += 2 * (patches // size**2 + patches + output)
        inference = max(inference, patches + output)
        parameters += bands * size**2 * filters + filters
        shrink = 0 if network.padding == "same" else size - 1
        height, width, bands = (height - shrink) // 2, (width - shrink) // 2, filters
    features = inputs = height * width * bands
    for units in network.dense_units:
        parameters += (inputs + 1) * units
        inputs = units
    state = parameters * (1 if optimiser.momentum == 0 else 2)
    batch = max(optimiser.batch_size * gradients, EVALUATION_BATCH * inference)
    working = parameters + batch + sizes.train * image + sizes.test * (features + sum(network.dense_units))
    return Memory(4.0 * state, 4.0 * working, 4.0 * sizes.pool * image)


@dataclasses.dataclass(frozen=True)
class Load:
    """What a training asks of one memory: that of a GPU, or of a machine whose devices share it (CPU)."""

    memory: Memory
    repeats: int
    """Repeats in the whole training."""
    repeats_at_once: int
    """Repeats side by side on each device."""
    devices: int
    """Over which all repeats are spread."""
    sharing: int
    """Devices that share this memory."""
    holds_checkpoint: bool
    """Whether the states of all repeats are in this memory once more while a checkpoint is written."""
    available: float
    """Bytes."""

    @property
    def bytes(self) -> float:
        """The estimate."""
        repeats_here = math.ceil(self.repeats / self.devices) * self.sharing
        working = self.memory.galaxies + self.repeats_at_once * self.memory.working
        states = repeats_here + (self.repeats if self.holds_checkpoint else 0)
        return states * self.memory.state + self.sharing * working

    @property
    def fits(self) -> bool:
        """Whether there is as much."""
        return self.bytes <= self.available

    def with_repeats(self, repeats: int) -> "Load":
        """The same of fewer repeats, one at a time, on no more devices than that takes."""
        devices = min(self.devices, repeats)
        sharing = min(self.sharing, devices)
        return dataclasses.replace(self, repeats=repeats, repeats_at_once=1, devices=devices, sharing=sharing)

    def advice(self) -> str:
        """The largest flag that makes it fit, or where none does, what else would."""
        for at_once in range(self.repeats_at_once - 1, 0, -1):
            if dataclasses.replace(self, repeats_at_once=at_once).fits:
                return f"--repeats-at-once {at_once} fits."
        repeats = bisect.bisect_left(range(1, self.repeats), True, key=lambda n: not self.with_repeats(n).fits)
        if repeats:
            return f"--repeats {repeats} fits; so do more devices, or machines (--coordinator)."
        return f"Not even --repeats 1 fits. {SMALLER}"


def check_fits(load: Load) -> None:
    """Raise InputError where the estimate is larger than the memory."""
    if not load.fits:
        raise InputError(f"{_in_words(load)}. Nothing was trained. {load.advice()}")


def _in_words(load: Load) -> str:
    return (
        f"The training needs about {load.bytes / GIGABYTE:.1f} GB (--repeats {load.repeats}, --repeats-at-once "
        f"{load.repeats_at_once}), and there are {load.available / GIGABYTE:.1f} GB"
    )


@contextlib.contextmanager
def exhaustion_explained(load: Load) -> Iterator[None]:
    """Turn the compiler's or the system's "out of memory" into an InputError with advice."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_exhaustion(error):
            raise
        half = load.repeats // 2
        way_out = (
            f"--repeats-at-once {load.repeats_at_once // 2} takes less."
            if load.repeats_at_once > 1
            else f"--repeats {half} takes about half."
            if half
            else SMALLER
        )
        raise InputError(
            f"The memory ran out ({in_short(error)}). {_in_words(load)} by estimate; something else may use "
            f"it too. {way_out if load.fits else load.advice()}"
        ) from error


def device_memory(device: Any) -> float:
    """Bytes that JAX may use of a GPU's memory."""
    statistics = device.memory_stats() or {}
    return float(statistics.get("bytes_limit", host_memory()))
