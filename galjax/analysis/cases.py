"""What was measured, one case at a time: its metrics in every repeat, and which epoch they are reported at."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int

from galjax.metrics import accuracy, true_positive_rate, true_skill_statistic
from galjax.statistics import THESIS_SELECTION, Selection, leading
from galjax.training.history import History


class Case(NamedTuple):
    """One thing that was measured in all repeats: a condition of one training."""

    keys: Mapping[str, Any]
    """What tells it from the other cases, by column of the tables."""
    history: History
    condition: int = 0
    """Its number in the history."""
    class_names: Sequence[str] = ()
    """Names of the classes, where metrics of the single classes are wanted besides the accuracy."""
    epochs: Mapping[Selection, int] = MappingProxyType({})
    """Epochs that were chosen elsewhere, by the way of choosing; empty: chosen by this history, in all ways that it allows."""

    @property
    def reported(self) -> tuple[Selection, ...]:
        """The ways of choosing the epoch that tables report, the leading one first."""
        return tuple(self.epochs) or tuple(dict.fromkeys((self.history.leading, "last", THESIS_SELECTION)))

    @property
    def leading(self) -> Selection:
        """The way of choosing the epoch that results stand on (`galjax.statistics.leading`)."""
        return leading(self.reported)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Accuracy, of two named classes the true skill statistic of the first, and every class's true positive rate."""
        skill = ("tss",) if len(self.class_names) == 2 else ()
        return ("accuracy", *skill, *(f"tpr_{name}" for name in self.class_names))

    def chosen(self, selection: Selection | None = None) -> int:
        """The number of the evaluation that the selection (None: the leading one) takes."""
        selection = selection or self.leading
        if selection in self.epochs:
            return int(np.flatnonzero(self.history.evaluated_epoch == self.epochs[selection])[0])
        return self.history.evaluation(selection, self.condition)

    def epoch(self, selection: Selection | None = None) -> int:
        """The epoch that the selection (None: the leading one) takes."""
        return int(self.history.evaluated_epoch[self.chosen(selection)])

    def confusion(self, selection: Selection | None = None) -> Int[np.ndarray, "repeat predicted true"]:
        """Counts on the test galaxies at the evaluation that the selection (None: the leading one) takes."""
        return self.history.test_confusion[:, self.chosen(selection), self.condition]

    def values(self, metric: str = "accuracy", selection: Selection | None = None) -> Float64[np.ndarray, " repeat"]:
        """One of `metrics` in every repeat, at the epoch of the selection (None: the leading one).

        NaN where the repeat was dropped, or the case has no such metric.
        """
        confusion = self.confusion(selection)
        if metric not in self.metrics:
            return np.full(len(confusion), np.nan)
        if metric == "accuracy":
            return accuracy(confusion)
        if metric == "tss":
            return true_skill_statistic(confusion)
        return true_positive_rate(confusion)[:, list(self.class_names).index(metric.removeprefix("tpr_"))]


def values_by(
    cases: Iterable[Case], *names: str, selection: Selection | None = None
) -> dict[tuple[Any, ...], Float64[np.ndarray, " repeat"]]:
    """The accuracy of every case in every repeat, by the values of its keys of these names.

    At the epoch of the selection (None: each training's leading one, the same for all of its conditions).
    """
    return {tuple(case.keys[name] for name in names): case.values(selection=selection) for case in cases}
