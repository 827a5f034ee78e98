"""Which rows of a folder's catalogue become galaxies: those with an id, one class and one image file; and why the others do not."""

import contextlib
import itertools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float64, Int, Int8, Int32, Shaped

from galjax.errors import InputError
from galjax.io.table_files import read_catalogue
from galjax.sample import UNLABELLED, Exclusion
from galjax.sources.files.assembly import Galaxies
from galjax.sources.files.columns import (
    ID_NAMES,
    MISSING,
    PIXEL_SCALE_NAMES,
    REDSHIFTS,
    UNREADABLE,
    find_column,
    find_redshift_column,
    listed_columns,
    read_ids,
    read_numbers,
    read_redshift,
    read_texts,
)
from galjax.sources.files.image_names import ImageFiles, why_unread, without_ending
from galjax.sources.files.labels import Words, read_classes
from galjax.sources.files.pixels import Pixels
from galjax.sources.options import FolderOptions
from galjax.sources.surveys.sexagesimal import hours_to_degrees, to_degrees

FILE_NAMES = ("file_name", "filename", "file_loc", "png_loc")
MAPPING = "gz2_filename_mapping.csv"
"""Beside the table of Galaxy Zoo 2: which image is whose."""
SPLITS = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
_Reason: TypeAlias = tuple[Bool[np.ndarray, " row"], str | Callable[[int], str]]


class Columns(NamedTuple):
    """What a table says of its galaxies."""

    ids: Shaped[np.ndarray, " row"]
    present: Bool[np.ndarray, " row"]
    """Where there is an id."""
    flags: Int8[np.ndarray, "class row"]
    """Without classes where nobody has labelled the galaxies."""
    redshift: Float64[np.ndarray, " row"]
    class_names: tuple[str, ...]
    provenance: dict[str, str]
    words: Words = Words()
    files: list[str] | None = None
    """What the image file of each row is called; None where it is called by the id."""
    further: Mapping[str, Shaped[np.ndarray, " row"]] = MappingProxyType({})
    """Columns that are kept with the galaxies."""
    labels_needed: bool = True
    """Whether rows without one class are left out; else they become galaxies without a label."""


class Rows(NamedTuple):
    """The rows that may become galaxies, in the catalogue's order."""

    ids: Shaped[np.ndarray, " galaxy"]
    labels: Int32[np.ndarray, " galaxy"]
    redshift: Float64[np.ndarray, " galaxy"]
    files: list[Path]
    """Empty where all images are in one array."""
    names: list[str]
    """The files, as sentences call them."""
    rows: Int[np.ndarray, " galaxy"]
    """Where each galaxy stands in the table."""
    further: Mapping[str, Shaped[np.ndarray, " galaxy"]] = MappingProxyType({})


def read_columns(catalogue: Path, options: FolderOptions) -> Columns:
    """The columns of a file (`columns_of_table`)."""
    return columns_of_table(read_catalogue(catalogue), catalogue, options)


def columns_of_table(table: Table, catalogue: Path, options: FolderOptions) -> Columns:
    """The columns that are named, or else found by their usual names. Raises InputError where one is missing."""
    name = catalogue.name
    found_id = find_column(table, options.id_column, ID_NAMES, "id", "--id-column", name)
    files, how_files = _file_names(table, catalogue, found_id, options)
    if found_id is None and files is None:
        raise InputError(
            f"{name} has none of the id columns {', '.join(ID_NAMES)}; its columns are {listed_columns(table)}. Name "
            f"one with --id-column."
        )
    classes = read_classes(table, name, options)
    found_redshift, note = find_redshift_column(table, options.redshift_column, "--redshift-column", name)
    redshift, unreadable = read_redshift(table, found_redshift, name)
    absurd = ~np.isnan(redshift) & ~((redshift > REDSHIFTS[0]) & (redshift < REDSHIFTS[1]))
    if found_id is None:
        table["file"] = [without_ending(file) for file in files or []]
    ids, present = read_ids(table, found_id or "file", name)
    provenance = {
        "catalogue rows": str(len(table)),
        "redshifts": found_redshift or "none",
        "label": classes.how,
        "ids": found_id or "names of the image files",
        "image files": how_files,
    }
    if unreadable:
        provenance["redshifts that are no number, taken as unknown"] = str(unreadable)
    if absurd.any():
        provenance["redshifts that none has, taken as unknown"] = str(int(absurd.sum()))
    notes = [note, "" if classes.names else f"No labels: {classes.how.removeprefix('none: ')}."]
    if any(notes):
        provenance["note"] = " ".join(filter(None, notes))
    further = _positions(table, name)
    split = find_column(table, None, ("split",), "split", "--split", name) if options.split == "given" else None
    if split is not None:
        further["split"] = np.array([SPLITS.get(text.lower(), text) for text in read_texts(table, split, name)])
    scale = find_column(table, None, PIXEL_SCALE_NAMES, "pixel scale", "", name)
    if scale is not None and not options.labels_needed and np.isnan(options.pixel_scale):
        values = read_numbers(table, scale, name)[0]
        further["pixel_scale"] = np.where(values > 0, values, np.nan)
    further |= {wanted: _kept(table, wanted, name) for wanted in options.keep_columns}
    redshift = np.where(absurd, np.nan, redshift)
    return Columns(
        ids,
        present,
        classes.flags,
        redshift,
        classes.names,
        provenance,
        classes.words,
        files,
        MappingProxyType(further),
        options.labels_needed,
    )


