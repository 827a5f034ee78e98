"""A survey frame: the file's bytes to calibrated pixels, checked on the way; and which field of the survey it is."""

import bz2
import io
import math
import zlib
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from jaxtyping import Float32, Float64

from galjax.io.fits_files import BLOCK, FitsError, check_structure
from galjax.sources.archives.cutout import NoCutout, read_wcs
from galjax.sources.archives.download import BadContent

Band = Literal["u", "g", "r", "i", "z"]
Units = Literal["counts", "nanomaggies"]
MOST_BYTES = 200_000_000
"""Largest unpacked frame, bytes; SDSS's have 6 and 25 MB."""
MOST_COMMON_COUNT = 0.3
"""Largest share of a stamp that may be one and the same whole count: noise of 1.4 counts, less than in any band, gives 0.28."""


class FieldId(NamedTuple):
    """Which field of the SDSS imaging survey."""

    run: int
    rerun: int
    camcol: int
    field: int


class Frame(NamedTuple):
    """A frame that is what it should be."""

    wcs: WCS
    shape: tuple[int, int]
    units: Units
    sky_from: str
    """header, measured or pipeline: who says what the sky is."""
    softbias: float
    """Constant that the file adds to every pixel (taken off), counts."""
    stamp: Callable[[int, int, int], Float32[np.ndarray, "size size"]]
    """(top, left, size) to pixels in `units` without sky; NaN where the frame has no value."""
    sky: Callable[[float, float], float]
    """(y, x) to the sky per pixel, in `units`, that was taken off there."""
    most_common: float
    """Largest share of a stamp's pixels that noise lets have the same value."""


@runtime_checkable
class FrameArchive(Protocol):
    """A server that holds the survey's frames."""

    @property
    def name(self) -> str:
        """das or sas."""

    @property
    def base(self) -> str:
        """Its address."""

    def path(self, field: FieldId, band: Band) -> str:
        """Path of the frame, below the base address."""

    def read(self, content: bytes, field: FieldId, band: Band, units: Units) -> Frame:
        """The frame in a file's bytes. Raises BadContent where it is damaged or of another field."""


def unpack(content: bytes) -> bytes:
    """A FITS file from a gzip, bzip2 or plain one, whole; which it is shows in its first bytes, not in its name.

    Raises BadContent where it is none of them, cut off, corrupt, or unpacks to more than MOST_BYTES.
    """
    start = content[:512].lstrip().lower()
    if content[:2] == b"\x1f\x8b":
        return _unpack_gzip(content)
    if content[:3] == b"BZh":
        return _unpack_bzip2(content)
    if content[:6] == b"SIMPLE":
        return content
    if start.startswith((b"<!doctype", b"<html", b"<?xml")) or b"<html" in start:
        raise BadContent("an HTML page in place of the file")
    raise BadContent("an empty file" if not content else "neither gzip, bzip2 nor FITS")


