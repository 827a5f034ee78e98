"""Write the benchmarks' tables into the README files, from what is kept in benchmarks/results/.

    python -m benchmarks.readme
    python -m benchmarks.readme --figure runs/resolution_sweep/TIME     # and draw the README's picture from a finished sweep

A pair of comments marks the place of a table: `<!-- table: BENCHMARK TABLE MACHINE -->` and `<!-- end -->`. What stands
between them is replaced by that table of that machine's results.
"""

import dataclasses
import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import run_benchmark, say
from benchmarks.measure import RESULTS

NAME = "readme"
ROOT = Path(__file__).resolve().parents[1]
READMES = tuple(
    ROOT / folder / "README.md"
    for folder in ("", "experiments", "benchmarks", "galjax/catalogue", "galjax/sources", "galjax/runs")
)
PICTURE = RESULTS / "resolutions.png"
FACTORS = (1, 2, 4, 8)
"""Resolutions that the picture shows; 1 is Original."""
METHOD = "bilinear"
PICTURE_DPI = 110
PLACE = re.compile(r"(<!-- table: (\S+) (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Readme:
    """Flags."""

    figure: Path | None = None
    """Run folder of a finished resolution sweep, to draw the README's picture from. None: leave the picture as it is."""


def with_tables(text: str) -> str:
    """The text with every marked table made anew."""

    def fill(place: re.Match[str]) -> str:
        start, benchmark, table, machine, end = place.groups()
        module = importlib.import_module(f"benchmarks.{benchmark}")
        kept = getattr(module, "RESULTS_OF", benchmark)  # some estimate from what another has measured
        results = json.loads((RESULTS / machine / f"{kept}.json").read_text())
        made = module.tables(results)[table]
        return f"{start}\n{made}\n\n{end}"

    return PLACE.sub(fill, text)


def draw_picture(run: Path, path: Path) -> str:
    """Draw one galaxy of a finished sweep at several resolutions, with the accuracy at each, as a PNG; gives its caption.

    Raises InputError where `run` is no finished run of the sweep, or has not those resolutions.
    """
    from astropy.table import Table

    from experiments import resolution_sweep as sweep
    from galjax import sources
    from galjax.draw import make_pool
    from galjax.errors import InputError
    from galjax.report.figures.one_galaxy import accuracies_of, one_galaxy
    from galjax.report.figures.style import plain_style
    from galjax.runs import folder

    found = folder.run_to_resume(sweep.NAME, run)
    if found is None or not (run / "summary.ecsv").exists():
        raise InputError(
            f"{run} holds no finished resolution sweep. Run python -m experiments.resolution_sweep --out {run} first."
        )
    config = folder.configuration(sweep.ResolutionSweep, found["config"], str(run))
    summary = Table.read(run / "summary.ecsv")
    accuracies = accuracies_of(summary, int(summary["per_class"][0]), FACTORS, METHOD)
    pool = make_pool(sources.load(config.source, config.seed), config.classes, config.redshift_range)
    drawn = one_galaxy(pool, accuracies, METHOD, summary["n"].tolist(), config.training.convention)
    if drawn.figure is None:
        raise InputError(drawn.caption)
    with plain_style():
        drawn.figure.savefig(path, dpi=PICTURE_DPI, metadata={"Description": drawn.caption})
    return drawn.caption


def run(config: Readme) -> None:
    """Rewrite every README where a table has changed, and draw the picture where a run was given."""
    if config.figure is not None:
        say(f"{PICTURE.relative_to(ROOT)}: {draw_picture(config.figure, PICTURE)}")
    for path in READMES:
        old = path.read_text()
        new = with_tables(old)
        path.write_text(new)
        say(f"{path.relative_to(ROOT)}: " + ("tables written" if new != old else "every table was up to date"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(Readme, run, NAME, __doc__ or "", arguments)


if __name__ == "__main__":
    sys.exit(main())
