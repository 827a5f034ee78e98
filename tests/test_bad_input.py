"""Everything that a user may get wrong, given to the commands: a sentence that names it, exit code 2, and nothing touched.

Where an input is unusual but right, it works. A bad galaxy among good ones is left out, and listed.
"""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pickle
import re
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from experiments import (
    class_balance,
    cross_survey,
    interpolation_cost,
    phase_shift,
    resolution_sweep,
    same_resolution,
    thesis,
    uncertain_labels,
)
from galjax import GalaxySample, report
from galjax.sources import FolderOptions, SourceConfig, image_files, load

EXPERIMENTS = {
    module.NAME: module
    for module in (resolution_sweep, uncertain_labels, class_balance, phase_shift, same_resolution, cross_survey, thesis,
                   interpolation_cost)
}  # fmt: skip
TRAINING = ("resolution_sweep", "uncertain_labels", "class_balance", "phase_shift", "same_resolution", "cross_survey")
NO_SHARED_FLAGS = ("thesis", "interpolation_cost")
TINY = ["--image-size", "8", "--repeats", "2", "--epochs", "1", "--evaluate-every", "1", "--filters", "2", "2", "2",
        "--dense-units", "4", "--batch-size", "4"]  # fmt: skip
SWEEP = [*TINY, "--per-class", "4", "--factors", "2", "--methods", "nearest"]
HUGE = "9" * 25
GOOD = 8
rng = np.random.default_rng(0)


def run(name, *flags):
    """The command's exit code, as the shell would see it."""
    try:
        return EXPERIMENTS[name].main([str(flag) for flag in flags])
    except SystemExit as ended:
        return ended.code


def contents(place):
    """Every file and folder below a place, with what is in it."""
    below = {}
    for path in place.rglob("*"):
        kind = "link" if path.is_symlink() else "folder" if path.is_dir() else "file" if path.is_file() else "other"
        below[path] = (kind, hashlib.sha256(path.read_bytes()).hexdigest() if kind == "file" else "")
    return below


@contextlib.contextmanager
def refused(place, capsys, sentence):
    """What runs inside gives exit code 2 and this sentence, no more, and leaves the place as it was."""
    before, codes = contents(place), []
    yield codes.append
    err = " ".join(re.sub(r"[│╭╮╰╯─]", " ", capsys.readouterr().err).split())
    assert codes == [2], err
    assert re.search(sentence, err), err
    assert "Traceback" not in err
    assert contents(place) == before


