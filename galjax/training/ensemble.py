"""The trained networks of a run, with all that applying them needs."""

import dataclasses
import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from galjax.config.json_form import dumps, from_json
from galjax.errors import InputError
from galjax.io import stored_arrays
from galjax.io.stored_arrays import Corrupt
from galjax.networks.thesis import NetworkConfig, scale_images
from galjax.resample import Convention
from galjax.training import processes
from galjax.training.execution import Precision, for_applying
from galjax.training.step import OptimiserConfig, Trainer, in_batches, logits_of, scaling_of

FORMAT = 1
"""Version of what `networks.json` beside the parameters says."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What trained networks are, and what images they were trained on."""

    network: NetworkConfig
    """The network, and the scaling of the images that enter it."""
    class_names: tuple[str, ...]
    """Class names in the order of the outputs."""
    epoch: int
    """Epoch that they were trained to: always the last, selection "last" in results.ecsv, whatever epoch another one chose."""
    image_size: tuple[int, int]
    """Height and width, px."""
    bands: tuple[str, ...]
    pixel_scale: float
    """Arcsec per pixel; NaN where unknown."""
    factor: int
    """Factor by which training images were shrunk and enlarged again; 1 is Original."""
    method: str
    """Interpolation method that they were enlarged with; "none" at Original."""
    convention: Convention
    """Convention of that resampling."""
    precision: Precision
    """Precision of the multiplications."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Networks(Description):
    """The networks of all repeats of one stage."""

    parameters: Mapping[str, Any]
    """Flax parameters, float32; a repeat axis leads every array."""

    def classify(
        self, images: Float[np.ndarray, "galaxy height width *band"]
    ) -> Float32[np.ndarray, "repeat galaxy class"]:
        """The probability (softmax) that every network gives each class.

        `images` are pixels as a `GalaxySample` holds them, of `image_size` and `bands`: they are scaled here as for training,
        and not resampled. Raises InputError where their shape is another or a pixel is not finite.
        """
        pixels = np.asarray(images, np.float32)
        pixels = pixels[..., None] if pixels.ndim == 3 else pixels
        wanted = (*self.image_size, len(self.bands))
        if pixels.ndim != 4 or pixels.shape[1:] != wanted or not len(pixels):
            raise InputError(
                f"These networks classify images of (galaxy, height, width, band) = (any, {', '.join(map(str, wanted))}), not "
                f"{np.shape(images)}. Crop or resample them to that size, with bands {', '.join(self.bands)}."
            )
        if not np.isfinite(pixels).all():
            raise InputError("The images hold NaN or infinite pixels. Repair them or leave those galaxies out.")
        execution = for_applying(self.precision)
        trainer = execution.trainer(self.network, OptimiserConfig(), len(self.class_names))
        with jax.default_matmul_precision(execution.matmul_precision):
            return np.asarray(_probabilities(trainer, self.parameters, pixels))


def load_networks(folder: Path, stage: str) -> Networks:
    """The trained networks that a run with --keep-parameters kept in its folder, of the stage `stage` (a folder in `parameters/`).

        networks = load_networks("runs/resolution_sweep/TIME", "per_class_300")
        probabilities = networks.classify(sample.images)
        names = np.array(networks.class_names)[probabilities.mean(axis=0).argmax(axis=-1)]

    Each repeat's network gives on its own test galaxies the accuracy that results.ecsv states for selection "last". Raises
    InputError where there are none, they are damaged, or of a format that this version does not know.
    """
    parameters = load_parameters(folder, stage)
    place = parameters_place(folder, stage) / "networks.json"
    try:
        found = json.loads(place.read_text())
        if found.pop("format") != FORMAT:
            raise InputError(f"{place} is not of format {FORMAT}. Use the version of galjax that wrote it.")
        description = from_json(Description, found)
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{place} is damaged ({error}). Train again in another --out.") from error
    fields = {field.name: getattr(description, field.name) for field in dataclasses.fields(description)}
    return Networks(**fields, parameters=parameters)


@functools.partial(jax.jit, static_argnums=0)
def _probabilities(
    trainer: Trainer, parameters: Mapping[str, Any], images: Float[Array, "galaxy height width band"]
) -> Float[Array, "repeat galaxy class"]:
    count = len(images)
    batches = in_batches(jnp.arange(count, dtype=jnp.int32), trainer.evaluation_batch)

    def one_repeat(parameters: Any) -> Float[Array, "galaxy class"]:
        seen = lambda chosen: scale_images(images[chosen], scaling_of(trainer))  # noqa: E731
        return jax.nn.softmax(logits_of(trainer, parameters, batches, count, seen))

    return jax.lax.map(one_repeat, parameters)


def save_parameters(
    folder: Path, stage: str, epoch: int, parameters: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> None:
    """Keep the networks of a stage, trained to `epoch`, in the run folder `folder`: whole, or not at all.

    `about` is written beside them as `networks.json`, for `galjax.training.ensemble.load_networks`.
    """
    place = parameters_place(folder, stage)
    shutil.rmtree(place, ignore_errors=True)
    try:
        place.mkdir(parents=True)
        (place / "networks.json").write_text(dumps(about))
        with stored_arrays.open_manager(place, keep=1, several_processes=processes.count() > 1) as manager:
            manager.save(epoch, args=stored_arrays.to_save(parameters))
            manager.wait_until_finished()
    except Exception as error:
        if not stored_arrays.is_full(error):
            raise
        raise InputError(
            f"Cannot write the trained networks into {place} ({stored_arrays.reason_of(error)}). The last checkpoint is kept; "
            f"make room, and run the same command with the same --out to resume."
        ) from error


def load_parameters(folder: Path, stage: str) -> dict[str, Any]:
    """The trained networks that a run with --keep-parameters kept: Flax parameters of every repeat of a stage.

    `folder` is the run folder and `stage` a folder in `parameters/` there, like "per_class_300". A repeat axis leads every
    array (float32). To apply them, `galjax.training.ensemble.load_networks` reads what they need with them. Raises InputError where
    there are none or they are damaged.
    """
    place = parameters_place(folder, stage)
    if not place.is_dir():
        there = sorted(path.name for path in place.parent.glob("*")) if place.parent.is_dir() else []
        raise InputError(
            f"{folder} keeps no networks of a stage {stage!r}"
            + (f"; there are {', '.join(there)}." if there else ". Run the experiment with --keep-parameters.")
        )
    try:
        with stored_arrays.open_manager(place, keep=1, several_processes=processes.count() > 1) as manager:
            epoch = manager.latest_step()
            if epoch is None:
                raise Corrupt("it is incomplete")
            arrays = stored_arrays.restored(manager, epoch, place)
    except InputError:
        raise
    except Exception as error:
        raise InputError(
            f"{place} is damaged ({stored_arrays.reason_of(error)}). Train again in another --out."
        ) from error
    return _nested(arrays)


def parameters_place(folder: Path, stage: str) -> Path:
    """Where a run folder keeps the networks of a stage."""
    return (Path(folder) / "parameters" / stage).resolve()


def _nested(arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, array in arrays.items():
        *layers, last = name.split("/")
        inner = nested
        for layer in layers:
            inner = inner.setdefault(layer, {})
        inner[last] = array
    return nested
