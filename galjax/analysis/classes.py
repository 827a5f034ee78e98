"""What a network makes of every class: completeness and purity, and how accuracy depends on what is known of galaxies."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float, Int, Shaped

from galjax.analysis.cases import Case
from galjax.statistics import Selection, summarise
from galjax.training.ensemble import HeldOut
from galjax.training.history import History

QUANTILES = 6
"""Bins, with as many galaxies each."""
FEWEST_IN_BIN = 10
"""Galaxies below which a bin has no accuracy."""


def classes_table(cases: Iterable[Case], class_names: Sequence[str]) -> Table:
    """Completeness (of the true galaxies of a class, how many are named so) and purity (of those named so, how many are) of every case.

    Means and standard deviations (`_std`) over the repeats at the leading epoch, 0 to 1; NaN where a repeat has none.
    """
    rows = []
    for case in cases:
        counts = case.confusion().astype(np.float64)
        counts = counts[counts.sum(axis=(1, 2)) > 0]  # a dropped repeat has no galaxies
        right = np.diagonal(counts, axis1=1, axis2=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            both = {"completeness": right / counts.sum(axis=1), "purity": right / counts.sum(axis=2)}
        for number, name in enumerate(class_names):
            row = {**case.keys, "class": name}
            for measure, values in both.items():
                known = values[np.isfinite(values[:, number]), number]
                found = summarise(known) if len(known) else None
                row[measure] = float("nan") if found is None else float(found.mean)
                row[f"{measure}_std"] = float("nan") if found is None else float(found.std)
            rows.append(row)
    return Table(rows=rows)


class Said(NamedTuple):
    """What every repeat said of its test galaxies under one condition at the leading epoch."""

    probabilities: Float[np.ndarray, "repeat galaxy class"]
    labels: Int[np.ndarray, "repeat galaxy"]
    chosen: Int[np.ndarray, "repeat galaxy"]
    """Positions of the galaxies in the sample."""

    @property
    def is_right(self) -> Bool[np.ndarray, "repeat galaxy"]:
        """Which galaxies are named right."""
        return np.asarray(self.probabilities.argmax(axis=-1) == self.labels)


def said_under(history: History, held_out: HeldOut, condition: int, selection: Selection | None = None) -> Said | None:
    """At the epoch of the selection (None: the leading one); None where its predictions were not kept (a chosen epoch that a dropped
    repeat changed)."""
    if history.predictions is None or history.predicted_epoch is None:
        return None
    epoch = history.evaluated_epoch[history.evaluation(selection or history.leading)]
    kept = ~np.isnan(history.train_loss).any(axis=1)
    for which in np.flatnonzero(history.predicted_epoch == epoch)[:1]:
        chosen = held_out.chosen[kept]
        said = history.predictions[kept, which, condition]
        return Said(said, held_out.sample.labels[chosen], chosen) if np.isfinite(said).all() and kept.any() else None
    return None


class Binned(NamedTuple):
    """Accuracy against a quantity of the galaxies."""

    middles: Float[np.ndarray, " bin"]
    """Medians of the quantity."""
    accuracy: Float[np.ndarray, " bin"]
    """Over all repeats together."""
    error: Float[np.ndarray, " bin"]
    """Standard error, binomial, of the different galaxies in the bin."""


def accuracy_against(said: Said, quantity: Shaped[np.ndarray, " galaxy"]) -> Binned | None:
    """In bins of as many test galaxies each; None where the quantity is known of too few."""
    values = np.asarray(quantity, np.float64)[said.chosen]
    known = np.isfinite(values)
    if known.sum() < 2 * FEWEST_IN_BIN or np.ptp(values[known]) == 0:
        return None
    edges = np.unique(np.quantile(values[known], np.linspace(0, 1, QUANTILES + 1)))
    number = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    rows = []
    for one in range(len(edges) - 1):
        here = known & (number == one)
        different = len(np.unique(said.chosen[here]))
        if different >= FEWEST_IN_BIN:
            share = float(said.is_right[here].mean())
            rows.append((float(np.median(values[here])), share, float(np.sqrt(share * (1 - share) / different))))
    return Binned(*(np.array(column) for column in zip(*rows, strict=True))) if rows else None


def most_often_wrong(said: Said, most: int) -> list[tuple[int, float, int]]:
    """Galaxies (their positions) that are named wrong by the largest share of the repeats that test them, and by two at least; the share;
    how many test them. Surer mistakes come first."""
    galaxies = np.unique(said.chosen)
    tests = np.bincount(np.searchsorted(galaxies, said.chosen).ravel(), minlength=len(galaxies))
    place = np.searchsorted(galaxies, said.chosen)
    wrong = np.bincount(place.ravel(), weights=(~said.is_right).ravel(), minlength=len(galaxies))
    of_truth = np.take_along_axis(said.probabilities, said.labels[..., None], axis=2)[..., 0]
    truth = np.bincount(place.ravel(), weights=of_truth.ravel(), minlength=len(galaxies)) / tests
    candidates = np.flatnonzero((wrong > 0) & (tests >= min(2, len(said.chosen))))
    order = candidates[np.lexsort((truth[candidates], -wrong[candidates] / tests[candidates]))][:most]
    return [(int(galaxies[n]), float(wrong[n] / tests[n]), int(tests[n])) for n in order]
