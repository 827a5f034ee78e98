"""The answer of a resolution sweep in words: what accuracy was found, what it loses, and which resolutions are usable."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float64

from galjax.analysis.usable import UsableConfig, is_as_accurate, is_usable, limit_interval
from galjax.analysis.wording import PAIRED, basis, fixed, interval, listed, signed
from galjax.statistics import ROUNDING, Selection, compare_paired, repeats_left, summarise, upper_bound_of_mean
from galjax.training.conditions import ORIGINAL

Criterion = Callable[[Float64[np.ndarray, " repeat"], Float64[np.ndarray, " repeat"], UsableConfig, float], bool]


@dataclasses.dataclass(frozen=True)
class SweepAnswer:
    """What one sample size of a sweep says, at the leading epoch."""

    accuracies: Mapping[tuple[int, str], Float64[np.ndarray, " repeat"]]
    """In every repeat, by factor and method; of Original and of every method at every factor above 1."""
    usable: UsableConfig
    shared: float
    """Share of test galaxies that two repeats have in common (`galjax.statistics`)."""
    selection: Selection = "last"
    """How the epoch was chosen."""
    seed: int = 0
    """Seed of the bootstrap."""

    @property
    def factors(self) -> list[int]:
        """Those above 1, from the finest on."""
        return sorted({factor for factor, _ in self.accuracies} - {ORIGINAL.factor})

    @property
    def methods(self) -> list[str]:
        """In the order of the accuracies."""
        return [
            method for method in dict.fromkeys(method for _, method in self.accuracies) if method != ORIGINAL.method
        ]

    def sentences(self, guess: float, drawn: str) -> str:
        """First what was found, then what is as accurate as Original, then what the absolute threshold leaves of it.

        `guess` is the accuracy of always naming the same class, `drawn` the galaxies of a repeat in words.
        """
        n = repeats_left(*self.accuracies.values())
        stands_on = basis(n, self.selection, PAIRED, [self.shared])
        return " ".join([self._found(guess, drawn), self._changes(), *self._as_accurate(), *self._usable(), stands_on])

    def limits(self, recalibrated: "SweepAnswer") -> str:
        """Down to where each method is usable as it is, and once thresholds are fitted anew, whose accuracies `recalibrated` has.

        Empty where nothing is usable.
        """
        as_is, anew = (answer._meeting(is_usable) for answer in (self, recalibrated))
        words = [
            f"{method} {_down_to(self._limit(as_is[method]))} as trained, {_down_to(self._limit(anew[method]))} recalibrated"
            for method in self.methods
        ]
        if not any(meeting for found in (as_is, anew) for meeting in found.values()):
            return ""
        return f"usable {'; '.join(words)}. Recalibrated: with a threshold fitted on other galaxies of the same resolution."

    def limit(self, method: str) -> int:
        """The largest factor down to which a method is usable; 0 where not even Original is."""
        return self._limit(self._meeting(is_usable)[method])

    def _meeting(self, criterion: Criterion) -> dict[str, list[int]]:
        """By method the factors that meet a criterion, Original's 1 among them."""
        original = self._accuracies(ORIGINAL.factor)
        return {
            method: [
                factor
                for factor in (ORIGINAL.factor, *self.factors)
                if criterion(original, self._accuracies(factor, method), self.usable, self.shared)
            ]
            for method in self.methods
        }

    def _limit(self, meeting: Sequence[int]) -> int:
        """The largest factor up to which all that were tested are among those; 0 where not even Original is."""
        tested = itertools.takewhile(meeting.__contains__, (ORIGINAL.factor, *self.factors))
        return max(tested, default=0)

    def _reach(self, method: str, factors: Sequence[int]) -> str:
        """Down to which resolution all that were tested meet the criterion, and which do beyond a gap."""
        if ORIGINAL.factor not in factors:
            coarser = f", but at {listed([f'1/{factor}' for factor in factors])}" if factors else ""
            return f"{method} not at full resolution{coarser}"
        limit = self._limit(factors)
        beyond = [f"1/{factor}" for factor in factors if factor > limit]
        gap = f" and, beyond a gap, at {listed(beyond)}" if beyond else ""
        return f"{method} {f'down to 1/{limit}' if limit > 1 else 'only at full resolution'}{gap}"

    def _accuracies(self, factor: int, method: str = ORIGINAL.method) -> Float64[np.ndarray, " repeat"]:
        return self.accuracies[factor, ORIGINAL.method if factor == ORIGINAL.factor else method]

    def _found(self, guess: float, drawn: str) -> str:
        original = self._accuracies(ORIGINAL.factor)
        mean, std, _, n = summarise(original)
        gain = guess - original[~np.isnan(original)]
        behind = upper_bound_of_mean(gain, 0.05, self.shared) if n > 1 else gain.mean()
        return (
            f"Accuracy {fixed(float(mean))} at full resolution ({drawn}, {n} repeat{'s' if n != 1 else ''}"
            f"{f', std {fixed(float(std))}' if n > 1 else ''})"
            f"{f', not shown to be better than always naming the same class ({fixed(guess)})' if behind >= -ROUNDING else ''}."
        )

    def _changes(self) -> str:
        """What the method that is best on average changes at its limit, or the finest resolution, and at the coarsest."""
        factors = self.factors
        means = {m: np.mean([summarise(self._accuracies(factor, m)).mean for factor in factors]) for m in self.methods}
        best = max(self.methods, key=lambda method: float(means[method]))
        limit = self._limit(self._meeting(is_as_accurate)[best])
        words, before = [], ""
        for factor in sorted({limit if limit > 1 else factors[0], factors[-1]}):
            found = compare_paired(self._accuracies(factor, best), self._accuracies(ORIGINAL.factor), self.shared)
            verb = "rises" if found.low > 0 else "falls" if found.high < 0 else "changes"
            amount = signed(found.difference) if verb == "changes" else fixed(abs(found.difference))
            same = "" if verb == before else f"{verb} "
            words.append(f"{same}by {amount} at 1/{factor} ({interval(found.low, found.high, found.n)})")
            before = verb
        among = f", on average the best of {len(self.methods)} interpolation methods," if len(self.methods) > 1 else ""
        return f"With {best}{among} it {listed(words)}."

    def _as_accurate(self) -> list[str]:
        meeting, allowed = self._meeting(is_as_accurate), f"{self.usable.usable_loss:g}"
        if not any(meeting.values()):
            return ["Which resolutions are as accurate as the full one cannot be said of one repeat."]
        if _original_alone(meeting):
            return [f"No reduced resolution is shown to lose less than {allowed}."]
        words = [f"{self._reach(method, factors)}{self._limit_interval(method)}" for method, factors in meeting.items()]
        return [f"As accurate as full resolution, with a loss shown to be below {allowed}: {', '.join(words)}."]

    def _limit_interval(self, method: str) -> str:
        """How far the limit moves where repeats are drawn anew from these; nothing where that cannot be said."""
        factors = (ORIGINAL.factor, *self.factors)
        values = np.stack([self._accuracies(factor, method) for factor in factors])
        relative = dataclasses.replace(self.usable, usable_accuracy=0.0)
        found = limit_interval(factors, values, relative, self.shared, self.seed)
        if found is None or found.low == found.high:
            return ""
        low, high = (f"1/{limit}" if limit > 1 else "full resolution" for limit in (found.low, found.high))
        return f" ({low} to {high} in 95 of 100 sets of repeats drawn anew from these)"

    def _usable(self) -> list[str]:
        """What the absolute threshold leaves of it; nothing where none is asked for or one repeat says nothing."""
        threshold, as_accurate, usable = (
            self.usable.usable_accuracy,
            self._meeting(is_as_accurate),
            self._meeting(is_usable),
        )
        if not threshold or not any(as_accurate.values()):
            return []
        flag = f"--usable-accuracy {threshold:g}"
        if not any(usable.values()):
            return [f"Full resolution itself does not reach {flag}, so nothing counts as usable."]
        if _original_alone(usable):
            return [f"Only full resolution counts as usable, which asks for {flag} as well."]
        if usable == as_accurate:
            return [f"All of these also reach {flag} and count as usable."]
        words = ", ".join(self._reach(method, factors) for method, factors in usable.items())
        return [f"Usable, which asks for {flag} as well: {words}."]


def _down_to(limit: int) -> str:
    if limit == 0:
        return "nowhere"
    return f"down to 1/{limit}" if limit > 1 else "only at full resolution"


def _original_alone(meeting: Mapping[str, Sequence[int]]) -> bool:
    return all(list(factors) == [ORIGINAL.factor] for factors in meeting.values())
