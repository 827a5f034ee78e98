"""Which galaxies each repeat uses: a balanced or natural draw from the pool, split stratified by class. Indices only."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key

from galjax.errors import InputError
from galjax.sample import Exclusion, GalaxySample


class Draw(NamedTuple):
    """Positions in the pool, one row per repeat; no galaxy is in two sets of the same repeat."""

    train: Int[Array, "repeat train"]
    validation: Int[Array, "repeat validation"]
    """Validation galaxies; without columns where no validation split was asked for."""
    test: Int[Array, "repeat test"]


def make_pool(
    sample: GalaxySample, class_names: Sequence[str], redshift_range: tuple[float, float] | None = (0.0, 0.2)
) -> GalaxySample:
    """The galaxies that repeats draw from: of the named classes and, where redshifts are known, inside the range.

    Galaxies of other classes, outside the open range, or without a redshift while others have one, are added to
    `excluded`. A sample without any redshift, or `redshift_range=None`, is not cut. Raises InputError where nothing is left.
    """
    pool = sample.with_classes(class_names)
    others = [
        Exclusion(str(i), "", f"{sample.class_names[label]} is not among the classes {', '.join(class_names)}")
        for i, label in zip(sample.ids, sample.labels, strict=True)
        if sample.class_names[label] not in class_names
    ]
    pool = dataclasses.replace(pool, excluded=(*pool.excluded, *others))
    if redshift_range is None or not np.isfinite(pool.redshift).any():
        return pool
    lower, upper = redshift_range
    inside = pool.in_redshift_range(lower, upper)
    if len(pool) and not inside.any():
        raise InputError(
            f"None of the {len(pool)} galaxies has a redshift in {lower} < z < {upper}; the known ones run from "
            f"{np.nanmin(pool.redshift):.3g} to {np.nanmax(pool.redshift):.3g}. Give another --redshift-range."
        )
    cut = [
        Exclusion(str(i), "", f"redshift {z:.4f} is outside {lower} < z < {upper}" if np.isfinite(z) else "no redshift")
        for i, z in zip(pool.ids[~inside], pool.redshift[~inside], strict=True)
    ]
    kept = pool.take(inside)
    return dataclasses.replace(kept, excluded=(*kept.excluded, *cut))


def draw_balanced(
    labels: Int32[np.ndarray, " galaxy"],
    class_names: Sequence[str],
    per_class: int,
    repeat_keys: Key[Array, " repeat"],
    *,
    test_fraction: float = 0.3,
    validation_fraction: float = 0.0,
) -> Draw:
    """`per_class` galaxies of every class, without replacement, anew in every repeat.

    Each class gives `round(per_class * fraction)` galaxies to test and to validation and the rest to training, so every
    set is balanced. Raises InputError where a class has too few galaxies or a set would be empty.
    """
    check_enough(labels, class_names, per_class)
    test, validation = round(per_class * test_fraction), round(per_class * validation_fraction)
    _check_split(per_class - test - validation, validation, test, validation_fraction, f"{per_class} per class")
    members = [np.flatnonzero(labels == label).astype(np.int32) for label in range(len(class_names))]

    @jax.vmap
    def one_repeat(key: Key[Array, ""]) -> Draw:
        keys = jax.random.split(key, len(members))
        drawn = jnp.stack([jax.random.permutation(k, m)[:per_class] for k, m in zip(keys, members, strict=True)])
        parts = (drawn[:, test + validation :], drawn[:, test : test + validation], drawn[:, :test])
        return Draw(*(part.reshape(-1) for part in parts))

    return one_repeat(repeat_keys)


def draw_natural(
    labels: Int32[np.ndarray, " galaxy"],
    class_names: Sequence[str],
    total: int,
    repeat_keys: Key[Array, " repeat"],
    *,
    test_fraction: float = 0.3,
    validation_fraction: float = 0.0,
) -> Draw:
    """`total` galaxies of any class, so in the pool's own proportions up to chance, anew in every repeat.

    The drawn galaxies are lined up by class, in random order within it, and every set takes galaxies at even spacing
    along the line: set sizes are the same in all repeats, and each class is split by the fractions to one galaxy.
    """
    if not 0 < total <= len(labels):
        counts = ", ".join(f"{n} {name}" for name, n in _counts(labels, class_names).items())
        raise InputError(f"The pool has {len(labels)} galaxies ({counts}), so --total {total} cannot be drawn.")
    position = np.arange(total)

    def spaced(wanted: float) -> np.ndarray:
        return np.diff(np.floor(np.append(position, total) * wanted + 0.5)) > 0

    in_test = spaced(test_fraction)
    rest = np.flatnonzero(~in_test)
    in_validation = np.zeros(total, bool)
    if validation_fraction:
        within = np.append(np.arange(len(rest)), len(rest)) * (validation_fraction * total / len(rest))
        in_validation[rest[np.diff(np.floor(within + 0.5)) > 0]] = True
    in_train = ~in_test & ~in_validation
    train, validation, test = (int(part.sum()) for part in (in_train, in_validation, in_test))
    _check_split(train, validation, test, validation_fraction, f"{total} in all")
    device_labels = jnp.asarray(labels)

    @jax.vmap
    def one_repeat(key: Key[Array, ""]) -> Draw:
        drawn = jax.random.permutation(key, jnp.arange(len(labels), dtype=jnp.int32))[:total]
        by_class = drawn[jnp.argsort(device_labels[drawn], stable=True)]
        return Draw(*(by_class[np.flatnonzero(part)] for part in (in_train, in_validation, in_test)))

    return one_repeat(repeat_keys)


def check_enough(labels: Int32[np.ndarray, " galaxy"], class_names: Sequence[str], per_class: int) -> None:
    """Raise InputError, saying how many galaxies there are of each class, where a class has fewer than needed."""
    counts = _counts(labels, class_names)
    if per_class < 1 or min(counts.values()) < per_class:
        listed = ", ".join(f"{n} {name}" for name, n in counts.items())
        raise InputError(
            f"A draw of {per_class} galaxies per class is not possible: after selection there are {listed}. "
            f"Choose --per-class from 1 to {min(counts.values())}, or give more galaxies."
        )


def most_per_class(pool: GalaxySample) -> int:
    """The largest balanced draw that the pool allows, at least 1."""
    return max(1, min(pool.class_counts().values()))


def _counts(labels: Int32[np.ndarray, " galaxy"], class_names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(class_names))
    return {name: int(n) for name, n in zip(class_names, counts, strict=True)}


def _check_split(train: int, validation: int, test: int, validation_fraction: float, drawn: str) -> None:
    if min(train, test) < 1 or (validation_fraction > 0 and validation < 1):
        raise InputError(
            f"A draw of {drawn} splits into {train} to train, {validation} to validate and {test} to test on; no set "
            f"may be empty. Draw more galaxies, or change --test-fraction or --validation-fraction."
        )
