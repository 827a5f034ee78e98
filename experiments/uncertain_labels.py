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
from collections.abc import Mapping

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
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


PRESETS: dict[PresetName, UncertainLabels] = with_robust(
    {
        "quick": UncertainLabels(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=3000, class_fractions=THESIS_FRACTIONS)),
            repeats=6,
            total=Suggested(400),
            training=TrainingConfig(ScheduleConfig(epochs=24, evaluate_every=4)),
        ),
        "standard": UncertainLabels(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=15_000, class_fractions=THESIS_FRACTIONS)),
            repeats=10,
            training=TrainingConfig(ScheduleConfig(epochs=60, evaluate_every=2)),
        ),
        "thesis": UncertainLabels(
            validation_fraction=0.0,
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=15_000, class_fractions=THESIS_FRACTIONS)),
            training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=1)),
        ),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np

from galjax.analysis.cases import Case
from galjax.analysis.published import Against, Published
from galjax.analysis.statements import is_better
from galjax.analysis.tables import history_arrays, metrics_of, results_table, summary_table
from galjax.analysis.threshold import about_own_threshold
from galjax.analysis.wording import EPOCH, WELCH, basis, fixed, interval_and_test, mean_of, minus, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.report.figures import NamedFigure
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.confusion import confusion_figure
from galjax.report.figures.curves import training_curves
from galjax.report.figures.overview import overview_figures
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import THESIS_SELECTION, compare_independent, repeats_left, summarise
from galjax.training.conditions import ORIGINAL, to_device

THREE, TWO = "3-class", "2-class"
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
    config = run.fitted(config, total=min(len(pool) for pool in pools.values()) // run.disjoint_draws)
    draws = {name: run.draw_natural(pool, config.total) for name, pool in pools.items()}
    run.open(sample, draws=draws.values())
    cases = {
        name: Case(
            {"labels": name},
            run.train(Stage(name, name, draws[name], (ORIGINAL,), keeps_ensemble=name == TWO), to_device(pool), pool),
            class_names=pool.class_names,
        )
        for name, pool in pools.items()
    }
    every = list(cases.values())
    metrics, summary = metrics_of(every), summary_table(every)
    arrays = {
        f"{name}_{key}": value
        for name, case in cases.items()
        for key, value in history_arrays({name: case.history}, "labels", (ORIGINAL,), case.class_names).items()
    }
    shared = {name: run.shared_share(pool, draws[name]) for name, pool in pools.items()}
    two, three = (cases[name].values(selection=THESIS_SELECTION) for name in (TWO, THREE))
    headline, *conclusions = _conclusions(cases, pools, shared)
    n = repeats_left(*(case.values() for case in every))
    stands_on = basis(n, every[0].leading, WELCH, list(shared.values()))
    return Findings(
        headline=f"{headline} {stands_on}",
        conclusions=(*conclusions, about_own_threshold(cases, shared)),
        sections=(
            Section(
                "The galaxies and the network",
                figures=overview_figures(pools[THREE], config.training.network, len(config.classes)),
            ),
            Section("Accuracy", figures=tuple(_figures(cases)), tables={"Summary over repeats": summary}),
        ),
        results=results_table(every),
        summary=summary,
        history=arrays,
        screen=(
            screen_table(
                f"{mean_of(n, 'std')}, {EPOCH[every[0].leading]}",
                ["", *cases],
                [[metric, *(_cell(case.values(metric)) for case in every)] for metric in metrics],
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
            Against(published, cases[labels].values(metric, THESIS_SELECTION))
            for (labels, metric), published in PUBLISHED.items()
            if metric in metrics
        ),
        statements=(
            is_better(
                f"The accuracy is higher without the uncertain class ({WELCH})",
                "4.2",
                {minus(TWO, THREE): compare_independent(two, three, (shared[TWO], shared[THREE]))},
            ),
        ),
    )


def _cell(values: np.ndarray) -> str:
    mean, std, _, n = summarise(values)
    return plus_minus(float(mean), float(std)) if n else "-"


def _conclusions(
    cases: Mapping[str, Case], pools: Mapping[str, GalaxySample], shared: Mapping[str, float]
) -> list[str]:
    values = {name: case.values() for name, case in cases.items()}
    found = compare_independent(values[TWO], values[THREE], (shared[TWO], shared[THREE]))
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
    rates = {name: float(summarise(cases[THREE].values(f"tpr_{name}")).mean) for name in pools[THREE].class_names}
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


def _figures(cases: Mapping[str, Case]) -> list[NamedFigure]:
    rates = {
        f"TPR of {name}": {
            labels: case.values(f"tpr_{name}") for labels, case in cases.items() if name in case.class_names
        }
        for name in cases[THREE].class_names
    }
    accuracies = {labels: case.values() for labels, case in cases.items()}
    return [
        *(
            training_curves({"": case.history}, f"training_curves_{name}", f"{name}, natural proportions")
            for name, case in cases.items()
        ),
        confusion_figure(
            {name: case.confusion() for name, case in cases.items()},
            [case.class_names for case in cases.values()],
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
