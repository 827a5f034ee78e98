"""What recipes of augmentation reach at every resolution, and what closes a gap."""

from collections.abc import Sequence
from typing import Any, SupportsFloat

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.analysis.robustness import CEILING, PARTS, Found
from galjax.analysis.tables import rows_with
from galjax.analysis.wording import NEW_GALAXIES, fixed
from galjax.report.figures.style import (
    COLOURS,
    MARKERS,
    NamedFigure,
    bars_with_intervals,
    drawn,
    legend_above,
    light_grid,
    make_panels,
    points_and_bars,
)
from galjax.statistics import count_in_words, repeats_left, summarise
from galjax.training.conditions import ORIGINAL


@drawn
def recipes_figure(found: Found, methods: Sequence[str]) -> NamedFigure:
    """Accuracy against the resolution of the test images, a line for each recipe and one panel for each method."""
    figure, panels = make_panels(len(methods), sharey=True)
    factors = [ORIGINAL.factor, *sorted({factor for factor, _ in found.conditions})]
    for panel, method in zip(panels, methods, strict=True):
        for index, recipe in enumerate(found.recipes):
            shift = 0.1 * (index - (len(found.recipes) - 1) / 2)
            as_trained, anew = (
                [summarise(found.of(recipe, factor, method, recalibrated=recalibrated)) for factor in factors]
                for recalibrated in (False, True)
            )
            look: dict[str, Any] = {"color": COLOURS[index], "marker": MARKERS[index], "markersize": 4}
            places = np.array(factors) + shift
            bars = _numbers([one.std for one in as_trained])
            panel.errorbar(
                places,
                _numbers([one.mean for one in as_trained]),
                yerr=None if np.isnan(bars).all() else bars,
                capsize=2,
                label=recipe,
                **look,
            )
            panel.plot(places, _numbers([one.mean for one in anew]), linestyle=":", linewidth=1, color=COLOURS[index])
        known = [factor for factor in factors if (CEILING, factor, method) in found.accuracy]
        if known:
            means = _numbers([summarise(found.of(CEILING, factor, method)).mean for factor in known])
            panel.plot(known, means, color="0.35", linestyle="--", marker="_", label=CEILING)
        panel.set_xticks(factors, ["Orig." if factor == 1 else f"1/{factor}" for factor in factors])
        panel.set(xlabel="resolution of the test images", title=method)
        light_grid(panel)
    panels[0].set_ylabel("accuracy")
    handles = {
        label: handle for panel in panels for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    n = repeats_left(*found.accuracy.values())
    return NamedFigure(
        "recipes",
        figure,
        f"Accuracy on test galaxies shrunk by the factor and enlarged back, for networks trained at Original with each recipe; dotted with a "
        f"threshold fitted on other galaxies of that resolution, and grey for networks that were trained at that resolution. "
        f"{points_and_bars(n, 'std')}; drawn side by side for legibility.",
        "; ".join(
            f"{recipe}, {method}: "
            + ", ".join(
                f"1/{factor} {fixed(float(summarise(found.of(recipe, factor, method)).mean))}" for factor in factors
            )
            for recipe in found.recipes
            for method in methods
        )
        + ".",
    )


def _numbers(values: Sequence[SupportsFloat]) -> Float[np.ndarray, " point"]:
    return np.array([float(value) for value in values])


@drawn
def gap_figure(gaps: Table, recipe: str) -> NamedFigure:
    """For every factor the parts of the gap (`galjax.analysis.robustness.PARTS`), of one recipe, or the first where it has none."""
    named = recipe if recipe in set(gaps["trained_with"]) else str(gaps["trained_with"][0])
    method = str(gaps["method"][0])
    chosen = rows_with(gaps, trained_with=named, method=method)
    figure, (panel,) = make_panels(1, width=6.8)
    factors = sorted(set(chosen["factor"].tolist()))
    labels = {
        "gap": "gap to networks trained there",
        "recalibration": "closed by a new threshold",
        "training": f"closed by {named}",
        "both": "closed by both",
        "left": "left",
    }
    places = 2 * np.arange(len(factors), dtype=float)
    for index, part in enumerate(PARTS):
        bars_with_intervals(
            panel, places + 0.37 * (index - 2), rows_with(chosen, part=part), "difference", index, labels[part]
        )
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set_xticks(places, [f"1/{factor}" for factor in factors])
    panel.set(xlabel="resolution of the test images", ylabel="difference of accuracy")
    legend_above(panel)
    light_grid(panel)
    return NamedFigure(
        "gap",
        figure,
        f"The gap between networks trained without changes and networks trained at the resolution of the test images (enlarged with {method}), "
        f"and what closes it. Bars are means over n = {count_in_words(chosen['n'])} repeats, lines 95 % confidence intervals of the paired "
        f"differences {NEW_GALAXIES}, where there is one.",
        "; ".join(f"{row['part']} at 1/{row['factor']}: {fixed(row['difference'])}" for row in chosen) + ".",
    )
