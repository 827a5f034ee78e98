"""The classes of a table's galaxies: columns of flags, a column of labels, or votes with thresholds."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Int8, Shaped

from galjax.config.class_names import check_class_name
from galjax.errors import InputError, printable
from galjax.sources.files.columns import MISSING, find_column, listed_columns, read_flags, read_labels
from galjax.sources.files.votes import RECIPES, apply_votes, find_recipe, votes_of
from galjax.sources.options import FolderOptions

LABEL_NAMES = ("label", "class", "morphology", "type")
MOST_CLASSES = 100
_USUAL = tuple(name.lower() for name in FolderOptions().class_columns)


class Words(NamedTuple):
    """What is said of a row without exactly one class."""

    unreadable: str = "a class flag is neither 0 nor 1"
    missing: str = "a class flag is missing"
    none: str = "no class flag is set"
    several: str = "{} class flags are set"


_OF_LABELS = Words(missing="has no label")
_OF_VOTES = Words(none="meets no vote threshold", several="meets {} vote thresholds")


class Classes(NamedTuple):
    """Who belongs where."""

    flags: Int8[np.ndarray, "class row"]
    """1, 0, `MISSING` or `UNREADABLE`; without classes where nobody has labelled the galaxies."""
    names: tuple[str, ...]
    words: Words
    how: str
    """How the classes were found, after "label:"."""


def read_classes(table: Table, file: str, options: FolderOptions) -> Classes:
    """The classes by the options, or else by what the table has: flags, the votes of a known catalogue, labels, or nothing.

    Raises InputError where a column is missing, or holds something else.
    """
    if options.vote:
        return _by_votes(votes_of(options.vote, table, file), table, file)
    column = find_column(table, options.label_column, LABEL_NAMES, "label", "--label-column", file)
    if options.label_column is not None:
        assert column is not None
        return _by_labels(table, column, file)
    lowered = {name.lower() for name in table.colnames}
    chosen = tuple(name.lower() for name in options.class_columns)
    both = set(_USUAL[:2])
    # One of them alone, where no label is needed, may be anything.
    if chosen != _USUAL or lowered >= both or (options.labels_needed and lowered & both):
        return _by_flags(table, options.class_columns, file)
    recipe = find_recipe(table)
    if recipe is not None:
        by_votes = _by_votes(votes_of([recipe], table, file), table, file)
        return by_votes._replace(how=f"{by_votes.how} (recipe {recipe}, for {RECIPES[recipe].catalogue})")
    if column is not None:
        return _by_labels(table, column, file)
    how = (
        f"none: {file} has no class flags, known votes, or column {', '.join(LABEL_NAMES)}; its columns are "
        f"{listed_columns(table)}. --label-column, --class-columns or --vote names classes"
    )
    return Classes(np.zeros((0, len(table)), np.int8), (), Words(), how)


def of_names(labels: Sequence[str], names: Sequence[str] | None = None, how: str = "") -> Classes:
    """Classes of labels as text, empty where there is none; names are in alphabetical order unless they are given.

    Raises InputError for a name that no class can have, or too many of them.
    """
    array = np.array([label.strip().lower() for label in labels], dtype=np.str_)
    found = tuple(map(str, np.unique(array[array != ""]))) if names is None else tuple(names)
    if len(found) > MOST_CLASSES:
        raise InputError(
            f"There are {len(found)} different labels ({', '.join(map(printable, found[:3]))}, ...), more than {MOST_CLASSES}: "
            f"they seem to be no classes. Name another column with --label-column, or give --vote."
        )
    for name in found:
        check_class_name(name)
    flags = (array == np.array(found, dtype=array.dtype if found else np.str_)[:, None]).astype(np.int8)
    flags = np.where(array == "", np.int8(MISSING), flags)
    return Classes(flags, found, _OF_LABELS, how)


def _by_labels(table: Table, column: str, file: str) -> Classes:
    return of_names(read_labels(table, column, file), how=f"column {column}")


def _by_flags(table: Table, wanted: Sequence[str], file: str) -> Classes:
    flags: dict[str, Shaped[np.ndarray, " row"]] = {}
    for column in wanted:
        optional = column == "UNCERTAIN"
        found = find_column(table, None if optional else column, (column,), "class", "--class-columns", file)
        if found is not None:
            flags[column.lower()] = read_flags(table, found, file)
    return Classes(np.stack(list(flags.values())), tuple(flags), Words(), f"flags {', '.join(flags)}")


def _by_votes(votes: tuple[str, ...], table: Table, file: str) -> Classes:
    met = apply_votes(votes, table, file)
    if len(met) < 2:
        raise InputError(f"--vote gives one class, {next(iter(met))}; give it again for each of two or more classes.")
    return Classes(np.stack(list(met.values())).astype(np.int8), tuple(met), _OF_VOTES, "; ".join(votes))