def _kept(table: Table, wanted: str, name: str) -> Shaped[np.ndarray, " row"]:
    """A column as it is: int64, numbers with all their digits (NaN where empty), or else text. Raises InputError where it is missing."""
    column = find_column(table, wanted, (), "table", "--keep-columns", name)
    assert column is not None
    texts = np.array(read_texts(table, column, name))
    filled = texts[texts != ""]
    with contextlib.suppress(ValueError, OverflowError):
        whole = filled.astype(np.int64)
        if (whole.astype(texts.dtype) == filled).all():  # written as numbers are: no 007
            exact = np.abs(whole.astype(np.float64)).max(initial=0) < 2**53
            return whole if len(filled) == len(texts) else read_numbers(table, column, name)[0] if exact else texts
        return texts
    numbers, unreadable = read_numbers(table, column, name)
    return texts if unreadable or not len(filled) else numbers


def _file_names(
    table: Table, catalogue: Path, id_column: str | None, options: FolderOptions
) -> tuple[list[str] | None, str]:
    """What the image file of each row is called, None where it is called by the id; and how that was found, in words."""
    name = catalogue.name
    if options.file_pattern is not None:
        wanted = re.findall(r"{([^{}]+)}", options.file_pattern)
        columns = [find_column(table, one, (), "file", "--file-pattern", name) for one in wanted]
        if not columns:
            raise InputError(
                f"--file-pattern {options.file_pattern!r} names no column; write one in braces, like 'cutout_{{"
                f"{id_column or table.colnames[0]}}}.fits'."
            )
        cells = [read_texts(table, column, name) for column in columns if column is not None]
        parts = re.split(r"{[^{}]+}", options.file_pattern)
        rows = zip(*cells, strict=True)
        filled = ["".join(itertools.chain(*zip(parts, (*row, ""), strict=True))) if all(row) else "" for row in rows]
        return filled, f"called {options.file_pattern}"
    column = find_column(table, options.file_column, FILE_NAMES, "file", "--file-column", name)
    if column is not None:
        return read_texts(table, column, name), f"column {column}"
    mapping = catalogue.parent / MAPPING
    if id_column is not None and mapping.is_file():
        names = read_catalogue(mapping)
        by_id = find_column(names, "objid", (), "id", MAPPING, MAPPING)
        by_asset = find_column(names, "asset_id", (), "file", MAPPING, MAPPING)
        assert by_id is not None
        assert by_asset is not None
        asset = dict(zip(read_texts(names, by_id, MAPPING), read_texts(names, by_asset, MAPPING), strict=True))
        return [asset.get(one, "") for one in read_texts(table, id_column, name)], f"asset_id of {MAPPING}"
    return None, f"called by {id_column}"


def _positions(table: Table, name: str) -> dict[str, Float64[np.ndarray, " row"]]:
    """Right ascension and declination in degrees, where both are there; sexagesimal ones are read, in hours and degrees."""
    found = {}
    for key, read in {"ra": hours_to_degrees, "dec": to_degrees}.items():
        column = find_column(table, None, (key,), key, "", name)
        if column is not None and table[column].ndim == 1:
            found[key] = read(read_texts(table, column, name))
    return found if len(found) == 2 else {}


