"""One training that every framework can do: galaxies, the order of their batches, starting weights, optimiser."""

import dataclasses
import importlib
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from galjax.config.settings import AugmentConfig, NetworkConfig
from galjax.networks.counting import parameter_shapes, step_products
from galjax.networks.registry import make_network
from galjax.training.repeats import RepeatKeys, repeat_keys


class Contender(Protocol):
    """Something that trains."""

    repeat_steps: int
    """Steps that one call of `run` makes, summed over the repeats that it trains."""

    def run(self) -> float:
        """Train one epoch further, to the end; gives the mean loss of that epoch (of the first repeat)."""


class NotHere(Exception):
    """The framework, or what it needs, is not on this machine; the message says what."""


def optional(module: str) -> Any:
    """A framework, or None where it is not installed or does not start."""
    try:
        return importlib.import_module(module)
    except Exception:  # Keras without its backend, or a backend without a library of its own, fails with any error.
        return None


@dataclasses.dataclass(frozen=True)
class Problem:
    """A network, the thesis's unless another is given, on random images that can be learned, with plain SGD."""

    galaxies: int = 420
    """That an epoch visits: 7 of 10 in 300 per class."""
    image_size: int = 64
    batch_size: int = 8
    dropout: float = 0.5
    learning_rate: float = 0.003
    network: NetworkConfig = dataclasses.field(default_factory=lambda: NetworkConfig(padding="same"))
    """Padded, so that all frameworks have the same layers."""
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    """How images change at random, which galjax alone does."""

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return -(-self.galaxies // self.batch_size)

    @property
    def network_config(self) -> NetworkConfig:
        """With this problem's dropout, and images taken as they are."""
        return dataclasses.replace(self.network, dropout=self.dropout, input_scaling="none")

    def data(self) -> tuple[Float[np.ndarray, "galaxy height width 1"], Int[np.ndarray, " galaxy"]]:
        """Noise, with a square added to every second image, and which those are."""
        rng = np.random.default_rng(1)
        labels = (np.arange(self.galaxies) % 2).astype(np.int32)
        size = self.image_size
        images = rng.standard_normal((self.galaxies, size, size, 1), dtype=np.float32)
        middle = slice(size // 2 - size // 8, size // 2 + size // 8)
        images[labels == 1, middle, middle] += 0.5
        return images / 4, labels  # so that the first steps are small, and rounding stays rounding

    def keys(self, repeats: int) -> RepeatKeys:
        """Keys of the first repeats."""
        return repeat_keys(0, range(repeats))

    def batches(self) -> list[Int[np.ndarray, " batch"]]:
        """Which galaxies each step of the first repeat's first epoch sees, the last step perhaps fewer."""
        epoch_key = jax.random.fold_in(self.keys(1).epochs[0], 0)
        order = np.asarray(jax.random.permutation(jax.random.split(epoch_key)[0], self.galaxies))
        return np.split(order, range(self.batch_size, self.galaxies, self.batch_size))

    def parameters(self) -> dict[str, dict[str, np.ndarray]]:
        """Starting weights of the first repeat, by layer, as Flax names and shapes them."""
        network = make_network(self.network_config, 2)
        image = jnp.zeros((1, self.image_size, self.image_size, 1))
        tree: Any = network.init(self.keys(1).initial[0], image, train=False)["params"]
        return jax.tree.map(np.asarray, dict(tree))

    def work(self, delayed_steps: int) -> "Work":
        """Work of one step of one repeat."""
        return count_work(self.network, self.image_size, self.batch_size, delayed_steps)


@dataclasses.dataclass(frozen=True)
class Work:
    """The least that a step of one repeat must do, forward and backward."""

    convolution_flops: float
    dense_flops: float
    weight_bytes: float
    """Weights of the hidden dense layers: read in the forward pass and in the backward pass, and read and written by the update."""


def count_work(config: NetworkConfig, image_size: int, batch: int, delayed_steps: int) -> Work:
    """Counted in the program of the plain layers, forward and for the gradients of all parameters.

    With delayed updates a dense kernel is updated once in `delayed_steps` steps. Activations and the kernels of convolutions
    are taken to stay in the cache.
    """
    network, image_shape = make_network(config, 2, "xla"), (image_size, image_size, 1)
    products = step_products(network, image_shape, batch)
    parameters = parameter_shapes(network, image_shape)
    flops = {kind: float(sum(p.flops for p in products if p.kind == kind)) for kind in ("convolution", "matrix")}
    weights = sum(4.0 * parameters[name]["kernel"].size for name in network.hidden_layers)
    return Work(flops["convolution"], flops["matrix"], weights * (2 + 2 / delayed_steps))
