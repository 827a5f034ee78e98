"""One self-contained HTML file of a run: conclusion, figures, tables, what was left out, and how it was made."""

import base64
import collections
import io
from collections.abc import Mapping, Sequence
from typing import Any

import jinja2
from astropy.table import Table

from galjax.figures import NamedFigure
from galjax.runs import RunFolder
from galjax.sample import Exclusion

_PRINT_DPI = 200


def write_figures(folder: RunFolder, figures: Sequence[NamedFigure]) -> dict[str, bytes]:
    """Write every figure as PNG and PDF into figures/; gives the PNG bytes by figure name."""
    images = {}
    for named in figures:
        for ending in ("png", "pdf"):
            buffer = io.BytesIO()
            metadata = {"CreationDate": None} if ending == "pdf" else {"Software": None}
            named.figure.savefig(buffer, format=ending, dpi=_PRINT_DPI, metadata=metadata)
            folder.write_bytes(f"figures/{named.name}.{ending}", buffer.getvalue())
            if ending == "png":
                images[named.name] = buffer.getvalue()
    return images


def write_report(
    folder: RunFolder,
    *,
    title: str,
    question: str,
    conclusions: Sequence[str],
    tables: Mapping[str, Table],
    figures: Sequence[NamedFigure],
    images: Mapping[str, bytes],
    excluded: Sequence[Exclusion],
    provenance: Mapping[str, str],
    environment: Mapping[str, Any],
) -> None:
    """Write report.html, which holds its figures and needs nothing from outside."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("galjax"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    ).get_template("report.html.j2")
    page = template.render(
        title=title,
        question=question,
        conclusions=conclusions,
        tables={name: _cells(table) for name, table in tables.items()},
        figures=[(figure, base64.b64encode(images[figure.name]).decode()) for figure in figures],
        excluded=collections.Counter(_kind(row.reason) for row in excluded).most_common(),
        excluded_count=len(excluded),
        provenance=provenance,
        environment=environment,
    )
    folder.write_text("report.html", page)


def _cells(table: Table) -> tuple[list[str], list[list[str]]]:
    return list(table.colnames), [[_cell(value) for value in row] for row in table]


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "-" if value != value else f"{value:.3f}"
    if str(value) in ("True", "False"):
        return "yes" if value else "no"
    return str(value)


def _kind(reason: str) -> str:
    """A reason without its numbers, so that alike reasons are counted together."""
    return " ".join("…" if any(c.isdigit() for c in word) else word for word in reason.split())
