"""From the choice of a source to its galaxies."""

from collections.abc import Callable

from galjax.sample import GalaxySample
from galjax.sources.files.reading import check_no_options, read_files
from galjax.sources.options import SIMULATED_DATA, SourceConfig, check_exists
from galjax.sources.simulated.survey import simulate


def load(config: SourceConfig, seed: int, progress: Callable[[int, int], None] | None = None) -> GalaxySample:
    """The galaxies that `config` names. `progress` is told (images read, images in all) while files are read."""
    if config.data == SIMULATED_DATA:
        check_no_options(config.folder, config.simulated.image_size, config.data)  # before what takes long
        return simulate(config.simulated, seed)
    check_exists(config.data)
    return read_files(config.data, config.folder, progress)
