"""Hyper Suprime-Cam cut-outs of given galaxies, many positions in one request."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from galjax.errors import InputError
from galjax.sources.archives import hsc
from galjax.sources.archives.cutout import NoCutout, check_stamp, read_wcs
from galjax.sources.archives.download import BadContent, Client, FetchFailed
from galjax.sources.build.journal import Failure, Stamp
from galjax.sources.build.survey import CUT, FETCH, FileStore, Job, Outcome, StampRequest, cut_single
from galjax.sources.surveys.galaxy_list import GalaxyList

POSITIONS_AT_ONCE = 300
"""Positions in one request: about 40 MB of 150 px stamps."""


@dataclasses.dataclass
class HscCutouts:
    """The survey as stamps of its cut-out service. `login` (name, password) is kept in memory and sent to `base` alone."""

    client: Client
    base: str
    login: tuple[str, str] = dataclasses.field(repr=False)
    store: FileStore
    request: StampRequest
    pixel_scale: float = hsc.PIXEL_SCALE

    def jobs(self, galaxies: GalaxyList) -> list[Job]:
        """Galaxies in the catalogue's order, a fixed number in each job."""
        starts = range(0, len(galaxies), POSITIONS_AT_ONCE)
        return [
            Job(f"positions-{start}", tuple(range(start, min(start + POSITIONS_AT_ONCE, len(galaxies)))))
            for start in starts
        ]

    def work(self, job: Job, galaxies: GalaxyList) -> list[Outcome]:
        """Raises InputError where the login is refused."""
        members = np.array(job.galaxies)
        size, band = self.request.size, self.request.band
        positions = hsc.position_list(galaxies.ra[members], galaxies.dec[members], size, band)
        try:
            answer = self.store.read_or_fetch(
                f"hsc/{job.key}.tar",
                lambda content: hsc.read_answer(content, len(members)),
                lambda read: self.client.fetch(hsc.request(self.base, positions, self.login), read),
            )
        except FetchFailed as failure:
            if failure.status == 401:
                raise InputError(
                    f"The HSC archive refuses the login in {hsc.USER} and {hsc.PASSWORD}. Correct them and run the same command again "
                    f"to resume."
                ) from None
            return [
                Failure(galaxy, FETCH, f"hsc: {failure.reason}", failure.attempts, failure.transient)
                for galaxy in job.galaxies
            ]
        return self._cut(job, galaxies, answer.value, answer.attempts)

    def done(self, job: Job) -> None:
        """Delete the answer, unless it is to be kept."""
        if not self.store.keep:
            self.store.remove(f"hsc/{job.key}.tar")

    def provenance(self) -> Mapping[str, str]:
        """Release, units, sky."""
        return {
            "survey": "HSC-SSP PDR3 (wide), coadd",
            "units": hsc.UNITS,
            "sky": "subtracted by the survey's pipeline on small scales, which can take light from extended galaxies",
        }

    def _cut(
        self, job: Job, galaxies: GalaxyList, files: Mapping[int, list[tuple[int, bytes]]], attempts: int
    ) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for number, galaxy in enumerate(job.galaxies):
            reasons = [] if files.get(number) else ["no image of this position (outside the survey's footprint?)"]
            for tract, content in files.get(number, []):
                try:
                    outcomes.append(self._stamp(galaxy, galaxies, content, tract))
                    break
                except (BadContent, NoCutout) as problem:
                    reasons.append(str(problem))
            else:
                outcomes.append(Failure(galaxy, CUT, f"hsc: {'; '.join(reasons)}", attempts, transient=False))
        return outcomes

    def _stamp(self, galaxy: int, galaxies: GalaxyList, content: bytes, tract: int) -> Stamp:
        header, pixels = hsc.read_image(content)
        stamp, centre = cut_single(galaxy, galaxies, read_wcs(header), pixels, self.request)
        check_stamp(stamp)
        facts: dict[str, float | str] = {
            "archive": "hsc",
            "frame": f"{hsc.RERUN}/{tract}",
            **centre,
            "units": hsc.UNITS,
            "sky": float("nan"),
            "sky_from": "pipeline",
        }
        return Stamp(galaxy, stamp, facts)
