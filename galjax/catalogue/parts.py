"""The rows of a catalogue on disk while it grows: one Parquet file for each stretch of rows, put together at the end.

Any tool that reads a folder of Parquet files reads them as they are.
"""

import contextlib
import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from astropy.table import Column, Table, vstack
from pyarrow import parquet

from galjax.errors import InputError
from galjax.io.table_files import format_of
from galjax.io.whole_files import replacing, write_whole

DESCRIPTION = "_catalogue.json"
"""Begins with an underscore, so that what reads a folder of Parquet files passes over it."""
ENDINGS = (".csv", ".ecsv", ".fits", ".vot", ".parquet", ".hdf5")
HDF5_ENDINGS = (".hdf5", ".h5")
HDF5_TABLE = "catalogue"
MEASURED = ("entropy", "mutual_information", "factor", "expected_accuracy")
MEASURED_PREFIXES = ("p_", "std_", "uncalibrated_", "shares_")
"""Numbers that are worked out here, by name and by how their names begin."""
_NAME = re.compile(r"rows-(\d{12})-(\d{12})\.parquet")


class Stretch(NamedTuple):
    """Rows from the first to before the last, counted from 0 over the whole catalogue."""

    start: int
    stop: int


class Parts:
    """A folder of parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.change: Callable[[pa.Table], pa.Table] = lambda part: part
        """Applied to every part that is read."""

    def begin(self, description: Mapping[str, str], *, place: Path, overwrite: bool = False) -> None:
        """Start, or resume, a catalogue. Raises InputError where the folder holds something else, or another one that is not to be
        overwritten.

        `place` is what the user calls it.
        """
        path = self.folder / DESCRIPTION
        text = json.dumps(dict(description), indent=1, sort_keys=True)
        if path.is_file():
            with contextlib.suppress(ValueError):
                there = json.loads(path.read_text())
                differing = [key for key in {**there, **description} if there.get(key) != description.get(key)]
                if not differing:
                    return
                what = "; ".join(
                    f"{key}: {there.get(key, 'none')} there, {description.get(key, 'none')} now"
                    for key in differing[:3]
                )
                if not overwrite:
                    raise InputError(
                        f"{place} holds a part of another catalogue ({what}). Give another --out, or --overwrite."
                    )
        if overwrite and self.folder.is_dir():
            self._clear()
        if self.folder.is_dir() and any(self.folder.iterdir()):
            raise InputError(
                f"{self.folder} is there already, and holds no catalogue of this program. Give another --out."
            )
        try:
            write_whole(path, text.encode())
        except OSError as error:
            raise InputError(f"Cannot write to {self.folder} ({error.strerror}). Give another --out.") from error

    def _clear(self) -> None:
        """Delete what this program wrote, and nothing else."""
        for entry in self.folder.iterdir():
            if _NAME.fullmatch(entry.name) or entry.name == DESCRIPTION:
                entry.unlink()

    def done(self) -> list[Stretch]:
        """The stretches that are there, in their order."""
        found = [_NAME.fullmatch(entry.name) for entry in self.folder.iterdir()]
        return sorted(Stretch(int(match[1]), int(match[2])) for match in found if match)

    def missing(self, wanted: Stretch) -> list[Stretch]:
        """What of a stretch is not there yet."""
        at, gaps = wanted.start, []
        for one in self.done():
            if one.stop <= at or one.start >= wanted.stop:
                continue
            if one.start > at:
                gaps.append(Stretch(at, one.start))
            at = max(at, one.stop)
        return [*gaps, Stretch(at, wanted.stop)] if at < wanted.stop else gaps

    def write(self, stretch: Stretch, table: Table) -> None:
        """Write one part, whole. Raises InputError where the disk is full."""
        path = self.folder / f"rows-{stretch.start:012d}-{stretch.stop:012d}.parquet"
        try:
            with replacing(path) as partial:
                parquet.write_table(to_arrow(table), partial)
        except OSError as error:
            reason = error.strerror or str(error)
            raise InputError(
                f"Cannot write {path} ({reason}). What was classified before is kept; make room, and give the same command again."
            ) from error

    def tables(self) -> Iterator[pa.Table]:
        """Every part, in the order of the rows, each row once: runs at the same time may have written some twice.

        Raises InputError where one cannot be read.
        """
        at = 0
        for start, stop in self.done():
            path = self.folder / f"rows-{start:012d}-{stop:012d}.parquet"
            try:
                part = parquet.read_table(path)
            except (OSError, pa.ArrowInvalid) as error:
                raise InputError(f"{path} is damaged. Delete it, and give the same command again.") from error
            if stop > at:
                yield self.change(part.slice(max(at - start, 0)))
                at = stop

    def column(self, name: str) -> np.ndarray:
        """One column of the whole catalogue."""
        found = [part.column(name).to_numpy() for part in self.tables()]
        return np.concatenate(found) if found else np.array([])

    def table(self) -> Table:
        """The whole catalogue in memory."""
        return vstack([from_arrow(part) for part in self.tables()], metadata_conflicts="silent")


def is_own_column(name: str) -> bool:
    """Whether every catalogue has a column of this name, or one of such names."""
    own = (*MEASURED, "id", "ra", "dec", "label", "class", "flags", "reason")
    return name in own or name.startswith(MEASURED_PREFIXES)


def check_ending(path: Path) -> None:
    """Raise InputError for a file in which no catalogue is written."""
    name = path.name.lower()
    if not name.endswith(HDF5_ENDINGS) and format_of(path) not in ("csv", "ecsv", "fits", "votable", "parquet"):
        raise InputError(
            f"--out {path} has an ending that is not written; use one of {', '.join(ENDINGS)}, or give a folder."
        )
    if name.endswith((".gz", ".txt", ".dat", ".tab", ".tsv", ".cat")):
        raise InputError(f"--out {path} has an ending that is read, but not written; use one of {', '.join(ENDINGS)}.")


def write_catalogue(parts: Parts, path: Path) -> None:
    """All parts in one file, in the format of its ending: CSV and Parquet part by part, others at once from memory.

    Raises InputError where the disk is full.
    """
    kind = "hdf5" if path.name.lower().endswith(HDF5_ENDINGS) else format_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            if kind == "parquet":
                _write_parquet(parts, partial)
            elif kind == "csv":
                _write_csv(parts, partial)
            elif kind == "hdf5":
                table = parts.table()
                table.convert_unicode_to_bytestring()
                table.write(partial, format="hdf5", path=HDF5_TABLE, serialize_meta=True)
            else:
                whole = parts.table()
                if kind == "fits":
                    _in_ascii(whole)
                written = {"ecsv": "ascii.ecsv"}.get(str(kind), str(kind))
                if kind == "fits":
                    whole.meta = {_card(name, number): value for number, (name, value) in enumerate(whole.meta.items())}
                whole.write(partial, format=written)
    except OSError as error:
        raise InputError(
            f"Cannot write {path} ({error.strerror or error}). What was classified is kept in {parts.folder}; make room, and give the same "
            f"command again."
        ) from error


def _in_ascii(table: Table) -> None:
    """Replace other characters in the texts of a table, as FITS holds none, by what Python writes for them."""
    for name in table.colnames:
        column = table[name]
        if column.dtype.kind == "U" and not all(map(str.isascii, column.tolist())):
            ascii_only = [text.encode("ascii", "backslashreplace").decode() for text in column.tolist()]
            table[name] = Column(ascii_only, description=column.description)


def _card(name: str, number: int) -> str:
    """A keyword of a FITS header for a name in words."""
    return re.sub("[^A-Z0-9]", "", name.upper())[:8] or f"META{number}"


def _write_parquet(parts: Parts, path: Path) -> None:
    writer = None
    try:
        for part in parts.tables():
            writer = writer or parquet.ParquetWriter(path, part.schema)
            writer.write_table(part.cast(writer.schema))
    finally:
        if writer is not None:
            writer.close()


def _write_csv(parts: Parts, path: Path) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        for number, part in enumerate(parts.tables()):
            if number == 0:
                writer.writerow(part.column_names)
            columns = [_written(part.column(name).to_pylist(), name) for name in part.column_names]
            writer.writerows(zip(*columns, strict=True))


def _written(values: list[Any], name: str) -> list[Any]:
    """Cells of CSV: numbers of measured columns with six digits, those that were given with all; empty for NaN."""
    if not values or not isinstance(values[0], float):
        return values
    is_measured = name in MEASURED or name.startswith(MEASURED_PREFIXES)
    return ["" if value != value else f"{value:.6g}" if is_measured else repr(value) for value in values]


def to_arrow(table: Table) -> pa.Table:
    """A table with units and descriptions in the metadata of its fields, and its own metadata in that of the schema."""
    arrays, fields = [], []
    for column in table.itercols():
        array = pa.array(np.asarray(column))
        about = {"description": column.description, "unit": str(column.unit) if column.unit is not None else None}
        arrays.append(array)
        fields.append(pa.field(column.name, array.type, metadata={key: value for key, value in about.items() if value}))
    return pa.table(arrays, schema=pa.schema(fields, metadata={key: str(value) for key, value in table.meta.items()}))


def from_arrow(part: pa.Table) -> Table:
    """The table that `to_arrow` was given."""
    table = Table(meta=_decoded(part.schema.metadata))
    for field in part.schema:
        about = _decoded(field.metadata)
        values = part.column(field.name).to_numpy()
        values = values.astype(np.str_) if values.dtype.kind == "O" else values
        table[field.name] = Column(values, unit=about.get("unit"), description=about.get("description"))
    return table


def _decoded(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    return {key.decode(): value.decode() for key, value in (metadata or {}).items()}
