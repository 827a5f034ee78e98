"""Does a class of galaxies that people were unsure of help or hurt? (thesis, 4.2)

    python -m experiments.uncertain_labels                      # simulated galaxies; 3 minutes on 2 CPU cores
    python -m experiments.uncertain_labels --preset thesis      # 30 repeats, 1,000 galaxies, 200 epochs
    python -m experiments.uncertain_labels --data FOLDER        # your own catalogue and images

The same network learns three classes (spiral, elliptical, uncertain) and two (without the uncertain), each from galaxies in
their natural proportions. The test galaxies differ, and so does what guessing gives.

The thesis finds 0.688 +- 0.031 with three classes and 0.931 +- 0.017 with two, and continues with two; the largest class is 0.63
of the first and 0.72 of the second.
"""

import dataclasses
import sys

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described
from galjax.config.json_form import Suggested
from galjax.config.settings import ScheduleConfig, TrainingConfig
from galjax.errors import InputError
from galjax.sources import SimulatedSurvey, SourceConfig
from galjax.sources.options import THESIS_FRACTIONS

NAME = "uncertain_labels"
TITLE = "Uncertain labels: three classes against two"
QUESTION = "Does a class of galaxies that people were unsure of help or hurt?"


@dataclasses.dataclass(frozen=True)
class UncertainLabels(ExperimentConfig):
    """Flags."""

    total: int = Suggested(1000)
    """Galaxies that a repeat draws, in the natural proportions of the classes."""
    uncertain_class: str = "uncertain"
    """Class that is left out of the two-class training; --classes are the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.uncertain_class in self.classes:
            raise InputError(f"--uncertain-class {self.uncertain_class} is among --classes; it is the further one.")


PRESETS: dict[PresetName, UncertainLabels] = {
    "quick": UncertainLabels(
        source=SourceConfig(simulated=SimulatedSurvey(galaxies=3000, class_fractions=THESIS_FRACTIONS)),
        repeats=6,
        total=Suggested(400),
        training=TrainingConfig(ScheduleConfig(epochs=20, evaluate_every=2)),
    ),
    "thesis": UncertainLabels(
        source=SourceConfig(simulated=SimulatedSurvey(galaxies=15_000, class_fractions=THESIS_FRACTIONS)),
        training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=1)),
    ),
}

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table, vstack

from galjax import draw
from galjax.analysis import tables
from galjax.analysis.published import Against, Published
from galjax.analysis.tables import Case, values_of
from galjax.analysis.wording import fixed, interval_and_test, mean_of, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.report.figures import NamedFigure
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.confusion import confusion_figure
from galjax.report.figures.curves import training_curves
from galjax.report.figures.overview import overview_figures
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import compare_independent, repeats_left, summarise
from galjax.training.conditions import ORIGINAL, to_device

THREE, TWO = "3-class", "2-class"
WELCH = "Welch's t-test"
PUBLISHED = {
    (THREE, "accuracy"): Published("3-class, accuracy", 0.688, 0.031, place="4.2"),
    (TWO, "accuracy"): Published("2-class, accuracy", 0.931, 0.017, place="4.2"),
    (THREE, "tpr_uncertain"): Published("3-class, TPR of uncertain", 0.776, place="figure 4.11"),
    (THREE, "tpr_spiral"): Published("3-class, TPR of spiral", 0.633, place="figure 4.11"),
    (THREE, "tpr_elliptical"): Published("3-class, TPR of elliptical", 0.181, place="figure 4.11"),
    (TWO, "tpr_spiral"): Published("2-class, TPR of spiral", 0.948, place="figure 4.12"),
    (TWO, "tpr_elliptical"): Published("2-class, TPR of elliptical", 0.842, place="figure 4.12"),
}


def study(config: UncertainLabels, run: ExperimentRun) -> Findings:
    """Train with and without the uncertain class."""
    sample = run.load()
    pools = {
        THREE: run.galaxies(sample, (*config.classes, config.uncertain_class)),
        TWO: run.galaxies(sample, config.classes),
    }
    config = run.fitted(config, total=min(len(pool) for pool in pools.values()))
    fractions = {"test_fraction": config.test_fraction, "validation_fraction": config.validation_fraction}
    stages_ = {
        name: Stage(
            name,
            name,
            draw.draw_natural(pool.labels, pool.class_names, config.total, run.keys.draw, **fractions),
            (ORIGINAL,),
        )
        for name, pool in pools.items()
    }
    run.open(sample, draws=[stage.draw for stage in stages_.values()])
    cases = {
        name: Case({"labels": name}, run.train(stage, to_device(pools[name]), pools[name]))
        for name, stage in stages_.items()
    }
    results = _results(cases, pools)
    metrics = tuple(results.colnames[results.colnames.index("epoch") + 1 :])
    summary = tables.summary_table(results, metrics)
    summary = summary[np.isfinite(summary["mean"])]
    histories = {name: case.history for name, case in cases.items()}
    arrays = {
        f"{name}_{key}": value
        for name, history in histories.items()
        for key, value in tables.history_arrays({name: history}, "labels", (ORIGINAL,), pools[name].class_names).items()
    }
    headline, *conclusions = _conclusions(results, pools)
    return Findings(
        headline=headline,
        conclusions=tuple(conclusions),
        sections=(
            Section(
                "The galaxies and the network",
                figures=overview_figures(pools[THREE], config.training.network, len(config.classes)),
            ),
            Section(
                "Accuracy", figures=tuple(_figures(cases, pools, results)), tables={"Summary over repeats": summary}
            ),
        ),
        results=results,
        summary=summary,
        history=arrays,
        screen=(
            screen_table(
                f"{mean_of(repeats_left(*(values_of(results, labels=name, selection='test-mean') for name in cases)), 'std')}, at the "
                f"epoch of the best mean test accuracy",
                ["", *cases],
                [
                    [metric, *(_cell(values_of(results, metric, labels=name, selection="test-mean")) for name in cases)]
                    for metric in metrics
                ],
            ),
        ),
        thesis_figures={
            "4.1, 5.1": "redshift",
            "4.2-4.4": f"galaxies_{config.classes[0]}",
            "4.5, 5.4": "network",
            "4.7-4.10": f"training_curves_{THREE}",
            "4.11, 4.12": "confusion",
        },
        against=tuple(
            Against(published, values_of(results, metric, labels=labels, selection="test-mean"))
            for (labels, metric), published in PUBLISHED.items()
            if metric in metrics
        ),
    )


def _results(cases: dict[str, Case], pools: dict[str, GalaxySample]) -> Table:
    """Both trainings; a rate of a class that a training does not have is NaN."""
    tables = [
        tables.results_table([case], tables.class_metrics(pools[name].class_names)) for name, case in cases.items()
    ]
    return vstack(tables).filled(np.nan)


def _cell(values: np.ndarray) -> str:
    mean, std, _, n = summarise(values)
    return plus_minus(float(mean), float(std)) if n else "-"


def _conclusions(results: Table, pools: dict[str, GalaxySample]) -> list[str]:
    values = {name: values_of(results, labels=name, selection="test-mean") for name in pools}
    found = compare_independent(values[TWO], values[THREE])
    guesses = {name: max(pool.class_counts().values()) / len(pool) for name, pool in pools.items()}
    gains = {name: float(summarise(values[name]).mean) - guess for name, guess in guesses.items()}
    sentences = [
        f"Without the uncertain class the accuracy is {_more_or_less(found.difference)} "
        f"({interval_and_test(found.low, found.high, found.p_value, found.n, WELCH)}); against always naming the largest class it is "
        f"{signed(gains[TWO])} with two classes and {signed(gains[THREE])} with three."
    ]
    sentences += [
        f"{name}: accuracy {plus_minus(*(float(v) for v in summarise(values[name])[:2]))} (n = {summarise(values[name]).n}), where "
        f"always naming the largest class gives {fixed(guesses[name])}."
        for name in pools
    ]
    names = pools[THREE].class_names
    rates = {
        name: float(summarise(values_of(results, f"tpr_{name}", labels=THREE, selection="test-mean")).mean)
        for name in names
    }
    sentences.append(
        "With three classes the true positive rates are "
        + ", ".join(f"{fixed(rate)} ({name})" for name, rate in rates.items())
        + "."
    )
    return sentences


def _more_or_less(difference: float) -> str:
    if abs(difference) < 0.0005:
        return "the same"
    return f"{fixed(abs(difference))} {'higher' if difference > 0 else 'lower'}"


def _figures(cases: dict[str, Case], pools: dict[str, GalaxySample], results: Table) -> list[NamedFigure]:
    rates = {
        f"TPR of {name}": {
            labels: values_of(results, f"tpr_{name}", labels=labels, selection="test-mean")
            for labels, pool in pools.items()
            if name in pool.class_names
        }
        for name in pools[THREE].class_names
    }
    accuracies = {labels: values_of(results, labels=labels, selection="test-mean") for labels in pools}
    return [
        *(
            training_curves({"": case.history}, f"training_curves_{name}", f"{name}, natural proportions")
            for name, case in cases.items()
        ),
        confusion_figure(
            {name: case.confusion("test-mean") for name, case in cases.items()},
            [pool.class_names for pool in pools.values()],
            "confusion",
            "both trainings",
        ),
        points_with_bars(
            {"accuracy": accuracies, **rates},
            ["std"],
            "accuracy",
            "Accuracy and true positive rates with three classes and with two.",
        ),
    ]


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
