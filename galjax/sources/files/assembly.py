"""From what a form says of its galaxies to a sample: every form ends here. Stamps are cut, and what cannot be used is listed."""

import collections
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32, Float64, Int32, Shaped

from galjax.errors import InputError, printable
from galjax.io.arrays import depth_of
from galjax.sample import Exclusion, GalaxySample
from galjax.sources.files.image_files import UnusableImage, band_names, crop_width, to_stamp
from galjax.sources.files.pixels import Pixels, common_scale
from galjax.sources.options import FolderOptions

_Item = TypeVar("_Item")
_READERS = 4
_IMAGES_BETWEEN_REPORTS = 50


@dataclasses.dataclass(frozen=True)
class Galaxies:
    """What a form says of its galaxies before any image is read."""

    form: str
    """How the place was understood, in words."""
    source: str
    """The file or folder, as sentences call it."""
    counted: str
    """How many galaxies were listed: "labels.csv: 200 rows"."""
    place: str
    """Where the images are: "images in b_pics/"."""
    listed: int
    ids: Shaped[np.ndarray, " galaxy"]
    labels: Int32[np.ndarray, " galaxy"]
    class_names: tuple[str, ...]
    redshift: Float64[np.ndarray, " galaxy"]
    pixels: Pixels
    excluded: tuple[Exclusion, ...] = ()
    provenance: Mapping[str, str] = dataclasses.field(default_factory=dict)
    columns: Mapping[str, Shaped[np.ndarray, " galaxy"]] = dataclasses.field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hint: str = ""
    """What to do where no galaxy can be used."""
    pixel_scale: float = float("nan")
    """Arcsec per pixel of the images, where the form says it."""


class _Stamp(NamedTuple):
    """What becomes of one image."""

    pixels: Float32[np.ndarray, "size size *band"]
    bands: tuple[str, ...]
    shrunk_by: float
    """Below 1 where it was enlarged."""
    depth: dict[str, str]
    """Bits of the image's pixels (`galjax.io.arrays.depth_of`)."""
    made: str
    """How, in words."""


def assemble(
    galaxies: Galaxies, options: FolderOptions, progress: Callable[[int, int], None] | None = None
) -> GalaxySample:
    """The sample: every image read, cropped and resampled; those that cannot be used are in `excluded` with the reason.

    The pixel scale is that of the stamps, NaN where images were shrunk by different factors. What the user should know is said in
    `provenance["note"]`. `progress` is told (images read, in all). Raises InputError where no galaxy is left.
    """
    if not len(galaxies.ids):
        raise InputError(_nothing_left(galaxies, list(galaxies.excluded)))
    read = _read_stamps(galaxies, options, progress)
    bands = collections.Counter(stamp.bands for stamp in read if isinstance(stamp, _Stamp))
    usual = bands.most_common(1)[0][0] if bands else ()
    stamps: dict[int, _Stamp] = {}
    excluded = list(galaxies.excluded)
    for number, stamp in enumerate(read):
        if isinstance(stamp, _Stamp) and len(stamp.bands) == len(usual):
            stamps[number] = stamp
        else:
            reason = (
                stamp
                if isinstance(stamp, str)
                else f"has {len(stamp.bands)} band(s) where most images have {len(usual)}"
            )
            excluded.append(Exclusion(str(galaxies.ids[number]), galaxies.pixels.shown(number), reason))
    if not stamps:
        raise InputError(_nothing_left(galaxies, excluded))
    kept = np.array(list(stamps))
    scale, shrinking = _shrinking([stamp.shrunk_by for stamp in stamps.values()], options)
    notes = [galaxies.provenance.get("note"), *galaxies.notes, shrinking.pop("note", "")]
    made = collections.Counter(stamp.made for stamp in stamps.values()).most_common()
    return GalaxySample(
        images=np.stack([stamp.pixels for stamp in stamps.values()]),
        labels=galaxies.labels[kept],
        class_names=galaxies.class_names,
        ids=galaxies.ids[kept],
        redshift=galaxies.redshift[kept],
        pixel_scale=scale,
        bands=usual,
        provenance={
            "form": galaxies.form,
            "channel": " ".join(map(str, options.bands)) or str(options.channel),
            "crop": "automatic" if options.crop is None else f"{options.crop} px",
            "image size": f"{options.image_size} px, shrunk by the mean over covered pixels",
            "stamps": "; ".join(f"{how} ({n})" if len(made) > 1 else how for how, n in made[:3]),
            **shrinking,
            "units": "as in the image files (JPEG/PNG images: counts from 0)",
            **{key: value for stamp in stamps.values() for key, value in stamp.depth.items()},
            **galaxies.provenance,
            "kept": str(len(kept)),
            "left out": str(len(excluded)),
            **({"note": " ".join(filter(None, notes))} if any(notes) else {}),
        },
        columns={name: column[kept] for name, column in galaxies.columns.items()},
        excluded=tuple(excluded),
    )


