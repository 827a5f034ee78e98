"""Which galaxies each repeat uses: a balanced or natural draw from the pool, split stratified by class. Indices only."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Int32, Key, Shaped

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
SETS = ("train", "val", "test")
"""Names of the sets of a given split, in the order of `Draw`."""


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
    given: Shaped[np.ndarray, " galaxy"] | None = None,
) -> Draw:
    """`per_class` galaxies of every class, without replacement, anew in every repeat (or none twice, see `Split.draws`).

    Each class gives `round(per_class * fraction)` galaxies to test and to validation (at least one where validation is asked for) and
    the rest to training, so every set is balanced. `given` says which set a galaxy may be drawn for, "train", "val" or "test";
    where none is for validation, those for training are. Raises InputError where a class has too few galaxies or a set would be empty.
    """
    disjoint, repeats = split.draws == "disjoint", len(repeat_keys)
    sizes = _sizes(per_class, split)
    if given is not None:
        return _draw_given(labels, class_names, sizes, repeat_keys, split, _may_validate(given, split))
    check_enough(labels, class_names, per_class, repeats if disjoint else 1)
    _, validation, test = sizes
    _check_split(*sizes, split, f"{per_class} per class")
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


def _sizes(per_class: int, split: Split) -> tuple[int, int, int]:
    """Galaxies of each class to train, to validate and to test on."""
    test, validation = round(per_class * split.test), round(per_class * split.validation)
    validation = max(validation, 1) if split.validation else 0
    return per_class - test - validation, validation, test


def _may_validate(given: Shaped[np.ndarray, " galaxy"], split: Split) -> Shaped[np.ndarray, " galaxy"]:
    """The given sets, where every eighth training galaxy is to validate if that is asked for and none is given for it."""
    if "val" in given or not split.validation:
        return given
    training = np.flatnonzero(given == "train")
    sets = given.astype("U5")
    sets[training[::8]] = "val"
    return sets


def _draw_given(
    labels: Int32[np.ndarray, " galaxy"],
    class_names: Sequence[str],
    sizes: tuple[int, int, int],
    repeat_keys: Key[Array, " repeat"],
    split: Split,
    given: Shaped[np.ndarray, " galaxy"],
) -> Draw:
    """A balanced draw of each set from the galaxies that are given for it."""
    if split.draws == "disjoint":
        raise InputError(
            "--draws disjoint and --split given do not go together: the sets are given. Leave one of them out."
        )
    _check_split(*sizes, split, f"{sum(sizes)} per class")
    members = {
        name: [
            np.flatnonzero((labels == label) & (given == name)).astype(np.int32) for label in range(len(class_names))
        ]
        for name in SETS
    }
    for name, wanted in zip(SETS, sizes, strict=True):
        for label, own in zip(class_names, members[name], strict=True):
            if len(own) < wanted:
                raise InputError(
                    f"The given split has {len(own)} galaxies of {label} in {name}, and {wanted} are to be drawn from them. Choose a smaller "
                    f"--per-class, or other fractions (--test-fraction, --validation-fraction), or leave --split given out."
                )

    def drawn(key: Key[Array, ""]) -> Draw:
        parts = []
        for number, (name, wanted) in enumerate(zip(SETS, sizes, strict=True)):
            keys = jax.random.split(jax.random.fold_in(key, number), len(class_names))
            each = [jax.random.permutation(k, own)[:wanted] for k, own in zip(keys, members[name], strict=True)]
            parts.append(jnp.concatenate(each))
        return Draw(*parts)

    return jax.vmap(drawn)(repeat_keys)


def set_aside(
    labels: Int32[np.ndarray, " galaxy"], share: float, rng: np.random.Generator
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " aside"]]:
    """Positions of the galaxies that stay and of those set aside, in order: a `share` (0 to 1) of each class, at least one galaxy."""
    aside = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        aside[rng.choice(members, max(1, round(share * len(members))), replace=False)] = True
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def with_test_galaxies(drawn: Draw, positions: Int[np.ndarray, " galaxy"]) -> Draw:
    """The draw with its test galaxies trained on too, every repeat tested on the galaxies at these positions, of which it has none."""
    test = jnp.broadcast_to(jnp.asarray(positions, drawn.test.dtype), (len(drawn.test), len(positions)))
    return Draw(jnp.concatenate([drawn.train, drawn.test], axis=1), drawn.validation, test)


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


def most_per_class(pool: GalaxySample, disjoint: int = 1, split: Split = PLAIN) -> int:
    """The largest balanced draw that the pool allows, or so many `disjoint` ones, or one from its given split; at least 1."""
    most = max(1, min(pool.class_counts().values()) // disjoint)
    given = given_split(pool)
    if given is None:
        return most
    allowed = _may_validate(given, split)
    least = [
        min(int(((pool.labels == label) & (allowed == name)).sum()) for label in range(len(pool.class_names)))
        for name in SETS
    ]
    while most > 1 and any(wanted > there for wanted, there in zip(_sizes(most, split), least, strict=True)):
        most -= 1
    return most


def given_split(pool: GalaxySample) -> Shaped[np.ndarray, " galaxy"] | None:
    """Which set each galaxy is given for (`--split given`), where the sample knows it."""
    return pool.columns.get("split")


def _counts(labels: Int32[np.ndarray, " galaxy"], class_names: Sequence[str]) -> dict[str, int]:
    counts = np.bincount(labels, minlength=len(class_names))
    return {name: int(n) for name, n in zip(class_names, counts, strict=True)}


def _check_split(train: int, validation: int, test: int, split: Split, drawn: str) -> None:
    if min(train, test) < 1 or (split.validation > 0 and validation < 1):
        raise InputError(
            f"A draw of {drawn} splits into {train} to train, {validation} to validate and {test} to test on; no set "
            f"may be empty. Draw more galaxies, or change --test-fraction or --validation-fraction."
        )
