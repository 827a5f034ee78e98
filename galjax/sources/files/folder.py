"""A user's own galaxies: a folder with a catalogue table and one image file per galaxy."""

import collections
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32

from galjax.errors import InputError, printable
from galjax.io.arrays import depth_of
from galjax.io.table_files import FORMATS
from galjax.sample import Exclusion, GalaxySample
from galjax.sources.files.folder_rows import Columns, read_columns, select_rows
from galjax.sources.files.image_files import (
    PICTURE_ENDINGS,
    UnusableImage,
    band_names,
    crop_width,
    read_image,
    to_stamp,
)
from galjax.sources.files.image_names import ImageFiles, list_images
from galjax.sources.options import FolderOptions

_Item = TypeVar("_Item")
_READERS = 4
_IMAGES_BETWEEN_REPORTS = 50


class _Stamp(NamedTuple):
    """What becomes of one image file."""

    pixels: Float32[np.ndarray, "size size *band"]
    bands: tuple[str, ...]
    shrunk_by: float
    depth: dict[str, str]
    """Bits of the file's pixels (`galjax.io.arrays.depth_of`)."""


def read_folder(
    path: str | os.PathLike[str],
    options: FolderOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GalaxySample:
    """The galaxies of a folder with `catalogue.{csv,ecsv,fits,vot}` and `images/<id>.{jpg,jpeg,png,fits,fit,fts,npy}`.

    A galaxy is kept where its row has exactly one class flag and its one image file is whole, finite, not blank and large
    enough; every other row, and every file in images/ that is not used, is in `excluded` with the reason. Of rows with the
    same id the first is kept where all agree in class and redshift, and none otherwise. Pixel values are float32 in the
    file's units; galaxies keep the catalogue's order. The pixel scale is that of the stamps, NaN where files were shrunk by
    different factors. What the user should know is said in `provenance["note"]`. `progress` is told (images read, in all).

    Raises InputError where the folder, its one catalogue or a needed column is missing, or no galaxy is left.
    """
    options, folder = options or FolderOptions(), Path(path)
    catalogue = _find_catalogue(folder)
    columns = read_columns(catalogue, options.id_column, options.class_columns, options.redshift_column)
    files = list_images(folder / "images")
    rows, excluded, note = select_rows(columns, files, catalogue.name)
    read = _read_stamps(rows.files, options, progress)
    bands = collections.Counter(stamp.bands for stamp in read if isinstance(stamp, _Stamp))
    usual = bands.most_common(1)[0][0] if bands else ()
    stamps: dict[int, _Stamp] = {}
    for number, stamp in enumerate(read):
        if isinstance(stamp, _Stamp) and len(stamp.bands) == len(usual):
            stamps[number] = stamp
        else:
            reason = (
                stamp
                if isinstance(stamp, str)
                else f"has {len(stamp.bands)} band(s) where most images have {len(usual)}"
            )
            excluded.append(Exclusion(str(rows.ids[number]), f"images/{rows.files[number].name}", reason))
    if not stamps:
        raise InputError(_nothing_left(folder, excluded, files, columns))
    kept = np.array(list(stamps))
    scale, shrinking = _shrinking([stamp.shrunk_by for stamp in stamps.values()], options)
    notes = [columns.provenance.get("note"), note, shrinking.pop("note", "")]
    return GalaxySample(
        images=np.stack([stamp.pixels for stamp in stamps.values()]),
        labels=rows.labels[kept],
        class_names=columns.class_names,
        ids=rows.ids[kept],
        redshift=rows.redshift[kept],
        pixel_scale=scale,
        bands=usual,
        provenance={
            "folder": folder.resolve().name,
            "catalogue": catalogue.name,
            "channel": str(options.channel),
            "crop": "automatic" if options.crop is None else f"{options.crop} px",
            "image size": f"{options.image_size} px, shrunk by the mean over covered pixels",
            **shrinking,
            "units": "as in the image files (JPEG/PNG images: counts from 0)",
            **{key: value for stamp in stamps.values() for key, value in stamp.depth.items()},
            **columns.provenance,
            "kept": str(len(kept)),
            "left out": str(len(excluded)),
            **({"note": " ".join(filter(None, notes))} if any(notes) else {}),
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


def _nothing_left(folder: Path, excluded: list[Exclusion], files: ImageFiles, columns: Columns) -> str:
    reasons = "; ".join(f"{printable(row.id or row.file)}: {printable(row.reason)}" for row in excluded[:3])
    sentence = f"No galaxy of {folder} can be used: {len(excluded)} left out, the first are {reasons}."
    lacking = [row.id for row in excluded if row.reason.startswith("no image file")]
    if lacking and files.names and len(lacking) >= columns.present.sum():
        sentence += (
            f" No id is the name of an image file: ids are like {printable(lacking[0])}, and files like "
            f"{printable(files.names[0])}. Call each file by its id, or name another --id-column."
        )
    return sentence


def _read_stamps(
    files: list[Path], options: FolderOptions, progress: Callable[[int, int], None] | None
) -> list[_Stamp | str]:
    """The stamp of every file, or the reason why there is none, in order."""

    def one(file: Path) -> _Stamp | str:
        is_picture = file.name.lower().endswith(PICTURE_ENDINGS)
        size = options.image_size
        try:
            pixels = read_image(file)
            stamp = to_stamp(pixels, is_picture=is_picture, channel=options.channel, crop=options.crop, size=size)
        except UnusableImage as reason:
            return str(reason)
        count = stamp.shape[2] if stamp.ndim == 3 else 1
        shrunk_by = crop_width(pixels.shape, is_picture=is_picture, crop=options.crop, size=size) / size
        bands = band_names(options.channel, pixels.ndim, count, is_picture=is_picture)
        return _Stamp(stamp, bands, shrunk_by, depth_of(pixels))

    with ThreadPoolExecutor(_READERS) as readers:
        return list(_reported(readers.map(one, files), len(files), progress))


def _reported(items: Iterable[_Item], total: int, progress: Callable[[int, int], None] | None) -> Iterable[_Item]:
    for done, item in enumerate(items, 1):
        if progress is not None and (done % _IMAGES_BETWEEN_REPORTS == 0 or done == total):
            progress(done, total)
        yield item


def _shrinking(factors: list[float], options: FolderOptions) -> tuple[float, dict[str, str]]:
    """Arcsec per pixel of the stamps, NaN where they were shrunk by different factors; and what the sample says of that."""
    counted = sorted(collections.Counter(factors).items())
    described = ", ".join(f"{factor:g} ({n} image{'s' if n > 1 else ''})" for factor, n in counted)
    said = {"shrunk by": described}
    if len(counted) == 1:
        return options.pixel_scale * factors[0], said
    narrowest = round(counted[0][0] * options.image_size)
    said["note"] = (
        f"The images were shrunk by different factors, {described}, so that there is no one pixel scale. "
        f"--crop {narrowest} uses the same number of pixels of each."
    )
    return float("nan"), said
