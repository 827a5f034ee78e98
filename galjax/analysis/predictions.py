"""What every repeat said of its own test galaxies, as a table."""

from collections.abc import Iterable, Sequence

import numpy as np
from astropy.table import Table, vstack

from galjax.analysis.usable import usable_limit
from galjax.metrics import accuracy
from galjax.statistics import Selection, choose_evaluation
from galjax.training.conditions import Condition
from galjax.training.ensemble import HeldOut, predictions_table
from galjax.training.history import History

SELECTIONS: tuple[Selection, ...] = ("test-mean", "last")
"""In the order of `History.predictions`."""


def test_predictions(
    held_out: HeldOut, history: History, conditions: Sequence[Condition], wanted: Iterable[int]
) -> Table:
    """One row per repeat, test galaxy, condition (its number among `conditions` in `wanted`) and selection of the epoch.

    Columns repeat, id, true, predicted, p_<class>, factor, method, selection, epoch. Repeats that were dropped have no rows;
    nor has a chosen epoch whose predictions were not kept, as where a repeat was dropped later, or where a run that is trained
    on no longer evaluates it.
    """
    predictions, epochs = history.predictions, history.predicted_epoch
    assert predictions is not None
    assert epochs is not None
    kept = ~np.isnan(history.train_loss).any(axis=1)
    names = held_out.sample.class_names
    repeats = tuple(np.flatnonzero(kept).tolist())
    tables = []
    for number in wanted:
        test = accuracy(history.test_confusion)[:, :, number]
        for which, selection in enumerate(SELECTIONS):
            epoch = int(history.evaluated_epoch[choose_evaluation(selection, test)])
            if epoch != epochs[which, number]:
                continue
            own = HeldOut(held_out.sample, held_out.chosen[kept])
            table = predictions_table(own, names, repeats, predictions[kept, which, number])
            condition = conditions[number]
            table["factor"], table["method"], table["selection"], table["epoch"] = (
                condition.factor,
                condition.method,
                selection,
                epoch,
            )
            tables.append(table)
    return vstack(tables) if tables else Table()


def coarsest_usable(summary: Table, conditions: Sequence[Condition]) -> int | None:
    """The number of the coarsest condition that the summary of a sweep calls usable; of several methods the most accurate.

    None where only Original is, or the summary does not say.
    """
    if "usable" not in summary.colnames:
        return None
    per_class = int(max(summary["per_class"]))
    limits = {c.method: usable_limit(summary, per_class, c.method, "test-mean") for c in conditions if c.factor > 1}
    best = max(limits.values(), default=0)
    if best < 2:
        return None
    chosen = summary[(summary["per_class"] == per_class) & (summary["factor"] == best)]
    chosen = chosen[chosen["selection"] == "test-mean"]
    means = {row["method"]: row["mean"] for row in chosen if limits.get(row["method"]) == best}
    method = max(means, key=lambda name: means[name])
    return next(n for n, c in enumerate(conditions) if (c.factor, c.method) == (best, method))
