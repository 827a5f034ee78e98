"""From measured histories to the tidy tables of results and their summary."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table, vstack

from galjax.metrics import accuracy
from galjax.repeats import History
from galjax.statistics import Selection, UsableConfig, choose_evaluation, is_usable, summarise

ORIGINAL = (1, "none")


class Condition(NamedTuple):
    """A resolution to evaluate at: shrunk by `factor` and enlarged with `method`; factor 1 has the method "none"."""

    factor: int
    method: str

    @property
    def label(self) -> str:
        """As the thesis's figures name it."""
        return "Original" if self.factor == 1 else f"1/{self.factor}"


def make_conditions(factors: Sequence[int], methods: Sequence[str]) -> tuple[Condition, ...]:
    """Original once, then every method at every factor above 1, in the given order."""
    degraded = [Condition(factor, method) for method in methods for factor in factors if factor > 1]
    return (Condition(*ORIGINAL), *degraded)


def selections(history: History) -> tuple[Selection, ...]:
    """The ways of choosing an epoch that a history allows."""
    return ("test-mean", "last") if history.validation_confusion is None else ("test-mean", "last", "validation")


def results_table(histories: Mapping[int, History], conditions: Sequence[Condition], repeats: Sequence[int]) -> Table:
    """One row per repeat, sample size, condition and selection: accuracy on the test galaxies at the chosen epoch."""
    parts = []
    for per_class, history in histories.items():
        test = accuracy(history.test_confusion)
        validation = None if history.validation_confusion is None else accuracy(history.validation_confusion)
        for number, condition in enumerate(conditions):
            for selection in selections(history):
                chosen = choose_evaluation(
                    selection, test[:, :, number], None if validation is None else validation[:, :, number]
                )
                parts.append(
                    Table(
                        {
                            "repeat": np.asarray(repeats, np.int64),
                            "per_class": np.full(len(repeats), per_class),
                            "factor": np.full(len(repeats), condition.factor),
                            "method": [condition.method] * len(repeats),
                            "selection": [selection] * len(repeats),
                            "epoch": np.full(len(repeats), history.evaluated_epoch[chosen]),
                            "accuracy": test[:, chosen, number],
                        }
                    )
                )
    return vstack(parts)


def summary_table(results: Table, usable: UsableConfig) -> Table:
    """One row per sample size, condition and selection of a `results_table`: mean, std, ste, n and whether usable."""
    rows = []
    keys = ["per_class", "factor", "method", "selection"]
    groups = {tuple(row[keys]): [] for row in results}  # type: dict[tuple, list[int]]
    for index, row in enumerate(results):
        groups[tuple(row[keys])].append(index)
    for (per_class, factor, method, selection), indices in groups.items():
        values = np.asarray(results["accuracy"][indices])
        original = np.asarray(results["accuracy"][groups[per_class, *ORIGINAL, selection]])
        mean, std, ste, n = summarise(values)
        epoch = results["epoch"][indices[0]]
        rows.append(
            (per_class, factor, method, selection, epoch, mean, std, ste, n, is_usable(original, values, usable))
        )
    names = (*keys, "epoch", "mean", "std", "ste", "n", "usable")
    table = Table(rows=rows, names=names)
    table.meta["usable"] = usable.rule()
    return table


def usable_limit(summary: Table, per_class: int, method: str, selection: Selection) -> int:
    """The largest factor up to which every evaluated factor is usable; 1 where only Original is, 0 where not even that."""
    chosen = summary[(summary["per_class"] == per_class) & (summary["selection"] == selection)]
    chosen = chosen[(chosen["method"] == method) | (chosen["factor"] == 1)]
    chosen.sort("factor")
    limit = 0
    for row in chosen:
        if not row["usable"]:
            break
        limit = int(row["factor"])
    return limit
