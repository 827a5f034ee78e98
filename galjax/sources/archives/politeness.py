"""How hard archives are asked, how long they are left alone, and what their silence is called."""

import dataclasses
import datetime
import email.utils

import requests
import urllib3

from galjax.errors import InputError

LONGEST_WAIT = 600.0
"""Seconds that a server's Retry-After may make us wait."""


@dataclasses.dataclass(frozen=True)
class Politeness:
    """How hard archives are asked."""

    connections: int = 4
    """Requests under way at the same time, to all archives together."""
    attempts: int = 5
    """Tries for each file of each archive, the first included."""
    backoff: float = 1.0
    """Seconds before the second try; doubled for each further one, up to 60, plus as much again at random at most."""
    timeout: float = 60.0
    """Seconds without a byte after which a connection counts as stalled."""
    slowest: float = 1000.0
    """Bytes per second, averaged over a download, below which it is given up once the timeout has passed."""

    def __post_init__(self) -> None:
        for name, least in {"connections": 1, "attempts": 1}.items():
            if getattr(self, name) < least:
                raise InputError(f"--{name} must be at least {least}, not {getattr(self, name)}.")
        if not 0 <= self.backoff < float("inf"):
            raise InputError(f"--backoff must be at least 0 s, not {self.backoff}.")
        if not 0 < self.timeout < float("inf"):
            raise InputError(f"--timeout must be above 0 s, not {self.timeout}.")
        if not self.slowest >= 0:
            raise InputError(f"--slowest must be at least 0 bytes per second, not {self.slowest}.")


def retry_after(header: str) -> float:
    """Seconds that a Retry-After header asks us to wait (RFC 9110, 10.2.3: seconds or a date), 0 for none."""
    text = header.strip()
    try:
        if text.isdigit():
            seconds = float(text)
        elif text:
            then = email.utils.parsedate_to_datetime(text)
            seconds = (then - datetime.datetime.now(datetime.UTC)).total_seconds()
        else:
            return 0.0
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT)


def in_words(error: Exception) -> str:
    """A network error without addresses, which may hold what is nobody's business."""
    text = str(error)
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's TLS certificate cannot be verified"
    if "NameResolutionError" in text:
        return "the host is not found (no internet?)"
    if isinstance(error, requests.Timeout | urllib3.exceptions.TimeoutError | TimeoutError) or "timed out" in text:
        return "the connection stalled (timeout)"
    if isinstance(error, urllib3.exceptions.IncompleteRead | requests.exceptions.ChunkedEncodingError) or (
        "IncompleteRead" in text
    ):
        return "the body was cut off"
    if isinstance(error, requests.ConnectionError | urllib3.exceptions.ProtocolError | ConnectionError):
        refused = "refused" in text
        return "connection refused" if refused else "no connection, or it was closed"
    return f"network error ({type(error).__name__})"
