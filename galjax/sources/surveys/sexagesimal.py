"""Positions written in sexagesimal hours and degrees, as astronomical tables have them; whole columns at a time."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

_WHOLE, _SECONDS = r"\d{1,3}", r"\d{1,2}(?:\.\d*)?"
_SEXAGESIMAL = re.compile(
    rf"\s*([+-]?)({_WHOLE})(:|\s*[hd°]\s*|\s+)(\d{{1,2}})(?::|\s*[m'\u2032]\s*|\s+)({_SECONDS})\s*(?:s|\"|\u2033|'')?\s*",
    re.IGNORECASE,
)
"""As 12:34:56.7, 12h34m56.7s, +12d34m56.7s or 12 34 56.7."""


def hours_to_degrees(texts: Sequence[str]) -> Float64[np.ndarray, " row"]:
    """Right ascensions `hh:mm:ss.s` in degrees, 0 <= ra < 360; decimal degrees where there is one number, and what is
    written with d or ° is in degrees too. NaN for others."""
    degrees = np.array([_read(text, 15.0) for text in texts], np.float64)
    degrees[~((degrees >= 0) & (degrees <= 360))] = np.nan
    return np.where(degrees == 360, 0.0, degrees)


def to_degrees(texts: Sequence[str]) -> Float64[np.ndarray, " row"]:
    """Declinations `+-dd:mm:ss.s` in degrees, -90..90; decimal degrees where there is one number. NaN for others.

    The sign of -00:00:01 is kept.
    """
    degrees = np.array([_read(text, 1.0) for text in texts], np.float64)
    degrees[~(np.abs(degrees) <= 90)] = np.nan
    return degrees


def _read(text: str, degrees_per_unit: float) -> float:
    found = _SEXAGESIMAL.fullmatch(text)
    if found is None and ":" not in text:
        try:
            return float(text)
        except ValueError:
            return np.nan
    if found is None:
        return np.nan
    sign, whole, unit, minutes, seconds = found.groups()
    if unit.strip() in ("d", "D", "°"):
        degrees_per_unit = 1.0
    elif unit.strip() in ("h", "H") and degrees_per_unit == 1:
        return np.nan
    m, s = int(minutes), float(seconds)
    # Rounded tables may write 60.00 seconds.
    if m >= 60 or s > 60:
        return np.nan
    return (-1.0 if sign == "-" else 1.0) * (int(whole) + m / 60 + s / 3600) * degrees_per_unit
