"""One process at a time works on a run folder."""

import contextlib
import datetime
import json
import os
import socket
from pathlib import Path

import filelock

from galjax.errors import InputError

LOCK, HOLDER = ".lock", ".lock.json"
"""The file that is locked, and who holds it. The lock is the operating system's: it ends with the process, however that
ends, so that files left by a dead process are no obstacle."""


class RunLock:
    """The lock of a folder, held from the beginning until `release`."""

    def __init__(self, folder: Path) -> None:
        """Raises InputError, naming the holder, where another process holds it."""
        self._holder = folder / HOLDER
        self._lock = filelock.FileLock(folder / LOCK, timeout=0, thread_local=False)
        try:
            self._lock.acquire()
        except filelock.Timeout:
            raise InputError(
                f"{_described(self._holder)} is using {folder}. Wait until it ends or stop it, or give another --out."
            ) from None
        except (OSError, NotImplementedError) as error:
            raise InputError(
                f"{folder / LOCK} cannot be locked ({error}), so nothing would keep two processes from writing the same "
                f"files. Give an --out on a file system that can be written and locked."
            ) from error
        now = datetime.datetime.now().isoformat(sep=" ", timespec="seconds")
        with contextlib.suppress(OSError):  # Only words for others: a full disk is reported by what needs the room.
            self._holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": now}))

    def release(self) -> None:
        """Let others work on the folder. May be called again."""
        if self._lock.is_locked:
            self._holder.unlink(missing_ok=True)
            self._lock.release()


def _described(holder: Path) -> str:
    try:
        who = json.loads(holder.read_text())
        return f"Another process (pid {who['pid']} on {who['host']}, since {who['started']})"
    except (OSError, ValueError, KeyError, TypeError):  # It has only just begun, or is just ending.
        return "Another process"