# Flags: which experiments, what is given, and what is said.
FLAGS = [
    (TRAINING, ["--repeats", "0"], "--repeats must be at least 1 and at most 1000000, not 0"),
    (TRAINING, ["--repeats", "-3"], "--repeats must be at least 1 .* not -3"),
    (TRAINING, ["--repeats", HUGE], f"--repeats must be .* at most 1000000, not {HUGE}"),
    (TRAINING, ["--repeats", "many"], "--repeats.*'many'.*--help"),
    (TRAINING, ["--repeats", "2.5"], r"--repeats.*'2\.5'"),
    (TRAINING, ["--repeats"], "--repeats"),
    (TRAINING, ["--epochs", "-1"], "--epochs must be at least 1 .* not -1"),
    (TRAINING, ["--epochs", HUGE], "--epochs must be .* at most 1000000"),
    (TRAINING, ["--evaluate-every", HUGE], r"--evaluate-every must lie in 1\.\."),
    (TRAINING, ["--seed", "-1"], "--seed must lie in 0"),
    (TRAINING, ["--seed", HUGE], "--seed must lie in 0"),
    (TRAINING, ["--batch-size", "0"], "--batch-size must be at least 1, not 0"),
    (TRAINING, ["--learning-rate", "nan"], "--learning-rate must be above 0, not nan"),
    (TRAINING, ["--learning-rate", "inf"], "--learning-rate must be above 0"),
    (TRAINING, ["--learning-rate", "fast"], "--learning-rate.*'fast'"),
    (TRAINING, ["--momentum", "1"], "--momentum must be at least 0 and below 1, not 1"),
    (TRAINING, ["--dropout", "nan"], "--dropout must be at least 0 and below 1, not nan"),
    (TRAINING, ["--filters", "0", "1", "1"], "--filters takes three numbers of at least 1"),
    (TRAINING, ["--filters", "8", "8", HUGE], "--filters takes three numbers of at least 1 and at most 4096"),
    (TRAINING, ["--filters", "8", "8"], "--filters"),
    (TRAINING, ["--dense-units", HUGE], "--dense-units takes .* at most 65536"),
    (TRAINING, ["--delayed-steps", HUGE], "--delayed-steps must be .* at most 1024"),
    (TRAINING, ["--repeats-at-once", "-1"], "--repeats-at-once must be at least 1, not -1"),
    (TRAINING, ["--checkpoint-seconds", "nan"], "--checkpoint-seconds must be at least 0, not nan"),
    (TRAINING, ["--test-fraction", "nan"], "--test-fraction must lie between 0 and 1, not nan"),
    (TRAINING, ["--validation-fraction", "-0.1"], "--validation-fraction must be at least 0"),
    (TRAINING, ["--redshift-range", "0.2", "0.1"], "--redshift-range takes a lower and a higher bound"),
    (TRAINING, ["--redshift-range", "nan", "nan"], "--redshift-range takes a lower and a higher bound"),
    (TRAINING, ["--classes", "spiral"], "--classes takes two or more classes"),
    (TRAINING, ["--precision", "float8"], "float8.*--precision.*float32"),
    (TRAINING, ["--lowering", "fastest"], "fastest.*--lowering.*direct"),
    (TRAINING, ["--padding", "reflect"], "reflect.*--padding.*valid"),
    (TRAINING, ["--input-scaling", "log"], "log.*--input-scaling.*asinh"),
    (TRAINING, ["--nonsense", "1"], "Unrecognized options: --nonsense"),
    (TRAINING, ["stray"], "Unrecognized options: stray"),
    (TRAINING, ["--image-size", "0"], "--image-size must be at least 1 px"),
    (TRAINING, ["--crop", "2"], "--crop must be at least the image size"),
    (TRAINING, ["--pixel-scale", "-1"], r"--pixel-scale must be above 0 arcsec .* not -1\.0"),
    (TRAINING, ["--channel", "ultraviolet"], "ultraviolet.*--channel.*green"),
    (TRAINING, ["--class-columns", "SPIRAL", "../../x"], r"A class cannot be called '\.\./\.\./x'.*Rename it"),
    (TRAINING, ["--class-columns", "SPIRAL", "$x^$"], r"A class cannot be called '\$x\^\$'"),
    (TRAINING, ["--class-columns", "SPIRAL", "spiral"], "--class-columns takes two or more different columns"),
    (TRAINING, ["--simulated.galaxies", "0"], r"--simulated\.galaxies must lie in 1\.\."),
    (TRAINING, ["--simulated.galaxies", "900000000"], r"--simulated\.galaxies 900000000 of \d+x\d+ px need \d+ GB"),
    (TRAINING, ["--simulated.image-size", HUGE], r"--simulated\.image-size must lie in 8\.\.4096"),
    (TRAINING, ["--simulated.pixel-scale", "0"], r"--simulated\.pixel-scale must lie in 0\.001\.\.1000, not 0"),
    (TRAINING, ["--simulated.seeing", "inf"], r"--simulated\.seeing must lie in .* not inf"),
    (TRAINING, ["--simulated.zero-point", "1e6"], r"--simulated\.zero-point must lie in 0\.\.50"),
    (TRAINING, ["--simulated.sky-magnitude", "-1000"], r"--simulated\.sky-magnitude must lie in 0\.\.50"),
    (TRAINING, ["--simulated.moffat-beta", "1"], r"--simulated\.moffat-beta must be above 1"),
    (TRAINING, ["--simulated.read-noise", "nan"], r"--simulated\.read-noise must lie in .* not nan"),
    (TRAINING, ["--simulated.class-fractions", "nan", "nan", "nan"], "takes three shares of at least 0 that sum to 1"),
    (TRAINING, ["--preset", "fast"], "--preset is one of quick, thesis, not 'fast'"),
    (TRAINING, ["--preset"], "--preset is one of quick, thesis, not ''"),
    (("thesis",), ["--repeats", HUGE], "--repeats must be .* at most 1000000"),
    (("thesis",), ["--epochs", "0"], "--epochs must be at least 1, not 0"),
    (("thesis",), ["--seed", "-1"], "--seed must lie in 0"),
    (("thesis",), ["--experiments", "phase_shift", "phase_shift"], "--experiments takes one or more names, each once"),
    (("thesis",), ["--experiments", "astrology"], "astrology.*--experiments.*phase_shift"),
    (("thesis",), ["--data", "nowhere"], "--data 'nowhere' is neither 'simulated' nor an existing folder"),
    (("thesis",), ["--class-columns", "A"], "--class-columns takes two or more"),
    (("resolution_sweep",), ["--methods", "lanczos"], "'lanczos'.*--methods.*nearest"),
    (("resolution_sweep",), ["--factors", "1"], "--factors start at 2"),
    (("resolution_sweep", "same_resolution", "phase_shift"), ["--factors", "2", "2"], "--factors takes .* each once"),
    (("resolution_sweep", "same_resolution", "phase_shift"), ["--factors", "-2"], "--factors start at 2"),
    (("resolution_sweep",), ["--usable-accuracy", "2"], r"--usable-accuracy must lie in 0\.\.1"),
    (("same_resolution",), ["--method", "area"], "'area'.*--method.*bilinear"),
    (("phase_shift",), ["--sizes", "2", "4"], "--sizes needs an even size with both its neighbours"),
    (("phase_shift",), ["--sizes", "0", "1", "2", "3"], "--sizes needs an even size"),
    (("uncertain_labels",), ["--uncertain-class", "spiral"], "--uncertain-class spiral is among --classes"),
    (("cross_survey",), ["--coarse-seeing", "-1"], "--coarse-seeing must be above 0 arcsec"),
    (("cross_survey",), ["--sharp.image-size", "-1"], "--image-size must be at least 1 px"),
    (("cross_survey",), ["--data", "nowhere"], "One of --data and --sharp.data is the simulated survey"),
    (("interpolation_cost",), ["--repeats", "3"], "This command takes no flags"),
]  # fmt: skip


# Each flag that experiments share goes to one of them in turn: they all take it from the same configuration.
IN_TURN = [((TRAINING[n % 6],) if names is TRAINING else names, *rest) for n, (names, *rest) in enumerate(FLAGS)]
TO_ALL = [(TRAINING, *FLAGS[n][1:]) for n in (0, 3)]


@pytest.mark.parametrize(
    ("names", "flags", "sentence"),
    IN_TURN + TO_ALL,
    ids=lambda value: None if isinstance(value, str) else " ".join(value)[:40],
)
def test_bad_flags(names, flags, sentence, tmp_path, capsys):
    for name in names:
        out = [] if name == "interpolation_cost" else ["--out", tmp_path / "run"]
        with refused(tmp_path, capsys, sentence) as ended:
            ended(run(name, *out, *flags))


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


