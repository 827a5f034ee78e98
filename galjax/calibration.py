"""Probabilities that say how often they are right: fitted on labelled galaxies, seen as those that are to be classified.

A network that is shown images of another resolution than it was trained on loses its threshold long before it loses what tells the
classes apart. Temperature and bias (bias-corrected temperature scaling, Alexandari, Kundaje & Shrikumar 2020, ICML, section 3, after
Guo et al. 2017, ICML, section 4) move the threshold back; no label of the images to be classified is needed, only labelled galaxies that
the network was not trained on, seen at that resolution.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
import scipy.optimize
from jaxtyping import Float, Int
from scipy.special import log_softmax, softmax

BINS = 15
"""Bins of equal width of the expected calibration error, as Guo et al. (2017) have them."""
PRIOR = 1e-3
"""Strength of the pull towards no change, so that classes that are told apart without error get finite numbers."""
EM_ROUNDS, EM_TOLERANCE = 1000, 1e-7


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Calibrated probabilities are softmax(logits / temperature + bias)."""

    temperature: float
    """Above 0; above 1 where a network is surer than it is right."""
    bias: tuple[float, ...]
    """Added to the logit of each class; 0 for the first."""


def fit(logits: Float[np.ndarray, "galaxy class"], labels: Int[np.ndarray, " galaxy"]) -> Calibration:
    """The temperature and the biases of the greatest likelihood on labelled galaxies, those of no change for no galaxies.

    Logits are logarithms of probabilities, up to a constant of each galaxy, and finite. The likelihood is that of a logistic
    regression with one slope, and has one maximum.
    """
    classes = logits.shape[1]
    if not len(labels):
        return Calibration(1.0, (0.0,) * classes)
    centred = (logits - logits.mean(axis=1, keepdims=True)).astype(np.float64)
    is_class = np.eye(classes)[labels]

    def loss(numbers: Float[np.ndarray, " number"]) -> tuple[float, Float[np.ndarray, " number"]]:
        slope, bias = np.exp(numbers[0]), np.concatenate([[0.0], numbers[1:]])
        calibrated = slope * centred + bias
        pull = PRIOR * numbers
        wrong = (softmax(calibrated, axis=1) - is_class) / len(labels)
        likelihood = -(log_softmax(calibrated, axis=1) * is_class).sum() / len(labels)
        gradient = np.concatenate([[slope * (wrong * centred).sum()], wrong.sum(axis=0)[1:]])
        return float(likelihood + pull @ numbers / 2), gradient + pull

    found = scipy.optimize.minimize(loss, np.zeros(classes), jac=True, method="L-BFGS-B").x
    return Calibration(float(np.exp(-found[0])), (0.0, *map(float, found[1:])))


def apply(logits: Float[np.ndarray, "*any class"], calibration: Calibration) -> Float[np.ndarray, "*any class"]:
    """Calibrated probabilities, 0 to 1."""
    return np.asarray(softmax(logits / calibration.temperature + np.array(calibration.bias), axis=-1))


def cross_fitted(
    logits: Float[np.ndarray, "galaxy class"], labels: Int[np.ndarray, " galaxy"]
) -> Float[np.ndarray, "galaxy class"]:
    """Calibrated probabilities of galaxies, each by a fit to the other half: no label has a part in its own probability.

    Of each class every second galaxy, in the order given, is in one half, as for `galjax.metrics.recalibrated`.
    """
    by_class = np.argsort(labels, kind="stable")
    found = np.empty(logits.shape)
    for fitted_on, applied_to in ((by_class[0::2], by_class[1::2]), (by_class[1::2], by_class[0::2])):
        found[applied_to] = apply(logits[applied_to], fit(logits[fitted_on], labels[fitted_on]))
    return found


def between(calibrations: Mapping[int, Calibration], factor: float) -> Calibration:
    """The calibration at a factor between, and at, those where it is known, which need not be a whole number.

    Linear in the logarithm of the factor, of the logarithm of the temperature and of the bias; beyond the last factor that of the
    last.
    """
    factors = sorted(calibrations)
    places = np.log([float(one) for one in factors])

    def at(values: list[float]) -> float:
        return float(np.interp(np.log(factor), places, values))

    temperature = np.exp(at([float(np.log(calibrations[one].temperature)) for one in factors]))
    classes = range(len(calibrations[factors[0]].bias))
    return Calibration(float(temperature), tuple(at([calibrations[one].bias[c] for one in factors]) for c in classes))


