"""Where galaxies come from. Every source ends in a function that returns a `galjax.sample.GalaxySample`."""

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro

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
    folder: Annotated[FolderOptions, tyro.conf.arg(name="")] = dataclasses.field(default_factory=FolderOptions)
    simulated: SimulatedSurvey = dataclasses.field(default_factory=SimulatedSurvey)


def load(config: SourceConfig, seed: int, progress: Callable[[int, int], None] | None = None) -> GalaxySample:
    """The galaxies that `config` names. `progress` is told (images read, images in all) while a folder is read."""
    if config.data == "simulated":
        return simulate(config.simulated, seed)
    if os.path.isdir(config.data):  # unlike a Path's, these take any text: a name too long for a file is no file
        return read_folder(Path(config.data), config.folder, progress)
    if os.path.isfile(config.data):
        return GalaxySample.load(Path(config.data))
    raise InputError(
        f"--data {config.data!r} is neither 'simulated' nor an existing folder or file. Give a folder with a catalogue and "
        f"images/, or a sample saved as FITS."
    )
