"""Must the classes be balanced? (thesis, 4.3)

    python -m experiments.class_balance                      # simulated galaxies; 4 minutes on 2 CPU cores
    python -m experiments.class_balance --preset thesis      # 30 repeats, 1,000 galaxies, 200 epochs
    python -m experiments.class_balance --data FOLDER        # your own catalogue and images

Spirals and ellipticals in their natural proportions (about 72:28) against balanced classes, in training and test alike. A first
set of trainings chooses the epoch; a second one, of other repeats, gives confusion matrices, true positive rates and the true skill
statistic at that epoch.

The thesis finds an accuracy of 0.931 (natural) and 0.922 (balanced), a true skill statistic of 0.791 and 0.828, and no
significant difference.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
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


PRESETS: dict[PresetName, ClassBalance] = with_robust(
    {
        "quick": ClassBalance(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=3000, class_fractions=THESIS_FRACTIONS)),
            repeats=6,
            total=Suggested(400),
            training=TrainingConfig(ScheduleConfig(epochs=24, evaluate_every=4)),
        ),
        "standard": ClassBalance(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=15_000, class_fractions=THESIS_FRACTIONS)),
            repeats=10,
            training=TrainingConfig(ScheduleConfig(epochs=60, evaluate_every=2)),
        ),
        "thesis": ClassBalance(
            validation_fraction=0.0,
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=15_000, class_fractions=THESIS_FRACTIONS)),
            training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=1)),
        ),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from rich.table import Table as ScreenTable

from galjax.analysis.cases import DISCRIMINATION, Case
from galjax.analysis.published import Against, Published
from galjax.analysis.statements import Statement, no_difference
from galjax.analysis.tables import history_arrays, metrics_of, results_table, summary_table
from galjax.analysis.threshold import about_own_threshold
from galjax.analysis.wording import HOLM, WELCH, basis, fixed, interval_and_test, listed, mean_of, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.report.figures import NamedFigure
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.confusion import confusion_figure
from galjax.report.figures.curves import training_curves
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import THESIS_SELECTION, Selection, compare_independent, holm, repeats_left, summarise
from galjax.training.conditions import ORIGINAL, to_device
from galjax.training.repeats import RepeatKeys, repeat_keys

NATURAL, BALANCED = "natural", "balanced"
FIRST, SECOND = "first", "second"
Cases = Mapping[tuple[str, str], Case]
"""By draw and trainings."""
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
    config = run.fitted(config, total=len(config.classes) * run.most_per_class(pool))
    again = repeat_keys(config.seed, range(config.repeats, 2 * config.repeats))
    draws = {which: _draws(config, pool, run, keys) for which, keys in ((FIRST, run.keys), (SECOND, again))}
    run.open(sample, draws=[drawn for its in draws.values() for drawn in its.values()])
    device_sample, names = to_device(pool), pool.class_names
    cases: dict[tuple[str, str], Case] = {}
    for name, drawn in draws[FIRST].items():
        history = run.train(Stage(name, name, drawn, (ORIGINAL,), keeps_ensemble=name == BALANCED), device_sample, pool)
        case = cases[name, FIRST] = Case({"draw": name, "trainings": FIRST}, history, class_names=names)
        epochs = {way: case.epoch(way) for way in dict.fromkeys((case.leading, THESIS_SELECTION))}
        last = max(epochs.values())
        stage = Stage(f"{name}_again", f"{name}, to epoch {last}", draws[SECOND][name], (ORIGINAL,))
        history = run.train(stage, device_sample, pool, again, epochs=last)
        cases[name, SECOND] = Case({"draw": name, "trainings": SECOND}, history, 0, names, epochs)
    every = list(cases.values())
    metrics = [metric for metric in metrics_of(every) if metric not in DISCRIMINATION]
    summary = summary_table(every)
    first = {name: cases[name, FIRST].history for name in (NATURAL, BALANCED)}
    shared = {name: run.shared_share(pool, drawn) for name, drawn in draws[FIRST].items()}
    headline, *conclusions = _conclusions(cases, pool, metrics, shared)
    n = repeats_left(*(case.values() for case in every))
    stands_on = basis(n, every[0].leading, WELCH, list(shared.values()), HOLM)
    return Findings(
        headline=f"{headline} {stands_on}",
        conclusions=(*conclusions, about_own_threshold({name: cases[name, FIRST] for name in first}, shared)),
        sections=(
            Section(
                "Natural against balanced",
                figures=tuple(_figures(cases, pool, metrics)),
                tables={"Summary over repeats": summary},
            ),
        ),
        results=results_table(every),
        summary=summary,
        history=history_arrays(first, "draw", (ORIGINAL,), pool.class_names),
        screen=(_screen(cases, metrics),),
        thesis_figures={"4.13": "training_curves", "4.14-4.16": "accuracy_and_skill", "4.17, 4.18": "confusion"},
        against=tuple(
            Against(published, _values(cases, name, metric, THESIS_SELECTION))
            for (name, _, metric), published in PUBLISHED.items()
            if metric in metrics
        ),
        statements=(_statement(cases, metrics, shared),),
    )


def _draws(config: ClassBalance, pool: GalaxySample, run: ExperimentRun, keys: RepeatKeys) -> dict[str, Draw]:
    return {
        NATURAL: run.draw_natural(pool, config.total, keys),
        BALANCED: run.draw_balanced(pool, config.total // len(config.classes), keys),
    }


def _values(cases: Cases, name: str, metric: str, selection: Selection | None = None) -> np.ndarray:
    """The accuracy of the first trainings, other metrics of the second, at the epoch of the selection (None: the leading one)."""
    return cases[name, FIRST if metric == "accuracy" else SECOND].values(metric, selection)


def _statement(cases: Cases, metrics: Sequence[str], shared: Mapping[str, float]) -> Statement:
    """What the thesis concludes from accuracy and true skill statistic."""
    both = (shared[BALANCED], shared[NATURAL])
    found = {
        _named(metric): compare_independent(
            _values(cases, BALANCED, metric, THESIS_SELECTION), _values(cases, NATURAL, metric, THESIS_SELECTION), both
        )
        for metric in ("accuracy", "tss")
        if metric in metrics
    }
    corrected = holm([one.p_value for one in found.values()])
    found = {name: one._replace(p_value=p) for (name, one), p in zip(found.items(), corrected, strict=True)}
    words = f"Balancing the classes makes no significant difference ({WELCH}, {HOLM})"
    return no_difference(words, "4.3", found)


def _screen(cases: Cases, metrics: Sequence[str]) -> ScreenTable:
    rows, values = [], []
    for metric in metrics:
        values += [_values(cases, name, metric) for name in (NATURAL, BALANCED)]
        found = [summarise(one) for one in values[-2:]]
        cells = [
            plus_minus(float(s.mean), 2 * float(s.std)) + (f" ({fixed(2 * float(s.ste))})" if s.n > 1 else "")
            for s in found
        ]
        rows.append([_named(metric), *cells])
    return screen_table(
        mean_of(repeats_left(*values), "2 standard deviations (2 standard errors, on the same galaxies)"),
        ["", NATURAL, BALANCED],
        rows,
    )


def _conclusions(cases: Cases, pool: GalaxySample, metrics: Sequence[str], shared: Mapping[str, float]) -> list[str]:
    both = (shared[BALANCED], shared[NATURAL])
    compared = {m: compare_independent(_values(cases, BALANCED, m), _values(cases, NATURAL, m), both) for m in metrics}
    corrected = dict(zip(compared, holm([found.p_value for found in compared.values()]), strict=True))
    sentences = [_verdict(corrected)]
    for metric, found in compared.items():
        means = [fixed(float(summarise(_values(cases, name, metric)).mean)) for name in (NATURAL, BALANCED)]
        words = interval_and_test(found.low, found.high, corrected[metric], found.n, f"{WELCH}, {HOLM}")
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


def _figures(cases: Cases, pool: GalaxySample, metrics: Sequence[str]) -> list[NamedFigure]:
    both = (NATURAL, BALANCED)
    panels = {_named(metric): {name: _values(cases, name, metric) for name in both} for metric in metrics}
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
            {name: cases[name, SECOND].confusion() for name in both},
            [pool.class_names] * 2,
            "confusion",
            "the second trainings at the epoch that the first chose",
        ),
        points_with_bars(rates, ["std"], "true_positive_rates", "True positive rates of the second trainings."),
    ]


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
