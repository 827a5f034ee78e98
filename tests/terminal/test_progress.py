"""The progress line at every width: one line, with the bar and the time left; what is measured goes first."""

import io
import re

import pytest
from rich.console import Console

from galjax.sources.build.build_progress import ConsoleBuildProgress
from galjax.terminal.progress import ConsoleProgress


def last_lines(make, width, tell, count):
    """The last `count` lines that a terminal of this width shows, without colours."""
    out = io.StringIO()
    with make(Console(file=out, width=width, force_terminal=True, color_system=None, legacy_windows=False)) as progress:
        tell(progress)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", out.getvalue()).replace("\r", "\n")
    return [line for line in plain.splitlines() if line.strip()][-count:]


def train(label):
    def tell(progress):
        progress.images_read(15_000, 15_000)
        progress.begin(label, 0, 900)
        progress.advance(450, 0.6931, 0.5123)

    return tell


def build(progress):
    progress.begin(10, 2, 15_000)
    progress.advance(7_000, 500, 10**8)


@pytest.mark.parametrize("width", [60, 70, 80, 100, 140])
@pytest.mark.parametrize("label", ["300 per class", "trained at the same resolution as tested, 1/8", "with [/b] marks"])
def test_the_line_of_a_training_fits(width, label):
    reading, training = last_lines(ConsoleProgress, width, train(label), 2)
    for line, count in ((reading, "image 15000/15000"), (training, "epoch 450/900")):
        assert len(line.rstrip()) <= width
        assert count in line
        assert re.search(r"━{3}", line), line
        assert re.search(r"left (\d+:\d\d:\d\d|-:--:--)$", line.rstrip()), line
    assert reading.startswith("reading images ")
    start = label if width > 100 or len(label) < 16 else f"{label[:12]}"
    assert training.startswith(start)


def test_what_is_measured_is_shown_where_there_is_room():
    shown = {width: last_lines(ConsoleProgress, width, train("300 per class"), 1)[0] for width in (60, 80, 140)}
    assert "0.5" not in shown[60].partition("epoch")[2].partition("left")[0]
    assert "test accuracy 0.512" in shown[80]
    assert "loss" not in shown[80]
    assert "loss 0.693  test accuracy 0.512" in shown[140]


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_line_of_a_build_fits(width):
    (line,) = last_lines(ConsoleBuildProgress, width, build, 1)
    assert len(line.rstrip()) <= width
    assert re.match(r"cutting out ━{3}", line)
    assert "galaxy 7500/15000" in line
    assert re.search(r"left (\d+:\d\d:\d\d|-:--:--)$", line.rstrip())
    assert ("failed 500" in line) == (width == 140) or width == 80  # where it depends on how long the speed is
