import contextlib
import datetime
import email.utils
import itertools
import shutil
import socket
import ssl
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from galjax import InputError
from galjax.sources.archives.download import BadContent, Client, FetchFailed, Politeness, Request, Stop, Stopped

QUICK = Politeness(attempts=4, backoff=0.01, timeout=0.5)
BODY = bytes(range(256)) * 40


class Script(BaseHTTPRequestHandler):
    """Answers as the server's `script` says: one function for each request, the last for all further ones."""

    protocol_version = "HTTP/1.1"

    def log_message(self, format, *arguments):
        pass

    def do_GET(self):
        server = self.server
        with server.lock:
            step = server.script[min(len(server.seen), len(server.script) - 1)]
            server.seen.append((time.monotonic(), self.path, dict(self.headers)))
            server.at_once += 1
            server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            with contextlib.suppress(ConnectionError):
                step(self)
        finally:
            with server.lock:
                server.at_once -= 1

    do_POST = do_GET

    def reply(self, status=200, body=BODY, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


@contextlib.contextmanager
def serving(*script, context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Script)
    server.daemon_threads = True
    server.script, server.seen, server.lock, server.at_once, server.most_at_once = script, [], threading.Lock(), 0, 0
    server.handle_error = lambda *_: None
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def good(handler):
    handler.reply()


def status(code, **headers):
    return lambda handler: handler.reply(code, b"<html>no</html>", **headers)


def half(handler):
    handler.reply(body=BODY[:1000], length=len(BODY))
    handler.close_connection = True


def chunked_half(handler):
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"3e8\r\n" + BODY[:1000] + b"\r\n3e8\r\n" + BODY[:500])
    handler.close_connection = True


def stall(handler):
    handler.reply(body=BODY[:1000], length=len(BODY))
    time.sleep(1.5)
    handler.close_connection = True


def hang_up(handler):
    handler.close_connection = True


def trickle(handler):
    handler.reply(body=b"", length=len(BODY))
    for _ in range(40):
        handler.wfile.write(b"x" * 10)
        time.sleep(0.05)
    handler.close_connection = True


def fetch(server, client=None, read=bytes, **options):
    return (client or Client(QUICK)).fetch(Request(f"{server.url}/file", **options), read)


@pytest.mark.parametrize(
    "fault",
    [status(403), status(429), status(500), status(502), status(503), status(504), half, chunked_half, stall, hang_up],
)
def test_what_passes_is_tried_again(fault):
    with serving(fault, fault, good) as server:
        answer = fetch(server)
    assert (answer.value, answer.attempts) == (BODY, 3)


@pytest.mark.parametrize(
    ("fault", "reason", "code"),
    [
        (status(403), "HTTP 403 (Forbidden)", 403),
        (status(429), "HTTP 429 (too many requests)", 429),
        (status(503), "HTTP 503 (Service Unavailable)", 503),
        (half, "the body was cut off", None),
        (chunked_half, "the body was cut off", None),
        (stall, "the connection stalled (timeout)", None),
        (hang_up, "no connection, or it was closed", None),
        (trickle, "too slow", None),
    ],
)
def test_what_does_not_pass_is_given_up_with_its_reason(fault, reason, code):
    client = Client(Politeness(attempts=2, backoff=0.01, timeout=0.4))
    with serving(fault) as server, pytest.raises(FetchFailed) as caught:
        fetch(server, client)
    assert (caught.value.reason, caught.value.attempts, caught.value.status) == (reason, 2, code)
    assert caught.value.transient
    assert len(server.seen) == 2


@pytest.mark.parametrize("code", [400, 401, 404, 410])
def test_what_is_final_is_asked_once(code):
    with serving(status(code)) as server, pytest.raises(FetchFailed, match=f"HTTP {code}") as caught:
        fetch(server)
    assert (caught.value.attempts, caught.value.transient, len(server.seen)) == (1, False, 1)


def test_nobody_there():
    with serving(good) as server:
        pass
    with pytest.raises(FetchFailed, match="connection refused") as caught:
        fetch(server)
    assert caught.value.transient


