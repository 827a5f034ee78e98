"""Why does 1/7 beat 1/6? (thesis, 5.4)

    python -m experiments.phase_shift                      # simulated galaxies; 4 minutes on 2 CPU cores
    python -m experiments.phase_shift --preset thesis      # 30 repeats, 900 epochs
    python -m experiments.phase_shift --data FOLDER        # your own catalogue and images

The thesis saw images shrunk to 1/7 score above those shrunk to 1/6, with every method, and noticed that the brightest pixel is
at the centre after 1/7 and right-below of it after 1/6: 64 // 6 = 10 px have no pixel in the middle, 64 // 7 = 9 px have one.
This experiment tables where the centre goes for every factor, method, size rule and cut-out, and makes the test that the thesis
could not: one training, tested on every size from 1/8 to 1/4, even and odd, with galaxies as they were cut and re-centred on
the middle of the grid. If phase is the cause, accuracy zigzags with the parity of the size as cut, and does not re-centred.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from experiments.resolution_sweep import EnlargingMethod
from galjax import draw, outcome, stages
from galjax.command import ExperimentConfig, PresetName
from galjax.errors import InputError
from galjax.experiment import Experiment, ExperimentRun, Findings, plus_minus, screen_table
from galjax.figures import NamedFigure
from galjax.figures.galleries import clearest
from galjax.figures.phase import phase_gallery, shift_figure, size_figure
from galjax.figures.style import grey
from galjax.outcome import ORIGINAL, Case, Condition, values_of
from galjax.phase import Recentred, cutouts, enlarged_table, even_size_deficit, recentre, shrunk_table
from galjax.report import Section
from galjax.sample import GalaxySample
from galjax.stages import ScheduleConfig, Stage, TrainingConfig
from galjax.statistics import Comparison, compare_paired, holm, repeats_left, summarise

NAME = "phase_shift"
TITLE = "Phase: even and odd grids"
QUESTION = "Why does 1/7 beat 1/6?"
AS_CUT, RECENTRED = "as cut", "re-centred"
POSITIONS = (AS_CUT, RECENTRED)
ALL = "all methods"
BySize = Mapping[tuple[str, str, int], np.ndarray]
"""Accuracy in every repeat by position, method and size."""


@dataclasses.dataclass(frozen=True)
class PhaseShift(ExperimentConfig):
    """Flags."""

    per_class: int = 300
    """Galaxies of each class that a repeat draws."""
    factors: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    """Factors of the tables, each at least 2."""
    methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Methods to enlarge with."""
    sizes: tuple[int, ...] | None = None
    """Sizes (px) to shrink test images to; None: every one from H // 8 to H // 4."""

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


PRESETS: dict[PresetName, PhaseShift] = {
    "quick": PhaseShift(repeats=6, training=TrainingConfig(ScheduleConfig(epochs=16, evaluate_every=8))),
    "thesis": PhaseShift(training=TrainingConfig(ScheduleConfig(epochs=900, evaluate_every=25))),
}


def _has_even_between(sizes: Sequence[int]) -> bool:
    return any(size % 2 == 0 and {size - 1, size + 1} <= set(sizes) for size in sizes)


