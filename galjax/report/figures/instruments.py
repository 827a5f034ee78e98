"""Two instruments: the same galaxies in both, and accuracy step by step from one to the other."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from galjax.analysis.wording import fixed
from galjax.report.figures.galleries import brightness_range
from galjax.report.figures.style import (
    NamedFigure,
    drawn,
    grey,
    legend_above,
    light_grid,
    make_panels,
    means_with_std,
    points_and_bars,
    show_image,
)
from galjax.statistics import repeats_left, summarise


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
            panel.set_title(view, fontsize=9)
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
        values = [accuracies[one, step] for step in steps]
        means_with_std(panel, np.arange(len(steps)) + 0.05 * (2 * index - 1), values, index, f"trained on {one}")
    panel.set_xticks(range(len(steps)), list(steps))
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
        )
        + ".",
    )
