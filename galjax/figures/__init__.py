"""Figures, one module per kind. Every function gives a `NamedFigure`; nothing here writes files.

They look the same whatever the user's matplotlib settings are (`galjax.figures.style.drawn`), and matplotlib is imported where
its settings keep it from that, too: a backend of a notebook that is not installed (MPLBACKEND), a matplotlibrc that is no text.
"""

import contextlib
import os
from unittest import mock


def _import_matplotlib() -> None:
    try:
        import matplotlib
    except Exception:  # whatever matplotlib raises for a setting that it cannot use
        plain = {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
        with (
            mock.patch.dict(os.environ, plain),
            contextlib.chdir(os.sep),
        ):  # a matplotlibrc in the working folder comes first
            import matplotlib  # noqa: F401


_import_matplotlib()

from galjax.figures.style import NamedFigure  # noqa: E402

__all__ = ["NamedFigure"]
