"""What a survey must offer so that a sample can be built of it, and the files that are kept while it is."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
from astropy.wcs import WCS

from galjax.io.whole_files import write_whole
from galjax.sources.archives.cutout import CutoutConvention, pixel_positions, place
from galjax.sources.archives.download import Answer, BadContent
from galjax.sources.archives.frame import Band
from galjax.sources.build.journal import Failure, Stamp
from galjax.sources.surveys.galaxy_list import GalaxyList

Value = TypeVar("Value")
Outcome = Stamp | Failure
FETCH, CUT = "fetch", "cut-out"
"""Stages at which a galaxy can fail; a row of the catalogue fails at stage `catalogue`."""


class Job(NamedTuple):
    """What is fetched in one go, and the galaxies that it shows."""

    key: str
    galaxies: tuple[int, ...]
    """Indices into the list of galaxies."""


class StampRequest(NamedTuple):
    """How stamps are cut."""

    size: int
    band: Band
    cutout: CutoutConvention


@runtime_checkable
class SurveyImages(Protocol):
    """A survey and the way to its images. Methods may be called in several threads at once, `done` in the main one."""

    pixel_scale: float

    def jobs(self, galaxies: GalaxyList) -> list[Job]:
        """Every galaxy in exactly one job."""

    def work(self, job: Job, galaxies: GalaxyList) -> list[Outcome]:
        """Fetch and cut: one outcome for every galaxy of the job. Raises Stopped, or InputError for all galaxies alike."""

    def done(self, job: Job) -> None:
        """The job's outcomes are kept: its files may go."""

    def provenance(self) -> Mapping[str, str]:
        """What the sample's reader must know of the survey, its pixels and units."""


class FileStore:
    """Files fetched and not yet done with. Their names are ours, never a server's."""

    def __init__(self, folder: Path, *, keep: bool) -> None:
        self.folder = folder
        self.keep = keep

    def read_or_fetch(
        self, name: str, read: Callable[[bytes], Value], fetch: Callable[[Callable[[bytes], Value]], Answer[Value]]
    ) -> Answer[Value]:
        """What `read` makes of a file: of the one kept from a build that was ended, with no attempts, else of the one that
        `fetch` gets, which is kept. A file of which `read` raises BadContent is not kept.
        """
        kept = self.read(name)
        if kept is not None:
            try:
                return Answer(read(kept), 0)
            except BadContent:
                self.remove(name)

        def keep_and_read(content: bytes) -> Value:
            # On disk before anything else: what ends the program now does not make it fetch the file again.
            self.write(name, content)
            try:
                return read(content)
            except BadContent:
                self.remove(name)
                raise

        return fetch(keep_and_read)

    def read(self, name: str) -> bytes | None:
        """The file, or None where it is not there."""
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Keep a file: whole, or not at all."""
        write_whole(self.folder / name, content)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        (self.folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete what is left, as of a program that was killed while it wrote, unless files are to be kept."""
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def cut_single(
    galaxy: int, galaxies: GalaxyList, wcs: WCS, pixels: np.ndarray, request: StampRequest
) -> tuple[np.ndarray, dict[str, float]]:
    """The stamp of one galaxy from an image made for it, and its centre. Raises NoCutout."""
    one = np.array([galaxy])
    y, x = pixel_positions(wcs, galaxies.ra[one], galaxies.dec[one])
    where = place(float(y[0]), float(x[0]), request.size, request.cutout, pixels.shape)
    stamp = pixels[where.top : where.top + request.size, where.left : where.left + request.size].astype(np.float32)
    return stamp, {"centre_y": where.centre_y, "centre_x": where.centre_x}
