"""galjax: how different may the training and test resolutions be?

The way of the data: `sources` -> GalaxySample -> `draw` -> `resample` -> `training` of all repeats in one program -> `runs` on
disk -> `analysis` -> `report`. Each knows only what comes before it. What a notebook needs is here, and is imported when it is
first used (PEP 562), so that a command answers before JAX is there.
"""

import importlib
from typing import TYPE_CHECKING, Any

from galjax.errors import InputError

if TYPE_CHECKING:
    from galjax.config.settings import AugmentConfig, ExecutionConfig, NetworkConfig, OptimiserConfig
    from galjax.resample import degrade, resize
    from galjax.sample import Exclusion, GalaxySample
    from galjax.sources.files.folder import read_folder
    from galjax.sources.files.reading import read
    from galjax.sources.options import FolderOptions, SimulatedSurvey
    from galjax.sources.simulated.survey import simulate
    from galjax.training.ensemble import Ensemble, load
    from galjax.training.execution import use_all_cores
    from galjax.training.train import train

_PLACES = {
    "config.settings": ("AugmentConfig", "ExecutionConfig", "NetworkConfig", "OptimiserConfig"),
    "resample": ("degrade", "resize"),
    "sample": ("Exclusion", "GalaxySample"),
    "sources.files.folder": ("read_folder",),
    "sources.files.reading": ("read",),
    "sources.options": ("FolderOptions", "SimulatedSurvey"),
    "sources.simulated.survey": ("simulate",),
    "training.ensemble": ("Ensemble", "load"),
    "training.execution": ("use_all_cores",),
    "training.train": ("train",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = [
    "AugmentConfig",
    "Ensemble",
    "Exclusion",
    "ExecutionConfig",
    "FolderOptions",
    "GalaxySample",
    "InputError",
    "NetworkConfig",
    "OptimiserConfig",
    "SimulatedSurvey",
    "degrade",
    "load",
    "read",
    "read_folder",
    "resize",
    "simulate",
    "train",
    "use_all_cores",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
