"""The scores of networks and recipes at every resolution."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from galjax.analysis.scores import METRICS
from galjax.report.figures.style import COLOURS, MARKERS, NamedFigure, drawn, light_grid, make_panels

IN_WORDS = dict(
    zip(METRICS, ("accuracy", "area under the ROC curve", "expected calibration error", "Brier score"), strict=True)
)


@drawn
def scores_figure(table: Table, methods: Sequence[str]) -> NamedFigure:
    """Every metric against the resolution, a column of panels for each method, a line for each network and recipe with its interval."""
    entries = list(dict.fromkeys(zip(table["network"].tolist(), table["recipe"].tolist(), strict=True)))
    factors = sorted({*table["factor"].tolist()})
    figure, panels = make_panels(len(methods), len(METRICS), width=3.4, height=2.5, sharex=True, sharey="row")
    for number, panel in enumerate(panels):
        metric, method = METRICS[number // len(methods)], methods[number % len(methods)]
        for index, (network, recipe) in enumerate(entries):
            own = table[(table["network"] == network) & (table["recipe"] == recipe)]
            own = own[(own["factor"] == 1) | (own["method"] == method)]
            shift = 0.1 * (index - (len(entries) - 1) / 2)
            values, low, high = (np.asarray(own[f"{metric}{end}"]) for end in ("", "_low", "_high"))
            panel.errorbar(
                np.asarray(own["factor"]) + shift,
                values,
                yerr=np.clip([values - low, high - values], 0, None),
                color=COLOURS[index % len(COLOURS)],
                marker=MARKERS[index % len(MARKERS)],
                linestyle="-" if network == entries[0][0] else "--",
                markersize=3.5,
                linewidth=1,
                capsize=2,
                label=f"{network}, {recipe}",
            )
        light_grid(panel)
        panel.set_xticks(factors, ["Orig." if factor == 1 else f"1/{factor}" for factor in factors])
        if number < len(methods):
            panel.set_title(method)
        if number % len(methods) == 0:
            panel.set_ylabel(IN_WORDS[metric], fontsize=8)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(4, 2 * len(methods)), frameon=False, fontsize=8
    )
    return NamedFigure(
        "scores",
        figure,
        "Scores on test galaxies shrunk by the factor and enlarged back, of networks trained at full resolution; mean over repeats with its 95 % "
        "interval for new galaxies of the same kind, drawn side by side for legibility.",
        f"{len(METRICS)} scores against resolution, {len(entries)} lines.",
    )