# Images: ending, what stands in the file (or how it comes to be), and why it is left out.
IMAGES = {
    "absent": (".png", None, "no image file"),
    "empty": (".png", b"", "is an empty file"),
    "folder": (".png", lambda path: path.mkdir(), "is not an ordinary file"),
    "pipe": (".png", lambda path: os.mkfifo(path), "is not an ordinary file"),
    "link out of the folder": (".png", lambda path: path.symlink_to("/etc/passwd"), "is a link that leaves the folder"),
    "link to nowhere": (".png", lambda path: path.symlink_to("nothing"), "cannot be read"),
    "link to itself": (".png", lambda path: path.symlink_to(path.name), "cannot be read|leaves the folder"),
    "cut off png": (".png", PNG[:-20], "is cut off"),
    "cut off jpeg": (".jpeg", JPEG[:-20], "is cut off"),
    "cut off npy": (".npy", save_array(STAMP)[:-8], "is damaged or cut off"),
    "cut off fits": (".fits", FITS[:2900], "it is cut off: 3392 bytes are declared, 2900 are there"),
    "cut off gzip": (".fits.gz", gzip.compress(FITS)[:-9], "not a whole gzip file"),
    "web page": (".jpeg", b"<html>503 Service Unavailable</html>", "is neither JPEG nor PNG"),
    "text as npy": (".npy", b"0.1 0.2 0.3", "not a whole .npy array"),
    "text as fits": (".fits", b"not FITS" * 720, "has no end"),
    "gzip as fits": (".fits", gzip.compress(FITS), "is not a whole FITS file"),
    "huge png": (".png", png_with_size(100_000, 100_000), "declares 100000x100000 px, more than this program reads"),
    "huge fits": (".fits", card("NAXIS1", 4_000_000_000), "it is cut off: 256000002880 bytes are declared"),
    "gzip bomb": (".fits.gz", gzip.compress(FITS[:2880] + bytes(5_000_000)), "unpacks to more than 2 MB"),
    "absurd number of axes": (".fits", card("NAXIS", 4_294_967_295), "NAXIS is '4294967295'"),
    "negative axis": (".fits", card("NAXIS2", -8), "a size in a header is missing or negative"),
    "absurd pixel type": (".fits", card("BITPIX", 7), "BITPIX 7"),
    "axis in words": (".fits", card("NAXIS1", "'eight'"), "NAXIS1 is"),
    "unsafe compression": (
        ".fits", save_fits(fits.PrimaryHDU(), fits.CompImageHDU(np.arange(256, dtype="i2").reshape(16, 16), compression_type="HCOMPRESS_1")),
        "unpack it with funpack",
    ),
    "no image in it": (".fits", save_fits(fits.PrimaryHDU()), "holds no image"),
    "a table": (".fits", save_fits(fits.PrimaryHDU(), fits.table_to_hdu(Table({"a": [1]}))), "holds no image"),
    "pickle": (".npy", save_array(np.array([Bomb()], object)), "holds Python objects, not numbers"),
    "NaN": (".npy", with_value(np.nan), "has 1 NaN, infinite or too large pixels"),
    "infinite": (".npy", with_value(-np.inf), "has 1 NaN, infinite or too large pixels"),
    "beyond float32": (".npy", with_value(1e300), "has 1 NaN, infinite or too large pixels"),
    "all zero": (".npy", save_array(np.zeros((8, 8))), "is blank: all pixels are 0"),
    "constant": (".fits", save_fits(fits.PrimaryHDU(np.full((9, 9), 7, np.int16))), "is blank: all pixels are 7"),
    "1x1": (".npy", save_array(np.ones((1, 1))), "is 1x1, smaller than 8x8"),
    "too small": (".png", cv2.imencode(".png", PICTURE[:7])[1].tobytes(), "is 7x24, smaller than 8x8"),
    "without pixels": (".npy", save_array(np.zeros((0, 8))), r"has shape \(0, 8\)"),
    "one axis": (".npy", save_array(np.ones(64)), r"has shape \(64,\), not \(height, width\)"),
    "four axes": (".npy", save_array(np.ones((1, 1, 8, 8))), r"has shape \(1, 1, 8, 8\)"),
    "four axes of fits": (".fits", save_fits(fits.PrimaryHDU(np.ones((1, 1, 8, 8)))), r"has an image of shape \(1, 1, 8, 8\)"),
    "two bands": (".npy", save_array(np.ones((8, 8, 2))), "has 2 bands, so no green one; use --channel all"),
    "complex": (".npy", save_array(STAMP * 1j), "has pixels of type complex128, not numbers"),
    "text pixels": (".npy", save_array(np.full((8, 8), "x")), "has pixels of type <U1, not numbers"),
    "boolean": (".npy", save_array(STAMP > 0.5), "has pixels of type bool, not numbers"),
    "dates": (".npy", save_array(np.zeros((8, 8), "M8[s]")), r"has pixels of type datetime64\[s\], not numbers"),
    "records": (".npy", save_array(np.zeros((8, 8), [("a", "f4")])), "not numbers"),
}  # fmt: skip
EVIL = ("../../etc/passwd", "/etc/passwd", "..", "$(touch evil)", "[/b]")
HEADER = "OBJID,SPIRAL,ELLIPTICAL,UNCERTAIN"


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


@pytest.fixture
def folder(tmp_path):
    return make_folder(tmp_path / "galaxies")


