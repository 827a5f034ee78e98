"""What repeats say together: mean, std and ste, which epoch to report, and whether a resolution is usable."""

import dataclasses
from typing import Literal, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float

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


def summarise(values: Float[np.ndarray, "repeat *any"]) -> Summary:
    """Mean, std and ste over the first axis, which holds at least one repeat."""
    n = len(values)
    std = values.std(axis=0, ddof=1) if n > 1 else np.full(values.shape[1:], np.nan)
    return Summary(values.mean(axis=0), std, std / np.sqrt(n), n)


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
    """
    if selection == "last":
        return test_accuracy.shape[1] - 1
    if selection == "test-mean":
        return int(test_accuracy.mean(axis=0).argmax())
    if validation_accuracy is None:
        raise InputError("Choosing epochs by validation needs a validation split: give --validation-fraction above 0.")
    return int(validation_accuracy.mean(axis=0).argmax())


@dataclasses.dataclass(frozen=True)
class UsableConfig:
    """When a degraded resolution counts as usable: as accurate as Original, and near 0.9 (thesis, section 5.2)."""

    usable_accuracy: float = 0.88
    """Mean accuracy that a usable resolution must reach, 0 to 1: "near 0.9". 0 asks only for the comparison with
    Original."""
    usable_loss: float = 0.03
    """Accuracy, 0 to 1, that a usable resolution may at most lose against Original. The paired one-sided t-test over
    repeats must show the mean loss to be smaller."""
    usable_significance: float = 0.05
    """Significance level of that test, between 0 and 0.5."""

    def __post_init__(self) -> None:
        if not 0 <= self.usable_accuracy <= 1:
            raise InputError(f"--usable-accuracy must lie in 0..1, not {self.usable_accuracy}.")
        if not 0 < self.usable_loss <= 1:
            raise InputError(f"--usable-loss must be above 0 and at most 1, not {self.usable_loss}.")
        if not 0 < self.usable_significance < 0.5:
            raise InputError(f"--usable-significance must lie between 0 and 0.5, not {self.usable_significance}.")

    def rule(self) -> str:
        """The definition in words, for tables and captions."""
        return (
            f"Usable means a mean accuracy of at least {self.usable_accuracy:g}, and a mean loss against Original on the same "
            f"repeats below {self.usable_loss:g} (paired one-sided t-test at level {self.usable_significance:g})"
        )


def is_usable(
    original: Float[np.ndarray, " repeat"], degraded: Float[np.ndarray, " repeat"], config: UsableConfig
) -> bool:
    """Whether a degraded resolution is as accurate as Original and near 0.9, by `UsableConfig`.

    A non-inferiority test on paired repeats: usable where the upper confidence bound of the mean of
    `original - degraded` is below `usable_loss`. A single repeat, which has no spread, is never usable.
    """
    if len(original) < 2 or degraded.mean() < config.usable_accuracy:
        return False
    return upper_bound_of_mean(original - degraded, config.usable_significance) < config.usable_loss


def upper_bound_of_mean(values: Float[np.ndarray, " repeat"], significance: float) -> float:
    """One-sided Student-t confidence bound above the mean of at least two values; the mean itself where all agree."""
    summary = summarise(values)
    return float(summary.mean + scipy.stats.t.isf(significance, summary.n - 1) * summary.ste)
