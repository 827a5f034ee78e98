"""When a degraded resolution counts as usable, the coarsest one that does, and how sure that is."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float, Float64, Int

from galjax.analysis.cases import Case, values_by
from galjax.config.settings import UsableConfig
from galjax.statistics import ROUNDING, upper_bound_of_mean
from galjax.training.conditions import ORIGINAL

RESAMPLES = 2000
"""Number of bootstrap resamples."""
FEWEST_FOR_INTERVAL = 10
"""Repeats below which the bootstrap is too narrow to be shown (`benchmarks.coverage`)."""


def is_as_accurate(
    original: Float[np.ndarray, " repeat"], degraded: Float[np.ndarray, " repeat"], config: UsableConfig, shared: float
) -> bool:
    """Whether a degraded resolution is as accurate as Original: a non-inferiority test on paired repeats.

    It is where the upper confidence bound of the mean of `original - degraded` is below `usable_loss`, for new galaxies, of repeats
    that share their test galaxies by `shared` (`galjax.statistics`). A single repeat, and
    repeats that all lose the same, have no spread and show nothing (`galjax.statistics.upper_bound_of_mean`); a
    resolution that loses nothing in any repeat is as accurate. Dropped repeats (NaN) do not count.
    """
    both = ~np.isnan(original - degraded)
    return bool(both.sum() > 1 and _within_loss((original - degraded)[both], config, shared))


def is_usable(
    original: Float[np.ndarray, " repeat"], degraded: Float[np.ndarray, " repeat"], config: UsableConfig, shared: float
) -> bool:
    """Whether a degraded resolution is as accurate as Original (`is_as_accurate`) and near 0.9, by `UsableConfig`."""
    return is_as_accurate(original, degraded, config, shared) and bool(_is_near(degraded[~np.isnan(degraded)], config))


def _within_loss(
    lost: Float[np.ndarray, "*any repeat"], config: UsableConfig, shared: float
) -> Bool[np.ndarray, "*any"]:
    bound = upper_bound_of_mean(lost, config.usable_significance, shared)
    return np.asarray(bound < config.usable_loss - ROUNDING)


def _is_near(values: Float[np.ndarray, "*any repeat"], config: UsableConfig) -> Bool[np.ndarray, "*any"]:
    return np.asarray(values.mean(-1) >= config.usable_accuracy - ROUNDING)


def with_usable(summary: Table, cases: Sequence[Case], config: UsableConfig, shared: Mapping[int, float]) -> Table:
    """The summary of a sweep's cases (keys per_class, factor, method) with columns `usable` and `within_loss`, and of accuracies at
    thresholds fitted on other test galaxies `usable_recalibrated`.

    `shared` is the share of test galaxies that two repeats have in common, by `per_class`.

    Its meta says what they mean: `usable` in words, and the thresholds by their flags.
    """
    found = summary.copy()
    names = ("per_class", "factor", "method")
    by_selection = {way: values_by(cases, *names, selection=way) for way in dict.fromkeys(summary["selection"])}
    usable, as_accurate = [], []
    for row in summary:
        values = by_selection[row["selection"]]
        pair = (values[row["per_class"], *ORIGINAL[:2]], values[tuple(row[list(names)])])
        usable.append(is_usable(*pair, config, shared[row["per_class"]]))
        as_accurate.append(is_as_accurate(*pair, config, shared[row["per_class"]]))
    found["usable"], found["within_loss"] = usable, as_accurate
    if "recalibrated_accuracy" in summary.colnames:
        anew = {way: values_by(cases, *names, selection=way, metric="recalibrated_accuracy") for way in by_selection}
        found["usable_recalibrated"] = [
            is_usable(
                anew[row["selection"]][row["per_class"], *ORIGINAL[:2]],
                anew[row["selection"]][tuple(row[list(names)])],
                config,
                shared[row["per_class"]],
            )
            for row in summary
        ]
    found.meta |= {"usable": config.rule(), **dataclasses.asdict(config)}
    return found


class LimitInterval(NamedTuple):
    """How far the limit moves where the repeats are drawn anew from those that were run."""

    low: int
    high: int
    """Upper end; the limit lies between both in 95 of 100 such sets."""
    share: float
    """Share of the sets in which the limit is the one that was found."""


def limit_interval(
    factors: tuple[int, ...],
    values: Float64[np.ndarray, "factor repeat"],
    config: UsableConfig,
    shared: float,
    seed: int = 0,
    fewest: int = FEWEST_FOR_INTERVAL,
) -> LimitInterval | None:
    """The bootstrap distribution of the usable limit: repeats are drawn anew, with replacement, `RESAMPLES` times.

    `values` are accuracies at the `factors`, in rising order from Original (1). Sets that hold one repeat only, over and
    over, have no spread and are not counted. How often the limit of another set of repeats on the same galaxies lies within,
    `benchmarks.coverage` counts: too seldom where repeats are few, so that there is None for fewer than `fewest`, dropped
    ones (NaN) not counted. The choice of the epoch and the pool of galaxies are taken as they are.
    """
    values = values[:, ~np.isnan(values).any(axis=0)]
    repeats = values.shape[1]
    if repeats < fewest:
        return None
    limits = np.array([0, *factors])
    found = limits[first_failures(values[:, None], config, shared)[0]]
    drawn = np.random.default_rng(seed).integers(repeats, size=(RESAMPLES, repeats))
    drawn = drawn[(drawn != drawn[:, :1]).any(axis=1)]
    resampled = limits[first_failures(values[:, drawn], config, shared)]
    low, high = np.percentile(resampled, [2.5, 97.5], method="nearest")
    return LimitInterval(int(low), int(high), float((resampled == found).mean()))


def first_failures(
    values: Float64[np.ndarray, "factor set repeat"], config: UsableConfig, shared: float
) -> Int[np.ndarray, " set"]:
    """For each set of repeats, how many factors in a row are usable from Original on."""
    usable = _within_loss(values[:1] - values, config, shared) & _is_near(values, config)
    return np.logical_and.accumulate(usable, axis=0).sum(axis=0)
