"""Galaxy Zoo 1, Table 2: positions, votes and classes of 667,944 SDSS DR7 galaxies (Lintott et al. 2011, MNRAS 410, 166).

Columns OBJID (SDSS DR7 object id), RA (hours) and DEC (degrees), both J2000 and sexagesimal, NVOTE, vote fractions P_*, and the
flags SPIRAL, ELLIPTICAL and UNCERTAIN, of which one is set. It has no redshifts.
"""

import csv
import gzip
import itertools
import warnings
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from astropy.io.votable import parse_single_table
from astropy.io.votable.exceptions import VOTableSpecError
from astropy.utils.exceptions import AstropyWarning
from astropy.utils.xml.iterparser import get_xml_iterator
from jaxtyping import Float64, Int32, Int64, Shaped

from galjax.errors import InputError
from galjax.io.fits_files import open_fits
from galjax.sources.files.columns import flags_of_texts
from galjax.sources.surveys.galaxy_list import GalaxyList, Rejected
from galjax.sources.surveys.objid import problems
from galjax.sources.surveys.sexagesimal import hours_to_degrees, to_degrees

CLASS_NAMES = ("spiral", "elliptical", "uncertain")
FLAGS = ("SPIRAL", "ELLIPTICAL", "UNCERTAIN")
VOTES = ("NVOTE", "P_EL", "P_CS", "P_EL_DEBIASED", "P_CS_DEBIASED")
"""Columns that are kept with the galaxies where the table has them."""
NEEDED = ("OBJID", "RA", "DEC", *FLAGS)
ENDINGS = (".csv", ".csv.gz", ".fits", ".vot", ".vot.gz")
_CHUNK = 50_000
_DAMAGED = (OSError, EOFError, zlib.error, UnicodeError, csv.Error)


class _Chunk(NamedTuple):
    """Some rows of the table."""

    objid: Int64[np.ndarray, " row"]
    """0 where it cannot be read."""
    objid_text: Shaped[np.ndarray, " row"]
    ra: Float64[np.ndarray, " row"]
    dec: Float64[np.ndarray, " row"]
    flags: Int32[np.ndarray, "row flag"]
    """-1 where neither 0 nor 1."""
    votes: Mapping[str, Float64[np.ndarray, " row"]]


def read_table2(path: Path, rows: int | None = None) -> GalaxyList:
    """Galaxies of the first `rows` rows (None: all) of a .csv, .csv.gz, .fits, .vot or .vot.gz table.

    A row is kept where its OBJID is the whole number of an SDSS DR7 object that was not given before, its position can be
    read, and exactly one of the three flags is set. Every other row is in `rejected` with its reason.
    Raises InputError where the file is no such table, or no row of it can be used.
    """
    name = path.name.lower()
    if not name.endswith(ENDINGS):
        raise InputError(f"{path} is no Galaxy Zoo table by its name; give one that ends in {', '.join(ENDINGS)}.")
    if not path.is_file():
        raise InputError(f"There is no catalogue {path}.")
    if name.endswith((".csv", ".csv.gz")):
        chunks = _csv_chunks(path, rows)
    else:
        chunks = _table_chunks(_read_fits(path) if name.endswith(".fits") else _read_votable(path), rows, path)
    return _collect(list(chunks), path)


def _collect(chunks: list[_Chunk], path: Path) -> GalaxyList:
    if not chunks:
        raise InputError(f"{path} has no rows.")
    ids = np.concatenate([chunk.objid for chunk in chunks])
    texts = np.concatenate([chunk.objid_text for chunk in chunks])
    ra, dec = (np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in ("ra", "dec"))
    flags = np.concatenate([chunk.flags for chunk in chunks])
    reasons = _reasons(ids, texts, ra, dec, flags)
    keep = np.array([reason is None for reason in reasons])
    rejected = [Rejected(int(row) + 1, str(texts[row]), str(reasons[row])) for row in np.flatnonzero(~keep)]
    if not keep.any():
        raise InputError(f"No row of {path} can be used; the first is left out because {rejected[0].reason}.")
    return GalaxyList(
        row=np.flatnonzero(keep) + 1,
        id=ids[keep],
        ra=ra[keep],
        dec=dec[keep],
        label=flags[keep].argmax(axis=1).astype(np.int32),
        class_names=CLASS_NAMES,
        columns={
            name.lower(): np.concatenate([chunk.votes[name] for chunk in chunks])[keep] for name in chunks[0].votes
        },
        rejected=tuple(rejected),
    )


def _reasons(
    ids: np.ndarray, texts: np.ndarray, ra: np.ndarray, dec: np.ndarray, flags: np.ndarray
) -> list[str | None]:
    """Why each row cannot be used, or None."""
    reasons = problems(ids)
    for row in np.flatnonzero(ids == 0):
        reasons[row] = f"OBJID {str(texts[row])!r} is not a whole number"
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    for row in np.flatnonzero((first[inverse] != np.arange(len(ids))) & (ids != 0)):
        reasons[row] = reasons[row] or f"the object id is given before (row {first[inverse[row]] + 1})"
    for row in np.flatnonzero(~np.isfinite(ra) | ~np.isfinite(dec)):
        reasons[row] = reasons[row] or "RA or DEC cannot be read"
    for row in np.flatnonzero((flags < 0).any(axis=1)):
        reasons[row] = reasons[row] or "a class flag is neither 0 nor 1"
    for row in np.flatnonzero(flags.sum(axis=1) != 1):
        count = int(flags[row].clip(0).sum())
        reasons[row] = reasons[row] or ("no class flag is set" if count == 0 else f"{count} class flags are set")
    return reasons


