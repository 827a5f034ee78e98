"""Metrics of classifications, all from confusion matrices whose rows are predicted and columns true classes."""

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike


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


def _ratio(part: ArrayLike, whole: ArrayLike) -> np.ndarray:
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(np.broadcast(part, whole).shape, np.nan), where=whole > 0)