@pytest.fixture(autouse=True, scope="module")
def small_limits():
    """Figures in low resolution, and a bomb that takes no second to unpack."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "PRINT_DPI", 30)
        patch.setattr(image_files, "MAX_BYTES", 2_000_000)
        yield


@pytest.mark.parametrize("kind", IMAGES)
def test_bad_images(kind, tmp_path, capsys, monkeypatch):
    """None of the images can be used: the command ends, and says why for the first."""
    monkeypatch.chdir(tmp_path)
    folder = make_folder(tmp_path / "galaxies", 0)
    ending, content, reason = IMAGES[kind]
    put(folder, "one", ending, content)
    (folder / "catalogue.csv").write_text(f"{HEADER}\none,1,0,0\n")
    sentence = f"No galaxy of .*galaxies can be used: 1 left out, the first are one: .*{reason}"
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A run on good galaxies and one of every bad kind, with names as people give them."""
    place = tmp_path_factory.mktemp("place")
    galaxies = make_folder(place / "my [/b] $galaxies^$\n<b>ünïcode</b>", 16)
    rows = []
    for kind, (ending, content, _) in IMAGES.items():
        put(galaxies, kind, ending, content)
        rows.append(f"{kind},1,0,0")
    rows += [f'"{evil}",0,1,0' for evil in (*EVIL, "ünïcode", "")]
    put(galaxies, "a b", ".npy", save_array(STAMP))
    rows += ["a b,1,0,0", "twice,1,0,0", "twice,0,1,0", "both,1,1,0", "none,0,0,0", "half,0.5,0,0", "unflagged,,1,0"]
    put(galaxies, "no\nrow", ".npy", save_array(STAMP))
    with contextlib.suppress(OSError):  # where the file system wants UTF-8
        Path(os.fsdecode(bytes(galaxies / "images") + b"/\xff.npy")).write_bytes(save_array(STAMP))
    with (galaxies / "catalogue.csv").open("a", encoding="utf-8") as catalogue:
        catalogue.write("\n".join(rows) + "\n")
    (place / "out").mkdir()
    before = contents(place)
    out = place / "out" / "[i]\n ü"
    flags = ["--data", galaxies / ".." / galaxies.name, *TINY, "--per-class", "4", "--factors", "2"]
    assert run("same_resolution", "--out", out, *flags) == 0
    assert {path: what for path, what in contents(place).items() if not path.is_relative_to(out)} == before
    return out, flags


def test_bad_galaxies_among_good_ones_are_left_out_and_listed(mixed):
    out, _ = mixed
    excluded = Table.read((out / "excluded.ecsv").read_text(encoding="utf-8"), format="ascii.ecsv")
    reasons = {str(row["id"]): str(row["reason"]) for row in excluded}
    for kind, (_, _, reason) in IMAGES.items():
        assert re.search(reason, reasons[kind]), kind
    for evil in EVIL:
        assert reasons[evil].startswith("no image file")
    assert reasons["ünïcode"].startswith("id is not plain ASCII text")
    assert reasons["twice"].startswith("id is given several times")
    assert reasons["both"].startswith("2 class flags are set")
    assert reasons["none"].startswith("no class flag is set")
    assert reasons["half"].startswith("a class flag is neither 0 nor 1")
    assert reasons["unflagged"].startswith("a class flag is missing")
    assert "a b" not in reasons
    assert "no catalogue row" in reasons.values()
    page = (out / "report.html").read_text()
    assert "<b>ünïcode</b>" not in page
    assert not Path("pickle-was-loaded").exists()


def table_with(**changes):
    """Columns of a good catalogue, some changed; None takes one out."""
    columns = {
        "OBJID": np.arange(GOOD), "SPIRAL": (np.arange(GOOD) % 2 == 0).astype(int), "ELLIPTICAL": np.arange(GOOD) % 2,
    } | changes  # fmt: skip
    return Table({name: column for name, column in columns.items() if column is not None})


def catalogue(table, ending="fits"):
    """How to put another catalogue into a folder."""

    def spoil(folder):
        (folder / "catalogue.csv").unlink()
        if isinstance(table, bytes):
            (folder / f"catalogue.{ending}").write_bytes(table)
        else:
            table_format = {"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits": "fits", "vot": "votable"}[ending]
            table.write(folder / f"catalogue.{ending}", format=table_format)

    return spoil


def rows(*lines, header=HEADER):
    return catalogue("\n".join([header, *lines]).encode() + b"\n", "csv")


def votable(inside):
    return catalogue(f'<?xml version="1.0"?>{inside}'.encode(), "vot")


