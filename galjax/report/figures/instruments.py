"""Two instruments: the same galaxies in both, and accuracy step by step from one to the other."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.analysis.wording import NEW_GALAXIES, fixed, signed
from galjax.report.figures.galleries import brightness_range
from galjax.report.figures.style import (
    NamedFigure,
    bars_with_intervals,
    drawn,
    grey,
    legend_above,
    light_grid,
    make_panels,
    means_with_std,
    points_and_bars,
    show_image,
)
from galjax.statistics import count_in_words, repeats_left, summarise


@drawn
def instrument_gallery(
    views: Mapping[str, Float[np.ndarray, "galaxy height width *band"]], galaxies: Sequence[int], names: Sequence[str]
) -> NamedFigure:
    """Each of the galaxies (rows) in every view (columns)."""
    figure, panels = make_panels(len(views), len(galaxies), width=1.7, height=1.75)
    for number, panel in enumerate(panels):
        row, column = divmod(number, len(views))
        view = list(views)[column]
        image = grey(views[view][galaxies[row]])
        show_image(panel, image, *brightness_range(image))
        if row == 0:
            panel.set_title(view.replace(" + ", "\n+ "), fontsize=9)
        if column == 0:
            panel.set_ylabel(names[row], fontsize=8)
    return NamedFigure(
        "instrument_gallery",
        figure,
        "The same galaxies in the sharp images, in these made coarser one step after the other (each step keeps those before "
        "it), and in the coarse images. Arcsinh stretch of each image on its own.",
        f"{len(galaxies)} galaxies in {len(views)} versions from sharp to coarse.",
    )


@drawn
def steps_figure(
    accuracies: Mapping[tuple[str, str], Float[np.ndarray, " repeat"]], steps: Sequence[str]
) -> NamedFigure:
    """Accuracy on every step from the sharp images to the coarse ones; keys are (trained on, tested on)."""
    figure, (panel,) = make_panels(1, width=6.4)
    trained = list(dict.fromkeys(one for one, _ in accuracies))
    for index, one in enumerate(trained):
        tested = [number for number, step in enumerate(steps) if (one, step) in accuracies]
        values = [accuracies[one, steps[number]] for number in tested]
        means_with_std(panel, np.array(tested) + 0.05 * (2 * index - 1), values, index, f"trained on {one}")
    panel.set_xticks(range(len(steps)), [step.replace(" + ", "\n+ ") for step in steps])
    panel.set(xlabel="test images", ylabel="accuracy", ylim=(None, min(1.0, panel.get_ylim()[1])))
    legend_above(panel)
    light_grid(panel)
    n = repeats_left(*accuracies.values())
    return NamedFigure(
        "steps",
        figure,
        f"Accuracy as the sharp test images are made like the coarse ones, one step after the other. "
        f"{points_and_bars(n, 'std')}.",
        "; ".join(
            f"trained on {one}, tested on {other}: {fixed(float(summarise(v).mean))}"
            for (one, other), v in accuracies.items()
            if other in steps
        )
        + ".",
    )


@drawn
def attribution_figure(costs: Table) -> NamedFigure:
    """What each step costs, averaged over all orders (`galjax.analysis.attribution`)."""
    figure, (panel,) = make_panels(1, width=5.8)
    x = np.arange(len(costs), dtype=np.float64)
    bars_with_intervals(panel, x, costs, "cost")
    for end in ("least", "most"):
        panel.plot(x, costs[end], "_", color="0.2", markersize=14)
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set_xticks(x, [textwrap.fill(what, 16) for what in costs["what"]])
    panel.set(ylabel="cost in accuracy")
    light_grid(panel)
    return NamedFigure(
        "attribution",
        figure,
        f"What each property of the coarse images costs a network trained on sharp images. Bars are means over n = "
        f"{count_in_words(costs['n'])} repeats and all orders of the steps (Shapley values), lines 95 % confidence intervals "
        f"{NEW_GALAXIES}, where there is one; dashes its mean costs in the orders in which it costs least and most.",
        "; ".join(f"{row['what']}: {signed(row['cost'])}" for row in costs) + ".",
    )
