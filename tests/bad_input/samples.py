"""Saved samples: how the file is made, and what is said."""

import gzip
import json
import os

import numpy as np
from astropy.io import fits
from astropy.table import Table

from tests.bad_input.making import FITS, GOOD, make_sample, save_fits


def edited(extension, **columns):
    """How to write a sample with other columns, or none, in one of its tables."""

    def spoil(path):
        make_sample(path)
        with fits.open(path, memmap=False) as hdus:
            table = Table(hdus[extension].data)
            for name, values in columns.items():
                if values is None:
                    del table[name]
                else:
                    table[name] = values
            changed = [fits.table_to_hdu(table, name=extension) if hdu.name == extension else hdu for hdu in hdus]
            content = save_fits(*changed)
        path.write_bytes(content)

    return spoil


def with_card(name, value):
    def spoil(path):
        make_sample(path)
        content = path.read_bytes()
        start = content.index(f"{name:8}=".encode())
        path.write_bytes(content[:start] + f"{name:8}= {value:>20}".ljust(80).encode() + content[start + 80 :])

    return spoil


def notes(**described):
    known = {"class_names": ["spiral", "elliptical"], "bands": ["r"], "provenance": {}} | described
    return edited("PROVENANCE", KEY=list(known), JSON=[json.dumps(value) for value in known.values()])


FIRST_PIXEL = np.random.default_rng(0).random((GOOD, 8, 8), np.float32)[0, 0, :1].astype(">f4").tobytes()
# Saved samples: how the file is made, and what is said.
SAMPLES = {
    "empty": (lambda p: p.touch(), "cannot be read as a galaxy sample"),
    "text": (lambda p: p.write_text("galaxies"), "cannot be read as a galaxy sample"),
    "other fits": (lambda p: p.write_bytes(FITS), "is FITS, but not a sample or a table of galaxies"),
    "gzip": (
        lambda p: (make_sample(p), p.write_bytes(gzip.compress(p.read_bytes()))),
        "it does not begin|do not begin|does not begin|no end",
    ),
    "cut off": (
        lambda p: (make_sample(p), p.write_bytes(p.read_bytes()[:-4000])),
        "it is cut off|has no end|'EXCLUDED' not found.* may be cut off",
    ),
    "newer": (with_card("GALJAX", 99), "not a sample of layout 1 .*is 99"),
    "absurd axes": (with_card("NAXIS", 999999999), "NAXIS is '999999999'"),
    "absurd size": (with_card("NAXIS3", 99999999999), "it is cut off"),
    "sparse and huge": (
        lambda p: (with_card("NAXIS3", 10**10)(p), os.truncate(p, 10**12 * 3)),
        r"sample\.fits has 3000 GB, and this machine \d+ GB of memory",
    ),
    "no labels": (edited("GALAXIES", LABEL=None), "cannot be read as a galaxy sample"),
    "labels of another class": (
        edited("GALAXIES", LABEL=[9] * GOOD),
        r"sample\.fits is damaged\. Labels must lie in 0\.\.1",
    ),
    "labels as floats": (edited("GALAXIES", LABEL=[0.5] * GOOD), "labels float64|labels >f8"),
    "ids as floats": (edited("GALAXIES", ID=np.arange(GOOD) + 0.5), "Galaxy ids must be int64 or strings, not float64"),
    "ids twice": (edited("GALAXIES", ID=[3] * GOOD), "Galaxy id 3 appears 8 times"),
    "NaN pixels": (
        lambda p: (make_sample(p), p.write_bytes(p.read_bytes().replace(FIRST_PIXEL, b"\x7f\xc0\0\0", 1))),
        "hold NaN or infinite pixels",
    ),
    "class that is a path": (notes(class_names=["../../x", "y"]), r"A class cannot be called '\.\./\.\./x'"),
    "classes in markup": (notes(class_names=["<script>", "[/b]"]), "A class cannot be called '<script>'"),
    "same class twice": (notes(class_names=["spiral", "spiral"]), "Each class needs its own name"),
    "no class names": (edited("PROVENANCE", KEY=["a", "b", "c"]), "cannot be read as a galaxy sample .*class_names"),
    "notes that are no JSON": (edited("PROVENANCE", JSON=["{", "[", "nul"]), "cannot be read as a galaxy sample"),
    "deep JSON": (edited("PROVENANCE", JSON=["[" * 30_000] * 3), "cannot be read as a galaxy sample"),
    "too many bands": (notes(bands=["g", "r"]), r"1 band\(s\), but 2 band name"),
}
