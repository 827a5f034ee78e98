"""What repeats say together: mean, standard deviation and standard error, which epoch to report, and whether two results differ."""

import functools
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, SupportsInt

import numpy as np
from jaxtyping import Bool, Float

from galjax.errors import InputError

Selection = Literal["test-mean", "last", "validation"]
DEFAULT_SELECTION: Selection = "test-mean"
"""The thesis's choice of the epoch to report (`choose_evaluation`)."""
ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""Float64 accuracies, and sums and means of a few of them, are not known better than to this share of the largest (or of 1)."""


class Summary(NamedTuple):
    """Mean, standard deviation, standard error and number of one quantity over repeats, the first axis."""

    mean: Float[np.ndarray, "*any"]
    std: Float[np.ndarray, "*any"]
    """Sample standard deviation (n - 1 in the denominator); NaN for a single repeat, 0 where it is mere rounding."""
    ste: Float[np.ndarray, "*any"]
    """Standard error of the mean, std / sqrt(n)."""
    n: int
    """Repeats that count."""


def summarise(values: Float[np.ndarray, "repeat *any"]) -> Summary:
    """Mean, standard deviation and standard error over the first axis, of values of order one such as accuracies, rates and losses.

    A repeat that is NaN throughout was dropped (`galjax.training.divergence`) and does not count; where none is left, all is NaN.
    Repeats that agree up to rounding (`ROUNDING`) have a spread of exactly 0.
    """
    values = values[_counts(values)]
    n, unknown = len(values), np.full(values.shape[1:], np.nan)
    mean = values.mean(axis=0) if n else unknown
    std = unknown
    if n > 1:
        std = values.std(axis=0, ddof=1)
        std = np.where(std <= ROUNDING * np.maximum(1.0, np.abs(values).max(axis=0)), 0.0, std)[()]
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


def upper_bound_of_mean(values: Float[np.ndarray, "*any repeat"], significance: float) -> Float[np.ndarray, "*any"]:
    """One-sided Student-t confidence bound above the mean over the last axis, which has at least two values.

    Infinite where all values are the same number above 0, up to rounding (`ROUNDING`): without a spread nothing is known of
    how far the mean may be off. Where all are the same and not above 0, as losses of a resolution that loses nothing in any
    repeat, it is that number.
    """
    from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes a second to import

    mean, _, ste, n = summarise(np.moveaxis(np.asarray(values, np.float64), -1, 0))
    bound = mean + stdtrit(n - 1, 1 - significance) * ste
    return np.where((ste == 0) & (mean > ROUNDING), np.inf, bound)


class Comparison(NamedTuple):
    """The mean difference between two results."""

    difference: float
    """First minus second."""
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
    same number in every repeat, which have no spread to judge it by. "The same" is up to the rounding of values of order
    one (`ROUNDING`): 7/12 - 8/12 and 9/12 - 10/12 differ by 1e-16. Equal results have a probability of 1.
    """
    from scipy.stats import ttest_rel

    both = ~np.isnan(first - second)
    differences = summarise(first[both] - second[both])
    has_spread = bool(differences.std > 0)
    return _compare(ttest_rel, first[both], second[both], float(differences.mean), has_spread, confidence)


def compare_independent(
    first: Float[np.ndarray, " repeat"], second: Float[np.ndarray, " other"], confidence: float = 0.95
) -> Comparison:
    """Welch's t-test (1947, Biometrika 34, 28): for results on different galaxies, whose spreads may differ.

    Degrees of freedom by Welch and Satterthwaite. Edge cases as for `compare_paired`; one side may be without spread.
    """
    from scipy.stats import ttest_ind

    one, two = summarise(first), summarise(second)
    has_spread = min(one.n, two.n) > 1 and bool(max(one.std, two.std) > 0)
    test = functools.partial(ttest_ind, equal_var=False)
    first, second = first[~np.isnan(first)], second[~np.isnan(second)]
    return _compare(test, first, second, float(one.mean - two.mean), has_spread, confidence)


def _compare(
    test: Callable[..., Any],
    first: Float[np.ndarray, " repeat"],
    second: Float[np.ndarray, " other"],
    difference: float,
    has_spread: bool,
    confidence: float,
) -> Comparison:
    """A comparison of values without NaN by `scipy.stats`, which treats spreads smaller than rounding like any others."""
    n = min(len(first), len(second))
    if has_spread:
        with warnings.catch_warnings():  # "Precision loss": one side has no spread, which Welch's test allows
            warnings.simplefilter("ignore", RuntimeWarning)
            found = test(first, second)
            low, high = found.confidence_interval(confidence)
        return Comparison(difference, float(low), float(high), float(found.pvalue), n)
    if n > 1 and abs(difference) <= ROUNDING:
        return Comparison(0.0, 0.0, 0.0, 1.0, n)
    return Comparison(difference, float("nan"), float("nan"), float("nan"), n)


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
