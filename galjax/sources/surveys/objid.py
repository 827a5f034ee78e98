"""The SDSS object id: sky version, rerun, run, camera column, field and object in one 64-bit integer.

Layout (SDSS DR7 "Photometric object identifiers", cas.sdss.org algorithm page objID), bits counted from the lowest:

    0-15 object   16-27 field   28 first field   29-31 camcol   32-47 run   48-58 rerun   59-62 sky version   63 unused
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64

from galjax.errors import InputError

_FIRST_BIT = {"obj": 0, "field": 16, "first_field": 28, "camcol": 29, "run": 32, "rerun": 48, "sky_version": 59}
_BITS = {"obj": 16, "field": 12, "first_field": 1, "camcol": 3, "run": 16, "rerun": 11, "sky_version": 4}


class ObjidParts(NamedTuple):
    """What an object id is made of; every part has the ids' shape."""

    sky_version: Int64[np.ndarray, " galaxy"]
    """0 target, 1 best (DR7), 2 and above runs (DR8 and later)."""
    rerun: Int64[np.ndarray, " galaxy"]
    run: Int64[np.ndarray, " galaxy"]
    camcol: Int64[np.ndarray, " galaxy"]
    """1..6 of the camera's columns of CCDs."""
    first_field: Int64[np.ndarray, " galaxy"]
    """1 where the field is the first of its segment."""
    field: Int64[np.ndarray, " galaxy"]
    obj: Int64[np.ndarray, " galaxy"]


def decode(objid: Int64[np.ndarray, " galaxy"]) -> ObjidParts:
    """Take ids apart; any int64 that is not negative has parts (see `problems` for those that no galaxy can have).

    587727178986356823 is sky version 1, rerun 40, run 1729, camcol 3, field 83, object 87.
    """
    return ObjidParts(**{name: (objid >> _FIRST_BIT[name]) & ((1 << _BITS[name]) - 1) for name in ObjidParts._fields})


def encode(parts: ObjidParts) -> Int64[np.ndarray, " galaxy"]:
    """Put ids together, the inverse of `decode`. Raises InputError for a part that does not fit into its bits."""
    objid = np.zeros(np.shape(parts.obj), np.int64)
    for name, values in parts._asdict().items():
        largest = (1 << _BITS[name]) - 1
        outside = (values < 0) | (values > largest)
        if np.any(outside):
            wrong = np.atleast_1d(values)[np.atleast_1d(outside)][0]
            raise InputError(f"{name} of an SDSS object id lies in 0..{largest}, not at {wrong}.")
        objid |= np.asarray(values, np.int64) << _FIRST_BIT[name]
    return objid


def problems(objid: Int64[np.ndarray, " galaxy"]) -> list[str | None]:
    """For every id, why it cannot be that of an SDSS DR7 galaxy, or None."""
    parts = decode(objid)
    found: list[str | None] = [None] * len(objid)
    wrong = (objid <= 0) | (parts.camcol < 1) | (parts.camcol > 6) | (parts.run < 1) | (parts.sky_version > 1)
    for row in np.flatnonzero(wrong):
        run, camcol, version = parts.run[row], parts.camcol[row], parts.sky_version[row]
        if objid[row] > 0 and 1 < version <= 2:
            found[row] = f"the object id is of DR8 or later (sky version {version}); DR7 ids are needed"
        else:
            found[row] = f"the object id is not SDSS's (run {run}, camcol {camcol})"
    return found
