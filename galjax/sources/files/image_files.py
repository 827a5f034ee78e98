"""One image file to pixels: JPEG, PNG, TIFF, FITS or NumPy, from whoever's disk. What cannot be used is a reason, not a crash."""

import bz2
import gzip
import io
import math
import re
import stat
import struct
import threading
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
from astropy.io import fits
from jaxtyping import Float32, Shaped

from galjax.io.fits_files import FitsError, open_fits
from galjax.sources.options import Channel, Enlarging

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png")
FITS_ENDINGS = (".fits", ".fit", ".fts")
TIFF_ENDINGS = (".tif", ".tiff")
ENDINGS = (
    *PICTURE_ENDINGS,
    *TIFF_ENDINGS,
    ".npy",
    *FITS_ENDINGS,
    *(f"{one}{packed}" for one in FITS_ENDINGS for packed in (".gz", ".fz", ".bz2")),
)
MAX_PIXELS = 64_000_000
"""Largest number of pixels of one image, bands included: a file that declares more is refused before it is unpacked."""
MAX_BYTES = 8 * MAX_PIXELS + 1_000_000
MOST_BANDS = 16
"""An axis of so many or fewer, that is the shortest of three, is that of the bands, wherever it stands."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R BT.601)."""

_MAGIC = {
    b"\xff\xd8": "picture",
    b"\x89PNG\r\n\x1a\n": "picture",
    b"II*\0": "picture",
    b"MM\0*": "picture",
    b"\x93NUMPY": "npy",
    b"SIMPLE  =": "fits",
}
"""What files begin with: one is read as what it is, whatever its ending says."""
_GZIP, _BZIP2 = b"\x1f\x8b", b"BZh"
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_TIFF_TAGS = (256, 257, 273, 279, 324, 325)
_ENLARGE = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
ONE_AT_A_TIME = threading.Lock()
"""Both decoders say which warnings are errors, and that is said to all threads at once."""

# A file that cannot be decoded is reported by us, not on the terminal by OpenCV.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


class UnusableImage(Exception):
    """Why an image file gives no pixels; the message is the reason for the table of exclusions."""


class BlankImage(UnusableImage):
    """All of its pixels are the same."""


class NotFiniteImage(UnusableImage):
    """It holds pixels that are no numbers, or too large."""


def read_image(path: Path) -> Shaped[np.ndarray, "height width *band"]:
    """The pixels of a file in its own dtype; a colour JPEG or PNG image has bands red, green, blue last.

    JPEG and PNG of 8 or 16 bit per channel (transparency is dropped), TIFF (its first image), FITS (first image HDU, also in tiles of GZIP or
    RICE) and `.npy` arrays; all also zipped (gzip, bzip2), and whatever their endings say. Axes of length 1 are dropped. Of three axes the
    shortest is the band's, where it is first or last and has up to MOST_BANDS; else it is the slowest of FITS and the last
    of an array. Raises UnusableImage.
    """
    content = content_of(path)
    kind = next((kind for magic, kind in _MAGIC.items() if content.startswith(magic)), None)
    if kind is None:  # a name is as good as what is in it to say what is wrong
        name = path.name.lower()
        kind = (
            "picture"
            if name.endswith((*PICTURE_ENDINGS, *TIFF_ENDINGS))
            else "npy"
            if name.endswith(".npy")
            else "fits"
        )
    if kind == "picture":
        return _decode_picture(content)
    with ONE_AT_A_TIME:
        return _decode_npy(content) if kind == "npy" else _decode_fits(content)


