"""How far may the resolution of training images differ from that of the images to classify? (thesis, 5.2 and 5.3)

    python -m experiments.resolution_sweep                      # simulated galaxies; 2 minutes on 2 CPU cores
    python -m experiments.resolution_sweep --preset thesis      # 30 repeats, 900 epochs, four sample sizes
    python -m experiments.resolution_sweep --data FOLDER        # your own catalogue and images

A network trained on full-resolution galaxies classifies test galaxies that were shrunk to 1/2 ... 1/8 and enlarged back
with three methods. Every repeat draws its own galaxies; all repeats train in one program. The thesis finds 0.92 at
Original on SDSS images, all three methods usable to 1/4, and about 0.5 (chance) at 1/8.
"""

import dataclasses
import itertools
import sys
from typing import Annotated, Literal

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from galjax import draw, outcome, stages
from galjax.command import ExperimentConfig, PresetName
from galjax.configuration import suggested
from galjax.draw import Draw
from galjax.errors import InputError
from galjax.experiment import Experiment, ExperimentRun, Findings, plus_minus, screen_table
from galjax.figures.overview import overview_figures
from galjax.figures.sweep import sweep_figures
from galjax.flags import Factor
from galjax.outcome import Case, rows_with, values_of
from galjax.published import Against, Published
from galjax.report import Section
from galjax.sample import GalaxySample
from galjax.stages import Flat, ScheduleConfig, Stage, TrainingConfig
from galjax.statistics import compare_paired, count_in_words, holm
from galjax.usable import UsableConfig, limit_interval, usable_limit, with_usable

NAME = "resolution_sweep"
TITLE = "Resolution sweep"
QUESTION = "How far may the resolution of training images differ from that of the images to classify?"
EnlargingMethod = Literal["nearest", "bilinear", "bicubic"]
NEAR = 0.9
"""The accuracy that the thesis asks of a usable resolution."""


@dataclasses.dataclass(frozen=True)
class ResolutionSweep(ExperimentConfig):
    """Flags of the sweep."""

    per_class: tuple[int, ...] = suggested(300, 500, 800, 1000)
    """Galaxies of each class that a repeat draws; several sizes are trained one after the other."""
    total: int | None = None
    """Instead of --per-class: galaxies that a repeat draws in the classes' natural proportions."""
    factors: tuple[Factor, ...] = suggested(2, 3, 4, 5, 6, 7, 8)
    """Factors to shrink the test images by, each at least 2."""
    methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Methods to enlarge them back with."""
    usable: Annotated[UsableConfig, Flat] = dataclasses.field(default_factory=UsableConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, values in {"per-class": self.per_class, "factors": self.factors, "methods": self.methods}.items():
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{flag} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always evaluated), not at {min(self.factors)}.")


PRESETS: dict[PresetName, ResolutionSweep] = {
    "quick": ResolutionSweep(
        repeats=6, per_class=suggested(300), training=TrainingConfig(ScheduleConfig(epochs=16, evaluate_every=4))
    ),
    "thesis": ResolutionSweep(),
}


def study(config: ResolutionSweep, run: ExperimentRun) -> Findings:
    """Train every sample size at Original, evaluate it under all conditions."""
    sample = run.load()
    pool = run.galaxies(sample)
    config = run.fitted(config, factors=min(pool.images.shape[1:3]))
    if config.total is None:
        config = run.fitted(config, per_class=draw.most_per_class(pool))
    draws = _draws(config, pool, run)
    conditions = outcome.make_conditions(config.factors, config.methods)
    device_pool = stages.to_device(pool)
    stages.device_conditions(device_pool, conditions, config.training.convention)  # is every factor possible?
    run.open(sample, draws=draws.values())
    histories = {
        per_class: run.train(
            Stage(f"per_class_{per_class}", f"{per_class} per class", drawn, conditions),
            device_pool,
            pool,
        )
        for per_class, drawn in draws.items()
    }
    cases = [
        Case({"per_class": per_class, "factor": condition.factor, "method": condition.method}, history, number)
        for per_class, history in histories.items()
        for number, condition in enumerate(conditions)
    ]
    results = outcome.results_table(cases)
    summary = with_usable(outcome.summary_table(results), results, config.usable)
    if config.total is not None:
        note = f"natural draw of {config.total} galaxies; per_class is their number divided by the number of classes"
        results.meta["draw"] = summary.meta["draw"] = note
    headline, *conclusions = _conclusions(results, summary, config)
    methods = methods_table(results, config)
    figures = sweep_figures(summary, histories, pool, config.factors, config.methods, config.training.convention)
    return Findings(
        headline=headline,
        conclusions=(*conclusions, *_about_methods(methods), *_about_sizes(summary, config)),
        sections=(
            Section(
                "Accuracy and resolution",
                figures=tuple(figures),
                tables={
                    "Summary over repeats": summary,
                    **(
                        {"Enlarging methods compared (paired over repeats, Holm's correction)": methods}
                        if methods
                        else {}
                    ),
                },
            ),
            Section(
                "The galaxies and the network",
                figures=overview_figures(pool, config.training.network, len(config.classes)),
            ),
        ),
        results=results,
        summary=summary,
        history=outcome.history_arrays(histories, "per_class", conditions, config.classes),
        screen=tuple(_screen(summary, config)),
        against=tuple(_against(results, config)),
        further_tables={"methods.ecsv": methods},
        thesis_figures=_thesis_figures(config),
    )


def _draws(config: ResolutionSweep, pool: GalaxySample, run: ExperimentRun) -> dict[int, Draw]:
    """The draw of every sample size, by galaxies per class; all are checked before anything is trained."""
    fractions = {"test_fraction": config.test_fraction, "validation_fraction": config.validation_fraction}
    if config.total is not None:
        drawn = draw.draw_natural(pool.labels, pool.class_names, config.total, run.keys.draw, **fractions)
        return {round(config.total / len(config.classes)): drawn}
    for per_class in config.per_class:
        draw.check_enough(pool.labels, pool.class_names, per_class)
    return {
        per_class: draw.draw_balanced(pool.labels, pool.class_names, per_class, run.keys.draw, **fractions)
        for per_class in config.per_class
    }


def _conclusions(results: Table, summary: Table, config: ResolutionSweep) -> list[str]:
    """In words, computed from the results, at the thesis's choice of epoch."""
    sentences = []
    for per_class in dict.fromkeys(summary["per_class"].tolist()):
        rows = summary[(summary["per_class"] == per_class) & (summary["selection"] == "test-mean")]
        original = rows[rows["factor"] == 1][0]
        sentences.append(
            f"{per_class} galaxies per class: accuracy {original['mean']:.3f} at Original (std {original['std']:.3f}, "
            f"n = {original['n']}). {_usable_sentence(results, summary, per_class, config)}"
        )
    return [*sentences, f"{summary.meta['usable']}."]


