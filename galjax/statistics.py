"""What repeats say together: mean, standard deviation and standard error, which epoch to report, and whether two results differ.

Repeats draw their test galaxies from one pool, so that two of them test some of the same galaxies, and their accuracies are
correlated by the share `shared` of a repeat's test galaxies that another repeat tests too (`galjax.draw.shared_share`; `per_class *
test_fraction / pool` where each repeat draws `per_class` of `pool` galaxies of a class). The mean of n repeats then varies from one
pool of galaxies to the next with variance

    std**2 * (1 / n + shared / (1 - shared)),

where std is the sample standard deviation over the repeats, which understates the spread by sqrt(1 - shared): all tests and
intervals here stand on it (`error_of_mean`), and so say something about new galaxies of the same kind. With `shared` = 0, for draws
without common galaxies, it is std**2 / n as ever, which otherwise holds for new draws from the same pool only.

Nadeau & Bengio (2003, Machine Learning 52, 239) correct by 1 / n + test / train, with the sizes of the two sets. That is the same with
shared = test / (test + train): repeats that use the whole data each time, split anew. Ours draw a part of the pool each time and
share less, so that their factor is too careful here: it finds hardly any difference that is not there, and misses many that are
(`benchmarks.coverage` counts both). Not in either formula is what repeats share by training on some of the same galaxies.
"""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, SupportsInt

import numpy as np
from jaxtyping import Bool, Float

from galjax.errors import InputError

Selection = Literal["test-mean", "last", "validation"]
THESIS_SELECTION: Selection = "test-mean"
"""The thesis's choice of the epoch to report (`choose_evaluation`): for comparisons with the thesis alone."""
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


def leading(selections: Iterable[str]) -> Selection:
    """The selection that results stand on, of those there are: "validation", and "last" where no galaxies are kept aside for it.

    Either is one epoch for all conditions of a training, which no test galaxy has chosen.
    """
    return "validation" if "validation" in set(selections) else "last"


def choose_evaluation(
    selection: Selection,
    test_accuracy: Float[np.ndarray, "repeat evaluation"],
    validation_accuracy: Float[np.ndarray, "repeat evaluation"] | None = None,
) -> int:
    """Which evaluation, the same for all repeats, a condition is reported at.

    - "test-mean": where the mean test accuracy over the repeats is largest, the earliest of equals. This is the thesis's
      rule; the test set both chooses and scores, so the result is optimistic.
    - "validation": where the mean accuracy on the validation galaxies, seen as the network was trained, is largest, the earliest of
      equals: the same for all conditions, and an honest estimate.
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


def error_of_mean(std: Float[np.ndarray, "*any"], n: int, shared: float) -> Float[np.ndarray, "*any"]:
    """Standard error of the mean of n repeats, for new galaxies of the same kind, from their sample standard deviation.

    `shared`, from 0 to below 1, is the share of a repeat's test galaxies that another one tests too; see the module's docstring.
    """
    return np.asarray(std * np.sqrt(1 / max(n, 1) + shared / (1 - shared)))


def upper_bound_of_mean(
    values: Float[np.ndarray, "*any repeat"], significance: float, shared: float
) -> Float[np.ndarray, "*any"]:
    """One-sided Student-t confidence bound above the mean over the last axis, which has at least two values.

    For new galaxies, of repeats that share their test galaxies by `shared` (`error_of_mean`).

    Infinite where all values are the same number above 0, up to rounding (`ROUNDING`): without a spread nothing is known of
    how far the mean may be off. Where all are the same and not above 0, as losses of a resolution that loses nothing in any
    repeat, it is that number.
    """
    from scipy.special import stdtrit  # the quantile of Student's t; scipy.stats takes a second to import

    mean, std, _, n = summarise(np.moveaxis(np.asarray(values, np.float64), -1, 0))
    bound = mean + stdtrit(n - 1, 1 - significance) * error_of_mean(std, n, shared)
    return np.where((std == 0) & (mean > ROUNDING), np.inf, bound)


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
    first: Float[np.ndarray, " repeat"], second: Float[np.ndarray, " repeat"], shared: float, confidence: float = 0.95
) -> Comparison:
    """Student's paired t-test: for results of the same repeats, on the same draws of galaxies.

    For new galaxies, of repeats that share their test galaxies by `shared` (`error_of_mean`). A pair of which one side is NaN,
    as where that repeat was dropped, does not count.

    Where the test says nothing, interval and probability are NaN: of a single repeat, and of results that differ by the
    same number in every repeat, which have no spread to judge it by. "The same" is up to the rounding of values of order
    one (`ROUNDING`): 7/12 - 8/12 and 9/12 - 10/12 differ by 1e-16. Equal results have a probability of 1.
    """
    both = ~np.isnan(first - second)
    found = summarise(np.asarray(first[both] - second[both], np.float64))
    error = error_of_mean(found.std, found.n, shared)
    return _judged(float(found.mean), float(error), found.n - 1, confidence, found.n)


def compare_independent(
    first: Float[np.ndarray, " repeat"],
    second: Float[np.ndarray, " other"],
    shared: tuple[float, float],
    confidence: float = 0.95,
) -> Comparison:
    """Welch's t-test (1947, Biometrika 34, 28): for results on different galaxies, whose spreads may differ.

    Degrees of freedom by Welch and Satterthwaite. For new galaxies: the repeats of each side share their test galaxies by its
    number of `shared` (`error_of_mean`). What the two sides share would make the difference surer than is said here. Edge cases
    as for `compare_paired`; one side may be without spread.
    """
    sides = [summarise(np.asarray(values, np.float64)) for values in (first, second)]
    n, difference = min(side.n for side in sides), float(sides[0].mean - sides[1].mean)
    if n < 2:
        return _judged(difference, float("nan"), 0, confidence, n)
    variances = [error_of_mean(one.std, one.n, share) ** 2 for one, share in zip(sides, shared, strict=True)]
    total = float(sum(variances))
    freedom = total**2 / sum(v**2 / (one.n - 1) for v, one in zip(variances, sides, strict=True)) if total else 1.0
    return _judged(difference, total**0.5, float(freedom), confidence, n)


def _judged(difference: float, error: float, freedom: float, confidence: float, n: int) -> Comparison:
    """Interval and probability of a difference with that standard error and degrees of freedom, by Student's t."""
    from scipy.special import stdtr, stdtrit

    if error > 0:
        reach = float(stdtrit(freedom, (1 + confidence) / 2)) * error
        p_value = 2 * float(stdtr(freedom, -abs(difference) / error))
        return Comparison(difference, difference - reach, difference + reach, p_value, n)
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
