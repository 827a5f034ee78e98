"""Does it matter whether a coarse grid is even or odd, as 1/6 and 1/7 of 64 px? (thesis, 5.4)

    python -m experiments.phase_shift                      # simulated galaxies; 4 minutes on 2 CPU cores
    python -m experiments.phase_shift --preset thesis      # 30 repeats, 900 epochs
    python -m experiments.phase_shift --data FOLDER        # your own catalogue and images

Shrunk to 1/7, 64 px leave 64 // 7 = 9 px, with a pixel in the middle; shrunk to 1/6 they leave 10 px, without one. This
experiment tables where the centre goes for every factor, method, size rule and cut-out, and tests whether it matters: one
training, tested on every size from 1/8 to 1/4, even and odd, with galaxies as they were cut, moved to the middle of the grid,
and moved to the middle of the coarse pixel next to it. On odd grids the last two are the same. If the offset from the middle
is the cause, the dip on even grids goes away in the middle of the grid; if it is the light shared out among four pixels, it
goes away in the middle of a pixel.

The thesis saw images shrunk to 1/7 score above those shrunk to 1/6, with every method, and noticed that the brightest pixel is
at the centre after 1/7 and right-below of it after 1/6; it could not make the test.
"""

import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
from galjax.config.json_form import Suggested, suggested
from galjax.config.settings import EnlargingMethod, ScheduleConfig, TrainingConfig
from galjax.config.values import Factor
from galjax.errors import InputError

NAME = "phase_shift"
TITLE = "Phase: even and odd grids"
QUESTION = "Does it matter whether a coarse grid is even or odd, as 1/6 and 1/7 of 64 px?"


def _has_even_between(sizes: Sequence[int]) -> bool:
    return any(size % 2 == 0 and {size - 1, size + 1} <= set(sizes) for size in sizes)


@dataclasses.dataclass(frozen=True)
class PhaseShift(ExperimentConfig):
    """Flags."""

    per_class: int = Suggested(300)
    """Galaxies of each class that a repeat draws."""
    factors: tuple[Factor, ...] = suggested(2, 3, 4, 5, 6, 7, 8)
    """Factors to shrink by in the tables of where the centre goes, each at least 2."""
    methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Interpolation methods to enlarge the shrunk test images back with."""
    sizes: tuple[int, ...] | None = None
    """Heights (px) to shrink the test images to. None: every one from an eighth to a quarter of theirs."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, values in {"factors": self.factors, "methods": self.methods}.items():
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{flag} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2, not at {min(self.factors)}.")
        if self.sizes is not None and (min(self.sizes, default=0) < 1 or not _has_even_between(self.sizes)):
            raise InputError(
                f"--sizes needs an even size with both its neighbours, as 9 10 11, to compare parities, not {self.sizes}."
            )


