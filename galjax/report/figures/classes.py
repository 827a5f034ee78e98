"""Figures of what networks make of single classes and galaxies: ROC curves, accuracy against redshift, the galaxies most often wrong."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from sklearn.metrics import roc_curve

from galjax.analysis.classes import Binned, Said
from galjax.report.figures.galleries import brightness_range
from galjax.report.figures.style import COLOURS, MARKERS, NamedFigure, drawn, grey, light_grid, make_panels, show_image
from galjax.sample import GalaxySample


@drawn
def roc_figure(by_resolution: Mapping[str, Said], class_names: Sequence[str], method: str) -> NamedFigure:
    """ROC curves of every class against the others, test galaxies of all repeats together, a line for each resolution."""
    names = class_names[:1] if len(class_names) == 2 else class_names
    figure, panels = make_panels(len(names), width=3.6, height=3.4)
    colours = colormaps["viridis_r"](np.linspace(0.1, 1, len(by_resolution)))
    for number, (panel, name) in enumerate(zip(panels, names, strict=False)):
        panel.plot([0, 1], [0, 1], color="0.8", linewidth=0.8)
        for colour, (label, said) in zip(colours, by_resolution.items(), strict=True):
            is_class = (said.labels == number).ravel()
            if is_class.all() or not is_class.any():
                continue
            false, true, _ = roc_curve(is_class, said.probabilities[..., number].ravel())
            panel.plot(false, true, color=colour, linewidth=1.1, label=label)
        panel.set(xlabel="false positive rate", ylabel=f"true positive rate of {name}", xlim=(0, 1), ylim=(0, 1.01))
    panels[0].legend(frameon=False, fontsize=7, loc="lower right")
    return NamedFigure(
        "roc",
        figure,
        f"ROC curves (enlarged with {method}), test galaxies of all repeats together: what is told apart at each resolution, wherever the "
        f"threshold is. On the diagonal nothing is.",
        f"ROC curves at {', '.join(by_resolution)}.",
    )


@drawn
def accuracy_against_figure(binned: Mapping[str, Mapping[str, Binned]], method: str) -> NamedFigure:
    """Accuracy against each known quantity, a panel for each, a line for each resolution."""
    figure, panels = make_panels(len(binned), width=3.8, height=3.0, sharey=True)
    for panel, (quantity, lines) in zip(panels, binned.items(), strict=False):
        for number, (label, one) in enumerate(lines.items()):
            panel.errorbar(
                one.middles,
                one.accuracy,
                yerr=one.error,
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
                linewidth=1.1,
                capsize=2,
                label=label,
            )
        panel.set_xlabel(quantity)
        light_grid(panel)
    panels[0].set_ylabel("accuracy")
    panels[0].legend(frameon=False, fontsize=8)
    return NamedFigure(
        "accuracy_against",
        figure,
        f"Accuracy against {' and '.join(binned)} (enlarged with {method}): test galaxies of all repeats, in bins of as many each; bars 1 "
        f"binomial standard error for the different galaxies in a bin.",
        f"Accuracy against {', '.join(binned)}.",
    )


@drawn
def wrong_gallery(
    sample: GalaxySample, wrong: Sequence[tuple[int, float, int]], said_as: Mapping[int, str], where: str
) -> NamedFigure:
    """The galaxies that are most often named wrong; over each its true class, what it is named, and by how many of the repeats."""
    columns = min(max(len(wrong), 1), 8)
    figure, panels = make_panels(columns, -(-len(wrong) // columns), width=1.05, height=1.35)
    for panel in panels:
        panel.set_axis_off()
    for panel, (galaxy, share, tests) in zip(panels, wrong, strict=False):
        image = grey(sample.images[galaxy])
        show_image(panel, image, *brightness_range(image))
        true = sample.class_names[sample.labels[galaxy]]
        panel.set_title(
            f"{true}\nnamed {said_as[galaxy]}\n{round(share * tests)} of {tests}\n{sample.ids[galaxy]}", fontsize=5
        )
    return NamedFigure(
        "most_often_wrong",
        figure,
        f"The test galaxies that are most often named wrong {where}: true class, the class most often named, by how many of the repeats that "
        f"test it, and id. Wrong labels are among them.",
        f"{len(wrong)} images of galaxies that are most often named wrong.",
    )
