"""Which of several steps a loss of accuracy is due to, whatever their order."""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.analysis.tables import comparisons_table
from galjax.statistics import compare_paired, summarise

REMAINS = "what remains to the coarse images"
BySubset = Mapping[frozenset[str], Float[np.ndarray, " repeat"]]
"""Accuracy in every repeat, by which of the steps were done."""


class ShapleyTerms(NamedTuple):
    """Mean accuracy over all orders, in every repeat, just before a step is done and just after; before - after is its cost."""

    before: Float[np.ndarray, " repeat"]
    after: Float[np.ndarray, " repeat"]


def subsets(steps: Collection[str]) -> Iterator[frozenset[str]]:
    """All subsets of the steps, from the empty one to all of them."""
    return (frozenset(chosen) for n in range(len(steps) + 1) for chosen in itertools.combinations(steps, n))


def shapley_terms(accuracies: BySubset, step: str) -> ShapleyTerms:
    """What the Shapley value of one of the steps is the difference of.

    Shapley (1953, Contributions to the Theory of Games II, 307): of n steps, each subset S without this one stands before
    it in |S|! (n - |S| - 1)! of the n! orders. Song, Nelson & Staum (2016, SIAM/ASA J. Uncertainty Quantification 4, 1060)
    use it to attribute a model's output to its inputs. The costs of all steps sum to the cost of all of them together.
    """
    count = max(map(len, accuracies))
    others = list(subsets(frozenset().union(*accuracies) - {step}))
    shares = [1 / (count * math.comb(count - 1, len(subset))) for subset in others]
    return ShapleyTerms(
        np.average([accuracies[subset] for subset in others], axis=0, weights=shares),
        np.average([accuracies[subset | {step}] for subset in others], axis=0, weights=shares),
    )


def attribution_table(
    accuracies: BySubset, steps: Sequence[str], target: Float[np.ndarray, " repeat"], shared: float
) -> Table:
    """What each step costs, averaged over all orders, and what remains from all of them to the `target`; paired over repeats.

    `cost` is mean accuracy before minus after; `least` and `most` are its mean costs in single orders. The costs sum to the
    accuracy without any step minus that on the target. `shared` is the share of test galaxies that two repeats have in common.
    """
    rows = []
    for step in steps:
        single = [
            float(summarise(accuracies[subset] - accuracies[subset | {step}]).mean)
            for subset in subsets(set(steps) - {step})
        ]
        rows.append((step, min(single), max(single), *compare_paired(*shapley_terms(accuracies, step), shared)))
    remains = compare_paired(accuracies[frozenset(steps)], target, shared)
    rows.append((REMAINS, remains.difference, remains.difference, *remains))
    return comparisons_table(rows, ("what", "least", "most", "cost"))
