"""The task "resolution": how anybody's predictions at reduced resolutions are scored, and the table that comes out.

Networks are trained on images at full resolution (Original). Their test images are shrunk by a factor, by the mean over the pixels
covered, and enlarged back with a method. A prediction is the probability of every class of a test galaxy, under a factor and a method.
Repeats have test galaxies of their own; every one is scored by itself.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from astropy.table import Row, Table
from jaxtyping import Float, Float64, Int, Shaped

from galjax.analysis.tables import markdown_table
from galjax.analysis.wording import fixed
from galjax.calibration import brier_score, expected_calibration_error
from galjax.errors import InputError
from galjax.metrics import auc
from galjax.sources.files.columns import read_ids
from galjax.statistics import error_of_mean, summarise

METRICS = ("accuracy", "auc", "ece", "brier")
"""Share named right; area under the ROC curve (`galjax.metrics.auc`); expected calibration error and Brier score
(`galjax.calibration`)."""
HIGHEST = (1.0, 1.0, 1.0, 2.0)
"""The largest value that each may have; the least is 0."""
RESAMPLES = 200
"""How often galaxies are drawn anew, where repeats do not show how results vary with them."""
BASIS = (
    "Mean over repeats and 95 % interval for new galaxies of the same kind (Student's t, with the share of test galaxies that two repeats have "
    "in common allowed for, cut off at the ends of the scale; none where all repeats give the same); of one repeat, or where all test the same galaxies, from 200 resamples of these."
)


class Answers(NamedTuple):
    """What one repeat says of its test galaxies under one condition."""

    ids: Shaped[np.ndarray, " galaxy"]
    labels: Int[np.ndarray, " galaxy"]
    probabilities: Float[np.ndarray, "galaxy class"]
    """0 to 1, and 1 in all for each galaxy."""


Condition = tuple[int, str]
"""Factor and method; the method of factor 1 is empty."""


def measured(answers: Answers) -> Float64[np.ndarray, " metric"]:
    """`METRICS`; the area under the ROC curve is NaN where a class has no galaxy."""
    return _measured(answers.probabilities, answers.labels)


def _measured(
    probabilities: Float[np.ndarray, "galaxy class"], labels: Int[np.ndarray, " galaxy"]
) -> Float64[np.ndarray, " metric"]:
    logits = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny)).astype(np.float32)
    area = float(_auc(jnp.asarray(logits), jnp.asarray(labels, jnp.int32)))
    right = float((probabilities.argmax(axis=1) == labels).mean())
    sure = probabilities.astype(np.float64)
    return np.array([right, area, expected_calibration_error(sure, labels), brier_score(sure, labels)])


_auc = jax.jit(auc)


def score(answers: Mapping[tuple[int, Condition], Answers]) -> tuple[Table, dict[Condition, np.ndarray]]:
    """The table of scores, one row a condition, the finest first, and the metrics (repeat, metric) behind it; `answers` are by repeat and condition.

    Columns: factor, method, repeats, galaxies (of one repeat), and each of `METRICS` with its interval (_low, _high; see `BASIS`; NaN where
    all repeats give the same number).
    """
    conditions = sorted(dict.fromkeys(condition for _, condition in answers), key=lambda one: one[0])
    rows, values = [], {}
    for condition in conditions:
        own = [one for (_, where), one in sorted(answers.items(), key=lambda item: item[0]) if where == condition]
        values[condition] = np.stack([measured(one) for one in own])
        bounds = _bounds(own, values[condition])
        numbers = zip(values[condition].mean(axis=0).tolist(), *bounds.tolist(), strict=True)
        rows.append((*condition, len(own), len(own[0].ids), *itertools.chain.from_iterable(numbers)))
    names = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
    return Table(rows=rows, names=("factor", "method", "repeats", "galaxies", *names)), values


def shared_by_ids(own: Sequence[Answers]) -> float:
    """Share of a repeat's test galaxies that another one tests too, the mean over pairs; 0 of a single repeat, 1 where all have the same."""
    pairs = [len(np.intersect1d(one.ids, other.ids)) / len(one.ids) for one, other in itertools.combinations(own, 2)]
    return float(np.mean(pairs)) if pairs else 0.0


