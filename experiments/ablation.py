"""What does each choice of the training contribute, and what does averaging at test time add?

    python -m experiments.ablation                                    # simulated galaxies
    python -m experiments.ablation --data FOLDER --channel all        # your own, in colour: also what one band would give
    python -m experiments.ablation --changes residual double-epochs   # these changes alone

One training stands for all: that of the preset robust, or what the flags say. Each change of it is trained by itself, on the same galaxies.
Every network is tested on the same galaxies, which were set aside first; they serve to choose by, so that what is chosen has to be
tested on others. Given beside the accuracy of single networks: that of the mean probability over all repeats, over the eight orientations of
each image, and over both; and the time that training takes.
"""

import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described
from galjax.config.json_form import Suggested, suggested
from galjax.config.markers import Flat
from galjax.config.settings import (
    ROBUST_OPTIMISER,
    ROBUST_RECIPE,
    AugmentConfig,
    EnlargingMethod,
    NetworkConfig,
    ScheduleConfig,
    TrainingConfig,
)
from galjax.config.values import Factor
from galjax.errors import InputError

NAME = "ablation"
TITLE = "What each choice of the training contributes"
QUESTION = "What does each choice of the training contribute, and what does averaging at test time add?"
BASELINE = "baseline"
Change = Literal[
    "no-augmentation",
    "dihedral-only",
    "resolution-only",
    "constant-rate",
    "momentum",
    "less-dropout",
    "no-dropout",
    "half-epochs",
    "double-epochs",
    "residual",
    "one-band",
]


def _with(schedule: ScheduleConfig) -> TrainingConfig:
    return TrainingConfig(schedule, ROBUST_OPTIMISER, augment=ROBUST_RECIPE)


@dataclasses.dataclass(frozen=True)
class Ablation(ExperimentConfig):
    """Flags."""

    validation_fraction: float = 0.0
    """Share of the drawn galaxies of each class kept for choosing the epoch; 0 for none, and results of the last epoch."""
    per_class: int = Suggested(300)
    """Galaxies of each class that a repeat trains on, of those that are not set aside."""
    aside: float = 0.3
    """Share of the galaxies of each class that every network is tested on, above 0 and below 1."""
    factors: tuple[Factor, ...] = suggested(4, 8)
    """Factors to shrink test images by, each at least 2."""
    method: EnlargingMethod = "bilinear"
    """Interpolation method to enlarge the shrunk test images back with."""
    changes: tuple[Change, ...] = get_args(Change)
    """Changes to try, each by itself. Those of no effect (one-band on images of one band, dropout or residual on the residual network) are left
    out."""
    training: Annotated[TrainingConfig, Flat] = dataclasses.field(default_factory=lambda: _with(ScheduleConfig()))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("factors", "changes"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{name} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always used), not at {min(self.factors)}.")
        if not 0 < self.aside < 1:
            raise InputError(f"--aside must lie between 0 and 1, not {self.aside}.")


_quick = Ablation(repeats=4, training=_with(ScheduleConfig(epochs=24, evaluate_every=24)))
_standard = dataclasses.replace(_quick, repeats=10, training=_with(ScheduleConfig(epochs=60, evaluate_every=60)))
PRESETS: dict[PresetName, Ablation] = {
    "quick": _quick,
    "standard": _standard,
    "robust": _standard,
    "thesis": Ablation(training=_with(ScheduleConfig(evaluate_every=100))),
}

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from jax import numpy as jnp
from rich.table import Table as ScreenTable

from galjax import draw
from galjax.analysis.ablation import AVERAGES, Told, ablation_table, gains_table
from galjax.analysis.cases import Case
from galjax.analysis.tables import history_arrays, interval_in_words, results_table, rows_with, summary_table
from galjax.analysis.wording import HOLM, NEW_GALAXIES, fixed, listed, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.report.figures.ablation import gains_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample, bands_last
from galjax.training.augmentation import ORIENTATIONS, oriented
from galjax.training.conditions import Condition, to_device
from galjax.training.history import History


def _network(training: TrainingConfig, **changes: Any) -> TrainingConfig:
    return dataclasses.replace(training, network=dataclasses.replace(training.network, **changes))


def _optimiser(training: TrainingConfig, **changes: Any) -> TrainingConfig:
    return dataclasses.replace(training, optimiser=dataclasses.replace(training.optimiser, **changes))


def _epochs(training: TrainingConfig, factor: float) -> TrainingConfig:
    epochs = max(1, round(training.schedule.epochs * factor))
    schedule = dataclasses.replace(training.schedule, epochs=epochs, evaluate_every=epochs)
    return dataclasses.replace(training, schedule=schedule)


