"""Figures of a resolution sweep: accuracy against resolution, methods and sample sizes compared."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from astropy.table import Table
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from galjax.analysis.tables import rows_with
from galjax.analysis.wording import EPOCH, fixed, minus
from galjax.report.figures.curves import training_curves
from galjax.report.figures.galleries import degraded_gallery
from galjax.report.figures.style import (
    COLOURS,
    MARKERS,
    NamedFigure,
    drawn,
    light_grid,
    make_panels,
    points_and_bars,
    spread_of,
)
from galjax.resample import Convention
from galjax.sample import GalaxySample
from galjax.statistics import count_in_words, leading
from galjax.training.conditions import Condition
from galjax.training.history import History


@drawn
def accuracy_by_method(summary: Table, per_class: int, spread: str) -> NamedFigure:
    """Accuracy against resolution, one panel per method (thesis, figures 5.5-5.7 with standard deviations, 5.9-5.11 with standard errors)."""
    selection = leading(summary["selection"])
    chosen = rows_with(summary, per_class=per_class, selection=selection)
    methods = _methods(chosen)
    figure, panels = make_panels(len(methods), sharey=True)
    for index, (panel, method) in enumerate(zip(panels, methods, strict=True)):
        _draw_line(panel, _line(chosen, method), spread, method, index)
        panel.set_title(method)
    _finish(figure, panels, chosen)
    n = count_in_words(chosen["n"])
    return NamedFigure(
        f"accuracy_{spread}_{per_class}",
        figure,
        f"Accuracy on test galaxies shrunk by the factor and enlarged back, for networks trained at Original on "
        f"{_drawn(summary, per_class)}. {points_and_bars(n, spread)}; all "
        f"{EPOCH[selection]}. {_about_lines(summary)}",
        _describe(chosen, methods),
    )


@drawn
def methods_compared(summary: Table, per_class: int) -> NamedFigure:
    """All methods in one panel, points set apart sideways (thesis, figure 5.8)."""
    selection = leading(summary["selection"])
    chosen = rows_with(summary, per_class=per_class, selection=selection)
    methods = _methods(chosen)
    figure, panels = make_panels(1, width=6.4, sharey=True)
    for index, method in enumerate(methods):
        shift = 0.12 * (index - (len(methods) - 1) / 2)
        _draw_line(panels[0], _line(chosen, method), "std", method, index, shift)
    _finish(figure, panels, chosen, legend="enlarged with")
    n = count_in_words(chosen["n"])
    return NamedFigure(
        f"methods_compared_{per_class}",
        figure,
        f"The interpolation methods compared, {_drawn(summary, per_class)}. {points_and_bars(n, 'std')}; drawn side by side "
        f"for legibility. {_about_lines(summary)}",
        _describe(chosen, methods),
    )


@drawn
def sample_sizes_compared(summary: Table) -> NamedFigure:
    """One line per number of training galaxies, one panel per method (thesis, figures 5.12-5.14)."""
    chosen = rows_with(summary, selection=leading(summary["selection"]))
    methods, sizes = _methods(chosen), sorted(set(chosen["per_class"]))
    figure, panels = make_panels(len(methods), sharey=True)
    for panel, method in zip(panels, methods, strict=True):
        for index, size in enumerate(sizes):
            shift = 0.12 * (index - (len(sizes) - 1) / 2)
            rows = rows_with(chosen, per_class=size)
            _draw_line(panel, _line(rows, method), "std", str(size), index, shift)
        panel.set_title(method)
    _finish(figure, panels, chosen, legend="galaxies per class")
    n = count_in_words(chosen["n"])
    return NamedFigure(
        "sample_sizes_compared",
        figure,
        f"Sample sizes compared. {points_and_bars(n, 'std')}. {_about_lines(summary)}",
        "; ".join(f"{size} per class: {_describe(rows_with(chosen, per_class=size), methods)}" for size in sizes),
    )


@drawn
def selections_compared(summary: Table, per_class: int) -> NamedFigure:
    """One line per way of choosing the epoch: how optimistic the choice by test galaxies is."""
    chosen = rows_with(summary, per_class=per_class)
    methods, ways = _methods(chosen), list(dict.fromkeys(chosen["selection"]))
    figure, panels = make_panels(len(methods), sharey=True)
    for panel, method in zip(panels, methods, strict=True):
        for index, way in enumerate(ways):
            shift = 0.12 * (index - (len(ways) - 1) / 2)
            rows = rows_with(chosen, selection=way)
            _draw_line(panel, _line(rows, method), "ste", way, index, shift)
        panel.set_title(method)
    _finish(figure, panels, chosen, legend="epoch chosen by")
    n = count_in_words(chosen["n"])
    return NamedFigure(
        f"selections_compared_{per_class}",
        figure,
        f"Ways of choosing the epoch compared, {_drawn(summary, per_class)}: "
        + "; ".join(f"{way}, {EPOCH[way]}" for way in ways)
        + f". {points_and_bars(n, 'ste')}. {_about_lines(summary)}",
        "; ".join(f"{way}: {_describe(rows_with(chosen, selection=way), methods)}" for way in ways),
    )


@drawn
def discrimination_by_method(summary: Table, per_class: int) -> NamedFigure:
    """Accuracy beside accuracy at fitted thresholds and area under the ROC curve, one panel per method."""
    selection = leading(summary["selection"])
    chosen = rows_with(summary, per_class=per_class, selection=selection)
    methods = _methods(chosen)
    found = {name: _of_metric(chosen, *columns) for name, columns in BESIDE_ACCURACY.items()}
    figure, panels = make_panels(len(methods), sharey=True)
    for panel, method in zip(panels, methods, strict=True):
        for index, (name, rows) in enumerate(found.items()):
            _draw_line(panel, _line(rows, method), "std", name, index, 0.1 * (index - 1))
        panel.set_title(method)
    _label_axes(panels, chosen, "accuracy, or area under the ROC curve")
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    n = count_in_words(chosen["n"])
    return NamedFigure(
        f"discrimination_{per_class}",
        figure,
        f"Accuracy, accuracy at a threshold fitted on other test galaxies of the same resolution (half of them, both ways), and area under the "
        f"ROC curve, for networks trained at Original on {_drawn(summary, per_class)}. What the second lies above the first is lost by the "
        f"threshold alone; where the last two stay high the classes are still told apart. {points_and_bars(n, 'std')}; all {EPOCH[selection]}.",
        ". ".join(_describe(rows, methods, name) for name, rows in found.items()),
    )


BESIDE_ACCURACY = {
    "accuracy": ("mean", "std"),
    "accuracy at a fitted threshold": ("recalibrated_accuracy", "recalibrated_accuracy_std"),
    "area under the ROC curve": ("auc", "auc_std"),
}
"""Columns of means and standard deviations in a summary, by the name of the line."""


def _of_metric(summary: Table, mean: str, std: str) -> Table:
    """A summary in which another metric stands in place of the accuracy."""
    found = summary["factor", "method"]
    found["mean"], found["std"] = summary[mean], summary[std]
    return found


def sweep_figures(
    summary: Table,
    histories: Mapping[int, History],
    sample: GalaxySample,
    conditions: Sequence[Condition],
    convention: Convention,
) -> list[NamedFigure]:
    """Every figure of a resolution sweep, in the order of the report."""
    figures: list[NamedFigure] = []
    for per_class in histories:
        figures += [methods_compared(summary, per_class)]
        figures += [discrimination_by_method(summary, per_class)]
        figures += [accuracy_by_method(summary, per_class, spread) for spread in ("std", "ste")]
        figures += [selections_compared(summary, per_class)]
    if len(histories) > 1:
        figures.append(sample_sizes_compared(summary))
    figures += [
        training_curves({"": history}, f"training_curves_{per_class}", _drawn(summary, per_class))
        for per_class, history in histories.items()
    ]
    figures += [degraded_gallery(sample, name, conditions, convention) for name in sample.class_names]
    return figures


def _methods(summary: Table) -> list[str]:
    return [method for method in dict.fromkeys(summary["method"]) if method != "none"] or ["none"]


def _line(summary: Table, method: str) -> Table:
    """Original and the factors of one method, from fine to coarse."""
    rows = summary[(summary["method"] == method) | (summary["factor"] == 1)]
    rows.sort("factor")
    return rows


def _draw_line(panel: Axes, line: Table, spread: str, label: str, index: int, shift: float = 0.0) -> None:
    """`index` is the line's colour and marker, `shift` how far it is set apart sideways."""
    bars = spread_of(line, spread)
    panel.errorbar(
        np.asarray(line["factor"]) + shift,
        line["mean"],
        yerr=None if np.isnan(bars).all() else bars,
        color=COLOURS[index],
        marker=MARKERS[index],
        markersize=4,
        linewidth=1.2,
        capsize=2.5,
        elinewidth=1,
        label=label,
    )


