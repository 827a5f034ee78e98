"""Classes out of votes: thresholds as people write them, and the recipes of catalogues that many use."""

import operator
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float64

from galjax.config.class_names import check_class_name
from galjax.errors import InputError
from galjax.sources.files.columns import find_column, read_numbers

_COMPARISONS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}
_CONDITION = re.compile(r"(.+?)\s*(<=|>=|<|>)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)", re.IGNORECASE)
_FORM = "CLASS: COLUMN > NUMBER"


class Recipe(NamedTuple):
    """How a well-known catalogue of votes is read."""

    catalogue: str
    votes: tuple[str, ...]
    """As `--vote` takes them; {...} stands for what the names of columns have there (of a survey), the same throughout."""


RECIPES = {
    "kaggle": Recipe("Kaggle Galaxy Zoo", ("elliptical: Class1.1 > 0.8", "spiral: Class4.1 > 0.5")),
    "gz2": Recipe(
        "Galaxy Zoo 2 (Hart et al. 2016)",
        (
            "elliptical: t01_smooth_or_features_a01_smooth_debiased > 0.8",
            "spiral: t01_smooth_or_features_a02_features_or_disk_debiased > 0.43 and t02_edgeon_a05_no_debiased > 0.715 "
            "and t04_spiral_a08_spiral_debiased > 0.8",
        ),
    ),
    "gz-decals": Recipe(
        "Galaxy Zoo DECaLS",
        (
            "elliptical: smooth-or-featured_smooth_fraction > 0.8",
            "spiral: smooth-or-featured_featured-or-disk_fraction > 0.43 and disk-edge-on_no_fraction > 0.715 "
            "and has-spiral-arms_yes_fraction > 0.8",
        ),
    ),
    "galaxy-datasets": Recipe(
        "galaxy-datasets",
        (
            "elliptical: smooth-or-featured-{}_smooth / smooth-or-featured-{}_total-votes > 0.8",
            "spiral: smooth-or-featured-{}_featured-or-disk / smooth-or-featured-{}_total-votes > 0.43 "
            "and disk-edge-on-{}_no / disk-edge-on-{}_total-votes > 0.715 "
            "and has-spiral-arms-{}_yes / has-spiral-arms-{}_total-votes > 0.8",
        ),
    ),
    "efigi": Recipe("EFIGI", ("elliptical: T <= -4", "spiral: T >= 1 and T <= 9")),
}
"""By name. Limits of questions that lead to another are those of Willett et al. (2013, MNRAS 435, 2835), table 3."""
_MARKS = {"efigi": "PGCname"}
"""A further column without which a catalogue is not taken for that of a recipe."""


def find_recipe(table: Table) -> str | None:
    """The name of the recipe whose columns the table has; None where there is none."""
    names = {name.lower() for name in table.colnames}
    for key, recipe in RECIPES.items():
        needed = {c.lower() for vote in _of_survey(recipe, table) for c in columns_of(vote)}
        if needed <= names and _MARKS.get(key, next(iter(needed))).lower() in names:
            return key
    return None


def votes_of(wanted: Sequence[str], table: Table, file: str) -> tuple[str, ...]:
    """The votes that are meant: those of a recipe where its name is given. Raises InputError for an unknown name."""
    found: list[str] = []
    for one in wanted:
        if ":" in one:
            found.append(one)
        elif one.lower() in RECIPES:
            found += _of_survey(RECIPES[one.lower()], table)
        else:
            raise InputError(f"--vote takes '{_FORM}' or the name of a recipe ({', '.join(RECIPES)}), not {one!r}.")
    return tuple(found)


def columns_of(vote: str) -> list[str]:
    """The columns that a vote needs. Raises InputError where it cannot be understood."""
    return [column for term, _, _ in _parse(vote)[1] for column in _parts(term)]


def apply_votes(votes: Sequence[str], table: Table, file: str) -> dict[str, Bool[np.ndarray, " row"]]:
    """Which rows meet the threshold of each class; a vote that is empty or no number meets none.

    Several votes for one class are alternatives. Raises InputError where a vote cannot be understood, or its column is not
    there or holds no number at all.
    """
    met: dict[str, np.ndarray] = {}
    for vote in votes:
        name, conditions = _parse(vote)
        all_met = np.ones(len(table), bool)
        for term, comparison, limit in conditions:
            values = [_numbers(table, column, file) for column in _parts(term)]
            with np.errstate(divide="ignore", invalid="ignore"):
                value = values[0] if len(values) == 1 else values[0] / values[1]
                all_met &= _COMPARISONS[comparison](value, limit)
        met[name] = met.get(name, np.zeros(len(table), bool)) | all_met
    return met


def _of_survey(recipe: Recipe, table: Table) -> tuple[str, ...]:
    """The votes of a recipe with the survey's part of the names of columns filled in."""
    column = columns_of(recipe.votes[0])[0]
    if "{}" not in column:
        return recipe.votes
    pattern = re.compile(re.escape(column).replace(r"\{\}", "(.+)"), re.IGNORECASE)
    survey = next((match[1] for match in map(pattern.fullmatch, table.colnames) if match), "{}")
    return tuple(vote.replace("{}", survey) for vote in recipe.votes)


def _numbers(table: Table, column: str, file: str) -> Float64[np.ndarray, " row"]:
    found = find_column(table, column, (), "vote", "--vote", file)
    assert found is not None
    values, _ = read_numbers(table, found, file)
    if len(values) and not np.isfinite(values).any():
        raise InputError(f"The column {column!r} of {file} holds no number, so it cannot be compared in --vote.")
    return values


def _parts(term: str) -> list[str]:
    return [part.strip() for part in re.split(r"\s/\s", term, maxsplit=1)]


def _parse(vote: str) -> tuple[str, list[tuple[str, str, float]]]:
    """The class of a vote, and its conditions: term, comparison, limit."""
    name, colon, rule = vote.partition(":")
    conditions = [_CONDITION.fullmatch(part.strip()) for part in re.split(r"\s+and\s+|&", rule, flags=re.IGNORECASE)]
    if not colon or not all(conditions):
        raise InputError(
            f"--vote {vote!r} cannot be understood. Write '{_FORM}', with <, <=, >= or > and several conditions joined by "
            f"'and': 'spiral: P_CS > 0.8 and NVOTE >= 20'."
        )
    name = name.strip().lower()
    check_class_name(name)
    return name, [(match[1].strip(), match[2], float(match[3])) for match in conditions if match]
