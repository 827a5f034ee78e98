"""Trained networks applied to galaxies on the devices there are: each takes some networks, or some of the galaxies."""

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from galjax.config.settings import OptimiserConfig
from galjax.networks.scaling import Sky, scale_images
from galjax.resample import apply_matrices
from galjax.training.augmentation import ORIENTATIONS, oriented
from galjax.training.execution import Execution
from galjax.training.step import Trainer, in_batches, logits_of, scaling_of

GALAXIES_AT_ONCE = 2048
"""Galaxies in one call of the compiled program: bounds memory, and changes nothing else."""


class _Share(NamedTuple):
    """What one device does."""

    networks: tuple[dict[str, Any], Sky | None]
    """Parameters and sky of its repeats, on the device."""
    first: int
    """Its first repeat."""
    part: int
    """Which of the parts of the galaxies it takes."""


class Applied:
    """The networks of some repeats, on their devices. Fewer repeats than devices share the galaxies out as well."""

    def __init__(
        self,
        execution: Execution,
        trainer: Trainer,
        networks: tuple[Mapping[str, Any], Sky | None],
        *,
        all_orientations: bool = False,
    ) -> None:
        self._execution, self._trainer, self._all_orientations = execution, trainer, all_orientations
        devices = jax.local_devices()
        repeats = len(jax.tree.leaves(dict(networks[0]))[0])
        groups = np.array_split(np.arange(repeats), min(repeats, len(devices)))
        self.parts = len(devices) // len(groups)
        """Parts that galaxies are shared out in."""
        self._shares = []
        for number, device in enumerate(devices[: len(groups) * self.parts]):
            own = groups[number // self.parts]
            some = jax.tree.map(lambda array, own=own: array[own[0] : own[-1] + 1], (dict(networks[0]), networks[1]))
            self._shares.append(_Share(jax.device_put(some, device), int(own[0]), number % self.parts))

    def __call__(
        self,
        pixels: Float[np.ndarray, "galaxy height width band"],
        matrices: tuple[Float[Array, "height height"], Float[Array, "width width"]],
    ) -> Float32[np.ndarray, "repeat galaxy class"]:
        """The softmax of every network, 0 to 1, of images that are resampled by the matrices and scaled as for training.

        With all orientations the mean over the eight of a square image, or the four that keep the shape of another.
        """
        each = -(-len(pixels) // self.parts)
        with jax.default_matmul_precision(self._execution.matmul_precision):
            started = [self._start(share, pixels[share.part * each :][:each], matrices) for share in self._shares]
        by_repeat: dict[int, list[np.ndarray]] = {}
        for share, found in zip(self._shares, started, strict=True):
            by_repeat.setdefault(share.first, []).extend(found)
        return np.concatenate([np.concatenate(parts, axis=1) for _, parts in sorted(by_repeat.items())])

    def _start(
        self, share: _Share, pixels: Float[np.ndarray, "galaxy height width band"], matrices: tuple[Any, Any]
    ) -> list[Any]:
        """What a device finds, in pieces that it may still be computing."""
        found = []
        for first in range(0, len(pixels), GALAXIES_AT_ONCE):
            some = pixels[first : first + GALAXIES_AT_ONCE].astype(np.float32)
            size = GALAXIES_AT_ONCE if len(pixels) > GALAXIES_AT_ONCE else len(pixels)
            filled = np.concatenate([some, np.repeat(some[-1:], size - len(some), axis=0)])  # one compiled program
            of_all = _probabilities(self._trainer, self._all_orientations, share.networks, filled, matrices)
            found.append(of_all[:, : len(some)])
        return found


def make_applied(
    about: Any, parameters: Mapping[str, Any], execution: Execution, *, all_orientations: bool = False
) -> Applied:
    """The networks of a description (`galjax.training.description.Description`)."""
    trainer = execution.trainer(about.network, OptimiserConfig(), len(about.class_names))
    return Applied(execution, trainer, (parameters, about.sky_array()), all_orientations=all_orientations)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _probabilities(
    trainer: Trainer,
    all_orientations: bool,
    networks: tuple[dict[str, Any], Sky | None],
    images: Float[Array, "galaxy height width band"],
    matrices: tuple[Float[Array, "height height"], Float[Array, "width width"]],
) -> Float[Array, "repeat galaxy class"]:
    count = len(images)
    batches = in_batches(jnp.arange(count, dtype=jnp.int32), trainer.evaluation_batch)

    def one_repeat(network: tuple[Any, Sky | None]) -> Float[Array, "galaxy class"]:
        parameters, sky = network

        def softmax_of(orientation: Int[Array, ""] | None) -> Float[Array, "galaxy class"]:
            def seen(chosen: Int[Array, " some"]) -> Float[Array, "some height width band"]:
                resampled = apply_matrices(jnp.moveaxis(images[chosen], -1, 1), *matrices)
                scaled = scale_images(jnp.moveaxis(resampled, 1, -1), scaling_of(trainer), sky)
                return scaled if orientation is None else jax.vmap(oriented, in_axes=(0, None))(scaled, orientation)

            return jax.nn.softmax(logits_of(trainer, parameters, batches, count, seen))

        if not all_orientations:
            return softmax_of(None)
        numbers = jnp.arange(ORIENTATIONS if images.shape[1] == images.shape[2] else 4)
        return jax.lax.map(softmax_of, numbers).mean(axis=0)

    return jax.lax.map(one_repeat, networks)
