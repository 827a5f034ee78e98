"""SDSS DR7 galaxies from the survey's frames: each frame is fetched once, for all galaxies in it."""

import dataclasses
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from galjax.errors import InputError
from galjax.sources.archives.addresses import Addresses, join
from galjax.sources.archives.cutout import NoCutout, check_stamp, pixel_positions, place
from galjax.sources.archives.das import CorrectedFrames
from galjax.sources.archives.download import Client, FetchFailed, Request
from galjax.sources.archives.frame import FieldId, Frame, FrameArchive, Units
from galjax.sources.archives.sas import SkySubtractedFrames
from galjax.sources.build.journal import Failure, Stamp
from galjax.sources.build.survey import CUT, FETCH, FileStore, Job, Outcome, StampRequest
from galjax.sources.surveys import objid
from galjax.sources.surveys.galaxy_list import GalaxyList

PIXEL_SCALE = 0.396
"""Arcsec per pixel (York et al. 2000, AJ 120, 1579)."""
ArchiveChoice = Literal["auto", "das", "sas"]
OUTAGE = 8
"""Frames in a row that an archive fails to give before it counts as down."""
DOWN_FOR = 300.0
"""Seconds before an archive that is down is asked again, where there is another one."""
UNITS_IN_WORDS = {
    "counts": "counts per pixel (DN of the corrected frame), sky subtracted",
    "nanomaggies": "nanomaggies per pixel, sky subtracted",
}


def archives_of(choice: ArchiveChoice, addresses: Addresses, units: Units) -> tuple[FrameArchive, ...]:
    """The archives to ask, in order. Raises InputError for units that the chosen archives cannot give."""
    das, sas = CorrectedFrames(addresses.das_url), SkySubtractedFrames(addresses.sas_url)
    if units == "nanomaggies" and choice != "sas":
        raise InputError(
            "--units nanomaggies needs --archive sas: corrected frames of DR7 have no calibration with them."
        )
    return {"auto": (das, sas), "das": (das,), "sas": (sas,)}[choice]


class _Health:
    """Whether an archive is worth asking."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed_in_a_row, self._ask_again = 0, 0.0

    def is_down(self) -> bool:
        with self._lock:
            return self._failed_in_a_row >= OUTAGE and time.monotonic() < self._ask_again

    def tell(self, *, answered: bool) -> None:
        with self._lock:
            self._failed_in_a_row = 0 if answered else self._failed_in_a_row + 1
            self._ask_again = time.monotonic() + DOWN_FOR


@dataclasses.dataclass
class SdssFrames:
    """The survey as frames of one or two archives."""

    client: Client
    archives: Sequence[FrameArchive]
    store: FileStore
    request: StampRequest
    units: Units = "counts"
    pixel_scale: float = PIXEL_SCALE

    def __post_init__(self) -> None:
        self._health = {archive.name: _Health() for archive in self.archives}
        self._fields: dict[str, FieldId] = {}

    def jobs(self, galaxies: GalaxyList) -> list[Job]:
        """One job for every field, in the order in which the catalogue first names them."""
        parts = objid.decode(galaxies.id)
        by_field: dict[FieldId, list[int]] = {}
        columns = (parts.run, parts.rerun, parts.camcol, parts.field)
        for galaxy, field in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            by_field.setdefault(FieldId(*field), []).append(galaxy)
        jobs = []
        for field, members in by_field.items():
            key = f"{field.run}-{field.rerun}-{field.camcol}-{field.field}"
            self._fields[key] = field
            jobs.append(Job(key, tuple(members)))
        return jobs

    def work(self, job: Job, galaxies: GalaxyList) -> list[Outcome]:
        """The field's frame from the first archive that has it, and a stamp of every galaxy in it."""
        field, reasons, attempts, transient = self._fields[job.key], [], 0, False
        for archive in self.archives:
            health = self._health[archive.name]
            if len(self.archives) > 1 and health.is_down():
                reasons.append(f"{archive.name}: down")
                transient = True
                continue
            try:
                frame, tries = self._frame(archive, field)
            except FetchFailed as failure:
                health.tell(answered=not failure.transient)
                reasons.append(f"{archive.name}: {failure.reason}")
                attempts += failure.attempts
                transient |= failure.transient
                continue
            health.tell(answered=True)
            return self._cut(job, galaxies, frame, archive, field, attempts + tries)
        return [Failure(galaxy, FETCH, "; ".join(reasons), attempts, transient) for galaxy in job.galaxies]

    def done(self, job: Job) -> None:
        """Delete the field's frames, unless they are to be kept."""
        if not self.store.keep:
            for archive in self.archives:
                self.store.remove(self._file(archive, self._fields[job.key]))

    def provenance(self) -> Mapping[str, str]:
        """Archives, units, sky."""
        return {
            "survey": "SDSS DR7",
            "archives": ", then ".join(archive.name for archive in self.archives)
            + " (das: DR7 corrected frames; sas: sky-subtracted frames, rerun 301)",
            "units": UNITS_IN_WORDS[self.units],
            "sky": "das: pixel - SOFTBIAS - SKY, with SKY from the header, or where it has none the median of every fourth row clipped at "
            "3 standard deviations; sas: subtracted by the survey's pipeline; its value per galaxy is column sky",
        }

    def _file(self, archive: FrameArchive, field: FieldId) -> str:
        return f"{archive.name}/{archive.path(field, self.request.band).rsplit('/', 1)[-1]}"

    def _frame(self, archive: FrameArchive, field: FieldId) -> tuple[Frame, int]:
        """The frame and how many requests it took: none where it is on disk from a build that was ended."""
        url, band = join(archive.base, archive.path(field, self.request.band)), self.request.band
        answer = self.store.read_or_fetch(
            self._file(archive, field),
            lambda content: archive.read(content, field, band, self.units),
            lambda read: self.client.fetch(Request(url), read),
        )
        return answer.value, answer.attempts

    def _cut(
        self, job: Job, galaxies: GalaxyList, frame: Frame, archive: FrameArchive, field: FieldId, attempts: int
    ) -> list[Outcome]:
        members = np.array(job.galaxies)
        rows, columns = pixel_positions(frame.wcs, galaxies.ra[members], galaxies.dec[members])
        outcomes: list[Outcome] = []
        for galaxy, y, x in zip(job.galaxies, rows.tolist(), columns.tolist(), strict=True):
            try:
                where = place(y, x, self.request.size, self.request.cutout, frame.shape)
                stamp = frame.stamp(where.top, where.left, self.request.size)
                check_stamp(stamp, frame.most_common)
            except NoCutout as reason:
                outcomes.append(Failure(galaxy, CUT, f"{archive.name}: {reason}", attempts, transient=False))
                continue
            facts = {
                "archive": archive.name,
                "frame": archive.path(field, self.request.band),
                "frame_y": y,
                "frame_x": x,
                "centre_y": where.centre_y,
                "centre_x": where.centre_x,
                "units": frame.units,
                "sky": frame.sky(y, x),
                "sky_from": frame.sky_from,
                "softbias": frame.softbias,
            }
            outcomes.append(Stamp(galaxy, stamp, facts))
        return outcomes
