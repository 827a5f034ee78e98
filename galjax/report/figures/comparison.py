"""A few results side by side, each a point with a bar."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes

from galjax.analysis.wording import fixed
from galjax.report.figures.style import COLOURS, MARKERS, SPREADS, NamedFigure, drawn, light_grid, make_panels
from galjax.statistics import Summary, repeats_left, summarise


@drawn
def points_with_bars(
    panels: Mapping[str, Mapping[str, Float[np.ndarray, " repeat"]]], spreads: Sequence[str], name: str, caption: str
) -> NamedFigure:
    """One panel per quantity (outer key) and kind of bar (keys of `SPREADS`), one point per case (inner key).

    As the thesis's figures 4.14-4.16 with 2 standard deviations and 2 standard errors, and 6.1 with 1 standard deviation. Small dots are the repeats.
    """
    shown = [(quantity, cases, spread) for spread in spreads for quantity, cases in panels.items()]
    columns = min(2, len(panels))
    figure, axes = make_panels(columns, -(-len(shown) // columns), width=4.2, height=2.9)
    for panel in axes[len(shown) :]:
        panel.set_axis_off()
    for panel, (quantity, cases, spread) in zip(axes, shown, strict=False):
        for index, values in enumerate(cases.values()):
            _draw_point(panel, index, summarise(np.asarray(values, np.float64)), spread)
            beside = index + 0.22 + 0.12 * (np.arange(len(values)) % 3 - 1) / 2
            panel.plot(beside, values, ".", color=COLOURS[index % len(COLOURS)], alpha=0.35, markersize=3)
        panel.set_xticks(range(len(cases)), list(cases), fontsize=8)
        panel.set_xlim(-0.5, len(cases) - 0.4)
        panel.set_ylabel(quantity)
        panel.set_title(f"bars: {SPREADS[spread].partition(' (')[0]}", fontsize=9)
        light_grid(panel)
    n = repeats_left(*(np.asarray(values, np.float64) for cases in panels.values() for values in cases.values()))
    meanings = "; ".join(SPREADS[spread] for spread in spreads)
    return NamedFigure(
        name,
        figure,
        f"{caption} Points are means over n = {n} repeats, small dots the repeats; bars: {meanings}."
        if n != "1"
        else f"{caption} A single repeat (n = 1), which has no bars.",
        "; ".join(
            f"{quantity}, {case}: {fixed(float(summarise(np.asarray(values, np.float64)).mean))}"
            for quantity, cases in panels.items()
            for case, values in cases.items()
        )
        + ".",
    )


def _draw_point(panel: Axes, position: int, summary: Summary, spread: str) -> None:
    times, _, kind = spread.rpartition(" ")
    bar = float(times or 1) * float(getattr(summary, kind))
    panel.errorbar(
        position,
        float(summary.mean),
        yerr=None if np.isnan(bar) else bar,
        color=COLOURS[position % len(COLOURS)],
        marker=MARKERS[position % len(MARKERS)],
        markersize=5,
        capsize=3,
        elinewidth=1.2,
    )
