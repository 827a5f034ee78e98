"""How much memory a training needs and a machine has, and what to change where the one exceeds the other."""

import bisect
import contextlib
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax

from galjax.config.settings import NetworkConfig, OptimiserConfig
from galjax.errors import InputError, in_short, is_exhaustion
from galjax.io.host import host_memory
from galjax.networks.counting import Product, images, parameter_shapes, products_of
from galjax.networks.registry import make_network

EVALUATION_BATCH = 60
"""Images that pass the convolutions together in an evaluation, where they are many."""
GIGABYTE = 1e9
SMALLER = "Take smaller images, fewer galaxies, or a smaller network (--filters, --dense-units)."


class Sizes(NamedTuple):
    """What decides how much memory a training takes."""

    image_shape: tuple[int, int, int]
    pool: int
    """Galaxies that are drawn from."""
    train: int
    """Galaxies that one repeat trains on."""
    test: int
    classes: int = 2


class Memory(NamedTuple):
    """An estimate in bytes."""

    state: float
    """State of one repeat: parameters and momentum."""
    working: float
    """Working memory of one repeat while it is computed: activations, gradients, its own galaxies."""
    galaxies: float
    """The pool, once on every device."""


class Counts(NamedTuple):
    """Numbers, of 4 bytes, that a network keeps or makes."""

    parameters: int
    gradients: int
    """What its products read and write for one image of a training step, and the gradients of that."""
    inference: int
    """The most that one product reads and writes for one image where no gradient is asked for."""
    test: int
    """What is kept of one test galaxy from its features to its logits."""


@functools.cache
def counts_of(config: NetworkConfig, image_shape: tuple[int, int, int], classes: int) -> Counts:
    """Counted in the program that JAX makes of the network, with convolutions as products of patches: the largest lowering.

    What products read and write is in memory; what lies between them the compiler fuses into them. Kernels do not grow with
    the batch: what one image needs is the difference between a batch of two and a batch of one.
    """
    network = make_network(config, classes, "patches")
    parameters = parameter_shapes(network, image_shape)

    def products(batch: int) -> tuple[int, list[Product], list[Product]]:
        def features(parameters: Any, images: jax.Array) -> Any:
            return network.apply({"params": parameters}, images, method="features")

        def classify(parameters: Any, features: jax.Array) -> Any:
            return network.apply({"params": parameters}, features, train=False, method="classify")

        made = jax.eval_shape(features, parameters, images(batch, image_shape))
        return (
            made.size,
            products_of(features, parameters, images(batch, image_shape)),
            products_of(classify, parameters, made),
        )

    (size, *one), (_, *two) = products(1), products(2)
    of_images, of_features = (
        [(b.read - a.read, b.written - a.written) for a, b in zip(*both, strict=True)]
        for both in zip(one, two, strict=True)
    )
    return Counts(
        parameters=sum(leaf.size for leaf in jax.tree.leaves(parameters)),
        gradients=2 * sum(map(sum, of_images + of_features)),
        inference=max(map(sum, of_images), default=0),
        test=size + sum(written for _, written in of_features),
    )


def memory_of(network: NetworkConfig, optimiser: OptimiserConfig, sizes: Sizes) -> Memory:
    """What one repeat needs.

    Counted are what the products of a training step read and write, and the gradients of that; the evaluation's larger
    batches without gradients; the state a second time while it is updated; the training galaxies, and what is kept of all
    test galaxies.
    """
    counts = counts_of(network, sizes.image_shape, sizes.classes)
    image = math.prod(sizes.image_shape)
    state = counts.parameters * (1 if optimiser.momentum == 0 else 2)
    batch = max(optimiser.batch_size * counts.gradients, EVALUATION_BATCH * counts.inference)
    working = counts.parameters + batch + sizes.train * image + sizes.test * counts.test
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
    kept: int = 0
    """Repeats whose networks at the best validation epoch are kept on the host."""

    @property
    def bytes(self) -> float:
        """The estimate."""
        repeats_here = math.ceil(self.repeats / self.devices) * self.sharing
        working = self.memory.galaxies + self.repeats_at_once * self.memory.working
        states = repeats_here + (self.repeats + 2 * self.kept if self.holds_checkpoint else 0)
        return states * self.memory.state + self.sharing * working

    @property
    def fits(self) -> bool:
        """Whether there is as much."""
        return self.bytes <= self.available

    def with_repeats(self, repeats: int) -> "Load":
        """The same of fewer repeats, one at a time, on no more devices than that takes."""
        devices = min(self.devices, repeats)
        sharing = min(self.sharing, devices)
        kept = min(self.kept, repeats)
        return dataclasses.replace(
            self, repeats=repeats, repeats_at_once=1, devices=devices, sharing=sharing, kept=kept
        )

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