def _bounds(own: Sequence[Answers], values: Float64[np.ndarray, "repeat metric"]) -> Float64[np.ndarray, "2 metric"]:
    shared = shared_by_ids(own)
    if len(own) == 1 or shared == 1:
        return _resampled(own)
    from scipy.special import stdtrit

    mean, std, _, n = summarise(values)
    reach = stdtrit(n - 1, 0.975) * np.where(std > 0, error_of_mean(std, n, shared), np.nan)
    return np.clip([mean - reach, mean + reach], 0, HIGHEST)


def _resampled(own: Sequence[Answers]) -> Float64[np.ndarray, "2 metric"]:
    """The interval of the mean over repeats that test the same galaxies, by the percentiles of resamples of these (Efron 1979)."""
    rng, ids = np.random.default_rng(0), np.unique(np.concatenate([one.ids for one in own]))
    places = [np.argsort(one.ids) for one in own]
    found = []
    for _ in range(RESAMPLES):
        chosen = rng.integers(0, len(ids), len(ids))
        each = [
            _measured(one.probabilities[order][chosen], one.labels[order][chosen])
            for one, order in zip(own, places, strict=True)
        ]
        found.append(np.mean(each, axis=0))
    return np.nanpercentile(np.array(found), [2.5, 97.5], axis=0)


def answers_of(
    table: Table, class_names: Sequence[str], truth: Mapping[tuple[int, Any], str] | None
) -> dict[tuple[int, Condition], Answers]:
    """The predictions of a table, by repeat and condition.

    Columns: id, p_<class> of every class, repeat (0 where there is none), factor (1), method (needed where the factor is above 1), and
    true, where `truth` (the class by repeat and id) is not given. Raises InputError, with the row, where something does not fit: a
    probability outside 0 to 1, or that do not sum to 1, a galaxy twice, an id that is not to be tested or is missing.
    """
    count = len(table)
    read, present = read_ids(table, "id", "the table")
    if not present.all():
        raise InputError(f"Row {(~present).argmax() + 1} has no id.")
    ids = np.array([str(value) for value in read.tolist()])
    repeats, factors = _whole(table, "repeat", 0), _factors(table)
    methods = (
        np.array([str(value).strip().lower() for value in table["method"]])
        if "method" in table.colnames
        else np.full(count, "")
    )
    methods = np.where(factors == 1, "", methods).astype(object)
    bad = (factors > 1) & np.isin(methods, ["", "--", "nan", "none"])
    if bad.any():
        raise InputError(
            f"Row {bad.argmax() + 1} has factor {factors[bad.argmax()]} and no method. Add a column method: nearest, bilinear, bicubic ..."
        )
    probabilities = np.stack([_numbers(table, f"p_{name}") for name in class_names], axis=1)
    _check_probabilities(probabilities, class_names)
    labels = _labels(table, class_names, truth, list(zip(repeats.tolist(), ids.tolist(), strict=True)))
    groups: dict[tuple[int, Condition], list[int]] = {}
    for row, key in enumerate(zip(repeats.tolist(), factors.tolist(), methods.tolist(), strict=True)):
        groups.setdefault((key[0], (key[1], key[2])), []).append(row)
    found = {}
    for (repeat, condition), rows in groups.items():
        own = np.array(rows)
        unique, first, times = np.unique(ids[own], return_index=True, return_counts=True)
        if (times > 1).any():
            twice = unique[times.argmax()]
            raise InputError(
                f"Galaxy {twice} is predicted {times.max()} times in repeat {repeat} at {label_of(condition)}; keep one row"
                + ("." if "repeat" in table.colnames else ", or add the column repeat.")
            )
        if truth is not None:
            _check_complete(unique, {str(i) for r, i in truth if r == repeat}, repeat, condition)
        order = own[first]
        found[repeat, condition] = Answers(ids[order], labels[order], probabilities[order])
    return found


def label_of(condition: Condition) -> str:
    """In words: "Original", "1/4 bilinear"."""
    factor, method = condition
    return "Original" if factor == 1 else f"1/{factor} {method}"


def classes_in(names: Iterable[str]) -> list[str]:
    """The classes that a table of predictions has probabilities of, in its order."""
    return [name.removeprefix("p_") for name in names if name.startswith("p_")]


