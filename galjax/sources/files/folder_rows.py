"""Which rows of a folder's catalogue become galaxies: those with an id, one class and one image file; and why the others do not."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float64, Int, Int8, Int32, Shaped

from galjax.errors import InputError
from galjax.io.table_files import read_catalogue
from galjax.sample import Exclusion
from galjax.sources.files.catalogue import (
    ID_NAMES,
    MISSING,
    UNREADABLE,
    find_column,
    find_redshift_column,
    listed_columns,
    read_flags,
    read_ids,
    read_redshift,
)
from galjax.sources.files.image_names import ImageFiles, why_unread

_Reason: TypeAlias = tuple[Bool[np.ndarray, " row"], str | Callable[[int], str]]


class Columns(NamedTuple):
    """What a catalogue says of its galaxies."""

    ids: Shaped[np.ndarray, " row"]
    present: Bool[np.ndarray, " row"]
    """Where there is an id."""
    flags: Int8[np.ndarray, "class row"]
    redshift: Float64[np.ndarray, " row"]
    class_names: tuple[str, ...]
    provenance: dict[str, str]


class Rows(NamedTuple):
    """The rows that may become galaxies, in the catalogue's order."""

    ids: Shaped[np.ndarray, " galaxy"]
    labels: Int32[np.ndarray, " galaxy"]
    redshift: Float64[np.ndarray, " galaxy"]
    files: list[Path]


def read_columns(
    catalogue: Path, id_column: str | None, class_columns: Sequence[str], redshift_column: str | None
) -> Columns:
    """The columns that are named, or else found by their usual names. Raises InputError where one is missing."""
    table, name = read_catalogue(catalogue), catalogue.name
    found_id = find_column(table, id_column, ID_NAMES, "id", "--id-column", name)
    if found_id is None:
        raise InputError(
            f"{name} has none of the id columns {', '.join(ID_NAMES)}; its columns are {listed_columns(table)}. Name "
            f"one with --id-column."
        )
    flags = {}
    for column in class_columns:
        optional = column == "UNCERTAIN"
        found = find_column(table, None if optional else column, (column,), "class", "--class-columns", name)
        if found is not None:
            flags[column.lower()] = read_flags(table, found, name)
    found_redshift, note = find_redshift_column(table, redshift_column, "--redshift-column", name)
    redshift, unreadable = read_redshift(table, found_redshift, name)
    ids, present = read_ids(table, found_id, name)
    provenance = {"catalogue rows": str(len(table)), "redshifts": found_redshift or "none"}
    if unreadable:
        provenance["redshifts that are no number, taken as unknown"] = str(unreadable)
    if note:
        provenance["note"] = note
    return Columns(ids, present, np.stack(list(flags.values())), redshift, tuple(flags), provenance)


def select_rows(columns: Columns, files: ImageFiles, catalogue: str) -> tuple[Rows, list[Exclusion], str]:
    """The rows that can be used; every other one, and every file without a row, with the reason; a note on file names."""
    names = list(map(str, columns.ids.tolist()))
    for row in np.flatnonzero(~columns.present).tolist():
        names[row] = ""
    at, note = files.find(names)
    at[~columns.present] = -1
    reasons = _reasons_against(columns, at, files)
    which = np.select([wrong for wrong, _ in reasons], range(len(reasons)), -1)
    bad = np.flatnonzero(which >= 0)
    excluded = []
    for row, number, name_at in zip(bad.tolist(), which[bad].tolist(), at[bad].tolist(), strict=True):
        reason = reasons[number][1]
        said = reason if isinstance(reason, str) else reason(row)
        file = files.shown(name_at) if name_at >= 0 else ""
        excluded.append(Exclusion(names[row], file, f"{said} (row {row + 1} of {catalogue})"))
    excluded += files.not_used(at[columns.present].tolist())
    good = np.flatnonzero(which < 0)
    labels = (columns.flags[:, good] == 1).argmax(axis=0).astype(np.int32)
    paths = [files.paths[number][0] for number in at[good].tolist()]
    return Rows(columns.ids[good], labels, columns.redshift[good], paths), excluded, note


def _reasons_against(columns: Columns, at: Int[np.ndarray, " row"], files: ImageFiles) -> list[_Reason]:
    """Rows that cannot be used, and why, or how to say why; the first that holds is the one to tell."""
    flags = columns.flags
    known = np.flatnonzero(columns.present)
    before, contradicted = (np.zeros(len(columns.ids), bool) for _ in range(2))
    before[known], contradicted[known] = _repeated(columns.ids[known], flags[:, known], columns.redshift[known])
    is_set = (flags == 1).sum(axis=0)
    count = np.array([*map(len, files.paths), 0])[at]  # the last is that of -1, no file
    unread = np.array([*map(bool, files.unread), False])[at]
    return [
        (~columns.present, "no id"),
        (~_is_plain(columns.ids), "id is not plain ASCII text"),
        (contradicted, "id is given several times, with different classes or redshifts"),
        (before, "id is given before"),
        ((flags == UNREADABLE).any(axis=0), "a class flag is neither 0 nor 1"),
        ((flags == MISSING).any(axis=0), "a class flag is missing"),
        (is_set == 0, "no class flag is set"),
        (is_set > 1, lambda row: f"{is_set[row]} class flags are set"),
        ((count == 0) & unread, lambda row: why_unread(files.unread[at[row]][0])),
        (count == 0, "no image file"),
        (count > 1, lambda row: f"{count[row]} image files"),
        (np.array([*files.lead_out(), False])[at], "the image file is a link that leaves the folder"),
    ]


def _repeated(
    ids: Shaped[np.ndarray, " row"], flags: Int8[np.ndarray, "class row"], redshift: Float64[np.ndarray, " row"]
) -> tuple[Bool[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Rows whose id an earlier row has, and rows whose id has rows that disagree in class or redshift."""
    first: dict[int | str, int] = {}
    earliest = np.fromiter(map(first.setdefault, ids.tolist(), itertools.count()), np.int64, len(ids))
    differs = (flags != flags[:, earliest]).any(axis=0)
    differs |= (redshift != redshift[earliest]) & ~(np.isnan(redshift) & np.isnan(redshift[earliest]))
    contradicted = np.zeros(len(ids), bool)
    contradicted[earliest[differs]] = True
    return earliest != np.arange(len(ids)), contradicted[earliest]


def _is_plain(ids: Shaped[np.ndarray, " row"]) -> Bool[np.ndarray, " row"]:
    """Whether every character of an id is printable ASCII; integers are."""
    if ids.dtype.kind != "U" or ids.dtype.itemsize == 0:
        return np.ones(len(ids), bool)
    characters = np.ascontiguousarray(ids).view(np.uint32).reshape(len(ids), -1)
    inside = np.arange(characters.shape[1]) < np.strings.str_len(ids)[:, None]
    outside = characters - np.uint32(32) > 126 - 32  # what is below 32 wraps around
    return np.logical_not((inside & outside).any(axis=1))
