"""Cut-outs of given galaxies from a survey's HiPS, one request for each."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from galjax.sources.archives import hips
from galjax.sources.archives.cutout import NoCutout, check_stamp, read_wcs
from galjax.sources.archives.download import BadContent, Client, FetchFailed, Request
from galjax.sources.build.journal import Failure, Stamp
from galjax.sources.build.survey import CUT, FETCH, FileStore, Job, Outcome, StampRequest, cut_single
from galjax.sources.surveys.galaxy_list import GalaxyList


@dataclasses.dataclass
class HipsCutouts:
    """The survey as stamps of hips2fits; its servers are tried in order."""

    client: Client
    bases: Sequence[str]
    survey: hips.HipsSurvey
    store: FileStore
    request: StampRequest

    def __post_init__(self) -> None:
        self.pixel_scale = self.survey.pixel_scale

    def jobs(self, galaxies: GalaxyList) -> list[Job]:
        """One for every galaxy."""
        return [Job(f"galaxy-{galaxy}", (galaxy,)) for galaxy in range(len(galaxies))]

    def work(self, job: Job, galaxies: GalaxyList) -> list[Outcome]:
        """The stamp, or a failure where every server failed or the image is blank."""
        (galaxy,) = job.galaxies
        size, band = self.request.size, self.request.band
        params = hips.parameters(self.survey, float(galaxies.ra[galaxy]), float(galaxies.dec[galaxy]), size, band)
        image, attempts, failure = None, 0, None
        for base in self.bases:
            try:
                answer = self.store.read_or_fetch(
                    self._file(job),
                    lambda content: hips.read_answer(content, size),
                    functools.partial(self.client.fetch, Request(base, params)),
                )
                image, attempts = answer.value, attempts + answer.attempts
                break
            except FetchFailed as problem:
                failure, attempts = problem, attempts + problem.attempts
        if image is None:
            reason, transient = (failure.reason, failure.transient) if failure else ("no server", True)
            return [Failure(galaxy, FETCH, f"hips2fits: {reason}", attempts, transient)]
        try:
            header, pixels = image
            stamp, centre = cut_single(galaxy, galaxies, read_wcs(header), pixels, self.request)
            check_stamp(stamp)
        except (BadContent, NoCutout) as problem:
            return [Failure(galaxy, CUT, f"hips2fits: {problem}", attempts, transient=False)]
        facts: dict[str, float | str] = {
            "archive": "hips2fits",
            "frame": params["hips"],
            **centre,
            "units": self.survey.units,
            "sky": float("nan"),
            "sky_from": "pipeline",
        }
        return [Stamp(galaxy, stamp, facts)]

    def done(self, job: Job) -> None:
        """Delete the answer, unless it is to be kept."""
        if not self.store.keep:
            self.store.remove(self._file(job))

    def provenance(self) -> Mapping[str, str]:
        """HiPS, units, and what resampling did to the pixels."""
        return {
            "survey": self.survey.hips.format(band=self.request.band),
            "units": self.survey.units,
            "sky": "as in the HiPS",
            "resampling": hips.CAVEAT,
        }

    def _file(self, job: Job) -> str:
        return f"hips/{job.key}.fits"
