"""`galjax classify`: trained networks and galaxies that nobody has labelled in, a catalogue and a report out."""

import dataclasses
import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from rich.console import Console

from galjax.cli import flags
from galjax.cli.command import exit_code
from galjax.config.json_form import to_json
from galjax.config.markers import DATA, OPTIONS, OUTPUT, Flat
from galjax.errors import InputError, printable
from galjax.sources.options import FolderOptions, check_exists
from galjax.terminal.console import say
from galjax.terminal.interrupts import last_words, say_at_once, stop_requests
from galjax.terminal.progress import ConsoleLine

if TYPE_CHECKING:
    from galjax.catalogue.parts import Parts
    from galjax.catalogue.stream import Job
    from galjax.sample import Exclusion
    from galjax.training.ensemble import Ensemble

DESCRIPTION = """Classify galaxies that nobody has labelled with trained networks, calibrated at the resolution of their images.

  galjax classify --model runs/resolution_sweep/TIME --data my_survey --out catalogue.fits
  galjax classify --model net --data stamps.h5 --pixel-scale 1.5 --out catalogue.csv
  galjax classify --model net --data my_survey --part 3/20 --out catalogue    # one of 20 jobs that fill a folder

--out is a csv, ecsv, fits, vot, parquet or hdf5 file, or a folder, which is filled with Parquet files."""
DECIDES_NO_ROW = ("model", "data", "out", "shares", "part", "overwrite", "no_report")
"""Flags that decide no row of the catalogue; networks and galaxies are known by their checksums."""
_PART = re.compile(r"(\d+)/(\d+)")


@dataclasses.dataclass(frozen=True)
class Classify:
    """The flags of the verb."""

    GROUP = OPTIONS
    model: Annotated[str, DATA] = ""
    """Trained networks: a run folder, or a folder that Ensemble.save wrote."""
    data: Annotated[str, DATA] = ""
    """Galaxies to classify, in any form that galjax check understands; labels are not needed, and have no part in the result."""
    folder: Annotated[FolderOptions, Flat, DATA] = dataclasses.field(
        default_factory=lambda: FolderOptions(labels_needed=False)
    )
    out: Annotated[Path | None, OUTPUT] = None
    """Catalogue to write: a file (.csv, .ecsv, .fits, .vot, .parquet, .hdf5), or a folder for Parquet files. A report (.html) is
    written beside it."""
    factor: float | None = None
    """How many times coarser than the training images the images are. None: by the pixel scales of both, else by the image size."""
    seeing: float | None = None
    """Seeing of the images, full width at half maximum in arcsec. None: as good, for its pixels, as that of the training images."""
    training_seeing: float | None = None
    """Seeing of the training images, arcsec. None: where the networks know it, as from simulated galaxies."""
    training_pixel_scale: float | None = None
    """Arcsec per pixel of the training images. None: where the networks know it."""
    sky: Literal["auto", "own", "training"] = "auto"
    """In which sky the input scaling "sky" measures pixels: that of these images (own), because another survey has other units,
    or that of the training images. auto: own for that scaling; others measure no sky."""
    uncalibrated: bool = False
    """Leave probabilities, and the threshold between classes, as they were trained."""
    all_orientations: bool = False
    """Take the mean over the eight orientations of each image, in eight times the time."""
    shares: tuple[str, ...] = ()
    """Shares of the classes among these galaxies, like spiral=0.3 elliptical=0.7, or estimate: adds columns with the probabilities
    that follow."""
    part: str | None = None
    """Which part of the galaxies, like 3/20: for jobs that fill one folder together."""
    overwrite: Annotated[bool, OUTPUT] = False
    """Replace another catalogue that is there; the parts of this one are kept, and resumed."""
    no_report: Annotated[bool, OUTPUT] = False
    """Write no report."""

    def __post_init__(self) -> None:
        for name in ("factor", "seeing", "training_seeing", "training_pixel_scale"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"--{name.replace('_', '-')} must be above 0, not {value}.")

    def stretch(self, count: int) -> tuple[int, int]:
        """The galaxies of the part, from the first to before the last."""
        if self.part is None:
            return 0, count
        match = _PART.fullmatch(self.part)
        number, of = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= number <= of:
            raise InputError(f"--part is a number and how many there are, like 3/20, not {self.part!r}.")
        return count * (number - 1) // of, count * number // of


