"""Hyper Suprime-Cam Subaru Strategic Program, public data release 3: cut-outs of coadded images.

Document: the DAS cut-out manual of the release (hsc-release.mtk.nao.ac.jp). A list of up to 1,000 positions is sent as the form
field `list` by POST; the answer is a tar of FITS files named `arch-*/LINE-cutout-HSC-R-TRACT-RERUN.fits`, where LINE is the
position's line in the list and the heading is line 1. `sw` and `sh` are half of a cut-out's width and height. The image is in
HDU 1. A login is needed (HTTP Basic); the account is free.
"""

import io
import os
import re
import tarfile

import numpy as np
from astropy.io import fits
from jaxtyping import Float64

from galjax.errors import InputError
from galjax.sources.archives.addresses import join
from galjax.sources.archives.download import BadContent
from galjax.sources.archives.frame import Band, open_fits

PIXEL_SCALE = 0.168
"""Arcsec per pixel (Aihara et al. 2018, PASJ 70, S4)."""
RERUN = "pdr3_wide"
USER, PASSWORD = "SSP_PDR_USR", "SSP_PDR_PWD"
"""Environment variables that hold the login."""
MOST_LINES = 990
"""Positions in one request, as the survey's own script sends."""
SPARE = 3
"""Pixels around a stamp that are asked for beyond its size, so that it can be placed on the grid."""
UNITS = "counts, zero point 27.0 mag"
_MEMBER = re.compile(r"(?:.*/)?(\d+)-cutout-[^/]*?-(\d+)-[^/]*\.fits")
_LARGEST_MEMBER = 50_000_000


def login() -> tuple[str, str]:
    """Name and password from the environment. Raises InputError where one is missing.

    They are sent to the configured address only, and written nowhere.
    """
    user, password = os.environ.get(USER, ""), os.environ.get(PASSWORD, "")
    if not user or not password:
        raise InputError(
            f"The HSC archive needs a login: set the environment variables {USER} and {PASSWORD} (a free account of "
            f"hsc-release.mtk.nao.ac.jp), or use --survey hips-hsc, which needs none."
        )
    return user, password


def address(base: str) -> str:
    """Address of the cut-out program."""
    return join(base, "cgi-bin/cutout")


def position_list(
    ra: Float64[np.ndarray, " galaxy"], dec: Float64[np.ndarray, " galaxy"], size: int, band: Band
) -> bytes:
    """The list to send: one line per position (degrees), stamps of `size` px and SPARE around them."""
    half = (size / 2 + SPARE) * PIXEL_SCALE / 3600
    lines = ["#? rerun type filter tract ra dec sw sh image mask variance"]
    lines += [
        f"{RERUN} coadd HSC-{band.upper()} any {r:.8f} {d:.8f} {half:.8f} {half:.8f} true false false"
        for r, d in zip(ra, dec, strict=True)
    ]
    return ("\n".join(lines) + "\n").encode("ascii")


def read_answer(content: bytes, positions: int) -> dict[int, list[tuple[int, bytes]]]:
    """(tract, FITS file) by position (0 for the first), several where tracts overlap, in the order of tracts.

    Only the numbers of line and tract are taken from a member's name; nothing is ever written under it. Raises BadContent where the
    answer is no whole tar of such files.
    """
    if content[:512].lstrip()[:1] == b"<":
        raise BadContent("an HTML page in place of the cut-outs")
    found: list[tuple[int, int, bytes]] = []
    end = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for member in archive:
                end = member.offset_data + -(-member.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
                name = _MEMBER.fullmatch(member.name)
                if name is None or not member.isfile():
                    continue
                number = int(name.group(1)) - 2
                if not 0 <= number < positions or member.size > _LARGEST_MEMBER:
                    raise BadContent(f"a tar with a member for line {number + 2} of a list of {positions + 1}")
                stream = archive.extractfile(member)
                found.append((number, int(name.group(2)), stream.read() if stream else b""))
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise BadContent("a damaged or cut off tar") from error
    # One that is cut off between two members looks whole but for the two blocks of zeros that end it.
    if content[end : end + 2 * tarfile.BLOCKSIZE] != bytes(2 * tarfile.BLOCKSIZE):
        raise BadContent("a tar that is cut off")
    by_position: dict[int, list[tuple[int, bytes]]] = {}
    for number, tract, file in sorted(found):
        by_position.setdefault(number, []).append((tract, file))
    return by_position


def read_image(content: bytes) -> tuple[fits.Header, np.ndarray]:
    """Header and pixels of HDU 1. Raises BadContent."""
    with open_fits(content) as hdus:
        if len(hdus) < 2 or hdus[1].data is None or hdus[1].data.ndim != 2:
            raise BadContent("a cut-out without an image in HDU 1")
        return hdus[1].header, np.asarray(hdus[1].data)
