"""From a path to a sample, in whatever form the galaxies are there: what `galjax.read` and every `--data` do."""

import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from galjax.errors import InputError
from galjax.sample import GalaxySample
from galjax.sources.files.assembly import assemble, scale_of
from galjax.sources.files.detection import find_galaxies
from galjax.sources.options import FolderOptions


def read(
    path: str | os.PathLike[str],
    *,
    images: str | os.PathLike[str] | None = None,
    votes: Sequence[str] | str = (),
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> GalaxySample:
    """The galaxies of a path, labelled or not, in whatever usual form they are there; which it is, is found out.

    Forms: a folder with a table and images, with a folder for each class (also below train, val, test), or with images alone; a
    table of labels or votes (csv, ecsv, fits, vot, parquet, jsonl); HDF5, .npz or .npy; a saved sample. `images` is the folder of
    the image files. `votes` are thresholds, such as "spiral: P_CS > 0.8", or the name of a recipe (kaggle, gz2, gz-decals,
    galaxy-datasets, efigi). Further options are the fields of `galjax.FolderOptions`: label_column, file_column, file_pattern, id_column,
    class_columns, redshift_column, split, image_size (px), enlarge, crop (px), channel, bands, pixel_scale (arcsec).

    Images are float32 of shape (galaxy, image_size, image_size), with several bands (galaxy, image_size, image_size, band), in
    the file's units. What cannot be used is in the sample's `excluded`, with the reason. Raises InputError where no form fits, a
    column or folder is missing, or no galaxy is left.
    """
    names = {field.name for field in dataclasses.fields(FolderOptions)} - {"images", "vote", "labels_needed"}
    unknown = sorted(set(options) - names)
    if unknown:
        raise InputError(
            f"galjax.read() does not know {unknown[0]!r}; it takes images, votes, {', '.join(sorted(names))}."
        )
    for name in ("bands", "class_columns"):
        if name in options:
            options[name] = tuple(options[name])
    chosen = FolderOptions(
        images=None if images is None else str(images),
        vote=(votes,) if isinstance(votes, str) else tuple(votes),
        **options,
    )
    return read_files(path, chosen, progress)


def read_files(
    path: str | os.PathLike[str], options: FolderOptions, progress: Callable[[int, int], None] | None = None
) -> GalaxySample:
    """As `read`, with all options in one. `progress` is told (images read, images in all)."""
    galaxies = find_galaxies(Path(path), options)
    if galaxies is None:
        sample = GalaxySample.load(path)
        check_no_options(options, sample.images.shape[1], str(path))
        return sample
    if math.isnan(options.pixel_scale):
        options = dataclasses.replace(options, pixel_scale=scale_of(galaxies))
    return assemble(galaxies, options, progress)


def check_no_options(options: FolderOptions, height: int, data: str) -> None:
    """Raise InputError for options of files, which have no effect on images that are `height` px high already."""
    given = {
        field.name: getattr(options, field.name)
        for field in dataclasses.fields(FolderOptions)
        if repr(getattr(options, field.name)) != repr(field.default)  # of a NaN too
    }
    if given.get("image_size") == height:
        del given["image_size"]
    if given:
        name, value = next(iter(given.items()))
        instead = " --simulated.image-size sets the size of simulated images." if name == "image_size" else ""
        raise InputError(
            f"--{name.replace('_', '-')} {value} is for a folder of images and has no effect on --data {data}. Leave it out.{instead}"
        )
