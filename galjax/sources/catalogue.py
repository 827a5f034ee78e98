"""A user's catalogue table: its columns of ids, class flags and redshifts, whatever the format."""

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from astropy.io.ascii import InconsistentTableError, convert_numpy
from astropy.io.votable.exceptions import VOTableSpecError
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning
from jaxtyping import Bool, Float64, Int8, Shaped

from galjax.errors import InputError

FORMATS = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits", "vot": "votable"}
ID_NAMES = ("objid", "dr7objid", "id", "galaxy_id", "iauname", "name")
"""Looked for in this order, whatever their case, where no id column is named."""
REDSHIFT_NAMES = ("redshift", "z")
MISSING = -1
"""A flag that is empty or masked."""
UNREADABLE = -2
"""A flag that is neither 0 nor 1."""

_FLAGS = {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1, "f": 0, "t": 1, "": MISSING, "nan": MISSING}
_ROUNDED_ID = re.compile(r"\d+(\.\d*)?e\+?\d+|\d{15,}\.0*", re.IGNORECASE)


def read_catalogue(path: Path) -> Table:
    """The table; the cells of a CSV are kept as text, so that no id passes through a float.

    Raises InputError where the file is no readable table, or has no rows or twice the same column name.
    """
    file_format = FORMATS[path.suffix.lstrip(".").lower()]
    options: dict[str, object] = {}
    if file_format == "ascii.csv":
        options = {"converters": {"*": [convert_numpy(str)]}, "fill_values": [("", "0")], "encoding": "utf-8-sig"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of units and standards, which do not matter here
            table = Table.read(path, format=file_format, **options)
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, InconsistentTableError,
            VOTableSpecError, UnicodeError, AssertionError) as error:  # fmt: skip
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{path.name} cannot be read as {file_format.removeprefix('ascii.')}: {reason[:200]}. Mend the table, or "
            f"write it again with the tool that made it."
        ) from error
    if not len(table):
        raise InputError(f"{path.name} has no rows.")
    lowered = [name.lower() for name in table.colnames]
    twice = [name for name in table.colnames if lowered.count(name.lower()) > 1]
    if twice:
        raise InputError(f"{path.name} has several columns called {twice[0]!r} (case aside); keep one.")
    return table


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
            f"{file} has no {kind} column {wanted!r}; its columns are {', '.join(table.colnames)}. Name one with {flag}."
        )
    return None


def read_ids(table: Table, column: str, file: str) -> tuple[Shaped[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Ids, and where there are any. int64 where every id is written as a plain integer, else text.

    Raises InputError where ids are floating-point numbers: those above 2^53 have lost digits.
    """
    values = table[column]
    present = ~np.asarray(getattr(values, "mask", np.zeros(len(table), bool)), bool)
    if values.ndim != 1:
        raise InputError(f"The id column {column!r} of {file} has shape {values.shape}; one id per row is needed.")
    if values.dtype.kind == "f":
        raise InputError(
            f"The id column {column!r} of {file} holds floating-point numbers, which lose digits of long ids. Write the "
            f"table again with the ids as integers or text."
        )
    if values.dtype.kind in "iu":
        integers = np.ma.filled(values, 0) if hasattr(values, "mask") else np.asarray(values)
        if values.dtype.kind == "u" and int(integers.max()) > np.iinfo(np.int64).max:
            raise InputError(f"The id column {column!r} of {file} holds numbers above 2^63; write them as text.")
        return np.asarray(integers, np.int64), present
    texts = np.asarray(np.ma.filled(values, "") if hasattr(values, "mask") else values).astype(str)
    texts = np.char.strip(texts)
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


def read_flags(table: Table, column: str) -> Int8[np.ndarray, " row"]:
    """A class flag per row: 0, 1, MISSING or UNREADABLE. Numbers, booleans and the words true and false are read."""
    values = table[column]
    masked = np.asarray(getattr(values, "mask", np.zeros(len(table), bool)), bool)
    if values.ndim != 1:
        return np.full(len(table), UNREADABLE, np.int8)
    unique, inverse = np.unique(np.asarray(values).astype(str), return_inverse=True)
    known = np.array([_FLAGS.get(text.strip().lower(), UNREADABLE) for text in unique], np.int8)
    return np.where(masked, np.int8(MISSING), known[inverse])


def read_redshift(table: Table, column: str | None) -> tuple[Float64[np.ndarray, " row"], Literal[0] | int]:
    """Redshifts, NaN where empty or no number, and how many are no number. NaN throughout without a column."""
    if column is None:
        return np.full(len(table), np.nan), 0
    redshift = np.full(len(table), np.nan)
    unreadable = 0
    masked = np.asarray(getattr(table[column], "mask", np.zeros(len(table), bool)), bool)
    for row, text in enumerate(np.asarray(table[column]).astype(str)):
        if masked[row] or not text.strip():
            continue
        try:
            redshift[row] = float(text)
        except ValueError:
            unreadable += 1
    redshift[~np.isfinite(redshift)] = np.nan
    return redshift, unreadable
