"""The files of a folder of images, found by the ids in their names. Ids are looked up here, and never made into paths."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int

from galjax.errors import printable
from galjax.io.table_files import format_of
from galjax.sample import Exclusion
from galjax.sources.files.image_files import ENDINGS

_LONGEST_FIRST = sorted(ENDINGS, key=len, reverse=True)
_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".z", ".fz")


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Every file of the folder; those with the same name before the ending belong together."""

    names: tuple[str, ...]
    paths: tuple[tuple[Path, ...], ...]
    """Files with an ending that is read, for each name."""
    unread: tuple[tuple[Path, ...], ...]
    """Those with another ending."""
    folder: Path = Path("images")

    @property
    def first(self) -> str:
        """The name of a file, as an example; empty without files."""
        return next((path.relative_to(self.folder).as_posix() for paths in self.paths for path in paths[:1]), "")

    def find_files(self, wanted: Sequence[str]) -> tuple["ImageFiles", Int[np.ndarray, " row"], str]:
        """Files by names with folders and endings, as tables have them: all files one by one, which each name means, -1 for
        none, and a sentence where a name was found by its last parts alone.

        A name means the file whose path below the folder it is or ends with, or that ends with it, where that is one file; an
        ending that differs or lacks does not matter then. Names are looked up, never made into paths.
        """
        single = [path for paths in self.paths for path in paths]
        names = [path.relative_to(self.folder).as_posix() for path in single]
        each = ImageFiles(tuple(names), tuple((path,) for path in single), ((),) * len(names), self.folder)
        by_name: dict[str, int] = {}
        by_end: dict[str, int] = {}
        for number, name in enumerate(names):
            for whole in {name, without_ending(name)}:
                for known, key in ((by_name, whole), *((by_end, end) for end in _ends(whole))):
                    known[key] = number if known.get(key, number) == number else -1
        exact = {name: number for number, name in enumerate(names)}  # of a.jpg and a.png the one that is asked for

        def named(cell: str) -> int:
            for asked in (cell, without_ending(cell)):
                found = exact.get(asked, by_name.get(asked, by_end.get(asked)))
                if found is None:
                    found = next((by_name[end] for end in _ends(asked) if end in by_name), None)
                if found is not None:
                    return found
            return -1

        cells = [cell.replace("\\", "/").removeprefix("./") for cell in wanted]
        at = np.array([named(cell) if cell else -1 for cell in cells], np.int64).reshape(len(cells))
        shorter = [
            cell
            for cell, number in zip(cells, at.tolist(), strict=True)
            if number >= 0 and without_ending(cell) != without_ending(names[number])
        ]
        note = f"{len(shorter)} image files were found by the end of their paths, such as {printable((shorter or [''])[0])}."
        return each, at, note if shorter else ""

    def find(self, ids: Sequence[str]) -> tuple[Int[np.ndarray, " row"], str]:
        """Where each id is in `names`, -1 where it is not; and a sentence where they are the same numbers only.

        An id without a file of its name takes the file of its number (1 and 0001.npy), where no other id or file has that.
        """
        position = {name: number for number, name in enumerate(self.names)}
        at = np.fromiter(map(position.get, ids, itertools.repeat(-1)), np.int64, len(ids))
        claimed = set(at.tolist())
        free = _by_number((name, number) for name, number in position.items() if number not in claimed)
        if not free:
            return at, ""
        lacking = np.flatnonzero(at < 0).tolist()
        wanted = _by_number({ids[row]: row for row in lacking}.items())
        matched = {ids[row]: free[number] for number, row in wanted.items() if number in free}
        if not matched:
            return at, ""
        for row in lacking:
            at[row] = matched.get(ids[row], -1)
        one, number = next(iter(matched.items()))
        return at, (
            f"{len(matched)} image files were found by the number in their names, such as that of galaxy {one} in "
            f"{self.names[number]}."
        )

    def shown(self, number: int) -> str:
        """All files of a name, for the table of exclusions."""
        return ", ".join(map(self.shown_path, (*self.paths[number], *self.unread[number])))

    def shown_path(self, path: Path) -> str:
        """A file with the folder of images before it."""
        return f"{self.folder.name}/{path.relative_to(self.folder).as_posix() if self.folder in path.parents else path.name}"

    def leading_out(self, used: Iterable[int]) -> str:
        """A sentence where files of these names are links to somewhere outside the folder."""
        root = os.path.realpath(self.folder)
        links = [path for number in used for path in self.paths[number] if os.path.islink(path)]
        outside = [path for path in links if not Path(os.path.realpath(path)).is_relative_to(root)]
        if not outside:
            return ""
        return (
            f"{len(outside)} image files are links that lead out of the folder, such as {self.shown_path(outside[0])}; the files "
            f"there are read."
        )

    def not_used(self, used: Iterable[int]) -> list[Exclusion]:
        """The files that no row of the catalogue speaks of, where `used` are the names that rows have."""
        named = set(used)
        found = []
        for number, name in enumerate(self.names):
            if number not in named:
                found += [Exclusion(name, self.shown_path(path), "no catalogue row") for path in self.paths[number]]
            if number not in named or self.paths[number]:
                found += [Exclusion(name, self.shown_path(path), why_unread(path)) for path in self.unread[number]]
        return found


