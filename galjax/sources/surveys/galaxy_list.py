"""Galaxies to cut out: ids, positions and classes, before there are any pixels."""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32, Int64, Shaped

from galjax.errors import InputError
from galjax.sample import GalaxySample


class Rejected(NamedTuple):
    """A row of a catalogue that is no galaxy to cut out."""

    row: int
    """Counted from 1, the header not included."""
    id: str
    reason: str


@dataclasses.dataclass(frozen=True)
class GalaxyList:
    """Galaxies in their catalogue's order."""

    row: Int64[np.ndarray, " galaxy"]
    """Row in the catalogue, counted from 1."""
    id: Int64[np.ndarray, " galaxy"]
    ra: Float64[np.ndarray, " galaxy"]
    """ICRS degrees, 0..360."""
    dec: Float64[np.ndarray, " galaxy"]
    """ICRS degrees."""
    label: Int32[np.ndarray, " galaxy"]
    """Index into `class_names`."""
    class_names: tuple[str, ...]
    columns: Mapping[str, Shaped[np.ndarray, " galaxy"]] = dataclasses.field(default_factory=dict)
    """Further columns of the catalogue, lower-case names; NaN where empty or no number."""
    rejected: tuple[Rejected, ...] = ()

    def __len__(self) -> int:
        return len(self.id)


CATALOGUE_COLUMNS = ("nvote", "p_el", "p_cs", "p_el_debiased", "p_cs_debiased")


def galaxies_of(sample: GalaxySample, name: str) -> GalaxyList:
    """The galaxies of a sample that was built here, to be cut out of another survey; `name` is the sample's, for errors.

    Raises InputError where the sample has no positions or its ids are no numbers.
    """
    if not {"ra", "dec"} <= set(sample.columns) or sample.ids.dtype.kind != "i":
        raise InputError(
            f"{name} has no positions (columns ra and dec) or no SDSS object ids. Give a sample that build_sample made."
        )
    return GalaxyList(
        row=np.arange(1, len(sample) + 1),
        id=sample.ids,
        ra=np.asarray(sample.columns["ra"], np.float64),
        dec=np.asarray(sample.columns["dec"], np.float64),
        label=sample.labels,
        class_names=sample.class_names,
        columns={key: sample.columns[key] for key in CATALOGUE_COLUMNS if key in sample.columns},
    )