def _check_complete(ids: Shaped[np.ndarray, " galaxy"], wanted: set[str], repeat: int, condition: Condition) -> None:
    missing = sorted(wanted - set(ids.tolist()))
    if not wanted:
        raise InputError(f"The task has no repeat {repeat}. Its repeats count from 0.")
    if missing:
        raise InputError(
            f"{len(missing)} of {len(wanted)} test galaxies of repeat {repeat} have no prediction at {label_of(condition)}, the first is "
            f"{missing[0]}. Every test galaxy counts: predict all."
        )


def _labels(
    table: Table,
    class_names: Sequence[str],
    truth: Mapping[tuple[int, Any], str] | None,
    keys: Sequence[tuple[int, str]],
) -> Int[np.ndarray, " row"]:
    if truth is None:
        names = [str(value).strip().lower() for value in table["true"]]
    else:
        for row, key in enumerate(keys):
            if key not in truth:
                raise InputError(f"Row {row + 1}: galaxy {key[1]} is not among the test galaxies of repeat {key[0]}.")
        names = [truth[key] for key in keys]
        for row, said in enumerate(table["true"] if "true" in table.colnames else ()):
            if str(said).strip().lower() != names[row].lower():
                raise InputError(
                    f"Row {row + 1}: true is {str(said)!r}, and galaxy {keys[row][1]} is {names[row]} in the task."
                )
    known = {name.lower(): number for number, name in enumerate(class_names)}
    for row, name in enumerate(names):
        if name.lower() not in known:
            raise InputError(
                f"Row {row + 1}: the class is {name!r}, and there are probabilities of {', '.join(class_names)} only."
            )
    return np.array([known[name.lower()] for name in names], np.int32)


def _factors(table: Table) -> Int[np.ndarray, " row"]:
    """The column factor; 4 may be written 1/4, and 1 Original."""
    if "factor" not in table.colnames:
        return np.ones(len(table), int)
    texts = [str(value).strip().lower() for value in table["factor"]]
    plain = ["1" if text == "original" else text.removeprefix("1/") for text in texts]
    return _whole(Table({"factor": plain}), "factor", 1)


def _whole(table: Table, name: str, default: int) -> Int[np.ndarray, " row"]:
    if name not in table.colnames:
        return np.full(len(table), default)
    values = _numbers(table, name)
    bad = ~((values == np.round(values)) & (values >= default))
    if bad.any():
        raise InputError(
            f"Row {bad.argmax() + 1}: {name} is {table[name][bad.argmax()]}, not a whole number from {default} on."
        )
    return values.astype(int)


def _numbers(table: Table, name: str) -> Float64[np.ndarray, " row"]:
    values = np.empty(len(table))
    for row, value in enumerate(table[name]):
        try:
            values[row] = float(value)
        except (TypeError, ValueError):
            raise InputError(f"Row {row + 1}: {name} is {str(value)!r}, not a number.") from None
    return values


def _check_probabilities(probabilities: Float64[np.ndarray, "row class"], class_names: Sequence[str]) -> None:
    bad = ~((probabilities >= 0) & (probabilities <= 1)).all(axis=1)
    if bad.any():
        raise InputError(
            f"Row {bad.argmax() + 1}: a probability lies outside 0 to 1: {probabilities[bad.argmax()].tolist()}."
        )
    off = np.abs(probabilities.sum(axis=1) - 1) > 0.01
    if off.any():
        raise InputError(
            f"Row {off.argmax() + 1}: the probabilities of {', '.join(class_names)} sum to {probabilities[off.argmax()].sum():.3f}, not to 1."
        )


def markdown(scores: Table, keys: Sequence[str] = ()) -> str:
    """The table of scores in Markdown, for a paper or a README: a row a condition, each metric with its 95 % interval."""
    header = [*keys, "test images", "repeats", "galaxies", *METRICS]
    rows = [
        [
            *(str(row[key]) for key in keys),
            label_of((int(row["factor"]), str(row["method"]))),
            str(row["repeats"]),
            str(row["galaxies"]),
            *(_in_words(row, name) for name in METRICS),
        ]
        for row in scores
    ]
    return markdown_table(header, rows)


def _in_words(row: Row, name: str) -> str:
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    return f"{fixed(row[name])} ({fixed(low)} to {fixed(high)})" if np.isfinite(low) else fixed(row[name])
