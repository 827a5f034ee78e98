"""All images in one array: HDF5 (Galaxy10, GalaxyMNIST and others), .npz, and .npy with the labels in a file beside it."""

import contextlib
import dataclasses
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table

from galjax.errors import InputError
from galjax.io.host import host_memory
from galjax.sources.files.assembly import Galaxies
from galjax.sources.files.columns import ID_NAMES, PIXEL_SCALE_NAMES, find_column, read_numbers
from galjax.sources.files.folder_rows import columns_of_table, galaxies_of, select_rows
from galjax.sources.files.labels import LABEL_NAMES
from galjax.sources.files.pixels import ArrayPixels
from galjax.sources.options import FolderOptions

IMAGE_NAMES = ("images", "image", "x", "data", "x_train", "pixels")
FURTHER_LABELS = ("ans", "labels", "y", "target", "classes", "y_train")
BESIDE = {"images": "labels", "image": "label", "X": "y", "x": "y", "data": "labels"}
"""Parts of the names of two .npy files that belong together: X_train.npy and y_train.npy."""
HDF5_ENDINGS = (".h5", ".hdf5", ".he5", ".hdf")


class Known(NamedTuple):
    """A published set of images."""

    name: str
    size: int
    labels: str
    classes: tuple[str, ...]


KNOWN = (
    Known(
        "Galaxy10 SDSS",
        69,
        "ans",
        (
            "disk face-on no spiral",
            "smooth completely round",
            "smooth in-between round",
            "smooth cigar shaped",
            "disk edge-on rounded bulge",
            "disk edge-on boxy bulge",
            "disk edge-on no bulge",
            "disk face-on tight spiral",
            "disk face-on medium spiral",
            "disk face-on loose spiral",
        ),
    ),
    Known(
        "Galaxy10 DECaLS",
        256,
        "ans",
        (
            "disturbed",
            "merging",
            "round smooth",
            "in-between round smooth",
            "cigar shaped smooth",
            "barred spiral",
            "unbarred tight spiral",
            "unbarred loose spiral",
            "edge-on without bulge",
            "edge-on with bulge",
        ),
    ),
    Known("GalaxyMNIST", 64, "labels", ("smooth round", "smooth cigar", "edge on disk", "unbarred spiral")),
    Known("GalaxyMNIST", 224, "labels", ("smooth round", "smooth cigar", "edge on disk", "unbarred spiral")),
)


def read_hdf5(path: Path, options: FolderOptions) -> Galaxies:
    """The galaxies of an HDF5 file with a dataset of images. Raises InputError where there is none, or it is damaged."""
    import h5py

    try:
        file = h5py.File(path, "r", rdcc_nbytes=1 << 28)
        arrays: dict[str, Any] = {}
        for name in file:
            # A link may lead into another file; what it names is not followed.
            if isinstance(file.get(name, getlink=True), h5py.HardLink) and isinstance(file[name], h5py.Dataset):
                data = file[name]
                if data.external is None and not data.is_virtual:
                    arrays[str(name)] = data if data.ndim != 1 else _read_whole(data)
    except InputError:
        raise
    except Exception as error:  # HDF5 raises whatever a damaged file leads it to
        raise _damaged(path, "HDF5", error) from error
    return _of_arrays(path, arrays, options)


def read_npz(path: Path, options: FolderOptions) -> Galaxies:
    """The galaxies of an .npz file with an array of images. Raises InputError."""
    try:
        with zipfile.ZipFile(path) as zipped:
            _check_memory(path, sum(part.file_size for part in zipped.infolist()))
            parts = {part.filename.removesuffix(".npy"): part for part in zipped.infolist()}
            arrays = {name: array for name, part in parts.items() if (array := _array_in(zipped, part)) is not None}
    except InputError:
        raise
    except Exception as error:  # NumPy evaluates headers, which may be any text
        raise _damaged(path, ".npz", error) from error
    return _of_arrays(path, arrays, options)


def _array_in(zipped: zipfile.ZipFile, part: zipfile.ZipInfo) -> np.ndarray | None:
    """An array of an .npz file, as large as its header says; None for what is no array."""
    with zipped.open(part) as stream:
        magic = stream.read(len(np.lib.format.MAGIC_PREFIX))
    if magic != np.lib.format.MAGIC_PREFIX:
        return None
    with zipped.open(part) as stream:
        is_first = np.lib.format.read_magic(stream) == (1, 0)
        read_header = np.lib.format.read_array_header_1_0 if is_first else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    if math.prod(shape) * dtype.itemsize > part.file_size or min(shape, default=0) < 0:
        raise ValueError(f"{part.filename} is cut off: it declares shape {shape}")
    with zipped.open(part) as stream:
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def read_npy(path: Path, options: FolderOptions) -> Galaxies:
    """The galaxies of an .npy file of images, labelled by one beside it (images and labels, X and y). Raises InputError."""
    arrays = {"images": _load_npy(path)}
    beside = [path.with_name(name) for name in labels_beside(path.name)]
    labels = next((file for file in beside if file.is_file()), None)
    if labels is not None:
        arrays["labels"] = np.array(_load_npy(labels))
    galaxies = _of_arrays(path, arrays, options)
    return dataclasses.replace(galaxies, counted=galaxies.counted + (f" with {labels.name}" if labels else ""))


