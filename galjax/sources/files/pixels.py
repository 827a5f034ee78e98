"""Where the pixels of galaxies are: one file each, or one array of all. Nothing is read before it is asked for."""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int, Shaped

from galjax.sources.files.image_files import FITS_ENDINGS, PICTURE_ENDINGS, UnusableImage, read_image
from galjax.sources.files.image_header import ImageHeader, read_image_header
from galjax.sources.files.image_names import image_ending

LOOKED_AT = 5
"""Images whose headers are looked at."""
SAME = 0.01
"""Scales that differ by less than this share are the same."""


@runtime_checkable
class Pixels(Protocol):
    """The images of some galaxies, by their positions."""

    def read(self, number: int) -> Shaped[np.ndarray, "height width *band"]:
        """Pixels in their own dtype. Raises UnusableImage."""

    def is_picture(self, number: int) -> bool:
        """Whether it was made to be looked at (JPEG, PNG, 8-bit arrays), with the galaxy in its middle third."""

    def shown(self, number: int) -> str:
        """The file, or the place in it."""

    def header(self, number: int) -> ImageHeader:
        """What the image's own header says of its place on the sky."""

    def __len__(self) -> int:
        """How many there are."""


@dataclasses.dataclass(frozen=True)
class FilePixels:
    """One image file a galaxy."""

    files: Sequence[Path]
    names: Sequence[str]
    """The files, as sentences call them."""

    def read(self, number: int) -> Shaped[np.ndarray, "height width *band"]:
        """The pixels of a file."""
        return read_image(self.files[number])

    def is_picture(self, number: int) -> bool:
        """Whether the file is JPEG or PNG, by its name."""
        return self.files[number].name.lower().endswith(PICTURE_ENDINGS)

    def shown(self, number: int) -> str:
        """The name of the file."""
        return self.names[number]

    def header(self, number: int) -> ImageHeader:
        """The world coordinates of a FITS file."""
        path = self.files[number]
        return read_image_header(path) if image_ending(path.name).startswith(FITS_ENDINGS) else ImageHeader()

    def __len__(self) -> int:
        return len(self.files)


@dataclasses.dataclass(frozen=True, eq=False)
class ArrayPixels:
    """All images in one array, of NumPy or HDF5."""

    images: Any
    """Indexed by the row; (row, height, width) or (row, height, width, band), or with the bands before height and width."""
    rows: Int[np.ndarray, " galaxy"]
    name: str
    """The array, as sentences call it: "Galaxy10.h5 images"."""

    def read(self, number: int) -> Shaped[np.ndarray, "height width *band"]:
        """One image of the array."""
        try:
            pixels = np.asarray(self.images[int(self.rows[number])])
        except Exception as error:  # HDF5 raises whatever a damaged file leads it to
            raise UnusableImage("cannot be read (the file is damaged)") from error
        pixels = pixels.squeeze(axis=tuple(a for a in range(pixels.ndim) if pixels.shape[a] == 1 and pixels.ndim > 2))
        if pixels.ndim == 3 and pixels.shape[0] < min(pixels.shape[1:]):
            pixels = np.moveaxis(pixels, 0, -1)
        if pixels.ndim not in (2, 3):
            raise UnusableImage(f"has shape {pixels.shape}, not (height, width) or (height, width, band)")
        return pixels

    def is_picture(self, number: int) -> bool:
        """Whether pixels have 8 bits."""
        return bool(self.images.dtype == np.uint8)

    def shown(self, number: int) -> str:
        """The array and the row in it."""
        return f"{self.name} [{self.rows[number]}]"

    def header(self, number: int) -> ImageHeader:
        """An array has no header."""
        return ImageHeader()

    def __len__(self) -> int:
        return len(self.rows)


def common_scale(pixels: Pixels) -> float:
    """Arcsec per pixel where the headers of a few images, spread over all, say the same; else NaN."""
    spread = np.unique(np.linspace(0, len(pixels) - 1, min(LOOKED_AT, len(pixels))).astype(int)).tolist()
    scales = np.array([pixels.header(number).scale for number in spread])
    if not len(scales) or not np.isfinite(scales).all() or np.ptp(scales) > SAME * scales.min():
        return math.nan
    return float(np.median(scales))


def look_at(pixels: Pixels, numbers: Iterable[int]) -> tuple[tuple[int, int], str] | str:
    """Size (height, width) and bands in words of the first of some images that can be read; or why none can."""
    why = "there are none"
    for number in numbers:
        try:
            found = pixels.read(number)
        except UnusableImage as reason:
            why = str(reason)
            continue
        bands = found.shape[2] if found.ndim == 3 else 1
        colours = {1: "one band", 3: "RGB" if pixels.is_picture(number) else "3 bands"}.get(bands, f"{bands} bands")
        return (found.shape[0], found.shape[1]), colours
    return why
