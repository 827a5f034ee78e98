"""What single changes of a training are worth."""

import numpy as np
from astropy.table import Table

from galjax.analysis.wording import NEW_GALAXIES
from galjax.report.figures.style import COLOURS, MARKERS, NamedFigure, drawn, legend_above, light_grid, make_panels


@drawn
def gains_figure(gains: Table, baseline: str) -> NamedFigure:
    """How far every change is above the baseline with its interval, a line a change and a marker for each resolution."""
    changes = list(dict.fromkeys(gains["change"].tolist()))
    seen = list(dict.fromkeys(zip(gains["factor"].tolist(), gains["method"].tolist(), strict=True)))
    figure, panels = make_panels(1, width=6.4, height=0.42 * len(changes) + 1.2)
    panel = panels[0]
    for index, (factor, method) in enumerate(seen):
        own = gains[(gains["factor"] == factor) & (gains["method"] == method)]
        places = np.array([changes.index(name) for name in own["change"]]) + 0.16 * (index - (len(seen) - 1) / 2)
        panel.errorbar(
            own["difference"],
            places,
            xerr=np.nan_to_num([own["difference"] - own["low"], own["high"] - own["difference"]]),
            linestyle="none",
            color=COLOURS[index % len(COLOURS)],
            marker=MARKERS[index % len(MARKERS)],
            markersize=4,
            capsize=2,
            label="Original" if factor == 1 else f"1/{factor} {method}",
        )
    panel.axvline(0, color="0.5", linewidth=0.8)
    panel.set_yticks(range(len(changes)), changes)
    panel.invert_yaxis()
    panel.set_xlabel(f"accuracy above {baseline}")
    legend_above(panel)
    light_grid(panel)
    return NamedFigure(
        "gains",
        figure,
        f"What one change is worth: the difference in accuracy of single networks to {baseline}, paired over galaxies, with 95 % intervals "
        f"{NEW_GALAXIES}.",
        f"Differences of {len(changes)} changes.",
    )