def _residual(training: TrainingConfig) -> TrainingConfig:
    network = NetworkConfig(network="residual", input_scaling=training.network.input_scaling)
    return dataclasses.replace(training, network=network)


CHANGED: dict[str, Callable[[TrainingConfig], TrainingConfig]] = {
    "no-augmentation": lambda training: dataclasses.replace(training, augment=AugmentConfig()),
    "dihedral-only": lambda training: dataclasses.replace(training, augment=AugmentConfig("dihedral")),
    "resolution-only": lambda training: dataclasses.replace(training, augment=AugmentConfig("resolution")),
    "constant-rate": lambda training: _optimiser(training, rate_schedule="constant"),
    # Heavy-ball momentum m makes a step 1 / (1 - m) times as long in the end.
    "momentum": lambda training: _optimiser(
        training, momentum=0.9, learning_rate=0.1 * training.optimiser.learning_rate
    ),
    "less-dropout": lambda training: _network(training, dropout=training.network.dropout / 2),
    "no-dropout": lambda training: _network(training, dropout=0.0),
    "half-epochs": lambda training: _epochs(training, 0.5),
    "double-epochs": lambda training: _epochs(training, 2),
    "residual": _residual,
    "one-band": lambda training: training,
}
"""What each change makes of the baseline's training; one-band changes the images."""


def study(config: Ablation, run: ExperimentRun) -> Findings:
    """Train the baseline and every change of it, and ask all of the same galaxies in all orientations."""
    sample = run.load()
    pool = run.galaxies(sample)
    if draw.given_split(pool) is not None:
        raise InputError("The galaxies to test on are set aside here; leave --split given out.")
    kept, aside = draw.set_aside(pool.labels, config.aside, np.random.default_rng([config.seed, 1]))
    first = pool.take(kept)
    config = run.fitted(config, per_class=run.most_per_class(first), factors=min(pool.images.shape[1:3]))
    pool = pool.take(np.concatenate([kept, aside]))
    drawn = draw.with_test_galaxies(run.draw_balanced(first, config.per_class), np.arange(len(kept), len(pool)))
    changes = _effective(config, run, pool)
    run.open(sample, draws=[drawn])
    baseline = run.config.training
    trainings = {BASELINE: baseline} | {name: CHANGED[name](baseline) for name in changes}
    seen = [(1, "none"), *((factor, config.method) for factor in sorted(config.factors))]
    conditions = [Condition(factor, method, view=view) for factor, method in seen for view in range(ORIENTATIONS)]
    labels = pool.labels[len(kept) :]
    cases, told, histories = [], {}, {}
    for name, training in trainings.items():
        galaxies = _one_band(pool) if name == "one-band" else pool
        stage = Stage(name, name, drawn, conditions, keeps_ensemble=name == BASELINE, training=training)
        history = histories[name] = run.train(stage, to_device(galaxies, *_orientations(galaxies)), galaxies)
        seconds = _seconds(run)
        for number, (factor, method) in enumerate(seen):
            keys = {"change": name, "factor": factor, "method": method}
            cases.append(Case(keys, history, number * ORIENTATIONS))
            told[name, factor, method] = _told(history, number, labels)
    table, gains = ablation_table(told, seconds), gains_table(told, BASELINE)
    summary = summary_table(cases)
    return Findings(
        headline=_headline(table, gains, config),
        conclusions=tuple(_conclusions(table, gains)),
        sections=(
            Section(
                "Changes",
                figures=(gains_figure(gains, BASELINE),) if len(gains) else (),
                tables={TABLE_CAPTION: table, GAINS_CAPTION: gains, "Summary over repeats": summary},
            ),
        ),
        results=results_table(cases),
        summary=summary,
        # Trainings of other lengths have other numbers of epochs.
        history={
            f"{name}_{key}": value
            for name, history in histories.items()
            for key, value in history_arrays({name: history}, "change", conditions, pool.class_names).items()
        },
        screen=(_screen(table),),
        further_tables={"ablation.ecsv": table, "gains.ecsv": gains},
    )


TABLE_CAPTION = (
    "Accuracy of single networks (mean and standard deviation over repeats), of mean probabilities over all repeats (together), over the eight "
    "orientations of each image (oriented) and over both, and the seconds that training took (in the process that ended it, without compiling)"
)
GAINS_CAPTION = f"Accuracy of single networks above the baseline's (paired t-test over galaxies, {HOLM}, 95 % intervals {NEW_GALAXIES})"


