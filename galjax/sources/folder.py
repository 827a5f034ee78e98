"""A user's own galaxies: a folder with a catalogue table and one image file per galaxy."""

import collections
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32, Int8

from galjax.errors import InputError, printable
from galjax.sample import Exclusion, GalaxySample
from galjax.sources.catalogue import (
    ID_NAMES,
    MISSING,
    REDSHIFT_NAMES,
    UNREADABLE,
    find_column,
    listed_columns,
    read_flags,
    read_ids,
    read_redshift,
)
from galjax.sources.image_files import (
    ENDINGS,
    PICTURE_ENDINGS,
    UnusableImage,
    band_names,
    read_image,
    to_stamp,
)
from galjax.sources.options import FolderOptions
from galjax.sources.table_files import FORMATS, read_catalogue

_Item = TypeVar("_Item")
_READERS = 4
_IMAGES_BETWEEN_REPORTS = 50


class _Row(NamedTuple):
    """A catalogue row that may become a galaxy."""

    id: int | str
    label: int
    redshift: float
    file: Path


def read_folder(
    path: str | os.PathLike[str],
    options: FolderOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GalaxySample:
    """The galaxies of a folder with `catalogue.{csv,ecsv,fits,vot}` and `images/<id>.{jpg,jpeg,png,fits,fits.gz,npy}`.

    A galaxy is kept where its row has exactly one class flag and its one image file is whole, finite, not blank and large
    enough; every other row, and every image file without a row, is in `excluded` with the reason. Of rows with the same
    id the first is kept where all agree in class and redshift, and none otherwise. Pixel values are float32 in the
    file's units; galaxies keep the catalogue's order. `progress` is told (images read, images in all).

    Raises InputError where the folder, its one catalogue or a needed column is missing, or no galaxy is left.
    """
    options, folder = options or FolderOptions(), Path(path)
    catalogue = _find_catalogue(folder)
    files = _list_images(folder / "images")
    rows, class_names, excluded, notes = _select_rows(catalogue, files, options)
    read = _read_stamps(rows, options, progress)
    bands = collections.Counter(result[1] for result in read if isinstance(result, tuple))
    usual = bands.most_common(1)[0][0] if bands else ()
    kept: list[tuple[_Row, np.ndarray]] = []
    for row, result in zip(rows, read, strict=True):
        if isinstance(result, str):
            excluded.append(Exclusion(str(row.id), f"images/{row.file.name}", result))
        elif len(result[1]) != len(usual):
            reason = f"has {len(result[1])} band(s) where most images have {len(usual)}"
            excluded.append(Exclusion(str(row.id), f"images/{row.file.name}", reason))
        else:
            kept.append((row, result[0]))
    if not kept:
        reasons = "; ".join(f"{printable(row.id or row.file)}: {row.reason}" for row in excluded[:3])
        raise InputError(f"No galaxy of {folder} can be used: {len(excluded)} left out, the first are {reasons}.")
    ids = [row.id for row, _ in kept]
    return GalaxySample(
        images=np.stack([stamp for _, stamp in kept]),
        labels=np.array([row.label for row, _ in kept], np.int32),
        class_names=class_names,
        ids=np.array(ids, np.int64 if isinstance(ids[0], int) else str),
        redshift=np.array([row.redshift for row, _ in kept]),
        pixel_scale=_stamp_scale(kept[0][0].file, options),
        bands=usual,
        provenance={
            "folder": folder.resolve().name,
            "catalogue": catalogue.name,
            "channel": options.channel,
            "crop": "automatic" if options.crop is None else f"{options.crop} px",
            "image size": f"{options.image_size} px, shrunk by the mean over covered pixels",
            "units": "as in the image files (pictures: counts from 0)",
            **notes,
            "kept": str(len(kept)),
            "left out": str(len(excluded)),
        },
        excluded=tuple(excluded),
    )


def _find_catalogue(folder: Path) -> Path:
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    found = [folder / f"catalogue.{ending}" for ending in FORMATS if (folder / f"catalogue.{ending}").is_file()]
    names = ", ".join(f"catalogue.{ending}" for ending in FORMATS)
    if not found:
        raise InputError(f"{folder} has no catalogue; one of {names} is needed, with a column of ids and class flags.")
    if len(found) > 1:
        raise InputError(f"{folder} has {' and '.join(path.name for path in found)}; keep one of them.")
    if not (folder / "images").is_dir():
        raise InputError(
            f"{folder} has no folder images/; it must hold one file <id>.jpeg, .png, .fits or .npy a galaxy."
        )
    return found[0]


def _list_images(folder: Path) -> dict[str, list[Path]]:
    """Image files by the id in their names. Ids are looked up here, and never made into paths."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()):
        ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if path.name.lower().endswith(e)), None)
        if ending and not path.name.startswith("."):
            files.setdefault(path.name[: -len(ending)], []).append(path)
    return files


def _select_rows(
    catalogue: Path, files: dict[str, list[Path]], options: FolderOptions
) -> tuple[list[_Row], tuple[str, ...], list[Exclusion], dict[str, str]]:
    """Catalogue rows with an id, one class and one file, in order; class names; what is left out; notes on the way."""
    table, name = read_catalogue(catalogue), catalogue.name
    id_column = find_column(table, options.id_column, ID_NAMES, "id", "--id-column", name)
    if id_column is None:
        raise InputError(
            f"{name} has none of the id columns {', '.join(ID_NAMES)}; its columns are {listed_columns(table)}. Name "
            f"one with --id-column."
        )
    flags, class_names = [], []
    for column in options.class_columns:
        optional = column == "UNCERTAIN"
        found = find_column(table, None if optional else column, (column,), "class", "--class-columns", name)
        if found is not None:
            flags.append(read_flags(table, found, name))
            class_names.append(column.lower())
    redshift_column = find_column(table, options.redshift_column, REDSHIFT_NAMES, "redshift", "--redshift-column", name)
    redshift, unreadable = read_redshift(table, redshift_column, name)
    ids, present = read_ids(table, id_column, name)
    notes = {"catalogue rows": str(len(table)), "redshifts": redshift_column or "none"}
    if unreadable:
        notes["redshifts that are no number, taken as unknown"] = str(unreadable)
    repeated = _contradicting_ids(ids, np.stack(flags), redshift)

    rows: list[_Row] = []
    excluded: list[Exclusion] = []
    taken: set[int | str] = set()
    for number in range(len(table)):
        galaxy = int(ids[number]) if ids.dtype.kind == "i" else str(ids[number])
        listed = files.get(str(galaxy), [])
        reason = _reason_against(
            galaxy, bool(present[number]), [int(flag[number]) for flag in flags], listed, taken, repeated
        )
        if reason is None:
            label = next(position for position, flag in enumerate(flags) if flag[number] == 1)
            rows.append(_Row(galaxy, label, float(redshift[number]), listed[0]))
        else:
            file = ", ".join(f"images/{path.name}" for path in listed)
            known = str(galaxy) if present[number] else ""
            excluded.append(Exclusion(known, file, f"{reason} (row {number + 1} of {name})"))
        taken.add(galaxy)
    in_catalogue = {str(galaxy) for galaxy in ids[present]}
    for galaxy_name, paths in files.items():
        if galaxy_name not in in_catalogue:
            excluded += [Exclusion(galaxy_name, f"images/{path.name}", "no catalogue row") for path in paths]
    return rows, tuple(class_names), excluded, notes


def _contradicting_ids(ids: np.ndarray, flags: Int8[np.ndarray, "class row"], redshift: np.ndarray) -> set[int | str]:
    """Ids with several rows that disagree in class or redshift."""
    unique, inverse, counts = np.unique(ids, return_inverse=True, return_counts=True)
    seen: dict[int, tuple[object, ...]] = {}
    contradicting = set()
    for row in np.flatnonzero(counts[inverse] > 1):
        content = (*flags[:, row].tolist(), str(redshift[row]))
        if seen.setdefault(int(inverse[row]), content) != content:
            contradicting.add(unique[inverse[row]].item())
    return contradicting


def _reason_against(
    galaxy: int | str,
    present: bool,
    flags: list[int],
    files: list[Path],
    taken: set[int | str],
    repeated: set[int | str],
) -> str | None:
    """Why a catalogue row cannot be used, or None."""
    if not present:
        return "no id"
    if isinstance(galaxy, str) and not (galaxy.isascii() and galaxy.isprintable()):
        return "id is not plain ASCII text"
    if galaxy in repeated:
        return "id is given several times, with different classes or redshifts"
    if galaxy in taken:
        return "id is given before"
    if UNREADABLE in flags:
        return "a class flag is neither 0 nor 1"
    if MISSING in flags:
        return "a class flag is missing"
    if sum(flags) != 1:
        return "no class flag is set" if sum(flags) == 0 else f"{sum(flags)} class flags are set"
    if not files:
        return "no image file"
    if len(files) > 1:
        return f"{len(files)} image files"
    real_file, real_folder = (Path(os.path.realpath(path)) for path in (files[0], files[0].parent))
    if not real_file.is_relative_to(real_folder):
        return "the image file is a link that leaves the folder"
    return None


def _read_stamps(
    rows: list[_Row], options: FolderOptions, progress: Callable[[int, int], None] | None
) -> list[tuple[Float32[np.ndarray, "size size *band"], tuple[str, ...]] | str]:
    """The stamp and its band names, or the reason why there is none, of every row, in order."""

    def one(row: _Row) -> tuple[np.ndarray, tuple[str, ...]] | str:
        is_picture = row.file.name.lower().endswith(PICTURE_ENDINGS)
        try:
            pixels = read_image(row.file)
            stamp = to_stamp(
                pixels, is_picture=is_picture, channel=options.channel, crop=options.crop, size=options.image_size
            )
        except UnusableImage as reason:
            return str(reason)
        bands = stamp.shape[2] if stamp.ndim == 3 else 1
        return stamp, band_names(options.channel, pixels.ndim, bands, is_picture=is_picture)

    with ThreadPoolExecutor(_READERS) as readers:
        return list(_reported(readers.map(one, rows), len(rows), progress))


def _reported(items: Iterable[_Item], total: int, progress: Callable[[int, int], None] | None) -> Iterable[_Item]:
    for done, item in enumerate(items, 1):
        if progress is not None and (done % _IMAGES_BETWEEN_REPORTS == 0 or done == total):
            progress(done, total)
        yield item


def _stamp_scale(file: Path, options: FolderOptions) -> float:
    """Arcsec per pixel of the stamps: the files' own, times how many of their pixels make one of the stamp's.

    Known only where the crop, and with it that number, is the same for all files.
    """
    if options.crop is not None:
        return options.pixel_scale * options.crop / options.image_size
    is_picture = file.name.lower().endswith(PICTURE_ENDINGS)
    return options.pixel_scale * (3 if is_picture else 1)
