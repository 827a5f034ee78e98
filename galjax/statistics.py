"""What repeats say together: mean, std and ste, which epoch to report, and whether two results differ."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, SupportsInt

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from galjax.errors import InputError

Selection = Literal["test-mean", "last", "validation"]


class Summary(NamedTuple):
    """Of one quantity over repeats, the first axis."""

    mean: Float[np.ndarray, "*any"]
    std: Float[np.ndarray, "*any"]
    """Sample standard deviation (n - 1 in the denominator); NaN for a single repeat."""
    ste: Float[np.ndarray, "*any"]
    """Standard error of the mean, std / sqrt(n)."""
    n: int
    """Repeats that count."""


def summarise(values: Float[np.ndarray, "repeat *any"]) -> Summary:
    """Mean, std and ste over the first axis.

    A repeat that is NaN throughout was dropped (`galjax.divergence`) and does not count; where none is left, all is NaN.
    """
    values = values[_counts(values)]
    n, unknown = len(values), np.full(values.shape[1:], np.nan)
    mean = values.mean(axis=0) if n else unknown
    std = values.std(axis=0, ddof=1) if n > 1 else unknown
    return Summary(mean, std, std / np.sqrt(max(n, 1)), n)


def _counts(values: Float[np.ndarray, "repeat *any"]) -> Bool[np.ndarray, " repeat"]:
    return ~np.isnan(values).all(axis=tuple(range(1, values.ndim)))


def repeats_left(*results: Float[np.ndarray, " _"]) -> str:
    """How many repeats count in results that stand in one table or figure, in words: "6", or "5 to 6"."""
    return count_in_words(summarise(values).n for values in results)


def count_in_words(counts: Iterable[SupportsInt]) -> str:
    """Numbers that mostly agree: "6", or "5 to 6"."""
    known = sorted({int(count) for count in counts})
    return " to ".join(map(str, known if len(known) == 1 else (known[0], known[-1])))


def choose_evaluation(
    selection: Selection,
    test_accuracy: Float[np.ndarray, "repeat evaluation"],
    validation_accuracy: Float[np.ndarray, "repeat evaluation"] | None = None,
) -> int:
    """Which evaluation, the same for all repeats, a condition is reported at.

    - "test-mean": where the mean test accuracy over the repeats is largest, the earliest of equals. This is the thesis's
      rule; the test set both chooses and scores, so the result is optimistic.
    - "validation": where the mean accuracy on the validation galaxies is largest; an honest estimate.
    - "last": the last one; no choice at all.

    Dropped repeats (NaN) have no say.
    """
    if selection == "last":
        return test_accuracy.shape[1] - 1
    if selection == "test-mean":
        return int(summarise(test_accuracy).mean.argmax())
    if validation_accuracy is None:
        raise InputError("Choosing epochs by validation needs a validation split: give --validation-fraction above 0.")
    return int(summarise(validation_accuracy).mean.argmax())


def upper_bound_of_mean(values: Float[np.ndarray, " repeat"], significance: float) -> float:
    """One-sided Student-t confidence bound above the mean of at least two values; the mean itself where all agree."""
    summary = summarise(values)
    return float(summary.mean + scipy.stats.t.isf(significance, summary.n - 1) * summary.ste)


class Comparison(NamedTuple):
    """The mean difference between two results."""

    difference: float
    """First less second."""
    low: float
    high: float
    """Confidence interval of the difference."""
    p_value: float
    """Two-sided probability of a difference as large as this where there is none."""
    n: int
    """Repeats of the smaller side."""


def compare_paired(
    first: Float[np.ndarray, " repeat"], second: Float[np.ndarray, " repeat"], confidence: float = 0.95
) -> Comparison:
    """Student's paired t-test: for results of the same repeats, on the same draws of galaxies.

    A pair of which one side is NaN, as where that repeat was dropped, does not count.

    Where the test says nothing, interval and probability are NaN: of a single repeat, and of results that differ by the
    same number in every repeat, which have no spread to judge it by. Equal results have a probability of 1.
    """
    mean, _, ste, n = summarise(first - second)
    return _compare(float(mean), float(ste), n - 1.0, n, confidence)


def compare_independent(
    first: Float[np.ndarray, " repeat"], second: Float[np.ndarray, " other"], confidence: float = 0.95
) -> Comparison:
    """Welch's t-test (1947, Biometrika 34, 28): for results on different galaxies, whose spreads may differ.

    Degrees of freedom by Welch and Satterthwaite. Edge cases as for `compare_paired`.
    """
    one, two = summarise(first), summarise(second)
    squares = (float(one.ste) ** 2, float(two.ste) ** 2)
    n, total = min(one.n, two.n), sum(squares)
    freedom = float("nan")
    if n > 1:
        shares = squares[0] ** 2 / (one.n - 1) + squares[1] ** 2 / (two.n - 1)
        freedom = total**2 / shares if shares else n - 1.0
    return _compare(float(one.mean - two.mean), total**0.5, freedom, n, confidence)


def _compare(difference: float, ste: float, freedom: float, n: int, confidence: float) -> Comparison:
    if ste == 0 and difference == 0 and n > 1:
        return Comparison(0.0, 0.0, 0.0, 1.0, n)
    if n < 2 or ste == 0:
        return Comparison(difference, float("nan"), float("nan"), float("nan"), n)
    half = float(scipy.stats.t.isf((1 - confidence) / 2, freedom)) * ste
    p_value = 2 * float(scipy.stats.t.sf(abs(difference) / ste, freedom))
    return Comparison(difference, difference - half, difference + half, p_value, n)


def holm(p_values: Sequence[float]) -> Float[np.ndarray, " comparison"]:
    """Probabilities corrected for their number (Holm 1979, Scand. J. Statist. 6, 65).

    Each is then compared with the level that all comparisons together shall keep. NaN stays NaN and counts for nothing.
    """
    given = np.asarray(p_values, np.float64)
    corrected = np.full(given.shape, np.nan)
    known = np.flatnonzero(~np.isnan(given))
    order = known[np.argsort(given[known], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
