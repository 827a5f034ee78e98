"""Where Galaxy Zoo 1 Table 2 is fetched from, and how to know that it is the one (data.galaxyzoo.org)."""

import gzip
import hashlib
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from galjax.errors import InputError
from galjax.io.whole_files import write_whole
from galjax.sources.archives.addresses import join
from galjax.sources.archives.download import BadContent, Client, FetchFailed, Request

NAME = "GalaxyZoo1_DR_table2"
FILES = (f"{NAME}.csv.gz", f"{NAME}.fits", f"{NAME}.vot.gz")
SHA256 = {f"{NAME}.csv.gz": "5121e43f502856c9f73e31934a6e7d7282669c3ae065564a31f5d5115f45541d"}
"""Checksums from a single secondary source, so that a difference is a warning and not an error."""


def fetch_table2(client: Client, bases: Sequence[str], path: Path, note: Callable[[str], None]) -> None:
    """Fetch the table that `path` is named after from the first mirror that has it, and write it there, whole.

    `note` is told where it came from, and a warning where its checksum is not the known one. Raises InputError where no
    mirror has it, or `path` is named otherwise.
    """
    if path.name not in FILES:
        raise InputError(
            f"There is no catalogue {path}. Give an existing table, or one of the names {', '.join(FILES)} to have it fetched."
        )
    reasons = []
    for base in bases:
        try:
            content = client.fetch(Request(join(base, path.name)), lambda content: _checked(content, path.name)).value
        except FetchFailed as failure:
            reasons.append(f"{base}: {failure.reason}")
            continue
        _write(path, content)
        note(f"Fetched {path.name} from {base} ({len(content) / 1e6:.1f} MB)")
        expected, found = SHA256.get(path.name), hashlib.sha256(content).hexdigest()
        if expected is not None and found != expected:
            note(
                f"Warning: the checksum of {path.name} is {found[:16]}..., not {expected[:16]}... as published elsewhere: the "
                f"table may be another version. It is used as it is."
            )
        return
    raise InputError(
        f"{path.name} could not be fetched: {'; '.join(reasons)}. Give another --catalogue-url, or the file."
    )


def _checked(content: bytes, name: str) -> bytes:
    """The content as it is. Raises BadContent where it is damaged or something else."""
    if content[:512].lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise BadContent("an HTML page in place of the table")
    unpacked = content
    if name.endswith(".gz"):
        try:
            unpacked = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise BadContent("a damaged or cut off gzip file") from error
    starts = {".csv.gz": b"OBJID", ".fits": b"SIMPLE", ".vot.gz": b"<"}
    start = next(start for ending, start in starts.items() if name.endswith(ending))
    if not unpacked.lstrip(b"\xef\xbb\xbf \r\n").startswith(start):
        raise BadContent("not the table (another content)")
    if name.endswith(".vot.gz") and b"VOTABLE" not in unpacked[:4096]:
        raise BadContent("not the table (another content)")
    return content


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"Cannot write {path} ({error.strerror}). Make room, or give another place.") from error
