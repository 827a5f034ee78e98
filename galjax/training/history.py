"""What is measured while repeats train, on the host."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from galjax.metrics import accuracy
from galjax.statistics import summarise


@dataclasses.dataclass(frozen=True)
class History:
    """Everything measured on the way, on the host. The first axis of every measurement is the repeat."""

    train_loss: Float[np.ndarray, "repeat epoch"]
    """Mean over the epoch while the network learns, with dropout."""
    train_accuracy: Float[np.ndarray, "repeat epoch"]
    evaluated_epoch: Int[np.ndarray, " evaluation"]
    """Epochs trained when each evaluation was made, from 1."""
    test_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"]
    test_loss: Float[np.ndarray, "repeat evaluation condition"]
    validation_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"] | None = None
    validation_loss: Float[np.ndarray, "repeat evaluation condition"] | None = None
    predictions: Float[np.ndarray, "repeat which condition galaxy class"] | None = None
    """Probabilities on every repeat's test galaxies, in the order of its draw. Which: at the evaluation of the best mean test
    accuracy over the repeats so far, and at the last one."""
    predicted_epoch: Int[np.ndarray, "which condition"] | None = None
    """Epochs trained then."""
    test_auc: Float[np.ndarray, "repeat evaluation condition"] | None = None
    """Area under the ROC curve (`galjax.metrics.auc`)."""
    test_recalibrated_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"] | None = None
    """At thresholds fitted on other test galaxies under the same condition (`galjax.metrics.recalibrated`)."""

    def extended(self, later: "History") -> "History":
        """This history followed by a later one of the same repeats."""
        ours, theirs = self.arrays(), later.arrays()
        joined: dict[str, Any] = {
            name: np.concatenate([ours[name], theirs[name]], axis=0 if name == "evaluated_epoch" else 1)
            for name in ours
        }
        if self.predictions is not None and later.predictions is not None:
            joined |= self._predictions_with(later)
        return dataclasses.replace(self, **joined)

    def _predictions_with(self, later: "History") -> dict[str, np.ndarray]:
        """The better predictions of both, and the last."""
        assert self.predictions is not None
        assert self.predicted_epoch is not None
        assert later.predictions is not None
        assert later.predicted_epoch is not None
        if not len(self.evaluated_epoch):
            return {"predictions": later.predictions, "predicted_epoch": later.predicted_epoch}
        best, new = (summarise(accuracy(one.test_confusion)).mean.max(axis=0) for one in (self, later))
        better = ~(new <= best)
        predictions, epochs = later.predictions.copy(), later.predicted_epoch.copy()
        predictions[:, 0, ~better] = self.predictions[:, 0, ~better]
        epochs[0, ~better] = self.predicted_epoch[0, ~better]
        return {"predictions": predictions, "predicted_epoch": epochs}

    def evaluated_every(self, every: int, last: int) -> "History":
        """The history with only those evaluations that a training to epoch `last` makes, one `every` so many epochs and one at its end."""
        kept = (self.evaluated_epoch % every == 0) | (self.evaluated_epoch == last)
        measured = {
            name: array[kept] if name == "evaluated_epoch" else array[:, kept]
            for name, array in self.arrays().items()
            if not name.startswith("train_")
        }
        return dataclasses.replace(self, **measured)

    def arrays(self) -> dict[str, np.ndarray]:
        """The measurements by name, without those that were not made, and without predictions."""
        return {name: array for name, array in self.stored().items() if not name.startswith("predict")}

    def stored(self) -> dict[str, np.ndarray]:
        """All of it by name, as `History(**stored)` takes it."""
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: array for name, array in named.items() if array is not None}
