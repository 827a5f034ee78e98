"""Which real galaxies? From Galaxy Zoo 1 Table 2 to a sample of cut-outs with classes and redshifts (thesis, chapter 3).

    python -m experiments.build_sample --check              # the first thing to run: which archives are up
    python -m experiments.build_sample --survey sdss-dr7 --catalogue GalaxyZoo1_DR_table2.csv.gz --rows 15000 --size 64 --band r --out sdss.fits
    python -m experiments.build_sample --survey hsc-pdr3 --same-as sdss.fits --out hsc/sample.fits
    python -m experiments.build_sample --survey hips-panstarrs --same-as sdss.fits --out panstarrs/sample.fits

A catalogue that is not there is fetched. Redshifts come from SkyServer; every SDSS frame is fetched once, for all galaxies in
it, and deleted after cutting. Ctrl-C, or whatever ends the program, loses nothing: the same command resumes, and the sample is
bit for bit that of an undisturbed build. What is left out is listed with its reason in failures.ecsv (--failures). Of 15,000
galaxies expect 13 GB to fetch and 250 MB to keep.

At 90 galaxies per square degree a frame shows three, so 15,000 galaxies need some 5,000 frames of 2.7 MB: 13 GB to fetch, 250 MB
to keep. 2 CPU cores unpack and cut more than 15 frames per second, so the archive and the line decide: at 8 MB/s half an hour. The
thesis had two failures in 15,000. Nothing of this has been tried against the live archives; it is proven against a stand-in on
the same machine (benchmarks/archives.py). Other surveys are cut to the same field on the sky as 64 px of SDSS, at their own pixel
scale (HSC: 150 px), to compare surveys on the same galaxies.
"""

import dataclasses
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from rich.console import Console
from rich.table import Table as ScreenTable

from galjax.cli import flags
from galjax.cli.command import described, exit_code
from galjax.config.markers import ARCHIVES, OUTPUT, Flat
from galjax.errors import InputError
from galjax.sample import GalaxySample
from galjax.sources.archives import hips, hsc
from galjax.sources.archives.addresses import Addresses
from galjax.sources.archives.check import check_archives, for_checking
from galjax.sources.archives.cutout import CutoutConvention
from galjax.sources.archives.download import Client, Politeness
from galjax.sources.archives.frame import Band, Units
from galjax.sources.archives.galaxy_zoo_tables import fetch_table2
from galjax.sources.archives.skyserver import Redshifts
from galjax.sources.build.assemble import Built, assemble, check_failures_file, failures_table, write_failures
from galjax.sources.build.build_progress import ConsoleBuildProgress
from galjax.sources.build.journal import Journal, open_journal
from galjax.sources.build.pipeline import BuildProgress, cut_all, interruptible
from galjax.sources.build.survey import FileStore, StampRequest, SurveyImages
from galjax.sources.surveys import sdss
from galjax.sources.surveys.galaxy_list import GalaxyList, galaxies_of
from galjax.sources.surveys.galaxy_zoo import read_table2
from galjax.sources.surveys.hips import HipsCutouts
from galjax.sources.surveys.hsc import HscCutouts
from galjax.sources.surveys.redshifts import redshifts_of
from galjax.sources.surveys.sdss import ArchiveChoice, SdssFrames, archives_of
from galjax.terminal.console import say
from galjax.terminal.interrupts import Interrupted

NAME = "build_sample"
QUESTION = "Build a sample of real galaxies: Galaxy Zoo 1 classes, redshifts, and images cut out of a survey."
SurveyName = Literal["sdss-dr7", "hsc-pdr3", "hips-sdss", "hips-panstarrs", "hips-legacy", "hips-hsc"]
SDSS_SIZE = 64
SOME_DOWN = 1
"""Exit code of --check where an archive is down."""


