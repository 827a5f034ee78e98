"""Which labels are likely wrong: what networks that never trained on a galaxy say of it, against its label.

Every repeat tests some of its galaxies, so that many repeats give each galaxy votes of networks that never saw its label. Cheng et al. (2020,
MNRAS 493, 4209) found about 2.5 % of the clear labels of Galaxy Zoo 1 wrong in this way: a high probability that disagrees with the label.
How many wrong labels are found so, and how many right ones are called wrong, is counted on labels that were made wrong on purpose.
"""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.stats import binom_conf_interval
from astropy.table import Table
from jaxtyping import Bool, Float, Float64, Int, Int32

from galjax.analysis.classes import Said
from galjax.sample import GalaxySample

CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Least mean probabilities of another class that are tried."""
CONFIDENT_LEARNING = "cleanlab"
"""The rule of another program (Northcutt, Jiang & Chuang 2021, J. Artif. Intell. Res. 70, 1373), on the same votes."""


class Votes(NamedTuple):
    """What networks that did not train on a galaxy say of it, one row a galaxy; NaN where there is no network."""

    networks: Int[np.ndarray, " galaxy"]
    """How many."""
    probability: Float64[np.ndarray, "galaxy class"]
    """Mean over them of the probability of each class, 0 to 1."""
    std: Float64[np.ndarray, " galaxy"]
    """Sample standard deviation over them of the probability of the first class; NaN of a single one."""
    named: Float64[np.ndarray, "galaxy class"]
    """Share of them that name each class."""

    @property
    def consensus(self) -> Int[np.ndarray, " galaxy"]:
        """The class of the largest mean probability; the first where there is no network."""
        return np.where(self.networks > 0, np.nan_to_num(self.probability).argmax(axis=1), 0)


def collect_votes(said: Said, galaxies: int) -> Votes:
    """The votes of all repeats on the `galaxies` of a sample, each by those that tested it."""
    classes = said.probabilities.shape[-1]
    places, each = said.chosen.ravel(), said.probabilities.reshape(-1, classes).astype(np.float64)
    count = np.bincount(places, minlength=galaxies)

    def summed(values: Float64[np.ndarray, " vote"]) -> Float64[np.ndarray, " galaxy"]:
        return np.bincount(places, weights=values, minlength=galaxies)

    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.stack([summed(each[:, number]) for number in range(classes)], axis=1) / count[:, None]
        spread = summed(np.square(each[:, 0] - mean[places, 0])) / (count - 1)
        named = (
            np.stack([summed((each.argmax(axis=1) == number) * 1.0) for number in range(classes)], axis=1)
            / count[:, None]
        )
    return Votes(count, mean, np.sqrt(np.where(count > 1, spread, np.nan)), named)


def against_label(votes: Votes, labels: Int32[np.ndarray, " galaxy"]) -> Float64[np.ndarray, " galaxy"]:
    """The largest mean probability of a class that the label does not name, 0 to 1; NaN where there is no vote."""
    other = votes.probability.copy()
    other[np.arange(len(labels)), labels] = -np.inf
    return np.where(votes.networks > 0, other.max(axis=1), np.nan)


def likely_wrong(
    votes: Votes, labels: Int32[np.ndarray, " galaxy"], confidence: float, fewest_votes: int
) -> Bool[np.ndarray, " galaxy"]:
    """Labels that at least `fewest_votes` networks disagree with, by a mean probability of another class of at least `confidence`, 0 to 1."""
    enough = votes.networks >= fewest_votes
    return enough & (np.nan_to_num(against_label(votes, labels)) >= confidence)


def relabelled(
    labels: Int32[np.ndarray, " galaxy"], votes: Votes, wrong: Bool[np.ndarray, " galaxy"]
) -> Int32[np.ndarray, " galaxy"]:
    """The labels, where they are likely wrong the class that networks are sure of instead."""
    return np.where(wrong, votes.consensus, labels).astype(np.int32)


def with_planted_errors(
    labels: Int32[np.ndarray, " galaxy"], classes: int, share: float, rng: np.random.Generator
) -> Int32[np.ndarray, " galaxy"]:
    """The labels, a `share` (0 to below 1) of those of each class made wrong: another class, each with the same chance."""
    planted = labels.copy()
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        chosen = rng.choice(members, round(share * len(members)), replace=False)
        planted[chosen] = (label + rng.integers(1, classes, len(chosen))) % classes
    return planted


def detection_table(
    votes: Votes,
    labels: Int32[np.ndarray, " galaxy"],
    wrong: Bool[np.ndarray, " galaxy"],
    confidences: Sequence[float],
    fewest_votes: int,
) -> Table:
    """How well wrong labels are found, by rule: at each least probability, and cleanlab's where it is installed.

    Columns: rule, confidence (NaN for cleanlab), judged (galaxies with enough votes), wrong (of them), flagged, found (flagged and wrong),
    precision (of those flagged, how many are wrong) and recall (of the wrong, how many are flagged), each with the 95 % Wilson interval
    (Wilson 1927, J. Am. Stat. Assoc. 22, 209); NaN where nothing is flagged, or nothing is wrong.
    """
    judged = votes.networks >= fewest_votes
    rules = [
        ("probability", confidence, likely_wrong(votes, labels, confidence, fewest_votes)) for confidence in confidences
    ]
    by_cleanlab = _confident_learning(votes, labels, judged)
    if by_cleanlab is not None:
        rules.append((CONFIDENT_LEARNING, float("nan"), by_cleanlab))
    rows = []
    for rule, confidence, flagged in rules:
        found, all_wrong = int((flagged & wrong).sum()), int((judged & wrong).sum())
        precision, recall = _share(found, int(flagged.sum())), _share(found, all_wrong)
        rows.append(
            (rule, confidence, int(judged.sum()), all_wrong, int(flagged.sum()), found, *precision, *recall),
        )
    bounds = [f"{name}{end}" for name in ("precision", "recall") for end in ("", "_low", "_high")]
    return Table(rows=rows, names=("rule", "confidence", "judged", "wrong", "flagged", "found", *bounds))


def _share(part: int, whole: int) -> tuple[float, float, float]:
    if not whole:
        return (float("nan"),) * 3
    low, high = binom_conf_interval(part, whole, confidence_level=0.95, interval="wilson")
    return part / whole, float(low), float(high)


def _confident_learning(
    votes: Votes, labels: Int32[np.ndarray, " galaxy"], judged: Bool[np.ndarray, " galaxy"]
) -> Bool[np.ndarray, " galaxy"] | None:
    """Labels that cleanlab's default rule calls wrong; None where it is not installed, or a class has no galaxy to judge."""
    try:
        from cleanlab.filter import find_label_issues
    except ImportError:
        return None
    if len(np.unique(labels[judged])) < votes.probability.shape[1]:
        return None
    flagged = np.zeros(len(labels), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has few examples
        flagged[judged] = find_label_issues(labels[judged], votes.probability[judged], n_jobs=1)
    return flagged


def audit_table(
    sample: GalaxySample,
    votes: Votes,
    wrong: Bool[np.ndarray, " galaxy"],
    truth: Int32[np.ndarray, " galaxy"] | None,
) -> Table:
    """One row a galaxy of the sample: id, label, votes, consensus, agreement (share of the networks that name the label), p_<class>, std,
    likely_wrong, and where it is known the true class. The most probable errors come first; consensus is empty without a vote."""
    names = np.array(sample.class_names)
    own = np.arange(len(sample)), sample.labels
    table = Table(
        {
            "id": sample.ids,
            "label": names[sample.labels],
            "votes": votes.networks,
            "consensus": np.where(votes.networks > 0, names[votes.consensus], ""),
            "agreement": votes.named[own],
        }
    )
    for number, name in enumerate(sample.class_names):
        table[f"p_{name}"] = votes.probability[:, number]
    table["std"], table["likely_wrong"] = votes.std, wrong
    if truth is not None:
        table["truth"] = names[truth]
    order = np.lexsort((-np.nan_to_num(against_label(votes, sample.labels)), ~wrong))
    return table[order]


def agreement_table(sample: GalaxySample, votes: Votes, wrong: Bool[np.ndarray, " galaxy"], fewest_votes: int) -> Table:
    """One row a class: galaxies with a label of it, how many are judged (have enough votes), the share of these whose consensus is the
    label, how many labels are likely wrong and their share of the judged."""
    rows = []
    for number, name in enumerate(sample.class_names):
        own = (sample.labels == number) & (votes.networks >= fewest_votes)
        judged, flagged = int(own.sum()), int((own & wrong).sum())
        agree = float((votes.consensus[own] == number).mean()) if judged else float("nan")
        share = flagged / judged if judged else float("nan")
        rows.append((name, int((sample.labels == number).sum()), judged, agree, flagged, share))
    return Table(rows=rows, names=("label", "galaxies", "judged", "agreement", "likely_wrong", "share"))


def right_by_galaxy(said: Said) -> Float[np.ndarray, " galaxy"]:
    """The share of the repeats that name each galaxy right, where every repeat tests the same, in the same order."""
    return said.is_right.mean(axis=0)
