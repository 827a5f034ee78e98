"""What is measured while repeats train, on the host."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from galjax.metrics import accuracy
from galjax.statistics import Selection, choose_evaluation, leading, summarise


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
    validation_confusion: Int[np.ndarray, "repeat evaluation predicted true"] | None = None
    """On the validation galaxies, seen as the network was trained."""
    validation_loss: Float[np.ndarray, "repeat evaluation"] | None = None
    predictions: Float[np.ndarray, "repeat which condition galaxy class"] | None = None
    """Probabilities on every repeat's test galaxies, in the order of its draw. Which: at the epoch of the best mean validation
    accuracy over the repeats so far (only with validation galaxies), and at the last one. Of the former the last evaluation of a
    training, where it is out of turn, is none: a longer training does not make it."""
    predicted_epoch: Int[np.ndarray, " which"] | None = None
    """Epochs trained then."""
    test_auc: Float[np.ndarray, "repeat evaluation condition"] | None = None
    """Area under the ROC curve (`galjax.metrics.auc`)."""
    test_recalibrated_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"] | None = None
    """At thresholds fitted on other test galaxies under the same condition (`galjax.metrics.recalibrated`)."""

    def extended(self, later: "History", *, in_turn: bool = True) -> "History":
        """This history followed by a later one of the same repeats.

        `in_turn`: whether a longer training would make the evaluation of the later one too, so that it may be the best so far.
        """
        ours, theirs = self.arrays(), later.arrays()
        joined: dict[str, Any] = {
            name: np.concatenate([ours[name], theirs[name]], axis=0 if name == "evaluated_epoch" else 1)
            for name in ours
        }
        if self.predictions is None or later.predictions is None:
            return dataclasses.replace(self, **joined)
        assert self.predicted_epoch is not None
        assert later.predicted_epoch is not None
        predictions, epochs = later.predictions, later.predicted_epoch
        is_better = in_turn and not later._best_validation() <= self._best_validation()
        if len(self.evaluated_epoch) and not is_better:
            best = slice(0, len(epochs) - 1)  # nothing where there is no validation
            predictions, epochs = predictions.copy(), epochs.copy()
            predictions[:, best], epochs[best] = self.predictions[:, best], self.predicted_epoch[best]
        return dataclasses.replace(self, **joined, predictions=predictions, predicted_epoch=epochs)

    def _best_validation(self) -> float:
        """The best mean validation accuracy over the repeats; NaN without validation galaxies."""
        if self.validation_confusion is None:
            return float("nan")
        return float(summarise(accuracy(self.validation_confusion)).mean.max(initial=-np.inf))

    @property
    def leading(self) -> Selection:
        """The choice of the epoch that results stand on (`galjax.statistics.leading`)."""
        return leading(() if self.validation_confusion is None else ("validation",))

    def evaluation(self, selection: Selection, condition: int = 0) -> int:
        """The number of the evaluation that the selection takes, which depends on the condition for "test-mean" alone."""
        validation = None if self.validation_confusion is None else accuracy(self.validation_confusion)
        return choose_evaluation(selection, accuracy(self.test_confusion)[:, :, condition], validation)

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
