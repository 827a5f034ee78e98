"""Mutated files through every reader: each is read, or refused with a sentence; no crash, no hang, no memory blow-up.

    pytest tests/test_fuzz_readers.py             # a few hundred files
    pytest -m slow tests/test_fuzz_readers.py     # 10,000 files of every format; 20 minutes on a CPU core
    python -m tests.test_fuzz_readers vot 4711 1  # one file again, with what it raises

The files are made from a seed (format, number), so a number names the same file on every machine. They are read in a process
of its own, which the system ends where one file takes too much processor time or memory.
"""

import contextlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

import cv2
import h5py
import numpy as np
import pyarrow as pa
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from pyarrow import parquet

from galjax import GalaxySample, InputError
from galjax.sources.files.folder import FolderOptions, read_folder
from galjax.sources.files.image_files import UnusableImage, read_image, to_stamp
from galjax.sources.files.reading import read_files
from tests.mutation import mutated

IMAGES = {"jpeg": ".jpeg", "png": ".png", "fits": ".fits", "fits.gz": ".fits.gz", "npy": ".npy", "tiff": ".tif"}
CATALOGUES = {"csv": "csv", "ecsv": "ecsv", "fits table": "fits", "vot": "vot", "parquet": "parquet", "jsonl": "jsonl"}
ARRAYS = ("hdf5", "npz")
FORMATS = (*IMAGES, *CATALOGUES, *ARRAYS, "sample")
SECONDS = 10
"""Of processor time that one file may take."""
MEMORY = 1 << 30
"""Bytes that the reader may take beyond what the process has after its imports."""
OPTIONS = FolderOptions(image_size=8)


def _fits(*hdus: object) -> bytes:
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def _images(kind: str) -> list[bytes]:
    rng = np.random.default_rng(0)
    colour = cv2.GaussianBlur(rng.integers(0, 256, (24, 24, 3), dtype=np.uint8), (0, 0), 2)
    grey = rng.integers(0, 65536, (16, 20), dtype=np.uint16)
    if kind == "jpeg":
        choices = ([], [cv2.IMWRITE_JPEG_PROGRESSIVE, 1], [cv2.IMWRITE_JPEG_RST_INTERVAL, 2])
        return [
            cv2.imencode(".jpg", pixels, list(c))[1].tobytes() for c in choices for pixels in (colour, colour[..., 0])
        ]
    if kind == "png":
        return [
            cv2.imencode(".png", pixels)[1].tobytes()
            for pixels in (colour, grey, colour[..., 0], np.dstack([colour, colour[..., 0]]))
        ]
    if kind == "tiff":
        return [cv2.imencode(".tiff", pixels)[1].tobytes() for pixels in (colour, grey, grey.astype(np.float32))]
    if kind == "npy":
        streams = [io.BytesIO() for _ in range(4)]
        for stream, array in zip(streams, (grey, grey.astype(">f8"), np.asfortranarray(grey), colour), strict=True):
            np.save(stream, array)
        return [stream.getvalue() for stream in streams]
    small = grey.astype(np.int16)
    tiled = [fits.CompImageHDU(small, compression_type=c) for c in ("RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1")]
    plain = [
        _fits(fits.PrimaryHDU(grey)),
        _fits(fits.PrimaryHDU(), fits.ImageHDU(np.moveaxis(colour, 2, 0).astype(np.float32))),
    ]
    return plain + [_fits(fits.PrimaryHDU(), hdu) for hdu in tiled]


def _catalogues(kind: str) -> list[bytes]:
    table = Table(
        {
            "OBJID": np.arange(1, 7),
            "SPIRAL": np.array([1, 1, 1, 0, 0, 0], np.int16),
            "ELLIPTICAL": np.array([0, 0, 0, 1, 1, 1], bool),
            "UNCERTAIN": ["0"] * 6,
            "z": MaskedColumn([0.1, 0.2, 0, 0.3, 0.1, 0.2], mask=[0, 0, 1, 0, 0, 0]),
        }
    )
    named = table.copy()
    named["OBJID"] = [f"J{number}" for number in range(6)]
    streams = []
    if kind == "jsonl":
        rows = [[dict(zip(one.colnames, map(str, row), strict=True)) for row in one] for one in (table, named)]
        return ["\n".join(map(json.dumps, lines)).encode() for lines in rows]
    if kind == "parquet":
        contents = []
        for one in (table, named):
            stream = io.BytesIO()
            columns = {name: pa.array(np.ma.getdata(one[name]).tolist()) for name in one.colnames}
            parquet.write_table(pa.table(columns), stream, write_page_checksum=True)
            contents.append(stream.getvalue())
        return contents
    for one in (table, named):
        for options in ({}, {"tabledata_format": "binary2"}) if kind == "vot" else ({},):
            streams.append(io.BytesIO() if kind in ("fits table", "vot") else io.StringIO())
            one.write(
                streams[-1],
                format={"csv": "ascii.csv", "ecsv": "ascii.ecsv", "fits table": "fits", "vot": "votable"}[kind],
                **options,
            )
    contents = [stream.getvalue() for stream in streams]
    return [content.encode() if isinstance(content, str) else content for content in contents]


def _arrays(kind: str) -> list[bytes]:
    rng = np.random.default_rng(0)
    contents = []
    for images in (rng.integers(0, 256, (6, 9, 9, 3), dtype=np.uint8), rng.random((6, 8, 8))):
        arrays = {"images": images, "labels": np.array([0, 1, 0, 1, 0, 1]), "redshift": rng.random(6)}
        stream = io.BytesIO()
        if kind == "npz":
            np.savez(stream, **arrays)
        else:
            with h5py.File(stream, "w") as file:
                for name, array in arrays.items():
                    file.create_dataset(name, data=array, compression="gzip" if array.ndim > 1 else None)
        contents.append(stream.getvalue())
    return contents