@dataclasses.dataclass(frozen=True)
class BuildSample:
    """Flags."""

    survey: SurveyName = "sdss-dr7"
    """Survey whose images to cut out. hsc-pdr3 needs a login in the environment (SSP_PDR_USR, SSP_PDR_PWD); hips-* are
    resampled."""
    catalogue: Path = Path("GalaxyZoo1_DR_table2.csv.gz")
    """File with Galaxy Zoo 1 Table 2 (.csv, .csv.gz, .fits, .vot, .vot.gz); fetched where it is missing."""
    rows: int | None = None
    """Number of rows of the catalogue to use, from the first. None: all."""
    same_as: Path | None = None
    """Instead of --catalogue: a sample that this command built, whose galaxies, classes and redshifts to take."""
    size: int | None = None
    """Height and width of the cut-outs, px of the survey. None: 64 for SDSS, and the same field on the sky for others."""
    band: Band = "r"
    """Filter (photometric band) of the images."""
    cutout: CutoutConvention = "int"
    """Where the galaxy's centre lies in a 64 px cut-out, px from 0: int (cut with data[int(y)-32:]) 32..33, round
    31.5..32.5, cutout2d (astropy) 31..32."""
    archive: ArchiveChoice = "auto"
    """Archive of SDSS frames: das (DR7's own), sas (DR8 and later), or auto: das, and sas where das has not got a frame or
    is down."""
    units: Units = "counts"
    """Units of SDSS pixels: counts, or nanomaggies (with --archive sas)."""
    redshifts: str = "skyserver"
    """Where redshifts come from: skyserver, none, or a file with a table of the columns objid (DR7) and z."""
    out: Annotated[Path, OUTPUT] = Path("sample.fits")
    """File for the sample (.fits). What is done so far is kept in the folder OUT.build beside it."""
    failures: Annotated[Path | None, OUTPUT] = None
    """File for the table of everything left out. None: failures.ecsv beside the sample."""
    keep_frames: Annotated[bool, OUTPUT] = False
    """Keep the fetched files in OUT.build/frames."""
    retry_failed: bool = False
    """Retry failures that may have been temporary (no answer, damaged files)."""
    check: bool = False
    """Build nothing: ask every archive for one small known thing, and say which are up (exit code 1 where one is not)."""
    politeness: Annotated[Politeness, Flat, ARCHIVES] = dataclasses.field(default_factory=Politeness)
    addresses: Annotated[Addresses, Flat, ARCHIVES] = dataclasses.field(default_factory=Addresses)

    def __post_init__(self) -> None:
        if self.rows is not None and self.rows < 1:
            raise InputError(f"--rows must be at least 1, not {self.rows}.")
        if self.size is not None and not 8 <= self.size <= 1024:
            raise InputError(f"--size must lie in 8..1024 px, not {self.size}.")
        bands = (
            hips.SURVEYS[self.survey].bands
            if self.survey in hips.SURVEYS
            else "griz"
            if self.survey == "hsc-pdr3"
            else "ugriz"
        )
        if self.band not in bands:
            raise InputError(f"--survey {self.survey} has the bands {', '.join(bands)}, not {self.band}.")
        if not self.out.name.endswith(".fits"):
            raise InputError(f"--out takes a file that ends in .fits, not {self.out}.")

    @property
    def pixel_scale(self) -> float:
        """Arcsec per pixel of the survey."""
        if self.survey == "sdss-dr7":
            return sdss.PIXEL_SCALE
        return hsc.PIXEL_SCALE if self.survey == "hsc-pdr3" else hips.SURVEYS[self.survey].pixel_scale

    def stamp_request(self) -> StampRequest:
        """Size (the even number of pixels nearest to 64 px of SDSS on the sky, unless given), band and convention."""
        even = 2 * round(SDSS_SIZE * sdss.PIXEL_SCALE / self.pixel_scale / 2)
        return StampRequest(self.size or even, self.band, self.cutout)

    def failures_path(self) -> Path:
        """Where the table of failures goes."""
        return self.failures or self.out.with_name("failures.ecsv")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    codes: list[int] = []

    def parse_and_run() -> None:
        config = flags.parse(BuildSample(), given, f"python -m experiments.{NAME}", described(QUESTION, __doc__))
        codes.append(run(config, Console()))

    return exit_code(parse_and_run) or codes[-1]


def run(config: BuildSample, console: Console) -> int:
    """Check the archives, or build the sample; 130 or 143 where a signal stopped it."""
    client = Client(config.politeness)
    if config.check:
        return _check(config, client, console)
    try:
        with interruptible(), ConsoleBuildProgress(console) as progress:
            built = _build(config, client, progress)
    except Interrupted as stop:
        say(Console(stderr=True), f"{stop} Nothing is lost: run the same command again to resume.")
        return stop.exit_code
    counts = ", ".join(f"{name} {count}" for name, count in built.sample.class_counts().items())
    say(
        console,
        f"{len(built.sample)} galaxies ({counts}) are in {config.out}; {len(built.failures)} are left out, with reasons in "
        f"{config.failures_path()}"
        f"{f' ({built.may_pass} may be temporary: --retry-failed)' if built.may_pass else ''}.\nNext: python -m experiments.resolution_sweep --data {config.out}",
    )
    return 0