def test_a_host_that_is_not_there(monkeypatch):
    def unknown(*arguments, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(FetchFailed, match="the host is not found"):
        Client(Politeness(attempts=1)).fetch(Request("http://archive.invalid/file"), bytes)


def test_an_answer_of_status_200_is_read_before_it_counts_and_asked_for_past_caches():
    def read(content):
        if content != BODY:
            raise BadContent("an HTML page in place of the file")
        return content

    def cache(handler):
        fresh = handler.headers.get("Cache-Control") == "no-cache"
        handler.reply(body=BODY if fresh else b"<html>")

    with serving(cache) as server:
        answer = fetch(server, read=read)
    assert (answer.value, answer.attempts) == (BODY, 2)
    with (
        serving(lambda handler: handler.reply(body=b"<html>")) as server,
        pytest.raises(FetchFailed, match="an HTML page") as caught,
    ):
        fetch(server, read=read)
    assert (caught.value.attempts, caught.value.transient, caught.value.status) == (4, True, 200)


def test_waits_grow_and_are_not_the_same_twice():
    def waits():
        with serving(status(503)) as server, pytest.raises(FetchFailed):
            fetch(server, Client(Politeness(attempts=4, backoff=0.05, timeout=1.0)))
        times = [t for t, _, _ in server.seen]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    first, second = waits(), waits()
    for found in (first, second):
        for number, wait in enumerate(found):
            assert 0.05 * 2**number <= wait < 2 * 0.05 * 2**number + 0.15
    assert first != second


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_obeyed(as_date):
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=2)
    value = email.utils.format_datetime(then, usegmt=True) if as_date else "1"
    with serving(status(429, Retry_After=value), good) as server:
        fetch(server)
    (first, _, _), (second, _, _) = server.seen
    assert 0.9 < second - first < 2.5


def test_a_body_that_is_gzip_itself_is_not_unpacked_on_the_way():
    with serving(lambda handler: handler.reply(Content_Encoding="x-gzip")) as server:
        assert fetch(server).value == BODY
    assert server.seen[0][2]["Accept-Encoding"] == "identity"


def test_redirects_stay_on_the_host():
    with serving(lambda handler: handler.reply(302, b"", Location="/elsewhere"), good) as server:
        assert fetch(server).value == BODY
    assert [path for _, path, _ in server.seen] == ["/file", "/elsewhere"]
    with (
        serving(lambda handler: handler.reply(302, b"", Location="http://localhost:1/x")) as server,
        pytest.raises(FetchFailed, match="redirected to another host") as caught,
    ):
        fetch(server)
    assert not caught.value.transient
    with (
        serving(lambda handler: handler.reply(302, b"", Location="/file")) as server,
        pytest.raises(FetchFailed, match="more than 5 redirects"),
    ):
        fetch(server)


def test_a_netrc_login_is_not_sent(tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving(good) as server:
        fetch(server)
    assert "Authorization" not in server.seen[0][2]


def test_no_more_connections_than_threads_and_each_kept_open():
    def slow(handler):
        time.sleep(0.05)
        handler.reply()

    client = Client(QUICK)
    with serving(slow) as server:
        threads = [threading.Thread(target=lambda: [fetch(server, client) for _ in range(3)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.seen) == 9
    assert server.most_at_once <= 3
    assert client.bytes_received == 9 * len(BODY)


def test_requests_keep_their_distance():
    client, started = Client(QUICK), time.monotonic()
    with serving(good) as server:
        for _ in range(3):
            fetch(server, client, interval=0.2)
    assert len(server.seen) == 3
    assert time.monotonic() - started >= 0.4  # whatever else the machine does, it cannot be less


def test_a_wish_to_stop_ends_waiting_and_fetching():
    stop = Stop()
    client = Client(Politeness(attempts=5, backoff=30.0, timeout=5.0), stop)
    threading.Timer(0.2, stop.soon.set).start()
    with serving(status(503)) as server, pytest.raises(Stopped):
        fetch(server, client)
    stop.at_once()
    with serving(good) as server, pytest.raises(Stopped):
        fetch(server, client)


def test_only_the_beginning():
    with serving(lambda handler: handler.reply(body=BODY * 200)) as server:
        assert fetch(server, first_bytes=1000).value.startswith(BODY[:1000])


def test_an_error_of_our_own_disk_is_not_taken_for_one_of_the_network():
    def read(content):
        raise OSError(28, "No space left on device")

    with serving(good) as server, pytest.raises(OSError, match="No space left"):
        fetch(server, read=read)
    assert len(server.seen) == 1


def test_a_huge_answer_is_refused(monkeypatch):
    monkeypatch.setattr("galjax.sources.archives.download.MOST_BYTES", 1000)
    with serving(good) as server, pytest.raises(FetchFailed, match="an answer of more than"):
        fetch(server)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl, which makes a certificate here, is not installed")
def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
    ]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with serving(good, context=context) as server, pytest.raises(FetchFailed, match="TLS certificate"):
        fetch(server)
    assert server.seen == []


@pytest.mark.parametrize("name", ["connections", "attempts", "backoff", "timeout", "slowest"])
def test_impossible_flags_get_a_sentence(name):
    with pytest.raises(InputError, match=f"--{name} must be"):
        Politeness(**{name: -1 if name in ("connections", "attempts") else -1.0})
