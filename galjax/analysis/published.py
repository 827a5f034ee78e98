"""Our figures compared with published ones."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.statistics import summarise


class Published(NamedTuple):
    """A figure that somebody else found."""

    quantity: str
    mean: float
    std: float = float("nan")
    """Over the repeats; NaN where not stated."""
    repeats: int = 30
    place: str = ""
    """Section, table or figure of the publication."""


INTERPOLATION_MICROSECONDS = {"nearest": (247.0, 2.25), "bilinear": (378.0, 5.37), "bicubic": (1480.0, 7.74)}
"""The thesis's table 5.1: mean and std over 7 runs of 10,000 loops, 100 stamps from 8x8 to 64x64 px with OpenCV."""


class Against(NamedTuple):
    """One published figure and our repeats of it."""

    published: Published
    ours: Float[np.ndarray, " repeat"]


def against_table(pairs: Sequence[Against]) -> Table:
    """Ours and theirs, and how many standard errors of the difference lie between them.

    `standard_errors` is NaN where no spread is published, there is a single repeat, or neither side has a spread beyond
    rounding; galaxies and network differ, so it measures agreement, and is no test.
    """
    rows = []
    for published, ours in pairs:
        mean, std, ste, n = summarise(ours)
        their_ste = published.std / np.sqrt(published.repeats)
        error = float(np.hypot(ste, their_ste))
        difference = float(mean) - published.mean
        distance = difference / error if error else float("nan")
        rows.append(
            (
                published.quantity,
                published.place,
                float(mean),
                published.mean,
                difference,
                distance,
                float(std),
                float(ste),
                n,
                published.std,
                their_ste,
            )
        )
    names = (
        "quantity",
        "place",
        "mean",
        "thesis",
        "difference",
        "standard_errors",
        "std",
        "ste",
        "n",
        "thesis_std",
        "thesis_ste",
    )
    kinds = ("U80", "U40", *["f8"] * 6, "i8", *["f8"] * 2)
    return Table(rows=rows or None, names=names, dtype=kinds)
