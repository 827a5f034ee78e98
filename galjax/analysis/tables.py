"""From measured cases to the tidy tables of results and their summary."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from astropy.table import Row, Table

from galjax.analysis.cases import DISCRIMINATION, Case
from galjax.analysis.wording import interval
from galjax.statistics import Comparison, holm, summarise
from galjax.training.conditions import Condition
from galjax.training.history import History


def results_table(cases: Sequence[Case]) -> Table:
    """One row per case, selection and repeat: the case's keys, the epoch, and metrics on the test galaxies.

    Metrics may be NaN where a repeat was dropped, a class has no galaxies, or only other cases have that metric.
    """
    metrics = metrics_of(cases)
    rows = []
    for case in cases:
        for selection in case.reported:
            columns = zip(*(case.values(metric, selection).tolist() for metric in metrics), strict=True)
            epoch = case.epoch(selection)
            rows += [(n, *case.keys.values(), selection, epoch, *values) for n, values in enumerate(columns)]
    return Table(rows=rows, names=("repeat", *cases[0].keys, "selection", "epoch", *metrics))


def summary_table(cases: Sequence[Case]) -> Table:
    """One row per case and selection: epoch, mean, std, ste and n of the accuracy, and mean (the metric's name) and std of
    `DISCRIMINATION` where it was measured.

    Where cases have metrics of the single classes, each metric that a case has gets its row, told apart by a column `metric`.
    """
    metrics = metrics_of(cases)
    beside = DISCRIMINATION if metrics == ("accuracy", *DISCRIMINATION) else ()
    in_rows = [metric for metric in metrics if metric not in beside]
    rows = []
    for metric in in_rows:
        for case in cases:
            if metric in case.metrics:
                named = [metric] if len(in_rows) > 1 else []
                for selection in case.reported:
                    mean, std, ste, n = summarise(case.values(metric, selection))
                    found = (case.epoch(selection), float(mean), float(std), float(ste), n)
                    further = [
                        float(value) for other in beside for value in summarise(case.values(other, selection))[:2]
                    ]
                    rows.append((*case.keys.values(), selection, *named, *found, *further))
    several = ["metric"] if len(in_rows) > 1 else []
    spreads = [name for other in beside for name in (other, f"{other}_std")]
    return Table(rows=rows, names=[*cases[0].keys, "selection", *several, "epoch", "mean", "std", "ste", "n", *spreads])


def metrics_of(cases: Iterable[Case]) -> tuple[str, ...]:
    """All metrics that any of the cases has, each once."""
    return tuple(dict.fromkeys(metric for case in cases for metric in case.metrics))


def comparisons_table(
    rows: Sequence[tuple[Any, ...]], names: Sequence[str], dtype: Sequence[str] | None = None
) -> Table:
    """A table whose rows end in a `galjax.statistics.Comparison`, with the probabilities also corrected after Holm.

    `names` are those of the columns up to the difference; `dtype` holds for tables without a row.
    """
    names = (*names, *Comparison._fields[1:])
    table = Table(rows=rows or None, names=names, dtype=None if dtype is None else (*dtype, *["f8"] * 4, "i8"))
    table["p_corrected"] = holm(table["p_value"].tolist())
    return table


def interval_in_words(row: Row) -> str:
    """The interval of a row of a `comparisons_table`, and whether the difference is significant at 0.05 after Holm's correction."""
    words = interval(row["low"], row["high"], row["n"])
    if not np.isfinite(row["p_corrected"]):
        return words
    return f"{words}, {'significant' if row['p_corrected'] < 0.05 else 'not significant'}"


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
        "test_auc": "repeat evaluation condition",
        "test_recalibrated_confusion": "repeat evaluation condition predicted true",
        "validation_loss": "repeat evaluation",
        "validation_confusion": "repeat evaluation predicted true",
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


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, for the terminal, a paper or a README; all columns but the first are aligned right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