def _usable_sentence(results: Table, summary: Table, per_class: int, config: ResolutionSweep) -> str:
    if config.repeats == 1:
        return "What is usable cannot be said of one repeat."
    limits = {method: usable_limit(summary, per_class, method, "test-mean") for method in config.methods}
    if not any(limits.values()):
        return (
            f"Nothing is usable: Original itself stays below --usable-accuracy {config.usable.usable_accuracy:g} "
            f"(0 asks only for the comparison with Original)."
        )
    words = [
        f"{method} {_limit_words(limit)}{_interval_words(results, per_class, method, config)}"
        for method, limit in limits.items()
    ]
    return f"Usable: {', '.join(words)}."


def _limit_words(limit: int) -> str:
    return f"to 1/{limit}" if limit > 1 else "at no reduced resolution"


def _interval_words(results: Table, per_class: int, method: str, config: ResolutionSweep) -> str:
    """How far the limit would move with other repeats; nothing where that cannot be said."""
    factors = (1, *sorted(config.factors))
    chosen = rows_with(results, per_class=per_class, selection="test-mean")
    values = [values_of(chosen, factor=factor, method=method if factor > 1 else "none") for factor in factors]
    interval = limit_interval(factors, np.stack(values), config.usable, config.seed)
    if interval is None or interval.low == interval.high:
        return ""
    low, high = (f"1/{limit}" if limit > 1 else ("Original", "none")[limit == 0] for limit in interval[:2])
    return f" (95 % bootstrap interval of this limit: {low} to {high})"


def _screen(summary: Table, config: ResolutionSweep) -> list[ScreenTable]:
    """The closing table on the terminal: mean +- std at the thesis's epochs, usable resolutions marked."""
    tables = []
    for per_class in dict.fromkeys(summary["per_class"].tolist()):
        rows = summary[(summary["per_class"] == per_class) & (summary["selection"] == "test-mean")]
        lines = []
        for factor in sorted(set(rows["factor"])):
            cells = []
            for method in config.methods:
                row = rows[(rows["factor"] == factor) & ((rows["method"] == method) | (factor == 1))][0]
                cells.append(f"{plus_minus(row['mean'], row['std'])}{' *' if row['usable'] else '  '}")
            lines.append(["Original" if factor == 1 else f"1/{factor}", *cells])
        title = (
            f"accuracy at the epoch of the best mean test accuracy, mean ± std of {count_in_words(rows['n'])} repeats, {per_class} galaxies "
            f"per class (* usable)"
        )
        tables.append(screen_table(title, ["resolution", *config.methods], lines))
    return tables


