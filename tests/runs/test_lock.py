import json
import os
import signal
import subprocess
import sys

import pytest

from galjax.errors import InputError
from galjax.runs.lock import HOLDER, LOCK, RunLock

HOLD = """
import sys, time
from pathlib import Path
from galjax.runs.lock import RunLock
lock = RunLock(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_holder_is_refused_and_told_of_the_first(tmp_path):
    lock = RunLock(tmp_path)
    with pytest.raises(InputError, match=rf"pid {os.getpid()} on \S+, since 20\d\d-.*\) is using .*another --out"):
        RunLock(tmp_path)
    lock.release()
    lock.release()
    assert not (tmp_path / HOLDER).exists()
    RunLock(tmp_path).release()


def test_the_lock_of_a_killed_process_is_no_obstacle(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"pid {process.pid} on"):
            RunLock(tmp_path)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert json.loads((tmp_path / HOLDER).read_text())["pid"] == process.pid  # nobody tidied up
    RunLock(tmp_path).release()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}', "\xff"])
def test_words_about_the_holder_that_cannot_be_read_are_done_without(tmp_path, content):
    lock = RunLock(tmp_path)
    (tmp_path / HOLDER).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"^Another process is using"):
        RunLock(tmp_path)
    lock.release()


def test_a_place_that_cannot_be_locked_gets_a_sentence(tmp_path):
    (tmp_path / LOCK).mkdir()
    with pytest.raises(InputError, match="cannot be locked"):
        RunLock(tmp_path)
