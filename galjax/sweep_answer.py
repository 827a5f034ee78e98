"""The answer of a resolution sweep in words: what accuracy was found, what it loses, and which resolutions are usable."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from jaxtyping import Float64

from galjax.figures.style import listed
from galjax.outcome import ORIGINAL, rows_with, values_of
from galjax.statistics import compare_paired, summarise, upper_bound_of_mean
from galjax.usable import Criterion, UsableConfig, limit_interval, usable_limit
from galjax.wording import fixed, interval, signed


@dataclasses.dataclass(frozen=True)
class SweepAnswer:
    """What one sample size of a sweep says, at the epochs of the best mean test accuracy."""

    results: Table
    """Of the sweep (`galjax.outcome.results_table`, keys per_class, factor and method)."""
    summary: Table
    """With `galjax.usable.with_usable`."""
    per_class: int
    factors: Sequence[int]
    """Above 1."""
    methods: Sequence[str]
    usable: UsableConfig
    seed: int = 0
    """Of the bootstrap."""

    def sentences(self, guess: float, drawn: str) -> str:
        """First what was found, then what is as accurate as Original, then what the absolute threshold leaves of it.

        `guess` is the accuracy of always naming the same class, `drawn` the galaxies of a repeat in words.
        """
        limits = self._limits("within_loss")
        return " ".join([
            self._found(guess, drawn), self._changes(limits), *self._as_accurate(limits), *self._usable(limits)
        ])  # fmt: skip

    def _limits(self, criterion: Criterion) -> dict[str, int]:
        return {
            method: usable_limit(self.summary, self.per_class, method, "test-mean", criterion)
            for method in self.methods
        }

    def _accuracies(self, factor: int, method: str = ORIGINAL.method) -> Float64[np.ndarray, " repeat"]:
        chosen = rows_with(self.results, per_class=self.per_class, selection="test-mean")
        return values_of(chosen, factor=factor, method=ORIGINAL.method if factor == ORIGINAL.factor else method)

    def _found(self, guess: float, drawn: str) -> str:
        original = self._accuracies(ORIGINAL.factor)
        mean, std, _, n = summarise(original)
        gain = guess - original[~np.isnan(original)]
        behind = upper_bound_of_mean(gain, 0.05) if n > 1 else gain.mean()
        return (
            f"Accuracy {fixed(float(mean))} at full resolution ({drawn}, {n} repeat{'s' if n != 1 else ''}"
            f"{f', std {fixed(float(std))}' if n > 1 else ''})"
            f"{f', not shown to be better than always naming the same class ({fixed(guess)})' if behind >= 0 else ''}."
        )

    def _changes(self, limits: Mapping[str, int]) -> str:
        """What the best method changes at its limit (or the finest resolution, where there is none) and at the coarsest."""
        factors = sorted(self.factors)

        def merit(method: str) -> tuple[int, float]:
            means = [float(summarise(self._accuracies(factor, method)).mean) for factor in factors]
            return limits[method], float(np.mean(means))

        best = max(self.methods, key=merit)
        words = []
        for factor in sorted({limits[best] if limits[best] > 1 else factors[0], factors[-1]}):
            found = compare_paired(self._accuracies(factor, best), self._accuracies(ORIGINAL.factor))
            verb = "rises" if found.low > 0 else "falls" if found.high < 0 else "changes"
            amount = signed(found.difference) if verb == "changes" else fixed(abs(found.difference))
            words.append(f"{verb} by {amount} at 1/{factor} ({interval(found.low, found.high, found.n)})")
        among = f", the best of the {len(self.methods)} interpolation methods," if len(self.methods) > 1 else ""
        return f"With {best}{among} it {listed(words)}."

    def _as_accurate(self, limits: Mapping[str, int]) -> list[str]:
        allowed = f"{self.usable.usable_loss:g}"
        if not any(limits.values()):
            return ["Which resolutions are as accurate as the full one cannot be said of one repeat."]
        if max(limits.values()) == ORIGINAL.factor:
            return [f"No reduced resolution is shown to lose less than {allowed}."]
        words = [f"{method} {_limit_words(limit)}{self._limit_interval(method)}" for method, limit in limits.items()]
        return [f"As accurate as full resolution, with a loss shown to be below {allowed}: {', '.join(words)}."]

    def _limit_interval(self, method: str) -> str:
        """How far the limit would move with other repeats; nothing where that cannot be said."""
        factors = (ORIGINAL.factor, *sorted(self.factors))
        values = np.stack([self._accuracies(factor, method) for factor in factors])
        found = limit_interval(factors, values, dataclasses.replace(self.usable, usable_accuracy=0.0), self.seed)
        if found is None or found.low == found.high:
            return ""
        low, high = (f"1/{limit}" if limit > 1 else "full resolution" for limit in (found.low, found.high))
        return f" (95 % bootstrap interval of this limit: {low} to {high})"

    def _usable(self, limits: Mapping[str, int]) -> list[str]:
        """What the absolute threshold leaves of it; nothing where none is asked for or one repeat says nothing."""
        threshold = self.usable.usable_accuracy
        if not threshold or not any(limits.values()):
            return []
        usable, flag = self._limits("usable"), f"--usable-accuracy {threshold:g}"
        if not any(usable.values()):
            return [f"Full resolution itself does not reach {flag}, so nothing counts as usable."]
        if max(limits.values()) == ORIGINAL.factor:
            return [f"Full resolution alone counts as usable (it reaches {flag})."]
        if usable == limits:
            return [f"All of these also reach {flag} and count as usable."]
        words = ", ".join(f"{method} {_limit_words(limit)}" for method, limit in usable.items())
        return [f"Usable, which asks for {flag} as well: {words}."]


def _limit_words(limit: int) -> str:
    return f"down to 1/{limit}" if limit > 1 else "only at full resolution"
