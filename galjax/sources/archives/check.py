"""Which archives are up: each is asked for one small thing that is known."""

import bz2
import dataclasses
import functools
import os
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from galjax.sources.archives import hips, hsc, skyserver
from galjax.sources.archives.addresses import Addresses, join
from galjax.sources.archives.das import CorrectedFrames
from galjax.sources.archives.download import BadContent, Client, FetchFailed, Request
from galjax.sources.archives.frame import FieldId
from galjax.sources.archives.galaxy_zoo_tables import FILES
from galjax.sources.archives.sas import SkySubtractedFrames
from galjax.sources.surveys import objid

KNOWN_ID, KNOWN_RA, KNOWN_DEC = 587727178986356823, 0.0017083, -10.3738056
"""The first row of Galaxy Zoo 1 Table 2: run 1729, rerun 40, camcol 3, field 83."""
HSC_RA, HSC_DEC = 150.1163, 2.2058
"""The middle of the COSMOS field, which HSC has observed."""

ENOUGH = 1_000_000
"""Bytes of a compressed file that hold its beginning: a block of bzip2 unpacks to 0.9 MB."""


class Finding(NamedTuple):
    """What an archive answered."""

    archive: str
    address: str
    up: bool
    words: str
    seconds: float


def check_archives(client: Client, addresses: Addresses) -> list[Finding]:
    """Ask every archive in turn. Nothing is raised for an archive that is down: that is a finding."""
    parts = objid.decode(np.array([KNOWN_ID]))
    field = FieldId(*(int(getattr(parts, name)[0]) for name in ("run", "rerun", "camcol", "field")))
    das, sas = CorrectedFrames(addresses.das_url), SkySubtractedFrames(addresses.sas_url)
    table = FILES[0]

    def start(address: str, read: Callable[[bytes], str]) -> Callable[[], str]:
        return lambda: client.fetch(Request(address, first_bytes=ENOUGH), read).value

    questions: list[tuple[str, str, Callable[[], str]]] = [
        (f"Galaxy Zoo 1 table, mirror {number + 1}", base, start(join(base, table), _table_start))
        for number, base in enumerate(addresses.catalogue_url)
    ]
    for archive, words in ((das, "SDSS DR7 frames (DAS)"), (sas, "SDSS frames (SAS)")):
        address = join(archive.base, archive.path(field, "r"))
        questions.append((words, archive.base, start(address, lambda content: _frame_start(content, field))))
    questions.append(("SkyServer", addresses.skyserver_url, lambda: _skyserver(client, addresses.skyserver_url)))
    questions.append(("HSC cut-outs", addresses.hsc_url, lambda: _hsc(client, addresses.hsc_url)))
    for number, base in enumerate(addresses.hips_url):
        questions.append((f"hips2fits, server {number + 1}", base, functools.partial(_hips, client, base)))
    return [_ask(archive, address, question) for archive, address, question in questions]


def _ask(archive: str, address: str, question: Callable[[], str]) -> Finding:
    started = time.monotonic()
    try:
        words, up = question(), True
    except (FetchFailed, BadContent) as problem:
        words, up = str(problem), False
    return Finding(archive, address, up, words, time.monotonic() - started)


def _unpacked_start(content: bytes) -> bytes:
    """As much of a gzip or bzip2 file as its first part gives."""
    try:
        if content[:2] == b"\x1f\x8b":
            return zlib.decompressobj(wbits=31).decompress(content, 200_000)
        if content[:3] == b"BZh":
            return bz2.BZ2Decompressor().decompress(content, 200_000)
    except (zlib.error, OSError) as error:
        raise BadContent("a corrupt file") from error
    raise BadContent("an HTML page in place of the file" if content.lstrip()[:1] == b"<" else "neither gzip nor bzip2")


def _table_start(content: bytes) -> str:
    line = _unpacked_start(content).splitlines()[:1]
    if not line or not line[0].startswith(b"OBJID,RA,DEC"):
        raise BadContent("not Galaxy Zoo 1 Table 2")
    return "has Table 2"


def _frame_start(content: bytes, field: FieldId) -> str:
    header = _unpacked_start(content)[:28_800].decode("ascii", "replace")
    cards = {header[i : i + 8].strip(): header[i + 10 : i + 31].strip() for i in range(0, len(header), 80)}
    if cards.get("RUN") != str(field.run):
        raise BadContent(f"not a frame of run {field.run}")
    return f"has the frame of run {field.run}, camcol {field.camcol}, field {field.field}"


def _skyserver(client: Client, base: str) -> str:
    page = skyserver.Page(KNOWN_RA - skyserver.MARGIN, KNOWN_RA + skyserver.MARGIN)
    spectra = [s for _, part in skyserver.fetch_page(client, base, page) for s in part]
    found = skyserver.match([KNOWN_ID], spectra).redshift[0]
    if not np.isfinite(found):
        raise BadContent(f"answers, but without a redshift of galaxy {KNOWN_ID}")
    return f"redshift of {KNOWN_ID} is {found:.4f}"


def _hsc(client: Client, base: str) -> str:
    known = bool(os.environ.get(hsc.USER) and os.environ.get(hsc.PASSWORD))
    positions = hsc.position_list(np.array([HSC_RA]), np.array([HSC_DEC]), 16, "r")
    try:
        asked = hsc.request(base, positions, hsc.login() if known else None)
        answer = client.fetch(asked, lambda content: hsc.read_answer(content, 1))
    except FetchFailed as failure:
        if failure.status == 401 and not known:
            return f"asks for a login (set {hsc.USER} and {hsc.PASSWORD})"
        raise
    return f"{len(answer.value)} of 1 cut-outs"


def _hips(client: Client, base: str) -> str:
    params = hips.parameters(hips.SURVEYS["hips-sdss"], KNOWN_RA, KNOWN_DEC, 16, "r")
    _, pixels = client.fetch(Request(base, params), lambda content: hips.read_answer(content, 16)).value
    return f"cut-out of {pixels.shape[1]}x{pixels.shape[0]} px"


def for_checking(client: Client) -> Client:
    """A client that gives up soon."""
    politeness = dataclasses.replace(
        client.politeness, attempts=min(2, client.politeness.attempts), timeout=min(20.0, client.politeness.timeout)
    )
    return Client(politeness, client.stop)
