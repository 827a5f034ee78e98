"""Survey frames as the archives have them: a DR7 corrected frame (gzip) and its twin of DR8 and later (bzip2)."""

import bz2
import functools
import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

SHAPE = (1489, 2048)
SOFTBIAS = 1000
GAIN = 4.7
NANOMAGGIES_PER_COUNT = 0.0048
DEGREES_PER_PIXEL = 1.1e-4
ROWS_PER_SEGMENT = 16

# The cards of a real corrected frame (run 5754, camcol 3, field 280), those of its field aside.
CARDS = {
    "TAI": (4636589132.50, "1st row Number of seconds since Nov 17 1858"),
    "RA": (343.05401, "1st row RA of telescope boresight (deg)"),
    "DEC": (0.0, "1st row Dec of telescope boresight (degrees)"),
    "SPA": (90.0, "1st row Cam col position angle wrt N (deg)"),
    "IPA": (59.786, "1st row Inst rotator position angle (deg)"),
    "DATE-OBS": ("2005-10-21", "1st row - TAI date"),
    "TAIHMS": ("05:25:32.49", "1st row TAI time HH:MM:SS.SS"),
    "BUNITS": ("ADUs", ""),
    "ORIGIN": ("SDSS", ""),
    "TELESCOP": ("2.5m", ""),
    "TIMESYS": ("TAI", ""),
    "STRIPE": (82, "Stripe index number (23 <--> eta=0)"),
    "STRIP": ("S", "Strip in the stripe being tracked."),
    "FLAVOR": ("science", "Flavor of this run"),
    "SYS_SCN": ("mean", "System of the scan great circle (e.g., mean)"),
    "EQNX_SCN": (2000.0, "Equinox of the scan great circle. (years)"),
    "NODE": (95.0, "RA of the great circle's ascending node (deg)"),
    "INCL": (0.0, "Great circle's inclination wrt cel. eq. (deg)"),
    "EXPTIME": ("53.907456", "Exposure time (seconds)"),
    "SYSTEM": ("FK5", "System of the TCC coordinates (e.g., mean)"),
    "CCDMODE": ("DRIFT", "'STARING' or 'DRIFT'"),
    "COLBIN": (1, "Binning factor perpendicular to the columns"),
    "ROWBIN": (1, "Binning factor perpendicular to the rows"),
    "EQUINOX": (2000.0, ""),
    "SOFTBIAS": (SOFTBIAS, 'software "bias" added to all DN'),
    "BUNIT": ("DNs", ""),
    "VERSION": ("v5_4_28b", ""),
    "RADECSYS": ("ICRS", "International Celestial Ref. System"),
}


class Field(NamedTuple):
    """One field of the stand-in survey."""

    run: int
    rerun: int
    camcol: int
    field: int
    ra: float
    dec: float
    sky: float
    declination_first: bool
    """Whether CTYPE1 is DEC--TAN."""
    sky_card: bool
    shape: tuple[int, int] = SHAPE


class Light(NamedTuple):
    """Counts to add to a frame; pixel (0, 0) of `counts` goes to (top, left)."""

    top: int
    left: int
    counts: np.ndarray


def wcs_cards(field):
    """Right ascension runs along the rows, as in the real frame."""
    height, width = field.shape
    cards = {"CUNIT1": "deg", "CUNIT2": "deg", "CRPIX1": width / 2 + 0.5, "CRPIX2": height / 2 + 0.5}
    ra = {"CTYPE": "RA---TAN", "CRVAL": field.ra, "column": -1.4159941822202e-09, "row": 1.09999973009879e-04}
    dec = {"CTYPE": "DEC--TAN", "CRVAL": field.dec, "column": 1.10012973632812e-04, "row": 2.83333333333423e-08}
    for axis, what in enumerate((dec, ra) if field.declination_first else (ra, dec), start=1):
        cards |= {
            f"CTYPE{axis}": what["CTYPE"],
            f"CRVAL{axis}": what["CRVAL"],
            f"CD{axis}_1": what["column"],
            f"CD{axis}_2": what["row"],
        }
    return cards


def sky_position(field, y, x):
    """Right ascension and declination (degrees) of a pixel position."""
    cards = wcs_cards(field)
    header = fits.Header([(name, cards[name]) for name in sorted(cards)])
    position = WCS(header).pixel_to_world(x, y)
    return position.icrs.ra.deg, position.icrs.dec.deg


def corrected_header(field, band="r"):
    header = fits.Header()
    header["SIMPLE"], header["BITPIX"], header["NAXIS"] = True, 16, 2
    header["NAXIS1"], header["NAXIS2"] = field.shape[1], field.shape[0]
    header["BZERO"], header["BSCALE"] = 32768.0, 1.0
    for name, (value, comment) in CARDS.items():
        header[name] = (value, comment)
    header["RUN"], header["FRAME"], header["CAMCOL"], header["FILTER"] = field.run, field.field, field.camcol, band
    if field.sky_card:
        header["SKY"] = (field.sky, "sky background level (DN/pixel)")
        header["FLUX20"] = (1983.4, "counts of an object of 20 mag")
        header["RERUN"], header["FIELD"] = field.rerun, field.field
    for name, value in wcs_cards(field).items():
        header[name] = value
    return header


