"""Where galaxies come from. Every source ends in a function that returns a `galjax.sample.GalaxySample`.

What reads and renders is imported when it is first used (PEP 562): flags are understood without it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from galjax.sources.options import HSC_WIDE, FolderOptions, SimulatedSurvey, SourceConfig

if TYPE_CHECKING:
    from galjax.sources.files.folder import read_folder
    from galjax.sources.loading import load
    from galjax.sources.simulated.survey import simulate

__all__ = ["HSC_WIDE", "FolderOptions", "SimulatedSurvey", "SourceConfig", "load", "read_folder", "simulate"]
_MODULES = {"load": "loading", "read_folder": "files.folder", "simulate": "simulated.survey"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