STREAM = (
    '<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="OBJID" datatype="int"/><DATA><BINARY>'
    '<STREAM href="file:///etc/passwd"/></BINARY></DATA></TABLE></RESOURCE></VOTABLE>'
)
VOTABLE_TWICE = (
    '<VOTABLE version="1.4"><RESOURCE><TABLE><FIELD name="OBJID" datatype="int"/><FIELD name="SPIRAL" datatype="int"/>'
    '<FIELD name="SPIRAL" datatype="int"/><DATA><TABLEDATA><TR><TD>1</TD><TD>1</TD><TD>0</TD></TR></TABLEDATA></DATA></TABLE>'
    "</RESOURCE></VOTABLE>"
)
ECSV_TWICE = b"""# %ECSV 1.0
# ---
# datatype:
# - {name: OBJID, datatype: int64}
# - {name: SPIRAL, datatype: int64}
# - {name: SPIRAL, datatype: int64}
OBJID SPIRAL SPIRAL
1 1 0
"""
LAUGHS = '<!DOCTYPE V [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><VOTABLE>&b;</VOTABLE>'
TABLE_BYTES = save_fits(fits.PrimaryHDU(), fits.table_to_hdu(table_with()))
# Catalogues: how the folder is spoiled, and what is said.
CATALOGUES = {
    "absent": (lambda f: (f / "catalogue.csv").unlink(), r"has no catalogue; one of catalogue\.csv"),
    "a folder": (lambda f: ((f / "catalogue.csv").unlink(), (f / "catalogue.csv").mkdir()), "has no catalogue"),
    "a pipe": (lambda f: ((f / "catalogue.csv").unlink(), os.mkfifo(f / "catalogue.csv")), "has no catalogue"),
    "two of them": (lambda f: (f / "catalogue.ecsv").touch(), r"has catalogue\.csv and catalogue\.ecsv; keep one"),
    "no folder of images": (lambda f: shutil.rmtree(f / "images"), "has no folder images/; it must hold one file"),
    "images is a file": (lambda f: (shutil.rmtree(f / "images"), (f / "images").touch()), "has no folder images/"),
    "empty file": (catalogue(b"", "csv"), r"catalogue\.csv (cannot be read as csv|has no rows)"),
    "empty ecsv": (catalogue(b"", "ecsv"), r"catalogue\.ecsv cannot be read as ecsv"),
    "0 rows": (rows(), r"catalogue\.csv has no rows\. Give a table"),
    "0 rows of fits": (catalogue(table_with()[:0]), r"catalogue\.fits has no rows"),
    "missing id column": (rows("1,1,0,0", header="N,SPIRAL,ELLIPTICAL,UNCERTAIN"), "none of the id columns .*--id-column"),
    "renamed class column": (rows("1,1,0,0", header="OBJID,S,ELLIPTICAL,UNCERTAIN"), "no class column 'SPIRAL'; its columns are OBJID, S"),
    "duplicate column": (rows("1,1,0,0", header="OBJID,SPIRAL,ELLIPTICAL,Spiral"), "several columns called 'SPIRAL'"),
    "duplicate column of ecsv": (catalogue(ECSV_TWICE, "ecsv"), r"catalogue\.ecsv has several columns called 'SPIRAL'"),
    "duplicate column of votable": (votable(VOTABLE_TWICE), r"catalogue\.vot has several columns called 'SPIRAL'"),
    "several tables": (catalogue(TABLE_BYTES + TABLE_BYTES[2880:]), "it holds 2 tables"),
    "too many cells": (rows("1,1,0,0,5,6"), r"catalogue\.csv cannot be read as csv"),
    "open quote": (rows('1,"1,0,0'), r"catalogue\.csv"),
    "ids as floats": (catalogue(table_with(OBJID=np.arange(GOOD) + 0.0)), "holds floating-point numbers, which lose digits"),
    "rounded ids": (rows("5.87727E+17,1,0,0"), r"holds rounded numbers such as 5\.87727E\+17"),
    "ids beyond int64": (catalogue(table_with(OBJID=np.full(GOOD, 2**63 + 5, np.uint64))), r"numbers above 2\^63; write them as text"),
    "ids of several numbers": (catalogue(table_with(OBJID=np.ones((GOOD, 2), int))), r"column 'OBJID' of catalogue\.fits is of type >i8 and shape \(8, 2\)"),
    "ids NaN": (catalogue(table_with(OBJID=np.full(GOOD, np.nan))), "holds floating-point numbers"),
    "flags NaN": (catalogue(table_with(SPIRAL=np.full(GOOD, np.nan))), "No galaxy .* a class flag is missing"),
    "flags of several numbers": (catalogue(table_with(SPIRAL=np.ones((GOOD, 3)))), "column 'SPIRAL' .*one number or text per row is needed"),
    "flags of mixed types": (rows("0,yes,1.5,", "1,?,0,[]"), "No galaxy .* a class flag is neither 0 nor 1"),
    "redshifts of several numbers": (catalogue(table_with(z=np.ones((GOOD, 2)))), "column 'z' .*one number or text per row"),
    "one class only": (catalogue(table_with(SPIRAL=np.ones(GOOD, int), ELLIPTICAL=np.zeros(GOOD, int))), "there are 8 spiral, 0 elliptical"),
    "ids of no image": (rows("100,1,0,0", "101,0,1,0"), "No galaxy .* no image file"),
    "not UTF-8": (catalogue(HEADER.encode() + b"\n\xff\xfe,1,0,0\n", "csv"), r"catalogue\.csv cannot be read as csv: 'utf-8'"),
    "UTF-16": (catalogue(f"{HEADER}\n1,1,0,0\n".encode("utf-16"), "csv"), r"catalogue\.csv cannot be read as csv"),
    "cut off fits": (catalogue(TABLE_BYTES[:-2880]), r"catalogue\.fits cannot be read as fits: it is cut off"),
    "absurd number of columns": (catalogue(TABLE_BYTES.replace(b"TFIELDS =                    3", b"TFIELDS =           4000000000")), "TFIELDS is '4000000000'"),
    "absurd number of rows": (catalogue(TABLE_BYTES.replace(b"NAXIS2  =                    8", b"NAXIS2  =          99999999999")), "it is cut off"),
    "fits without a table": (catalogue(FITS), r"catalogue\.fits cannot be read as fits"),
    "gzip": (catalogue(gzip.compress(bytes(100_000)), "csv"), r"catalogue\.csv cannot be read as csv"),
    "gzip as votable": (catalogue(gzip.compress(STREAM.encode()), "vot"), r"catalogue\.vot cannot be read as votable"),
    "votable with rows elsewhere": (votable(STREAM), "its rows are in another file"),
    "votable of entities": (votable(LAUGHS), "it defines entities"),
    "votable without a table": (votable("<VOTABLE/>"), r"catalogue\.vot cannot be read"),
    "ecsv that asks for code": (
        catalogue(b"# %ECSV 1.0\n# ---\n# meta: !!python/object/apply:os.mkdir ['pickle-was-loaded']\nOBJID\n1\n", "ecsv"),
        r"catalogue\.ecsv cannot be read as ecsv",
    ),
    "no folder": (lambda f: shutil.rmtree(f), "--data .* is neither 'simulated' nor an existing folder or file"),
    "nothing in the folder": (lambda f: (shutil.rmtree(f), f.mkdir()), "has no catalogue"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CATALOGUES)
def test_bad_catalogues(kind, folder, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spoil, sentence = CATALOGUES[kind]
    spoil(folder)
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP))