def select_rows(columns: Columns, files: ImageFiles | None, catalogue: str) -> tuple[Rows, list[Exclusion], str]:
    """The rows that can be used; every other one, and every file without a row, with the reason; a note on file names.

    Without `files` the images are in one array, a row each. Without the name of a catalogue no rows are told.
    """
    names = list(map(str, columns.ids.tolist()))
    for row in np.flatnonzero(~columns.present).tolist():
        names[row] = ""
    reasons, note, at = _reasons_of_rows(columns), "", np.full(len(names), -1)
    if files is not None:
        if columns.files is None:
            at, note = files.find(names)
        else:
            files, at, note = files.find_files(columns.files)
        at[~columns.present] = -1
        reasons += _reasons_of_files(columns, at, files)
    which = np.select([wrong for wrong, _ in reasons], range(len(reasons)), -1)
    bad = np.flatnonzero(which >= 0)
    excluded = []
    for row, number, name_at in zip(bad.tolist(), which[bad].tolist(), at[bad].tolist(), strict=True):
        reason = reasons[number][1]
        said = reason if isinstance(reason, str) else reason(row)
        file = files.shown(name_at) if files is not None and name_at >= 0 else ""
        excluded.append(Exclusion(names[row], file, f"{said} (row {row + 1} of {catalogue})" if catalogue else said))
    good = np.flatnonzero(which < 0)
    used = at[good].tolist()
    is_set = columns.flags[:, good] == 1
    one = is_set.sum(axis=0) == 1
    labels = np.where(one, is_set.argmax(axis=0), UNLABELLED) if columns.class_names else np.full(len(good), UNLABELLED)
    further = {name: column[good] for name, column in columns.further.items()}
    paths = []
    if files is not None:
        excluded += files.not_used(at[columns.present].tolist())
        paths = [files.paths[number][0] for number in used]
        note = " ".join(filter(None, (note, files.leading_out(used))))
    shown = [files.shown_path(path) for path in paths] if files is not None else []
    rows = Rows(columns.ids[good], labels.astype(np.int32), columns.redshift[good], paths, shown, good, further)
    return rows, excluded, note


def galaxies_of(columns: Columns, rows: Rows, pixels: Pixels, **about: Any) -> Galaxies:
    """The rows that were selected, with their pixels; `about` are the fields of `Galaxies` that no row says."""
    return Galaxies(
        listed=len(columns.ids),
        ids=rows.ids,
        labels=rows.labels,
        class_names=columns.class_names,
        redshift=rows.redshift,
        pixels=pixels,
        columns=rows.further,
        **about,
    )


def _reasons_of_rows(columns: Columns) -> list[_Reason]:
    """Rows that cannot be used, and why, or how to say why; the first that holds is the one to tell."""
    flags, words = columns.flags, columns.words
    known = np.flatnonzero(columns.present)
    before, contradicted = (np.zeros(len(columns.ids), bool) for _ in range(2))
    before[known], contradicted[known] = _repeated(columns.ids[known], flags[:, known], columns.redshift[known])
    is_set = (flags == 1).sum(axis=0)

    def which(row: int) -> str:
        set_here = [name for name, flag in zip(columns.class_names, flags[:, row].tolist(), strict=True) if flag == 1]
        return f" ({', '.join(set_here)})" if words != Words() else ""

    of_rows: list[_Reason] = [
        (~columns.present, "no id"),
        (~_is_plain(columns.ids), "id is not plain ASCII text"),
        (contradicted, "id is given several times, with different classes or redshifts"),
        (before, "id is given before"),
    ]
    of_labels: list[_Reason] = [
        ((flags == UNREADABLE).any(axis=0), words.unreadable),
        ((flags == MISSING).any(axis=0), words.missing),
        ((is_set == 0) & bool(columns.class_names), words.none),
        (is_set > 1, lambda row: words.several.format(is_set[row]) + which(row)),
    ]
    return of_rows + of_labels if columns.labels_needed else of_rows


def _reasons_of_files(columns: Columns, at: Int[np.ndarray, " row"], files: ImageFiles) -> list[_Reason]:
    """Rows without one image file, where each has the position `at`."""
    count = np.array([*map(len, files.paths), 0])[at]  # the last is that of -1, no file
    unread = np.array([*map(bool, files.unread), False])[at]
    wanted = columns.files
    return [
        ((count == 0) & unread, lambda row: why_unread(files.unread[at[row]][0])),
        (count == 0, "no image file" if wanted is None else lambda row: f"no image file {wanted[row]}".rstrip()),
        (count > 1, lambda row: f"{count[row]} image files"),
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
