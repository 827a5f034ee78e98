"""Write the benchmarks' tables into the README, from what is kept in benchmarks/results/.

    python -m benchmarks.readme

A pair of comments marks each place: `<!-- table: BENCHMARK TABLE MACHINE -->` and `<!-- end -->`. What stands between
them is replaced by that table of that machine's results.
"""

import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.command import say
from benchmarks.measure import RESULTS

README = Path(__file__).resolve().parents[1] / "README.md"
PLACE = re.compile(r"(<!-- table: (\S+) (\S+) (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def with_tables(text: str) -> str:
    """The text with every marked table made anew."""

    def fill(place: re.Match[str]) -> str:
        start, benchmark, table, machine, end = place.groups()
        module = importlib.import_module(f"benchmarks.{benchmark}")
        kept = getattr(module, "RESULTS_OF", benchmark)  # some reckon with what another has measured
        results = json.loads((RESULTS / machine / f"{kept}.json").read_text())
        made = module.tables(results)[table]
        return f"{start}\n{made}\n\n{end}"

    return PLACE.sub(fill, text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Rewrite README.md where a table has changed; gives the exit code."""
    old = README.read_text()
    new = with_tables(old)
    README.write_text(new)
    say("README.md: " + ("tables written" if new != old else "every table was up to date"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
