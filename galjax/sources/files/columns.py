"""The columns of a user's catalogue: ids, class flags and redshifts, however they are written."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from astropy.table import Column, Table
from jaxtyping import Bool, Float64, Int8, Shaped

from galjax.errors import InputError, printable

ID_NAMES = ("objid", "dr7objid", "id", "galaxy_id", "iauname", "name", "galaxyid", "id_str", "pgcname")
"""Looked for in this order, whatever their case, where no id column is named."""
REDSHIFT_NAMES = ("redshift", "z")
PIXEL_SCALE_NAMES = ("pixel_scale", "pxscale")
HIGHEST_USUAL = 10
"""A column z whose median is above this holds magnitudes."""
REDSHIFTS = (-1, 20)
"""Redshifts lie between these; what does not is unknown (-9999, 99)."""
MISSING = -1
"""A flag that is empty or masked."""
UNREADABLE = -2
"""A flag that is neither 0 nor 1."""
LONGEST_CELL = 1000
"""Characters of an id, a flag or a redshift."""

_WORDS = {
    **dict.fromkeys(("true", "t", "yes", "y"), 1),
    **dict.fromkeys(("false", "f", "no", "n"), 0),
    **dict.fromkeys(("", "nan", "na", "n/a", "null", "none", "--"), MISSING),
}
_ROUNDED_ID = re.compile(r"\d+(\.\d*)?e\+?\d+|\d{15,}\.0*", re.IGNORECASE)
_WHOLE_ID = re.compile(r"(\d{1,14})(?:\.0+)?")
_FILE_NAME = re.compile(r"(?:.*[/\\])?([^/\\]+?)\.(?:jpe?g|png|tiff?|fits?|fts|npy)(?:\.gz|\.fz)?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_OTHER_MAGNITUDES = {"u", "g", "r", "i", "y"}


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


def find_redshift_column(table: Table, wanted: str | None, flag: str, file: str) -> tuple[str | None, str]:
    """As `find_column` for redshifts, and a sentence where a column z is not taken: beside u, g, r, i, or with the
    values of one, it is a magnitude."""
    found = find_column(table, wanted, REDSHIFT_NAMES, "redshift", flag, file)
    if wanted is not None or found is None or found.lower() != "z":
        return found, ""
    beside = sorted(_OTHER_MAGNITUDES & {name.lower() for name in table.colnames})
    known = read_numbers(table, found, file)[0]
    known = known[np.isfinite(known)]
    if len(beside) >= 2:
        why = f"is next to {', '.join(beside)}"
    elif len(known) and np.median(known) > HIGHEST_USUAL:
        why = f"is {np.median(known):.3g} in the middle"
    else:
        return found, ""
    advice = f" {flag} {found} uses it as one." if flag else " Name it redshift if it is one."
    return None, f"{found} of {file} {why}: a magnitude, not a redshift.{advice}"


def listed_columns(table: Table, most: int = 30) -> str:
    """The names of the columns, for a sentence."""
    names = [printable(name) for name in table.colnames]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def read_ids(table: Table, column: str, file: str) -> tuple[Shaped[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    """Ids, and where there are any. int64 where every id is written as a plain integer, else text.

    Whole numbers written as 100008.0 (as pandas does where a row is empty) are integers, and names of image files
    (images/100008.jpg) the ids in them, where all ids are of that kind.
    Raises InputError where ids may have lost digits: spreadsheets' 5.877E+17, and floating-point numbers above 2^53.
    """
    values, masked = _values(table, column, file)
    present = ~masked
    if values.dtype.kind == "f":
        return _ids_of_floats(values, present, column, file)
    if values.dtype.kind in "iu":
        integers = np.where(masked, values.dtype.type(0), values)
        if values.dtype.kind == "u" and int(integers.max()) > np.iinfo(np.int64).max:
            raise InputError(f"The id column {column!r} of {file} holds numbers above 2^63; write them as text.")
        return np.asarray(integers, np.int64), present
    texts = np.strings.strip(_with("", masked, values.astype(str, copy=False)))
    present &= texts != ""
    numbers = _plain_integers(texts, present)
    if numbers is not None:
        return numbers, present
    written = texts[present].tolist()
    rounded = next(filter(_ROUNDED_ID.fullmatch, written), None)
    if rounded is not None:
        raise InputError(
            f"The id column {column!r} of {file} holds rounded numbers such as {rounded}, as a spreadsheet writes "
            f"long ids. Write the table again with the ids as integers or text."
        )
    for pattern in (_WHOLE_ID, _FILE_NAME):
        inner = list(map(pattern.fullmatch, written))
        named = [match[1] for match in inner if match]
        if len(named) == len(written) and len(set(named)) == len(set(written)):
            texts = texts.astype(object)
            texts[present] = named
            texts = texts.astype(str)
            break
    numbers = _plain_integers(texts, present)
    return (texts if numbers is None else numbers), present


def _ids_of_floats(
    values: Shaped[np.ndarray, " row"], present: Bool[np.ndarray, " row"], column: str, file: str
) -> tuple[Shaped[np.ndarray, " row"], Bool[np.ndarray, " row"]]:
    present = present & ~np.isnan(values)
    numbers = np.where(present, values, 0)
    exact = 2 ** (np.finfo(values.dtype).nmant + 1)  # up to here every integer has a floating-point number of its own
    if not present.any() or (np.abs(numbers) >= exact).any() or (numbers != np.round(numbers)).any():
        raise InputError(
            f"The id column {column!r} of {file} holds floating-point numbers, which lose digits of long ids. Write the "
            f"table again with the ids as integers or text."
        )
    return numbers.astype(np.int64), present


def _plain_integers(
    texts: Shaped[np.ndarray, " row"], present: Bool[np.ndarray, " row"]
) -> Shaped[np.ndarray, " row"] | None:
    """As int64 (0 where not present), or None unless all are written as Python writes an int64, so that names of files made
    from text and from number agree."""
    written = _with("0", ~present, texts)
    try:
        numbers = written.astype(np.int64)
    except (ValueError, OverflowError):
        return None
    same = (numbers.astype(written.dtype) == written).all() and (numbers > np.iinfo(np.int64).min).all()
    return numbers if same else None


def read_flags(table: Table, column: str, file: str) -> Int8[np.ndarray, " row"]:
    """A class flag per row: 0, 1, MISSING or UNREADABLE. Numbers, booleans and words for true and false are read."""
    values, masked = _values(table, column, file)
    if values.dtype.kind in "biuf":
        flags = np.where(values == 1, 1, np.where(values == 0, 0, UNREADABLE)).astype(np.int8)
        missing = masked | (values != values)  # a NaN
    else:
        flags, missing = flags_of_texts(values.astype(str).tolist()), masked
    return np.where(missing, np.int8(MISSING), flags)


def flags_of_texts(texts: list[str]) -> Int8[np.ndarray, " row"]:
    """Flags that are written as 0 and 1 in any way (1, 1.0, 1e0), or as true and false, yes and no, or their initials."""
    known = {text: _flag(text.strip().lower()) for text in set(texts)}
    return np.fromiter(map(known.__getitem__, texts), np.int8, len(texts))


def _flag(text: str) -> int:
    return _WORDS[text] if text in _WORDS else {0.0: 0, 1.0: 1}.get(_number(text), UNREADABLE)


def read_redshift(table: Table, column: str | None, file: str) -> tuple[Float64[np.ndarray, " row"], int]:
    """Redshifts, NaN where empty or no number, and how many are no number. NaN throughout without a column."""
    return (np.full(len(table), np.nan), 0) if column is None else read_numbers(table, column, file)


def read_numbers(table: Table, column: str, file: str) -> tuple[Float64[np.ndarray, " row"], int]:
    """Numbers, NaN where empty, infinite or no number, and how many are no number."""
    values, masked = _values(table, column, file)
    if values.dtype.kind in "iuf":
        numbers, unreadable = values.astype(np.float64), 0
    else:
        texts = np.where(masked, "", values.astype(str)).tolist()
        try:
            numbers, unreadable = np.array([float(text) if text else np.nan for text in texts]), 0
        except ValueError:
            numbers = np.array([_number(text) for text in texts])
            wrong = [text for text, number in zip(texts, numbers.tolist(), strict=True) if number != number]
            unreadable = sum(_WORDS.get(text.strip().lower().lstrip("+-")) != MISSING for text in wrong)
    return np.where(masked | ~np.isfinite(numbers), np.nan, numbers), unreadable


def read_labels(table: Table, column: str, file: str) -> list[str]:
    """Classes as text, empty where there is none; whole numbers n, also as 1.0, are "class n".

    Raises InputError where the column holds numbers that are not whole, which are no classes.
    """
    values, masked = _values(table, column, file)
    texts = [text.strip() for text in np.where(masked, "", values.astype(str)).tolist()]
    named = {text: "" if _WORDS.get(text.lower()) == MISSING else text for text in dict.fromkeys(texts)}
    numbers = {text: _number(label) for text, label in named.items() if label}
    if numbers and all(number == number for number in numbers.values()):
        odd = next(
            (text for text, number in numbers.items() if not np.isfinite(number) or number != round(number)), None
        )
        if odd is not None:
            raise InputError(
                f"The label column {column!r} of {file} holds numbers such as {odd[:30]}, which are no classes. For votes give "
                f"a threshold, like --vote 'spiral: {column} > 0.8'."
            )
        named |= {text: f"class {round(number)}" for text, number in numbers.items()}
    return [named[text] for text in texts]


def read_texts(table: Table, column: str, file: str) -> list[str]:
    """Cells as text without white space around it, empty where there is nothing; a number as it is written."""
    values, masked = _values(table, column, file)
    if values.dtype.kind == "f" and (values[~masked] == np.round(values[~masked])).all():
        values = np.where(masked, 0, values).astype(np.int64)
    texts = [text.strip() for text in np.where(masked, "", values.astype(str)).tolist()]
    return ["" if _WORDS.get(text.lower()) == MISSING else text for text in texts]


def _number(text: str) -> float:
    """NaN for what is none; a comma is read as a decimal point, as half of Europe writes it."""
    try:
        return float(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text)
    except ValueError:
        return np.nan


def _with(text: str, where: Bool[np.ndarray, " row"], texts: Shaped[np.ndarray, " row"]) -> Shaped[np.ndarray, " row"]:
    return np.where(where, text, texts) if where.any() else texts


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
    if plain.dtype.kind == "O":
        longest = max(len(str(value)) for value in plain)
        if longest > LONGEST_CELL:
            raise InputError(
                f"The column {column!r} of {file} has a cell of {longest} characters; fix it, or name another column."
            )
    return plain, masked
