"""`galjax check PATH`: what galaxies there are, how they are understood, what is left out, and the command to run next."""

import collections
import dataclasses
import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from galjax.cli import flags
from galjax.cli.command import exit_code
from galjax.config.markers import DATA, Flat
from galjax.errors import InputError, printable
from galjax.sample import Exclusion, GalaxySample
from galjax.sources.options import FolderOptions

DESCRIPTION = """Say what galaxies a folder or file holds, how it is understood, what is left out and why, and which command to run next.
Of the images a few are looked at.

  galjax check my_galaxies
  galjax check labels.csv --images cutouts --label-column type"""
LOOKED_AT = 5
"""Images whose size and bands are looked at, spread over all."""


@dataclasses.dataclass(frozen=True)
class Check:
    """The flags of the verb."""

    GROUP = DATA
    folder: Annotated[FolderOptions, Flat, DATA] = dataclasses.field(default_factory=FolderOptions)


def main(arguments: Sequence[str]) -> int:
    """Run the verb; gives its exit code."""

    def run() -> None:
        given = list(arguments)
        path = given.pop(0) if given and not given[0].startswith("-") else None
        config = flags.parse(Check(), given, "galjax check PATH", DESCRIPTION)
        if path is None:
            raise InputError("galjax check needs a folder or file: galjax check my_galaxies.")
        for line in describe(Path(path).expanduser(), config.folder, given):
            print(printable(line))

    return exit_code(run)


def describe(path: Path, options: FolderOptions, given: Sequence[str] = ()) -> list[str]:
    """What there is, in lines. `given` are the flags, which the command to run next has too. Raises InputError."""
    from galjax.sources.files.assembly import scale_of, stamp_in_words
    from galjax.sources.files.detection import find_galaxies
    from galjax.sources.files.image_files import crop_width
    from galjax.sources.files.pixels import look_at

    found = find_galaxies(path, options)
    if found is None:
        return _of_sample(GalaxySample.load(path), path, given)
    counts = np.bincount(found.labels[found.labels >= 0], minlength=len(found.class_names)).tolist()
    labels = ", ".join(f"{name} {n}" for name, n in zip(found.class_names, counts, strict=True)) or "none"
    total = len(found.ids)
    image = "none can be read"
    stamps: list[str] = []
    if total:
        spread = dict.fromkeys(np.linspace(0, total - 1, min(LOOKED_AT, total)).astype(int).tolist())
        seen = [(number, look_at(found.pixels, [number])) for number in spread]
        shapes = collections.Counter(f"{size[1]}x{size[0]} px, {bands}" for _, (size, bands) in _good(seen))
        image = " or ".join(shapes) or str(seen[0][1])
        for number, (size, _) in _good(seen):
            width = crop_width(
                size, is_picture=found.pixels.is_picture(number), crop=options.crop, size=options.image_size
            )
            stamps.append(stamp_in_words(size, width, options))
    redshifts = int(np.isfinite(found.redshift).sum())
    where = found.provenance.get("redshifts", "none")
    redshift = f"redshift ({where}): {redshifts} of {total}" if redshifts else "no redshift"
    place = f"{found.place}: {total} of {found.listed}, {image}"
    lines = [f"{found.counted}; label: {labels}; {place}; {redshift}", f"Form: {found.form}."]
    lines += [
        f"{key.capitalize()}: {found.provenance[key]}."
        for key in ("label", "ids", "image files")
        if key in found.provenance and (found.class_names or key != "label")
    ]
    if stamps:
        lines.append(f"Stamps of {options.image_size} px: {'; '.join(dict.fromkeys(stamps))}.")
    scale = options.pixel_scale if not math.isnan(options.pixel_scale) else scale_of(found)
    lines.append(
        "Pixel scale: " + ("not known (--pixel-scale)." if math.isnan(scale) else f"{scale:g} arcsec per pixel.")
    )
    lines += [note for note in (found.provenance.get("note", ""), *found.notes) if note]
    lines += _left_out(found.excluded)
    if not total:
        return [*lines, f"No galaxy can be used.{found.hint}"]
    return [*lines, *_next(path, given, found.class_names, counts)]


def _good(seen: Sequence[tuple[int, Any]]) -> list[tuple[int, Any]]:
    return [(number, what) for number, what in seen if not isinstance(what, str)]


def _of_sample(sample: GalaxySample, path: Path, given: Sequence[str]) -> list[str]:
    height, width = sample.images.shape[1:3]
    labels = ", ".join(f"{name} {n}" for name, n in sample.class_counts().items()) or "none"
    known = int(np.isfinite(sample.redshift).sum())
    redshift = f"redshift: {known} of {len(sample)}" if known else "no redshift"
    lines = [
        f"{path.name}: {len(sample)} galaxies; label: {labels}; {width}x{height} px, {', '.join(sample.bands)}; {redshift}",
        "Form: a saved sample.",
    ]
    return [
        *lines,
        *_left_out(sample.excluded),
        *_next(path, given, sample.class_names, list(sample.class_counts().values())),
    ]


def _left_out(excluded: Sequence[Exclusion]) -> list[str]:
    """How many are left out for which reasons, with an example of each."""
    kinds: dict[str, list[Exclusion]] = {}
    for row in excluded:
        kind = " ".join(word for word in row.reason.partition(" (row ")[0].split() if not any(map(str.isdigit, word)))
        kinds.setdefault(kind, []).append(row)
    ordered = sorted(kinds.values(), key=len, reverse=True)
    lines = [f"Left out: {len(excluded)}." if excluded else "Nothing is left out."]
    lines += [f"  {len(rows)}: {rows[0].reason}; the first is {rows[0].id or rows[0].file}" for rows in ordered[:10]]
    return lines + ([f"  and {len(ordered) - 10} further reasons"] if len(ordered) > 10 else [])


def _next(path: Path, given: Sequence[str], class_names: Sequence[str], counts: Sequence[int]) -> list[str]:
    """The command to run next."""
    there = [name for name, n in zip(class_names, counts, strict=True) if n]
    if not class_names:
        command = ["galjax", "classify", "--model", "RUN", "--data", str(path), *given, "--out", "catalogue.fits"]
        return [
            "These galaxies have no labels, so nothing can be trained on them; trained networks (of the run folder RUN) classify them.",
            "Next:",
            f"  {shlex.join(command)}",
        ]
    if len(there) < 2:
        return [
            "Two or more classes with galaxies are needed to train; there is "
            + (f"{there[0]} alone." if there else "none.")
        ]
    chosen = ["--classes", *there] if not {"spiral", "elliptical"} <= set(there) else []
    command = ["python", "-m", "experiments.resolution_sweep", "--data", str(path), *given, *chosen]
    return ["Next:", f"  {shlex.join(command)}"]
