"""SIGINT and SIGTERM: a chunk in flight ends, a checkpoint is written, and the command says how to go on."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """The user or the system asked to stop; the last snapshot is on disk."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(f"Stopped by {signal.Signals(signal_number).name}.")


@contextmanager
def stop_requests() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that a chunk in flight can end; a second SIGINT stops at once."""
    requests: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        if requests and number == signal.SIGINT:
            raise KeyboardInterrupt
        requests.append(number)

    try:
        earlier = {number: signal.signal(number, remember) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # Not in the main thread, where signals cannot be caught: then they keep their meaning.
        yield requests
        return
    try:
        yield requests
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
