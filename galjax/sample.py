"""GalaxySample: the one object that every source of galaxies returns and every experiment takes."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.io import fits
from astropy.table import Table
from jaxtyping import Bool, Float32, Float64, Int32, Shaped
from numpy.typing import ArrayLike

from galjax.config.class_names import check_class_name
from galjax.errors import InputError
from galjax.io.arrays import DEPTH, EIGHT_BIT, sample_of_arrays
from galjax.io.fits_files import open_fits
from galjax.io.host import host_memory
from galjax.io.whole_files import replacing

FORMAT = 1
"""Version of the FITS layout that `GalaxySample.save` writes, stored in the card GALJAX."""
UNLABELLED = -1


class Exclusion(NamedTuple):
    """A galaxy that a source was given and left out, and why."""

    id: str
    file: str
    reason: str


@dataclasses.dataclass(frozen=True, eq=False)
class GalaxySample:
    """Galaxy images on the host, in memory, labelled or not. Immutable: every selection returns a new sample.

    Raises `InputError` from the constructor where the parts do not fit together: lengths that differ, images that are
    not finite, labels without a class name, ids that repeat.
    """

    images: Float32[np.ndarray, "galaxy height width *band"]
    """Pixel values in the source's units (see `provenance`); bands, where there are several, are the last axis."""
    labels: Int32[np.ndarray, " galaxy"]
    """Index into `class_names`; -1 throughout where nobody has labelled the galaxies."""
    class_names: tuple[str, ...]
    """Empty where nobody has labelled the galaxies."""
    ids: Shaped[np.ndarray, " galaxy"]
    """int64 (survey object ids, which do not survive float64) or ASCII strings; unique."""
    redshift: Float64[np.ndarray, " galaxy"]
    """NaN where unknown."""
    pixel_scale: float
    """Arcsec per pixel; NaN where unknown or different from galaxy to galaxy."""
    bands: tuple[str, ...]
    """One name per band; a single-band sample has one name and images without a band axis."""
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Where the galaxies come from and what was done to the pixels, in words."""
    columns: Mapping[str, Shaped[np.ndarray, " galaxy"]] = dataclasses.field(default_factory=dict)
    """Further per-galaxy quantities of the source: numbers or ASCII strings."""
    excluded: tuple[Exclusion, ...] = ()
    """What the source was given and left out."""

    def __post_init__(self) -> None:
        count = len(self.images)
        if self.images.ndim not in (3, 4):
            raise InputError(
                f"A sample's images must be (galaxy, height, width) or (galaxy, height, width, band), not "
                f"{self.images.shape}."
            )
        for name in self.class_names:
            check_class_name(name)
        if len(set(self.class_names)) != len(self.class_names):
            raise InputError(f"Each class needs its own name, not {', '.join(self.class_names)}.")
        band_count = self.images.shape[3] if self.images.ndim == 4 else 1
        if len(self.bands) != band_count:
            raise InputError(f"The images have {band_count} band(s), but {len(self.bands)} band name(s): {self.bands}.")
        if self.ids.dtype != np.int64 and self.ids.dtype.kind != "U":
            raise InputError(f"Galaxy ids must be int64 or strings, not {self.ids.dtype}: floats lose digits of ids.")
        for name, column in {"labels": self.labels, "ids": self.ids, "redshift": self.redshift, **self.columns}.items():
            if column.shape != (count,):
                raise InputError(f"{name} has shape {column.shape}; {count} images need shape ({count},).")
        bad = ~np.isfinite(self.images).all(axis=tuple(range(1, self.images.ndim)))
        if bad.any():
            raise InputError(
                f"{bad.sum()} of {count} images hold NaN or infinite pixels, the first is galaxy "
                f"{self.ids[bad.argmax()]}. Leave such galaxies out or repair their pixels."
            )
        if not self.is_labelled:
            if (self.labels != UNLABELLED).any():
                raise InputError("The labels need class names, one for each number.")
        elif count and not (self.labels.min() >= 0 and self.labels.max() < len(self.class_names)):
            raise InputError(f"Labels must lie in 0..{len(self.class_names) - 1}, one per name in {self.class_names}.")
        unique, counts = np.unique(self.ids, return_counts=True)
        if (counts > 1).any():
            raise InputError(f"Galaxy id {unique[counts.argmax()]} appears {counts.max()} times; ids must be unique.")

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        counts = ", ".join(f"{n} {name}" for name, n in self.class_counts().items()) or "unlabelled"
        scale = f", {self.pixel_scale:g} arcsec/px" if np.isfinite(self.pixel_scale) else ""
        return f"GalaxySample({len(self)} galaxies: {counts}; {height}x{width} px{scale}; {', '.join(self.bands)})"

    @property
    def is_8_bit(self) -> bool:
        """Whether pixels come from 8-bit images, which are stretched to be looked at: no counts or fluxes."""
        return self.provenance.get(DEPTH) == EIGHT_BIT

    @property
    def is_labelled(self) -> bool:
        """Whether the galaxies have classes."""
        return bool(self.class_names)

    @classmethod
    def from_arrays(
        cls,
        images: ArrayLike,
        labels: ArrayLike | None = None,
        *,
        class_names: Sequence[str] | None = None,
        ids: ArrayLike | None = None,
        **known: Any,
    ) -> "GalaxySample":
        """A sample of arrays, as a notebook has them.

        `images` are (galaxy, height, width) or (galaxy, height, width, band) numbers. `labels` are None (nobody knows), class
        names, or whole numbers that count into `class_names` (without those: "class 0", "class 1", ...); names of text labels
        are in alphabetical order where `class_names` does not say otherwise. `ids` are whole numbers or text, and count from 0
        where they are not given. Known may be `redshift` (one a galaxy), `pixel_scale` (arcsec) and `bands` (names).

        Raises InputError where shapes, lengths or types do not fit, or a pixel is not finite.

        >>> GalaxySample.from_arrays(np.eye(8)[None].repeat(2, axis=0), ["spiral", "elliptical"], pixel_scale=0.4)
        GalaxySample(2 galaxies: 1 elliptical, 1 spiral; 8x8 px, 0.4 arcsec/px; grey)
        """
        return cls(**sample_of_arrays(images, labels, class_names, ids, known))

    def digest(self) -> str:
        """A checksum of images, labels, ids and redshifts: whether two runs saw the same galaxies."""
        checksum = hashlib.sha256(repr((self.images.shape, self.class_names)).encode())
        for array in (self.images, self.labels, self.ids, self.redshift):
            checksum.update(np.ascontiguousarray(array).tobytes())
        return checksum.hexdigest()

    def class_counts(self) -> dict[str, int]:
        """How many galaxies there are of each class, classes without galaxies included."""
        counts = np.bincount(self.labels[self.labels >= 0], minlength=len(self.class_names))
        return {name: int(n) for name, n in zip(self.class_names, counts, strict=True)}

    def take(self, chosen: Shaped[np.ndarray, " any"]) -> "GalaxySample":
        """The galaxies at the given positions (integers) or where a mask (bool) is true, in that order."""
        return dataclasses.replace(
            self,
            images=self.images[chosen],
            labels=self.labels[chosen],
            ids=self.ids[chosen],
            redshift=self.redshift[chosen],
            columns={name: column[chosen] for name, column in self.columns.items()},
        )

    def with_classes(self, class_names: Sequence[str]) -> "GalaxySample":
        """Only the galaxies of the named classes, relabelled in the given order.

        Raises `InputError` for a name that the sample does not have, or one given twice.
        """
        if not self.is_labelled:
            raise InputError("The sample has no labels, so no class can be chosen from it.")
        unknown = [name for name in class_names if name not in self.class_names]
        if unknown:
            raise InputError(f"The sample has no class {unknown[0]!r}; its classes are {', '.join(self.class_names)}.")
        if len(set(class_names)) != len(class_names):
            raise InputError(f"Each class may be named once, got {', '.join(class_names)}.")
        new_label = np.full(len(self.class_names), -1, np.int32)
        for position, name in enumerate(class_names):
            new_label[self.class_names.index(name)] = position
        chosen = self.take(new_label[self.labels] >= 0)
        return dataclasses.replace(chosen, labels=new_label[chosen.labels], class_names=tuple(class_names))

    def in_redshift_range(self, lower: float, upper: float) -> Bool[np.ndarray, " galaxy"]:
        """True where lower < redshift < upper; an unknown redshift (NaN) is outside. Use with `take`."""
        return (self.redshift > lower) & (self.redshift < upper)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sample as FITS: an image cube, a galaxy table, provenance and exclusions.

        HDU 0 holds the float32 cube with axes (galaxy, [band,] height, width) in numpy order; HDU GALAXIES a binary
        table with ID, LABEL, CLASS, REDSHIFT and the further columns; HDUs PROVENANCE and EXCLUDED two small tables.
        `load` gives back every value bit for bit. An existing file is replaced, and only once the new one is whole.
        """
        path = Path(path)
        cube = self.images if self.images.ndim == 3 else np.moveaxis(self.images, 3, 1)
        primary = fits.PrimaryHDU(np.ascontiguousarray(cube))
        primary.header["GALJAX"] = (FORMAT, "version of this layout")
        if np.isfinite(self.pixel_scale):
            primary.header["PIXSCALE"] = (self.pixel_scale, "arcsec per pixel")
        names = np.array(self.class_names)
        classes = names[self.labels] if self.is_labelled else np.full(len(self), "")
        galaxies = Table({"ID": self.ids, "LABEL": self.labels, "CLASS": classes, "REDSHIFT": self.redshift})
        for name, column in self.columns.items():
            galaxies[name] = column
        described = {
            "class_names": list(self.class_names),
            "bands": list(self.bands),
            "provenance": dict(self.provenance),
        }
        notes = Table({"KEY": list(described), "JSON": [json.dumps(value) for value in described.values()]})
        excluded = Table(
            {name.upper(): [json.dumps(getattr(row, name)) for row in self.excluded] for name in Exclusion._fields},
            dtype=None if self.excluded else ["U1"] * len(Exclusion._fields),
        )
        hdus = fits.HDUList([primary])
        for name, table in {"GALAXIES": galaxies, "PROVENANCE": notes, "EXCLUDED": excluded}.items():
            hdus.append(fits.table_to_hdu(table, name=name))
        with replacing(path) as partial:
            hdus.writeto(partial, overwrite=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "GalaxySample":
        """Read a sample that `save` wrote. Raises `InputError` where the file is absent, damaged or something else."""
        path = Path(path)
        if not path.is_file():
            raise InputError(f"There is no sample file {path}.")
        size, there = path.stat().st_size, host_memory()
        if size > there:
            raise InputError(
                f"{path} has {size / 1e9:.0f} GB, and this machine {there / 1e9:.0f} GB of memory. Save a sample of fewer "
                f"galaxies or smaller images."
            )
        try:
            with open_fits(path) as hdus:
                version = hdus[0].header.get("GALJAX")
                if version != FORMAT:
                    raise InputError(
                        f"{path} is FITS, but not a sample of layout {FORMAT} (card GALJAX is {version}). "
                        f"Give a file that GalaxySample.save wrote, or a folder with a catalogue and images."
                    )
                parts = _parts(hdus)
        except InputError:
            raise
        except Exception as error:  # astropy raises whatever a damaged file leads it to
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{path} cannot be read as a galaxy sample ({reason}). The file may be cut off or damaged: "
                f"make or copy it again."
            ) from error
        try:
            return cls(**parts)
        except InputError as error:
            raise InputError(f"{path} is damaged. {error}") from error


