"""What one change of a training is worth, and what averaging at test time adds, on galaxies that every repeat is tested on."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float, Int

from galjax.analysis.tables import comparisons_table
from galjax.statistics import compare_paired, summarise

AVERAGES = ("together", "oriented", "both")
"""Accuracy of mean probabilities: over all repeats; of every repeat over eight orientations of the image; over both."""


class Told(NamedTuple):
    """What networks say of the same galaxies, in the orientations of their images."""

    probabilities: Float[np.ndarray, "repeat orientation galaxy class"]
    labels: Int[np.ndarray, " galaxy"]

    @property
    def right(self) -> Float[np.ndarray, "repeat galaxy"]:
        """1 where a network names a galaxy right, as its image is."""
        return (self.probabilities[:, 0].argmax(axis=-1) == self.labels).astype(np.float64)

    def averaged(self) -> dict[str, float]:
        """The accuracy of each of `AVERAGES`."""
        each = self.probabilities.astype(np.float64)
        means = {
            "together": each[:, :1].mean(axis=(0, 1)),
            "oriented": each.mean(axis=1),
            "both": each.mean(axis=(0, 1)),
        }
        return {name: float((mean.argmax(axis=-1) == self.labels).mean()) for name, mean in means.items()}


def ablation_table(told: Mapping[tuple[str, int, str], Told], seconds: Mapping[str, float]) -> Table:
    """One row per change, factor and method, in order.

    Columns: change, factor, method, repeats, accuracy (mean over repeats of single networks), std (over repeats), each of `AVERAGES`, and
    seconds (to train all repeats).
    """
    rows = []
    for (change, factor, method), one in told.items():
        mean, std, _, n = summarise(one.right.mean(axis=1))
        averaged = one.averaged()
        rows.append((change, factor, method, n, float(mean), float(std), *averaged.values(), round(seconds[change], 1)))
    return Table(rows=rows, names=("change", "factor", "method", "repeats", "accuracy", "std", *AVERAGES, "seconds"))


def gains_table(told: Mapping[tuple[str, int, str], Told], baseline: str) -> Table:
    """For every other change, factor and method how far single networks are above those of the baseline, paired over galaxies.

    A galaxy counts by the share of the repeats that name it right.
    """
    rows = [
        (*key, *compare_paired(one.right.mean(axis=0), told[(baseline, *key[1:])].right.mean(axis=0), 0.0))
        for key, one in told.items()
        if key[0] != baseline
    ]
    return comparisons_table(rows, ("change", "factor", "method", "difference"), ("U32", "i8", "U8"))
