"""Which form a path is: the one place that decides it. Every form is a module of its own, and gives `Galaxies`."""

import os
from pathlib import Path

from galjax.errors import InputError, printable
from galjax.io.fits_files import open_fits
from galjax.io.table_files import FORMATS, format_of
from galjax.sources.files.arrays import HDF5_ENDINGS, is_hdf5, labels_beside, read_hdf5, read_npy, read_npz
from galjax.sources.files.assembly import Galaxies
from galjax.sources.files.class_folders import SPLIT_FOLDERS, read_class_folders, read_unlabelled
from galjax.sources.files.folder_rows import MAPPING
from galjax.sources.files.image_files import FITS_ENDINGS
from galjax.sources.files.image_names import image_ending
from galjax.sources.files.tables import folders_of_images, read_table
from galjax.sources.options import FolderOptions

KNOWN_TABLES = (
    "training_solutions_rev1.csv",
    "gz2_hart16.csv",
    "metadata.csv",
    "metadata.jsonl",
    "labels.csv",
    "efigi_attributes.txt",
)
"""Taken before other tables of a folder, after catalogue.*"""
_FORMS = (
    "a folder of images with a table, with a folder for each class, or without labels; a table "
    "(csv, ecsv, fits, vot, parquet, jsonl); HDF5, .npz or .npy with images; a saved sample"
)


def find_galaxies(path: Path, options: FolderOptions) -> Galaxies | None:
    """What there is, in whatever form; None for a saved sample. No image is read.

    Raises InputError where no form fits, or more than one, or there is no table with the columns to keep.
    """
    found = _find_galaxies(path, options)
    for name in options.keep_columns:
        if found is not None and name not in found.columns:
            raise InputError(f"--keep-columns {name}: {path} has no table beside its images. Leave it out.")
    return found


def _find_galaxies(path: Path, options: FolderOptions) -> Galaxies | None:
    if path.is_dir():
        return _of_folder(path, options)
    if not path.is_file():
        raise InputError(f"There is no file or folder {path}. Give one of: {_FORMS}.")
    name = path.name.lower()
    if is_hdf5(path) or name.endswith(HDF5_ENDINGS):
        return read_hdf5(path, options)
    if name.endswith(".npz"):
        return read_npz(path, options)
    if name.endswith(".npy"):
        return read_npy(path, options)
    if image_ending(name) in (*FITS_ENDINGS, *(f"{ending}.gz" for ending in FITS_ENDINGS)):
        kind = kind_of_fits(path)
        if kind == "image":
            raise InputError(f"{path} is FITS, but not a sample or a table of galaxies. Give one of: {_FORMS}.")
        return read_table(path, options) if kind == "table" else None  # whose reader says what else is wrong
    if image_ending(name):
        raise InputError(f"{path} is one image, not many galaxies. Give the folder that it is in, or one of: {_FORMS}.")
    if format_of(path) is not None:
        return read_table(path, options)
    raise InputError(f"{path} has an ending that is not read. Give one of: {_FORMS}.")


def kind_of_fits(path: Path) -> str:
    """sample, table, image, or empty for a file that cannot be read."""
    try:
        content = path.read_bytes() if path.name.lower().endswith(".gz") else path
        with open_fits(content) as hdus:
            if "GALJAX" in hdus[0].header:
                return "sample"
            if any(hdu.header.get("XTENSION", "").strip() in ("BINTABLE", "TABLE") for hdu in hdus):
                return "table"
            return "image"
    except Exception:  # astropy raises whatever a damaged file leads it to; its reader says what is wrong
        return ""


def _of_folder(folder: Path, options: FolderOptions) -> Galaxies:
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith("."))
    catalogues = [name for name in names if name in {f"catalogue.{ending}" for ending in FORMATS}]
    if len(catalogues) > 1:
        raise InputError(f"{folder} has {' and '.join(catalogues)}; keep one of them.")
    tables = catalogues or [name for name in names if name.lower() in KNOWN_TABLES] or _tables(folder, names)
    if len(tables) > 1:
        raise InputError(
            f"{folder} has several tables ({', '.join(map(printable, tables[:10]))}). Give one of them instead of the folder, "
            f"like {folder / tables[0]}."
        )
    if tables:
        return read_table(folder / tables[0], options)
    stacks = [name for name in names if name.lower().endswith((*HDF5_ENDINGS, ".npz"))]
    if len(stacks) == 1:
        path = folder / stacks[0]
        return read_npz(path, options) if path.suffix.lower() == ".npz" else read_hdf5(path, options)
    pair = _arrays_with_labels(names)
    if pair is not None:
        return read_npy(folder / pair, options)
    if any(map(image_ending, names)):
        return read_unlabelled(folder, options)
    holding = folders_of_images(folder)
    if len(holding) == 1 and holding[0].name.lower() not in SPLIT_FOLDERS:
        return _of_folder(holding[0], options)
    if holding:
        return read_class_folders(folder, options)
    raise InputError(
        f"{folder} has no catalogue; one of {', '.join(f'catalogue.{ending}' for ending in FORMATS)} is needed, with a column of "
        f"ids and of classes, or another form: {_FORMS}."
    )


def _arrays_with_labels(names: list[str]) -> str | None:
    """The .npy file of images in a folder whose only images are that and the labels (X.npy and y.npy)."""
    images = [name for name in names if image_ending(name)]
    if len(images) != 2 or not all(name.lower().endswith(".npy") for name in images):
        return None
    return next((one for one in images for other in labels_beside(one) if other in images), None)


def _tables(folder: Path, names: list[str]) -> list[str]:
    """The tables among the files of a folder; of FITS files, which may be images, only the first few are looked into."""
    found = [
        name
        for name in names
        if format_of(Path(name)) not in (None, "fits")
        and name.lower() != MAPPING
        and not name.lower().startswith(("readme", "license"))
    ]
    in_fits = [name for name in names if format_of(Path(name)) == "fits"]
    return found + [name for name in in_fits[:3] if kind_of_fits(folder / name) == "table"]
