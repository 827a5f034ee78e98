"""Trained repeats together: what they say of galaxies, and how they are kept in a folder of their own."""

import dataclasses
import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Table
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float, Float32, Int, Shaped

from galjax.config.json_form import dumps, from_json, to_json
from galjax.errors import InputError
from galjax.io import stored_arrays
from galjax.io.stored_arrays import Corrupt
from galjax.metrics import auc
from galjax.networks.scaling import Sky
from galjax.sample import GalaxySample, bands_last
from galjax.training import processes
from galjax.training.applying import Applied, make_applied
from galjax.training.conditions import ORIGINAL, Condition
from galjax.training.description import Description, MeasuredMetrics, described_sky
from galjax.training.execution import for_applying
from galjax.training.sky import measure_sky

FORMAT = 5
"""Version of the folder that `Ensemble.save` writes, stored in ensemble.json."""
READ = (4, FORMAT)
"""Those that `load` reads; the first knows neither the usual look of the training images nor the shares of the classes."""
DESCRIPTION = "ensemble.json"
IN_RUN = "ensemble"
"""Where a run folder keeps its ensemble."""


class HeldOut(NamedTuple):
    """The galaxies that every repeat is tested on, and was never trained on."""

    sample: GalaxySample
    chosen: Int[np.ndarray, "repeat test"]
    """Positions in the sample."""