def methods_table(results: Table, config: ResolutionSweep) -> Table:
    """Every pair of enlarging methods at every factor and sample size, paired over repeats, at the thesis's epochs."""
    rows = []
    for per_class in dict.fromkeys(results["per_class"].tolist()):
        chosen = rows_with(results, per_class=per_class, selection="test-mean")
        for factor in sorted(config.factors):
            for one, other in itertools.combinations(config.methods, 2):
                first, second = (values_of(chosen, factor=factor, method=method) for method in (one, other))
                rows.append((per_class, factor, f"{one} less {other}", *compare_paired(first, second)))
    names = ("per_class", "factor", "methods", "difference", "low", "high", "p_value", "n")
    table = Table(rows=rows or None, names=names, dtype=("i8", "i8", "U40", *["f8"] * 4, "i8"))
    table["p_corrected"] = holm(table["p_value"].tolist())
    return table


def _about_methods(methods: Table) -> list[str]:
    if not len(methods) or not np.isfinite(methods["p_corrected"]).any():
        return []
    different = methods[methods["p_corrected"] < 0.05]
    if not len(different):
        return [
            "No two enlarging methods differ significantly at any resolution (paired over repeats, Holm's correction)."
        ]
    words = [f"1/{row['factor']} {row['methods']} {row['difference']:+.3f}" for row in different[:8]]
    more = f" and {len(different) - 8} more" if len(different) > 8 else ""
    return [f"Enlarging methods that differ significantly (paired, Holm's correction): {', '.join(words)}{more}."]


def _about_sizes(summary: Table, config: ResolutionSweep) -> list[str]:
    """What more galaxies change, from the smallest sample to the largest (thesis, 5.3)."""
    sizes = sorted(dict.fromkeys(summary["per_class"].tolist()))
    if len(sizes) < 2 or config.repeats < 2:
        return []
    chosen = rows_with(summary, selection="test-mean")
    few, many = (rows_with(chosen, per_class=size) for size in (sizes[0], sizes[-1]))
    fine = np.asarray(few["factor"]) <= 4
    gain = np.mean(np.asarray(many["mean"])[fine] - np.asarray(few["mean"])[fine])
    ratio = np.exp(np.mean(np.log(np.asarray(many["std"])[fine] / np.asarray(few["std"])[fine])))
    return [
        f"From {sizes[0]} to {sizes[-1]} galaxies per class the mean accuracy to 1/4 changes by {gain:+.3f}, and its standard "
        f"deviation to {ratio:.2f} of what it was (geometric mean; the thesis: about half)."
    ]


def _thesis_figures(config: ResolutionSweep) -> dict[str, str]:
    first = config.per_class[0] if config.total is None else round(config.total / len(config.classes))
    return {
        "5.1": "redshift",
        "5.4": "network",
        "5.2, 5.3": f"gallery_{config.classes[0]}",
        "5.5-5.7": f"accuracy_std_{first}",
        "5.8": f"methods_compared_{first}",
        "5.9-5.11": f"accuracy_ste_{first}",
        **({"5.12-5.14": "sample_sizes_compared"} if len(config.per_class) > 1 and config.total is None else {}),
    }


def _against(results: Table, config: ResolutionSweep) -> list[Against]:
    """What the thesis states in figures, for its sample sizes: chance at 1/8, and how many runs reach 0.9 at 1/5."""
    chosen = rows_with(results, selection="test-mean")
    pairs = []
    for method in config.methods:
        values = values_of(chosen, per_class=300, factor=8, method=method)
        pairs.append(Against(Published(f"accuracy at 1/8, {method}, 300 per class", 0.5, place="5.2"), values))
    for per_class, share, place in ((300, 0.17, "5.2"), (1000, 0.25, "5.3")):
        values = values_of(chosen, per_class=per_class, factor=5, method="nearest")
        published = Published(
            f"share of runs that reach {NEAR} at 1/5, nearest, {per_class} per class", share, place=place
        )
        pairs.append(Against(published, np.where(np.isnan(values), np.nan, values >= NEAR)))
    return [pair for pair in pairs if np.isfinite(pair.ours).any()]


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
