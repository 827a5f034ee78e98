"""From measured histories to the tidy tables of results and their summary."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float, Float64, Int

from galjax.metrics import accuracy, true_positive_rate, true_skill_statistic
from galjax.statistics import Selection, choose_evaluation, summarise
from galjax.training.conditions import Condition
from galjax.training.history import History

Metric = Callable[[Int[np.ndarray, "*any predicted true"]], Float[np.ndarray, "*any"]]
ACCURACY: dict[str, Metric] = {"accuracy": accuracy}


def class_metrics(class_names: Sequence[str]) -> dict[str, Metric]:
    """Accuracy, the true positive rate of every class, and of two classes the true skill statistic of the first."""
    metrics: dict[str, Metric] = dict(ACCURACY)
    if len(class_names) == 2:
        metrics["tss"] = true_skill_statistic
    for number, name in enumerate(class_names):
        metrics[f"tpr_{name}"] = lambda confusion, n=number: true_positive_rate(confusion)[..., n]  # type: ignore[misc]
    return metrics


class Case(NamedTuple):
    """One thing that was measured in all repeats: a condition of one training."""

    keys: Mapping[str, Any]
    """What tells it from the other cases, by column of the tables."""
    history: History
    condition: int = 0
    """Number of the condition in the history."""
    selections: tuple[Selection, ...] | None = None
    """Ways of choosing the epoch to report; None: all that the history allows."""

    def chosen(self, selection: Selection) -> int:
        """The number of the evaluation that the selection takes."""
        test = accuracy(self.history.test_confusion)[:, :, self.condition]
        validation = self.history.validation_confusion
        return choose_evaluation(
            selection, test, None if validation is None else accuracy(validation)[:, :, self.condition]
        )

    def confusion(self, selection: Selection) -> Int[np.ndarray, "repeat predicted true"]:
        """Counts on the test galaxies at the evaluation that the selection takes."""
        return self.history.test_confusion[:, self.chosen(selection), self.condition]


def selections(history: History) -> tuple[Selection, ...]:
    """The ways of choosing an epoch that a history allows."""
    return ("test-mean", "last") if history.validation_confusion is None else ("test-mean", "last", "validation")


def results_table(cases: Sequence[Case], metrics: Mapping[str, Metric] | None = None) -> Table:
    """One row per case, selection and repeat: the case's keys, the epoch, and metrics on the test galaxies.

    `metrics` (accuracy, if not given) may be NaN where a class has no galaxies.
    """
    metrics = metrics or ACCURACY
    columns: dict[str, list[Any]] = {name: [] for name in ("repeat", *cases[0].keys, "selection", "epoch", *metrics)}
    for case in cases:
        for selection in case.selections or selections(case.history):
            confusion = case.confusion(selection)
            count = len(confusion)
            columns["repeat"] += range(count)
            columns["selection"] += [selection] * count
            columns["epoch"] += [int(case.history.evaluated_epoch[case.chosen(selection)])] * count
            for name, value in case.keys.items():
                columns[name] += [value] * count
            for name, metric in metrics.items():
                columns[name] += metric(confusion).tolist()
    return Table(columns)


def summary_table(results: Table, metrics: Sequence[str] = ("accuracy",)) -> Table:
    """One row per case and selection of a `results_table`: epoch, mean, std, ste and n.

    Of several metrics each has its rows, told apart by a column `metric`.
    """
    names = results.colnames
    keys = names[1 : names.index("epoch")]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for index, row in enumerate(results):
        groups.setdefault(tuple(row[name] for name in keys), []).append(index)
    several = ["metric"] if len(metrics) > 1 else []
    rows = []
    for metric in metrics:
        values = np.asarray(results[metric], np.float64)
        for group, indices in groups.items():
            mean, std, ste, n = summarise(values[indices])
            epoch = results["epoch"][indices[0]]
            rows.append((*group, *([metric] if several else []), epoch, float(mean), float(std), float(ste), n))
    return Table(rows=rows, names=[*keys, *several, "epoch", "mean", "std", "ste", "n"])


def values_of(results: Table, metric: str = "accuracy", **wanted: Any) -> Float64[np.ndarray, " repeat"]:
    """The metric in every repeat of the one case (and selection) that `wanted` names by its columns."""
    return np.asarray(rows_with(results, **wanted)[metric], np.float64)


def rows_with(table: Table, **wanted: Any) -> Table:
    """The rows whose columns have the wanted values."""
    keep = np.ones(len(table), bool)
    for name, value in wanted.items():
        keep &= np.asarray(table[name]) == value
    return table[keep]


def history_arrays(
    histories: Mapping[Any, History], axis: str, conditions: Sequence[Condition], class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """Histories of the same shape stacked along a new first axis called `axis`, for an .npz file.

    With coordinates, and for every array the names of its axes as `<name>_axes`.
    """
    axes = {
        "train_loss": "repeat epoch",
        "train_accuracy": "repeat epoch",
        "test_loss": "repeat evaluation condition",
        "test_confusion": "repeat evaluation condition predicted true",
        "validation_loss": "repeat evaluation condition",
        "validation_confusion": "repeat evaluation condition predicted true",
    }
    first = next(iter(histories.values()))
    arrays = {
        axis: np.array(list(histories)),
        "repeat": np.arange(len(first.train_loss)),
        "evaluated_epoch": first.evaluated_epoch,
        "condition_factor": np.array([condition.factor for condition in conditions]),
        "condition_method": np.array([condition.method for condition in conditions]),
        "class_names": np.array(class_names),
    }
    for name, names in axes.items():
        if name in first.arrays():
            arrays[name] = np.stack([history.arrays()[name] for history in histories.values()])
            arrays[f"{name}_axes"] = np.array([axis, *names.split()])
    return arrays