def labels_beside(name: str) -> list[str]:
    """What the file of the labels may be called beside this one of images."""
    stem = name.removesuffix(".npy")
    renamed = (stem.replace(one, other) for one, other in BESIDE.items() if one in stem)
    return [f"{other}.npy" for other in renamed if other != stem]


def _load_npy(path: Path) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # NumPy evaluates the header, which may be any text
        raise _damaged(path, ".npy", error) from error
    return np.asarray(array) if not isinstance(array, np.ndarray) else array


def _damaged(path: Path, kind: str, error: Exception) -> InputError:
    reason = (" ".join(str(error).split()) or type(error).__name__)[:150]
    return InputError(f"{path.name} cannot be read as {kind} ({reason}). Make or copy it again.")


def _check_memory(path: Path, size: int) -> None:
    if size > host_memory():
        raise InputError(
            f"{path.name} unpacks to {size / 1e9:.0f} GB, more than this machine's memory. Give fewer galaxies."
        )


def _read_whole(data: Any) -> np.ndarray:
    if data.nbytes > 2 * 10**9:
        raise ValueError(f"{data.name} declares {data.nbytes / 1e9:.0f} GB")
    return np.asarray(data.asstr()[:] if data.dtype.kind in "OS" else data[:])


def _of_arrays(path: Path, arrays: Mapping[str, Any], options: FolderOptions) -> Galaxies:
    lowered = {name.lower(): name for name in arrays}
    cubes = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    usual = [lowered[name] for name in IMAGE_NAMES if name in lowered and lowered[name] in cubes]
    shapes = ", ".join(f"{name} {array.shape}" for name, array in list(arrays.items())[:10]) or "nothing"
    if not cubes:
        raise InputError(
            f"{path.name} holds no images: (galaxy, height, width) or (galaxy, height, width, band) is needed, and there is "
            f"{shapes}."
        )
    if len(cubes) > 1 and not usual:
        raise InputError(f"{path.name} holds several arrays of images ({shapes}); call one of them images.")
    name = usual[0] if usual else cubes[0]
    images = arrays[name]
    count = len(images)
    if images.dtype.kind not in "uif" or not count:
        raise InputError(f"{path.name} holds images of type {images.dtype} and shape {images.shape}, not numbers.")
    table = Table({"row": np.arange(count)})
    for other, array in arrays.items():
        if other != name and array.ndim == 1 and len(array) == count and array.dtype.kind in "biufSUO":
            table[other] = array.astype(str) if array.dtype.kind == "O" else array
    known = _label(table, arrays, images, count, options)
    if options.id_column is None and find_column(table, None, ID_NAMES, "id", "", path.name) is None:
        table["id"] = table["row"]
    unequal = [other for other, array in arrays.items() if other != name and (array.ndim == 0 or len(array) != count)]
    columns = columns_of_table(table, path, options)
    rows, excluded, note = select_rows(columns, None, path.name)
    pixels = ArrayPixels(images, rows.rows, f"{path.name} {name}")
    about = {"label": f"{columns.provenance['label']}, as {known.name} has them"} if known else {}
    return galaxies_of(
        columns,
        rows,
        pixels,
        form=f"{known.name if known else 'arrays'} in {path.name}",
        source=str(path),
        counted=f"{path.name}: {count} images",
        place=f"images in the array {name}",
        excluded=tuple(excluded),
        provenance={"file": path.name, **columns.provenance, **about, "image files": f"array {name}"},
        notes=(note, f"Not used, because of other lengths: {', '.join(unequal)}." if unequal else ""),
        pixel_scale=_pixel_scale(table, path.name),
    )


def _label(table: Table, arrays: Mapping[str, Any], images: Any, count: int, options: FolderOptions) -> Known | None:
    """Give the table a column `label` where its labels are called otherwise; the published set that it is, if any."""
    lowered = {name.lower(): name for name in arrays}
    if options.label_column is not None or options.vote or set(LABEL_NAMES) & {n.lower() for n in table.colnames}:
        return None
    name = next((lowered[one] for one in FURTHER_LABELS if one in lowered), None)
    if name is None:
        return None
    labels = np.asarray(arrays[name])
    if labels.shape[:1] != (count,) or labels.ndim > 2:
        raise InputError(
            f"There are {count} images and labels of shape {labels.shape} ({name}); one label each is needed."
        )
    if labels.ndim == 2 and labels.shape[1] > 1:
        one_hot = (labels == 1).sum(axis=1) == 1
        labels = np.where(one_hot, (labels == 1).argmax(axis=1).astype(str), "")
    labels = labels.reshape(count)
    table["label"] = labels
    for known in KNOWN:
        is_it = name == known.labels and images.shape[1:] == (known.size, known.size, 3) and labels.dtype.kind in "iu"
        if is_it and labels.min() >= 0 and labels.max() < len(known.classes):
            table["label"] = np.array(known.classes)[labels]
            return known
    return None


def _pixel_scale(table: Table, name: str) -> float:
    """Arcsec per pixel where the table has one for all; NaN otherwise."""
    column = find_column(table, None, PIXEL_SCALE_NAMES, "pixel scale", "", name)
    if column is None:
        return float("nan")
    scales = np.unique(read_numbers(table, column, name)[0])
    return float(scales[0]) if len(scales) == 1 and scales[0] > 0 else float("nan")


def is_hdf5(path: Path) -> bool:
    """Whether a file begins as HDF5 does."""
    with contextlib.suppress(OSError), open(path, "rb") as stream:
        return stream.read(8) == b"\x89HDF\r\n\x1a\n"
    return False