class _Progress(ConsoleLine):
    """How far the catalogue is, at the terminal."""

    def advance(self, done: int, measured: str) -> None:
        self.move_line(done, measured)


def main(arguments: Sequence[str]) -> int:
    """Run the verb; gives its exit code."""
    parsed: list[Classify] = []

    def understand() -> None:
        config = flags.parse(Classify(), list(arguments), "galjax classify", DESCRIPTION)
        _check(config)
        parsed.append(config)

    code = exit_code(understand)
    if code or not parsed:
        return code

    def run() -> None:
        from galjax.config import jax_settings  # which --help does not need
        from galjax.training.execution import use_all_cores

        console = Console()
        jax_settings.pin(say_at_once)
        use_all_cores()
        jax_settings.check_backend()
        _classify(parsed[0], console)

    return exit_code(run)


def _check(config: Classify) -> None:
    """Raise InputError for what can be said before anything is read."""
    from galjax.catalogue.parts import check_ending

    for name, needed in {"model": config.model, "data": config.data, "out": config.out}.items():
        if not needed:
            raise InputError(
                f"galjax classify needs --{name}: galjax classify --model RUN --data GALAXIES --out catalogue.fits"
            )
    if not os.path.isdir(config.model):
        raise InputError(f"--model {config.model} is no folder. Give a run folder, or one that Ensemble.save wrote.")
    check_exists(config.data)
    if config.data == "simulated":
        raise InputError(
            "--data simulated are galaxies to train on. Save some first: galjax.simulate(...).save('sample.fits')."
        )
    assert config.out is not None
    config.stretch(1)
    if _is_folder(config.out):
        if config.shares:
            raise InputError("--shares needs the whole catalogue at its end: give --out a file.")
    else:
        check_ending(config.out)
        if config.part is not None:
            raise InputError(f"--part fills a folder together with others: give --out a folder, not {config.out}.")
        if config.out.exists() and not (config.overwrite or _parts_of(config.out).is_dir()):
            raise InputError(f"{config.out} is there already. Give another --out, or --overwrite.")


def _is_folder(out: Path) -> bool:
    return out.suffix == "" or out.is_dir()


def _parts_of(out: Path) -> Path:
    """Where the catalogue grows."""
    return out if _is_folder(out) else out.with_name(out.name + ".parts")


def _classify(config: Classify, console: Console) -> None:
    from galjax.catalogue import stream
    from galjax.catalogue.parts import Parts, Stretch
    from galjax.catalogue.shares import read_shares

    assert config.out is not None
    job, excluded = _prepare(config, console)
    total = len(job.stamper)
    job = dataclasses.replace(job, stretch=Stretch(*config.stretch(total)))
    if config.shares:
        read_shares(config.shares, job.classifier.class_names)
    parts = Parts(_parts_of(config.out))
    parts.begin(_description(config, job), place=config.out, overwrite=config.overwrite)
    last_words("What was classified is kept; give the same command again to resume.")
    announce = "Stopping after this batch; Ctrl-C again stops at once."
    with stop_requests(lambda: say_at_once(announce)) as requests, _Progress(console) as progress:
        progress.start_line("classifying", "galaxy", 0, job.stretch.stop - job.stretch.start)
        made = stream.run(job, parts, progress, lambda: bool(requests))
        missing = parts.missing(job.stretch)
        if not missing:
            requests.clear()
    if missing:
        return  # `stop_requests` has said how to resume
    for how, count in made.most_common(3):
        say(console, f"Stamps: {how} ({count:,} galaxies).")
    left = parts.missing(Stretch(0, total))
    if left:
        rest = sum(stop - start for start, stop in left)
        say(
            console,
            f"Part {config.part} is done: {config.out}. {rest:,} galaxies of other parts are not there yet; when they are, the "
            f"same command without --part writes the report.",
        )
        return
    _finish(config, console, job, parts, excluded)


