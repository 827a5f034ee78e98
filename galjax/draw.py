"""Which galaxies each repeat uses: a balanced or natural draw from the pool, split stratified by class. Indices only."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key

from galjax.config.settings import Draws
from galjax.errors import InputError
from galjax.sample import Exclusion, GalaxySample


class Split(NamedTuple):
    """How a repeat's galaxies are drawn and split."""

    test: float = 0.3
    """Share of each class that is kept for testing."""
    validation: float = 0.0
    """Share of each class that is kept for choosing the epoch."""
    draws: Draws = "overlapping"
    """disjoint: no galaxy is in two repeats. All are dealt out in one order, that of the first repeat's key."""


PLAIN = Split()


class Draw(NamedTuple):
    """Positions in the pool, one row per repeat; no galaxy is in two sets of the same repeat."""

    train: Int[Array, "repeat train"]
    validation: Int[Array, "repeat validation"]
    """Validation galaxies; without columns where no validation split was asked for."""
    test: Int[Array, "repeat test"]


def shared_share(labels: Int32[np.ndarray, " galaxy"], draw: Draw) -> float:
    """Share of a repeat's test galaxies that another repeat is expected to test too, 0 to below 1, for overlapping draws.

    `labels` are those of the pool. Where a repeat tests `test` of `pool` galaxies of a class it is test / pool; of several classes the
    mean over the test galaxies. That is `per_class * test_fraction / pool` for balanced draws.
    """
    tested = np.bincount(labels[np.asarray(draw.test)].reshape(-1)) / len(draw.test)
    pool = np.maximum(np.bincount(labels, minlength=len(tested))[: len(tested)], 1)
    return float((tested**2 / pool).sum() / tested.sum())


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
    split: Split = PLAIN,
) -> Draw:
    """`per_class` galaxies of every class, without replacement, anew in every repeat (or none twice, see `Split.draws`).

    Each class gives `round(per_class * fraction)` galaxies to test and to validation (at least one where validation is asked for) and
    the rest to training, so every set is balanced. Raises InputError where a class has too few galaxies or a set would be empty.
    """
    disjoint, repeats = split.draws == "disjoint", len(repeat_keys)
    check_enough(labels, class_names, per_class, repeats if disjoint else 1)
    test, validation = round(per_class * split.test), round(per_class * split.validation)
    validation = max(validation, 1) if split.validation else 0
    _check_split(per_class - test - validation, validation, test, split, f"{per_class} per class")
    members = [np.flatnonzero(labels == label).astype(np.int32) for label in range(len(class_names))]

    def shuffled(key: Key[Array, ""], count: int) -> Int[Array, "class drawn"]:
        keys = jax.random.split(key, len(members))
        return jnp.stack([jax.random.permutation(k, m)[:count] for k, m in zip(keys, members, strict=True)])

    if disjoint:
        in_turn = shuffled(repeat_keys[0], repeats * per_class).reshape(len(members), repeats, per_class)
        drawn = jnp.moveaxis(in_turn, 1, 0)
    else:
        drawn = jax.vmap(lambda key: shuffled(key, per_class))(repeat_keys)
    parts = (drawn[:, :, test + validation :], drawn[:, :, test : test + validation], drawn[:, :, :test])
    return Draw(*(part.reshape(repeats, -1) for part in parts))


def draw_natural(
    labels: Int32[np.ndarray, " galaxy"],
    class_names: Sequence[str],
    total: int,
    repeat_keys: Key[Array, " repeat"],
    split: Split = PLAIN,
) -> Draw:
    """`total` galaxies of any class, so in the pool's own proportions up to chance, anew in every repeat (or none twice).

    The drawn galaxies are lined up by class, in random order within it, and every set takes galaxies at even spacing
    along the line: set sizes are the same in all repeats, and each class is split by the fractions to one galaxy.
    """
    disjoint, repeats = split.draws == "disjoint", len(repeat_keys)
    needed = total * (repeats if disjoint else 1)
    if not 0 < needed <= len(labels):
        counts = ", ".join(f"{n} {name}" for name, n in _counts(labels, class_names).items())
        own = f", for each of {repeats} repeats its own (--draws disjoint)," if disjoint else ""
        raise InputError(f"The pool has {len(labels)} galaxies ({counts}), so --total {total}{own} cannot be drawn.")
    position = np.arange(total)

    def spaced(wanted: float) -> np.ndarray:
        return np.diff(np.floor(np.append(position, total) * wanted + 0.5)) > 0

    in_test = spaced(split.test)
    rest = np.flatnonzero(~in_test)
    in_validation = np.zeros(total, bool)
    if split.validation:
        within = np.append(np.arange(len(rest)), len(rest)) * (split.validation * total / len(rest))
        in_validation[rest[np.diff(np.floor(within + 0.5)) > 0]] = True
    in_train = ~in_test & ~in_validation
    train, validation, test = (int(part.sum()) for part in (in_train, in_validation, in_test))
    _check_split(train, validation, test, split, f"{total} in all")
    device_labels = jnp.asarray(labels)

    def shuffled(key: Key[Array, ""], count: int) -> Int[Array, " drawn"]:
        return jax.random.permutation(key, jnp.arange(len(labels), dtype=jnp.int32))[:count]

    @jax.vmap
    def one_repeat(drawn: Int[Array, " drawn"]) -> Draw:
        by_class = drawn[jnp.argsort(device_labels[drawn], stable=True)]
        return Draw(*(by_class[np.flatnonzero(part)] for part in (in_train, in_validation, in_test)))

    if disjoint:
        return one_repeat(shuffled(repeat_keys[0], needed).reshape(repeats, total))
    return one_repeat(jax.vmap(lambda key: shuffled(key, total))(repeat_keys))


def check_enough(
    labels: Int32[np.ndarray, " galaxy"], class_names: Sequence[str], per_class: int, disjoint: int = 1
) -> None:
    """Raise InputError, saying how many galaxies there are of each class, where a class has fewer than needed.

    `disjoint` draws of `per_class` galaxies each, none of which is in two, must be possible.
    """
    counts = _counts(labels, class_names)
    most = min(counts.values()) // disjoint
    if per_class < 1 or most < per_class:
        listed = ", ".join(f"{n} {name}" for name, n in counts.items())
        if disjoint > 1:
            way_out = f"--per-class from 1 to {most}, fewer --repeats" if most else "fewer --repeats"
            raise InputError(
                f"{disjoint} repeats with {per_class} galaxies per class of their own each (--draws disjoint) are not possible: after "
                f"selection there are {listed}. Choose {way_out} or --draws overlapping, or give more galaxies."
            )
        raise InputError(
            f"A draw of {per_class} galaxies per class is not possible: after selection there are {listed}. "
            f"Choose --per-class from 1 to {min(counts.values())}, or give more galaxies."
        )


def most_per_class(pool: GalaxySample, disjoint: int = 1) -> int:
    """The largest balanced draw that the pool allows, or so many `disjoint` ones; at least 1."""
    return max(1, min(pool.class_counts().values()) // disjoint)


def _counts(labels: Int32[np.ndarray, " galaxy"], class_names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(class_names))
    return {name: int(n) for name, n in zip(class_names, counts, strict=True)}


def _check_split(train: int, validation: int, test: int, split: Split, drawn: str) -> None:
    if min(train, test) < 1 or (split.validation > 0 and validation < 1):
        raise InputError(
            f"A draw of {drawn} splits into {train} to train, {validation} to validate and {test} to test on; no set "
            f"may be empty. Draw more galaxies, or change --test-fraction or --validation-fraction."
        )
