"""Confusion matrices, mean and standard deviation over the repeats."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int

from galjax.analysis.wording import fixed
from galjax.metrics import accuracy, true_positive_rate
from galjax.report.figures.style import NamedFigure, drawn, make_panels
from galjax.statistics import repeats_left, summarise


@drawn
def confusion_figure(
    confusions: Mapping[str, Int[np.ndarray, "repeat predicted true"]],
    class_names: Sequence[Sequence[str]],
    name: str,
    what: str,
) -> NamedFigure:
    """One panel per key: counts as mean +- std, rows predicted, columns true (thesis, figures 4.11, 4.12, 4.17, 4.18).

    The shade is the share of the true class, so that classes of different size compare; `class_names` go with the panels.
    """
    figure, panels = make_panels(len(confusions), width=3.6, height=3.5)
    words = []
    for panel, (label, counts), names in zip(panels, confusions.items(), class_names, strict=True):
        counts = counts[counts.sum(axis=(1, 2)) > 0]  # a dropped repeat has no galaxies
        mean, std, _, _ = summarise(counts.astype(np.float64))
        shares = mean / np.maximum(mean.sum(axis=0, keepdims=True), 1e-12)
        panel.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row in range(len(names)):
            for column in range(len(names)):
                spread = f"\n± {std[row, column]:.1f}" if np.isfinite(std[row, column]) else ""
                panel.text(
                    column,
                    row,
                    f"{mean[row, column]:.1f}{spread}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if shares[row, column] > 0.55 else "black",
                )
        rates = summarise(true_positive_rate(counts)).mean
        ticks = [f"{class_name}\nTPR {fixed(rate)}" for class_name, rate in zip(names, rates, strict=True)]
        panel.set_xticks(range(len(names)), ticks, fontsize=8)
        panel.set_yticks(range(len(names)), names, fontsize=8, rotation=90, va="center")
        panel.set(xlabel="true class", ylabel="predicted class", title=label)
        words.append(
            f"{label}: "
            + ", ".join(
                f"of true {true} {mean[row, column]:.1f} are called {predicted}"
                for column, true in enumerate(names)
                for row, predicted in enumerate(names)
            )
        )
    n = repeats_left(*(accuracy(counts) for counts in confusions.values()))
    spread = "" if n == "1" else " ± 1 standard deviation"
    return NamedFigure(
        name,
        figure,
        f"Confusion matrices of {what}: test galaxies, mean{spread} over n = {n} repeats; rows predicted, "
        f"columns true. The shade is the share of the true class; TPR, its true positive rate TP / (TP + FN).",
        "; ".join(words) + ".",
    )
