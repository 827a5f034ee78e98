"""Figures of a catalogue: how its probabilities are spread, how often they are right, and galaxies to look at."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib import colormaps
from matplotlib.figure import Figure

from galjax.calibration import BINS, Reliability
from galjax.report.figures.galleries import brightness_range
from galjax.report.figures.style import (
    COLOURS,
    DPI,
    MARKERS,
    NamedFigure,
    drawn,
    grey,
    light_grid,
    make_panels,
    show_image,
)

HISTOGRAM_BINS = 40


@drawn
def probability_histograms(probabilities: Mapping[str, Float[np.ndarray, " galaxy"]]) -> NamedFigure:
    """How many galaxies have which probability of each class."""
    figure, panels = make_panels(len(probabilities), width=3.2, height=2.6)
    for panel, (name, values) in zip(panels, probabilities.items(), strict=True):
        panel.hist(values[np.isfinite(values)], bins=HISTOGRAM_BINS, range=(0, 1), color=COLOURS[0])
        panel.set(
            xlabel=f"probability of {name}", ylabel="galaxies", yscale="log" if np.isfinite(values).any() else "linear"
        )
        light_grid(panel)
    return NamedFigure(
        "probabilities",
        figure,
        "Galaxies by the probability of each class (mean over repeats).",
        f"Histograms of the probabilities of {', '.join(probabilities)}.",
    )


@drawn
def reliability_diagrams(reliabilities: Mapping[str, Sequence[Reliability]]) -> NamedFigure:
    """How often the class named is right, against its probability, before and after calibration; a panel for each resolution."""
    columns = min(len(reliabilities), 4)
    rows = -(-len(reliabilities) // columns)
    figure, panels = make_panels(columns, rows, width=2.6, height=2.6, sharex=True, sharey=True)
    for panel in panels[len(reliabilities) :]:
        panel.set_axis_off()
    for panel, (name, both) in zip(panels, reliabilities.items(), strict=False):
        panel.plot([0, 1], [0, 1], color="0.7", linewidth=0.8)
        for number, (label, one) in enumerate(zip(("as trained", "calibrated"), both, strict=False)):
            bins = one.in_bins(BINS)
            counts = np.array(bins.counts)
            some = counts > 0
            sure, right = (np.array(values)[some] / counts[some] for values in (bins.sureness, bins.correct))
            panel.plot(
                sure, right, color=COLOURS[number], marker=MARKERS[number], markersize=3.5, linewidth=1, label=label
            )
        panel.set(title=name, xlim=(0, 1), ylim=(0, 1))
    for panel in panels[::columns]:
        panel.set_ylabel("named right")
    for panel in panels[max(len(reliabilities) - columns, 0) : len(reliabilities)]:
        panel.set_xlabel("probability of the class named")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")
    return NamedFigure(
        "reliability",
        figure,
        f"Share of galaxies named right, against the probability of the class named, in {BINS} bins: single networks on their own test "
        f"galaxies, as they were trained and calibrated by other test galaxies at the same resolution. On the diagonal probabilities are "
        f"right.",
        f"Reliability diagrams at {', '.join(reliabilities)}.",
    )


@drawn
def coverage_curves(reliabilities: Mapping[str, Reliability]) -> NamedFigure:
    """The accuracy where only the surest part of the galaxies is named."""
    figure, (panel,) = make_panels(1, width=5.0, height=3.2)
    colours = colormaps["viridis_r"](np.linspace(0.1, 1, len(reliabilities)))
    for colour, (name, one) in zip(colours, reliabilities.items(), strict=True):
        kept, right = one.coverage()
        panel.plot(kept, right, color=colour, label=name)
    panel.set(xlabel="share of galaxies named, the surest first", ylabel="accuracy among them", xlim=(0, 1))
    light_grid(panel)
    panel.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    return NamedFigure(
        "coverage",
        figure,
        "Accuracy among the surest galaxies, against their share: single networks on their own test galaxies, calibrated.",
        f"Curves of accuracy against coverage at {', '.join(reliabilities)}.",
    )


@drawn
def surest_and_least_sure(
    class_name: str,
    surest: Sequence[tuple[str, Float[np.ndarray, "height width *band"]]],
    least: Sequence[tuple[str, Float[np.ndarray, "height width *band"]]],
) -> NamedFigure:
    """Galaxies of one class with the highest probabilities, and with the lowest that still name it; each with a title."""
    columns = max(len(surest), len(least), 1)
    figure = Figure(figsize=(max(1.05 * columns, 4.8), 2 * 1.25), layout="constrained", dpi=DPI)
    panels = figure.subplots(2, columns, squeeze=False)
    for row, galaxies in enumerate((surest, least)):
        for panel in panels[row]:
            panel.set_axis_off()
        for panel, (title, image) in zip(panels[row], galaxies, strict=False):
            pixels = grey(image)
            show_image(panel, pixels, *brightness_range(pixels))
            panel.set_title(title, fontsize=5)
    return NamedFigure(
        f"certain_{class_name.replace(' ', '_')}",
        figure,
        f"Galaxies named {class_name}: above those with the highest probability of it, below those with the lowest. Over each image the "
        f"probability and the id.",
        f"Images of galaxies named {class_name}, surest and least sure.",
    )
