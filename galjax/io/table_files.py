"""The file of a user's catalogue, as a table: text, ECSV, FITS, VOTable, Parquet or lines of JSON, from whoever's disk.

Files are opened here, not by astropy: it unpacks what is compressed, whatever its size, takes a path with a line break in it
for the table itself, and reads the rows of a VOTable from wherever the file says.
"""

import collections
import csv
import gzip
import io
import json
import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

import numpy as np
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from astropy.utils.exceptions import AstropyWarning

from galjax.errors import InputError
from galjax.io.delimited_text import LONGEST, read_delimited
from galjax.io.fits_files import open_fits

FORMATS = {"csv": "csv", "ecsv": "ecsv", "fits": "fits", "vot": "votable", "parquet": "parquet", "jsonl": "jsonl"}
"""Format by the ending of a catalogue's name."""
_FURTHER = {
    **dict.fromkeys(("tsv", "txt", "dat", "cat", "tab"), "csv"),
    **dict.fromkeys(("fit", "fts"), "fits"),
    **dict.fromkeys(("votable", "xml"), "votable"),
    "pq": "parquet",
    "ndjson": "jsonl",
}
MAX_BYTES = 2 * 10**9
"""Largest catalogue file, bytes."""


def format_of(path: Path) -> str | None:
    """The format of a table, by the ending of its name (before .gz); None for what is no table."""
    endings = [suffix.lstrip(".").lower() for suffix in path.suffixes[-2:]]
    ending = endings[0] if endings[1:] == ["gz"] else (endings or [""])[-1]
    return (FORMATS | _FURTHER).get(ending)


def read_catalogue(path: Path) -> Table:
    """The table; the cells of text and JSON are kept as text, so that no id passes through a float. May be zipped (gzip).

    Columns of Parquet that hold lists or structures are left out.

    Raises InputError where the file is no readable table, or has no rows or twice the same column name.
    """
    file_format = format_of(path)
    if file_format is None:
        raise InputError(f"{path.name} is no table by its ending; tables end in {', '.join((*FORMATS, *_FURTHER))}.")
    try:
        content = _content(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of units and standards, which do not matter here
            table, names = READERS[file_format](content)
    except InputError:
        raise
    except Exception as error:  # astropy's readers raise whatever a damaged file leads them to
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path.name} cannot be read as {file_format}: {lines[0][:200].rstrip('.')}. Fix the table, or write it again "
            f"with the tool that made it."
        ) from error
    _refuse_twice(names, path)
    if not len(table):
        raise InputError(f"{path.name} has no rows. Give a table with one row a galaxy.")
    return table


def _content(path: Path) -> bytes:
    """What is in the file, unzipped where it is zipped, whatever its name says."""
    too_large = InputError(f"{path.name} is larger than {MAX_BYTES // 10**9} GB; give fewer rows and columns.")
    if path.stat().st_size > MAX_BYTES:
        raise too_large
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(content)) as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise too_large
    return content


def _refuse_twice(names: list[str], path: Path) -> None:
    lowered = collections.Counter(name.lower() for name in names)
    twice = next((name for name in names if lowered[name.lower()] > 1), None)
    if twice is not None:
        raise InputError(f"{path.name} has several columns called {twice!r} (case aside); keep one.")


# Each reader gives the table and the names of columns as the file has them: astropy calls a second "z" "z_1".
def _read_csv(content: bytes) -> tuple[Table, list[str]]:
    names, cells = read_delimited(_text(content))
    return _of_cells(names, cells)


def _of_cells(names: list[str], cells: Sequence[np.ndarray]) -> tuple[Table, list[str]]:
    unique = dict(zip(names, cells, strict=True))  # of two with the same name one, which is refused then
    return Table(list(unique.values()), names=list(unique), copy=False), names