@dataclasses.dataclass(frozen=True, eq=False)
class Ensemble:
    """The trained networks of several repeats. Made by `galjax.train` and `galjax.load`."""

    about: Description
    parameters: Mapping[str, Any]
    """Flax parameters, float32; a repeat axis leads every array."""
    tested: HeldOut | None = None
    """Known where the networks were trained in this process."""

    def __repr__(self) -> str:
        about = self.about
        height, width = about.image_size
        return (
            f"Ensemble({len(about.repeats)} repeats of {about.epoch} epochs, {' / '.join(about.class_names)}, {height}x{width} px, "
            f"{', '.join(about.bands)})"
        )

    def accuracy(self, factor: int = 1, method: str = "bilinear") -> Float[np.ndarray, " repeat"]:
        """The accuracy of every repeat on its own test galaxies, 0 to 1, shrunk by `factor` and enlarged with `method`.

        Measured now where the networks were trained in this process; else it is what was measured then, and InputError for
        other conditions.
        """
        known = self._measured(factor, method)
        if known is not None:
            return np.array(known.accuracy)
        probabilities, labels = self._on_labelled_galaxies(factor, method)
        return np.asarray((probabilities.argmax(axis=-1) == labels).mean(axis=1))

    def auc(self, factor: int = 1, method: str = "bilinear") -> Float[np.ndarray, " repeat"]:
        """The area under the ROC curve of every repeat on its own test galaxies, 0 to 1 (`galjax.metrics.auc`).

        How well the classes are told apart, wherever the threshold between them is. Images, and errors, as for `accuracy`.
        """
        known = self._measured(factor, method)
        if known is not None:
            return np.array(known.auc)
        probabilities, labels = self._on_labelled_galaxies(factor, method)
        logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
        return np.asarray(jax.lax.map(lambda pair: auc(*pair), (jnp.asarray(logits), jnp.asarray(labels))), np.float64)

    def test_predictions(self, factor: int = 1, method: str = "bilinear") -> Table:
        """What every repeat says of its own test galaxies: repeat, id, true, predicted, and p_<class> for every class.

        Raises InputError where the networks were not trained in this process: a run leaves test_predictions.ecsv.
        """
        if self.tested is None:
            raise InputError(
                "The test galaxies of these networks are not in their folder. A run folder has test_predictions.ecsv; or "
                "classify galaxies with predict()."
            )
        probabilities = self._on_test_galaxies(_condition(factor, method))
        return predictions_table(self.tested, self.about.class_names, self.about.repeats, probabilities)

    def predict(self, galaxies: GalaxySample | Shaped[Array | np.ndarray, "..."], sky: str = "training") -> Table:
        """What the networks say of galaxies that nobody need have labelled: one row a galaxy.

        Columns: id, class (of the largest mean probability), p_<class> (mean over repeats of the softmax, 0 to 1) and
        std_<class> (sample standard deviation over repeats; NaN of a single one). Ids of an array count from 0. Repeats that
        have seen a galaxy in training are not told apart from others. `sky` and errors as for `probabilities`.
        """
        ids = galaxies.ids if isinstance(galaxies, GalaxySample) else np.arange(len(galaxies))
        found = self.probabilities(galaxies, sky).astype(np.float64)
        mean, names = found.mean(axis=0), self.about.class_names
        std = found.std(axis=0, ddof=1) if len(found) > 1 else np.full(mean.shape, np.nan)
        columns = {"id": ids, "class": np.array(names)[mean.argmax(axis=1)]}
        columns |= {f"p_{name}": mean[:, number] for number, name in enumerate(names)}
        columns |= {f"std_{name}": std[:, number] for number, name in enumerate(names)}
        return Table(columns)

    def classify(
        self,
        galaxies: GalaxySample | Shaped[Array | np.ndarray, "..."],
        *,
        factor: float | None = None,
        method: str = "bilinear",
        sky: str = "auto",
        calibrated: bool = True,
        all_orientations: bool = False,
    ) -> Table:
        """A catalogue of galaxies that nobody has labelled, calibrated at their resolution; see `galjax.training.classify.classify`.

        Options are the fields of `galjax.training.classify.Seen`.
        """
        from galjax.training import classify

        return classify.classify(self, galaxies, classify.Seen(factor, method, sky, calibrated, all_orientations))

    def probabilities(
        self, galaxies: GalaxySample | Shaped[Array | np.ndarray, "..."], sky: str = "training"
    ) -> Float32[np.ndarray, "repeat galaxy class"]:
        """The probability (softmax, 0 to 1) that every network gives each class.

        Images of an array are (galaxy, height, width) or (galaxy, height, width, band): pixels as the training galaxies had
        them, of the same size and bands; they are scaled here as for training, and not resampled. Where the input scaling is
        "sky", pixels are measured in the sky of the training images, or with sky="own" in that of all these images together,
        as for another survey, whose pixels have other units.

        Raises InputError where size or bands do not fit, a pixel is not finite, or an own sky is asked for that the scaling does not
        take, or that has no noise.
        """
        pixels = self._fitting(galaxies)
        return self.in_sky(pixels, sky)._apply(pixels, ORIGINAL)

    def in_sky(
        self, images: Float[np.ndarray, "galaxy height width *band"], sky: str, factor: float = 1.0
    ) -> "Ensemble":
        """The networks, measuring pixels in the sky of their training images ("training") or in that of these ("own").

        Images with pixels `factor` times as wide as the training's have the noise of larger pixels: per area of the sky that of
        the training's pixels is `factor` times as large, and is the unit. Raises InputError for an own sky that the input scaling does
        not take, or that has no noise.
        """
        if sky not in ("training", "own"):
            raise InputError(f'sky is "training" or "own", not {sky!r}.')
        if sky == "training":
            return self
        scaling = self.about.network.input_scaling
        if scaling != "sky":
            raise InputError(
                f'sky="own" has no effect on these networks, whose input scaling is {scaling}: it measures no sky. Leave it out.'
            )
        level, unit = measure_sky(bands_last(images))
        own = described_sky(Sky(level, unit * max(factor, 1.0))) * len(self.about.repeats)
        return dataclasses.replace(self, about=dataclasses.replace(self.about, sky=own))

    def save(self, folder: str | Path) -> None:
        """Keep the networks in a folder of their own, which `galjax.load` reads: whole, or not at all.

        An ensemble that is there already is replaced. Raises InputError where something else is, or the disk is full.
        """
        place = Path(folder).expanduser()
        if place.exists() and not (place / DESCRIPTION).is_file():
            raise InputError(f"{place} is there already, and holds no ensemble. Give another folder.")
        partial = place.with_name(place.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        flat = flatten_dict(dict(self.parameters), sep="/")
        try:
            partial.mkdir(parents=True)
            with stored_arrays.open_manager(
                partial.resolve(), keep=1, several_processes=processes.count() > 1
            ) as manager:
                arrays = {name: np.asarray(array) for name, array in flat.items()}
                manager.save(self.about.epoch, args=stored_arrays.to_save(arrays))
                manager.wait_until_finished()
            (partial / DESCRIPTION).write_text(dumps({"format": FORMAT, **to_json(self.about)}))
            shutil.rmtree(place, ignore_errors=True)
            partial.rename(place)
        except Exception as error:
            shutil.rmtree(partial, ignore_errors=True)
            if not stored_arrays.is_full(error):
                raise
            raise InputError(
                f"Cannot write the trained networks into {place} ({stored_arrays.reason_of(error)}). Make room, or give another "
                f"folder; in a run the last checkpoint is kept, and the same command with the same --out resumes from it."
            ) from error

    @property
    def size(self) -> int:
        """Bytes of the parameters of all repeats."""
        return sum(array.nbytes for array in jax.tree.leaves(dict(self.parameters)))

    def _measured(self, factor: int, method: str) -> MeasuredMetrics | None:
        """What was measured while they were trained; None for a condition that can be measured now, else InputError."""
        condition = _condition(factor, method)
        for one in self.about.measured:
            if (one.factor, one.method) == (condition.factor, condition.method):
                return one
        if self.tested is None:
            known = ", ".join(_named(one.factor, one.method) for one in self.about.measured) or "no condition"
            raise InputError(
                f"The test galaxies of these networks are not in their folder, and their accuracy was measured at {known} only, not at "
                f"{_named(condition.factor, condition.method)}. Train with conditions=[({factor}, {method!r})] to measure it."
            )
        return None

    def _on_labelled_galaxies(
        self, factor: int, method: str
    ) -> tuple[Float32[np.ndarray, "repeat test class"], Int[np.ndarray, "repeat test"]]:
        """Probabilities of the test galaxies under a condition, and their labels."""
        assert self.tested is not None
        return self._on_test_galaxies(_condition(factor, method)), self.tested.sample.labels[self.tested.chosen]

    def _on_test_galaxies(self, condition: Condition) -> Float32[np.ndarray, "repeat test class"]:
        assert self.tested is not None
        sample, chosen = self.tested
        alone = (self._alone(number) for number in range(len(chosen)))
        return np.concatenate(
            [one._apply(bands_last(sample.images[rows]), condition) for one, rows in zip(alone, chosen, strict=True)]
        )

    def _alone(self, number: int) -> "Ensemble":
        """One of the repeats."""
        parameters = jax.tree.map(lambda array: array[number : number + 1], dict(self.parameters))
        about = dataclasses.replace(self.about, sky=self.about.sky[number : number + 1])
        return dataclasses.replace(self, about=about, parameters=parameters)

    def check_fits(self, images: Shaped[np.ndarray, "..."], bands: tuple[str, ...] | None = None) -> None:
        """Raise InputError unless images (galaxy, height, width[, band]) have the size and the bands of the training images."""
        about = self.about
        if not (np.issubdtype(images.dtype, np.number) and np.isrealobj(images)) or images.ndim not in (3, 4):
            raise InputError(
                f"Images are numbers of shape (galaxy, height, width) or (galaxy, height, width, band), not {images.dtype} of "
                f"shape {images.shape}."
            )
        if bands is not None and bands != about.bands and set(bands) == set(about.bands):
            raise InputError(
                f"The bands are in the order {', '.join(bands)}; these networks take {', '.join(about.bands)}. Reorder the last "
                f"axis of the images."
            )
        wanted = (*about.image_size, len(about.bands))
        if bands_last(images).shape[1:] != wanted or not len(images):
            height, width, count = wanted
            raise InputError(
                f"These networks classify images of {height}x{width} px with {count} band(s) ({', '.join(about.bands)}), not "
                f"arrays of shape {images.shape}. Crop or resample the images to that size, and choose those bands."
            )

    def _fitting(self, galaxies: Any) -> Float32[np.ndarray, "galaxy height width band"]:
        images = galaxies.images if isinstance(galaxies, GalaxySample) else np.asarray(galaxies)
        self.check_fits(images, galaxies.bands if isinstance(galaxies, GalaxySample) else None)
        pixels = bands_last(images).astype(np.float32)
        bad = ~np.isfinite(pixels).all(axis=(1, 2, 3))
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {len(pixels)} images hold NaN or infinite pixels, the first is number {bad.argmax()}. Repair "
                f"them or leave those galaxies out."
            )
        return pixels

    def _apply(
        self, pixels: Float[np.ndarray, "galaxy height width band"], condition: Condition
    ) -> Float32[np.ndarray, "repeat galaxy class"]:
        height, width = self.about.image_size
        rows, columns = condition.matrices((height, width), self.about.convention)
        return self._applied(pixels, (jnp.asarray(rows, jnp.float32), jnp.asarray(columns, jnp.float32)))

    @functools.cached_property
    def _applied(self) -> Applied:
        return make_applied(self.about, self.parameters, for_applying(self.about.precision))


