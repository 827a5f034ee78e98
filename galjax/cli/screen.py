"""Standard output and error that may be closed, full or gone: what is said there is lost, and what is computed is not."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any


class Screen:
    """A stream to which writing never fails. The first error is kept, and what is written after it goes nowhere."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """As a text stream's."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """As a text stream's."""
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        if self.error is not None:
            return
        try:
            action()
        except OSError as error:
            self.error = error
            # What Python still holds for the stream, and what other libraries write, goes nowhere too.
            with contextlib.suppress(OSError):  # where the stream has no file
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def surviving_screens() -> Iterator[tuple[Screen, Screen]]:
    """Within, `sys.stdout` and `sys.stderr` are Screens, which are given; one that was closed leads nowhere from then on."""
    _open_closed_streams()
    earlier = sys.stdout, sys.stderr
    for stream in earlier:
        if isinstance(stream, io.TextIOWrapper):  # Names of files may hold what no terminal can show.
            stream.reconfigure(errors="backslashreplace")
    screens = Screen(sys.stdout), Screen(sys.stderr)
    sys.stdout, sys.stderr = screens
    try:
        yield screens
    finally:
        sys.stdout, sys.stderr = earlier


def _open_closed_streams() -> None:
    """Python has None for a stream whose file is closed, and the next file that is opened would take its place."""
    for name, number in {"stdout": 1, "stderr": 2}.items():
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                nowhere = os.open(os.devnull, os.O_WRONLY)
                if nowhere != number:
                    os.dup2(nowhere, number)
                    os.close(nowhere)
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - for as long as the process lives


def is_broken_pipe(error: OSError) -> bool:
    """Whether whoever read the stream has gone away, as in `--help | head`."""
    return error.errno == errno.EPIPE