def _text(content: bytes) -> str:
    """Text in UTF-8, or in UTF-16 where it begins as that (Excel's "Unicode text"), or in Latin-1 where it is neither."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if b"\0" in content:
            raise
        return content.decode("latin-1")


def _read_ecsv(content: bytes) -> tuple[Table, list[str]]:
    text = content.decode("utf-8") + "\n"  # without a line break astropy would take it for the name of a file
    table = Table.read(text, format="ascii.ecsv")
    return table, _header(text, "," if re.search(r"^# delimiter: ','", text, re.MULTILINE) else " ")


def _header(text: str, delimiter: str) -> list[str]:
    lines = (line for line in io.StringIO(text) if line.strip() and not line.startswith("#"))
    return [name.strip() for name in next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))]


def _read_fits(content: bytes) -> tuple[Table, list[str]]:
    with open_fits(content) as hdus:
        tables = [hdu.name for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if len(tables) > 1:
            raise ValueError(f"it holds {len(tables)} tables ({', '.join(tables)}); keep the one of galaxies")
        table = Table.read(hdus, format="fits")
    return table, table.colnames  # astropy does not read twice the same name


def _read_votable(content: bytes) -> tuple[Table, list[str]]:
    names = _fields(content)
    return Table.read(io.BytesIO(content), format="votable"), names


def _read_parquet(content: bytes) -> tuple[Table, list[str]]:
    import pyarrow as pa
    from pyarrow import parquet

    file = parquet.ParquetFile(io.BytesIO(content), page_checksum_verification=True)
    kinds = (
        pa.types.is_integer,
        pa.types.is_floating,
        pa.types.is_boolean,
        pa.types.is_string,
        pa.types.is_large_string,
    )
    schema = file.schema_arrow
    plain = [
        field.name
        for field in schema
        if any(kind(_dictionary_of(field.type)) for kind in kinds) and schema.names.count(field.name) == 1
    ]
    columns = {}
    for name, column in zip(plain, file.read(columns=plain).itercolumns(), strict=True):
        masked = np.asarray(column.is_null())
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            texts = ["" if text is None else text for text in column.to_pylist()]
            longest = max(map(len, texts), default=0)
            columns[name] = np.array(texts, dtype=np.str_ if longest <= LONGEST else object)
        else:
            filled = column.fill_null(False if pa.types.is_boolean(column.type) else 0) if masked.any() else column
            values = filled.to_numpy()
            columns[name] = MaskedColumn(values, mask=masked) if masked.any() else values
    return _of_cells(plain, list(columns.values()))


def _dictionary_of(kind: Any) -> Any:
    return getattr(kind, "value_type", kind) if str(kind).startswith("dictionary") else kind


def _read_jsonl(content: bytes) -> tuple[Table, list[str]]:
    cells: dict[str, list[str]] = {}
    count = 0
    for number, line in enumerate(_text(content).splitlines(), 1):
        if not line.strip():
            continue
        row = json.loads(line, parse_float=str, parse_int=str)
        if not isinstance(row, dict):
            raise ValueError(f"line {number} is no JSON object with names and values")
        for name in row.keys() - cells.keys():
            cells[name] = [""] * count
        for name, column in cells.items():
            value = row.get(name)
            column.append("" if value is None else value if isinstance(value, str) else json.dumps(value))
        count += 1
    names = list(cells)
    arrays = [np.array(c, dtype=np.str_ if max(map(len, c)) <= LONGEST else object) for c in cells.values()]
    return _of_cells(names, arrays)


READERS: dict[str, Callable[[bytes], tuple[Table, list[str]]]] = {
    "csv": _read_csv,
    "ecsv": _read_ecsv,
    "fits": _read_fits,
    "votable": _read_votable,
    "parquet": _read_parquet,
    "jsonl": _read_jsonl,
}


def _fields(xml: bytes) -> list[str]:
    """The names of a VOTable's columns.

    Raises ValueError where it defines entities, or has its rows read from another place (a file, the network).
    """
    names: list[str] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2].upper()
        if tag == "FIELD":
            names.append(attributes.get("name", ""))
        if tag == "STREAM" and any(key.lower() == "href" for key in attributes):
            raise ValueError("its rows are in another file (STREAM with href); write them into the table")

    def entity(*declared: object) -> None:
        raise ValueError("it defines entities, which tables do not need")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = entity
    parser.Parse(xml, True)
    return names