def _prepare(config: Classify, console: Console) -> tuple["Job", list["Exclusion"]]:
    """The networks and the galaxies, ready; and what was left out before any image was read."""
    import numpy as np

    from galjax.catalogue.parts import is_own_column
    from galjax.catalogue.stamps import Stamper, Survey
    from galjax.catalogue.stream import Job, Stretch
    from galjax.sources.files.detection import find_galaxies
    from galjax.training.classify import SKY_FROM, Classifier, Seen, chosen_sky, methods_tested
    from galjax.training.ensemble import load
    from galjax.training.sky import in_words

    ensemble = load(config.model)
    say(console, f"Networks: {ensemble!r}.")
    path = Path(config.data)
    galaxies = find_galaxies(path, config.folder) or _of_sample(path)
    if not len(galaxies.ids):
        raise InputError(f"{galaxies.source} holds no galaxy with an image.{galaxies.hint}")
    notes = [f"{galaxies.counted}; {galaxies.place}: {len(galaxies.ids):,} of {galaxies.listed:,}.", *galaxies.notes]
    for note in filter(None, notes):
        say(console, printable(note))
    survey = Survey(config.factor, config.seeing, config.training_seeing, config.training_pixel_scale)
    options = config.folder
    tested = methods_tested(ensemble)
    if options.enlarge == FolderOptions().enlarge and tested and options.enlarge not in tested:
        options = dataclasses.replace(options, enlarge=tested[0])  # type: ignore[arg-type]
        say(console, f"Coarser images are enlarged with {tested[0]}, as the networks were tested (--enlarge).")
    stamper = Stamper(galaxies, options, ensemble.about, survey)
    for sentence in stamper.warnings():
        say(console, sentence)
    sky = chosen_sky(config.sky, ensemble)
    if sky == "own":
        steps = np.unique(np.linspace(0, len(stamper) - 1, min(SKY_FROM, len(stamper))).astype(int))
        cuts = [cut for n in steps.tolist() if (cut := stamper.cut(n, "nearest")).stamp is not None]
        if not cuts:
            raise InputError(
                f"No image of {galaxies.source} can be used, so there is no sky to measure; the first {stamper.cut(0).reason}."
            )
        stamps = np.stack([cut.stamp for cut in cuts if cut.stamp is not None])
        ensemble = ensemble.in_sky(stamps, sky, float(np.median([cut.pixels for cut in cuts])))
        say(console, in_words("sky", ensemble.about.sky_array(), ensemble.about.bands, of="these"))
    else:
        ensemble = ensemble.in_sky(np.zeros((0, *ensemble.about.image_size), np.float32), sky)
    seen = Seen(config.factor, options.enlarge, sky, not config.uncalibrated, config.all_orientations)
    classifier = Classifier(ensemble, seen)
    factors = stamper.factors().tolist() or [stamper.cut(0).factor]
    classifier.check([factor for factor in factors if np.isfinite(factor)])
    for name in options.keep_columns:
        if is_own_column(name):
            raise InputError(
                f"--keep-columns {name}: the catalogue has, or copies by itself, a column of that name. Rename yours, or leave it out."
            )
        if name not in galaxies.columns:
            raise InputError(
                f"--keep-columns {name}: {galaxies.source} has no such column, but {', '.join(galaxies.columns) or 'none'}."
            )
    return Job(stamper, classifier, Stretch(0, len(stamper)), options.keep_columns), list(galaxies.excluded)


def _of_sample(path: Path) -> Any:
    """A saved sample as any other form."""
    import numpy as np

    from galjax.sample import GalaxySample
    from galjax.sources.files.assembly import Galaxies
    from galjax.sources.files.pixels import ArrayPixels

    sample = GalaxySample.load(path)
    return Galaxies(
        form="a saved sample",
        source=str(path),
        counted=f"{path.name}: {len(sample):,} galaxies",
        place="images in the sample",
        listed=len(sample),
        ids=sample.ids,
        labels=sample.labels,
        class_names=sample.class_names,
        redshift=sample.redshift,
        pixels=ArrayPixels(sample.images, np.arange(len(sample)), path.name),
        columns=sample.columns,
        provenance=sample.provenance,
        pixel_scale=sample.pixel_scale,
    )