def parameters_of(arrays: Mapping[str, Shaped[np.ndarray, "repeat *any"]], prefix: str = "") -> dict[str, Any]:
    """Nested Flax parameters from arrays by path ("conv_1/kernel"), of those whose path begins with `prefix`."""
    own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    return dict(unflatten_dict(own, sep="/"))


def predictions_table(
    tested: HeldOut,
    class_names: tuple[str, ...],
    repeats: tuple[int, ...],
    probabilities: Float[np.ndarray, "repeat test class"],
) -> Table:
    """Probabilities on test galaxies as rows: repeat, id, true, predicted, p_<class>."""
    sample, chosen = tested
    names, each = np.array(class_names), chosen.shape[1]
    table = Table(
        {
            "repeat": np.repeat(np.array(repeats), each),
            "id": sample.ids[chosen].reshape(-1),
            "true": names[sample.labels[chosen]].reshape(-1),
            "predicted": names[probabilities.argmax(axis=-1)].reshape(-1),
        }
    )
    for number, name in enumerate(class_names):
        table[f"p_{name}"] = probabilities[:, :, number].reshape(-1)
    return table


def load(folder: str | Path) -> Ensemble:
    """The ensemble that `Ensemble.save` wrote into a folder, or that a run left in its run folder.

    Raises InputError where there is none, it is damaged, or of a version that this one does not know.
    """
    given = Path(folder).expanduser()
    place = given if (given / DESCRIPTION).is_file() else given / IN_RUN
    if not (place / DESCRIPTION).is_file():
        raise InputError(
            f"{given} holds no ensemble ({DESCRIPTION}). Give a folder that Ensemble.save wrote, or a run folder whose run did not "
            f"have --keep-ensemble none."
        )
    try:
        found = json.loads((place / DESCRIPTION).read_text())
        version = found.pop("format")
        if version not in READ:
            raise InputError(
                f"{place} is of version {version}, and this galjax reads version {FORMAT}. Use the galjax that wrote it."
            )
        about = from_json(Description, found)
        with stored_arrays.open_manager(place.resolve(), keep=1) as manager:
            step = manager.latest_step()
            if step is None:
                raise Corrupt("its arrays are not there")
            arrays = stored_arrays.restored(manager, step, place)
    except InputError:
        raise
    except Exception as error:  # whatever JSON or orbax make of bytes that nobody wrote
        raise InputError(
            f"{place} is damaged ({stored_arrays.reason_of(error)}). Copy it again, or train again."
        ) from error
    return Ensemble(about, parameters_of(arrays))


def _condition(factor: int, method: str) -> Condition:
    return Condition(factor, method if factor > 1 else ORIGINAL.method)


def _named(factor: int, method: str) -> str:
    return Condition(factor).label if factor == 1 else f"{Condition(factor).label} {method}"
