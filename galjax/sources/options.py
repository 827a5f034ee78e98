"""Which galaxies: what a user decides about a source. Plain dataclasses whose fields are flags, without what reads or renders."""

import dataclasses
import os
from typing import Annotated, Literal

import tyro

from galjax.config.class_names import check_class_name
from galjax.config.markers import SIMULATED, Flat, Hidden
from galjax.errors import InputError

Channel = Literal["red", "green", "blue", "luminance", "all"] | int
Enlarging = Literal["nearest", "bilinear", "bicubic"]
CutoutConvention = Literal["int", "round", "cutout2d"]
SIMULATED_DATA = "simulated"
THESIS_FRACTIONS = (0.271, 0.104, 0.625)
"""Spiral, elliptical and uncertain among the first 15,000 rows of Galaxy Zoo 1 Table 2 (thesis, 4.1)."""
RANGES = {
    "galaxies": (1, 1e9),
    "image_size": (8, 4096),
    "label_error": (0, 0.5),
    "pixel_scale": (1e-3, 1e3),
    "seeing": (1e-3, 1e3),
    "moffat_beta": (1, 100),
    "zero_point": (0, 50),
    "gain": (1e-3, 1e6),
    "sky_magnitude": (0, 50),
    "read_noise": (0, 1e6),
}
"""Ranges of the survey's options, both ends included: beyond any instrument, and within float32."""


@dataclasses.dataclass(frozen=True)
class FolderOptions:
    """How to read galaxies from files: a folder, a table or arrays."""

    images: str | None = None
    """Folder of the image files. None: the folder images/ beside the table, or the one that holds files of the ids."""
    label_column: str | None = None
    """Table column of classes, as text or whole numbers. None: label, class, morphology or type, where there are no flags."""
    file_column: str | None = None
    """Table column of file names. None: file_name, filename, file_loc or png_loc; without one, files are called by the ids."""
    file_pattern: str | None = None
    """How image files are called, with the names of columns in braces: 'cutout_{NUMBER}.fits'."""
    vote: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A class and the votes that make it: 'spiral: t04_spiral_a08_spiral_debiased > 0.8 and t02_edgeon_a05_no_debiased > 0.7'.
    To be given once a class. Or the name of a recipe: kaggle, gz2, galaxy-datasets, gz-decals or efigi."""
    split: Literal["given", "none"] = "none"
    """Whether repeats train, validate and test on galaxies of the sets that the folders train, val and test, or a column split,
    give (given), or on random ones (none)."""
    image_size: int = 64
    """Height and width that the images are cropped and resampled to, px."""
    enlarge: Enlarging = "bicubic"
    """Method for images smaller than the image size."""
    channel: Channel = "green"
    """Bands of colour images to use: red, green, blue, luminance or all, or a band's number from 0. Green is the r band in
    SDSS's JPEG images."""
    bands: tuple[int, ...] = ()
    """Several bands to use, by their numbers from 0, instead of --channel."""
    crop: int | None = None
    """Width of the middle square to use, px. None: for JPEG and PNG images 3 * image size where it fits (the galaxy's
    share of a Galaxy Zoo image), else the largest multiple that does; for FITS and NumPy images the image size, so that
    they are not resampled."""
    id_column: str | None = None
    """Catalogue column of ids. None: OBJID, dr7objid, id, galaxy_id, iauname, name, GalaxyID, id_str or PGCname."""
    class_columns: tuple[str, ...] = ("SPIRAL", "ELLIPTICAL", "UNCERTAIN")
    """Catalogue columns of 0/1 flags, one per class; a class has the name of its column in lower case. UNCERTAIN may be
    missing."""
    redshift_column: str | None = None
    """Catalogue column of redshifts. None: redshift or z, and unknown where there is neither."""
    keep_columns: tuple[str, ...] = ()
    """Further columns of the table that are kept with the galaxies; galjax classify copies them into its catalogue."""
    labels_needed: Annotated[bool, Hidden] = True
    """Whether galaxies without one class are left out."""
    pixel_scale: float = float("nan")
    """Arcsec per pixel of the image files; nan where it is unknown or differs from file to file."""

    def __post_init__(self) -> None:
        if not 1 <= self.image_size <= RANGES["image_size"][1]:
            raise InputError(f"--image-size must lie in 1..{RANGES['image_size'][1]:g} px, not {self.image_size}.")
        if self.crop is not None and self.crop < 1:
            raise InputError(f"--crop must be at least 1 px, not {self.crop}.")
        if isinstance(self.channel, int) and self.channel < 0:
            raise InputError(f"--channel counts bands from 0, not {self.channel}.")
        if min(self.bands, default=0) < 0 or len(set(self.bands)) < len(self.bands):
            raise InputError(f"--bands takes numbers from 0, each once, not {' '.join(map(str, self.bands))}.")
        if len(set(self.keep_columns)) < len(self.keep_columns):
            raise InputError(f"--keep-columns takes each column once, not {' '.join(self.keep_columns)}.")
        ways = [name for name in ("label_column", "vote") if getattr(self, name)]
        if len(ways) == 2:
            raise InputError("--label-column and --vote both say the class of a galaxy; leave one out.")
        if self.file_column is not None and self.file_pattern is not None:
            raise InputError("--file-column and --file-pattern both say how image files are called; leave one out.")
        object.__setattr__(self, "vote", tuple(dict.fromkeys(self.vote)))  # a resumed run is given its own once more
        lowered = [name.lower() for name in self.class_columns]
        if len(set(lowered)) < max(len(lowered), 2):
            raise InputError(f"--class-columns takes two or more different columns, not {self.class_columns}.")
        for name in lowered:
            check_class_name(name)
        if self.pixel_scale <= 0 or self.pixel_scale == float("inf"):
            raise InputError(f"--pixel-scale must be above 0 arcsec (nan where it is unknown), not {self.pixel_scale}.")


