"""What every repeat said of its own test galaxies, as a table."""

import itertools
from collections.abc import Iterable, Sequence

import numpy as np
from astropy.table import Table, vstack

from galjax.statistics import leading
from galjax.training.conditions import ORIGINAL, Condition
from galjax.training.ensemble import HeldOut, predictions_table
from galjax.training.history import History


def test_predictions(
    held_out: HeldOut, history: History, conditions: Sequence[Condition], wanted: Iterable[int]
) -> Table:
    """One row per repeat, test galaxy, condition (its number among `conditions` in `wanted`) and selection of the epoch.

    The selections are the leading one (`History.leading`) and the last epoch. Columns repeat, id, true, predicted, p_<class>, factor,
    method, selection, epoch; and where conditions differ in them, the size (px) shrunk to and the number of the view. Repeats that were
    dropped have no rows; nor has a chosen epoch whose predictions were not kept, as where a repeat that was dropped later changed the
    choice.
    """
    predictions, epochs = history.predictions, history.predicted_epoch
    assert predictions is not None
    assert epochs is not None
    kept = ~np.isnan(history.train_loss).any(axis=1)
    names = held_out.sample.class_names
    repeats = tuple(np.flatnonzero(kept).tolist())
    own = HeldOut(held_out.sample, held_out.chosen[kept])
    tables = []
    for number, selection in itertools.product(wanted, dict.fromkeys((history.leading, "last"))):
        epoch = int(history.evaluated_epoch[history.evaluation(selection)])
        for which in np.flatnonzero(epochs == epoch)[:1]:
            table = predictions_table(own, names, repeats, predictions[kept, which, number])
            condition = conditions[number]
            table["factor"], table["method"] = condition.factor, condition.method
            if any(one.size is not None for one in conditions):
                table["size"] = condition.size or held_out.sample.images.shape[1]
            if any(one.view for one in conditions):
                table["view"] = condition.view
            table["selection"], table["epoch"] = selection, epoch
            tables.append(table)
    return vstack(tables) if tables else Table()


def coarsest_usable(summary: Table, conditions: Sequence[Condition]) -> int | None:
    """The number of the coarsest condition that the summary of a sweep calls usable; of several methods the most accurate.

    None where only Original is, or the summary does not say.
    """
    if "usable" not in summary.colnames:
        return None
    rows = summary[
        (summary["per_class"] == max(summary["per_class"])) & (summary["selection"] == leading(summary["selection"]))
    ]
    found = {(int(row["factor"]), str(row["method"])): row for row in rows}
    if not found[ORIGINAL.factor, ORIGINAL.method]["usable"]:
        return None
    methods = {condition.method for condition in conditions if condition.factor > 1}
    chains = {method: [found[key] for key in sorted(found) if key[1] == method] for method in methods}
    # The last of those in a row, from the finest on, that are usable.
    usable = [
        row for chain in chains.values() for row in list(itertools.takewhile(lambda row: row["usable"], chain))[-1:]
    ]
    if not usable:
        return None
    best = max(usable, key=lambda row: (row["factor"], row["mean"]))
    wanted = (int(best["factor"]), str(best["method"]))
    return next(n for n, condition in enumerate(conditions) if (condition.factor, condition.method) == wanted)
