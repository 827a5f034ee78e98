"""Small files and folders of galaxies, good ones and parts to spoil."""

import io
import os
import struct
import zlib

import cv2
import numpy as np
from astropy.io import fits

from galjax import GalaxySample

GOOD = 8
"""Galaxies of a good folder or sample, as many spirals as ellipticals."""
rng = np.random.default_rng(0)
HEADER = "OBJID,SPIRAL,ELLIPTICAL,UNCERTAIN"


def save_array(pixels):
    stream = io.BytesIO()
    np.save(stream, pixels, allow_pickle=pixels.dtype.hasobject)
    return stream.getvalue()


def save_fits(*hdus):
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def png_with_size(width, height):
    valid = cv2.imencode(".png", PICTURE)[1].tobytes()
    header = b"IHDR" + struct.pack(">II", width, height) + valid[24:29]
    return valid[:12] + header + struct.pack(">I", zlib.crc32(header)) + valid[33:]


PICTURE = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
STAMP = rng.random((8, 8))
PNG, JPEG = (cv2.imencode(ending, PICTURE)[1].tobytes() for ending in (".png", ".jpg"))
FITS = save_fits(fits.PrimaryHDU(STAMP))


def with_value(value):
    pixels = STAMP.copy()
    pixels[3, 4] = value
    return save_array(pixels)


def card(name, value):
    """FITS with one header card changed."""
    start = FITS.index(f"{name:8}=".encode())
    return FITS[:start] + f"{name:8}= {value:>20}".ljust(80).encode() + FITS[start + 80 :]


class Bomb:
    """What a pickle would do."""

    def __reduce__(self):
        return (os.mkdir, ("pickle-was-loaded",))


def put(folder, name, ending, content):
    """An image of the folder."""
    path = folder / "images" / f"{name}{ending}"
    if callable(content):
        content(path)
    elif content is not None:
        path.write_bytes(content)


def make_folder(folder, galaxies=GOOD):
    """As many spirals as ellipticals, all good."""
    (folder / "images").mkdir(parents=True)
    rows = [HEADER]
    for number in range(galaxies):
        put(folder, number, ".npy", save_array(np.random.default_rng(number).random((8, 8))))
        rows.append(f"{number},{int(number % 2 == 0)},{number % 2},0")
    (folder / "catalogue.csv").write_text("\n".join(rows) + "\n")
    return folder


def make_sample(path, **changes):
    parts = {
        "images": np.random.default_rng(0).random((GOOD, 8, 8), np.float32),
        "labels": np.arange(GOOD, dtype=np.int32) % 2,
        "class_names": ("spiral", "elliptical"),
        "ids": np.arange(GOOD),
        "redshift": np.full(GOOD, 0.1),
        "pixel_scale": 0.4,
        "bands": ("r",),
        "provenance": {"survey": "a test"},
    }
    GalaxySample(**parts | changes).save(path)