def _finish(figure: Figure, panels: Sequence[Axes], summary: Table, legend: str | None = None) -> None:
    for panel in panels:
        named = {
            name: panel.axhline(height, color="0.45", linewidth=0.9, linestyle=style, zorder=0)
            for name, (height, style) in _thresholds(summary).items()
        }
    _label_axes(panels, summary, "accuracy")
    if legend is not None:
        panels[-1].legend(title=legend, frameon=False, fontsize=8, title_fontsize=8)
    if named:
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=2, frameon=False, fontsize=8)


def _label_axes(panels: Sequence[Axes], summary: Table, measured: str) -> None:
    factors = sorted(set(summary["factor"]))
    names = ["Orig." if factor == 1 else f"1/{factor}" for factor in factors]
    for panel in panels:
        panel.set_xticks(factors, names)
        panel.set_xlabel("resolution of the test images")
        light_grid(panel)
    panels[0].set_ylabel(measured)


def _thresholds(summary: Table) -> dict[str, tuple[float, Literal["--", ":"]]]:
    """The thresholds of the rule for usable resolutions (`galjax.analysis.usable.with_usable`): height and style by name.

    Where Originals differ, as of several sample sizes, only the one that is the same for all.
    """
    originals = set(summary["mean"][summary["factor"] == 1].tolist())
    loss, accuracy = (summary.meta[name] for name in ("usable_loss", "usable_accuracy"))
    lines: dict[str, tuple[float, Literal["--", ":"]]] = {}
    if len(originals) == 1:
        lines[f"{minus('Original', f'{loss:g}')} (--usable-loss)"] = (originals.pop() - loss, "--")
    if accuracy:
        lines[f"{accuracy:g} (--usable-accuracy)"] = (accuracy, ":")
    return lines


def _about_lines(summary: Table) -> str:
    """What the lines are, for captions."""
    return f"{summary.meta['usable']}. Grey lines: these thresholds."


def _drawn(summary: Table, per_class: int) -> str:
    """The galaxies of a repeat in words."""
    natural: str = summary.meta.get("draw", "")
    return natural.partition(";")[0] or f"{per_class} galaxies per class"


def _describe(summary: Table, methods: Sequence[str], measured: str = "accuracy") -> str:
    lines = []
    for method in methods:
        line = _line(summary, method)
        points = ", ".join(
            f"{'Original' if row['factor'] == 1 else '1/' + str(row['factor'])} {fixed(row['mean'])}" for row in line
        )
        lines.append(f"{method}: {points}")
    return f"Mean {measured}. " + "; ".join(lines)