def _csv_chunks(path: Path, rows: int | None) -> Iterator[_Chunk]:
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream)
            header = [name.strip().upper() for name in next(lines, [])]
            at = _find_columns(header, path)
            wanted = itertools.islice((line for line in lines if line), rows)
            while chunk := list(itertools.islice(wanted, _CHUNK)):
                yield _from_text({name: [_cell(line, i) for line in chunk] for name, i in at.items()})
    except _DAMAGED as error:
        raise InputError(
            f"{path} cannot be read to its end ({error or type(error).__name__}). It may be cut off or damaged: delete it, "
            f"and it is fetched again, or give another copy."
        ) from error


def _cell(line: list[str], index: int) -> str:
    return line[index].strip() if index < len(line) else ""


def _find_columns(header: list[str], path: Path) -> dict[str, int]:
    """Where the needed and the useful columns are. Raises InputError where a needed one is missing."""
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise InputError(
            f"{path} has no column {missing[0]}; Galaxy Zoo 1 Table 2 has {', '.join(NEEDED)}, and this table "
            f"{', '.join(header[:20]) or 'nothing'}."
        )
    return {name: header.index(name) for name in (*NEEDED, *VOTES) if name in header}


def _from_text(cells: Mapping[str, list[str]]) -> _Chunk:
    return _Chunk(
        objid=_whole_numbers(cells["OBJID"]),
        objid_text=np.array(cells["OBJID"], dtype=np.str_),
        ra=hours_to_degrees(cells["RA"]),
        dec=to_degrees(cells["DEC"]),
        flags=np.stack([_flags(cells[name]) for name in FLAGS], axis=1),
        votes={name: _numbers(cells[name]) for name in VOTES if name in cells},
    )


def _whole_numbers(texts: list[str]) -> Int64[np.ndarray, " row"]:
    """As int64, digit by digit; 0 for what is none: an id written as 5.877e17 has lost its last digits for good."""
    plain = (int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0 for text in texts)
    return np.array([number if number < 2**63 else 0 for number in plain], np.int64)


def _flags(texts: list[str]) -> Int32[np.ndarray, " row"]:
    return np.maximum(flags_of_texts(texts), -1).astype(np.int32)


def _numbers(texts: list[str]) -> Float64[np.ndarray, " row"]:
    try:
        return np.array(texts, dtype=np.float64)
    except ValueError:
        return np.array([_number(text) for text in texts])


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _read_fits(path: Path) -> Mapping[str, np.ndarray]:
    """The needed columns by upper-case name."""
    try:
        with open_fits(path) as hdus:
            data = hdus[1].data
            at = _find_columns([name.upper() for name in data.names], path)
            return {name: np.asarray(data[data.names[i]]) for name, i in at.items()}
    except (OSError, IndexError, KeyError, TypeError, ValueError, AttributeError, AstropyWarning) as error:
        raise InputError(f"{path} cannot be read as a FITS table ({error}). Give another copy.") from error


def _read_votable(path: Path) -> Mapping[str, np.ndarray]:
    """The needed columns by upper-case name, as text where the table has text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of units and standards, which do not matter here
            names = _votable_fields(path)
            at = _find_columns([name.upper() for name in names], path)
            table = parse_single_table(path, table_number=0, columns=[names[i] for i in at.values()])
    except (OSError, EOFError, zlib.error, ValueError, IndexError, KeyError, VOTableSpecError) as error:
        raise InputError(
            f"{path} cannot be read as a VOTable ({error or type(error).__name__}). Give another copy."
        ) from error
    fields = {field.name: field.ID for field in table.fields}
    return {name: np.ma.getdata(table.array[fields[names[i]]]) for name, i in at.items()}


def _votable_fields(path: Path) -> list[str]:
    """Column names of the first table, without reading its rows."""
    names = []
    with get_xml_iterator(str(path)) as elements:
        for starts, tag, attributes, _ in elements:
            if starts and tag == "FIELD":
                names.append(str(attributes.get("name", attributes.get("ID", ""))))
            elif tag == "DATA":
                break
    return names


def _table_chunks(columns: Mapping[str, np.ndarray], rows: int | None, path: Path) -> Iterator[_Chunk]:
    count = min(len(columns["OBJID"]), rows) if rows is not None else len(columns["OBJID"])
    if columns["OBJID"].dtype.kind == "f":
        raise InputError(
            f"The column OBJID of {path} holds floating-point numbers, which lose digits of SDSS object ids. Give a table with "
            f"OBJID as integers or text."
        )
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        yield _from_text({name: _texts(column[part]) for name, column in columns.items()})


def _texts(column: np.ndarray) -> list[str]:
    """Cells as text; RA and DEC in numbers are decimal degrees then."""
    if column.dtype.kind == "S":
        return [text.strip() for text in np.char.decode(column, "ascii", "replace").tolist()]
    return [str(value).strip() for value in column.tolist()]