def _build(config: BuildSample, client: Client, progress: BuildProgress) -> Built:
    """The sample and the table of failures, both written."""
    check_failures_file(config.failures_path(), config.out)
    folder = config.out.with_name(config.out.name + ".build")
    request = config.stamp_request()
    login = hsc.login() if config.survey == "hsc-pdr3" else None
    galaxies, known = _galaxies(config, client, progress)
    progress.note(f"{len(galaxies)} galaxies to cut out; {len(galaxies.rejected)} rows of the catalogue cannot be used")
    store = FileStore(folder / "frames", keep=config.keep_frames)
    survey = _survey(config, client, store, request, login)
    with open_journal(folder) as journal:
        journal.check_same(_facts(config, galaxies, request))
        if config.retry_failed:
            journal.forget(journal.failed_jobs())
        redshifts, about = known or redshifts_of(
            galaxies, config.redshifts, client, config.addresses.skyserver_url, journal, progress.note
        )
        cut_all(survey, galaxies, client, journal, progress, stop_in_outage=not config.retry_failed)
        store.clear()
        return _write(config, survey, galaxies, redshifts, journal, about)


def _galaxies(
    config: BuildSample, client: Client, progress: BuildProgress
) -> tuple[GalaxyList, tuple[Redshifts, dict[str, str]] | None]:
    """The galaxies, and their redshifts where they come from another sample."""
    if config.same_as is not None:
        sample = GalaxySample.load(config.same_as)
        known = Redshifts(sample.redshift, np.asarray(sample.columns.get("z_warning", np.full(len(sample), np.nan))), 0)
        return galaxies_of(sample, config.same_as.name), (known, {"redshifts": f"sample {config.same_as.name}"})
    if not config.catalogue.exists():
        fetch_table2(client, config.addresses.catalogue_url, config.catalogue, progress.note)
    return read_table2(config.catalogue, config.rows), None


def _survey(
    config: BuildSample, client: Client, store: FileStore, request: StampRequest, login: tuple[str, str] | None
) -> SurveyImages:
    if config.survey == "sdss-dr7":
        archives = archives_of(config.archive, config.addresses, config.units)
        return SdssFrames(client, archives, store, request, config.units)
    if login is not None:
        return HscCutouts(client, config.addresses.hsc_url, login, store, request)
    return HipsCutouts(client, config.addresses.hips_url, hips.SURVEYS[config.survey], store, request)


def _facts(config: BuildSample, galaxies: GalaxyList, request: StampRequest) -> dict[str, str]:
    """What decides the sample. Addresses do not: a mirror may be changed on the way."""
    digest = hashlib.sha256()
    for array in (galaxies.id, galaxies.ra, galaxies.dec, galaxies.label):
        digest.update(np.ascontiguousarray(array).tobytes())
    facts = {"survey": config.survey, "galaxies": digest.hexdigest()[:16], "redshifts": config.redshifts}
    if config.survey == "sdss-dr7":
        facts |= {"archive": config.archive, "units": config.units}
    return facts | {name: str(value) for name, value in request._asdict().items()}


def _write(
    config: BuildSample,
    survey: SurveyImages,
    galaxies: GalaxyList,
    redshifts: Redshifts,
    journal: Journal,
    about: dict[str, str],
) -> Built:
    catalogue = config.same_as.name if config.same_as else f"Galaxy Zoo 1 Table 2, {config.catalogue.name}"
    provenance = {
        "catalogue": catalogue,
        "catalogue rows": str(len(galaxies) + len(galaxies.rejected)),
        "catalogue rows without a usable galaxy": str(len(galaxies.rejected)),
        **about,
    }
    write_failures(failures_table(galaxies, journal.failures()), config.failures_path(), config.out)
    built = assemble(survey, galaxies, redshifts, config.stamp_request(), journal, provenance)
    try:
        built.sample.save(config.out)
    except OSError as error:
        raise InputError(
            f"Cannot write {config.out} ({error.strerror}). All cut-outs are kept: make room, and run the same command again."
        ) from error
    return built


def _check(config: BuildSample, client: Client, console: Console) -> int:
    findings = check_archives(for_checking(client), config.addresses)
    table = ScreenTable(title="Which archives are up")
    for heading in ("archive", "", "answer", "s", "address"):
        table.add_column(heading)
    for finding in findings:
        row = (
            finding.archive,
            "up" if finding.up else "DOWN",
            finding.words,
            f"{finding.seconds:.1f}",
            finding.address,
        )
        table.add_row(*row)
    console.print(table)
    down = sum(not finding.up for finding in findings)
    say(console, f"{len(findings) - down} of {len(findings)} are up.")
    return SOME_DOWN if down else 0


if __name__ == "__main__":
    sys.exit(main())
