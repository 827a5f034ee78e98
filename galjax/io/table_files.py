"""The file of a user's catalogue, as a table: CSV, ECSV, FITS or VOTable, from whoever's disk.

Files are opened here, not by astropy: it unpacks what is compressed, whatever its size, takes a path with a line break in it
for the table itself, and reads the rows of a VOTable from wherever the file says.
"""

import collections
import csv
import io
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

from astropy.io import fits
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning

from galjax.errors import InputError
from galjax.io.delimited_text import read_delimited
from galjax.io.fits_files import open_fits

FORMATS = {"csv": "csv", "ecsv": "ecsv", "fits": "fits", "vot": "votable"}
MAX_BYTES = 2 * 10**9
"""Largest catalogue file, bytes."""


def read_catalogue(path: Path) -> Table:
    """The table; the cells of a CSV are kept as text, so that no id passes through a float.

    Raises InputError where the file is no readable table, or has no rows or twice the same column name.
    """
    file_format = FORMATS[path.suffix.lstrip(".").lower()]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path.name} is larger than {MAX_BYTES // 10**9} GB; give fewer rows and columns.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of units and standards, which do not matter here
            table, names = READERS[file_format](path)
    except InputError:
        raise
    except Exception as error:  # astropy's readers raise whatever a damaged file leads them to
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path.name} cannot be read as {file_format}: {lines[0][:200].rstrip('.')}. Fix the table, or write it again "
            f"with the tool that made it."
        ) from error
    if not len(table):
        raise InputError(f"{path.name} has no rows. Give a table with one row a galaxy.")
    _refuse_twice(names, path)
    return table


def _refuse_twice(names: list[str], path: Path) -> None:
    lowered = collections.Counter(name.lower() for name in names)
    twice = next((name for name in names if lowered[name.lower()] > 1), None)
    if twice is not None:
        raise InputError(f"{path.name} has several columns called {twice!r} (case aside); keep one.")


# Each reader gives the table and the names of columns as the file has them: astropy calls a second "z" "z_1".
def _read_csv(path: Path) -> tuple[Table, list[str]]:
    names, cells = read_delimited(path.read_text(encoding="utf-8-sig"))
    _refuse_twice(names, path)
    return Table(cells, names=names, copy=False), names


def _read_ecsv(path: Path) -> tuple[Table, list[str]]:
    text = _text(path, "utf-8")
    table = Table.read(text, format="ascii.ecsv")
    return table, _header(text, "," if re.search(r"^# delimiter: ','", text, re.MULTILINE) else " ")


def _text(path: Path, encoding: str) -> str:
    return path.read_text(encoding=encoding) + "\n"  # without a line break astropy would take it for the name of a file


def _header(text: str, delimiter: str) -> list[str]:
    lines = (line for line in io.StringIO(text) if line.strip() and not line.startswith("#"))
    return [name.strip() for name in next(csv.reader(lines, delimiter=delimiter, skipinitialspace=True))]


def _read_fits(path: Path) -> tuple[Table, list[str]]:
    with open_fits(path) as hdus:
        tables = [hdu.name for hdu in hdus if isinstance(hdu, fits.BinTableHDU | fits.TableHDU)]
        if len(tables) > 1:
            raise ValueError(f"it holds {len(tables)} tables ({', '.join(tables)}); keep the one of galaxies")
        table = Table.read(hdus, format="fits")
    return table, table.colnames  # astropy does not read twice the same name


def _read_votable(path: Path) -> tuple[Table, list[str]]:
    content = path.read_bytes()
    names = _fields(content)
    return Table.read(io.BytesIO(content), format="votable"), names


READERS: dict[str, Callable[[Path], tuple[Table, list[str]]]] = {
    "csv": _read_csv,
    "ecsv": _read_ecsv,
    "fits": _read_fits,
    "votable": _read_votable,
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
