"""Image files: those that cannot be used and why, and those that are unusual but right and the pixels that come of them."""

import gzip
import os

import cv2
import numpy as np
from astropy.io import fits
from astropy.table import Table

from tests.bad_input.making import (
    FITS,
    JPEG,
    PICTURE,
    PNG,
    STAMP,
    Bomb,
    card,
    png_with_size,
    save_array,
    save_fits,
    with_value,
)

rng = np.random.default_rng(1)
TIFF = cv2.imencode(".tiff", PICTURE)[1].tobytes()
# Images: ending, what stands in the file (or how it comes to be), and why it is left out.
IMAGES = {
    "absent": (".png", None, "no image file"),
    "empty": (".png", b"", "is an empty file"),
    "folder": (".png", lambda path: path.mkdir(), "is not an ordinary file"),
    "pipe": (".png", lambda path: os.mkfifo(path), "is not an ordinary file"),
    "link out of the folder": (".png", lambda path: path.symlink_to("/etc/passwd"), "is neither JPEG nor PNG nor TIFF"),
    "link to nowhere": (".png", lambda path: path.symlink_to("nothing"), "cannot be read"),
    "link to itself": (".png", lambda path: path.symlink_to(path.name), "cannot be read"),
    "cut off png": (".png", PNG[:-20], "is cut off"),
    "cut off jpeg": (".jpeg", JPEG[:-20], "is cut off"),
    "cut off npy": (".npy", save_array(STAMP)[:-8], "is damaged or cut off"),
    "cut off fits": (".fits", FITS[:2900], "it is cut off: 3392 bytes are declared, 2900 are there"),
    "cut off gzip": (".fits.gz", gzip.compress(FITS)[:-9], "not a whole gzip file"),
    "web page": (".jpeg", b"<html>503 Service Unavailable</html>", "is neither JPEG nor PNG"),
    "text as npy": (".npy", b"0.1 0.2 0.3", "not a whole .npy array"),
    "text as fits": (".fits", b"not FITS" * 720, "has no end"),
    "an ending not read": (
        ".bmp",
        b"BM" + bytes(99),
        r"has an ending that is not read \(\.bmp\); write it as PNG, FITS or NumPy",
    ),
    "a folder of no ending": (
        "",
        lambda path: path.mkdir(),
        "is a folder, and files in it are not read; move them into images/ itself",
    ),
    "cut off gzip of an array": (".npy", gzip.compress(save_array(STAMP))[:-9], "not a whole gzip file"),
    "cut off where fits needs no fill": (
        ".fits",
        FITS[: 2880 + 8 * 64 - 1],
        "it is cut off: 3392 bytes are declared, 3391 are there",
    ),
    "huge png": (".png", png_with_size(100_000, 100_000), "declares 100000x100000 px, more than this program reads"),
    "huge fits": (".fits", card("NAXIS1", 4_000_000_000), "it is cut off: 256000002880 bytes are declared"),
    "gzip bomb": (".fits.gz", gzip.compress(FITS[:2880] + bytes(5_000_000)), "unpacks to more than 2 MB"),
    "absurd number of axes": (".fits", card("NAXIS", 4_294_967_295), "NAXIS is '4294967295'"),
    "negative axis": (".fits", card("NAXIS2", -8), "a size in a header is missing or negative"),
    "absurd pixel type": (".fits", card("BITPIX", 7), "BITPIX 7"),
    "axis in words": (".fits", card("NAXIS1", "'eight'"), "NAXIS1 is"),
    "unsafe compression": (
        ".fits",
        save_fits(
            fits.PrimaryHDU(),
            fits.CompImageHDU(np.arange(256, dtype="i2").reshape(16, 16), compression_type="HCOMPRESS_1"),
        ),
        "unpack it with funpack",
    ),
    "no image in it": (".fits", save_fits(fits.PrimaryHDU()), "holds no image"),
    "a table": (".fits", save_fits(fits.PrimaryHDU(), fits.table_to_hdu(Table({"a": [1]}))), "holds no image"),
    "pickle": (".npy", save_array(np.array([Bomb()], object)), "holds Python objects, not numbers"),
    "commands to the terminal": (".npy", save_array(np.ones(8, [("\x1b[2J", "f4")])), "shape"),
    "NaN": (".npy", with_value(np.nan), "has 1 NaN, infinite or too large pixels"),
    "infinite": (".npy", with_value(-np.inf), "has 1 NaN, infinite or too large pixels"),
    "beyond float32": (".npy", with_value(1e300), "has 1 NaN, infinite or too large pixels"),
    "all zero": (".npy", save_array(np.zeros((8, 8))), "is blank: all pixels are 0"),
    "constant": (".fits", save_fits(fits.PrimaryHDU(np.full((9, 9), 7, np.int16))), "is blank: all pixels are 7"),
    "1x1": (".npy", save_array(np.ones((1, 1))), "is blank: all pixels are 1"),
    "no whole tiff": (".tif", b"II*\0" + bytes(99), "not a whole TIFF file|no image size"),
    "cut off tiff": (".tiff", TIFF[:-300], "is cut off|not a whole TIFF file|cannot be decoded"),
    "cut off jpeg with a trailer": (".jpg", JPEG[: len(JPEG) // 2] + bytes(5000), "is cut off"),
    "without pixels": (".npy", save_array(np.zeros((0, 8))), r"has shape \(0, 8\)"),
    "one axis": (".npy", save_array(np.ones(64)), r"has shape \(64,\), not \(height, width\)"),
    "four axes": (".npy", save_array(np.ones((2, 2, 8, 8))), r"has shape \(2, 2, 8, 8\)"),
    "four axes of fits": (
        ".fits",
        save_fits(fits.PrimaryHDU(np.ones((2, 2, 8, 8)))),
        r"has shape \(2, 2, 8, 8\), not \(height, width\) or \(height, width, band\)",
    ),
    "five bands": (
        ".fits",
        save_fits(fits.PrimaryHDU(rng.random((5, 8, 8)))),
        r"has 5 bands, so no green one; use --channel all, or a band's number",
    ),
    "five bands last": (".fits", save_fits(fits.PrimaryHDU(rng.random((8, 8, 5)))), "has 5 bands, so no green one"),
    "five bands of an array": (".npy", save_array(rng.random((8, 8, 5))), "has 5 bands, so no green one"),
    "two bands": (".npy", save_array(np.ones((8, 8, 2))), "has 2 bands, so no green one; use --channel all"),
    "complex": (".npy", save_array(STAMP * 1j), "has pixels of type complex128, not numbers"),
    "text pixels": (".npy", save_array(np.full((8, 8), "x")), "has pixels of type <U1, not numbers"),
    "boolean": (".npy", save_array(STAMP > 0.5), "has pixels of type bool, not numbers"),
    "dates": (".npy", save_array(np.zeros((8, 8), "M8[s]")), r"has pixels of type datetime64\[s\], not numbers"),
    "records": (".npy", save_array(np.zeros((8, 8), [("a", "f4")])), "not numbers"),
}

NUMBERS = rng.integers(-100, 100, (9, 10))
# Unusual, but right: what stands in the file, and the pixels that come of it.
LEGITIMATE = {
    "uint8": (".npy", save_array(np.abs(NUMBERS).astype(np.uint8)), np.abs(NUMBERS)),
    "int16": (".npy", save_array(NUMBERS.astype(np.int16)), NUMBERS),
    "int64": (".npy", save_array(NUMBERS), NUMBERS),
    "float16": (".npy", save_array(NUMBERS.astype(np.float16)), NUMBERS),
    "float64": (".npy", save_array(NUMBERS / 4), NUMBERS / 4),
    "big-endian integers": (".npy", save_array(NUMBERS.astype(">i2")), NUMBERS),
    "big-endian floats": (".npy", save_array(NUMBERS.astype(">f8")), NUMBERS),
    "order of Fortran": (".npy", save_array(np.asfortranarray(NUMBERS)), NUMBERS),
    "int16 of fits": (".fits", save_fits(fits.PrimaryHDU(NUMBERS.astype(np.int16))), NUMBERS),
    "uint16 of fits": (".fits", save_fits(fits.PrimaryHDU(np.abs(NUMBERS).astype(np.uint16))), np.abs(NUMBERS)),
    "float64 of fits": (".fits", save_fits(fits.PrimaryHDU(NUMBERS / 4)), NUMBERS / 4),
    "second image of fits": (".fits.gz", gzip.compress(save_fits(fits.PrimaryHDU(), fits.ImageHDU(NUMBERS))), NUMBERS),
    "tiles of fits": (
        ".fits",
        save_fits(fits.PrimaryHDU(), fits.CompImageHDU(NUMBERS.astype(np.int16), compression_type="RICE_1")),
        NUMBERS,
    ),
    "tiles of fits by the older name": (
        ".fits",
        save_fits(fits.PrimaryHDU(), fits.CompImageHDU(NUMBERS.astype(np.int16), compression_type="RICE_1")).replace(
            b"RICE_1  ", b"RICE_ONE"
        ),
        NUMBERS,
    ),
    "fit": (".fit", save_fits(fits.PrimaryHDU(NUMBERS)), NUMBERS),
    "FTS.GZ": (".FTS.GZ", gzip.compress(save_fits(fits.PrimaryHDU(NUMBERS))), NUMBERS),
    "gzip as fits": (".fits", gzip.compress(save_fits(fits.PrimaryHDU(NUMBERS))), NUMBERS),
    "fits as gzip": (".fits.gz", save_fits(fits.PrimaryHDU(NUMBERS)), NUMBERS),
    "unpadded fits": (".fits", save_fits(fits.PrimaryHDU(NUMBERS))[: 2880 + NUMBERS.nbytes], NUMBERS),
    "one band first": (".fits", save_fits(fits.PrimaryHDU(NUMBERS[None])), NUMBERS),
    "axes of length 1": (".fits", save_fits(fits.PrimaryHDU(NUMBERS[None, None])), NUMBERS),
    "one band last": (".npy", save_array(NUMBERS[..., None]), NUMBERS),
    "colours last in fits": (
        ".fits",
        save_fits(fits.PrimaryHDU(np.dstack([0 * NUMBERS, NUMBERS, 0 * NUMBERS]))),
        NUMBERS,
    ),
    "colours first in an array": (".npy", save_array(np.stack([0 * NUMBERS, NUMBERS, 0 * NUMBERS])), NUMBERS),
    "cards of no standard": (".fits", save_fits(fits.PrimaryHDU(NUMBERS)).replace(b"EXTEND  =", b"ext&nd  ="), NUMBERS),
    "grey picture": (".PNG", cv2.imencode(".png", np.abs(NUMBERS).astype(np.uint8))[1].tobytes(), np.abs(NUMBERS)),
    "16-bit picture": (
        ".png",
        cv2.imencode(".png", np.abs(NUMBERS * 300).astype(np.uint16))[1].tobytes(),
        np.abs(NUMBERS * 300),
    ),
    "jpeg with a trailer": (".jpg", JPEG + bytes(9000), cv2.imdecode(np.frombuffer(JPEG, np.uint8), 1)[..., 1]),
    "fits with bytes after it": (".fits", save_fits(fits.PrimaryHDU(NUMBERS)) + bytes(5760) + b"x", NUMBERS),
    "tiff": (".tif", cv2.imencode(".tiff", NUMBERS.astype(np.float32))[1].tobytes(), NUMBERS),
    "fits in the name of a tiff": (".tif", save_fits(fits.PrimaryHDU(NUMBERS)), NUMBERS),
    "array in the name of fits": (".fits", save_array(NUMBERS), NUMBERS),
    "jpeg in the name of a png": (".png", JPEG, cv2.imdecode(np.frombuffer(JPEG, np.uint8), 1)[..., 1]),
}
