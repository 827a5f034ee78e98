"""The files of a folder of images, found by the ids in their names. Ids are looked up here, and never made into paths."""

import collections
import dataclasses
import itertools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from galjax.errors import printable
from galjax.sample import Exclusion
from galjax.sources.files.image_files import ENDINGS

_COMPRESSED = (".gz", ".bz2", ".xz", ".zip", ".z", ".fz")


@dataclasses.dataclass(frozen=True)
class ImageFiles:
    """Every file of the folder; those with the same name before the ending belong together."""

    names: tuple[str, ...]
    paths: tuple[tuple[Path, ...], ...]
    """Files with an ending that is read, for each name."""
    unread: tuple[tuple[Path, ...], ...]
    """Those with another ending."""

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
        return ", ".join(f"images/{path.name}" for path in (*self.paths[number], *self.unread[number]))

    def lead_out(self) -> Bool[np.ndarray, " name"]:
        """Whether the one file of a name is a link to somewhere outside the folder."""

        def leads_out(paths: tuple[Path, ...]) -> bool:
            if len(paths) != 1 or not os.path.islink(paths[0]):
                return False
            return not Path(os.path.realpath(paths[0])).is_relative_to(os.path.realpath(paths[0].parent))

        return np.array([leads_out(paths) for paths in self.paths], bool)

    def not_used(self, used: Iterable[int]) -> list[Exclusion]:
        """The files that no row of the catalogue speaks of, where `used` are the names that rows have."""
        named = set(used)
        found = []
        for number, name in enumerate(self.names):
            if number not in named:
                found += [Exclusion(name, f"images/{path.name}", "no catalogue row") for path in self.paths[number]]
            if number not in named or self.paths[number]:
                found += [Exclusion(name, f"images/{path.name}", why_unread(path)) for path in self.unread[number]]
        return found


def list_images(folder: Path) -> ImageFiles:
    """What is in the folder, hidden files aside."""
    read: collections.defaultdict[str, list[Path]] = collections.defaultdict(list)
    unread: collections.defaultdict[str, list[Path]] = collections.defaultdict(list)
    longest_first = sorted(ENDINGS, key=len, reverse=True)
    for name in sorted(os.listdir(folder)):
        if name.startswith("."):
            continue
        lowered = name.lower()
        ending = next((one for one in longest_first if lowered.endswith(one)), None)
        if ending:
            read[name[: -len(ending)]].append(folder / name)
        else:
            unread[_stem(name)].append(folder / name)
    names = tuple(dict.fromkeys((*read, *unread)))
    return ImageFiles(names, tuple(tuple(read[name]) for name in names), tuple(tuple(unread[name]) for name in names))


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