def _description(config: Classify, job: "Job") -> dict[str, str]:
    """What decides the rows of the catalogue, by which a folder of parts knows its command again."""
    from galjax import __version__
    from galjax.catalogue.stream import digest_of

    options = {name: value for name, value in to_json(config).items() if name not in DECIDES_NO_ROW}
    return {
        "galjax": __version__,
        "networks": _digest(job.classifier.ensemble),
        "galaxies": f"{len(job.stamper)}, checksum {digest_of(job.stamper)}",
        "options": repr(sorted(options.items())),
    }


def _digest(ensemble: "Ensemble") -> str:
    import jax
    import numpy as np

    checksum = hashlib.blake2b(digest_size=8)
    checksum.update(repr(ensemble.about).encode())
    for array in jax.tree.leaves(dict(ensemble.parameters)):
        checksum.update(np.ascontiguousarray(array).tobytes())
    return checksum.hexdigest()


def _finish(config: Classify, console: Console, job: "Job", parts: "Parts", excluded: Sequence["Exclusion"]) -> None:
    """The catalogue as one file, its report, and what it says in sentences."""
    import numpy as np

    from galjax.catalogue.parts import write_catalogue
    from galjax.catalogue.shares import adding_shares, estimate_shares, read_shares
    from galjax.report.catalogue import conclusions_of, rows_of
    from galjax.sample import Exclusion

    assert config.out is not None
    names = job.classifier.class_names
    learned = job.classifier.ensemble.about.shares or [1 / len(names)] * len(names)
    shares: dict[str, float] = {}
    if config.shares:
        shares = read_shares(config.shares, names) or estimate_shares(parts, names, learned)
        parts.change = adding_shares(names, learned, shares)
    columns = next(parts.tables()).column_names
    rows = rows_of(parts.column, names, columns)
    reasons = parts.column("reason").astype(np.str_)
    bad = np.flatnonzero(reasons != "").tolist()
    pixels = job.stamper.galaxies.pixels
    left_out = [*excluded, *(Exclusion(str(rows.ids[n]), pixels.shown(n), str(reasons[n])) for n in bad)]
    conclusions = [
        *conclusions_of(rows, job.classifier, shares, is_assumed=job.stamper.is_assumed),
        *job.stamper.warnings(),
    ]
    _write_beside(config, job, rows, left_out, conclusions)
    if not _is_folder(config.out):
        write_catalogue(parts, config.out)
        shutil.rmtree(parts.folder)
    for sentence in conclusions:
        say(console, sentence)
    if left_out:
        say(console, f"{len(left_out):,} could not be used; why is in {_beside(config.out, '.excluded.ecsv')}.")
    report = "" if config.no_report else f" Report: {_beside(config.out, '.html')}"
    say(console, f"Catalogue: {config.out}.{report}")
    if not (rows.named != "").any():
        raise InputError("No galaxy could be classified; the column reason says why.")


def _beside(out: Path, ending: str) -> Path:
    return out.with_name((out.name if _is_folder(out) else out.stem) + ending)


def _write_beside(
    config: Classify, job: "Job", rows: Any, left_out: Sequence["Exclusion"], conclusions: Sequence[str]
) -> None:
    import io

    from galjax import __version__
    from galjax.io.whole_files import write_whole
    from galjax.report import catalogue
    from galjax.runs.folder import exclusions_table
    from galjax.training.classify import meta_of

    assert config.out is not None
    if left_out:
        buffer = io.StringIO()
        exclusions_table(left_out).write(buffer, format="ascii.ecsv")
        write_whole(_beside(config.out, ".excluded.ecsv"), buffer.getvalue().encode())
    if config.no_report:
        return
    trained_on = job.classifier.ensemble.about.trained_on
    about = {
        "conclusions": conclusions,
        "excluded": left_out,
        "provenance": {"galaxies": config.data, **{k: v for k, v in job.stamper.galaxies.provenance.items() if v}},
        "environment": {
            "galjax": __version__,
            "model": config.model,
            **meta_of(job.classifier),
            "trained on": ", ".join(f"{key}: {value}" for key, value in list(trained_on.items())[:8]),
        },
    }
    catalogue.write(_beside(config.out, ".html"), rows, job.stamper, job.classifier, about)
