"""From the choice of a source to its galaxies."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from galjax.errors import InputError
from galjax.sample import GalaxySample
from galjax.sources.files.folder import read_folder
from galjax.sources.options import SIMULATED_DATA, FolderOptions, SourceConfig, check_exists
from galjax.sources.simulated.survey import simulate


def load(config: SourceConfig, seed: int, progress: Callable[[int, int], None] | None = None) -> GalaxySample:
    """The galaxies that `config` names. `progress` is told (images read, images in all) while a folder is read."""
    if config.data == SIMULATED_DATA:
        _check_options(config, config.simulated.image_size)  # before what takes long
        return simulate(config.simulated, seed)
    check_exists(config.data)
    path = Path(config.data)
    if path.is_dir():
        return read_folder(path, config.folder, progress)
    sample = GalaxySample.load(path)
    _check_options(config, sample.images.shape[1])
    return sample


def _check_options(config: SourceConfig, height: int) -> None:
    """Raise InputError for options of a folder, which have no effect on images that are `height` px high already."""
    given = {
        field.name: getattr(config.folder, field.name)
        for field in dataclasses.fields(FolderOptions)
        if repr(getattr(config.folder, field.name)) != repr(field.default)  # of a NaN too
    }
    if given.get("image_size") == height:
        del given["image_size"]
    if given:
        name, value = next(iter(given.items()))
        instead = " --simulated.image-size sets the size of simulated images." if name == "image_size" else ""
        raise InputError(
            f"--{name.replace('_', '-')} {value} is for a folder of images and has no effect on --data {config.data}. Leave it out.{instead}"
        )
