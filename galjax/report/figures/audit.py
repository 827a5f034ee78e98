"""Figures of an audit of labels: how surely networks disagree with them, how many wrong ones are found, and which galaxies these are."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from jaxtyping import Float
from matplotlib.layout_engine import ConstrainedLayoutEngine

from galjax.analysis.audit import CONFIDENT_LEARNING
from galjax.analysis.tables import rows_with
from galjax.report.figures.galleries import brightness_range
from galjax.report.figures.style import (
    COLOURS,
    MARKERS,
    NamedFigure,
    drawn,
    grey,
    legend_above,
    light_grid,
    make_panels,
    show_image,
)
from galjax.sample import GalaxySample

BINS = 20


@drawn
def disagreement_figure(
    against: Mapping[str, Float[np.ndarray, " galaxy"]], confidence: float, name: str, caption: str
) -> NamedFigure:
    """How many labels are disagreed with how surely, one histogram for each group of galaxies."""
    figure, panels = make_panels(1, width=5.2, height=3.0)
    panel = panels[0]
    values = [one[np.isfinite(one)] for one in against.values()]
    panel.hist(
        values, bins=BINS, range=(0, 1), histtype="step", color=COLOURS[: len(values)], label=list(against), log=True
    )
    panel.axvline(confidence, color="0.3", linestyle="--", linewidth=1, label=f"likely wrong from {confidence:g} on")
    panel.set(xlabel="mean probability of another class than the label", ylabel="galaxies")
    panel.set_ylim(bottom=0.7)
    legend_above(panel)
    light_grid(panel)
    return NamedFigure(
        name,
        figure,
        f"{caption} Each galaxy stands at the mean probability that networks which did not train on it give to another class than its label.",
        f"Histogram of the probability of another class, with {', '.join(against)}.",
    )


@drawn
def detection_figure(detection: Mapping[str, Table]) -> NamedFigure:
    """Precision against recall of finding wrong labels, by least probability, and of the other rule; a panel for each kind of error."""
    figure, panels = make_panels(len(detection), width=3.8, height=3.4, sharey=True)
    for panel, (kind, table) in zip(panels, detection.items(), strict=False):
        ours = rows_with(table, rule="probability")
        panel.plot(ours["recall"], ours["precision"], color=COLOURS[0], marker=MARKERS[0], markersize=4)
        for row in ours:
            if np.isfinite(row["precision"]) and np.isfinite(row["recall"]):
                panel.annotate(
                    f"{row['confidence']:g}",
                    (row["recall"], row["precision"]),
                    fontsize=7,
                    textcoords="offset points",
                    xytext=(4, 4),
                )
        theirs = rows_with(table, rule=CONFIDENT_LEARNING)
        if len(theirs):
            panel.errorbar(
                theirs["recall"],
                theirs["precision"],
                xerr=[theirs["recall"] - theirs["recall_low"], theirs["recall_high"] - theirs["recall"]],
                yerr=[theirs["precision"] - theirs["precision_low"], theirs["precision_high"] - theirs["precision"]],
                color=COLOURS[1],
                marker=MARKERS[1],
                linestyle="none",
                capsize=2,
                label=CONFIDENT_LEARNING,
            )
            legend_above(panel)
        panel.set(xlabel="recall: of the wrong labels, found", xlim=(0, 1.02), ylim=(0, 1.05))
        panel.set_title(kind, loc="right", fontsize=9)
        light_grid(panel)
    panels[0].set_ylabel("precision: of those found, wrong")
    return NamedFigure(
        "detection",
        figure,
        "Wrong labels found by the networks' mean probability of another class (the numbers: from which probability on a label is called "
        "wrong), and by cleanlab on the same votes with its 95 % intervals.",
        f"Precision against recall, {', '.join(detection)}.",
    )


@drawn
def galaxies_figure(
    sample: GalaxySample, galaxies: Sequence[int], titles: Sequence[str], name: str, caption: str
) -> NamedFigure:
    """Images of galaxies (positions in the sample), a few lines over each."""
    columns = min(max(len(galaxies), 1), 8)
    figure, panels = make_panels(columns, -(-max(len(galaxies), 1) // columns), width=1.05, height=1.4)
    for panel in panels:
        panel.set_axis_off()
    layout = figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    layout.set(rect=(0, 0, 1, 0.96))  # titles of images reach above what it allows for
    for panel, galaxy, title in zip(panels, galaxies, titles, strict=False):
        panel.set_axis_on()
        image = grey(sample.images[galaxy])
        show_image(panel, image, *brightness_range(image))
        panel.set_title(title, fontsize=5)
    return NamedFigure(name, figure, f"{caption} Arcsinh stretch of each on its own.", f"{len(galaxies)} galaxies.")