@dataclasses.dataclass(frozen=True)
class SimulatedSurvey:
    """How many galaxies there are and what instrument sees them; the defaults are SDSS in the r band."""

    galaxies: int = 3000
    """Galaxies to render."""
    class_fractions: tuple[float, float, float] = (0.42, 0.42, 0.16)
    """Shares of spiral, elliptical and uncertain galaxies. Of Galaxy Zoo 1 they are about 0.271 0.104 0.625."""
    image_size: int = 64
    """Height and width of the images, px."""
    label_error: float = 0.025
    """Share of the spiral and elliptical labels that are wrong, as about 2.5 % of the clear ones of Galaxy Zoo 1 are (Cheng et al. 2020, MNRAS
    493, 4209)."""
    pixel_scale: float = 0.396
    """Arcsec per pixel (SDSS: York et al. 2000, AJ 120, 1579)."""
    seeing: float = 1.32
    """Full width at half maximum of the point-spread function, arcsec (the SDSS median in r)."""
    moffat_beta: float = 3.0
    """Wing exponent of the Moffat point-spread function, above 1."""
    zero_point: float = 28.30
    """Magnitude of one count in the exposure (SDSS r, 53.9 s: 22.5 - 2.5 log10 of the 0.0048 nanomaggies per count of a
    calibrated frame)."""
    gain: float = 4.735
    """Electrons per count (SDSS r, mean of the six camera columns in the data model of SDSS frames)."""
    sky_magnitude: float = 20.9
    """Sky brightness, mag per square arcsec (Apache Point, r, no moon, far from the Milky Way)."""
    read_noise: float = 5.2
    """Read noise and dark current, electrons per pixel (SDSS r: the dark variance of the same data model, 1.20
    counts squared)."""
    cutout: CutoutConvention = "int"
    """Where the galaxy's centre lies in a 64 px cut-out, px from 0: int (cut with data[int(y)-32:]) 32..33, round
    31.5..32.5, cutout2d (astropy) 31..32."""

    def __post_init__(self) -> None:
        if self.image_size < 8:
            raise InputError(f"--simulated.image-size must be at least 8 px, not {self.image_size}.")
        for name, (low, high) in RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise InputError(f"--simulated.{_flag(name)} must lie in {low:g}..{high:g}, not {getattr(self, name)}.")
        if not self.moffat_beta > 1:
            raise InputError(f"--simulated.moffat-beta must be above 1, not {self.moffat_beta}.")
        if not (min(self.class_fractions) >= 0 and abs(sum(self.class_fractions) - 1) <= 1e-6):
            raise InputError(
                f"--simulated.class-fractions takes three shares of at least 0 that sum to 1, not {self.class_fractions}."
            )


HSC_WIDE = SimulatedSurvey(
    image_size=150,
    pixel_scale=0.168,
    seeing=0.6,
    zero_point=33.50,
    read_noise=9.0,
)
"""The Hyper Suprime-Cam survey in r: pixels and seeing of Aihara et al. (2018, PASJ 70, S4), on the field of 64 SDSS pixels.

Its depth is estimated from SDSS's: 8.2 m against 2.5 m of aperture and 600 s against 53.9 s gather 120 times the light (5.2 mag),
with the same sky and throughput; the read noise is that of four exposures of 4.5 electrons.
"""


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Which galaxies to use."""

    data: str = SIMULATED_DATA
    """Galaxies to use: `simulated` (rendered here), or files in any usual form: a folder of images with a table or with a
    folder for each class, a table, HDF5, NumPy arrays, a saved sample. `galjax check PATH` says how they are understood."""
    folder: Annotated[FolderOptions, Flat] = dataclasses.field(default_factory=FolderOptions)
    simulated: Annotated[SimulatedSurvey, SIMULATED] = dataclasses.field(default_factory=SimulatedSurvey)


def check_exists(data: str) -> None:
    """Raise InputError unless there is what `SourceConfig.data` names."""
    # Unlike a Path's, these take any text: a name too long for a file is no file.
    if data != SIMULATED_DATA and not os.path.isdir(data) and not os.path.isfile(data):
        raise InputError(
            f"--data {data!r} is neither 'simulated' nor an existing folder or file. Give a folder of images, a "
            f"table, arrays, or a sample saved as FITS; galjax check PATH says what is understood of one."
        )


def _flag(field: str) -> str:
    return field.replace("_", "-")