def expected_calibration_error(
    probabilities: Float[np.ndarray, "galaxy class"], labels: Int[np.ndarray, " galaxy"], bins: int = BINS
) -> float:
    """Mean distance between the probability of the class named and how often it is right (Guo et al. 2017, eq. 3); NaN without galaxies."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    number = np.minimum((sure * bins).astype(int), bins - 1)
    distance = np.bincount(number, weights=right - sure, minlength=bins)
    return float(np.abs(distance).sum() / len(labels)) if len(labels) else float("nan")


def brier_score(probabilities: Float[np.ndarray, "galaxy class"], labels: Int[np.ndarray, " galaxy"]) -> float:
    """Mean squared distance from the truth, summed over classes, 0 to 2 (Brier 1950, Mon. Weather Rev. 78, 1, eq. 2)."""
    return float(np.square(probabilities - np.eye(probabilities.shape[1])[labels]).sum(axis=1).mean())


def with_shares(
    probabilities: Float[np.ndarray, "galaxy class"],
    given: Float[np.ndarray, " class"],
    wanted: Float[np.ndarray, " class"] | None = None,
) -> tuple[Float[np.ndarray, "galaxy class"], Float[np.ndarray, " class"]]:
    """Probabilities, and shares of the classes, for galaxies among which classes are not as frequent as where the network learned.

    `given` are the shares there, above 0, and `wanted` those here; None finds them, by expectation maximisation (Saerens, Latinne &
    Decaestecker 2002, Neural Comput. 14, 21, eqs. 2.4 and 2.9).
    """
    shares = np.asarray(given if wanted is None else wanted, np.float64)
    for _ in range(EM_ROUNDS if wanted is None else 1):
        weighted = probabilities * (shares / given)
        found = weighted / weighted.sum(axis=1, keepdims=True)
        if wanted is not None:
            break
        newer = found.mean(axis=0)
        moved, shares = np.abs(newer - shares).max(), newer
        if moved < EM_TOLERANCE:
            break
    return found, shares


@dataclasses.dataclass(frozen=True)
class Reliability:
    """How often probabilities are right, by the probability of the class named: counts in bins of equal width from 0 to 1."""

    counts: tuple[int, ...]
    """Galaxies in each bin."""
    correct: tuple[int, ...]
    """How many of these are named right."""
    sureness: tuple[float, ...]
    """Sum of the probabilities of the class named."""
    brier: float
    """Brier score (`brier_score`); NaN without galaxies."""

    @property
    def accuracy(self) -> float:
        """Share that is named right; NaN without galaxies."""
        return sum(self.correct) / sum(self.counts) if sum(self.counts) else float("nan")

    def in_bins(self, bins: int = BINS) -> "Reliability":
        """The same in fewer bins, a divisor of `FINE_BINS`."""
        each = (np.array(values).reshape(bins, -1).sum(axis=1) for values in (self.counts, self.correct, self.sureness))
        counts, correct, sureness = (array.tolist() for array in each)
        return Reliability(tuple(counts), tuple(correct), tuple(sureness), self.brier)

    def error(self, bins: int = BINS) -> float:
        """The expected calibration error (`expected_calibration_error`); NaN without galaxies."""
        one = self.in_bins(bins)
        distance = np.abs(np.array(one.correct) - np.array(one.sureness)).sum()
        return float(distance / sum(one.counts)) if sum(one.counts) else float("nan")

    def confident(self, least: float) -> tuple[float, float]:
        """Share of galaxies named with at least this probability (a bin's edge), and accuracy among them; NaN without any."""
        first = round(least * len(self.counts))
        sure, right = sum(self.counts[first:]), sum(self.correct[first:])
        every = sum(self.counts)
        return (sure / every if every else float("nan")), (right / sure if sure else float("nan"))

    def coverage(self) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
        """Share of galaxies that is kept, the surest first, and accuracy among them, of every bin that holds some."""
        counts, correct = (np.array(values)[::-1].cumsum() for values in (self.counts, self.correct))
        holds = np.array(self.counts)[::-1] > 0
        return counts[holds] / max(sum(self.counts), 1), correct[holds] / counts[holds]


FINE_BINS = 60
"""Bins that a `Reliability` is kept in: a multiple of `BINS`, with an edge at 0.9."""


def reliability(probabilities: Float[np.ndarray, "galaxy class"], labels: Int[np.ndarray, " galaxy"]) -> Reliability:
    """How often probabilities, 0 to 1, are right on labelled galaxies."""
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    number = np.minimum((sure * FINE_BINS).astype(int), FINE_BINS - 1)

    def in_each(weights: Float[np.ndarray, " galaxy"]) -> Float[np.ndarray, " bin"]:
        return np.bincount(number, weights=weights, minlength=FINE_BINS)

    counts, correct = np.bincount(number, minlength=FINE_BINS), in_each(right.astype(np.float64))
    brier = brier_score(probabilities, labels) if len(labels) else float("nan")
    return Reliability(
        tuple(counts.tolist()),
        tuple(correct.astype(int).tolist()),
        tuple(in_each(sure.astype(np.float64)).tolist()),
        brier,
    )
