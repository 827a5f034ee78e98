"""Figures, one module per kind. Every function gives a `NamedFigure`; nothing here writes files.

They look the same whatever the user's matplotlib settings are (`galjax.report.figures.style.drawn`), and matplotlib is imported where
its settings keep it from that, too: a backend of a notebook that is not installed (MPLBACKEND), a matplotlibrc that is no text.
"""

import contextlib
import os
import sys


def _import_matplotlib() -> None:
    try:
        import matplotlib
    except Exception:  # whatever matplotlib raises for a setting that it cannot use
        for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
            del sys.modules[name]  # what was imported before the failure
        users = dict(os.environ)
        os.environ |= {"MPLBACKEND": "agg", "MATPLOTLIBRC": os.devnull}
        try:
            with contextlib.chdir(os.sep):  # away from a matplotlibrc in the working folder, which would come first
                import matplotlib  # noqa: F401
        finally:
            os.environ.clear()
            os.environ |= users


_import_matplotlib()

from galjax.report.figures.style import NamedFigure  # noqa: E402

__all__ = ["NamedFigure"]
