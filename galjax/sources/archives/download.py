"""Fetching over HTTP from archives that are slow, overloaded or confused: bounded, retried, checked.

An answer counts only once `read` has understood its bytes. Whatever else comes back (an error, a page in place of a file,
half a file) is tried again after a wait, or given up with its reason.
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter

from galjax.sources.archives.politeness import Politeness, in_words, retry_after

Value = TypeVar("Value")

FINAL_STATUS = frozenset({400, 401, 404, 410})
"""Asking again does not help: the request is wrong, needs a login, or the file is not there."""
MOST_REDIRECTS = 5
MOST_BYTES = 2**30
"""Largest answer, bytes."""
_CHUNK = 2**18


class BadContent(Exception):
    """Why an answer is not what was asked for, though its status was 200. The message is a reason for a table."""


class FetchFailed(Exception):
    """A file could not be fetched; the message is the reason, without the address."""

    def __init__(self, reason: str, attempts: int, *, transient: bool, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.attempts = attempts
        self.transient = transient
        """Whether a later try may succeed."""
        self.status = status
        """HTTP status of the last answer, if there was one."""


class Stopped(Exception):
    """The build was asked to stop while this was waiting or fetching."""


class _Attempt(Exception):
    """One try failed."""

    def __init__(self, reason: str, *, final: bool = False, status: int | None = None, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.final, self.status, self.wait = reason, final, status, wait


@dataclasses.dataclass(frozen=True)
class Answer(Generic[Value]):
    """What `read` made of an answer, and how many tries it took."""

    value: Value
    attempts: int


class Stop:
    """Two wishes of whoever runs the build: begin nothing new, and let go of what is under way."""

    def __init__(self) -> None:
        self.soon = threading.Event()
        self.now = threading.Event()

    def at_once(self) -> None:
        """Both."""
        self.soon.set()
        self.now.set()


class Request(NamedTuple):
    """What is asked of a server: a GET, or with `files` a POST of a multipart form."""

    url: str
    params: Mapping[str, str] | None = None
    files: Mapping[str, tuple[str, bytes]] | None = None
    """By field: name of the file, and content."""
    auth: tuple[str, str] | None = None
    """User and password."""
    interval: float = 0.0
    """Least time (s) between two requests to the host."""
    first_bytes: int | None = None
    """Receive no more than so many."""


class Client:
    """An HTTP client to share between threads: each keeps its own connections open.

    TLS certificates are verified. Redirects are followed on the same host only, and never from https to http: which
    hosts are talked to is decided by the configuration.
    """

    def __init__(self, politeness: Politeness, stop: Stop | None = None) -> None:
        self.politeness = politeness
        self.stop = stop or Stop()
        self._local = threading.local()
        self._lock = threading.Lock()
        self._bytes = 0
        self._next_turn: dict[str, float] = {}

    @property
    def bytes_received(self) -> int:
        """Bytes of all answers so far, in every thread."""
        return self._bytes

    def fetch(self, request: Request, read: Callable[[bytes], Value]) -> Answer[Value]:
        """What `read` makes of the answer.

        `read` raises BadContent where the bytes are not what they should be, and the file is asked for again, past
        caches on the way (Cache-Control: no-cache). The bytes are as the server sent them: nothing is decompressed
        on the way. Raises FetchFailed, or Stopped.
        """

        def attempt() -> Value:
            number = retrying.statistics["attempt_number"]
            try:
                content = self._request(request, past_caches=number > 1)
                return read(content)
            except BadContent as problem:
                raise _Attempt(str(problem), status=200) from problem
            except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                if isinstance(error, OSError) and not isinstance(
                    error, requests.RequestException | TimeoutError | ConnectionError
                ):
                    raise  # of our own disk, not of the network
                raise _Attempt(in_words(error)) from None  # whose text may hold the address, and that a password

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.politeness.attempts),
            wait=self._wait,
            retry=tenacity.retry_if_exception(lambda error: isinstance(error, _Attempt) and not error.final),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            value = retrying(attempt)
        except _Attempt as last:
            attempts = int(retrying.statistics["attempt_number"])
            raise FetchFailed(last.reason, attempts, transient=not last.final, status=last.status) from None
        return Answer(value, int(retrying.statistics["attempt_number"]))

    def _wait(self, state: tenacity.RetryCallState) -> float:
        backoff = self.politeness.backoff
        waited = tenacity.wait_exponential(multiplier=backoff, max=60.0)(state)
        waited += tenacity.wait_random(0, waited)(state) if waited else 0.0
        error = state.outcome.exception() if state.outcome else None
        return max(waited, error.wait if isinstance(error, _Attempt) else 0.0)

    def _sleep(self, seconds: float) -> None:
        if self.stop.soon.wait(seconds):
            raise Stopped

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            session = requests.Session()
            session.auth = _NO_LOGIN
            session.headers.update({"User-Agent": "galjax (research)"})
            for scheme in ("http://", "https://"):
                session.mount(scheme, HTTPAdapter(pool_connections=8, pool_maxsize=1, max_retries=0))
            self._local.session = session
        return self._local.session

    def _request(self, request: Request, *, past_caches: bool) -> bytes:
        """One try: the whole body, or _Attempt, or an error of the network."""
        url, params, files, auth, interval, first_bytes = request
        headers = {"Accept-Encoding": "identity"}  # a file that is gzip itself must not be unpacked on the way
        if past_caches:
            headers |= {"Cache-Control": "no-cache", "Pragma": "no-cache"}
        timeout = self.politeness.timeout
        for _ in range(MOST_REDIRECTS + 1):
            self._take_turn(url, interval)
            with self._session().request(
                "POST" if files else "GET",
                url,
                params=params,
                files=files,
                headers=headers,
                timeout=timeout,
                stream=True,
                allow_redirects=False,
                auth=auth or _NO_LOGIN,
            ) as response:
                if response.is_redirect:
                    url, params = _redirected(url, response), None
                    continue
                if response.status_code != 200:
                    raise _refused(response)
                return self._body(response, first_bytes)
        raise _Attempt(f"more than {MOST_REDIRECTS} redirects", final=True)

    def _body(self, response: requests.Response, first_bytes: int | None) -> bytes:
        started, parts, received = time.monotonic(), [], 0
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            parts.append(chunk)
            received += len(chunk)
            with self._lock:
                self._bytes += len(chunk)
            elapsed = time.monotonic() - started
            if self.stop.now.is_set():
                raise Stopped
            if first_bytes is not None and received >= first_bytes:
                break
            if received > MOST_BYTES:
                raise _Attempt(f"an answer of more than {MOST_BYTES // 1_000_000} MB", final=True)
            if elapsed > self.politeness.timeout and received < self.politeness.slowest * elapsed:
                raise _Attempt("too slow")  # without figures: reasons are part of the sample, which is to repeat
        return b"".join(parts)

    def _take_turn(self, url: str, interval: float) -> None:
        """Wait until the host's last request is `interval` seconds ago."""
        if interval <= 0:
            return
        host = urlsplit(url).netloc
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next_turn.get(host, now))
            self._next_turn[host] = turn + interval
        if turn > now:
            self._sleep(turn - now)


def _no_login(request: Any) -> Any:
    """Instead of what a .netrc file on this machine may say of the host."""
    return request


_NO_LOGIN = _no_login


def _redirected(url: str, response: requests.Response) -> str:
    target = urljoin(url, response.headers["location"])
    old, new = urlsplit(url), urlsplit(target)
    if new.hostname != old.hostname or (old.scheme == "https" and new.scheme != "https"):
        raise _Attempt(
            f"redirected to another host ({new.scheme}://{new.hostname}), which is not followed",
            final=True,
            status=response.status_code,
        )
    return target


def _refused(response: requests.Response) -> _Attempt:
    status = response.status_code
    words = {401: "login needed or refused", 404: "not found", 429: "too many requests"}
    reason = f"HTTP {status} ({words.get(status, response.reason or 'no reason given')})"
    return _Attempt(
        reason, final=status in FINAL_STATUS, status=status, wait=retry_after(response.headers.get("Retry-After", ""))
    )
