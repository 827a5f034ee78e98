"""Tables as text, one row a line, the way spreadsheets, databases and np.savetxt write them; every cell stays text."""

import csv
import io
import itertools
import re
from collections.abc import Iterator

import numpy as np
from jaxtyping import Shaped

SEPARATORS = (",", ";", "\t", "|")
LONGEST = 64
"""Characters of a cell in an array of text, in which every cell takes as much as the longest; longer ones stay Python's."""
_CHUNK = 500
"""Rows: so few that they stay in the processor's cache, four times as fast as with 50,000."""
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?\s*", re.IGNORECASE)
_NUMBERED = re.compile(r"#\s*(\d+)\s+(\S+)")
_SEPARATOR_LINE = re.compile(r"sep=.", re.IGNORECASE)


def read_delimited(text: str) -> tuple[list[str], list[Shaped[np.ndarray, " row"]]]:
    """Names and cells of the columns, as text.

    Cells are parted by whichever of comma, semicolon, tab, bar or (where there is none of them) white space parts the names
    into the most cells. Lines that begin with # before the names are comments (SkyServer's #Table1), unless numbers follow
    the last of them: those are the names then (np.savetxt, TOPCAT); lines "# 1 NAME", "# 2 NAME", ... name the columns too (SExtractor). Columns without a name are left out, and what lacks at the end of a line
    is empty. Raises ValueError where a line has more cells than there are names, a quotation has no end, or names lack.
    """
    names, separator, lines = _names(io.StringIO(text, newline=""))
    rows = (row for row in _rows(lines, separator) if len(row) > 1 or (row and row[0].strip()))
    chunks: list[list[np.ndarray]] = [[] for _ in names]
    done = 0
    while chunk := list(itertools.islice(rows, _CHUNK)):
        if set(map(len, chunk)) != {len(names)}:
            chunk = [_as_long_as(names, row, done + number, separator) for number, row in enumerate(chunk, 1)]
        for kept, cells in zip(chunks, zip(*chunk, strict=True), strict=True):
            kept.append(np.array(cells, dtype=np.str_ if max(map(len, cells)) <= LONGEST else object))
        done += len(chunk)
    named = [number for number, name in enumerate(names) if name]
    empty = np.zeros(0, np.str_)
    return [names[n] for n in named], [np.concatenate(chunks[n]) if chunks[n] else empty for n in named]


def _names(stream: io.StringIO) -> tuple[list[str], str, Iterator[str]]:
    """Names of the columns, what parts them, and the lines of the rows."""
    comment: str | None = None
    numbered: list[str] = []
    for line in stream:
        if not line.strip() or _SEPARATOR_LINE.fullmatch(line.strip()):
            continue
        if line.startswith("#"):
            comment = line
            found = _NUMBERED.match(line)
            if found and int(found[1]) == len(numbered) + 1:
                numbered.append(found[2])
            continue
        cells, separator = _split(line)
        if len(numbered) == len(cells) > 1:  # SExtractor's header, one line a column
            return numbered, separator, itertools.chain([line], stream)
        if _are_numbers(cells):
            names = _split(comment.lstrip("#"), separator)[0] if comment else []
            filled = max(number for number, cell in enumerate(cells, 1) if cell)
            if len(names) < max(filled, 2) or _are_numbers(names):
                raise ValueError("its first line holds numbers, not the names of the columns; write them above it")
            return names, separator, itertools.chain([line], stream)
        return cells, separator, stream
    raise ValueError("it is empty")


def _are_numbers(cells: list[str]) -> bool:
    """Whether half of those that are not empty are, or more: ids and classes may be words."""
    written = [cell for cell in cells if cell]
    return 2 * sum(_NUMBER.fullmatch(cell) is not None for cell in written) >= max(len(written), 1)


def _split(line: str, separator: str | None = None) -> tuple[list[str], str]:
    """The cells of a line without white space around them, and the separator that makes the most of them."""
    tried: dict[str, list[str]] = {}
    for one in (separator,) if separator else SEPARATORS:
        try:
            tried[one] = next(_rows(iter([line]), one))
        except csv.Error:  # quotation marks that fit another separator
            tried[one] = [line]
    best = max(tried, key=lambda one: len(tried[one]))
    if len(tried[best]) == 1 and separator is None and re.search(r"\S\s+\S", line):
        return line.split(), " "
    return [cell.strip() for cell in tried[best]], best


def _rows(lines: Iterator[str], separator: str) -> Iterator[list[str]]:
    if separator == " ":
        lines = (line.replace("\t", " ") for line in lines)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)


def _as_long_as(names: list[str], row: list[str], number: int, separator: str) -> list[str]:
    """The row with as many cells as there are names."""
    while len(row) > len(names) and not row[-1].strip():
        row = row[:-1]
    lacking = len(names) - len(row)
    if lacking < 0 or (lacking > 0 and separator == " "):
        raise ValueError(f"row {number} has {len(row)} cells where the line of names has {len(names)}")
    return row + [""] * lacking
