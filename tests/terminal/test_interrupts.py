"""Signals, as a process of its own hears them."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from galjax.terminal.interrupts import Interrupted, stop_requests

ROOT = Path(__file__).resolve().parents[2]
BUSY = "import hashlib; hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"
"""Minutes inside one call of a library, where Python runs no signal handler."""


class Process:
    """A Python program whose lines are read as they come, standard output and error together."""

    def __init__(self, *arguments):
        self._process = subprocess.Popen(
            [sys.executable, "-u", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def wait_for(self, text):
        for line in self._process.stdout:
            if text in line:
                return line.strip()
        raise AssertionError(f"{text!r} never came")

    def send(self, number):
        self._process.send_signal(number)

    def ended(self):
        """What was still said, and the exit code."""
        try:
            said, _ = self._process.communicate(timeout=300)
        finally:  # also what it forked, which would compute for minutes
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return said.splitlines(), self._process.returncode


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_where_nothing_is_under_way_the_process_ends_at_once_whatever_it_is_doing(number, code):
    process = Process("-c", f"from galjax.terminal.interrupts import listen; listen(); print('ready'); {BUSY}")
    process.wait_for("ready")
    process.send(number)
    assert process.ended() == ([f"Stopped by {number.name}. Nothing was computed yet."], code)


def test_a_signal_inside_a_callback_that_swallows_exceptions_is_not_lost():
    program = """
from galjax.terminal.interrupts import last_words, listen
listen()
last_words("Go on with --resume.")
class Swallows:
    def __del__(self):  # Python ignores what is raised here
        print("ready")
        while True:
            pass
Swallows()
print("went on")
"""
    process = Process("-c", program)
    process.wait_for("ready")
    process.send(signal.SIGINT)
    assert process.ended() == (["Stopped by SIGINT. Go on with --resume."], 130)


UNDER_WAY = f"""
import sys
from galjax.terminal.interrupts import last_words, listen, stop_requests
listen()
last_words("The last checkpoint is kept.")
with stop_requests(lambda: print("stopping soon")) as stop:
    print("ready")
    {BUSY}
"""


def test_what_is_under_way_is_announced_at_once_and_a_second_interrupt_ends_it():
    process = Process("-c", UNDER_WAY)
    process.wait_for("ready")
    process.send(signal.SIGINT)
    process.wait_for("stopping soon")  # while the library is still busy
    process.send(signal.SIGTERM)  # which batch systems send several times
    process.send(signal.SIGINT)
    assert process.ended() == (["Stopped by SIGINT. The last checkpoint is kept."], 130)


def test_a_forked_process_hears_signals_of_its_own():
    program = f"""
import os
from galjax.terminal.interrupts import listen
listen()
child = os.fork()
if child == 0:
    print("ready", os.getpid())
    {BUSY}
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    process = Process("-c", program)
    os.kill(int(process.wait_for("ready").split()[1]), signal.SIGINT)
    assert process.ended() == (["Stopped by SIGINT. Nothing was computed yet.", "child 130"], 0)


def test_a_process_whose_interrupts_are_ignored_ignores_them():
    program = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
from galjax.terminal.interrupts import listen
listen()
os.kill(os.getpid(), signal.SIGINT)
print("went on")
"""
    assert Process("-c", program).ended() == (["went on"], 0)


@pytest.mark.parametrize("module", ["experiments.resolution_sweep", "benchmarks.resampling"])
def test_a_command_hears_signals_before_anything_heavy_is_imported(module):
    process = Process("-X", "importtime", "-m", module)  # which takes seconds to import before it does anything
    process.wait_for("galjax.terminal.interrupts")
    process.wait_for("|")  # whatever comes next
    process.send(signal.SIGINT)
    said, code = process.ended()
    assert (said[-1], code) == ("Stopped by SIGINT. Nothing was computed yet.", 130)  # after lines on imports
    assert not any("Traceback" in line for line in said)


def test_in_a_program_that_does_not_listen_the_first_request_waits_and_the_second_raises():
    announced = []

    def ask_twice():
        with stop_requests(lambda: announced.append(1)) as stop:
            signal.raise_signal(signal.SIGINT)
            assert (stop, announced) == ([signal.SIGINT], [1])
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ask_twice()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_request_that_nobody_looked_at_is_not_lost():
    def ask():
        with stop_requests(lambda: None):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"Stopped by SIGTERM\.") as caught:
        ask()
    assert caught.value.exit_code == 143


def test_outside_of_the_main_thread_signals_keep_their_meaning():
    given = []

    def work():
        with stop_requests(lambda: None) as stop:
            given.append(stop)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert given == [[]]