# Flags that only the galaxies show to be wrong.
TOO_MUCH = [
    ("resolution_sweep", ["--per-class", "5"], "A draw of 5 galaxies per class is not possible.* 4 spiral, 4 elliptical"),
    ("resolution_sweep", ["--per-class", "0"], "A draw of 0 galaxies per class .* Choose --per-class from 1 to 4"),
    ("resolution_sweep", ["--per-class", HUGE], f"A draw of {HUGE} galaxies per class"),
    ("resolution_sweep", ["--per-class", "1"], "no set may be empty"),
    ("resolution_sweep", ["--total", "-1"], "so --total -1 cannot be drawn"),
    ("resolution_sweep", ["--total", HUGE], f"so --total {HUGE} cannot be drawn"),
    ("resolution_sweep", ["--factors", "9"], "Images of 8x8 px can be shrunk by factors 1 to 8, not by 9"),
    ("resolution_sweep", ["--batch-size", "7"], "--batch-size 7 is more than the 6 galaxies that a repeat trains on"),
    ("resolution_sweep", ["--batch-size", HUGE], "is more than the 6 galaxies"),
    ("resolution_sweep", ["--classes", "spiral", "star"], "no class 'star'; its classes are spiral, elliptical"),
    ("resolution_sweep", ["--classes", "spiral", "spiral"], "Each class may be named once"),
    ("resolution_sweep", ["--image-size", "9"], "No galaxy .* is 8x8, smaller than 9x9"),
    ("resolution_sweep", ["--image-size", HUGE], f"smaller than {HUGE}x{HUGE}"),
    ("resolution_sweep", ["--image-size", "7"], "Images of 7x7 px are too small for three convolutions"),
    ("resolution_sweep", ["--id-column", "NAME"], "no id column 'NAME'; its columns are OBJID"),
    ("resolution_sweep", ["--redshift-column", "zz"], "no redshift column 'zz'.*Name one with --redshift-column"),
    ("resolution_sweep", ["--class-columns", "SPIRAL", "BAR"], "no class column 'BAR'"),
    ("same_resolution", ["--factors", "9"], "can be shrunk by factors 1 to 8, not by 9"),
    ("same_resolution", ["--per-class", "5"], "A draw of 5 galaxies per class"),
    ("phase_shift", ["--factors", "9", "--sizes", "3", "4", "5"], "--factors can be up to 8 for images of 8 px, not 9"),
    ("phase_shift", ["--sizes", "8", "9", "10", "11"], "Images of 8 px leave the sizes"),
    ("class_balance", ["--total", "9"], "so --total 9 cannot be drawn"),
    ("uncertain_labels", ["--uncertain-class", "bar"], "no class 'bar'"),
    ("uncertain_labels", ["--total", "4", "--batch-size", "4"], "--batch-size 4 is more than the 3 galaxies|0 uncertain"),
    ("cross_survey", [], "One of --data and --sharp.data is the simulated survey"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "flags", "sentence"), TOO_MUCH, ids=[f"{n} {' '.join(f)}"[:60] for n, f, _ in TOO_MUCH]
)
def test_flags_that_the_galaxies_do_not_allow(name, flags, sentence, folder, tmp_path, capsys):
    usual = {"resolution_sweep": SWEEP, "same_resolution": [*TINY, "--per-class", "4", "--factors", "2"],
             "phase_shift": [*TINY, "--per-class", "4"]}  # fmt: skip
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run(name, "--data", folder, "--out", tmp_path / "run", *usual.get(name, TINY), *flags))


def test_a_thesis_on_bad_galaxies_makes_no_folder(folder, tmp_path, capsys):
    (folder / "catalogue.csv").write_text(HEADER + "\n")
    with refused(tmp_path, capsys, "has no rows") as ended:
        ended(run("thesis", "--data", folder, "--out", tmp_path / "run"))


def test_files_that_may_not_be_read(folder, tmp_path, capsys, monkeypatch):
    """The permission is taken by hand, since tests may run as root."""
    read_bytes = Path.read_bytes

    def denied(path):
        if path.suffix == ".npy":
            raise PermissionError(13, "Permission denied")
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    assert run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP) == 2
    assert re.search(r"8 left out, .*cannot be read \(Permission denied\)", capsys.readouterr().err)
    assert not (tmp_path / "run").exists()


def make_sample(path, **changes):
    parts = {
        "images": np.random.default_rng(0).random((GOOD, 8, 8), np.float32), "labels": np.arange(GOOD, dtype=np.int32) % 2,
        "class_names": ("spiral", "elliptical"), "ids": np.arange(GOOD), "redshift": np.full(GOOD, 0.1), "pixel_scale": 0.4,
        "bands": ("r",), "provenance": {"survey": "a test"},
    }  # fmt: skip
    GalaxySample(**parts | changes).save(path)


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


