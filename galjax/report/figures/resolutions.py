"""Trained at one resolution, tested at another: lines, the whole matrix, and what a loss is made of."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.analysis.reference import References
from galjax.analysis.wording import NEW_GALAXIES, fixed
from galjax.report.figures.style import (
    NamedFigure,
    bars_with_intervals,
    drawn,
    legend_above,
    light_grid,
    make_panels,
    means_with_std,
    points_and_bars,
)
from galjax.statistics import count_in_words, repeats_left, summarise

Accuracies = Mapping[tuple[int, int], Float[np.ndarray, " repeat"]]
"""Accuracy in every repeat, by factor trained at and factor tested at."""


def _name(factor: int) -> str:
    return "Orig." if factor == 1 else f"1/{factor}"


def _mean(values: Float[np.ndarray, " repeat"]) -> float:
    return float(summarise(values).mean)


@drawn
def same_resolution_figure(
    accuracies: Accuracies, factors: Sequence[int], method: str, references: References | None = None
) -> NamedFigure:
    """Accuracy against the resolution of the test images, trained at Original and trained at that resolution.

    And that of another classifier on the small images, where there are such `references`.
    """
    figure, (panel,) = make_panels(1, width=5.8)
    lines = {
        "trained at Original": [accuracies[1, factor] for factor in factors],
        "trained at the same resolution": [accuracies[factor, factor] for factor in factors],
    }
    if references:
        lines["support vector machine"] = [references[factor].accuracy for factor in factors]
    for index, (label, values) in enumerate(lines.items()):
        means_with_std(panel, np.array(factors) + 0.06 * (2 * index - 1), values, index, label)
    panel.set_xticks(list(factors), [_name(factor) for factor in factors])
    panel.set(xlabel="resolution of the test images", ylabel="accuracy")
    legend_above(panel)
    light_grid(panel)
    n = repeats_left(*accuracies.values())
    return NamedFigure(
        "same_resolution",
        figure,
        f"Accuracy on test galaxies shrunk by the factor and enlarged with {method}. "
        f"{points_and_bars(n, 'std')}; drawn side by side for legibility.{_sizes(references)}",
        "; ".join(
            f"{label}: " + ", ".join(f"{_name(f)} {_mean(v):.3f}" for f, v in zip(factors, values, strict=True))
            for label, values in lines.items()
        )
        + ".",
    )


def _sizes(references: References | None) -> str:
    if not references:
        return ""
    sizes = ", ".join(f"{_name(factor)} {'x'.join(map(str, one.size))}" for factor, one in references.items())
    return f" The support vector machine sees the same galaxies, shrunk but not enlarged (px): {sizes}."


@drawn
def resolution_matrix(accuracies: Accuracies, factors: Sequence[int], method: str) -> NamedFigure:
    """Mean accuracy for every resolution trained at (rows) and tested at (columns)."""
    figure, (panel,) = make_panels(1, width=0.75 * len(factors) + 2.2, height=0.62 * len(factors) + 1.6)
    mean = np.array([[_mean(accuracies[row, column]) for column in factors] for row in factors])
    lowest, highest = min(0.5, float(mean.min())), max(float(mean.max()), 0.51)
    image = panel.imshow(mean, cmap="viridis", vmin=lowest, vmax=highest)
    for row in range(len(factors)):
        for column in range(len(factors)):
            dark = mean[row, column] < (lowest + highest) / 2
            panel.text(
                column,
                row,
                f"{mean[row, column]:.3f}",
                ha="center",
                va="center",
                fontsize=8,
                color="white" if dark else "black",
            )
    names = [_name(factor) for factor in factors]
    panel.set_xticks(range(len(names)), names)
    panel.set_yticks(range(len(names)), names)
    panel.set(xlabel="resolution tested at", ylabel="resolution trained at")
    figure.colorbar(image, ax=panel, label="mean accuracy", shrink=0.85)
    return NamedFigure(
        "resolution_matrix",
        figure,
        f"Mean accuracy over n = {repeats_left(*accuracies.values())} repeats for every pair of resolutions, images enlarged with {method}. "
        f"The diagonal is trained and tested alike; the first row is what the resolution sweep measures.",
        "; ".join(
            f"trained at {names[row]}: " + ", ".join(f"{names[c]} {mean[row, c]:.3f}" for c in range(len(names)))
            for row in range(len(names))
        )
        + ".",
    )


@drawn
def loss_figure(losses: Table) -> NamedFigure:
    """For every factor the loss against Original, as the part that is the mismatch and the part that training does not win back."""
    figure, (panel,) = make_panels(1, width=5.8)
    factors = sorted(set(losses["factor"].tolist()))
    parts = {"not won back": "not won back by training there", "mismatch": "mismatch"}
    for index, (part, label) in enumerate(parts.items()):
        rows = losses[losses["part"] == part]
        bars_with_intervals(panel, np.array(factors) + 0.38 * (index - 0.5), rows, "difference", index, label)
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set_xticks(factors, [_name(factor) for factor in factors])
    panel.set(xlabel="resolution of the test images", ylabel="loss of accuracy against Original")
    legend_above(panel)
    light_grid(panel)
    return NamedFigure(
        "loss",
        figure,
        f"What the loss of accuracy against training and testing at Original is made of. Bars are means over n = "
        f"{count_in_words(losses['n'])} repeats, lines 95 % confidence intervals of the paired differences {NEW_GALAXIES}, where there is one.",
        "; ".join(f"{row['part']} at 1/{row['factor']}: {fixed(row['difference'])}" for row in losses) + ".",
    )
