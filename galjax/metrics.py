"""Metrics of classifications: from confusion matrices, whose rows are predicted and columns true classes, and from logits.

Those from logits tell what a network can no longer tell apart from where it puts the threshold between classes. They are for
the accelerator: under `jax.jit` and `jax.vmap`. Logits are logarithms of probabilities, up to a constant of each galaxy.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Int
from numpy.typing import ArrayLike

FITTING_ROUNDS = 3
"""How often the bias of every class is fitted where there are several, each given the others."""


def confusion_matrix(
    predicted: Int[np.ndarray, " galaxy"], true: Int[np.ndarray, " galaxy"], num_classes: int
) -> Int[np.ndarray, "predicted true"]:
    """Counts of galaxies by predicted (row) and true (column) class. Labels lie in 0..num_classes-1.

    This is the transpose of scikit-learn's; the thesis has predictions as rows (figures 4.11 and 4.12).
    """
    flat = np.bincount(predicted.astype(np.int64) * num_classes + true, minlength=num_classes**2)
    if len(flat) > num_classes**2:
        raise ValueError(f"Labels must lie in 0..{num_classes - 1}.")
    return flat.reshape(num_classes, num_classes)


def accuracy(confusion: Int[np.ndarray, "*any predicted true"]) -> Float[np.ndarray, "*any"]:
    """The share of galaxies classified right, 0 to 1; NaN without galaxies."""
    right = np.trace(confusion, axis1=-2, axis2=-1)
    return _ratio(right, confusion.sum(axis=(-2, -1)))


def true_positive_rate(confusion: Int[np.ndarray, "*any predicted true"]) -> Float[np.ndarray, "*any true"]:
    """TP / (TP + FN) for each true class; NaN for a class without galaxies."""
    return _ratio(np.diagonal(confusion, axis1=-2, axis2=-1), confusion.sum(axis=-2))


def true_skill_statistic(
    confusion: Int[np.ndarray, "*any predicted true"], positive: int = 0
) -> Float[np.ndarray, "*any"]:
    """TP / (TP + FN) - FP / (TN + FP) of one class against the others, -1 to 1 (thesis, eq. 4.3).

    Independent of how many galaxies each class has; 0 for a classifier that does not look. NaN where the positive class,
    or all others together, have no galaxies.
    """
    hits = confusion[..., positive, positive]
    of_class = confusion[..., :, positive].sum(axis=-1)
    called = confusion[..., positive, :].sum(axis=-1)
    others = confusion.sum(axis=(-2, -1)) - of_class
    return np.asarray(_ratio(hits, of_class) - _ratio(called - hits, others))


def auc(logits: Float[Array, "galaxy class"], labels: Int[Array, " galaxy"]) -> Float[Array, ""]:
    """The area under the ROC curve, 0 to 1 (0.5 by guessing): how well classes are told apart, whatever the threshold.

    The probability that a galaxy of one class has higher odds of it than a galaxy of the other; ties count half. By ranks (Mann
    & Whitney 1947, Ann. Math. Statist. 18, 50; Hanley & McNeil 1982, Radiology 143, 29). With more than two classes the mean
    over all pairs of them (Hand & Till 2001, Machine Learning 45, 171, eq. 7). NaN where a class has no galaxies.
    """
    classes = logits.shape[1]
    is_class = jax.nn.one_hot(labels, classes, dtype=bool)
    others = jnp.where(jnp.eye(classes, dtype=bool)[None], -jnp.inf, logits[:, None, :])
    odds = logits - logsumexp(others, axis=-1)

    def higher(one: Int[Array, ""], other: Int[Array, ""]) -> Float[Array, ""]:
        is_one, is_other = is_class[:, one], is_class[:, other]
        ordered = jnp.sort(jnp.where(is_one | is_other, odds[:, one], jnp.inf))  # the other classes come last
        first, last = (jnp.searchsorted(ordered, odds[:, one], side=side) for side in ("left", "right"))
        ranks = (first + last + 1) / 2  # from 1, the mean of those that are equal
        ones, others = is_one.sum(dtype=jnp.float32), is_other.sum(dtype=jnp.float32)
        return (jnp.where(is_one, ranks, 0.0).sum() - ones * (ones + 1) / 2) / (ones * others)

    # Of two classes both orders give the same.
    pairs = [(1, 0)] if classes == 2 else list(itertools.permutations(range(classes), 2))
    return jax.vmap(higher)(*jnp.array(pairs, jnp.int32).T).mean()


def recalibrated_accuracy(logits: Float[Array, "galaxy class"], labels: Int[Array, " galaxy"]) -> Float[Array, ""]:
    """The accuracy, 0 to 1, at thresholds fitted on other galaxies of the same kind (`recalibrated`)."""
    return (recalibrated(logits, labels) == labels).mean()


def recalibrated(logits: Float[Array, "galaxy class"], labels: Int[Array, " galaxy"]) -> Int[Array, " galaxy"]:
    """What galaxies are taken for once one bias a class is added to the logits, fitted on the other half of the galaxies.

    Two classes have one threshold, more of them one bias a class but the first. Of each class every second galaxy, in the order
    given, is in one half; so no galaxy is classified with biases that its own label had a part in. One galaxy alone keeps the
    class of its largest logit.
    """
    by_class = jnp.argsort(labels, stable=True)
    halves = by_class[0::2], by_class[1::2]
    found = jnp.zeros_like(labels)
    for fitted_on, applied_to in (halves, halves[::-1]):
        biases = _best_biases(logits[fitted_on], labels[fitted_on])
        found = found.at[applied_to].set((logits[applied_to] + biases[None]).argmax(axis=-1).astype(labels.dtype))
    return found


def _best_biases(logits: Float[Array, "galaxy class"], labels: Int[Array, " galaxy"]) -> Float[Array, " class"]:
    """The biases, 0 for the first class, with which most galaxies are classified right.

    Of two classes the best there is; of more the bias of one class after the other is the best, given those of the others.
    """
    further = logits.shape[1] - 1

    def fit_one(step: Int[Array, ""], biases: Float[Array, " class"]) -> Float[Array, " class"]:
        label = 1 + step % further
        return biases.at[label].set(_best_bias(label, logits + biases.at[label].set(0.0)[None], labels))

    return jax.lax.fori_loop(
        0, 1 if further == 1 else FITTING_ROUNDS * further, fit_one, jnp.zeros(logits.shape[1:], logits.dtype)
    )


def _best_bias(
    label: Int[Array, ""], logits: Float[Array, "galaxy class"], labels: Int[Array, " galaxy"]
) -> Float[Array, ""]:
    """The bias of one class with which most galaxies are classified right; of several, the smallest change.

    It lies midway between the biases from which on two galaxies are taken for that class; 0 where there are no galaxies.
    """
    if not len(labels):
        return jnp.zeros_like(logits, shape=())
    others = logits.at[:, label].set(-jnp.inf)
    needed = others.max(axis=-1) - logits[:, label]
    order = jnp.argsort(needed)
    needed = needed[order]
    gained = (labels == label).astype(jnp.int32) - (labels == others.argmax(axis=-1)).astype(jnp.int32)
    right = jnp.pad(jnp.cumsum(gained[order]), (1, 0))  # with the first 0, 1, ... of them taken for this class
    biases = jnp.concatenate([needed[:1] - 1, (needed[:-1] + needed[1:]) / 2, needed[-1:] + 1])
    can_be = jnp.pad(needed[:-1] < needed[1:], 1, constant_values=True)
    best = can_be & (right == jnp.where(can_be, right, -len(labels)).max())
    return biases[jnp.where(best, jnp.abs(biases), jnp.inf).argmin()]


def _ratio(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