def content_of(path: Path) -> bytes:
    """What is in a file, unzipped where it is zipped (gzip, bzip2). Raises UnusableImage."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise UnusableImage("is not an ordinary file")
        content = path.read_bytes() if status.st_size <= MAX_BYTES else None
    except OSError as error:
        raise UnusableImage(f"cannot be read ({error.strerror})") from error
    if content is None:
        raise UnusableImage(f"is larger than {MAX_BYTES // 1_000_000} MB")
    if not content:
        raise UnusableImage("is an empty file")
    return _unzip(content) if content.startswith((_GZIP, _BZIP2)) else content


def crop_width(shape: tuple[int, ...], *, is_picture: bool, crop: int | None, size: int) -> int:
    """Width of the middle square, px, that a stamp of `size` is made of; divided by `size`, how much it is shrunk.

    With crop=None that of a JPEG or PNG image is 3 * size (Galaxy Zoo's JPEG images hold the galaxy in their middle third), or where it
    is smaller the largest multiple of size that fits; that of other images is size, their pixels kept as they are. Of an
    image smaller than size it is the whole width.
    """
    if crop is not None:
        return crop
    narrower = min(shape[:2])
    if narrower < size:
        return narrower
    return min(3, narrower // size) * size if is_picture else size


def to_stamp(
    pixels: Shaped[np.ndarray, "height width *band"],
    *,
    is_picture: bool,
    channel: Channel,
    crop: int | None,
    size: int,
    bands: tuple[int, ...] = (),
    enlarge: Enlarging = "bicubic",
) -> Float32[np.ndarray, "size size *chosen"]:
    """Choose the channel or the bands, crop the middle, and resample to `size` x `size`: by the mean over covered pixels where it
    is larger, by the method `enlarge` where it is smaller.

    The crop (`crop_width`) starts at (n - crop) // 2, so the middle pixel of an odd image becomes pixel crop // 2. Raises
    UnusableImage.
    """
    if not (np.issubdtype(pixels.dtype, np.integer) or np.issubdtype(pixels.dtype, np.floating)):
        raise UnusableImage(f"has pixels of type {pixels.dtype}, not numbers")
    height, width = pixels.shape[:2]
    if crop is not None and min(height, width) < crop:
        raise UnusableImage(f"is {height}x{width}, smaller than the --crop of {crop}x{crop}")
    crop = crop_width((height, width), is_picture=is_picture, crop=crop, size=size)
    top, left = (height - crop) // 2, (width - crop) // 2
    chosen = _choose(pixels[top : top + crop, left : left + crop], channel, bands)
    bad = chosen.size - int(np.isfinite(chosen).sum())
    if bad:
        raise NotFiniteImage(f"has {bad} NaN, infinite or too large pixels")
    if chosen.min() == chosen.max():
        raise BlankImage(f"is blank: all pixels are {chosen.flat[0]:g}")
    if crop == size:
        return np.ascontiguousarray(chosen)
    method = cv2.INTER_AREA if crop > size else _ENLARGE[enlarge]
    each = [chosen] if chosen.ndim == 2 else list(np.moveaxis(chosen, 2, 0))
    resampled = [cv2.resize(np.ascontiguousarray(band), (size, size), interpolation=method) for band in each]
    return resampled[0] if chosen.ndim == 2 else np.stack(resampled, axis=-1)


def band_names(
    channel: Channel, pixels_ndim: int, count: int, *, is_picture: bool, bands: tuple[int, ...] = ()
) -> tuple[str, ...]:
    """Names for the bands of a stamp made with `channel`; an image of one band has none to choose, and is "grey"."""
    if pixels_ndim == 2:
        return ("grey",)
    if bands:
        return tuple(f"band{number}" for number in bands)
    if channel != "all":
        return (f"band{channel}" if isinstance(channel, int) else channel,)
    return ("red", "green", "blue") if is_picture else tuple(f"band{number}" for number in range(count))


def _choose(
    pixels: np.ndarray, channel: Channel, wanted: tuple[int, ...] = ()
) -> Float32[np.ndarray, "height width *chosen"]:
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes infinite, and is reported as such
        values = pixels.astype(np.float32)
    bands = values.shape[2] if values.ndim == 3 else 1
    highest = max(wanted) if wanted else channel
    if isinstance(highest, int) and highest >= bands:
        raise UnusableImage(f"has {bands} band{'s' if bands > 1 else ''}, so no band {highest}; they count from 0")
    if wanted:
        return values if values.ndim == 2 else values[..., wanted[0] if len(wanted) == 1 else list(wanted)]
    if isinstance(channel, int):
        return values[..., channel] if values.ndim == 3 else values
    if values.ndim == 2 or channel == "all":
        return values
    if bands != 3:
        raise UnusableImage(
            f"has {bands} bands, so no {channel} one; use --channel all, or a band's number: --channel 0 ... {bands - 1}, "
            f"or several: --bands 0 1"
        )
    if channel == "luminance":
        return values @ np.asarray(LUMINANCE, np.float32)
    return values[..., ("red", "green", "blue").index(channel)]


def _bands_last(pixels: np.ndarray, usual: int) -> np.ndarray:
    """(height, width) or (height, width, band), from an array with the bands first or last, and axes of length 1 anywhere.

    `usual` is the bands' axis, 0 or -1, where none is short. Raises UnusableImage where there are not two or three axes.
    """
    shape = pixels.shape
    while pixels.ndim > 2 and 1 in pixels.shape:
        pixels = pixels.squeeze(pixels.shape.index(1))
    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise UnusableImage(f"has shape {shape}, not (height, width) or (height, width, band)")
    if pixels.ndim == 2:
        return pixels
    first, middle, last = pixels.shape
    if first <= MOST_BANDS and first < min(middle, last):
        usual = 0
    elif last <= MOST_BANDS and last < min(first, middle):
        usual = -1
    return np.moveaxis(pixels, usual, -1)


def _decode_picture(content: bytes) -> np.ndarray:
    flags = cv2.IMREAD_ANYDEPTH | cv2.IMREAD_ANYCOLOR
    if content[:2] == b"\xff\xd8":
        shape = _jpeg_shape(content)
        # OpenCV fills what is missing with grey and says so only on standard error.
        if not _jpeg_has_end(content):
            raise UnusableImage("is cut off (a JPEG without its end marker)")
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        shape = _png_shape(content)
    elif content[:4] in (b"II*\0", b"MM\0*"):
        shape, flags = _tiff_shape(content), cv2.IMREAD_UNCHANGED
    else:
        raise UnusableImage("is neither JPEG nor PNG nor TIFF")
    if shape is None or min(shape) < 1:
        raise UnusableImage("is damaged (no image size in its header)")
    if shape[0] * shape[1] * 3 > MAX_PIXELS:
        raise UnusableImage(f"declares {shape[0]}x{shape[1]} px, more than this program reads")
    try:
        decoded = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise UnusableImage("is damaged (it cannot be decoded)") from error
    if decoded is None:
        raise UnusableImage("is damaged, or of a kind that this program does not read (it cannot be decoded)")
    return decoded if decoded.ndim == 2 else decoded[..., 2::-1]  # OpenCV orders blue, green, red


def _jpeg_has_end(content: bytes) -> bool:
    """Whether the end marker comes after the coded pixels, whatever (a trailer of a camera or program) comes after it."""
    if b"\xff\xd9" in content[-4096:]:
        return True
    position = 2
    while position + 4 <= len(content):
        marker = content[position + 1]
        if content[position] != 0xFF:
            return False
        if marker == 0xD9:
            return True
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        if marker == 0xDA:  # the coded pixels last until the next marker that is none of theirs
            following = _JPEG_MARKER.search(content, position)
            if following is None:
                return False
            position = following.start()
    return False


def _tiff_shape(content: bytes) -> tuple[int, int] | None:
    """Height and width of the first image, whose strips or tiles must all be there (TIFF 6.0, section 2)."""
    order = "<" if content[:2] == b"II" else ">"
    sizes = {1: "B", 3: "H", 4: "I"}

    def values(kind: int, count: int, entry: int) -> tuple[int, ...]:
        code = f"{order}{count}{sizes[kind]}"
        at = entry + 8 if struct.calcsize(code) <= 4 else struct.unpack_from(f"{order}I", content, entry + 8)[0]
        return struct.unpack_from(code, content, at)

    try:
        (first,) = struct.unpack_from(f"{order}I", content, 4)
        (entries,) = struct.unpack_from(f"{order}H", content, first)
        tags = {}
        for entry in range(first + 2, first + 2 + 12 * entries, 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", content, entry)
            if tag in _TIFF_TAGS and kind in sizes and count <= len(content):
                tags[tag] = values(kind, count, entry)
        for offsets, counts in ((273, 279), (324, 325)):
            if any(a + n > len(content) for a, n in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)):
                raise UnusableImage("is cut off (a TIFF without all its pixels)")
        return tags[257][0], tags[256][0]
    except (struct.error, KeyError, IndexError) as error:
        raise UnusableImage("is damaged or cut off (not a whole TIFF file)") from error


def _jpeg_shape(content: bytes) -> tuple[int, int] | None:
    """Height and width from the frame header (ITU T.81, section B.2.2)."""
    position = 2
    while position + 9 <= len(content):
        if content[position] != 0xFF:
            return None
        marker = content[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return height, width
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    return None


def _png_shape(content: bytes) -> tuple[int, int] | None:
    """Height and width; every chunk must be whole, since OpenCV decodes a PNG that is cut off to black."""
    position, shape = 8, None
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind, body = content[position + 4 : position + 8], content[position + 8 : position + 8 + length]
        checksum = content[position + 8 + length : position + 12 + length]
        if len(checksum) < 4:
            break
        if zlib.crc32(kind + body) != int.from_bytes(checksum, "big"):
            raise UnusableImage(f"is damaged (checksum of its {kind.decode('latin-1')!r} part)")
        if kind == b"IHDR" and length >= 8:
            width, height = struct.unpack(">II", body[:8])
            shape = height, width
        if kind == b"IEND":
            return shape
        position += 12 + length
    raise UnusableImage("is cut off (a PNG without its end)")


def _decode_npy(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        with warnings.catch_warnings():
            # NumPy warns of a header that only an old Python can have written.
            warnings.simplefilter("error", UserWarning)
            shape, _, dtype = read_header[np.lib.format.read_magic(stream)](stream)
            if dtype.hasobject:
                raise UnusableImage("holds Python objects, not numbers")
            if len(shape) < 2 or min(shape) < 1:
                raise UnusableImage(f"has shape {shape}, not (height, width) or (height, width, band)")
            if math.prod(shape) > MAX_PIXELS:
                raise UnusableImage(f"declares shape {shape}, more than this program reads")
            stream.seek(0)
            return _bands_last(np.load(stream, allow_pickle=False), usual=-1)
    except UnusableImage:
        raise
    except Exception as error:  # NumPy evaluates the header, which may be any text
        raise UnusableImage("is damaged or cut off (not a whole .npy array)") from error


def _unzip(content: bytes) -> bytes:
    is_gzip = content.startswith(_GZIP)
    try:
        with (gzip if is_gzip else bz2).open(io.BytesIO(content)) as stream:
            unpacked = stream.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UnusableImage(f"is damaged or cut off (not a whole {'gzip' if is_gzip else 'bzip2'} file)") from error
    if len(unpacked) > MAX_BYTES:
        raise UnusableImage(f"unpacks to more than {MAX_BYTES // 1_000_000} MB")
    return unpacked


def _decode_fits(content: bytes) -> np.ndarray:
    is_table = False
    try:
        with open_fits(content, tiled_images=True) as hdus:
            for hdu in hdus:
                is_table |= isinstance(hdu, fits.BinTableHDU | fits.TableHDU) and not isinstance(hdu, fits.CompImageHDU)
                shape = tuple(hdu.header.get(f"NAXIS{axis}", 0) for axis in range(hdu.header.get("NAXIS", 0), 0, -1))
                if not isinstance(hdu, fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) or len(shape) < 2:
                    continue
                if math.prod(shape) > MAX_PIXELS:
                    raise UnusableImage(f"declares shape {shape}, more than this program reads")
                pixels = np.asarray(hdu.data)
                return _bands_last(pixels.astype(pixels.dtype.newbyteorder("=")), usual=0)
    except UnusableImage:
        raise
    except FitsError as error:
        raise UnusableImage(f"is not a whole FITS file ({error})") from error
    except Exception as error:  # astropy raises whatever a damaged header leads it to
        raise UnusableImage("is damaged (its FITS image cannot be read)") from error
    what = "it is a table" if is_table else "a FITS file without an image of two axes"
    raise UnusableImage(f"holds no image ({what})")
