"""Do tests and intervals over repeats that share galaxies hold what they promise? Counted on simulated surveys.

    python -m benchmarks.coverage                   # 2 CPU cores: a minute
    python -m benchmarks.coverage --quick           # seconds, few surveys; its results are not kept

Two networks without a difference (or with one of 0.03 in accuracy) are compared on many surveys. In each, every galaxy of a new pool is
classified right by one network alone with probability 0.05, by the other alone with as much, and else by both or by neither; repeats
test some of these galaxies, drawn anew, and are compared by three paired t-tests: the plain one (std**2 / n), that of
`galjax.statistics`, and Nadeau & Bengio's (2003). A good test at level 0.05 finds a difference that is not there in 5 of 100 surveys. The networks do not
depend on what they train on, which is near the worst case: noise of the training makes repeats less alike.

The interval of the usable limit (`galjax.analysis.usable`) is made from one set of repeats, and the limit that another set on the same
galaxies finds should lie in it in 95 of 100 cases.

Expect the plain test to be wrong several times too often where repeats are many or draws large, and the bootstrap interval too narrow
for a few repeats.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.measure import write_results
from galjax.analysis.tables import markdown_table
from galjax.analysis.usable import first_failures, limit_interval
from galjax.config.settings import UsableConfig
from galjax.statistics import error_of_mean, summarise

NAME = "coverage"
TEST_FRACTION = 0.3
ONE_ALONE = 0.05
"""Probability that a given one of the two networks alone classifies a galaxy right."""
DIFFERENCE = 0.03
"""Accuracy between networks that do differ."""
LEVEL = 0.05
FACTORS = tuple(range(1, 9))
LIMIT_REPEATS = (6, 10, 30)
LIMIT_SHARED = 0.075
"""What the repeats whose usable limit is looked for share: 300 of 1,200 galaxies per class."""
STD = 0.02
"""Standard deviation over repeats of the accuracy at Original, and of a loss against it."""


class Draws(NamedTuple):
    """How repeats are drawn, for each of two classes."""

    pool: int
    per_class: int
    repeats: int

    @property
    def tested(self) -> int:
        """Galaxies of each class that a repeat tests."""
        return round(self.per_class * TEST_FRACTION)


CASES = (
    Draws(100, 25, 6),
    Draws(100, 25, 30),
    Draws(100, 80, 30),
    Draws(1200, 300, 6),
    Draws(1200, 300, 30),
    Draws(1200, 1000, 30),
)


@dataclasses.dataclass(frozen=True)
class CoverageBenchmark:
    """Flags."""

    surveys: int = 40_000
    """Surveys of every case, each with a new pool of galaxies."""
    sets: int = 1000
    """Sets of repeats from which an interval of the usable limit is made, for each number of repeats."""
    seed: int = 0
    """Seed of the simulation."""
    quick: bool = False
    """1,000 surveys and 30 sets, and results not kept."""
    write: bool = True
    """Keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, surveys=self.surveys, sets=self.sets)
        check_at_least(0, seed=self.seed)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(CoverageBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: CoverageBenchmark) -> dict[str, Any]:
    """Count, print and keep the tables."""
    if config.quick:
        config = dataclasses.replace(config, surveys=1000, sets=30, write=False)
    rng = np.random.default_rng(config.seed)
    cases = []
    for draws in CASES:
        counts = [
            found_by_tests(draws, repeat_differences(draws, difference, config.surveys, rng))
            for difference in (0.0, DIFFERENCE)
        ]
        cases.append({**draws._asdict(), "false": counts[0], "found": counts[1]})
    limits = {str(repeats): limit_coverage(repeats, config.sets, rng) for repeats in LIMIT_REPEATS}
    results = {"surveys": config.surveys, "sets": config.sets, "cases": cases, "limits": limits}
    for made in tables(results).values():
        say(f"\n{made}")
    if config.write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def repeat_differences(
    draws: Draws, difference: float, surveys: int, rng: np.random.Generator
) -> Float64[np.ndarray, "repeat survey"]:
    """Accuracy of the first network minus that of the second in every repeat of every survey, whose mean is `difference`.

    A repeat's galaxies are drawn from its survey's pool without replacement, so that the numbers of those that one network alone
    classifies right follow hypergeometric distributions.
    """
    chances = (ONE_ALONE + difference / 2, ONE_ALONE - difference / 2)
    total = np.zeros((draws.repeats, surveys), np.int64)
    for _ in range(2):  # classes
        pool: Int[np.ndarray, "survey 3"] = rng.multinomial(draws.pool, [*chances, 1 - sum(chances)], surveys)
        ours, theirs, same = pool.T
        size = total.shape
        first = rng.hypergeometric(ours, theirs + same, draws.tested, size)
        second = rng.hypergeometric(theirs, same, draws.tested - first, size)
        total += first - second
    return total / (2 * draws.tested)


def found_by_tests(draws: Draws, differences: Float64[np.ndarray, "repeat survey"]) -> dict[str, float]:
    """Share of surveys in which each two-sided test finds a difference; none is found where repeats do not differ."""
    from scipy.special import stdtrit

    found = summarise(differences)
    reach = stdtrit(found.n - 1, 1 - LEVEL / 2)
    shares = {"plain": 0.0, "galjax": draws.tested / draws.pool, "Nadeau & Bengio": TEST_FRACTION}
    return {
        name: float(np.mean((found.std > 0) & (np.abs(found.mean) > reach * error_of_mean(found.std, found.n, shared))))
        for name, shared in shares.items()
    }


def limit_coverage(repeats: int, sets: int, rng: np.random.Generator) -> float:
    """Share of sets of repeats whose interval of the usable limit holds the limit of another set on the same galaxies.

    Losses rise with the square of the factor, and pass what is allowed at a factor that differs from set to set.
    """
    config = UsableConfig(usable_accuracy=0.0)
    held = 0
    for _ in range(sets):
        loss = config.usable_loss * (np.arange(8) / rng.uniform(0.5, 7)) ** 2
        ours, theirs = (_accuracies(loss, repeats, rng) for _ in range(2))
        interval = limit_interval(FACTORS, ours, config, LIMIT_SHARED, fewest=1)
        assert interval is not None
        limit = (0, *FACTORS)[first_failures(theirs[:, None], config, LIMIT_SHARED)[0]]
        held += interval.low <= limit <= interval.high
    return held / sets


def _accuracies(
    loss: Float[np.ndarray, " factor"], repeats: int, rng: np.random.Generator
) -> Float64[np.ndarray, "factor repeat"]:
    original = 0.92 + STD * rng.standard_normal(repeats)
    lost = loss[:, None] + STD * rng.standard_normal((len(loss), repeats)) * (loss > 0)[:, None]
    return original - lost


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    tests = list(results["cases"][0]["false"])
    rows = [
        [
            f"{case['per_class']:,} of {case['pool']:,}",
            str(case["repeats"]),
            *(f"{case['false'][test]:.3f}" for test in tests),
            *(f"{case['found'][test]:.2f}" for test in tests),
        ]
        for case in results["cases"]
    ]
    header = [
        "drawn, per class",
        "repeats",
        *(f"false: {test}" for test in tests),
        *(f"{DIFFERENCE:g} found: {test}" for test in tests),
    ]
    limits = [[repeats, f"{share:.2f}"] for repeats, share in results["limits"].items()]
    return {
        "tests": markdown_table(header, rows),
        "limit": markdown_table(["repeats", "limits of other sets inside the 95 % interval"], limits),
    }


if __name__ == "__main__":
    sys.exit(main())
