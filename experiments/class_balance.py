"""Must the classes be balanced? (thesis, 4.3)

    python -m experiments.class_balance                      # simulated galaxies; 4 minutes on 2 CPU cores
    python -m experiments.class_balance --preset thesis      # 30 repeats, 1,000 galaxies, 200 epochs
    python -m experiments.class_balance --data FOLDER        # your own catalogue and images

Spirals and ellipticals in their natural proportions (about 72:28) against balanced classes, in training and test alike. A first
set of trainings chooses the epoch; a second one, of other repeats, stops there and gives confusion matrices, true positive
rates and the true skill statistic.

The thesis finds an accuracy of 0.931 (natural) and 0.922 (balanced), a true skill statistic of 0.791 and 0.828, and no
significant difference.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described
from galjax.config.json_form import Suggested
from galjax.config.settings import ScheduleConfig, TrainingConfig
from galjax.sources import SimulatedSurvey, SourceConfig
from galjax.sources.options import THESIS_FRACTIONS

NAME = "class_balance"
TITLE = "Class balance: natural proportions against balanced classes"
QUESTION = "Must the classes be balanced?"


@dataclasses.dataclass(frozen=True)
class ClassBalance(ExperimentConfig):
    """Flags. The true skill statistic is that of the first of --classes."""

    total: int = Suggested(1000)
    """Galaxies that a repeat draws; the balanced draw takes an equal share from each class."""


PRESETS: dict[PresetName, ClassBalance] = {
    "quick": ClassBalance(
        source=SourceConfig(simulated=SimulatedSurvey(galaxies=3000, class_fractions=THESIS_FRACTIONS)),
        repeats=6,
        total=Suggested(400),
        training=TrainingConfig(ScheduleConfig(epochs=16, evaluate_every=2)),
    ),
    "thesis": ClassBalance(
        source=SourceConfig(simulated=SimulatedSurvey(galaxies=15_000, class_fractions=THESIS_FRACTIONS)),
        training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=1)),
    ),
}

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from galjax import draw
from galjax.analysis import tables
from galjax.analysis.published import Against, Published
from galjax.analysis.tables import Case, values_of
from galjax.analysis.wording import fixed, interval_and_test, listed, mean_of, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.report.figures import NamedFigure
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.confusion import confusion_figure
from galjax.report.figures.curves import training_curves
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import compare_independent, holm, repeats_left, summarise
from galjax.training.conditions import ORIGINAL, to_device
from galjax.training.repeats import RepeatKeys, repeat_keys

NATURAL, BALANCED = "natural", "balanced"
FIRST, SECOND = "first", "second"
PUBLISHED = {
    (NATURAL, FIRST, "accuracy"): Published("natural, accuracy", 0.931, 0.017, place="4.3"),
    (BALANCED, FIRST, "accuracy"): Published("balanced, accuracy", 0.922, 0.018, place="4.3"),
    (NATURAL, SECOND, "tss"): Published("natural, true skill statistic", 0.791, 0.125, place="4.3"),
    (BALANCED, SECOND, "tss"): Published("balanced, true skill statistic", 0.828, 0.092, place="4.3"),
    (NATURAL, SECOND, "tpr_spiral"): Published("natural, TPR of spiral", 0.948, place="figure 4.17"),
    (NATURAL, SECOND, "tpr_elliptical"): Published("natural, TPR of elliptical", 0.842, place="figure 4.17"),
    (BALANCED, SECOND, "tpr_spiral"): Published("balanced, TPR of spiral", 0.919, place="figure 4.18"),
    (BALANCED, SECOND, "tpr_elliptical"): Published("balanced, TPR of elliptical", 0.909, place="figure 4.18"),
}


def study(config: ClassBalance, run: ExperimentRun) -> Findings:
    """Train on both draws, choose epochs, and train other repeats to them."""
    sample = run.load()
    pool = run.galaxies(sample)
    config = run.fitted(config, total=len(config.classes) * draw.most_per_class(pool))
    again = repeat_keys(config.seed, range(config.repeats, 2 * config.repeats))
    draws = {keys: _draws(config, pool, its) for keys, its in ((FIRST, run.keys), (SECOND, again))}
    run.open(sample, draws=[drawn for its in draws.values() for drawn in its.values()])
    device_pool = to_device(pool)
    cases: dict[tuple[str, str], Case] = {}
    for name, drawn in draws[FIRST].items():
        history = run.train(Stage(name, name, drawn, (ORIGINAL,)), device_pool, pool)
        case = cases[name, FIRST] = Case({"draw": name, "trainings": FIRST}, history)
        epoch = int(history.evaluated_epoch[case.chosen("test-mean")])
        stage = Stage(f"{name}_again", f"{name}, to epoch {epoch}", draws[SECOND][name], (ORIGINAL,))
        history = run.train(stage, device_pool, pool, again, epochs=epoch)
        cases[name, SECOND] = Case({"draw": name, "trainings": SECOND}, history, selections=("last",))
    results = tables.results_table(list(cases.values()), tables.class_metrics(pool.class_names))
    metrics = tuple(results.colnames[results.colnames.index("epoch") + 1 :])
    summary = tables.summary_table(results, metrics)
    first = {name: cases[name, FIRST].history for name in (NATURAL, BALANCED)}
    headline, *conclusions = _conclusions(results, pool, metrics)
    return Findings(
        headline=headline,
        conclusions=tuple(conclusions),
        sections=(
            Section(
                "Natural against balanced",
                figures=tuple(_figures(cases, pool, results, metrics)),
                tables={"Summary over repeats": summary},
            ),
        ),
        results=results,
        summary=summary,
        history=tables.history_arrays(first, "draw", (ORIGINAL,), pool.class_names),
        screen=(_screen(results, metrics),),
        thesis_figures={"4.13": "training_curves", "4.14-4.16": "accuracy_and_skill", "4.17, 4.18": "confusion"},
        against=tuple(
            Against(published, _values(results, name, metric))
            for (name, _, metric), published in PUBLISHED.items()
            if metric in metrics
        ),
    )


def _draws(config: ClassBalance, pool: GalaxySample, keys: RepeatKeys) -> dict[str, Draw]:
    fractions = {"test_fraction": config.test_fraction, "validation_fraction": config.validation_fraction}
    per_class = config.total // len(config.classes)
    return {
        NATURAL: draw.draw_natural(pool.labels, pool.class_names, config.total, keys.draw, **fractions),
        BALANCED: draw.draw_balanced(pool.labels, pool.class_names, per_class, keys.draw, **fractions),
    }


def _values(results: Table, name: str, metric: str) -> np.ndarray:
    """The accuracy of the first trainings at the chosen epoch; other metrics of the second ones, which ended there."""
    which = {"trainings": FIRST, "selection": "test-mean"} if metric == "accuracy" else {"trainings": SECOND}
    return values_of(results, metric, draw=name, **which)


def _screen(results: Table, metrics: Sequence[str]) -> ScreenTable:
    rows, values = [], []
    for metric in metrics:
        values += [_values(results, name, metric) for name in (NATURAL, BALANCED)]
        found = [summarise(one) for one in values[-2:]]
        cells = [
            plus_minus(float(s.mean), 2 * float(s.std)) + (f" ({fixed(2 * float(s.ste))})" if s.n > 1 else "")
            for s in found
        ]
        rows.append([_named(metric), *cells])
    return screen_table(
        mean_of(repeats_left(*values), "2 standard deviations (2 standard errors)"), ["", NATURAL, BALANCED], rows
    )


def _conclusions(results: Table, pool: GalaxySample, metrics: Sequence[str]) -> list[str]:
    compared = {m: compare_independent(_values(results, BALANCED, m), _values(results, NATURAL, m)) for m in metrics}
    corrected = dict(zip(compared, holm([found.p_value for found in compared.values()]), strict=True))
    sentences = [_verdict(corrected)]
    for metric, found in compared.items():
        means = [fixed(float(summarise(_values(results, name, metric)).mean)) for name in (NATURAL, BALANCED)]
        words = interval_and_test(
            found.low, found.high, corrected[metric], found.n, "Welch's t-test, Holm's correction"
        )
        sentences.append(
            f"{_named(metric)}: {means[0]} natural, {means[1]} balanced; difference {signed(found.difference)} ({words}, "
            f"n = {found.n})."
        )
    shares = pool.class_counts().values()
    if max(shares) <= 1.1 * min(shares):
        sentences.append("The classes of these galaxies are about equally many, so both draws are nearly the same.")
    return sentences


def _verdict(corrected: Mapping[str, float]) -> str:
    different = [_named(metric) for metric, p in corrected.items() if p < 0.05]
    if different:
        return f"Balancing the classes makes a significant difference in {listed(different)}."
    if not np.isfinite(list(corrected.values())).any():
        return (
            "Whether balancing the classes makes a difference cannot be said: the results have no spread over repeats."
        )
    return "Balancing the classes makes no significant difference (level 0.05)."


def _named(metric: str) -> str:
    if metric == "tss":
        return "true skill statistic"
    return f"TPR of {metric.removeprefix('tpr_')}" if metric.startswith("tpr_") else metric


def _figures(
    cases: dict[tuple[str, str], Case], pool: GalaxySample, results: Table, metrics: Sequence[str]
) -> list[NamedFigure]:
    both = (NATURAL, BALANCED)
    panels = {_named(metric): {name: _values(results, name, metric) for name in both} for metric in metrics}
    main = {name: values for name, values in panels.items() if not name.startswith("TPR")}
    rates = {name: values for name, values in panels.items() if name.startswith("TPR")}
    return [
        training_curves({name: cases[name, FIRST].history for name in both}, "training_curves", "first trainings"),
        points_with_bars(
            main,
            ["2 std", "2 ste"],
            "accuracy_and_skill",
            "Accuracy at the chosen epoch (first trainings) and true skill statistic (second trainings).",
        ),
        confusion_figure(
            {name: cases[name, SECOND].confusion("last") for name in both},
            [pool.class_names] * 2,
            "confusion",
            "the second trainings, which stop at the chosen epoch",
        ),
        points_with_bars(rates, ["std"], "true_positive_rates", "True positive rates of the second trainings."),
    ]


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