@functools.lru_cache(maxsize=8)
def _noise(shape, sky, seed):
    """A frame of sky noise as the file stores it, and its rows in compressed segments."""
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(sky / GAIN + (5 / GAIN) ** 2)
    counts = rng.normal(SOFTBIAS + sky, deviation, shape).round().astype(np.int32)
    segments = [_deflate(_stored(counts[top : top + ROWS_PER_SEGMENT])) for top in range(0, shape[0], ROWS_PER_SEGMENT)]
    return counts, segments


def counts_of(field, lights, seed):
    """Pixel values of the corrected frame."""
    counts = _noise(field.shape, field.sky, seed)[0].copy()
    for light in lights:
        height, width = light.counts.shape
        # Of light that falls partly beside the frame, the part on it.
        top, left = max(light.top, 0), max(light.left, 0)
        bottom, right = min(light.top + height, field.shape[0]), min(light.left + width, field.shape[1])
        part = light.counts[top - light.top : bottom - light.top, left - light.left : right - light.left]
        noise = np.random.default_rng((light.top + 4096) * 8192 + light.left + 4096).normal(0, 1, part.shape)
        counts[top:bottom, left:right] += np.round(part + noise * np.sqrt(np.maximum(part, 0) / GAIN)).astype(np.int32)
    return counts.clip(0, 65535)


def corrected_frame(field, lights=(), seed=0, band="r"):
    """The gzipped corrected frame.

    Only the rows that light falls on are compressed anew, which makes thousands of full-size frames affordable: deflate
    streams that end with a full flush can be joined.
    """
    counts = counts_of(field, lights, seed)
    header = corrected_header(field, band).tostring(endcard=True, padding=True).encode("ascii")
    segments = list(_noise(field.shape, field.sky, seed)[1])
    touched = set()
    for light in lights:
        first, last = max(light.top, 0), min(light.top + light.counts.shape[0], field.shape[0]) - 1
        touched |= set(range(first // ROWS_PER_SEGMENT, last // ROWS_PER_SEGMENT + 1))
    for number in touched:
        top = number * ROWS_PER_SEGMENT
        segments[number] = _deflate(_stored(counts[top : top + ROWS_PER_SEGMENT]))
    data = _stored(counts)
    padding = b"\0" * (-len(data) % 2880)
    whole = header + data + padding
    trailer = struct.pack("<II", zlib.crc32(whole), len(whole) & 0xFFFFFFFF)
    start = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"
    return b"".join(
        [start, _deflate(header), *segments, _deflate(padding), zlib.compressobj(wbits=-15).flush(), trailer]
    )


def _stored(counts):
    return (counts - 32768).astype(">i2").tobytes()


def _deflate(content):
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    return stream.compress(content) + stream.flush(zlib.Z_FULL_FLUSH)


def sky_subtracted_frame(field, lights=(), seed=0, band="r", *, not_a_number=False, compresslevel=1):
    """The bzipped frame of DR8 and later: nanomaggies without sky, calibration, sky."""
    counts = counts_of(field, lights, seed).astype(np.float64) - SOFTBIAS - field.sky
    # The real ones are not whole counts any more: flat field, sky and rounding to 10 bits have spread them.
    counts += np.random.default_rng(seed).uniform(-0.5, 0.5, field.shape)
    calibration = NANOMAGGIES_PER_COUNT * (1 + 0.01 * np.arange(field.shape[1]) / field.shape[1])
    image = (counts * calibration).astype(np.float32)
    if not_a_number:
        image[:] = np.nan
    primary = fits.PrimaryHDU(image)
    for name, (value, comment) in CARDS.items():
        primary.header[name] = (value, comment)
    primary.header["RUN"], primary.header["FRAME"] = field.run, field.field
    primary.header["CAMCOL"], primary.header["FILTER"] = field.camcol, band
    primary.header["RERUN"], primary.header["NMGY"] = "301", NANOMAGGIES_PER_COUNT
    for name, value in wcs_cards(field).items():
        primary.header[name] = value
    grid = (24, 32)
    sky = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                "ALLSKY",
                f"{grid[0] * grid[1]}E",
                dim=f"({grid[1]},{grid[0]})",
                array=np.full((1, *grid), field.sky, np.float32),
            ),
            fits.Column("XINTERP", f"{field.shape[1]}E", array=np.linspace(0, grid[1] - 1, field.shape[1])[None]),
            fits.Column("YINTERP", f"{field.shape[0]}E", array=np.linspace(0, grid[0] - 1, field.shape[0])[None]),
        ]
    )
    out = io.BytesIO()
    fits.HDUList([primary, fits.ImageHDU(calibration.astype(np.float32)), sky]).writeto(out)
    return bz2.compress(out.getvalue(), compresslevel)


def star(subpixel_y, subpixel_x, peak=3000.0, deviation=1.4, half=12):
    """A point source whose centre is at (half + subpixel) of its image."""
    offset = np.arange(2 * half + 1) - half
    y, x = (np.exp(-0.5 * ((offset - s) / deviation) ** 2) for s in (subpixel_y, subpixel_x))
    return peak * y[:, None] * x[None, :]
