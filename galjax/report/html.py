"""One self-contained HTML file: conclusions, sections of figures and tables, what was left out, how it was made."""

import base64
import collections
import dataclasses
import functools
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
from astropy.table import Table

from galjax.analysis.wording import fixed
from galjax.report.figures.style import NamedFigure, not_drawn, plain_style
from galjax.runs.folder import RunFolder
from galjax.sample import Exclusion

PRINT_DPI = 200
"""Dots per inch of the figures."""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of a report."""

    title: str
    text: tuple[str, ...] = ()
    """Paragraphs."""
    figures: tuple[NamedFigure, ...] = ()
    tables: Mapping[str, Table] = dataclasses.field(default_factory=dict)
    """Tables by caption; all but the first of a section are folded."""
    folded: tuple[NamedFigure, ...] = ()
    """Figures that show the same in other ways."""
    quoted: str = ""
    """Text to copy, as it is."""

    @property
    def all_figures(self) -> tuple[NamedFigure, ...]:
        """Those that lead, and the folded ones."""
        return self.figures + self.folded


@dataclasses.dataclass(frozen=True)
class Chapter:
    """What one experiment has to say. A report of one experiment has one chapter."""

    name: str
    """Name of the experiment; in a report of several it leads the names of figures."""
    title: str
    question: str
    conclusions: tuple[str, ...]
    sections: tuple[Section, ...]
    environment: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """How this experiment was computed."""


def write_figures(folder: RunFolder, figures: Sequence[NamedFigure]) -> list[str]:
    """Write every figure as PNG and PDF into figures/; gives a sentence for each that could not be drawn."""
    if not folder.writes:
        return []
    for named in figures:
        for ending, content in _render(named)[1].items():
            folder.write_bytes(f"figures/{named.name}.{ending}", content)
    return [shown.caption for shown, files in map(_render, figures) if not files]


@dataclasses.dataclass(frozen=True)
class Report:
    """All that the report of a run says."""

    title: str
    question: str
    chapters: Sequence[Chapter]
    excluded: Sequence[Exclusion]
    provenance: Mapping[str, str]
    environment: Mapping[str, Any]
    conclusions: Sequence[str] = ()
    """Conclusions of all chapters together."""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Every flag."""
    tables: Sequence[str] = ()
    """Files beside the report that hold its tables; with them its figures are there as PDF too."""


def write_report(folder: RunFolder, report: Report) -> None:
    """Write report.html, which holds its figures and needs nothing from outside."""
    if folder.writes:
        folder.write_text("report.html", render(report))


def render(report: Report) -> str:
    """The page."""
    template = jinja2.Environment(
        loader=jinja2.PackageLoader("galjax.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    ).get_template("report.html.j2")
    seen = {
        "chapters": [
            _as_template_sees_it(chapter, alone=len(report.chapters) == 1, has_files=bool(report.tables))
            for chapter in report.chapters
        ],
        "excluded": kinds_of_reasons(report.excluded),
        "excluded_count": len(report.excluded),
    }
    page: str = template.render({**vars(report), **seen})
    return page


def _as_template_sees_it(chapter: Chapter, *, alone: bool, has_files: bool) -> dict[str, Any]:
    folder = "figures" if alone else f"{chapter.name}/figures"

    def seen(named: NamedFigure, files: Mapping[str, bytes]) -> dict[str, str]:
        return {
            "id": named.name if alone else f"{chapter.name}-{named.name}",
            "caption": named.caption,
            "alternative": named.alternative,
            "image": base64.b64encode(files.get("png", b"")).decode(),
            "pdf": f"{folder}/{named.name}.pdf" if files and has_files else "",
        }

    sections = [
        {
            "title": section.title,
            "text": section.text,
            "figures": [seen(*_render(named)) for named in section.figures],
            "folded": [seen(*_render(named)) for named in section.folded],
            "quoted": section.quoted,
            "tables": {name: _cells(table) for name, table in section.tables.items()},
        }
        for section in chapter.sections
    ]
    return {**{field.name: getattr(chapter, field.name) for field in dataclasses.fields(chapter)}, "sections": sections}


@functools.lru_cache(maxsize=256)
def _render(named: NamedFigure) -> tuple[NamedFigure, dict[str, bytes]]:
    """The figure as PNG and PDF, by ending; where it cannot be drawn no file, and the reason for its caption."""
    files: dict[str, bytes] = {}
    if named.figure is None:
        return named, files
    metadata: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}}
    try:
        with plain_style():
            for ending, of_file in metadata.items():
                buffer = io.BytesIO()
                named.figure.savefig(buffer, format=ending, dpi=PRINT_DPI, metadata=of_file)
                files[ending] = buffer.getvalue()
    except Exception as error:  # whatever matplotlib raises: it costs this figure, not the run
        return not_drawn(named.name, error), {}
    return named, files


def _cells(table: Table) -> tuple[list[str], list[list[str]]]:
    header = [name.replace("_", " ") for name in table.colnames]
    return header, [[_cell(value, name) for name, value in zip(table.colnames, row, strict=True)] for row in table]


def _cell(value: Any, column: str) -> str:
    if isinstance(value, float):
        return f"{value:.1e}" if column.startswith("p_") and 0 < value < 0.0005 else fixed(value)
    if str(value) in ("True", "False"):
        return "yes" if value else "no"
    return str(value)


def kinds_of_reasons(excluded: Iterable[Exclusion]) -> list[tuple[str, int]]:
    """Why galaxies were left out and how many each, most first; reasons that differ in a number only are counted together."""

    def kind(reason: str) -> str:
        return " ".join("…" if any(c.isdigit() for c in word) else word for word in reason.split())

    return collections.Counter(kind(row.reason) for row in excluded).most_common()
