"""What recipes of augmentation reach: their usable limits, what they cost at full resolution, and which part of a gap they close."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

from galjax.analysis.sweep_answer import SweepAnswer
from galjax.analysis.tables import comparisons_table
from galjax.config.settings import UsableConfig
from galjax.statistics import compare_paired, summarise
from galjax.training.conditions import ORIGINAL

CEILING = "trained there"
"""What was trained and tested at a reduced resolution, beside the recipes."""
BASELINE = "none"
"""The recipe that others are compared with."""
PARTS = ("gap", "recalibration", "training", "both", "left")
"""The `gap` between networks trained at a resolution and those trained without changes at full resolution; what a new threshold
closes of it, what the recipe closes, what both close together, and what is `left` then."""


class Found(NamedTuple):
    """Results in every repeat, by recipe (or `CEILING`), factor and method tested at."""

    accuracy: Mapping[tuple[Any, ...], np.ndarray]
    recalibrated: Mapping[tuple[Any, ...], np.ndarray]
    """Accuracy with thresholds fitted on other test galaxies under the same condition."""
    shared: float
    """Share of test galaxies that two repeats have in common (`galjax.statistics`)."""

    def of(self, recipe: str, factor: int, method: str, *, recalibrated: bool = False) -> np.ndarray:
        """In every repeat; the method of Original does not matter."""
        known = self.recalibrated if recalibrated else self.accuracy
        return known[recipe, factor, ORIGINAL.method if factor == ORIGINAL.factor else method]

    @property
    def recipes(self) -> list[str]:
        """Those trained with, in their order."""
        return [name for name in dict.fromkeys(key[0] for key in self.accuracy) if name != CEILING]

    @property
    def others(self) -> list[str]:
        """All but `BASELINE`."""
        return [name for name in self.recipes if name != BASELINE]

    @property
    def conditions(self) -> list[tuple[int, str]]:
        """Factors above 1 and methods that the recipes were tested at."""
        return [(factor, method) for recipe, factor, method in self.accuracy if recipe == BASELINE and factor > 1]


def limits_table(found: Found, usable: UsableConfig) -> Table:
    """One row per recipe and method: the coarsest usable factor as trained, and with thresholds fitted anew.

    1 is full resolution alone, 0 not even that. Usable is meant against the same recipe at full resolution.
    """
    rows = []
    for recipe in found.recipes:
        by_threshold = [
            SweepAnswer({key[1:]: values for key, values in known.items() if key[0] == recipe}, usable, found.shared)
            for known in (found.accuracy, found.recalibrated)
        ]
        rows += [
            (recipe, method, *(answer.limit(method) for answer in by_threshold)) for method in by_threshold[0].methods
        ]
    return Table(rows=rows, names=("trained_with", "method", "usable", "usable_recalibrated"))


def losses_table(found: Found) -> Table:
    """For every other recipe its accuracy at full resolution, and how far that is above training without changes."""
    baseline = found.of(BASELINE, *ORIGINAL[:2])
    rows = []
    for recipe in found.others:
        own = found.of(recipe, *ORIGINAL[:2])
        rows.append((recipe, float(summarise(own).mean), *compare_paired(own, baseline, found.shared)))
    return comparisons_table(rows, ("trained_with", "accuracy", "difference"))


def gap_table(found: Found) -> Table:
    """`PARTS` of the gap, one row per recipe, factor, method and part, where the ceiling is known; empty where it is not."""
    rows = []
    for factor, method in found.conditions:
        if (CEILING, factor, method) not in found.accuracy:
            continue
        ceiling, plain = found.of(CEILING, factor, method), found.of(BASELINE, factor, method)
        again = found.of(BASELINE, factor, method, recalibrated=True)
        for recipe in found.others:
            own, own_again = (found.of(recipe, factor, method, recalibrated=anew) for anew in (False, True))
            pairs = (ceiling, plain), (again, plain), (own, plain), (own_again, plain), (ceiling, own_again)
            for part, (one, other) in zip(PARTS, pairs, strict=True):
                rows.append((recipe, factor, method, part, *compare_paired(one, other, found.shared)))
    return comparisons_table(
        rows, ("trained_with", "factor", "method", "part", "difference"), ("U10", "i8", "U8", "U13")
    )


def best_recipe(limits: Table, found: Found, methods: Sequence[str]) -> str:
    """The recipe whose methods hold, one with another, the furthest, and of equals the one that is the most accurate at the coarsest
    factor."""
    coarsest = max(factor for factor, _ in found.conditions)

    def merit(recipe: str) -> tuple[float, float]:
        reach = [row["usable"] for row in limits if row["trained_with"] == recipe]
        means = [float(summarise(found.of(recipe, coarsest, method)).mean) for method in methods]
        return float(np.mean(reach)), float(np.mean(means))

    return max(found.recipes, key=merit)
