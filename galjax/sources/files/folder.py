"""A user's own galaxies in a folder: `read_folder`, which is `galjax.read` with its options in one object."""

import os
from collections.abc import Callable
from pathlib import Path

from galjax.errors import InputError
from galjax.sample import GalaxySample
from galjax.sources.files.reading import read_files
from galjax.sources.options import FolderOptions

__all__ = ["FolderOptions", "read_folder"]


def read_folder(
    path: str | os.PathLike[str],
    options: FolderOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GalaxySample:
    """The galaxies of a folder, in any form that `galjax.read` knows; usually a table `catalogue.csv` and `images/<id>.jpg`.

    A galaxy is kept where its row has exactly one class and its one image file is whole, finite and not blank; every other row,
    and every file of the folder that is not used, is in `excluded` with the reason. Of rows with the same id the first is kept
    where all agree in class and redshift, and none otherwise. Pixel values are float32 in the file's units; galaxies keep the
    table's order. `progress` is told (images read, in all).

    Raises InputError where the folder, its one table or a needed column is missing, or no galaxy is left.
    """
    if not Path(path).is_dir():
        raise InputError(f"There is no folder {path}.")
    return read_files(path, options or FolderOptions(), progress)