def _samples() -> list[bytes]:
    rng = np.random.default_rng(0)
    contents = []
    for bands, ids in ((("r",), np.arange(4)), (("g", "r"), np.array(["a", "b", "c", "d"]))):
        shape = (4, 5, 6) if len(bands) == 1 else (4, 5, 6, len(bands))
        sample = GalaxySample(
            rng.random(shape, np.float32),
            np.array([0, 1, 0, 1], np.int32),
            ("spiral", "elliptical"),
            ids,
            rng.random(4),
            0.4,
            bands,
            {"survey": "a test"},
            {"magnitude": rng.random(4)},
        )
        with tempfile.TemporaryDirectory() as folder:
            sample.save(Path(folder) / "sample.fits")
            contents.append((Path(folder) / "sample.fits").read_bytes())
    return contents


def read_one(kind: str, content: bytes, folder: Path) -> None:
    """As the commands read it."""
    if kind in IMAGES:
        path = folder / f"galaxy{IMAGES[kind]}"
        path.write_bytes(content)
        pixels = read_image(path)
        stamp = to_stamp(pixels, is_picture=kind in ("jpeg", "png"), channel="green", crop=None, size=8)
        assert np.isfinite(stamp).all()
    elif kind in CATALOGUES:
        (folder / f"catalogue.{CATALOGUES[kind]}").write_bytes(content)
        sample = read_folder(folder, OPTIONS)
        assert len(sample) + len(sample.excluded) >= 3  # none is lost without a word
    elif kind in ARRAYS:
        path = folder / ("arrays.npz" if kind == "npz" else "arrays.h5")
        path.write_bytes(content)
        sample = read_files(path, OPTIONS)
        assert len(sample) + len(sample.excluded) >= 1
    else:
        (folder / "sample.fits").write_bytes(content)
        GalaxySample.load(folder / "sample.fits")


def limit_memory() -> None:
    """Of this process: what it has, and MEMORY more."""
    pa.array([0])  # Arrow reserves a gigabyte with its first array
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))


def read_many(kind: str, first: int, count: int, folder: Path) -> dict[str, object]:
    """Files `first` ... of a format, each with a limit of time; how many were read and refused, and what went wrong."""
    (folder / "images").mkdir(exist_ok=True)
    for earlier in folder.glob("catalogue.*"):
        earlier.unlink()
    if kind in CATALOGUES:
        pixels = np.random.default_rng(0).random((8, 8))
        for name in ("1", "2", "4", "J0", "J1", "J3"):
            np.save(folder / "images" / f"{name}.npy", pixels)
    makers = {
        **dict.fromkeys(IMAGES, _images),
        **dict.fromkeys(CATALOGUES, _catalogues),
        **dict.fromkeys(ARRAYS, _arrays),
    }
    seeds = makers[kind](kind.removesuffix(".gz")) if kind in makers else _samples()
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process, whatever code it is in
    read, failures = 0, []
    for number in range(first, first + count):
        rng = np.random.default_rng([FORMATS.index(kind), number])
        content = mutated(rng, kind, seeds)
        (folder / "number").write_text(f"{kind} {number}")
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try:
            read_one(kind, content, folder)
            read += 1
        except (InputError, UnusableImage) as refusal:
            if isinstance(refusal.__cause__, MemoryError) or len(str(refusal)) < 10 or "\n" in str(refusal):
                failures.append([number, repr(refusal)])
        except Exception:
            failures.append([number, traceback.format_exc()[-1500:]])
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"read": read, "refused": count - read - len(failures), "failures": failures}


def fuzz(kinds: Sequence[str], count: int, folder: Path) -> None:
    """`read_many` in a process of its own; raises AssertionError where one went wrong, or the mutations did not try much."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "tests.test_fuzz_readers",
            ",".join(kinds),
            "0",
            str(count),
            str(folder),
        ],
        capture_output=True,
        text=True,
        timeout=300 + count,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
    )
    at = (folder / "number").read_text() if (folder / "number").exists() else "the start"
    assert done.returncode == 0, f"ended by {done.returncode} at {at}: {done.stderr[-1500:]}"
    for kind, line in zip(kinds, done.stdout.splitlines()[-len(kinds) :], strict=True):
        outcome = json.loads(line)
        assert outcome["failures"] == [], kind
        assert outcome["refused"] >= count / 20, kind
        assert kind == "npz" or outcome["read"] >= count / 100, kind  # a zip file has a checksum of everything


def test_some_mutated_files_of_every_format(tmp_path):
    fuzz(FORMATS, 40, tmp_path)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.slow
def test_ten_thousand_mutated_files(kind, tmp_path):
    fuzz([kind], 10_000, tmp_path)


def test_the_same_number_is_the_same_file():
    seeds = _images("png")
    one, other = (mutated(np.random.default_rng([1, 7]), "png", seeds) for _ in range(2))
    assert one == other != mutated(np.random.default_rng([1, 8]), "png", seeds)


if __name__ == "__main__":
    kinds, first, count = sys.argv[1].split(","), int(sys.argv[2]), int(sys.argv[3])
    with contextlib.ExitStack() as stack:
        place = sys.argv[4] if len(sys.argv) > 4 else stack.enter_context(tempfile.TemporaryDirectory())
        limit_memory()
        for kind in kinds:
            print(json.dumps(read_many(kind, first, count, Path(place))))
