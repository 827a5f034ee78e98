"""Where galaxies come from. Every source ends in a function that returns a `galjax.sample.GalaxySample`."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from galjax.configuration import Flat
from galjax.errors import InputError
from galjax.sample import GalaxySample
from galjax.sources.folder import FolderOptions, read_folder
from galjax.sources.simulated import HSC_WIDE, SimulatedSurvey, simulate

__all__ = ["HSC_WIDE", "FolderOptions", "SimulatedSurvey", "SourceConfig", "load", "read_folder", "simulate"]


@dataclasses.dataclass(frozen=True)
class SourceConfig:
    """Which galaxies to use."""

    data: str = "simulated"
    """`simulated` (galaxies rendered here), a folder with a catalogue and images, or a saved sample (*.fits)."""
    folder: Annotated[FolderOptions, Flat] = dataclasses.field(default_factory=FolderOptions)
    simulated: SimulatedSurvey = dataclasses.field(default_factory=SimulatedSurvey)


def load(config: SourceConfig, seed: int, progress: Callable[[int, int], None] | None = None) -> GalaxySample:
    """The galaxies that `config` names. `progress` is told (images read, images in all) while a folder is read."""
    if config.data == "simulated":
        return _own_options_only(config, simulate(config.simulated, seed))
    if os.path.isdir(config.data):  # unlike a Path's, these take any text: a name too long for a file is no file
        return read_folder(Path(config.data), config.folder, progress)
    if os.path.isfile(config.data):
        return _own_options_only(config, GalaxySample.load(Path(config.data)))
    raise InputError(
        f"--data {config.data!r} is neither 'simulated' nor an existing folder or file. Give a folder with a catalogue and "
        f"images/, or a sample saved as FITS."
    )


def _own_options_only(config: SourceConfig, sample: GalaxySample) -> GalaxySample:
    """The sample. Raises InputError for options of a folder, which would have no effect on it."""
    given = {
        field.name: getattr(config.folder, field.name)
        for field in dataclasses.fields(FolderOptions)
        if repr(getattr(config.folder, field.name)) != repr(field.default)  # of a NaN too
    }
    if given.get("image_size") == sample.images.shape[1]:
        del given["image_size"]
    if given:
        name, value = next(iter(given.items()))
        instead = " --simulated.image-size sets the size of simulated images." if name == "image_size" else ""
        raise InputError(
            f"--{name.replace('_', '-')} {value} is for a folder of images and has no effect on --data {config.data}. Leave it out.{instead}"
        )
    return sample
