"""galjax: how different may the training and test resolutions be?

The way of the data: source -> GalaxySample -> draw -> resample -> training x repeats -> statistics -> run folder ->
figures and report. Each step is one module and knows only the modules before it.
"""

import importlib
from typing import TYPE_CHECKING, Any

from galjax.errors import InputError

if TYPE_CHECKING:
    from galjax.sample import Exclusion, GalaxySample

__all__ = ["Exclusion", "GalaxySample", "InputError"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """A sample's class is imported when it is first used (PEP 562), and astropy with it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.sample"), name)
