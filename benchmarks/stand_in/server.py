"""An HTTP server on this machine that plays the archives, each below its own path, and counts what is asked of it."""

import collections
import re
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.stand_in import faults


class Request(NamedTuple):
    """One request as the server saw it."""

    path: str
    status: int
    """0 until it is answered, and where the client went away."""
    whole: bool
    """Whether all of the body was handed to the network."""
    fault: str
    arrived: float
    """time.monotonic() when it came."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format, *arguments):
        pass

    def do_GET(self):
        self.body = b""
        self._answer()

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer()

    def _answer(self):
        arrived = time.monotonic()
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        path = unquote(parts.path)
        with self.server.lock:  # now, since the client may look at the list as soon as it has its answer
            number = len(self.server.requests)
            self.server.requests.append(Request(path, 0, False, "under way", arrived))
        try:
            status, whole, fault = self.server.archive.answer(self, path)
        except (BrokenPipeError, ConnectionResetError):
            status, whole, fault = 0, False, "client went away"
            self.close_connection = True
        with self.server.lock:
            self.server.requests[number] = Request(path, status, whole, fault, arrived)
            if self.server.log is not None:
                self.server.log.write(f"{path}\t{status}\t{int(whole)}\t{fault}\n")
                self.server.log.flush()

    def send_start(self, status, length, kind="application/octet-stream", headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()

    def send(self, status, body, kind="application/octet-stream", headers=None):
        self.send_start(status, len(body), kind, headers)
        self.wfile.write(body)
        return status


class Server(ThreadingHTTPServer):
    """`with Server(archive) as server:` runs it in a thread; `server.url` is its address."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, archive, port=0, stall_seconds=30.0, log=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.archive, self.stall_seconds = archive, stall_seconds
        self.log = log.open("a") if log is not None else None
        self.requests, self.mistakes = [], []
        self.lock, self.released = threading.Lock(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        if self.log is not None:
            self.log.close()
        assert not self.mistakes, self.mistakes[0]

    def handle_error(self, request, client_address):
        """Clients that go away are expected; a mistake of the stand-in's own must be seen by the test."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            self.mistakes.append(traceback.format_exc())

    def addresses(self):
        """Flags for build_sample."""
        return [
            "--das-url",
            f"{self.url}/das",
            "--sas-url",
            f"{self.url}/sas",
            "--skyserver-url",
            f"{self.url}/skyserver",
            "--hsc-url",
            f"{self.url}/hsc",
            "--hips-url",
            f"{self.url}/hips",
            "--catalogue-url",
            f"{self.url}/gz1",
            f"{self.url}/gz1-mirror",
        ]

    def count(self, pattern):
        """Requests by path."""
        return collections.Counter(r.path for r in self.requests if re.search(pattern, r.path))


class Faults:
    """Which files are befallen by what; a fault ends after its number of requests."""

    def __init__(self, by_path=None):
        self.by_path = dict(by_path or {})
        self._asked, self._lock = collections.Counter(), threading.Lock()

    def of(self, path):
        fault = self.by_path.get(path)
        if fault is None:
            return None
        with self._lock:
            self._asked[path] += 1
            return fault if self._asked[path] <= fault.times else None


def answer_file(handler, fault, body, other_body=lambda: b""):
    """A file, or what befalls it; returns (status, whole, fault)."""
    if fault is None:
        return handler.send(200, body), True, ""
    return *faults.answer(handler, fault, body, other_body), fault.kind
