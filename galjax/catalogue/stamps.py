"""From image files of any survey to stamps on the grid of the training."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Float64, Shaped

from galjax.errors import InputError
from galjax.io.arrays import DEPTH, EIGHT_BIT
from galjax.sources.files.assembly import Galaxies, stamp_in_words
from galjax.sources.files.image_files import (
    BlankImage,
    NotFiniteImage,
    UnusableImage,
    crop_width,
    to_stamp,
)
from galjax.sources.files.image_header import ImageHeader
from galjax.sources.options import Enlarging, FolderOptions
from galjax.training.classify import (
    FLAT,
    NOT_FINITE,
    UNUSABLE,
    Field,
    blurred_factor,
    field_of,
    source_flags,
    too_narrow,
)
from galjax.training.description import Description

_WHOLE_NUMBERS = re.compile(r"\d+( \d+)*")
_SEEING = re.compile(r"FWHM ([\d.]+) arcsec")


@dataclasses.dataclass(frozen=True)
class Survey:
    """What is known of how the galaxies were observed."""

    factor: float | None = None
    """How many times coarser than the training images they are. None: by pixel scales, else by sizes."""
    seeing: float | None = None
    """Full width at half maximum of their point-spread function, arcsec."""
    training_seeing: float | None = None
    """That of the training images. None: where the networks know it."""
    training_pixel_scale: float | None = None
    """Arcsec per pixel of the training images. None: where the networks know it."""


class Cut(NamedTuple):
    """What became of one image."""

    stamp: Float32[np.ndarray, "height width *band"] | None
    """On the grid of the training; None where it cannot be used."""
    factor: float
    flags: int
    """Bits of `galjax.training.classify.FLAGS`."""
    reason: str
    """Why it cannot be used; else empty."""
    made: str
    """How the stamp came about, in words."""
    pixels: float = float("nan")
    """How many times as wide as the training's its pixels were."""
    header: ImageHeader = ImageHeader()
    """What the image's own header says, where it is asked."""