def _effective(config: Ablation, run: ExperimentRun, pool: GalaxySample) -> list[Change]:
    """The changes that have an effect; the screen names the others. Raises InputError where none has."""
    without: dict[str, str] = {}
    if pool.images.ndim == 3:
        without["one-band"] = "the images have one band"
    if config.training.network.network == "residual":
        without |= dict.fromkeys(("less-dropout", "no-dropout", "residual"), "the network is residual")
    left_out = [name for name in config.changes if name in without]
    if len(left_out) == len(config.changes):
        raise InputError(f"None of --changes {' '.join(left_out)} has an effect here. Choose others.")
    if left_out:
        reasons = listed(list(dict.fromkeys(without[name] for name in left_out)))
        run.progress.note(f"Left out, of no effect where {reasons}: {listed(left_out)}.")
    return [name for name in config.changes if name not in without]


def _one_band(sample: GalaxySample) -> GalaxySample:
    return dataclasses.replace(sample, images=sample.images.mean(axis=3), bands=("mean",))


def _orientations(sample: GalaxySample) -> list[np.ndarray]:
    """The images in all orientations but their own, which are views of the galaxies."""
    images = bands_last(sample.images)
    return [
        np.stack([np.asarray(oriented(jnp.asarray(image), jnp.asarray(number))) for image in images])
        for number in range(1, ORIENTATIONS)
    ]


def _told(history: History, number: int, labels: np.ndarray) -> Told:
    """What the repeats that were not dropped say at the last epoch."""
    assert history.predictions is not None
    kept = ~np.isnan(history.train_loss).any(axis=1)
    if not kept.any():
        raise InputError("No repeat is left to compare: each was dropped, because its loss became NaN or infinite.")
    own = slice(number * ORIENTATIONS, (number + 1) * ORIENTATIONS)
    return Told(history.predictions[kept, -1, own], labels)


def _seconds(run: ExperimentRun) -> dict[str, float]:
    """How long every training took in the process that ended it, without compiling; kept, so that a run that is shown again knows."""
    place = "checkpoints/seconds.npz"
    known = run.folder.read_arrays(place) or {}
    known |= {
        name: np.asarray(done.train_seconds - done.compile_seconds)
        for name, done in run.outcomes.items()
        if done.train_seconds
    }
    run.folder.write_arrays(place, known)
    return {name: float(known.get(name, np.nan)) for name in run.outcomes}


def _headline(table: Table, gains: Table, config: Ablation) -> str:
    coarsest = max(config.factors)
    base = {row["factor"]: row for row in rows_with(table, change=BASELINE)}
    sentence = (
        f"The baseline reaches {fixed(base[1]['accuracy'])} at full resolution and {fixed(base[coarsest]['accuracy'])} at 1/{coarsest}; with all "
        f"repeats and orientations together {fixed(base[1]['both'])} and {fixed(base[coarsest]['both'])}."
    )
    if not len(gains):
        return sentence
    best = {factor: _best(gains, factor) for factor in (1, coarsest)}
    parts = [
        f"at {_at(factor)} {row['change']} gains most ({signed(row['difference'])}, {interval_in_words(row)})"
        if row["difference"] > 0
        else f"at {_at(factor)} no change gains anything"
        for factor, row in best.items()
    ]
    return f"{sentence} Of the changes, {'; '.join(parts)}. Significance with {HOLM}."


def _at(factor: int) -> str:
    return "full resolution" if factor == 1 else f"1/{factor}"


def _best(gains: Table, factor: int) -> Table.Row:
    own = rows_with(gains, factor=factor)
    return own[int(np.argmax(own["difference"]))]


def _conclusions(table: Table, gains: Table) -> list[str]:
    counted = sorted(set(table["repeats"].tolist()))
    sentences = [
        f"{counted[0] if len(counted) == 1 else f'{counted[0]} to {counted[-1]}'} repeats, at the last epoch, all tested on the same galaxies. They "
        f"served to choose by: test what you choose on others."
    ]
    for change in dict.fromkeys(gains["change"]):
        parts = [
            f"{signed(row['difference'])} at {_at(row['factor'])} ({interval_in_words(row)})"
            for row in rows_with(gains, change=change)
        ]
        sentences.append(f"{change}: {listed(parts)}.")
    return sentences


def _screen(table: Table) -> ScreenTable:
    rows = [
        [
            row["change"],
            "Original" if row["factor"] == 1 else f"1/{row['factor']}",
            fixed(row["accuracy"]),
            *(fixed(row[name]) for name in AVERAGES),
            fixed(row["seconds"], 0),
        ]
        for row in table
    ]
    return screen_table("accuracy", ["change", "images", "single", *AVERAGES, "seconds"], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
