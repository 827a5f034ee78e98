"""When a degraded resolution counts as usable, the coarsest one that does, and how sure that is."""

from typing import NamedTuple

import numpy as np
import scipy.stats
from astropy.table import Table
from jaxtyping import Float, Float64

from galjax.outcome import ORIGINAL, rows_with, values_of
from galjax.settings import UsableConfig
from galjax.statistics import Selection, summarise, upper_bound_of_mean

RESAMPLES = 2000
"""Of the bootstrap."""


def is_usable(
    original: Float[np.ndarray, " repeat"], degraded: Float[np.ndarray, " repeat"], config: UsableConfig
) -> bool:
    """Whether a degraded resolution is as accurate as Original and near 0.9, by `UsableConfig`.

    A non-inferiority test on paired repeats: usable where the upper confidence bound of the mean of
    `original - degraded` is below `usable_loss`. A single repeat, which has no spread, is never usable. Dropped repeats
    (NaN) do not count.
    """
    if summarise(original - degraded).n < 2 or not summarise(degraded).mean >= config.usable_accuracy:
        return False
    return upper_bound_of_mean(original - degraded, config.usable_significance) < config.usable_loss


def with_usable(summary: Table, results: Table, config: UsableConfig) -> Table:
    """The summary of a sweep (columns per_class, factor, method, selection) with a column `usable`."""
    found = summary.copy()
    usable = []
    for row in summary:
        alike = rows_with(results, per_class=row["per_class"], selection=row["selection"])
        original = values_of(alike, factor=ORIGINAL.factor, method=ORIGINAL.method)
        degraded = values_of(alike, factor=row["factor"], method=row["method"])
        usable.append(is_usable(original, degraded, config))
    found["usable"] = usable
    found.meta["usable"] = config.rule()
    return found


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


class LimitInterval(NamedTuple):
    """How far the limit moves if other repeats had been run."""

    low: int
    high: int
    """Between which it lies in 95 of 100 sets of repeats."""
    share: float
    """Of the sets in which it is the limit that was found."""


def limit_interval(
    factors: tuple[int, ...], values: Float64[np.ndarray, "factor repeat"], config: UsableConfig, seed: int = 0
) -> LimitInterval | None:
    """The bootstrap distribution of the usable limit: repeats are drawn anew, with replacement, `RESAMPLES` times.

    `values` are accuracies at the `factors`, in rising order from Original (1). None for fewer than three repeats,
    dropped ones (NaN) not counted.
    """
    values = values[:, ~np.isnan(values).any(axis=0)]
    repeats = values.shape[1]
    if repeats < 3:
        return None
    limits = np.array([0, *factors])
    found = limits[_first_failures(values[:, None], config)[0]]
    drawn = np.random.default_rng(seed).integers(repeats, size=(RESAMPLES, repeats))
    resampled = limits[_first_failures(values[:, drawn], config)]
    low, high = np.percentile(resampled, [2.5, 97.5], method="nearest")
    return LimitInterval(int(low), int(high), float((resampled == found).mean()))


def _first_failures(values: Float64[np.ndarray, "factor set repeat"], config: UsableConfig) -> np.ndarray:
    """For each set of repeats, how many factors in a row are usable from Original on: `is_usable`, for many sets."""
    repeats = values.shape[-1]
    loss = values[:1] - values
    bound = loss.mean(-1) + (
        scipy.stats.t.isf(config.usable_significance, repeats - 1) * loss.std(-1, ddof=1) / np.sqrt(repeats)
    )
    usable = (values.mean(-1) >= config.usable_accuracy) & (bound < config.usable_loss)
    return np.logical_and.accumulate(usable, axis=0).sum(axis=0)