class Stamper:
    """Cuts the stamps of galaxies as the networks were given theirs."""

    def __init__(self, galaxies: Galaxies, options: FolderOptions, about: Description, survey: Survey) -> None:
        """Raises InputError where options contradict what the networks take."""
        height, width = about.image_size
        if height != width:
            raise InputError(
                f"These networks take images of {height}x{width} px, and stamps from files are square. Give them arrays: ensemble.classify()."
            )
        default = FolderOptions()
        if options.image_size not in (default.image_size, width):
            raise InputError(
                f"--image-size {options.image_size} has no effect: these networks take {width} px. Leave it out."
            )
        about = dataclasses.replace(about, pixel_scale=survey.training_pixel_scale or about.pixel_scale)
        self.galaxies, self._about, self._survey = galaxies, about, survey
        self._options = dataclasses.replace(options, image_size=width, **_as_trained(options, about))
        own = options.pixel_scale if np.isfinite(options.pixel_scale) else galaxies.pixel_scale
        self._scale = galaxies.columns.get("pixel_scale", np.full(len(galaxies.ids), own))
        first = galaxies.pixels.header(0) if len(galaxies.ids) else ImageHeader()
        self.has_places = not {"ra", "dec"} <= set(galaxies.columns) and bool(np.isfinite([first.ra, first.dec]).all())
        """Whether the images' own headers say where they are on the sky, and nothing else does."""
        self._by_header = not np.isfinite(self._scale).any() and np.isfinite(about.pixel_scale)
        if self._by_header:
            self._by_header = bool(np.isfinite(first.scale))
        known = np.isfinite(self._scale) | self._by_header
        if known.any() and survey.factor is None and not np.isfinite(about.pixel_scale):
            raise InputError(
                "The pixel scale of these images is compared with that of the training images, which the networks do not know. Give "
                "--training-pixel-scale (arcsec per pixel), or --factor."
            )
        self.is_assumed = survey.factor is None and not known.any()
        """Whether the resolution is taken to be the training's, as nothing says what it is."""
        self._has_scales = bool(known.any())
        self._training_seeing = survey.training_seeing or seeing_of(about.trained_on)
        if survey.seeing is not None and (self._training_seeing is None or not np.isfinite(about.pixel_scale)):
            raise InputError(
                "--seeing is compared with the seeing and the pixel scale of the training images, and these networks do not know both. Give "
                "--training-seeing, and train with --pixel-scale; or leave --seeing out."
            )

    def __len__(self) -> int:
        return len(self.galaxies.ids)

    def warnings(self) -> list[str]:
        """What speaks against comparing these galaxies with those of the training, in sentences."""
        said, trained_on = [], self._about.trained_on
        was_picture = trained_on.get(DEPTH) == EIGHT_BIT
        is_picture = self.galaxies.pixels.is_picture(0) or self.galaxies.provenance.get(DEPTH) == EIGHT_BIT
        if is_picture != was_picture:
            kinds = ("counts or fluxes", "8-bit images, which are stretched to be looked at")
            said.append(
                f"Warning: the networks were trained on {kinds[was_picture]}, and these are {kinds[is_picture]}. Do not rely on the accuracy "
                f"to expect."
            )
        chosen = " ".join(map(str, self._options.bands)) or str(self._options.channel)
        if chosen != trained_on.get("channel", chosen):
            said.append(
                f"Warning: the networks were trained on the channel {trained_on['channel']}, and these images are read as {chosen}."
            )
        return said

    def factors(self) -> Float64[np.ndarray, " known"]:
        """The factors that are known without reading an image."""
        if self._survey.factor is not None:
            known = np.array([self._survey.factor])
        else:
            first = np.array([self.galaxies.pixels.header(0).scale]) if self._by_header else self._scale
            scales = np.unique(first[np.isfinite(first)])
            known = scales / self._about.pixel_scale if np.isfinite(self._about.pixel_scale) else np.array([])
        return np.array([self._seen_at(float(factor)) for factor in known])

    def cut(self, number: int, enlarge: Enlarging | None = None) -> Cut:
        """The stamp of one galaxy, enlarged by another method than that of the options where one is given."""
        source, options = self.galaxies.pixels, self._options
        is_picture, size = source.is_picture(number), self._about.image_size[0]
        factor, made, flags = np.nan, "", UNUSABLE
        header = source.header(number) if self._by_header or self.has_places else ImageHeader()
        try:
            pixels = source.read(number)
            field = self._field(pixels.shape, number, header, is_picture=is_picture)
            factor = self._seen_at(field.factor)
            crop = field.width[0]
            if min(pixels.shape[:2]) < crop:
                raise UnusableImage(f"has {too_narrow((pixels.shape[0], pixels.shape[1]), field)}")
            stamp = to_stamp(
                pixels,
                is_picture=is_picture,
                channel=options.channel,
                crop=crop,
                size=size,
                bands=options.bands,
                enlarge=enlarge or options.enlarge,
            )
            made = stamp_in_words(pixels.shape, crop, options)
            bands = stamp.shape[2] if stamp.ndim == 3 else 1
            if bands != len(self._about.bands):
                raise UnusableImage(
                    f"has {bands} band{'s' if bands > 1 else ''} where the networks take {len(self._about.bands)} "
                    f"({', '.join(self._about.bands)})"
                )
        except UnusableImage as reason:
            flags = {BlankImage: FLAT, NotFiniteImage: NOT_FINITE}.get(type(reason), UNUSABLE)
            return Cut(None, factor, flags, str(reason), made, header=header)
        found = source_flags(stamp, _middle(pixels, crop), factor)
        return Cut(stamp, factor, found, "", made, field.factor, header)

    def _field(self, shape: tuple[int, ...], number: int, header: ImageHeader, *, is_picture: bool) -> Field:
        size, options = self._about.image_size[0], self._options
        scale = header.scale if self._by_header else float(self._scale[number])
        if self._has_scales and self._survey.factor is None and not np.isfinite(scale):
            raise UnusableImage("has no pixel scale, where others have one")
        told = np.isfinite(scale) or (self._survey.factor is not None and not is_picture)
        if not told or options.crop is not None:
            crop = crop_width(shape, is_picture=is_picture, crop=options.crop, size=size)
            factor = self._survey.factor or max(size / crop, 1.0)
            return Field((crop, crop), factor)
        height, width = shape[:2]
        return field_of(
            (height, width), (size, size), factor=self._survey.factor, scales=(scale, self._about.pixel_scale)
        )

    def _seen_at(self, factor: float) -> float:
        if self._survey.seeing is None or self._training_seeing is None:
            return factor
        return blurred_factor(factor, self._about.pixel_scale, (self._survey.seeing, self._training_seeing))


def _middle(pixels: Shaped[np.ndarray, "height width *band"], crop: int) -> Shaped[np.ndarray, "crop crop *band"]:
    """The part of an image that its stamp is made of."""
    top, left = (pixels.shape[0] - crop) // 2, (pixels.shape[1] - crop) // 2
    return pixels[top : top + crop, left : left + crop]


def seeing_of(trained_on: Mapping[str, str]) -> float | None:
    """The seeing of the training images, full width at half maximum in arcsec, where their source said it."""
    found = _SEEING.search(trained_on.get("seeing", ""))
    return float(found[1]) if found else None


def _as_trained(options: FolderOptions, about: Description) -> dict[str, Any]:
    """Channel or bands, and crop, as the training images had them, where none are given."""
    default, trained_on = FolderOptions(), about.trained_on
    chosen: dict[str, Any] = {}
    channel = trained_on.get("channel", "all" if len(about.bands) > 1 else "")
    if options.channel == default.channel and not options.bands and channel:
        if _WHOLE_NUMBERS.fullmatch(channel):
            chosen["bands"] = tuple(map(int, channel.split()))
        else:
            chosen["channel"] = channel
    crop = trained_on.get("crop", "").removesuffix(" px")
    if options.crop is None and crop.isdigit() and "form" in trained_on:
        chosen["crop"] = int(crop)
    return chosen


def stack(cuts: list[Cut], grid: tuple[int, int], bands: int) -> Shaped[np.ndarray, "galaxy height width *band"]:
    """The stamps of some galaxies; zeros for those without."""
    shape = grid if bands == 1 else (*grid, bands)
    images = np.zeros((len(cuts), *shape), np.float32)
    for number, one in enumerate(cuts):
        if one.stamp is not None:
            images[number] = one.stamp
    return images
