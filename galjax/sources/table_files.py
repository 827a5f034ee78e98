"""The file of a user's catalogue, as a table: CSV, ECSV, FITS or VOTable, from whoever's disk.

Files are opened here, not by astropy: it unpacks what is compressed, whatever its size, takes a path with a line break in it
for the table itself, and reads the rows of a VOTable from wherever the file says.
"""

import io
import warnings
from collections.abc import Callable
from pathlib import Path
from xml.parsers import expat

from astropy.io.ascii import convert_numpy
from astropy.table import Table
from astropy.utils.exceptions import AstropyWarning

from galjax.errors import InputError
from galjax.fits_files import open_fits

FORMATS = {"csv": "csv", "ecsv": "ecsv", "fits": "fits", "vot": "votable"}
MAX_BYTES = 2 * 10**9
"""Of a catalogue file."""


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
            table = READERS[file_format](path)
    except InputError:
        raise
    except Exception as error:  # astropy's readers raise whatever a damaged file leads them to
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(
            f"{path.name} cannot be read as {file_format}: {lines[0][:200].rstrip('.')}. Mend the table, or write it again "
            f"with the tool that made it."
        ) from error
    if not len(table):
        raise InputError(f"{path.name} has no rows. Give a table with one row a galaxy.")
    lowered = [name.lower() for name in table.colnames]
    twice = [name for name in table.colnames if lowered.count(name.lower()) > 1]
    if twice:
        raise InputError(f"{path.name} has several columns called {twice[0]!r} (case aside); keep one.")
    return table


def _read_csv(path: Path) -> Table:
    text = _text(path, "utf-8-sig")
    return Table.read(text, format="ascii.csv", converters={"*": [convert_numpy(str)]}, fill_values=[("", "0")])


def _read_ecsv(path: Path) -> Table:
    return Table.read(_text(path, "utf-8"), format="ascii.ecsv")


def _text(path: Path, encoding: str) -> str:
    return path.read_text(encoding=encoding) + "\n"  # without a line break astropy would take it for the name of a file


def _read_fits(path: Path) -> Table:
    with open_fits(path) as hdus:
        return Table.read(hdus, format="fits")


def _read_votable(path: Path) -> Table:
    content = path.read_bytes()
    _check_self_contained(content)
    return Table.read(io.BytesIO(content), format="votable")


READERS: dict[str, Callable[[Path], Table]] = {
    "csv": _read_csv, "ecsv": _read_ecsv, "fits": _read_fits, "votable": _read_votable,
}  # fmt: skip


def _check_self_contained(xml: bytes) -> None:
    """Raise ValueError where a VOTable defines entities, or has its rows read from another place (a file, the network)."""

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(":")[2].upper() == "STREAM" and any(key.lower() == "href" for key in attributes):
            raise ValueError("its rows are in another file (STREAM with href); write them into the table")

    def entity(*declared: object) -> None:
        raise ValueError("it defines entities, which tables do not need")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = entity
    parser.Parse(xml, True)
