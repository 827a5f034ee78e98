"""A table of galaxies, and an image file for each: the folder with a catalogue, and every table with labels or votes."""

import os
from pathlib import Path

from galjax.errors import InputError, printable
from galjax.sources.files.assembly import Galaxies
from galjax.sources.files.folder_rows import Columns, galaxies_of, read_columns, select_rows
from galjax.sources.files.image_names import ImageFiles, files_below, image_ending, list_images
from galjax.sources.files.pixels import FilePixels
from galjax.sources.options import FolderOptions

_TRIED = 1000
"""Rows that are looked for in each of several folders of images."""


def read_table(path: Path, options: FolderOptions) -> Galaxies:
    """The galaxies of a table, whose images are in a folder beside it or in `options.images`. Raises InputError."""
    columns = read_columns(path, options)
    files = _images_of(path, columns, options)
    rows, excluded, note = select_rows(columns, files, path.name)
    lacking = [row.id for row in excluded if row.reason.startswith("no image file")]
    hint = ""
    if lacking and files.names and len(lacking) >= columns.present.sum():
        hint = _beside(lacking[0], columns, files)
    return galaxies_of(
        columns,
        rows,
        FilePixels(rows.files, rows.names),
        form=f"table {path.name} with images",
        source=str(path.parent),
        counted=f"{path.name}: {len(columns.ids)} row{'s' * (len(columns.ids) != 1)}",
        place=f"images in {files.folder.name}/",
        excluded=tuple(excluded),
        provenance={"folder": path.resolve().parent.name, "catalogue": path.name, **columns.provenance},
        notes=(note,),
        hint=hint,
    )


def _beside(lacking: str, columns: Columns, files: ImageFiles) -> str:
    """A sentence with an id beside a file name, and how they may be brought together."""
    called, first = "No id is the name of an image file: ids are", files.first
    if columns.files is not None:
        called, lacking = "No name of an image file in the table is there: names are", next(filter(None, columns.files))
    advice = "Call each file by its id, or name another --id-column, --file-column or --images."
    inside = next((name for name in files.names if columns.files is None and lacking in name), None)
    if inside is not None:
        pattern = inside.replace(lacking, f"{{{columns.provenance['ids']}}}") + image_ending(first)
        advice = f"They fit with --file-pattern '{printable(pattern)}'."
    return f" {called} like {printable(lacking)}, and files like {printable(first)}. {advice}"


def _images_of(path: Path, columns: Columns, options: FolderOptions) -> ImageFiles:
    """The files of the folder of images: the one that is named, or images/, or the one that holds what the table names."""
    parent, deep = path.parent, columns.files is not None
    if options.images is not None:
        folder = next((place for place in (Path(options.images), parent / options.images) if place.is_dir()), None)
        if folder is None:
            there = Path(options.images)
            what = "is a file, not a folder of images" if there.is_file() else "is no folder"
            raise InputError(f"--images {options.images} {what}. Give the folder that holds the image files.")
        return list_images(folder, deep=deep, tables=False)
    if (parent / "images").is_dir():
        return list_images(parent / "images", deep=deep)
    if any(image_ending(name) and name != path.name for name in os.listdir(parent)):
        return list_images(parent, deep=deep, tables=False)
    holding = folders_of_images(parent)
    wanted = columns.files or list(map(str, columns.ids.tolist()))
    found = {}
    for folder in holding if len(holding) > 1 else ():
        files = list_images(folder, deep=deep, tables=False)
        some = wanted[:_TRIED]
        at = files.find_files(some)[1] if deep else files.find(some)[0]
        found[folder] = int((at >= 0).sum())
    with_some = [folder for folder, count in found.items() if count]
    if len(holding) == 1 or len(with_some) == 1:
        return list_images((with_some or holding)[0], deep=deep, tables=False)
    if with_some and deep:
        return list_images(parent, deep=True, tables=False)
    if holding:
        names = ", ".join(folder.name for folder in holding[:10])
        which = "several of them hold" if with_some else "none of them holds"
        raise InputError(
            f"{parent} has the folders {printable(names)} with images, and {which} files of the ids of {path.name}, such as "
            f"{printable(wanted[0])}. Name one with --images."
        )
    raise InputError(
        f"{parent} has no folder images/; it must hold one file <id>.jpeg, .png, .fits or .npy a galaxy. --images names another "
        f"folder."
    )


def folders_of_images(folder: Path) -> list[Path]:
    """The folders directly in a folder that hold image files, themselves or in folders in them."""
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    return [one for one in inside if any(image_ending(path.name) for path in files_below(one))]