# Saved samples: how the file is made, and what is said.
SAMPLES = {
    "empty": (lambda p: p.touch(), "cannot be read as a galaxy sample"),
    "text": (lambda p: p.write_text("galaxies"), "cannot be read as a galaxy sample"),
    "other fits": (lambda p: p.write_bytes(FITS), r"FITS, but not a sample of layout 1 \(card GALJAX is None\)"),
    "gzip": (lambda p: (make_sample(p), p.write_bytes(gzip.compress(p.read_bytes()))), "it does not begin|do not begin|does not begin|no end"),
    "cut off": (lambda p: (make_sample(p), p.write_bytes(p.read_bytes()[:-4000])), "it is cut off|has no end|truncated"),
    "newer": (with_card("GALJAX", 99), "not a sample of layout 1 .*is 99"),
    "absurd axes": (with_card("NAXIS", 999999999), "NAXIS is '999999999'"),
    "absurd size": (with_card("NAXIS3", 99999999999), "it is cut off"),
    "sparse and huge": (lambda p: (with_card("NAXIS3", 10**10)(p), os.truncate(p, 10**12 * 3)), r"sample\.fits has 3000 GB, and this machine \d+ GB of memory"),
    "no labels": (edited("GALAXIES", LABEL=None), "cannot be read as a galaxy sample"),
    "labels of another class": (edited("GALAXIES", LABEL=[9] * GOOD), r"sample\.fits is damaged\. Labels must lie in 0\.\.1"),
    "labels as floats": (edited("GALAXIES", LABEL=[0.5] * GOOD), "labels float64|labels >f8"),
    "ids as floats": (edited("GALAXIES", ID=np.arange(GOOD) + 0.5), "Galaxy ids must be int64 or strings, not float64"),
    "ids twice": (edited("GALAXIES", ID=[3] * GOOD), "Galaxy id 3 appears 8 times"),
    "NaN pixels": (lambda p: (make_sample(p), p.write_bytes(p.read_bytes().replace(FIRST_PIXEL, b"\x7f\xc0\0\0", 1))), "hold NaN or infinite pixels"),
    "class that is a path": (notes(class_names=["../../x", "y"]), r"A class cannot be called '\.\./\.\./x'"),
    "classes in markup": (notes(class_names=["<script>", "[/b]"]), "A class cannot be called '<script>'"),
    "same class twice": (notes(class_names=["spiral", "spiral"]), "Each class needs its own name"),
    "no class names": (edited("PROVENANCE", KEY=["a", "b", "c"]), "cannot be read as a galaxy sample .*class_names"),
    "notes that are no JSON": (edited("PROVENANCE", JSON=["{", "[", "nul"]), "cannot be read as a galaxy sample"),
    "deep JSON": (edited("PROVENANCE", JSON=["[" * 30_000] * 3), "cannot be read as a galaxy sample"),
    "too many bands": (notes(bands=["g", "r"]), r"1 band\(s\), but 2 band name"),
}  # fmt: skip
FIRST_PIXEL = np.random.default_rng(0).random((GOOD, 8, 8), np.float32)[0, 0, :1].astype(">f4").tobytes()


@pytest.mark.parametrize("kind", SAMPLES)
def test_bad_samples(kind, tmp_path, capsys):
    make, sentence = SAMPLES[kind]
    path = tmp_path / "sample.fits"
    make(path)
    if kind == "sparse and huge":  # which would take a day to check
        code = run("resolution_sweep", "--data", path, "--out", tmp_path / "run", *SWEEP)
        assert (code, sorted(tmp_path.iterdir())) == (2, [path])
        assert re.search(sentence, capsys.readouterr().err)
        return
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("resolution_sweep", "--data", path, "--out", tmp_path / "run", *SWEEP))


def spoil_config(**changes):
    def spoil(out):
        path = out / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def replace(name, content):
    """A file of the run folder by another, by a folder (None), or by a link (a path)."""

    def spoil(out):
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            path.mkdir()
        else:
            path.symlink_to(content)

    return spoil


