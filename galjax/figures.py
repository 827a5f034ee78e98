"""Figures of a sweep: accuracy against resolution, sample sizes, training curves, and galleries of degraded galaxies."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galjax.metrics import accuracy
from galjax.repeats import History
from galjax.resample import Convention, degrade_matrices, resize_matrices
from galjax.sample import GalaxySample
from galjax.statistics import Selection, summarise

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe & Ito's palette, told apart also by colour-blind eyes; markers and line styles differ as well."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
SPREADS = {"std": "1 standard deviation over the repeats", "ste": "1 standard error of the mean"}
SELECTION_MEANING: dict[Selection, str] = {
    "test-mean": "epoch of the best mean test accuracy",
    "last": "last epoch",
    "validation": "epoch of the best mean validation accuracy",
}


@dataclasses.dataclass(frozen=True)
class NamedFigure:
    """A figure with what a reader and a screen reader need to know of it."""

    name: str
    """File name without ending."""
    figure: Figure
    caption: str
    alternative: str
    """What the figure shows, for those who cannot see it."""


def accuracy_by_method(summary: Table, per_class: int, spread: str) -> NamedFigure:
    """Accuracy against resolution, one panel per method (thesis, figures 5.5-5.7 with std, 5.9-5.11 with ste)."""
    chosen = _rows(summary, per_class=per_class, selection="test-mean")
    methods = _methods(chosen)
    figure, panels = _panels(len(methods))
    for panel, method, colour, marker in zip(panels, methods, COLOURS, MARKERS, strict=False):
        _draw_line(panel, chosen, method, spread, colour, marker, method)
        panel.set_title(method)
    _finish(panels, chosen)
    n = int(chosen["n"][0])
    return NamedFigure(
        f"accuracy_{spread}_{per_class}",
        figure,
        f"Accuracy on test galaxies shrunk by the factor and enlarged back, for networks trained at Original on "
        f"{per_class} galaxies per class. Points are means over n = {n} repeats, bars {SPREADS[spread]}; each point at "
        f"its {SELECTION_MEANING['test-mean']}.",
        _describe(chosen, methods),
    )


def methods_compared(summary: Table, per_class: int) -> NamedFigure:
    """All methods in one panel, points set apart sideways (thesis, figure 5.8)."""
    chosen = _rows(summary, per_class=per_class, selection="test-mean")
    methods = _methods(chosen)
    figure, panels = _panels(1, width=6.4)
    for index, method in enumerate(methods):
        shift = 0.12 * (index - (len(methods) - 1) / 2)
        _draw_line(panels[0], chosen, method, "std", COLOURS[index], MARKERS[index], method, shift)
    _finish(panels, chosen, legend="enlarged with")
    return NamedFigure(
        f"methods_compared_{per_class}",
        figure,
        f"The enlarging methods compared, {per_class} galaxies per class. Points are means over n = "
        f"{int(chosen['n'][0])} repeats, bars {SPREADS['std']}; drawn side by side for legibility.",
        _describe(chosen, methods),
    )


def sample_sizes_compared(summary: Table) -> NamedFigure:
    """One line per number of training galaxies, one panel per method (thesis, figures 5.12-5.14)."""
    chosen = _rows(summary, selection="test-mean")
    methods, sizes = _methods(chosen), sorted(set(chosen["per_class"]))
    figure, panels = _panels(len(methods))
    for panel, method in zip(panels, methods, strict=True):
        for index, size in enumerate(sizes):
            shift = 0.12 * (index - (len(sizes) - 1) / 2)
            rows = _rows(chosen, per_class=size)
            _draw_line(panel, rows, method, "std", COLOURS[index], MARKERS[index], str(size), shift)
        panel.set_title(method)
    _finish(panels, chosen, legend="galaxies per class")
    return NamedFigure(
        "sample_sizes_compared",
        figure,
        f"Sample sizes compared. Points are means over n = {int(chosen['n'][0])} repeats, bars {SPREADS['std']}.",
        "; ".join(f"{size} per class: {_describe(_rows(chosen, per_class=size), methods)}" for size in sizes),
    )


def selections_compared(summary: Table, per_class: int) -> NamedFigure:
    """One line per way of choosing the epoch: how optimistic the choice by test galaxies is."""
    chosen = _rows(summary, per_class=per_class)
    methods, ways = _methods(chosen), list(dict.fromkeys(chosen["selection"]))
    figure, panels = _panels(len(methods))
    for panel, method in zip(panels, methods, strict=True):
        for index, way in enumerate(ways):
            shift = 0.12 * (index - (len(ways) - 1) / 2)
            rows = _rows(chosen, selection=way)
            _draw_line(panel, rows, method, "ste", COLOURS[index], MARKERS[index], way, shift)
        panel.set_title(method)
    _finish(panels, chosen, legend="epoch chosen by")
    return NamedFigure(
        f"selections_compared_{per_class}",
        figure,
        f"What choosing the epoch by the test galaxies adds, {per_class} per class: "
        + "; ".join(f"{way}, {SELECTION_MEANING[way]}" for way in ways)
        + f". Points are means over n = {int(chosen['n'][0])} repeats, bars {SPREADS['ste']}.",
        "; ".join(f"{way}: {_describe(_rows(chosen, selection=way), methods)}" for way in ways),
    )


def training_curves(history: History, per_class: int) -> NamedFigure:
    """Loss and accuracy against epoch, training and test at Original, mean and 1 std band (as figures 4.7-4.10)."""
    figure = Figure(figsize=(8.4, 3.2), layout="constrained", dpi=200)
    loss_panel, accuracy_panel = figure.subplots(1, 2)
    epochs = np.arange(1, history.train_loss.shape[1] + 1)
    test_accuracy = accuracy(history.test_confusion[:, :, 0])
    curves = [
        (loss_panel, epochs, history.train_loss, "training", 0),
        (loss_panel, history.evaluated_epoch, history.test_loss[:, :, 0], "test, Original", 1),
        (accuracy_panel, epochs, history.train_accuracy, "training", 0),
        (accuracy_panel, history.evaluated_epoch, test_accuracy, "test, Original", 1),
    ]
    for panel, x, values, label, style in curves:
        mean, std, _, n = summarise(np.asarray(values, np.float64))
        few = len(x) <= 40
        panel.plot(x, mean, "-" if style == 0 else "--", color=COLOURS[style], label=label,
                   marker=MARKERS[style] if few else None, markersize=3)  # fmt: skip
        if n > 1:
            panel.fill_between(x, mean - std, mean + std, color=COLOURS[style], alpha=0.2, linewidth=0)
    loss_panel.set(xlabel="epoch", ylabel="categorical cross-entropy")
    loss_panel.set_ylim(0, min(loss_panel.get_ylim()[1], 3 * float(np.median(history.train_loss)) + 0.7))
    accuracy_panel.set(xlabel="epoch", ylabel="accuracy")
    accuracy_panel.legend(frameon=False)
    return NamedFigure(
        f"training_curves_{per_class}",
        figure,
        f"Training, {per_class} galaxies per class: mean over n = {len(history.train_loss)} repeats and a band of 1 "
        f"standard deviation. Training values are means over the epoch, with dropout; very high first losses are cut off.",
        f"Training loss falls from {history.train_loss[:, 0].mean():.2f} to {history.train_loss[:, -1].mean():.2f}; test "
        f"accuracy at Original goes from {test_accuracy[:, 0].mean():.3f} to {test_accuracy[:, -1].mean():.3f}.",
    )


def gallery(
    sample: GalaxySample, class_name: str, factors: Sequence[int], methods: Sequence[str], convention: Convention
) -> NamedFigure:
    """One galaxy shrunk by every factor, and enlarged with every method (thesis, figures 5.2, 5.3).

    The galaxy is the one whose contrast (standard deviation of its pixels) is nearest the class's 90th percentile.
    """
    members = np.flatnonzero(sample.labels == sample.class_names.index(class_name))
    contrast = sample.images[members].reshape(len(members), -1).std(axis=1)
    index = members[np.abs(contrast - np.percentile(contrast, 90)).argmin()]
    image = sample.images[index].astype(np.float64)
    image = image if image.ndim == 2 else image.mean(axis=-1)
    shape = image.shape
    columns = [1, *(factor for factor in factors if factor > 1)]
    rows = ["shrunk", *methods]
    figure = Figure(figsize=(1.05 * len(columns) + 0.5, 1.12 * len(rows) + 0.3), layout="constrained", dpi=200)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    low, high = np.percentile(image, [5, 99.8])
    noise = max(np.std(image[image < np.median(image)]), 1e-3 * (high - low), 1e-12)
    for column, factor in enumerate(columns):
        for row, method in enumerate(rows):
            if method == "shrunk":
                size = (shape[0] // factor, shape[1] // factor)
                left, right = resize_matrices(shape, size, "area", convention)
            else:
                left, right = degrade_matrices(shape, factor, method, convention)
            panel = panels[row, column]
            shown = np.arcsinh((left @ image @ right.T - low) / (2 * noise))
            panel.imshow(shown, cmap="gray", vmin=0, vmax=np.arcsinh((high - low) / (2 * noise)), origin="lower",
                         interpolation="nearest")  # fmt: skip
            panel.set(xticks=[], yticks=[])
            if row == 0:
                panel.set_title(f"Original\n{shape[1]} px" if factor == 1 else f"1/{factor}\n{shape[1] // factor} px",
                                fontsize=8)  # fmt: skip
            if column == 0:
                panel.set_ylabel(method, fontsize=8)
    return NamedFigure(
        f"gallery_{class_name}",
        figure,
        f"A galaxy labelled {class_name} (id {sample.ids[index]}), shrunk by the mean over covered pixels and enlarged "
        f"back to {shape[1]} px. Arcsinh stretch, the same in all panels.",
        f"Grid of {len(rows)} x {len(columns)} images of one galaxy labelled {class_name}, losing detail from left to "
        f"right.",
    )


def sweep_figures(
    summary: Table,
    histories: Mapping[int, History],
    sample: GalaxySample,
    factors: Sequence[int],
    methods: Sequence[str],
    convention: Convention,
) -> list[NamedFigure]:
    """Every figure of a resolution sweep, in the order of the report."""
    figures: list[NamedFigure] = []
    for per_class in histories:
        figures += [methods_compared(summary, per_class)]
        figures += [accuracy_by_method(summary, per_class, spread) for spread in SPREADS]
        figures += [selections_compared(summary, per_class)]
    if len(histories) > 1:
        figures.append(sample_sizes_compared(summary))
    figures += [training_curves(history, per_class) for per_class, history in histories.items()]
    figures += [gallery(sample, name, factors, methods, convention) for name in sample.class_names]
    return figures


def _rows(table: Table, **wanted: object) -> Table:
    keep = np.ones(len(table), bool)
    for name, value in wanted.items():
        keep &= np.asarray(table[name]) == value
    return table[keep]


def _methods(summary: Table) -> list[str]:
    return [method for method in dict.fromkeys(summary["method"]) if method != "none"] or ["none"]


def _line(summary: Table, method: str) -> Table:
    """Original and the factors of one method, from fine to coarse."""
    rows = summary[(summary["method"] == method) | (summary["factor"] == 1)]
    rows.sort("factor")
    return rows


def _panels(count: int, width: float = 3.2) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(max(width * count, 4.8), 3.4), layout="constrained", dpi=200)
    return figure, list(figure.subplots(1, count, sharey=True, squeeze=False)[0])


def _draw_line(
    panel: Axes, summary: Table, method: str, spread: str, colour: str, marker: str, label: str, shift: float = 0.0
) -> None:
    line = _line(summary, method)
    bars = None if np.isnan(line[spread]).all() else line[spread]
    panel.errorbar(np.asarray(line["factor"]) + shift, line["mean"], yerr=bars, color=colour, marker=marker,
                   markersize=4, linewidth=1.2, capsize=2.5, elinewidth=1, label=label)  # fmt: skip


def _finish(panels: Sequence[Axes], summary: Table, legend: str | None = None) -> None:
    factors = sorted(set(summary["factor"]))
    names = ["Orig." if factor == 1 else f"1/{factor}" for factor in factors]
    for panel in panels:
        panel.axhline(0.9, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
        panel.set_xticks(factors, names)
        panel.set_xlabel("resolution of the test images")
        panel.grid(axis="y", color="0.92", linewidth=0.6)
    panels[0].set_ylabel("accuracy")
    if legend is not None:
        panels[-1].legend(title=legend, frameon=False, fontsize=8, title_fontsize=8)


def _describe(summary: Table, methods: Sequence[str]) -> str:
    lines = []
    for method in methods:
        line = _line(summary, method)
        points = ", ".join(
            f"{'Original' if row['factor'] == 1 else '1/' + str(row['factor'])} {row['mean']:.3f}" for row in line
        )
        lines.append(f"{method}: {points}")
    return "Mean accuracy. " + "; ".join(lines)
