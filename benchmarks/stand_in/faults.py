"""What can go wrong between an archive and a client, and how the stand-in does it."""

import dataclasses

HTML = b"<!DOCTYPE html>\n<html><head><title>SDSS</title></head><body>Down for maintenance.</body></html>\n"
ALWAYS = 10**9
FOREIGN_HOST = "http://frames.example.org/elsewhere.fit.gz"


@dataclasses.dataclass
class Fault:
    """Befalls the first `times` requests for a file."""

    kind: str
    times: int = ALWAYS


STATUS = {"missing": 404, "forbidden": 403, "busy": 429, "unavailable": 503, "error": 500}
PASSING = (
    "forbidden",
    "busy",
    "unavailable",
    "error",
    "html",
    "truncated",
    "corrupt",
    "wrong-field",
    "cut-off",
    "stalled",
    "closed",
    "cached",
    "empty",
)
"""Faults that a client gets over when they end."""
LASTING = {
    "missing": "HTTP 404",
    "forbidden": "HTTP 403",
    "busy": "HTTP 429",
    "unavailable": "HTTP 503",
    "error": "HTTP 500",
    "html": "an HTML page in place of the file",
    "truncated": "that is cut off",
    "corrupt": "a corrupt",
    "wrong-field": "the frame of another field",
    "cut-off": "the body was cut off",
    "stalled": "the connection stalled",
    "closed": "no connection, or it was closed",
    "empty": "an empty file",
    "redirect": "redirected to another host",
}
"""What the reason must say where a fault does not end."""


def answer(handler, fault, body, other_body):
    """Give the faulty answer; returns (status, whether the body was sent whole)."""
    kind = fault.kind
    if kind in STATUS:
        headers = {"Retry-After": "1"} if kind == "busy" else {}
        return handler.send(STATUS[kind], HTML, "text/html", headers), True
    if kind == "html":
        return handler.send(200, HTML, "text/html"), True
    if kind == "cached":
        # A cache on the way has kept a bad page, and gives it to whoever does not ask past it.
        if handler.headers.get("Cache-Control") == "no-cache":
            return handler.send(200, body), True
        return handler.send(200, HTML, "text/html"), True
    if kind == "empty":
        return handler.send(200, b""), True
    if kind == "truncated":
        return handler.send(200, body[: len(body) // 2]), True
    if kind == "corrupt":
        middle = len(body) // 2
        return handler.send(
            200, body[:middle] + bytes(b ^ 0x5A for b in body[middle : middle + 64]) + body[middle + 64 :]
        ), True
    if kind == "wrong-field":
        return handler.send(200, other_body()), True
    if kind == "redirect":
        return handler.send(302, b"", headers={"Location": FOREIGN_HOST}), True
    if kind in ("cut-off", "stalled"):
        handler.send_start(200, len(body))
        handler.wfile.write(body[: len(body) // 2])
        handler.wfile.flush()
        if kind == "stalled":
            handler.server.released.wait(handler.server.stall_seconds)
    handler.close_connection = True
    return 200, False