# Run folders: how that of a whole run is spoiled, and what is said of it then.
RUN_FOLDERS = {
    "config lost": (lambda out: (out / "config.json").unlink(), r"holds files, but no readable run .* \(config\.json\)\. Nothing there was touched"),
    "config cut off": (lambda out: os.truncate(out / "config.json", 40), "no readable run"),
    "config is a folder": (replace("config.json", None), "no readable run"),
    "config not UTF-8": (replace("config.json", b"\xff\xfe{}"), "no readable run"),
    "config of endless depth": (replace("config.json", b"[" * 100_000), "no readable run"),
    "config without content": (spoil_config(config=3), "no readable run"),
    "newer version": (spoil_config(format=2), "holds a run of layout 2; this version reads layout 1"),
    "another experiment": (spoil_config(experiment="phase_shift"), "holds a run of phase_shift, not of same_resolution"),
    "another configuration": (spoil_config(config={"seed": 1}), "another configuration: .*seed was 1, now 0"),
    "other galaxies": (spoil_config(sample="0" * 64), "run on other galaxies"),
    "training cut off": (lambda out: os.truncate(out / "checkpoints" / "factor_2.npz", 300), r"factor_2\.npz is damaged .* Delete it"),
    "training that is a pickle": (lambda out: (out / "checkpoints" / "factor_2.npz").write_bytes(pickle.dumps(Bomb())), r"factor_2\.npz is damaged"),
    "training of something else": (lambda out: np.savez(out / "checkpoints" / "factor_2.npz", a=1), r"factor_2\.npz is damaged"),
    "link out of the folder": (replace("excluded.ecsv", "../precious"), "excluded.ecsv lies outside of the run folder, through a link"),
    "table is a folder": (lambda out: ((out / "excluded.ecsv").unlink(), (out / "excluded.ecsv").mkdir()), r"Cannot write .*excluded\.ecsv \(Is a directory\)"),
    "checkpoints is a file": (replace("checkpoints", b""), r"Cannot make the folder .*checkpoints|Not a directory"),
    "not ours": (lambda out: (shutil.rmtree(out), out.mkdir(), (out / "thesis.tex").write_text("years")), "no readable run"),
    "a file": (lambda out: (shutil.rmtree(out), out.write_text("years")), "is a file; give a folder"),
    "below a file": (lambda out: (shutil.rmtree(out.parent), out.parent.write_text("years")), "Cannot make the folder .* Give another --out"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUN_FOLDERS)
def test_bad_run_folders(kind, mixed, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole, flags = mixed
    spoil, sentence = RUN_FOLDERS[kind]
    out = tmp_path / "runs" / "run"
    shutil.copytree(whole, out)
    (tmp_path / "runs" / "precious").write_text("years of work")
    spoil(out)
    if kind.startswith("training"):  # found when the run has begun again
        assert run("same_resolution", "--out", out, *flags) == 2
        assert re.search(sentence, " ".join(capsys.readouterr().err.split()))
        assert not (tmp_path / "pickle-was-loaded").exists()
        return
    with refused(tmp_path, capsys, sentence) as ended:
        ended(run("same_resolution", "--out", out, *flags))


@pytest.mark.parametrize("call", ["mkdir", "write_bytes"])
def test_a_run_folder_on_a_read_only_disk(call, folder, tmp_path, capsys, monkeypatch):
    def denied(*arguments, **options):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, call, denied)
    assert run("resolution_sweep", "--data", folder, "--out", tmp_path / "run", *SWEEP) == 2
    assert re.search(r"Cannot (make|write) .*run.*\(Read-only file system\)", " ".join(capsys.readouterr().err.split()))


def test_a_run_folder_with_a_name_too_long(folder, tmp_path, capsys):
    with refused(tmp_path, capsys, "Cannot make the folder .*File name too long.* Give another --out") as ended:
        ended(run("resolution_sweep", "--data", folder, "--out", tmp_path / ("x" * 300), *SWEEP))


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
    "tiles of fits": (".fits", save_fits(fits.PrimaryHDU(), fits.CompImageHDU(NUMBERS.astype(np.int16), compression_type="RICE_1")), NUMBERS),
    "cards of no standard": (".fits", save_fits(fits.PrimaryHDU(NUMBERS)).replace(b"EXTEND  =", b"ext&nd  ="), NUMBERS),
    "grey picture": (".PNG", cv2.imencode(".png", np.abs(NUMBERS).astype(np.uint8))[1].tobytes(), np.abs(NUMBERS)),
    "16-bit picture": (".png", cv2.imencode(".png", np.abs(NUMBERS * 300).astype(np.uint16))[1].tobytes(), np.abs(NUMBERS * 300)),
    "jpeg in the name of a png": (".png", JPEG, cv2.imdecode(np.frombuffer(JPEG, np.uint8), 1)[..., 1]),
}  # fmt: skip


@pytest.mark.parametrize("kind", LEGITIMATE)
def test_unusual_images_that_are_right(kind, tmp_path):
    folder = make_folder(tmp_path / "two words\nand \u00fc" / "..deep" / ".." / "..deep" / "galaxies", 0)
    ending, content, pixels = LEGITIMATE[kind]
    put(folder, "NGC 1300", ending, content)
    (folder / "catalogue.csv").write_text(f"{HEADER}\nNGC 1300,1,0,0\n")
    sample = load(SourceConfig(str(folder), FolderOptions(image_size=8)), 0)
    height, width = pixels.shape
    if height > 16:  # a picture: shrunk by 3
        expected = pixels[:24, :24].astype(np.float32).reshape(8, 3, 8, 3).mean(axis=(1, 3))
    else:
        expected = pixels[(height - 8) // 2 :, (width - 8) // 2 :][:8, :8]
    np.testing.assert_allclose(sample.images[0], expected, rtol=1e-6)
    assert sample.ids.tolist() == ["NGC 1300"]


@pytest.mark.parametrize("ending", ["csv", "ecsv", "fits", "vot"])
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("OBJID", np.arange(GOOD, dtype=np.int16)),
        ("OBJID", [str(number) for number in range(GOOD)]),
        ("SPIRAL", (np.arange(GOOD) % 2 == 0)),
        ("SPIRAL", (np.arange(GOOD) % 2 == 0).astype(float)),
        ("ELLIPTICAL", np.array(["0", "1"] * 4)),
        ("UNCERTAIN", np.zeros(GOOD, np.uint8)),
        ("flux", np.ones(GOOD)),
    ],
)
def test_unusual_catalogues_that_are_right(ending, column, values, folder):
    catalogue(table_with(**{column: values}), ending)(folder)
    sample = load(SourceConfig(str(folder), FolderOptions(image_size=8)), 0)
    assert sample.ids.tolist() == list(range(GOOD))
    assert sample.labels.tolist() == [0, 1] * (GOOD // 2)
    assert sample.excluded == ()


@pytest.mark.slow
def test_a_million_rows(folder):
    """Half a minute and 1 GB; those without an image are listed."""
    lines = [HEADER, *(f"{number},{number % 2},{1 - number % 2},0" for number in range(1_000_000))]
    (folder / "catalogue.csv").write_text("\n".join(lines))
    sample = load(SourceConfig(str(folder), FolderOptions(image_size=8)), 0)
    assert (len(sample), len(sample.excluded)) == (GOOD, 1_000_000 - GOOD)


def test_there_are_enough_kinds():
    kinds = len(FLAGS) + len(IMAGES) + len(CATALOGUES) + len(TOO_MUCH) + len(SAMPLES) + len(RUN_FOLDERS)
    assert kinds >= 200
