"""Figures are the same whatever the user's matplotlib settings are, and one that fails costs no other."""

import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from galjax.report import html
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.style import NamedFigure, drawn
from galjax.runs.folder import RunFolder

STRANGE = {
    "text.usetex": True,
    "font.family": ["no such font"],
    "savefig.bbox": "tight",
    "savefig.transparent": True,
    "savefig.facecolor": "red",
    "figure.dpi": 10.0,
    "axes.grid": True,
    "lines.linewidth": 9.0,
    "savefig.format": "jpg",
    "axes.prop_cycle": matplotlib.cycler(color=["pink"]),
    "font.size": 30.0,
}


def some_figure():
    return points_with_bars({"accuracy": {"a": np.array([0.8, 0.9, 1.0])}}, ["std"], "points", "About.")


def files(folder, name):
    return {ending: (folder.path / "figures" / f"{name}.{ending}").read_bytes() for ending in ("png", "pdf")}


@pytest.fixture
def folder(tmp_path, figures_drawn):
    with figures_drawn():
        yield RunFolder(tmp_path, is_new=True)


def test_the_users_settings_change_nothing(folder):
    assert html.write_figures(folder, [some_figure()]) == []
    usual = files(folder, "points")
    with matplotlib.rc_context(STRANGE):
        assert html.write_figures(folder, [some_figure()]) == []
        assert matplotlib.rcParams["text.usetex"] is True  # the user's settings are given back
    assert files(folder, "points") == usual


SCRIPT = """
import hashlib, os
from galjax.report import html
from galjax.report.figures.comparison import points_with_bars
figure = points_with_bars({"accuracy": {"a": [0.8, 0.9, 1.0]}}, ["std"], "points", "About.")
print(hashlib.sha256(html._render(figure)[1]["png"]).hexdigest(), os.environ.get("MPLBACKEND", "none"))
"""


def digest(tmp_path, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "MATPLOTLIB"))}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={**kept, "PYTHONPATH": os.getcwd(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.thorough
def test_settings_that_matplotlib_cannot_start_with(tmp_path):
    """A backend of a notebook, one that there is not, and a matplotlibrc in the working folder that is no text."""
    usual, _ = digest(tmp_path)
    backend = "module://matplotlib_inline_that_is_not_installed.backend_inline"
    assert digest(tmp_path, MPLBACKEND=backend) == [usual, backend]
    (tmp_path / "matplotlibrc").write_bytes(b"\xff\xfe\x00text.usetex")
    assert digest(tmp_path, MPLBACKEND="nonsense") == [usual, "nonsense"]


@drawn
def fails_at_once() -> NamedFigure:
    """A figure that cannot be made."""
    raise ValueError("no such\nthing")


def test_a_figure_that_fails_is_named_and_the_others_are_drawn(folder):
    class Breaks(Figure):
        def savefig(self, *arguments, **options):
            raise RuntimeError("no ink")

    figures = [fails_at_once(), NamedFigure("breaks", Breaks(), "Caption.", "Words."), some_figure()]
    assert html.write_figures(folder, figures) == [
        "The figure fails_at_once could not be drawn (ValueError: no such).",
        "The figure breaks could not be drawn (RuntimeError: no ink).",
    ]
    assert sorted(path.name for path in (folder.path / "figures").iterdir()) == ["points.pdf", "points.png"]
    chapter = html.Chapter("name", "Title", "Question?", (), (html.Section("Section", figures=tuple(figures)),))
    html.write_report(folder, html.Report("Title", "Question?", [chapter], [], {}, environment={}))
    page = (folder.path / "report.html").read_text()
    assert page.count("<img") == 1
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page)
    assert captions[:2] == [
        "The figure fails_at_once could not be drawn (ValueError: no such).",
        "The figure breaks could not be drawn (RuntimeError: no ink).",
    ]