def study(config: PhaseShift, run: ExperimentRun) -> Findings:
    """The tables of where centres go, and one training tested on all sizes in both positions."""
    sample = run.load()
    pool = run.galaxies(sample)
    height = pool.images.shape[1]
    sizes = tuple(sorted(config.sizes)) if config.sizes else tuple(range(max(2, height // 8), height // 4 + 1))
    if max(sizes) > height or not _has_even_between(sizes):
        raise InputError(
            f"Images of {height} px leave the sizes {sizes}: too small to compare even and odd. Use larger images."
        )
    drawn = draw.draw_balanced(
        pool.labels, pool.class_names, config.per_class, run.keys.draw,
        test_fraction=config.test_fraction, validation_fraction=config.validation_fraction,
    )  # fmt: skip
    run.open(sample)
    run.progress.note("Re-centring galaxies")
    recentred = recentre(pool.images)
    device_pool = stages.to_device(pool, recentred.images)
    conditions = [
        condition
        for view in range(len(POSITIONS))
        for condition in (
            ORIGINAL._replace(view=view),
            *(Condition(round(height / size), m, size, view) for m in config.methods for size in sizes),
        )
    ]
    history = run.train(Stage("training", "training", drawn, conditions), device_pool, len(config.classes))
    results = outcome.results_table([
        Case({"position": POSITIONS[c.view], "size": c.size or height, "method": c.method}, history, number)
        for number, c in enumerate(conditions)
    ])  # fmt: skip
    summary = outcome.summary_table(results)
    accuracies: BySize = {
        (position, method, size): values_of(results, position=position, method=method, size=size, selection="test-mean")
        for position in POSITIONS for method in config.methods for size in sizes
    }  # fmt: skip
    parity = parity_table(accuracies, config.methods)
    shrunk, enlarged = shrunk_table(height, config.factors), enlarged_table(height, config.factors, config.methods)
    return Findings(
        headline=_headline(parity),
        conclusions=(*_about_centres(pool, recentred), *_conclusions(parity, accuracies, height)),
        sections=(
            Section("Where the centre goes", figures=(shift_figure(enlarged, cutouts(height)[2].name),
                                                      _gallery(pool, recentred, sizes)), tables={
                "Brightest pixel after shrinking, from the middle of the grid (shrunken pixels)": shrunk,
                "How far the centre moves after enlarging back (px)": enlarged,
            }),
            Section("Does it matter?", figures=(size_figure(accuracies, height),), tables={
                "Accuracy lost on even sizes against their odd neighbours": parity, "Summary over repeats": summary,
            }),
        ),
        results=results, summary=summary,
        history=outcome.history_arrays({"training": history}, "training", conditions, pool.class_names),
        screen=(_screen(accuracies, config.methods, sizes),),
        thesis_figures={"5.15": "phase_gallery"},
        further_tables={"brightest_pixel.ecsv": shrunk, "centre_shift.ecsv": enlarged, "parity.ecsv": parity},
    )  # fmt: skip


def parity_table(accuracies: BySize, methods: Sequence[str]) -> Table:
    """How much even sizes lose as cut, re-centred, and the difference of the two; paired over repeats.

    For every method, and for the mean over all of them.
    """
    rows = []
    mean = {
        (p, ALL, size): np.mean([accuracies[p, method, size] for method in methods], axis=0)
        for p, _, size in accuracies
    }
    accuracies = {**accuracies, **mean}
    for method in (*methods, ALL):
        deficits = {
            position: even_size_deficit(
                {size: v for (p, m, size), v in accuracies.items() if (p, m) == (position, method)}
            )
            for position in POSITIONS
        }
        compared: dict[str, Comparison] = {
            position: compare_paired(values, np.zeros_like(values)) for position, values in deficits.items()
        }
        compared["as cut less re-centred"] = compare_paired(deficits[AS_CUT], deficits[RECENTRED])
        rows += [(method, position, *found) for position, found in compared.items()]
    table = Table(rows=rows, names=("method", "position", "lost_on_even", "low", "high", "p_value", "n"))
    table["p_corrected"] = holm(table["p_value"].tolist())
    return table


def _about_centres(pool: GalaxySample, recentred: Recentred) -> list[str]:
    middle = (np.array(pool.images.shape[1:3]) - 1) / 2
    offset = (recentred.centres - middle)[recentred.moved]
    stay = int((~recentred.moved).sum())
    return [
        f"As cut, the centres of the galaxies lie {offset[:, 0].mean():+.2f} px (rows) and {offset[:, 1].mean():+.2f} px (columns) "
        f"from the middle of the grid on average, with a spread of {offset.std():.2f} px"
        + (f"; {stay} of {len(pool)} have their brightest object elsewhere and are not moved." if stay else ".")
    ]


def _conclusions(parity: Table, accuracies: BySize, height: int) -> list[str]:
    sentences = []
    sixth, seventh = height // 6, height // 7
    for method in dict.fromkeys(method for _, method, _ in accuracies):
        rows = {row["position"]: row for row in parity[parity["method"] == method]}
        words = f"{method}: even sizes lose {_interval(rows[AS_CUT])} against their odd neighbours as cut, and "
        words += f"{_interval(rows[RECENTRED])} re-centred; {_verdict(rows)}"
        if all((position, method, size) in accuracies for position in POSITIONS for size in (sixth, seventh)):
            gains = [
                summarise(accuracies[position, method, seventh] - accuracies[position, method, sixth])
                for position in POSITIONS
            ]
            words += (
                f" 1/7 less 1/6: {float(gains[0].mean):+.3f} ± {float(gains[0].ste):.3f} as cut, "
                f"{float(gains[1].mean):+.3f} ± {float(gains[1].ste):.3f} re-centred (± 1 ste)."
            )
        sentences.append(words)
    return sentences


def _headline(parity: Table) -> str:
    rows = {row["position"]: row for row in parity[parity["method"] == ALL]}
    return (
        f"Shrinking to an even number of pixels costs {_interval(rows[AS_CUT])} of accuracy against the odd numbers beside it as "
        f"the galaxies are cut, and {_interval(rows[RECENTRED])} with the same galaxies re-centred (all methods, 95 % confidence "
        f"intervals); {_verdict(rows)}"
    )


def _interval(row: Table.Row) -> str:
    return f"{row['lost_on_even']:+.3f} ({row['low']:+.3f} to {row['high']:+.3f})"


def _verdict(rows: Mapping[str, Table.Row]) -> str:
    """What the three paired tests say together, after Holm's correction at 0.05."""
    matters = {name: row["p_corrected"] < 0.05 and row["lost_on_even"] > 0 for name, row in rows.items()}
    if not matters[AS_CUT]:
        return "parity makes no significant difference in the first place."
    if matters["as cut less re-centred"] and not matters[RECENTRED]:
        return "the dip goes away: the phase is its cause."
    if matters["as cut less re-centred"]:
        return "the dip becomes smaller: the phase is part of its cause."
    return "re-centring does not change it significantly."


def _gallery(pool: GalaxySample, recentred: Recentred, sizes: Sequence[int]) -> NamedFigure:
    index = clearest(pool, pool.class_names[-1])
    views = {AS_CUT: grey(pool.images[index]), RECENTRED: grey(recentred.images[index])}
    return phase_gallery(
        views, [s for s in sizes if s <= 13] or sizes, f"Galaxy {pool.ids[index]}, labelled {pool.class_names[-1]},"
    )


def _screen(accuracies: BySize, methods: Sequence[str], sizes: Sequence[int]) -> ScreenTable:
    header = ["shrunk to", *(f"{method}, {position}" for method in methods for position in POSITIONS)]
    rows = []
    for size in sizes:
        found = [summarise(accuracies[position, method, size]) for method in methods for position in POSITIONS]
        rows.append([f"{size} px", *(plus_minus(float(s.mean), float(s.ste)) for s in found)])
    return screen_table(f"accuracy, mean ± ste of {repeats_left(*accuracies.values())} repeats", header, rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
