"""How much of a loss of accuracy is the threshold between classes, and how much the network can no longer tell apart.

Images that differ from those it was trained on shift what a network makes of all of them: it takes too many galaxies for one class,
although it still tells the classes apart. With thresholds fitted on other galaxies of the same condition
(`galjax.metrics.recalibrated`) the accuracy A becomes R, and what testing under a condition loses against testing under that of the
training (here with a dash) falls into two parts,

    A' - A = [(R - A) - (R' - A')] + [R' - R]:

the threshold, which a few labelled galaxies of that condition would win back, and discrimination, which no threshold does. The area under
the ROC curve asks for the latter without a threshold at all.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Row, Table

from galjax.analysis.cases import DISCRIMINATION, Case
from galjax.analysis.wording import HOLM, NEW_GALAXIES, PAIRED, fixed, interval, interval_and_test, listed, signed
from galjax.statistics import ROUNDING, compare_paired, holm, summarise

METRICS = ("accuracy", *DISCRIMINATION)
PARTS = ("loss", "threshold", "discrimination", "auc_loss")
"""The loss of accuracy, its two parts, and the loss of area under the ROC curve."""
LEVEL = 0.05
"""Below which a corrected probability is called significant."""
IN_SHORT_CAPTION = (
    "What is lost against test images like those trained on: accuracy (loss), the part of it that is the threshold between classes, the part "
    "that the network can no longer tell apart (discrimination), and area under the ROC curve (auc_loss), with 95 % intervals "
    f"{NEW_GALAXIES} (* significant at {LEVEL:g}: {PAIRED}, {HOLM})"
)


class Mismatch(NamedTuple):
    """One training, tested on images like those it was trained on and under another condition."""

    as_trained: Case
    mismatched: Case
    shared: float
    """Share of test galaxies that two repeats have in common (`galjax.statistics`)."""


def threshold_table(mismatches: Iterable[Mismatch]) -> Table:
    """One row per mismatch: the keys of its case, the means of the metrics there, n, and each of `PARTS`.

    Every part is a mean difference, paired over the repeats, with its 95 % interval (`_low`, `_high`) and two-sided probability (`_p`),
    corrected for the number of conditions after Holm.
    """
    table = Table(rows=[_row(*mismatch) for mismatch in mismatches])
    for part in PARTS:
        table[f"{part}_p"] = holm(table[f"{part}_p"].tolist())
    return table


def _row(as_trained: Case, mismatched: Case, shared: float) -> dict[str, Any]:
    before, after = ({name: case.values(name) for name in METRICS} for case in (as_trained, mismatched))
    gained = [one["recalibrated_accuracy"] - one["accuracy"] for one in (after, before)]
    pairs = {
        "loss": (before["accuracy"], after["accuracy"]),
        "threshold": gained,
        "discrimination": (before["recalibrated_accuracy"], after["recalibrated_accuracy"]),
        "auc_loss": (before["auc"], after["auc"]),
    }
    means = {name: float(summarise(values).mean) for name, values in after.items()}
    row: dict[str, Any] = {**mismatched.keys, **means}
    row["n"] = summarise(after["accuracy"]).n
    for part, (first, second) in pairs.items():
        found = compare_paired(first, second, shared)
        row |= {
            part: found.difference,
            f"{part}_low": found.low,
            f"{part}_high": found.high,
            f"{part}_p": found.p_value,
        }
    return row


def in_short(table: Table) -> Table:
    """A `threshold_table` to be read (`IN_SHORT_CAPTION`): every part in one column, with its interval."""
    found = table[table.colnames[: table.colnames.index("n") + 1]]
    for part in PARTS:
        numbers = zip(*(table[f"{part}{ending}"] for ending in ("", "_low", "_high", "_p")), strict=True)
        found[part] = [
            f"{signed(mean)} ({signed(low)} to {signed(high)}){' *' if p_value < LEVEL else ''}"
            for mean, low, high, p_value in numbers
        ]
    return found


def about_threshold(table: Table, named: Callable[[Row], str]) -> str:
    """In words, how much of the largest loss in a `threshold_table` is the threshold, and how often either part is significant.

    `named` gives the condition of a row in words that stand behind "is lost": "between Original and 1/8".
    """
    lost = np.asarray(table["loss"], np.float64)
    if not (lost > ROUNDING).any():
        return "No condition loses accuracy against test images like those trained on, so that there is no loss to split up."
    row = table[int(np.nanargmax(lost))]
    found = (
        f"Most accuracy is lost {named(row)}, {fixed(row['loss'])}: {signed(row['threshold'])} of it is the threshold between classes "
        f"({_test(row, 'threshold')}), and {signed(row['discrimination'])} what the network can no longer tell apart "
        f"({_test(row, 'discrimination')}). Thresholds fitted on other galaxies seen like that bring the accuracy from "
        f"{fixed(row['accuracy'])} to {fixed(row['recalibrated_accuracy'])}; the area under the ROC curve is {fixed(row['auc'])}, against "
        f"{fixed(row['auc'] + row['auc_loss'])} for images like those trained on."
    )
    return f"{found}{_how_often(table)}"


def about_own_threshold(cases: Mapping[str, Case], shared: Mapping[str, float]) -> str:
    """In words, how much trainings lose by their threshold where they are tested on images like those they were trained on.

    `shared` are the shares of test galaxies that two repeats have in common, by the trainings' names.
    """
    changes, areas = [], []
    for name, case in cases.items():
        found = compare_paired(case.values("recalibrated_accuracy"), case.values("accuracy"), shared[name])
        changes.append(f"{signed(found.difference)} ({name}, {interval(found.low, found.high, found.n)})")
        areas.append(f"{fixed(float(summarise(case.values('auc')).mean))} ({name})")
    return (
        f"Thresholds between the classes that are fitted on other galaxies change the accuracy by {listed(changes)}; what stays wrong then, "
        f"these networks cannot tell apart. The area under the ROC curve is {listed(areas)}, over pairs of classes where there are more than two."
    )


def _test(row: Row, part: str) -> str:
    low, high, p_value = (row[f"{part}_{name}"] for name in ("low", "high", "p"))
    return interval_and_test(low, high, p_value, row["n"], f"{PAIRED}, {HOLM}")


def _how_often(table: Table) -> str:
    """Under how many of several conditions either part is a significant loss; nothing where nothing is tested."""
    if len(table) < 2 or not np.isfinite(table["threshold_p"]).any():
        return ""
    threshold, apart = (
        int(((table[f"{part}_p"] < LEVEL) & (table[part] > 0)).sum()) for part in ("threshold", "discrimination")
    )
    return f" Of {len(table)} conditions the threshold costs accuracy significantly under {threshold}, what can no longer be told apart under {apart}."
