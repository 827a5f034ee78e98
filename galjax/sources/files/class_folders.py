"""Images without a table: a folder for each class, also below train, val and test; or one folder that nobody has labelled."""

from pathlib import Path
from types import MappingProxyType

import numpy as np
from astropy.table import Table

from galjax.sources.files.assembly import Galaxies
from galjax.sources.files.columns import read_ids
from galjax.sources.files.folder_rows import SPLITS, Columns, galaxies_of, select_rows
from galjax.sources.files.image_names import ImageFiles, list_images
from galjax.sources.files.labels import Classes, Words, of_names
from galjax.sources.files.pixels import FilePixels
from galjax.sources.options import FolderOptions

SPLIT_FOLDERS = {"train", "val", "test", *SPLITS}


def read_class_folders(folder: Path, options: FolderOptions) -> Galaxies:
    """The galaxies of folders that are called by their classes; labels are in lower case. Raises InputError."""
    files = list_images(folder, deep=True, tables=False)
    parts = [name.split("/") for name in files.names]
    splits = [part[0].lower() if part[0].lower() in SPLIT_FOLDERS and len(part) > 1 else "" for part in parts]
    inner = [part[1:] if split else part for part, split in zip(parts, splits, strict=True)]
    names = [part[0] if len(part) > 1 else "" for part in inner]
    classes = of_names(names, how="names of folders")
    classes = classes._replace(words=Words(missing="is in no folder of a class"))
    further = {}
    if any(splits):
        counts = {split: splits.count(split) for split in dict.fromkeys(filter(None, splits))}
        classes = classes._replace(how="names of folders in " + ", ".join(f"{s} ({n})" for s, n in counts.items()))
        if options.split == "given":
            further["split"] = np.array([SPLITS.get(split, split) for split in splits], dtype=np.str_)
    return _galaxies(folder, files, classes, options, f"a folder for each class in {folder.name}/", further)


def read_unlabelled(folder: Path, options: FolderOptions) -> Galaxies:
    """The galaxies of a folder of images, which nobody has labelled."""
    files = list_images(folder, tables=False)
    how = f"none: {folder.name}/ has images, and neither a table nor folders of classes"
    classes = Classes(np.zeros((0, len(files.names)), np.int8), (), Words(), how)
    return _galaxies(folder, files, classes, options, f"images without labels in {folder.name}/")


def _galaxies(
    folder: Path,
    files: ImageFiles,
    classes: Classes,
    options: FolderOptions,
    form: str,
    further: dict[str, np.ndarray] | None = None,
) -> Galaxies:
    stems = [name.rpartition("/")[2] for name in files.names]
    unique = len(set(stems)) == len(stems)
    # Empty names cannot be: files with nothing before their endings are hidden.
    ids, present = read_ids(Table({"id": np.array(stems if unique else files.names, dtype=np.str_)}), "id", folder.name)
    columns = Columns(
        ids,
        present,
        classes.flags,
        np.full(len(stems), np.nan),
        classes.names,
        {"label": classes.how, "ids": "names of the files" if unique else "paths of the files"},
        classes.words,
        further=MappingProxyType(further or {}),
        labels_needed=options.labels_needed,
    )
    # Ids and files are the same thing here, so that each is found by its place.
    by_place = ImageFiles(tuple(map(str, ids.tolist())), files.paths, files.unread, files.folder)
    rows, excluded, note = select_rows(columns, by_place, "")
    return galaxies_of(
        columns,
        rows,
        FilePixels(rows.files, rows.names),
        form=form,
        source=str(folder),
        counted=f"{folder.name}/: {len(stems)} images",
        place=f"images in {folder.name}/",
        excluded=tuple(excluded),
        provenance={"folder": folder.resolve().name, **columns.provenance},
        notes=(note,) if classes.names else (f"No labels: {classes.how.removeprefix('none: ')}.", note),
    )
