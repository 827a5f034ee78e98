"""What the thesis says in words, and whether it is so here."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.analysis.wording import fixed, probability, signed
from galjax.config.settings import UsableConfig
from galjax.statistics import Comparison, summarise

BySize = Mapping[tuple[int, str], Float[np.ndarray, " repeat"]]
"""The accuracy of every repeat, by factor and method ("none" at Original)."""
NEAR = 0.9
"""The accuracy that the thesis asks of a usable resolution."""
CHANCE, NEAR_CHANCE = 0.5, 0.05
"""The accuracy of guessing between two classes, and how near to it still counts as that."""
SIGNIFICANT = 0.05
STATEMENTS_CAPTION = (
    "What the thesis says in words, and whether it is so here: by means over repeats at the epoch of the best mean test accuracy of each "
    "condition (the thesis's rule), where no test is named"
)


class Statement(NamedTuple):
    """Something that the thesis says."""

    words: str
    place: str
    """Section of the thesis."""
    holds: bool | None
    """Whether it is so here; None where that cannot be said."""
    numbers: str
    """By which this was decided."""


def statements_table(statements: Sequence[Statement]) -> Table:
    """One row a statement: statement, place, here ("yes", "no" or "unknown"), numbers."""
    said = {True: "yes", False: "no", None: "unknown"}
    rows = [(words, place, said[holds], numbers) for words, place, holds, numbers in statements]
    return Table(
        rows=rows or None, names=("statement", "place", "here", "numbers"), dtype=("U160", "U20", "U7", "U400")
    )


def no_difference(words: str, place: str, found: Mapping[str, Comparison]) -> Statement:
    """That none of these differences is significant; unknown where a test says nothing. Probabilities as they are to count."""
    numbers = ", ".join(f"{name} {signed(one.difference)} ({probability(one.p_value)})" for name, one in found.items())
    probabilities = [one.p_value for one in found.values()]
    if any(p < SIGNIFICANT for p in probabilities):
        return Statement(words, place, False, numbers)
    return Statement(words, place, None if np.isnan(probabilities).any() else True, numbers)


def is_better(words: str, place: str, found: Mapping[str, Comparison]) -> Statement:
    """That each of these differences is above 0, and significantly so."""
    holds = all(one.difference > 0 and one.p_value < SIGNIFICANT for one in found.values())
    unknown = any(np.isnan(one.p_value) for one in found.values())
    return no_difference(words, place, found)._replace(holds=None if unknown else holds)


def of_sweep(accuracies: BySize, usable: UsableConfig, per_class: int) -> list[Statement]:
    """The statements of a sweep of balanced classes (thesis, 5.2 to 5.4), of those that its factors allow."""
    means = {key: float(summarise(values).mean) for key, values in accuracies.items()}
    methods = list(dict.fromkeys(method for factor, method in means if factor > 1))
    at = {factor: {m: means[factor, m] for m in methods if (factor, m) in means} for factor, _ in means if factor > 1}
    galaxies = f" ({per_class} galaxies per class)"
    found = []
    if fine := {(factor, method): mean for factor in at if factor <= 4 for method, mean in at[factor].items()}:
        (factor, method), lowest = min(fine.items(), key=lambda pair: pair[1])
        found.append(
            Statement(
                f"All methods are usable to 1/{max(factor for factor, _ in fine)}: the accuracy stays near {NEAR}{galaxies}",
                "5.2",
                lowest >= usable.usable_accuracy,
                f"lowest mean {fixed(lowest)} (1/{factor}, {method}); at least {usable.usable_accuracy:g} counts as near",
            )
        )
    if "nearest" in at.get(5, {}):
        values = accuracies[5, "nearest"]
        share = float((values[~np.isnan(values)] >= NEAR).mean())
        words = f"At 1/5 a minority of the runs reaches {NEAR} with nearest{galaxies}"
        found.append(Statement(words, "5.2", 0 < share < 0.5, f"{share:.0%} of the runs"))
    if 8 in at:
        words = f"At 1/8 the accuracy is about {CHANCE} (chance) with every method{galaxies}"
        near = all(abs(mean - CHANCE) < NEAR_CHANCE for mean in at[8].values())
        found.append(Statement(words, "5.2", near, _listed(at[8])))
    if 6 in at and 7 in at:
        gains = {method: at[7][method] - at[6][method] for method in methods}
        numbers = ", ".join(f"{signed(gain)} {method}" for method, gain in gains.items())
        words = f"1/7 scores higher than 1/6 with every method{galaxies}"
        found.append(Statement(words, "5.4", min(gains.values()) > 0, numbers))
    return found


def of_sizes(by_size: Mapping[int, BySize]) -> list[Statement]:
    """What more galaxies per class change (thesis, 5.3): from the fewest to the most."""
    few, many = by_size[min(by_size)], by_size[max(by_size)]
    fine = [key for key in few if 1 < key[0] <= 4]
    if few is many or not fine:
        return []
    from_to = f"From {min(by_size)} to {max(by_size)} galaxies per class"
    before, after = ([summarise(size[key]) for key in fine] for size in (few, many))
    gain = float(np.mean([b.mean - a.mean for a, b in zip(before, after, strict=True)]))
    found = [
        Statement(f"{from_to} the mean accuracy at 1/2 to 1/4 rises", "5.3", gain > 0, f"{signed(gain)} on average")
    ]
    ratios = [float(b.std / a.std) for a, b in zip(before, after, strict=True) if a.std > 0 and b.std > 0]
    if ratios:
        ratio = float(np.exp(np.mean(np.log(ratios))))
        words = f"{from_to} the standard deviation at 1/2 to 1/4 falls to about half"
        found.append(Statement(words, "5.3", 1 / 3 < ratio < 2 / 3, f"to {ratio:.2f} of what it was (geometric mean)"))
    return found


def _listed(means: Mapping[str, float]) -> str:
    return ", ".join(f"{fixed(mean)} {method}" for method, mean in means.items())
