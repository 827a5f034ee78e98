"""FITS files that anyone may have made, opened so that a damaged one raises an exception here, and does nothing worse.

astropy trusts a header: NAXIS = 4294967295 keeps it busy for hours, a file that is compressed as a whole is unpacked whatever
its size, and some decoders of tiled images write beyond their memory. So the structure is checked before astropy sees it.
"""

import io
import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

BLOCK, CARD = 2880, 80
LONGEST_HEADER = 10_000 * CARD
MOST_TILES = 100_000
MOST = {"NAXIS": 999, "TFIELDS": 999, "ZNAXIS": 3}
"""Axes and columns: the FITS standard 4.0, sections 4.4.1.1 and 7.3.1; tiled images as read here."""
SAFE_COMPRESSIONS = ("GZIP_1", "GZIP_2", "RICE_1", "RICE_ONE")
"""Compressions of tiled images that are read (RICE_ONE is an older name of RICE_1); astropy's decoders of HCOMPRESS_1 and PLIO_1 corrupt
memory where a file is damaged."""

_COMPRESSION = re.compile(rb"(?:HIERARCH +)?ZCMPTYPE *=(.*)", re.IGNORECASE)
_COUNT = re.compile(
    rb"(?:HIERARCH +)?(BITPIX|GCOUNT|PCOUNT|TFIELDS|THEAP|Z?NAXIS\d*|ZTILE\d+|ZBITPIX) *=([^/]*)", re.IGNORECASE
)


class FitsError(ValueError):
    """Why a file is not read as FITS; the message follows "it" or a file's name and a colon."""


@contextmanager
def open_fits(source: Path | bytes, *, tiled_images: bool = False) -> Iterator[fits.HDUList]:
    """The HDUs of a file or of its content; tile-compressed images are images only with `tiled_images`, else tables.

    The last block may lack its fill to 2880 bytes, as some programs write it; data must be whole. What comes after the last
    HDU and begins as none is not read.
    Raises FitsError where it is no FITS file, is cut off or has absurd sizes; astropy raises exceptions of every kind,
    here or where the HDUs are read, for what else is wrong.
    """
    with io.BytesIO(source) if isinstance(source, bytes) else source.open("rb") as stream:
        end = check_structure(stream, rest_may_follow=True)
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        whole = stream if size == end else io.BytesIO(stream.read(end) + bytes(max(end - size, 0)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)  # of units and cards that keep to no standard
            # But after these astropy continues with what is left of the file.
            for message in ("File may have been truncated", "Error validating header"):
                warnings.filterwarnings("error", f"(?s).*{message}", AstropyWarning)
            with fits.open(whole, memmap=False, disable_image_compression=not tiled_images) as hdus:
                yield hdus


def check_structure(stream: io.BufferedIOBase, *, rest_may_follow: bool = False) -> int:
    """Raise FitsError unless the stream holds whole HDUs from its beginning to its end, of sizes that can be.

    With `rest_may_follow` what comes after them may be something else, which is not looked at. Gives the byte where they end,
    with the fill of the last block, which may lack.
    """
    size = stream.seek(0, io.SEEK_END)
    position = 0
    while position < size:
        stream.seek(position)
        if position and rest_may_follow and stream.read(8) != b"XTENSION":
            return position
        stream.seek(position)
        counts = _counts(_header(stream, position), is_first=position == 0)
        _check_tiles(counts)
        axes = [counts.get(f"NAXIS{number}", -1) for number in range(1, counts["NAXIS"] + 1)]
        if min(axes, default=0) < 0 or counts.get("PCOUNT", 0) < 0 or counts.get("GCOUNT", 1) < 0:
            raise FitsError("a size in a header is missing or negative")
        pixels = math.prod(axes[1:] if axes[:1] == [0] else axes) if axes else 0  # random groups have no first axis
        data = abs(counts["BITPIX"]) // 8 * counts.get("GCOUNT", 1) * (counts.get("PCOUNT", 0) + pixels)
        position = stream.tell() + data
        if position > size:
            raise FitsError(f"it is cut off: {position} bytes are declared, {size} are there")
        position += -position % BLOCK
    return position


def _header(stream: io.BufferedIOBase, position: int) -> list[bytes]:
    """The cards of one header up to END; the stream stands after its last block then."""
    cards: list[bytes] = []
    while len(cards) * CARD < LONGEST_HEADER:
        block = stream.read(BLOCK)
        if len(block) < BLOCK:
            raise FitsError(f"the header at byte {position} has no end")
        cards += [block[start : start + CARD] for start in range(0, BLOCK, CARD)]
        ends = [number for number, card in enumerate(cards) if card.rstrip() == b"END"]
        if ends:
            return cards[: ends[0]]
    raise FitsError(f"the header at byte {position} is longer than {LONGEST_HEADER} bytes")


def _counts(cards: list[bytes], *, is_first: bool) -> dict[str, int]:
    """The integers that say how large an HDU is. The first cards have to be those that the standard wants there."""
    expected = (b"SIMPLE  =" if is_first else b"XTENSION=", b"BITPIX  =", b"NAXIS   =")
    if tuple(card[:9] for card in cards[:3]) != expected:
        raise FitsError("a header does not begin as FITS headers do")
    counts: dict[str, int] = {}
    for card in cards:
        compression = _COMPRESSION.match(card)
        if compression and compression[1].split(b"/")[0].strip(b" '").decode("latin-1") not in SAFE_COMPRESSIONS:
            raise FitsError(
                f"an image is compressed in another way than {', '.join(SAFE_COMPRESSIONS)}; unpack it with funpack"
            )
        found = _COUNT.match(card)
        if not found:
            continue
        name, text = found[1].decode().upper(), found[2].decode("latin-1").strip()
        if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII) or not int(text) <= MOST.get(name, 10**18):
            raise FitsError(f"{name} is {text[:30]!r}")
        if name in counts and counts[name] != int(text):
            raise FitsError(f"{name} is given twice")
        counts[name] = int(text)
    if counts["NAXIS"] < 0 or counts["BITPIX"] not in (8, 16, 32, 64, -32, -64):
        raise FitsError(f"NAXIS is {counts['NAXIS']} and BITPIX {counts['BITPIX']}")
    return counts


def _check_tiles(counts: dict[str, int]) -> None:
    """Tiles lie within their image, and are not so many that reading them one by one takes minutes."""
    tiles = 1
    for number in range(1, counts.get("ZNAXIS", 0) + 1):
        axis = counts.get(f"ZNAXIS{number}", 0)
        tile = counts.get(f"ZTILE{number}", axis if number == 1 else 1)
        if not 1 <= tile <= axis:
            raise FitsError(f"axis {number} of a tiled image has {axis} px and tiles of {tile}")
        tiles *= -(-axis // tile)
    if tiles > MOST_TILES:
        raise FitsError(f"an image has {tiles} tiles, more than {MOST_TILES}")
