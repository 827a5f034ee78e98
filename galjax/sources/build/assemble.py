"""From the journal of a build to the sample, and the table of everything that is not in it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io.ascii import InconsistentTableError
from astropy.table import Table

from galjax.errors import InputError
from galjax.io.whole_files import replacing
from galjax.sample import Exclusion, GalaxySample
from galjax.sources.archives.skyserver import Redshifts
from galjax.sources.build.journal import Failure, Journal
from galjax.sources.build.survey import StampRequest, SurveyImages
from galjax.sources.surveys.galaxy_list import GalaxyList

FAILURE_COLUMNS = ("id", "stage", "reason", "attempts")


CUTOUT_IN_WORDS = {
    "int": "start int(position) - {half}, so that the centre lies in [{half}, {half} + 1) of {size} px, right of and below the "
    "middle; pixel indices count from 0 and are pixel centres",
    "round": "start floor(position + 1/2) - {half}, so that the centre lies in [{half} - 1/2, {half} + 1/2) of {size} px; pixel "
    "indices count from 0 and are pixel centres",
    "cutout2d": "start ceil(position - {size} / 2), as astropy's Cutout2D; pixel indices count from 0 and are pixel centres",
}


class Built(NamedTuple):
    """What came of a build."""

    sample: GalaxySample
    failures: Table
    """Columns id, stage, reason, attempts: every galaxy and catalogue row that is not in the sample."""
    may_pass: int
    """Failures that a later try may fix."""


def failures_table(galaxies: GalaxyList, failures: Sequence[Failure]) -> Table:
    """Everything that was left out, in the catalogue's order: rows that are no galaxies, and galaxies without a stamp."""
    rows = [(rejected.row, rejected.id, "catalogue", rejected.reason, 0) for rejected in galaxies.rejected]
    rows += [(int(galaxies.row[f.galaxy]), str(galaxies.id[f.galaxy]), f.stage, f.reason, f.attempts) for f in failures]
    columns = list(zip(*sorted(rows), strict=True))[1:] or [()] * len(FAILURE_COLUMNS)
    return Table(
        [np.array(c, t) for c, t in zip(columns, (str, str, str, np.int64), strict=True)], names=FAILURE_COLUMNS
    )


def assemble(
    survey: SurveyImages,
    galaxies: GalaxyList,
    redshifts: Redshifts,
    request: StampRequest,
    journal: Journal,
    provenance: Mapping[str, str],
) -> Built:
    """The sample of all stamps, in the catalogue's order: the same bytes whatever happened on the way.

    Raises InputError where there is no stamp at all.
    """
    failures = journal.failures()
    table = failures_table(galaxies, failures)
    count = journal.counts().stamps
    if not count:
        first = f"; the first is left out because: {table['reason'][0]}" if len(table) else ""
        raise InputError(
            f"No galaxy could be cut out of {len(galaxies)}{first}. All reasons are in the table of failures; what may pass is "
            f"tried again with --retry-failed."
        )
    images = np.empty((count, request.size, request.size), np.float32)
    chosen = np.empty(count, np.int64)
    facts: list[dict[str, Any]] = []
    for number, (galaxy, pixels, of_stamp) in enumerate(journal.stamps()):
        images[number] = np.frombuffer(pixels, "<f4").reshape(request.size, request.size)
        chosen[number] = galaxy
        facts.append(of_stamp)
    columns: dict[str, np.ndarray] = {"ra": galaxies.ra[chosen], "dec": galaxies.dec[chosen]}
    columns |= {name: column[chosen] for name, column in galaxies.columns.items()}
    if np.isfinite(redshifts.z_warning).any():
        columns["z_warning"] = redshifts.z_warning[chosen]
    columns |= {name: np.array([of_stamp[name] for of_stamp in facts]) for name in facts[0]}
    excluded = tuple(Exclusion(str(row["id"]), "", f"{row['stage']}: {row['reason']}") for row in table)
    sample = GalaxySample(
        images=images,
        labels=galaxies.label[chosen],
        class_names=galaxies.class_names,
        ids=galaxies.id[chosen],
        redshift=redshifts.redshift[chosen],
        pixel_scale=survey.pixel_scale,
        bands=(request.band,),
        provenance={
            **survey.provenance(),
            "cutout": request.cutout,
            "cutout in words": CUTOUT_IN_WORDS[request.cutout].format(size=request.size, half=request.size // 2),
            **provenance,
        },
        columns=columns,
        excluded=excluded,
    )
    return Built(sample, table, sum(failure.transient for failure in failures))


def write_failures(table: Table, path: Path, sample: Path) -> None:
    """Write the table as ECSV, whole or not at all; it remembers whose it is. Raises InputError where it cannot."""
    table.meta["sample"] = sample.name
    try:
        with replacing(path) as partial:
            table.write(partial, format="ascii.ecsv", overwrite=True)
    except OSError as error:
        raise InputError(
            f"Cannot write {path} ({error.strerror}). All cut-outs are kept: make room, and run the same command again."
        ) from error


def check_failures_file(path: Path, sample: Path) -> None:
    """Make the folders; raise InputError where that fails, or the table of another sample would be overwritten."""
    try:
        for folder in (sample.parent, path.parent):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {sample.parent} ({error.strerror}). Give another --out.") from error
    if not path.exists():
        return
    try:
        owner = Table.read(path, format="ascii.ecsv").meta.get("sample")
    except (OSError, ValueError, InconsistentTableError) as error:
        raise InputError(
            f"{path} already exists and cannot be read. Move it away, or give another --failures."
        ) from error
    if owner != sample.name:
        raise InputError(
            f"{path} lists the failures of {owner or 'something else'}, not of {sample.name}. Give another --failures, or "
            f"another folder for --out."
        )
