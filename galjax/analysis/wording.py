"""Numbers and tests in words: never "nan", never a minus in front of nothing."""

import math
from collections.abc import Sequence
from typing import SupportsInt

from galjax.statistics import Selection

EPOCH: dict[Selection, str] = {
    "test-mean": "at the epoch of the best mean test accuracy",
    "last": "at the last epoch",
    "validation": "at the epoch of the best mean validation accuracy",
}
"""How the epoch was chosen, in words."""
NEW_GALAXIES = "for new galaxies of the same kind"
"""What intervals and tests of `galjax.statistics` stand for."""
PAIRED, WELCH = "paired t-test over repeats", "Welch's t-test over repeats"
HOLM = "Holm's correction"


def fixed(value: float, digits: int = 3) -> str:
    """A number that is 0 or more as a rule: "0.912", "-0.020"; "-" where it is unknown, "0.000" where it rounds to that."""
    return f"{value:z.{digits}f}" if math.isfinite(value) else "-"


def signed(value: float, digits: int = 3) -> str:
    """A difference: "+0.012", "-0.020"; "-" where it is unknown, "0.000" where it rounds to that."""
    text = f"{value:+z.{digits}f}" if math.isfinite(value) else "-"
    return text if any(digit in text for digit in "123456789") else text.lstrip("+")


def plus_minus(mean: float, spread: float) -> str:
    """As in the thesis's tables: "0.912 ± 0.020"; the mean alone where there is no spread to give."""
    return f"{fixed(mean)} ± {fixed(spread)}" if math.isfinite(spread) else fixed(mean)


def probability(p_value: float) -> str:
    """A test's p value in words: "p = 0.031", "p < 0.001"; "no p value" where the test says nothing."""
    if not math.isfinite(p_value):
        return "no p value"
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def interval(low: float, high: float, n: SupportsInt) -> str:
    """The 95 % confidence interval of a difference, or why there is none: "95 % interval -0.021 to +0.009"."""
    if low == high == 0:
        return "no difference in any repeat"
    if math.isfinite(low) and math.isfinite(high):
        return f"95 % interval {signed(low)} to {signed(high)}"
    if int(n) == 0:
        return "no interval: no repeat counts on both sides"
    return "no interval: one repeat" if int(n) == 1 else "no interval: the same in every repeat"


def interval_and_test(low: float, high: float, p_value: float, n: SupportsInt, test: str) -> str:
    """Interval, test and (corrected) probability: "95 % interval +0.010 to +0.030, paired t-test, p = 0.02"; or why there is none."""
    words = interval(low, high, n)
    return f"{words}, {test}, {probability(p_value)}" if math.isfinite(p_value) and low < high else words


def mean_of(n: str, spread: str) -> str:
    """What the numbers of a table are, for its title: "mean ± std of 6 repeats", "one repeat"; n in words, as "5 to 6"."""
    return "one repeat" if n == "1" else f"mean ± {spread} of {n} repeats"


def basis(n: str, selection: Selection, test: str, shared: Sequence[float], correction: str = "") -> str:
    """What a claim stands on, in a sentence: repeats (in words, as "5 to 6"), epoch, test and correction.

    And for which galaxies it holds: `shared` are the shares of test galaxies that two repeats have in common (`galjax.statistics`), one
    for each draw.
    """
    if n == "1":
        return f"One repeat, {EPOCH[selection]}: without a spread nothing is tested."
    corrected = f" with {correction}" if correction else ""
    known = sorted({f"{100 * share:.1f} %" for share in shared}, key=lambda text: float(text.split()[0]))
    if max(shared) == 0:
        overlap = "no two repeats have a galaxy in common"
    else:
        overlap = f"two repeats have {' to '.join(known[:: max(1, len(known) - 1)])} of their test galaxies in common, which is allowed for"
    return f"{n} repeats, {EPOCH[selection]}; {test}{corrected}, {NEW_GALAXIES} ({overlap})."


def minus(one: str, other: str) -> str:
    """The name of a difference: "nearest − bilinear"."""
    return f"{one} \N{MINUS SIGN} {other}"


def listed(names: Sequence[object]) -> str:
    """Words in a row: a, b and c."""
    words = [str(name) for name in names]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