PRESETS: dict[PresetName, PhaseShift] = with_robust(
    {
        "quick": PhaseShift(repeats=6, training=TrainingConfig(ScheduleConfig(epochs=24, evaluate_every=8))),
        "standard": PhaseShift(repeats=10, training=TrainingConfig(ScheduleConfig(epochs=60, evaluate_every=10))),
        "thesis": PhaseShift(
            validation_fraction=0.0, training=TrainingConfig(ScheduleConfig(epochs=900, evaluate_every=25))
        ),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from galjax.analysis.cases import Case, values_by
from galjax.analysis.phase import (
    Recentred,
    cutouts,
    enlarged_table,
    even_size_deficit,
    offset_of_pixel,
    recentre,
    shrunk_table,
)
from galjax.analysis.statements import Statement
from galjax.analysis.tables import comparisons_table, history_arrays, results_table, summary_table
from galjax.analysis.threshold import IN_SHORT_CAPTION, Mismatch, about_threshold, in_short, threshold_table
from galjax.analysis.wording import (
    HOLM,
    NEW_GALAXIES,
    PAIRED,
    basis,
    fixed,
    interval,
    listed,
    mean_of,
    minus,
    plus_minus,
    signed,
)
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.report.figures import NamedFigure
from galjax.report.figures.galleries import clearest
from galjax.report.figures.phase import phase_gallery, shift_figure, size_figure
from galjax.report.figures.style import grey
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import Summary, compare_paired, error_of_mean, repeats_left, summarise
from galjax.training.conditions import ORIGINAL, Condition, to_device

AS_CUT, ON_GRID, ON_PIXEL = "as cut", "centred on the grid", "centred on a pixel"
POSITIONS = (AS_CUT, ON_GRID, ON_PIXEL)
ALL = "all methods"
BySize = Mapping[tuple[Any, ...], np.ndarray]
"""Accuracy in every repeat by position, method and size."""


def study(config: PhaseShift, run: ExperimentRun) -> Findings:
    """The tables of where centres go, and one training tested on all sizes in both positions."""
    sample = run.load()
    pool = run.galaxies(sample)
    height = pool.images.shape[1]
    config = run.fitted(config, per_class=run.most_per_class(pool), factors=height)
    sizes = tuple(sorted(config.sizes)) if config.sizes else tuple(range(max(2, height // 8), height // 4 + 1))
    if max(sizes) > height or not _has_even_between(sizes):
        raise InputError(
            f"Images of {height} px leave the sizes {sizes}: too small to compare even and odd. Use larger images."
        )
    drawn = run.draw_balanced(pool, config.per_class)
    if max(config.factors) > height:
        raise InputError(f"--factors can be up to {height} for images of {height} px, not {max(config.factors)}.")
    run.open(sample, draws=[drawn])
    run.progress.note("Moving galaxies onto the grid")
    on_grid = recentre(pool.images)
    even = [size for size in sizes if size % 2 == 0]
    on_pixel = [recentre(pool.images, offset_of_pixel(height, size)).images for size in even]
    device_sample = to_device(pool, on_grid.images, *on_pixel)
    view_of = {(position, size): POSITIONS.index(position) for position in (AS_CUT, ON_GRID) for size in sizes}
    view_of |= {(ON_PIXEL, size): even.index(size) + 2 if size in even else 1 for size in sizes}
    keys, conditions = _conditions(config.methods, sizes, view_of, height)
    history = run.train(Stage("training", "training", drawn, conditions, keeps_ensemble=True), device_sample, pool)
    cases = [
        Case(dict(zip(("position", "size", "method"), key, strict=True)), history, number)
        for number, key in enumerate(keys)
    ]
    summary = summary_table(cases)
    accuracies = values_by(
        (case for case in cases if case.keys["method"] in config.methods), "position", "method", "size"
    )
    shared = run.shared_share(pool, drawn)
    parity = parity_table(accuracies, config.methods, shared)
    threshold = threshold_table(Mismatch(cases[0], case, shared) for case in cases[1:])
    stands_on = basis(repeats_left(*accuracies.values()), cases[0].leading, PAIRED, [shared], HOLM)
    shrunk, enlarged = shrunk_table(height, config.factors), enlarged_table(height, config.factors, config.methods)
    return Findings(
        headline=f"{_headline(parity)} {stands_on}",
        conclusions=(
            *_about_centres(pool, on_grid),
            *_conclusions(parity, accuracies, height, shared),
            about_threshold(threshold, _as_shown),
        ),
        sections=(
            Section(
                "Where the centre goes",
                figures=(shift_figure(enlarged, cutouts(height)[2].name), _gallery(pool, sizes)),
                tables={
                    "Brightest pixel after shrinking, from the middle of the grid (shrunken pixels)": shrunk,
                    "How far the centre moves after enlarging back (px)": enlarged,
                },
            ),
            Section(
                "Does it matter?",
                figures=(size_figure(accuracies, height),),
                tables={
                    "Accuracy lost on even sizes against their odd neighbours (paired, 95 % intervals "
                    f"{NEW_GALAXIES}, {HOLM})": parity,
                    IN_SHORT_CAPTION: in_short(threshold),
                    "Summary over repeats": summary,
                },
            ),
        ),
        results=results_table(cases),
        summary=summary,
        history=history_arrays({"training": history}, "training", conditions, pool.class_names),
        screen=(_screen(accuracies, config.methods, sizes, shared),),
        thesis_figures={"5.15": "phase_gallery"},
        statements=_statements(shrunk, cutouts(height)[2].name),
        further_tables={
            "brightest_pixel.ecsv": shrunk,
            "centre_shift.ecsv": enlarged,
            "parity.ecsv": parity,
            "threshold.ecsv": threshold,
        },
    )


def _statements(shrunk: Table, cutout: str) -> tuple[Statement, ...]:
    """Where the thesis sees the brightest pixel, for stamps cut out as here and sizes rounded down."""
    rows = {row["resolution"]: row for row in shrunk if (row["size_rule"], row["cutout"]) == ("floor", cutout)}
    if not {"1/6", "1/7"} <= set(rows):
        return ()
    sixth, seventh = (float(rows[name]["brightest"]) for name in ("1/6", "1/7"))
    numbers = f"{signed(sixth, 2)} and {signed(seventh, 2)} shrunken pixels from the middle of the grid, on both axes"
    words = "After shrinking by 1/6 the brightest pixel is right-below of the centre, after 1/7 it is at the centre"
    return (Statement(words, "5.4", bool(np.isclose(sixth, 0.5) and np.isclose(seventh, 0.0)), numbers),)


def _conditions(
    methods: Sequence[str], sizes: Sequence[int], view_of: Mapping[tuple[str, int], int], height: int
) -> tuple[list[tuple[str, int, str]], list[Condition]]:
    """Every condition, and its position, size and method; Original as cut and in the middle of the grid."""
    found = {
        (AS_CUT, height, ORIGINAL.method): ORIGINAL,
        (ON_GRID, height, ORIGINAL.method): ORIGINAL._replace(view=1),
    }
    for position, method, size in itertools.product(POSITIONS, methods, sizes):
        found[position, size, method] = Condition(round(height / size), method, size, view_of[position, size])
    return list(found), list(found.values())


def parity_table(accuracies: BySize, methods: Sequence[str], shared: float) -> Table:
    """How much even sizes lose in every position, and as cut less than in the others; paired over repeats.

    For every method, and for the mean over all of them. `shared` is the share of test galaxies that two repeats have in common.
    """
    mean = {
        (position, ALL, size): np.mean([accuracies[position, method, size] for method in methods], axis=0)
        for position, _, size in accuracies
    }
    known, rows = {**accuracies, **mean}, []
    for method in (*methods, ALL):
        deficits = {
            position: even_size_deficit({size: v for (p, m, size), v in known.items() if (p, m) == (position, method)})
            for position in POSITIONS
        }
        compared = {
            position: compare_paired(values, np.zeros_like(values), shared) for position, values in deficits.items()
        }
        for position in (ON_GRID, ON_PIXEL):
            compared[_less(position)] = compare_paired(deficits[AS_CUT], deficits[position], shared)
        rows += [(method, position, *found) for position, found in compared.items()]
    return comparisons_table(rows, ("method", "position", "lost_on_even"))


def _less(position: str) -> str:
    return minus(AS_CUT, position)


def _about_centres(pool: GalaxySample, recentred: Recentred) -> list[str]:
    middle = (np.array(pool.images.shape[1:3]) - 1) / 2
    offset = (recentred.centres - middle)[recentred.moved]
    if not len(offset):
        return ["All galaxies have their brightest object far from the middle of the grid, and none is moved."]
    stay = int((~recentred.moved).sum())
    rows, columns = offset.mean(axis=0)
    return [
        f"As cut, the centres of the galaxies lie {signed(rows, 2)} px (rows) and {signed(columns, 2)} px (columns) "
        f"from the middle of the grid on average, with a spread of {fixed(offset.std(), 2)} px"
        + (f"; {stay} of {len(pool)} have their brightest object elsewhere and are not moved." if stay else ".")
    ]


def _conclusions(parity: Table, accuracies: BySize, height: int, shared: float) -> list[str]:
    sentences = []
    sixth, seventh = height // 6, height // 7
    for method in dict.fromkeys(method for _, method, _ in accuracies):
        words = f"{method}: {_verdict(parity, method)}"
        if all((position, method, size) in accuracies for position in POSITIONS for size in (sixth, seventh)):
            gains = [
                summarise(accuracies[position, method, seventh] - accuracies[position, method, sixth])
                for position in POSITIONS
            ]
            words += f" {minus('1/7', '1/6')}: " + ", ".join(
                signed(float(gain.mean)) + (f" ± {fixed(_error(gain, shared))}" if gain.n > 1 else "") + f" {position}"
                for position, gain in zip(POSITIONS, gains, strict=True)
            )
            words += f" (± 1 standard error, {NEW_GALAXIES})." if any(gain.n > 1 for gain in gains) else "."
        sentences.append(words)
    return sentences


def _error(found: Summary, shared: float) -> float:
    return float(error_of_mean(found.std, found.n, shared))


def _as_shown(row: Table.Row) -> str:
    """A condition in words."""
    return f"between Original and {row['size']} px, {row['method']}, {row['position']}"


def _headline(parity: Table) -> str:
    return f"Even sizes against their odd neighbours, mean over all methods: {_verdict(parity, ALL)}"


def _lost(row: Table.Row, position: str) -> str:
    return f"{signed(row['lost_on_even'])} {position} ({interval(row['low'], row['high'], row['n'])})"


def _verdict(parity: Table, method: str) -> str:
    """What the paired tests say together, after Holm's correction at 0.05."""
    rows = {row["position"]: row for row in parity[parity["method"] == method]}
    costs = {name: row["p_corrected"] < 0.05 and row["lost_on_even"] > 0 for name, row in rows.items()}
    lost = f"accuracy lost on even sizes {', '.join(_lost(rows[position], position) for position in POSITIONS)}"
    if not np.isfinite([row["p_corrected"] for row in rows.values()]).any():
        return f"{lost}; whether parity matters cannot be said without a spread over repeats."
    if not any(costs[position] for position in POSITIONS):
        return f"{lost}; no position loses a significant amount."
    if not costs[AS_CUT]:
        where = listed([position for position in POSITIONS if costs[position]])
        return f"{lost}; the dip is significant {where}, and not as cut."
    fates = {position: _fate(costs[_less(position)], costs[position]) for position in (ON_GRID, ON_PIXEL)}
    words = listed([f"{fate} where galaxies are {position}" for position, fate in fates.items()])
    return f"{lost}; the dip is significant as cut, {words}."


def _fate(smaller: bool, left: bool) -> str:
    """What becomes of the dip in another position than as cut: whether it is significantly smaller there, and significant itself."""
    if not smaller:
        return "not significantly smaller"
    return "significantly smaller" if left else "significantly smaller and no longer significant"


def _gallery(pool: GalaxySample, sizes: Sequence[int]) -> NamedFigure:
    """As cut and in the middle of the grid."""
    index = clearest(pool, pool.class_names[-1])
    views = {AS_CUT: grey(pool.images[index]), ON_GRID: grey(recentre(pool.images[index : index + 1]).images[0])}
    return phase_gallery(
        views, [s for s in sizes if s <= 13] or sizes, f"Galaxy {pool.ids[index]}, labelled {pool.class_names[-1]},"
    )


def _screen(accuracies: BySize, methods: Sequence[str], sizes: Sequence[int], shared: float) -> ScreenTable:
    rows = []
    for size in sizes:
        means = [np.mean([accuracies[position, method, size] for method in methods], axis=0) for position in POSITIONS]
        found = [summarise(mean) for mean in means]
        rows.append([f"{size} px", *(plus_minus(float(s.mean), _error(s, shared)) for s in found)])
    spread = mean_of(repeats_left(*accuracies.values()), f"standard error {NEW_GALAXIES}")
    title = f"accuracy, mean over {', '.join(methods)}, {spread}"
    return screen_table(title, ["shrunk to", *POSITIONS], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