def scale_of(galaxies: Galaxies) -> float:
    """Arcsec per pixel of the images as their form says it, or else their headers; NaN where neither does."""
    return galaxies.pixel_scale if np.isfinite(galaxies.pixel_scale) else common_scale(galaxies.pixels)


def stamp_in_words(shape: tuple[int, ...], crop: int, options: FolderOptions) -> str:
    """How a stamp comes of an image of this shape: "middle 192 of 424 px, shrunk by 3"."""
    (height, width), size = shape[:2], options.image_size
    whole = f"{height}" if height == width else f"{height}x{width}"
    part = f"{whole} px" if crop == height == width else f"middle {crop} of {whole} px"
    if crop > size:
        return f"{part}, shrunk by {crop / size:.3g}"
    return f"{part}, enlarged by {size / crop:.3g} ({options.enlarge})" if crop < size else part


def _nothing_left(galaxies: Galaxies, excluded: list[Exclusion]) -> str:
    reasons = "; ".join(f"{printable(row.id or row.file)}: {printable(row.reason)}" for row in excluded[:3])
    return (
        f"No galaxy of {galaxies.source} can be used: {len(excluded)} left out, the first are {reasons}.{galaxies.hint}"
    )


def _read_stamps(
    galaxies: Galaxies, options: FolderOptions, progress: Callable[[int, int], None] | None
) -> list[_Stamp | str]:
    """The stamp of every galaxy, or the reason why there is none, in order."""
    source, size = galaxies.pixels, options.image_size

    def one(number: int) -> _Stamp | str:
        is_picture = source.is_picture(number)
        try:
            pixels = source.read(number)
            stamp = to_stamp(
                pixels,
                is_picture=is_picture,
                channel=options.channel,
                crop=options.crop,
                size=size,
                bands=options.bands,
                enlarge=options.enlarge,
            )
        except UnusableImage as reason:
            return str(reason)
        count = stamp.shape[2] if stamp.ndim == 3 else 1
        crop = crop_width(pixels.shape, is_picture=is_picture, crop=options.crop, size=size)
        bands = band_names(options.channel, pixels.ndim, count, is_picture=is_picture, bands=options.bands)
        return _Stamp(stamp, bands, crop / size, depth_of(pixels), stamp_in_words(pixels.shape, crop, options))

    with ThreadPoolExecutor(_READERS) as readers:
        return list(_reported(readers.map(one, range(len(source))), len(source), progress))


def _reported(items: Iterable[_Item], total: int, progress: Callable[[int, int], None] | None) -> Iterable[_Item]:
    for done, item in enumerate(items, 1):
        if progress is not None and (done % _IMAGES_BETWEEN_REPORTS == 0 or done == total):
            progress(done, total)
        yield item


def _shrinking(factors: list[float], options: FolderOptions) -> tuple[float, dict[str, str]]:
    """Arcsec per pixel of the stamps, NaN where they were shrunk by different factors; and what the sample says of that."""
    counted = sorted(collections.Counter(factors).items())
    described = ", ".join(f"{factor:.4g} ({n} image{'s' if n > 1 else ''})" for factor, n in counted[:10])
    described += f" and {len(counted) - 10} more" if len(counted) > 10 else ""
    said = {"shrunk by": described}
    if len(counted) == 1:
        return options.pixel_scale * factors[0], said
    narrowest = round(counted[0][0] * options.image_size)
    enlarged = " (below 1: enlarged)" if counted[0][0] < 1 else ""
    said["note"] = (
        f"The images were shrunk by different factors{enlarged}, {described}, so that there is no one pixel scale. "
        f"--crop {narrowest} uses the same number of pixels of each."
    )
    return float("nan"), said
