"""How long does a user's catalogue of a million galaxies take to read, beside astropy's own reader of the same file?

    python -m benchmarks.catalogue                  # 2 CPU cores: 2 minutes, 100 MB of disk for a while
    python -m benchmarks.catalogue --quick          # seconds, few rows; its results are not kept

A table of SDSS object ids, three class flags and redshifts, as CSV and as FITS; one row in eight has something wrong. galjax
reads it as `read_folder` does before it opens any image: ids digit by digit, flags and redshifts, and for every row without
an image (here all but a few) the reason why it is left out. astropy's contender is `Table.read`, which gives the columns and checks
nothing. All in turn, round by round. What galjax makes of the rows must be what the table was made with.

Expect a million rows in about 5 s and 1 GB. `Table.read` takes a tenth of that for CSV, and next to nothing for FITS, whose columns only
need to be copied: what galjax adds are ids that stay as they are written, and a reason for each row.
"""

import dataclasses
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from jaxtyping import Shaped

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.measure import in_turn, write_results
from galjax.analysis.tables import markdown_table
from galjax.sources.files.folder_rows import read_columns, select_rows
from galjax.sources.files.image_names import list_images
from galjax.sources.options import FolderOptions

NAME = "catalogue"
GALJAX, ASTROPY = "galjax", "astropy Table.read"
ENDINGS = {"csv": "ascii.csv", "fits": "fits"}
FLAGS = ("SPIRAL", "ELLIPTICAL", "UNCERTAIN")
FIRST = 587722981736120347
WITH_IMAGE = 5
PERIOD = 8
"""Period of the rows that have two flags set."""


@dataclasses.dataclass(frozen=True)
class CatalogueBenchmark:
    """Flags."""

    rows: int = 1_000_000
    """Galaxies of the catalogue."""
    rounds: int = 5
    """Times that each file is read by each contender."""
    quick: bool = False
    """2,000 rows, one round, and results not kept."""
    write: bool = True
    """Keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, rounds=self.rounds)
        check_at_least(10 * PERIOD, rows=self.rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(CatalogueBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: CatalogueBenchmark) -> dict[str, Any]:
    """Measure both kinds of file, print and keep."""
    if config.quick:
        config = dataclasses.replace(config, rows=2_000, rounds=1, write=False)
    flags = _flags(config.rows)
    with tempfile.TemporaryDirectory(prefix="galjax-catalogue-") as place:
        folder = Path(place)
        (folder / "images").mkdir()
        for number in range(WITH_IMAGE):
            (folder / "images" / f"{FIRST + number}.png").touch()
        table = Table({"OBJID": FIRST + np.arange(config.rows), **dict(zip(FLAGS, flags, strict=True))})
        table["z"] = np.random.default_rng(0).uniform(0, 0.25, config.rows).round(6)
        for ending, name in ENDINGS.items():
            table.write(folder / f"catalogue.{ending}", format=name)
        _check(folder, table)
        rows = [_measured(folder / f"catalogue.{ending}", config) for ending in ENDINGS]
    results = {"rows": config.rows, "files": rows}
    for made in tables(results).values():
        say(f"\n{made}")
    if config.write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def _flags(count: int) -> Shaped[np.ndarray, "class row"]:
    """One class in turn, and every PERIOD-th row of two."""
    flags = (np.arange(count) % 3 == np.arange(3)[:, None]).astype(np.int32)
    flags[:2, ::PERIOD] = 1
    return flags


def read(path: Path) -> tuple[Any, Any]:
    """The columns, and what comes of the rows, as `read_folder` has them before it opens an image."""
    columns = read_columns(path, FolderOptions(class_columns=FLAGS))
    return columns, select_rows(columns, list_images(path.parent / "images"), path.name)


def _check(folder: Path, table: Table) -> None:
    """Raise ArithmeticError unless ids, flags, redshifts and the rows that are left out are those of the table."""
    wrong = np.sum([table[name] for name in FLAGS], axis=0) != 1
    for ending in ENDINGS:
        columns, (rows, excluded, _) = read(folder / f"catalogue.{ending}")
        same = (
            np.array_equal(columns.ids, table["OBJID"]),
            np.array_equal(columns.flags, [table[name] for name in FLAGS]),
            np.array_equal(columns.redshift, table["z"]),
            np.array_equal(rows.ids, table["OBJID"][:WITH_IMAGE][~wrong[:WITH_IMAGE]]),
            sum("class flags are set" in row.reason for row in excluded) == wrong.sum(),
        )
        if not all(same):
            raise ArithmeticError(f"catalogue.{ending} is not read as it was made: {same}")


def _measured(path: Path, config: CatalogueBenchmark) -> dict[str, Any]:
    say(f"{path.name}, {path.stat().st_size / 1e6:.0f} MB")
    ending = path.suffix.lstrip(".")
    options = {"memmap": False} if ending == "fits" else {}  # or nothing is read at all
    contenders = {GALJAX: partial(read, path), ASTROPY: partial(Table.read, path, format=ENDINGS[ending], **options)}
    times = in_turn(contenders, config.rounds)
    with multiprocessing.get_context("spawn").Pool(1) as alone:
        gigabytes = alone.apply(_most_memory, (path,))
    return {
        "file": ending,
        "bytes": path.stat().st_size,
        "ratio": times[ASTROPY].median / times[GALJAX].median,
        "seconds": {name: times[name].record() for name in contenders},
        "gigabytes": gigabytes,
    }


def _most_memory(path: Path) -> float:
    """Largest memory of this process, GB, once it has read the catalogue; the libraries take 0.3 GB of it."""
    read(path)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = []
    for file in results["files"]:
        ours, theirs = (file["seconds"][name] for name in (GALJAX, ASTROPY))
        rows.append(
            [
                f"{file['file'].upper()}, {file['bytes'] / 1e6:.0f} MB",
                f"{file['ratio']:.2g}",
                f"{results['rows'] / ours['median']:,.0f}",
                f"{ours['median']:.2f} ({ours['min']:.2f} - {ours['max']:.2f})",
                f"{theirs['median']:.2f} ({theirs['min']:.2f} - {theirs['max']:.2f})",
                f"{file['gigabytes']:.2f}",
            ]
        )
    header = [
        f"catalogue of {results['rows']:,} rows",
        "Table.read's time / galjax's",
        "galjax, rows/s",
        "galjax, s (range)",
        "Table.read, s (range)",
        "galjax, GB at its peak",
    ]
    return {"catalogue": markdown_table(header, rows)}


if __name__ == "__main__":
    sys.exit(main())
