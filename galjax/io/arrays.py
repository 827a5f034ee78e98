"""From the arrays of a notebook to the parts of a sample, with a sentence where they do not fit together."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int32, Shaped
from numpy.typing import ArrayLike

from galjax.errors import InputError

KNOWN = ("redshift", "pixel_scale", "bands")
DEPTH, EIGHT_BIT = "pixel depth", "8 bit"
"""Key and value of a sample's provenance where its pixels come from 8-bit images."""


def sample_of_arrays(
    images: ArrayLike,
    labels: ArrayLike | None,
    class_names: Sequence[str] | None,
    ids: ArrayLike | None,
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """The arguments of `GalaxySample` (see `GalaxySample.from_arrays`)."""
    unknown = sorted(set(known) - set(KNOWN))
    if unknown:
        raise InputError(
            f"from_arrays() does not know {unknown[0]!r}; besides images, labels, class_names and ids it takes "
            f"{', '.join(KNOWN)}."
        )
    pixels = _pixels(images)
    count, bands = len(pixels), pixels.shape[3] if pixels.ndim == 4 else 1
    numbers, names = _labels(labels, class_names, count)
    redshift = known.get("redshift")
    scale = known.get("pixel_scale")
    return {
        "images": pixels,
        "labels": numbers,
        "class_names": names,
        "ids": _ids(ids, count),
        "redshift": np.full(count, np.nan) if redshift is None else _redshifts(redshift, count),
        "pixel_scale": float("nan") if scale is None else _scale(scale),
        "bands": _bands(known.get("bands"), bands),
        "provenance": {"source": "arrays", "units": "as in the arrays", **depth_of(images)},
    }


def depth_of(images: Any) -> dict[str, str]:
    """What a sample's provenance says of the depth of pixels: something where they are of 8 bits."""
    return {DEPTH: EIGHT_BIT} if np.asarray(images).dtype == np.uint8 else {}


def _pixels(images: ArrayLike) -> Float32[np.ndarray, "galaxy height width *band"]:
    try:
        pixels = np.asarray(images)
    except ValueError as error:
        raise InputError("The images differ in shape. Crop or resample them to one size first.") from error
    if pixels.dtype.kind not in "buif" or pixels.ndim not in (3, 4) or not pixels.size:
        raise InputError(
            f"Images are numbers of shape (galaxy, height, width) or (galaxy, height, width, band), not {pixels.dtype} of "
            f"shape {pixels.shape}."
        )
    if pixels.ndim == 4 and pixels.shape[1] < min(pixels.shape[2:]) and pixels.shape[1] <= 16:
        raise InputError(
            f"Images of shape {pixels.shape} seem to have their {pixels.shape[1]} bands first. Move them to the last axis: "
            f"np.moveaxis(images, 1, -1)."
        )
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is reported as such
        return np.ascontiguousarray(pixels, np.float32)


def _labels(
    labels: ArrayLike | None, class_names: Sequence[str] | None, count: int
) -> tuple[Int32[np.ndarray, " galaxy"], tuple[str, ...]]:
    if isinstance(class_names, str):
        raise InputError(f"class_names are several names, like [{class_names!r}, ...], not one text.")
    if labels is None:
        if class_names is not None:
            raise InputError("class_names without labels: give the labels too, or leave both out.")
        return np.full(count, -1, np.int32), ()
    given = np.asarray(labels)
    if given.shape != (count,):
        raise InputError(f"There are {count} images, so labels need the shape ({count},), not {given.shape}.")
    if given.dtype == object and all(isinstance(label, str) for label in given):
        given = given.astype(str)
    if given.dtype.kind == "f" and (given == np.round(given)).all():
        given = given.astype(np.int64)
    if given.dtype.kind == "U":
        names = tuple(map(str, class_names if class_names is not None else np.unique(given)))
        strange = sorted(set(given.tolist()) - set(names))
        if strange:
            raise InputError(f"The label {strange[0]!r} is not among the class names {', '.join(names)}.")
        number = {name: position for position, name in enumerate(names)}
        return np.array([number[label] for label in given.tolist()], np.int32), names
    if given.dtype.kind not in "biu":
        raise InputError(f"Labels are whole numbers or text, not {given.dtype}.")
    highest = int(given.max(initial=0))
    names = tuple(map(str, class_names)) if class_names is not None else tuple(f"class {n}" for n in range(highest + 1))
    if given.min(initial=0) < 0 or highest >= len(names):
        raise InputError(
            f"Labels count from 0 to {len(names) - 1} for the classes {', '.join(names)}; they run from {given.min()} to {highest}."
        )
    return given.astype(np.int32), names


def _ids(ids: ArrayLike | None, count: int) -> Shaped[np.ndarray, " galaxy"]:
    if ids is None:
        return np.arange(count)
    given = np.asarray(ids)
    if given.dtype == object:
        given = given.astype(str) if all(isinstance(one, str) for one in given) else given
    if given.dtype.kind not in "iuU" or given.shape != (count,):
        raise InputError(
            f"ids are whole numbers or text, one for each of {count} images, not {given.dtype} of shape {given.shape}. Numbers "
            f"read as floating point have lost digits: read them as integers or text."
        )
    return given if given.dtype.kind == "U" else given.astype(np.int64)


def _redshifts(redshift: Any, count: int) -> Float64[np.ndarray, " galaxy"]:
    try:
        given = np.asarray(redshift, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError("redshift holds something that is no number. Give NaN where it is unknown.") from error
    if given.shape != (count,):
        raise InputError(f"redshift needs one value for each of {count} images, not the shape {given.shape}.")
    return given


def _scale(pixel_scale: Any) -> float:
    try:
        scale = float(pixel_scale)
    except (TypeError, ValueError) as error:
        raise InputError(f"pixel_scale is one number, arcsec per pixel, not {pixel_scale!r}.") from error
    if scale <= 0 or scale == float("inf"):
        raise InputError(f"pixel_scale must be above 0 arcsec, not {scale}.")
    return scale


def _bands(bands: Any, count: int) -> tuple[str, ...]:
    if bands is None:
        return ("grey",) if count == 1 else tuple(f"band{number}" for number in range(count))
    names = tuple(bands) if not isinstance(bands, str) else (bands,) if count == 1 else tuple(bands)
    if len(names) != count or not all(isinstance(name, str) for name in names):
        raise InputError(f"The images have {count} band(s), so bands takes {count} name(s), not {bands!r}.")
    return names