def _unpack_gzip(content: bytes) -> bytes:
    parts, size = [], 0
    while content:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            parts.append(unpacker.decompress(content, MOST_BYTES - size + 1))
        except zlib.error as error:
            raise BadContent("a corrupt gzip file") from error
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise BadContent(f"unpacks to more than {MOST_BYTES // 1_000_000} MB")
        if not unpacker.eof:
            raise BadContent("a gzip file that is cut off")
        content = unpacker.unused_data.lstrip(b"\0")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _unpack_bzip2(content: bytes) -> bytes:
    parts, size = [], 0
    while content:
        unpacker = bz2.BZ2Decompressor()
        try:
            parts.append(unpacker.decompress(content, MOST_BYTES - size + 1))
        except (OSError, ValueError) as error:
            raise BadContent("a corrupt bzip2 file") from error
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise BadContent(f"unpacks to more than {MOST_BYTES // 1_000_000} MB")
        if not unpacker.eof:
            raise BadContent("a bzip2 file that is cut off")
        content = unpacker.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def open_fits(content: bytes) -> fits.HDUList:
    """The HDUs of a FITS file in memory. Raises BadContent where it is not a whole one.

    astropy only warns of a file that is cut off, and warnings cannot be caught in a thread without others noticing: so
    the structure is checked first.
    """
    try:
        check_structure(io.BytesIO(content), rest_may_follow=True)
        whole = content.ljust(-(-len(content) // BLOCK) * BLOCK, b"\0")
        return fits.open(io.BytesIO(whole), memmap=False, lazy_load_hdus=False)
    except FitsError as error:
        raise BadContent(f"not a whole FITS file: {error}") from error
    except (OSError, EOFError, ValueError, TypeError, KeyError, fits.VerifyError) as error:
        raise BadContent("a damaged FITS file") from error


def read_frame(content: bytes, field: FieldId, band: Band, rerun: int | None) -> tuple[fits.HDUList, WCS, np.ndarray]:
    """The HDUs of a packed frame, its coordinates and pixels. Raises BadContent unless it is the frame asked for."""
    hdus = open_fits(unpack(content))
    pixels = image_plane(hdus)
    check_field(hdus[0].header, field, band, rerun=rerun)
    try:
        return hdus, read_wcs(hdus[0].header), pixels
    except NoCutout as problem:
        raise BadContent(str(problem)) from problem


def check_field(header: fits.Header, field: FieldId, band: Band, *, rerun: int | None) -> None:
    """Raise BadContent unless the header says that this is the frame asked for.

    RUN, CAMCOL, FILTER and FRAME (the field's number) must be there; FIELD and RERUN are in some files only.
    """
    wanted = {"RUN": field.run, "CAMCOL": field.camcol, "FRAME": field.field, "FILTER": band}
    optional = {"FIELD": field.field, "RERUN": rerun}
    for card, value in (wanted | optional).items():
        if card not in header:
            if card in wanted:
                raise BadContent(f"a frame without the card {card}")
            continue
        found = str(header[card]).strip()
        if value is not None and found != str(value):
            raise BadContent(f"the frame of another field ({card} is {found}, not {value})")


def image_plane(hdus: fits.HDUList) -> np.ndarray:
    """The two-dimensional image of the first HDU. Raises BadContent."""
    try:
        data = hdus[0].data
    except (OSError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise BadContent("a damaged FITS file") from error
    if data is None or data.ndim != 2 or data.size == 0:
        raise BadContent("a FITS file without a two-dimensional image")
    return data


def clipped_median(counts: np.ndarray, deviations: float = 3.0, rounds: int = 10) -> float:
    """Median of whole-number pixels (uint16) after clipping at `deviations` standard deviations around it.

    As `astropy.stats.sigma_clip` clips, but from the histogram, which is faster by a factor of several; and the median is that of
    grouped data, every count spread evenly over one unit, since sky noise is only a few counts wide.
    """
    histogram = np.bincount(counts.ravel(), minlength=2**16).astype(np.float64)
    values = np.arange(len(histogram), dtype=np.float64)
    low, high = 0, len(histogram)
    for _ in range(rounds):
        weights, kept = histogram[low:high], values[low:high]
        total = weights.sum()
        median = kept[np.searchsorted(np.cumsum(weights), total / 2)]
        mean = (weights @ kept) / total
        deviation = math.sqrt(max((weights @ (kept - mean) ** 2) / total, 0.0))
        new = (
            max(low, math.ceil(median - deviations * deviation)),
            min(high, math.floor(median + deviations * deviation) + 1),
        )
        if new == (low, high):
            break
        low, high = new
    weights = histogram[low:high]
    cumulative = np.cumsum(weights)
    at = int(np.searchsorted(cumulative, cumulative[-1] / 2))
    below = cumulative[at] - weights[at]
    return float(values[low + at] - 0.5 + (cumulative[-1] / 2 - below) / weights[at])


def bilinear(values: Float64[np.ndarray, "row column"], y: float, x: float) -> float:
    """The value of a coarse map at a position in its pixels, held constant beyond its edges."""
    y, x = (min(max(p, 0.0), n - 1.0) for p, n in zip((y, x), values.shape, strict=True))
    top, left = min(int(y), values.shape[0] - 2), min(int(x), values.shape[1] - 2)
    dy, dx = y - top, x - left
    corner = values[top : top + 2, left : left + 2]
    return float(np.array([1 - dy, dy]) @ corner @ np.array([1 - dx, dx]))
