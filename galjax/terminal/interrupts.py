"""SIGINT and SIGTERM, from the first import of a command to its last figure.

Python runs a signal handler between two of its own instructions, so that nothing is heard while the main thread is inside a
compiler or a compiled program, and an exception raised by a handler may be swallowed where a library calls back into Python.
A process that is a command of galjax (`listen`) therefore has a thread that hears signals at once. Where nothing is under way
it says so and ends the process; files are always whole on disk. Where something is (`stop_requests`), it says when that ends,
and a second Ctrl-C ends the process at once.

Knows the standard library alone: a command imports this before anything that takes long.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple, NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):
    """The user or the system asked to stop; what was done is on disk."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")


class _Work(NamedTuple):
    """Something under way that is to end before the process does."""

    announce: Callable[[int], None]
    """Called by the listening thread at the first signal."""
    again_ends: bool
    """Whether a second Ctrl-C ends the process at once."""


class _Listener:
    """The thread that hears signals, and what it knows."""

    def __init__(self) -> None:
        self.work: _Work | None = None
        self.heard = 0
        self.last_words = "Nothing was computed yet."
        self.start()

    def start(self) -> None:
        """Begin to listen; also in a child process, which a fork leaves without the thread."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(reader,), name="signals", daemon=True).start()

    def _listen(self, reader: int) -> None:
        while number := os.read(reader, 1)[0]:
            if number not in SIGNALS:
                continue
            self.heard += 1
            work = self.work
            if work is None or (work.again_ends and self.heard > 1 and number == signal.SIGINT):
                self._end(number)
            if self.heard == 1:
                work.announce(number)

    def _end(self, number: int) -> NoReturn:
        shown = "\x1b[?25h\n" if os.isatty(2) else ""  # a progress bar hides the cursor
        say_at_once(f"{shown}Stopped by {signal.Signals(number).name}. {self.last_words}")
        os._exit(128 + number)


_listener: _Listener | None = None


def listen() -> None:
    """Make this process one that stops when it is asked to, whatever it is doing. For commands: it may end the process."""
    global _listener
    if _listener is not None or threading.current_thread() is not threading.main_thread():
        return
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as for what a shell puts into the background
            signal.signal(number, lambda number, frame: None)  # the thread does the rest
    _listener = _Listener()
    os.register_at_fork(after_in_child=_listener.start)


def listen_in_command() -> None:
    """`listen` where a package is imported because `python -m` is about to run one of its modules."""
    if sys.argv[:1] == ["-m"]:
        listen()


def last_words(text: str) -> None:
    """What a process that is stopped where nothing is under way says about how to resume."""
    if _listener is not None:
        _listener.last_words = text


def say_at_once(text: str) -> None:
    """A line on standard error, from any thread, whatever the rest of the program is doing."""
    try:
        os.write(2, f"{text}\n".encode(errors="backslashreplace"))
    except OSError:  # Nobody can read it.
        return


@contextmanager
def handling(
    handle: Callable[[int], None], announce: Callable[[int], None] = lambda number: None, *, again_ends: bool = True
) -> Iterator[bool]:
    """Within, SIGINT and SIGTERM call `handle(number)` in the main thread, as soon as Python has its turn there.

    A listening process calls `announce(number)` at once at the first signal, and with `again_ends` ends at a second SIGINT.
    Gives whether the process listens. Outside of the main thread, where signals cannot be caught, they keep their meaning.
    """
    if threading.current_thread() is not threading.main_thread():
        yield False
        return

    def on_signal(number: int, frame: FrameType | None) -> None:
        handle(number)

    earlier = {number: signal.signal(number, on_signal) for number in SIGNALS}
    listener = _listener
    if listener is not None:
        before, listener.work = listener.work, _Work(announce, again_ends)
    try:
        yield listener is not None
    finally:
        if listener is not None:
            listener.work = before
        for number, handler in earlier.items():
            signal.signal(number, handler)


@contextmanager
def stop_requests(announce: Callable[[], None]) -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that a chunk in flight can end; a second SIGINT stops at once.

    `announce` says at the first one when that will be. Raises `Interrupted` at the end where nobody looked at the last request.
    """
    requests: list[int] = []
    listens = _listener is not None

    def remember(number: int) -> None:
        if not listens and requests:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
        elif not listens:
            announce()
        requests.append(number)

    with handling(remember, lambda number: announce()):
        yield requests
    if requests:
        raise Interrupted(max(requests))
