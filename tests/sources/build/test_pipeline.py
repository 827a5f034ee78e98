import io
import re
import signal
import time

import pytest
from rich.console import Console

from galjax.sources.build.build_progress import ConsoleBuildProgress
from galjax.sources.build.pipeline import interruptible
from galjax.terminal.interrupts import Interrupted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_become_an_exit_code(number, code):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as caught, interruptible():
        signal.raise_signal(number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_says_done_failed_speed_and_time_left(terminal, monkeypatch):
    monkeypatch.setattr(ConsoleBuildProgress, "SECONDS_BETWEEN_LINES", 0.0)
    out = io.StringIO()
    with ConsoleBuildProgress(Console(file=out, force_terminal=terminal, width=140)) as progress:
        progress.begin(10, 2, 100)
        time.sleep(0.05)
        progress.advance(20, 3, 5_000_000)
        time.sleep(0.15)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert "Resuming: 10 galaxies are cut out and 2 have failed already" in text
    assert "23/100" in text
    assert "failed 3" in text
    assert re.search(r"\d+\.\d MB/s", text)
    assert "left" in text
