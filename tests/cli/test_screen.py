"""Standard output and error that are closed, full or gone: no traceback, a sentence where it can be said, results kept."""

import errno
import os
import subprocess
import sys

import pytest

from galjax.cli.command import exit_code
from galjax.cli.screen import Screen, surviving_screens
from tests.experiments.test_resolution_sweep import ROOT, SMALL

FULL = "error: Standard output cannot be written (No space left on device). Nothing else was lost by that.\n"
needs_full_device = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device that is always full, of Linux")


def shell(arguments, redirection):
    """Exit code, and what came through on standard error."""
    line = f'"$@" {redirection}'
    done = subprocess.run(
        ["bash", "-c", line, "bash", sys.executable, "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("arguments", "redirection", "ended"),
    [
        (["--help"], ">&-", (0, "")),
        (["--help"], ">&- 2>&-", (0, "")),
        (["--help"], "2>&-", (0, "")),
        (["--nowhere"], "2>&-", (2, "")),
        (["--data", "nowhere"], "2>&-", (2, "")),
        (["--help"], "| true; exit ${PIPESTATUS[0]}", (141, "")),
        pytest.param(["--help"], "> /dev/full", (2, FULL), marks=needs_full_device),
        pytest.param(["--help"], "> /dev/full 2> /dev/full", (2, ""), marks=needs_full_device),
        pytest.param(["--nowhere"], "2> /dev/full", (2, ""), marks=needs_full_device),
        pytest.param(["--data", "nowhere"], "2> /dev/full", (2, ""), marks=needs_full_device),
    ],
)
def test_streams_that_take_nothing(arguments, redirection, ended):
    assert shell(["experiments.resolution_sweep", *arguments], redirection) == ended


@pytest.mark.thorough
@pytest.mark.parametrize("redirection", [">&- 2>&-", pytest.param("> /dev/full", marks=needs_full_device)])
def test_a_run_whose_screen_takes_nothing_keeps_its_results(redirection, tmp_path):
    out = tmp_path / "run"
    code, said = shell(["experiments.resolution_sweep", *SMALL, "--out", str(out)], redirection)
    assert (code, said) == ((0, "") if "&-" in redirection else (2, FULL))
    assert (out / "environment.json").exists()


class Gone:
    """A stream of which only the first words arrive."""

    def __init__(self, number):
        self.number, self.got, self.calls = number, "", 0

    def write(self, text):
        self.calls += 1
        if self.got:
            raise OSError(self.number, os.strerror(self.number))
        self.got += text

    def flush(self):
        pass

    def fileno(self):
        raise OSError("no file")


def test_after_the_first_error_nothing_is_written(monkeypatch):
    stream = Gone(errno.EIO)
    screen = Screen(stream)
    assert [screen.write(text) for text in ("one", "three", "four")] == [3, 5, 4]
    assert (stream.got, stream.calls, screen.error.errno) == ("one", 2, errno.EIO)


@pytest.mark.parametrize(("number", "code"), [(errno.EPIPE, 141), (errno.EIO, 2), (errno.ENOSPC, 2)])
def test_a_command_goes_on_without_its_screen(number, code, monkeypatch):
    monkeypatch.setattr(sys, "stdout", Gone(number))
    done = []

    def command():
        print("one")
        print("two")
        done.append(True)

    assert exit_code(command) == code
    assert done == [True]


def test_the_streams_are_given_back():
    before = sys.stdout, sys.stderr
    with surviving_screens() as (out, err):
        assert (sys.stdout, sys.stderr) == (out, err)
    assert (sys.stdout, sys.stderr) == before
