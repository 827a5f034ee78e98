"""Figures, one module per kind. Every function gives a `NamedFigure`; nothing here writes files."""

from galjax.figures.style import NamedFigure

__all__ = ["NamedFigure"]
