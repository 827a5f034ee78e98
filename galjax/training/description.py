"""What trained networks are: what is kept of a training beside its parameters, and what was measured on its test galaxies."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy.special import softmax

from galjax.calibration import Calibration, Reliability, cross_fitted, fit, reliability
from galjax.config.settings import Convention, NetworkConfig, Precision
from galjax.metrics import accuracy
from galjax.networks.scaling import Sky
from galjax.sample import GalaxySample
from galjax.statistics import Selection
from galjax.training.history import History
from galjax.training.repeats import Task
from galjax.training.usual import usual_ranges


@dataclasses.dataclass(frozen=True)
class MeasuredSky:
    """The sky at the borders of the images that one repeat was trained on, by band, in the units of their pixels."""

    level: tuple[float, ...]
    unit: tuple[float, ...]
    """Its noise, one standard deviation."""


@dataclasses.dataclass(frozen=True)
class MeasuredMetrics:
    """What every repeat reached on its own test galaxies under one condition, at the epoch of the networks."""

    factor: int
    method: str
    accuracy: tuple[float, ...]
    """Accuracy of every repeat, 0 to 1."""
    auc: tuple[float, ...]
    """Area under the ROC curve of every repeat, 0 to 1; NaN where its test galaxies lack a class."""
    calibration: tuple[Calibration, ...] = ()
    """Fitted on the test galaxies of every repeat under this condition; none where their predictions were not kept."""
    calibrated_accuracy: tuple[float, ...] = ()
    """Accuracy of every repeat, 0 to 1, each galaxy calibrated by others of its test galaxies (`galjax.calibration.cross_fitted`)."""
    reliability: tuple[Reliability, ...] = ()
    """Single networks on the test galaxies of all repeats together: as trained, and calibrated by others of them."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Description:
    """What trained networks are, and what they were trained on."""

    network: NetworkConfig
    """The network, and the scaling of the images that enter it."""
    class_names: tuple[str, ...]
    """Classes in the order of the outputs."""
    repeats: tuple[int, ...]
    """Numbers of the repeats, which decide their galaxies and starting weights."""
    epoch: int
    """Epochs trained."""
    selection: Selection = "last"
    """How that epoch was chosen, as in results.ecsv: by validation galaxies where there were any, else the last."""
    image_size: tuple[int, int]
    """Height and width, px."""
    bands: tuple[str, ...]
    pixel_scale: float
    """Arcsec per pixel; NaN where unknown."""
    factor: int = 1
    """Factor by which the training images were shrunk and enlarged again; 1 is Original."""
    method: str = "none"
    """Interpolation method that enlarged them; "none" at Original."""
    convention: Convention = "opencv"
    """Resize rule of that resampling."""
    precision: Precision = "float32"
    """Precision of the multiplications."""
    augmentation: str = "none"
    """How the training images changed at random in every epoch, in words."""
    trained_on: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Where the training galaxies came from, how many each repeat had, and their digest."""
    measured: tuple[MeasuredMetrics, ...] = ()
    shares: tuple[float, ...] = ()
    """Shares of the classes among the test galaxies, 0 to 1, in the order of the outputs."""
    usual: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    """Measures of the training images as they enter the network, and the range of each (`galjax.training.usual`)."""
    sky: tuple[MeasuredSky, ...] = ()
    """In which the scaling "sky" measures pixels, for every repeat; nothing for other scalings."""

    def sky_array(self) -> Sky | None:
        """The sky as arrays ("repeat band"); None for scalings without."""
        if not self.sky:
            return None
        return Sky(*(jnp.asarray([getattr(one, name) for one in self.sky], jnp.float32) for name in Sky._fields))


def describe(galaxies: GalaxySample, history: History, task: Task, about: Mapping[str, Any]) -> Description:
    """The description of networks trained on `galaxies`, with their accuracy at their epoch in `history`.

    `about` are the fields that none of these says: network, repeats, epoch, and what differs from the defaults.
    """
    assert history.test_auc is not None
    (evaluation,) = np.flatnonzero(history.evaluated_epoch == about["epoch"])
    kept = list(about["repeats"])
    right, areas = accuracy(history.test_confusion[:, evaluation])[kept], history.test_auc[:, evaluation][kept]
    sky = jax.tree.map(lambda value: value[kept, task.trained_at.view], task.sky)
    labels = galaxies.labels[np.asarray(task.draw.test)[kept]]
    logits = _kept_logits(history, about["epoch"], kept)
    measured = tuple(
        MeasuredMetrics(
            condition.factor,
            condition.method,
            tuple(map(float, right[:, number])),
            tuple(map(float, areas[:, number])),
            *(_calibrated(logits[:, number], labels) if logits is not None else ()),
        )
        for number, condition in enumerate(task.conditions)
        if condition.size is None and not condition.blur and condition.view == task.trained_at.view
    )
    return Description(
        class_names=galaxies.class_names,
        image_size=(galaxies.images.shape[1], galaxies.images.shape[2]),
        bands=galaxies.bands,
        pixel_scale=galaxies.pixel_scale,
        factor=task.trained_at.factor,
        method=task.trained_at.method,
        trained_on={**galaxies.provenance, "galaxies": str(len(galaxies)), "digest": galaxies.digest()},
        measured=measured,
        shares=tuple((np.bincount(labels.reshape(-1), minlength=len(galaxies.class_names)) / labels.size).tolist()),
        usual=usual_ranges(galaxies.images[np.unique(task.draw.train)], about["network"].input_scaling, sky),
        sky=() if sky is None else described_sky(sky),
        **about,
    )


def _kept_logits(
    history: History, epoch: int, repeats: list[int]
) -> Float[np.ndarray, "repeat condition galaxy class"] | None:
    """Logarithms of what these repeats said of their test galaxies at an epoch; None where that was not kept, or is no number."""
    if history.predictions is None or history.predicted_epoch is None:
        return None
    for which in np.flatnonzero(history.predicted_epoch == epoch)[:1]:
        said = history.predictions[repeats, which]
        return np.log(np.maximum(said, np.finfo(np.float32).tiny)) if np.isfinite(said).all() else None
    return None


def _calibrated(
    logits: Float[np.ndarray, "repeat galaxy class"], labels: Int[np.ndarray, "repeat galaxy"]
) -> tuple[tuple[Calibration, ...], tuple[float, ...], tuple[Reliability, ...]]:
    """The calibration of every repeat, its accuracy where each galaxy is calibrated by others, and reliabilities before and after."""
    fits = tuple(fit(said, true) for said, true in zip(logits, labels, strict=True))
    after = np.stack([cross_fitted(said, true) for said, true in zip(logits, labels, strict=True)])
    right = (after.argmax(axis=2) == labels).mean(axis=1)
    classes, every = logits.shape[-1], labels.reshape(-1)
    both = tuple(reliability(each.reshape(-1, classes), every) for each in (softmax(logits, axis=-1), after))
    return fits, tuple(right.tolist()), both


def described_sky(sky: Sky) -> tuple[MeasuredSky, ...]:
    """The sky of every repeat, from arrays ("repeat band")."""
    rows = zip(np.asarray(sky.level).tolist(), np.asarray(sky.unit).tolist(), strict=True)
    return tuple(MeasuredSky(tuple(level), tuple(unit)) for level, unit in rows)