def list_images(folder: Path, *, deep: bool = False, tables: bool = True) -> ImageFiles:
    """What is in the folder, hidden files aside; with `deep` also in the folders in it. Without `tables` neither a table nor a
    file README or LICENSE is one of the files, nor a folder."""
    read: collections.defaultdict[str, list[Path]] = collections.defaultdict(list)
    unread: collections.defaultdict[str, list[Path]] = collections.defaultdict(list)
    for path in files_below(folder) if deep else map(folder.joinpath, sorted(os.listdir(folder))):
        if path.name.startswith("."):
            continue
        if image_ending(path.name):
            read[without_ending(path.relative_to(folder).as_posix())].append(path)
        elif tables or not (format_of(path) or path.is_dir() or path.name.lower().startswith(("readme", "license"))):
            unread[_stem(path.name)].append(path)
    names = tuple(dict.fromkeys((*read, *unread)))
    paths, others = (tuple(tuple(kind.get(name, ())) for name in names) for kind in (read, unread))
    return ImageFiles(names, paths, others, folder)


def files_below(folder: Path) -> Iterator[Path]:
    """Every file in a folder and the folders in it, in order; hidden ones aside. Links to folders are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files))


def image_ending(name: str) -> str:
    """The ending of an image file, .fits.gz as one; empty for another file."""
    lowered = name.lower()
    return next((one for one in _LONGEST_FIRST if lowered.endswith(one)), "")


def without_ending(name: str) -> str:
    """The name of an image file before its ending."""
    return name[: len(name) - len(image_ending(name))]


def _ends(name: str) -> Iterator[str]:
    """The path, and what is left of it without its first folder, the first two, ..."""
    parts = name.split("/")
    return ("/".join(parts[first:]) for first in range(len(parts)))


def why_unread(path: Path) -> str:
    """Why a file is no image for this program."""
    if path.is_dir():
        return "is a folder, and files in it are not read; move them into images/ itself"
    return f"has an ending that is not read ({printable(path.suffix) or 'none'}); write it as PNG, FITS or NumPy"


def _stem(name: str) -> str:
    stem, ending = os.path.splitext(name)
    return os.path.splitext(stem)[0] if ending.lower() in _COMPRESSED else stem


def _by_number(named: Iterable[tuple[str, int]]) -> dict[str, int]:
    """By the number that a name is, without zeros before it; numbers of several names, and other names, are left out."""
    found: dict[str, int] = {}
    several = set()
    for name, value in named:
        if name.isascii() and name.isdigit():
            number = name.lstrip("0") or "0"
            if number in found:
                several.add(number)
            found[number] = value
    return {number: value for number, value in found.items() if number not in several}