def bands_last(
    images: Shaped[np.ndarray, "galaxy height width *band"],
) -> Shaped[np.ndarray, "galaxy height width band"]:
    """Images with a band axis, whether they have one or not."""
    return images if images.ndim == 4 else images[..., None]


def _parts(hdus: fits.HDUList) -> dict[str, Any]:
    """The arguments of a sample that `save` wrote; any exception where something else stands there."""
    images = np.asarray(hdus[0].data).astype(np.float32)
    galaxies = {column.name: _native(hdus["GALAXIES"].data[column.name]) for column in hdus["GALAXIES"].columns}
    described = {str(row["KEY"]): json.loads(str(row["JSON"])) for row in hdus["PROVENANCE"].data}
    excluded = tuple(Exclusion(*(str(json.loads(str(v))) for v in row)) for row in hdus["EXCLUDED"].data)
    labels, redshift, pixel_scale = (
        galaxies["LABEL"],
        galaxies["REDSHIFT"],
        hdus[0].header.get("PIXSCALE", float("nan")),
    )
    if images.ndim not in (3, 4) or labels.dtype.kind not in "iu" or redshift.dtype.kind != "f":
        raise ValueError(f"images of shape {images.shape}, labels {labels.dtype}, redshifts {redshift.dtype}")
    known = ("ID", "LABEL", "CLASS", "REDSHIFT")
    return {
        "images": images if images.ndim == 3 else np.ascontiguousarray(np.moveaxis(images, 1, 3)),
        "labels": np.clip(labels, -1, np.iinfo(np.int32).max).astype(np.int32),
        "class_names": tuple(map(str, described["class_names"])),
        "ids": galaxies["ID"],
        "redshift": redshift.astype(np.float64),
        "pixel_scale": float(pixel_scale),
        "bands": tuple(map(str, described["bands"])),
        "provenance": {str(key): str(value) for key, value in described["provenance"].items()},
        "columns": {name: column for name, column in galaxies.items() if name not in known},
        "excluded": excluded,
    }


def _native(column: np.ndarray) -> np.ndarray:
    """A FITS column as an ordinary array: native byte order, strings as unicode."""
    plain = np.asarray(column)
    return plain.astype(str) if plain.dtype.kind in "SU" else plain.astype(plain.dtype.newbyteorder("="))
