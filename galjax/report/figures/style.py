"""What all figures share: colours that colour-blind eyes tell apart, panels, and words for bars and choices."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from astropy.table import Table
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galjax.statistics import summarise

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito's palette, told apart also by colour-blind eyes; markers and line styles differ as well."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SPREADS = {
    "std": "1 standard deviation over the repeats (draws from these galaxies)",
    "ste": "1 standard error of the mean, std / sqrt(n) (for new draws from these galaxies, not for new galaxies)",
    "2 std": "2 standard deviations over the repeats (draws from these galaxies)",
    "2 ste": "2 standard errors of the mean, std / sqrt(n) (for new draws from these galaxies, not for new galaxies)",
}
DPI = 200


@dataclasses.dataclass(frozen=True)
class NamedFigure:
    """A figure with what a reader and a screen reader need to know of it."""

    name: str
    """File name without ending."""
    figure: Figure | None
    """None where it could not be drawn."""
    caption: str
    """Caption; where there is no figure, why not."""
    alternative: str
    """What the figure shows, for those who cannot see it."""


Arguments = ParamSpec("Arguments")
Made = TypeVar("Made", bound=NamedFigure | None)


@contextlib.contextmanager
def plain_style() -> Iterator[None]:
    """Within, matplotlib's own settings hold, and not the user's (matplotlibrc, `rcParams`, styles)."""
    own = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
    with matplotlib.rc_context(own):
        yield


def drawn(make: Callable[Arguments, Made]) -> Callable[Arguments, Made | NamedFigure]:
    """Decorator: draw in `plain_style`, and give a figure that says why where that fails, so that nothing else is lost."""

    @functools.wraps(make)
    def guarded(*args: Arguments.args, **options: Arguments.kwargs) -> Made | NamedFigure:
        with plain_style():
            try:
                return make(*args, **options)
            except Exception as error:
                return not_drawn(make.__name__, error)

    return guarded


def not_drawn(name: str, error: Exception) -> NamedFigure:
    """What takes the place of a figure that could not be drawn."""
    reason = (str(error).splitlines() or [""])[0][:200]
    return NamedFigure(name, None, f"The figure {name} could not be drawn ({type(error).__name__}: {reason}).", "")


def make_panels(
    columns: int, rows: int = 1, *, width: float = 3.2, height: float = 3.4, **options: Any
) -> tuple[Figure, list[Axes]]:
    """A figure of panels, `width` x `height` inches each, row by row."""
    figure = Figure(figsize=(max(width * columns, 4.8), height * rows), layout="constrained", dpi=DPI)
    return figure, list(figure.subplots(rows, columns, squeeze=False, **options).flat)


def points_and_bars(n: str, spread: str) -> str:
    """What the points and bars of a figure are, for its caption: of n repeats in words, with bars of a key of `SPREADS`."""
    if n == "1":
        return "Points are the results of a single repeat (n = 1), which has no bars"
    return f"Points are means over n = {n} repeats, bars {SPREADS[spread]}"


def spread_of(table: Table, spread: str) -> Float[np.ndarray, " row"]:
    """Lengths of the bars: a key of `SPREADS`."""
    times, _, name = spread.rpartition(" ")
    return float(times or 1) * np.asarray(table[name], np.float64)


def means_with_std(
    panel: Axes, x: Float[np.ndarray, " point"], values: Sequence[Float[np.ndarray, " repeat"]], index: int, label: str
) -> None:
    """A line of means over the repeats, with bars of 1 std where there is one; the first is solid, a second dashed."""
    found = [summarise(np.asarray(one, np.float64)) for one in values]
    bars = np.array([float(summary.std) for summary in found])
    panel.errorbar(
        x,
        [float(summary.mean) for summary in found],
        yerr=None if np.isnan(bars).all() else bars,
        color=COLOURS[index],
        marker=MARKERS[index],
        linestyle="-" if index == 0 else "--",
        markersize=5,
        capsize=2.5,
        label=label,
    )


def bars_with_intervals(
    panel: Axes, x: Float[np.ndarray, " bar"], rows: Table, column: str, index: int = 0, label: str = ""
) -> None:
    """A bar for each row of a table of comparisons, as long as its `column`, with the row's confidence interval where there is one."""
    difference = np.asarray(rows[column], np.float64)
    intervals = np.abs(np.stack([difference - rows["low"], rows["high"] - difference]))
    panel.bar(
        x,
        difference,
        0.36,
        color=COLOURS[index],
        alpha=0.75,
        label=label,
        yerr=None if np.isnan(intervals).all() else intervals,
        capsize=2.5,
        error_kw={"elinewidth": 1},
    )


def light_grid(panel: Axes) -> None:
    """Thin horizontal lines to read values from."""
    panel.grid(axis="y", color="0.92", linewidth=0.6)
    panel.set_axisbelow(True)


def legend_above(panel: Axes) -> None:
    """The legend between title and axes, where it hides no point or error bar."""
    panel.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)


def stretched(image: Float[np.ndarray, "height width"], low: float, high: float) -> Float[np.ndarray, "height width"]:
    """Arcsinh stretch of pixel values, 0 at `low` and 1 at `high`; faint parts show without burning out the middle."""
    softening = max(0.05 * (high - low), 1e-12)
    return np.arcsinh((image - low) / softening) / np.arcsinh((high - low) / softening)


def grey(image: Float[np.ndarray, "height width *band"]) -> Float[np.ndarray, "height width"]:
    """The mean over bands, in float64."""
    plain = np.asarray(image, np.float64)
    return plain if plain.ndim == 2 else plain.mean(axis=-1)


def show_image(panel: Axes, image: Float[np.ndarray, "height width"], low: float, high: float) -> None:
    """A galaxy as it lies on its pixels, row 0 at the bottom, without axes."""
    panel.imshow(stretched(image, low, high), cmap="gray", vmin=0, vmax=1, origin="lower", interpolation="nearest")
    panel.set(xticks=[], yticks=[])
