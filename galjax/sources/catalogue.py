"""The columns of a user's catalogue: ids, class flags and redshifts, however they are written."""

import re
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from astropy.table import Column, Table
from jaxtyping import Bool, Float64, Int8, Shaped

from galjax.errors import InputError, printable

ID_NAMES = ("objid", "dr7objid", "id", "galaxy_id", "iauname", "name")
"""Looked for in this order, whatever their case, where no id column is named."""
REDSHIFT_NAMES = ("redshift", "z")
MISSING = -1
"""A flag that is empty or masked."""
UNREADABLE = -2
"""A flag that is neither 0 nor 1."""

_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "f": 0, "t": 1, "": MISSING, "nan": MISSING}
_ROUNDED_ID = re.compile(r"\d+(\.\d*)?e\+?\d+|\d{15,}\.0*", re.IGNORECASE)


def find_column(table: Table, wanted: str | None, usual: Sequence[str], kind: str, flag: str, file: str) -> str | None:
    """The name, as the table writes it, of the wanted column or of the first usual one there is.

    Raises InputError where a wanted column is missing; a usual one may be (None).
    """
    by_lowered = {name.lower(): name for name in table.colnames}
    for name in (wanted,) if wanted is not None else usual:
        if name.lower() in by_lowered:
            return by_lowered[name.lower()]
    if wanted is not None:
        raise InputError(
            f"{file} has no {kind} column {wanted!r}; its columns are {listed_columns(table)}. Name one with {flag}."
        )
    return None


def listed_columns(table: Table, most: int = 30) -> str:
    """The names of the columns, for a sentence."""
    names = [printable(name) for name in table.colnames]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def read_ids(table: Table, column: str, file: str) -> tuple[Shaped[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Ids, and where there are any. int64 where every id is written as a plain integer, else text.

    Raises InputError where ids are floating-point numbers: those above 2^53 have lost digits.
    """
    values, masked = _values(table, column, file)
    present = ~masked
    if values.dtype.kind == "f":
        raise InputError(
            f"The id column {column!r} of {file} holds floating-point numbers, which lose digits of long ids. Write the "
            f"table again with the ids as integers or text."
        )
    if values.dtype.kind in "iu":
        integers = np.where(masked, values.dtype.type(0), values)
        if values.dtype.kind == "u" and int(integers.max()) > np.iinfo(np.int64).max:
            raise InputError(f"The id column {column!r} of {file} holds numbers above 2^63; write them as text.")
        return np.asarray(integers, np.int64), present
    texts = np.char.strip(np.where(masked, "", values.astype(str)))
    present &= texts != ""
    rounded = [text for text in texts[present] if _ROUNDED_ID.fullmatch(text)]
    if rounded:
        raise InputError(
            f"The id column {column!r} of {file} holds rounded numbers such as {rounded[0]}, as a spreadsheet writes "
            f"long ids. Write the table again with the ids as integers or text."
        )
    if all(_is_plain_integer(text) for text in texts[present]):
        return np.array([int(text) if text else 0 for text in np.where(present, texts, "0")], np.int64), present
    return texts, present


def _is_plain_integer(text: str) -> bool:
    """Whether the text is how Python writes an int64, so that file names made from text and number agree."""
    if len(text) > 20 or not text.lstrip("-").isascii() or not text.lstrip("-").isdigit():
        return False
    return str(int(text)) == text and abs(int(text)) < 2**63


def read_flags(table: Table, column: str, file: str) -> Int8[np.ndarray, " row"]:
    """A class flag per row: 0, 1, MISSING or UNREADABLE. Numbers, booleans and the words true and false are read."""
    values, masked = _values(table, column, file)
    unique, inverse = np.unique(values.astype(str), return_inverse=True)
    known = np.array([_FLAGS.get(text.strip().lower(), UNREADABLE) for text in unique], np.int8)
    return np.where(masked, np.int8(MISSING), known[inverse])


def read_redshift(table: Table, column: str | None, file: str) -> tuple[Float64[np.ndarray, " row"], Literal[0] | int]:
    """Redshifts, NaN where empty or no number, and how many are no number. NaN throughout without a column."""
    redshift = np.full(len(table), np.nan)
    if column is None:
        return redshift, 0
    unreadable = 0
    values, masked = _values(table, column, file)
    for row, text in enumerate(values.astype(str)):
        if masked[row] or not text.strip():
            continue
        try:
            redshift[row] = float(text)
        except ValueError:
            unreadable += 1
    redshift[~np.isfinite(redshift)] = np.nan
    return redshift, unreadable


def _values(table: Table, column: str, file: str) -> tuple[Shaped[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """A column as an ordinary array, bytes as text, and which rows are empty.

    Raises InputError where a row has several values, or something else than a number or a text.
    """
    values: Any = table[column]
    if not isinstance(values, Column) or values.ndim != 1 or values.dtype.kind not in "biufSUO":
        raise InputError(
            f"The column {column!r} of {file} is of type {getattr(values, 'dtype', type(values).__name__)} and shape "
            f"{values.shape}; one number or text per row is needed. Write the table again without it, or name another column."
        )
    masked = np.asarray(getattr(values, "mask", np.zeros(len(table), bool)), bool)
    plain = np.asarray(values)
    if plain.dtype.kind == "S":
        plain = np.char.decode(plain, "utf-8", "backslashreplace")
    return plain, masked
