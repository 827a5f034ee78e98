"""How well does each network, trained in each way, hold at reduced resolution? One table to quote, and to compare your own network with.

    python -m experiments.robustness_benchmark                      # simulated galaxies
    python -m experiments.robustness_benchmark --preset thesis      # 30 repeats, every factor from 2 to 8
    python -m experiments.robustness_benchmark --data FOLDER        # your own catalogue and images
    galjax score predictions.csv --against runs/robustness_benchmark/TIME

Every network of --networks is trained at full resolution with every recipe of --recipes, on the same galaxies, and tested on other galaxies
at full resolution, and shrunk by every factor and enlarged back with every method. Each is scored by its accuracy, the area under the ROC
curve, the expected calibration error and the Brier score, with 95 % intervals over the repeats. The table is written as benchmark.csv and
benchmark.md. task.csv says which galaxies each repeat trains, validates and tests on, so that others can do the same with a network of
their own: galjax score scores it.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Annotated

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described
from galjax.config.json_form import Suggested, suggested
from galjax.config.markers import Flat
from galjax.config.settings import (
    ROBUST_OPTIMISER,
    AugmentConfig,
    EnlargingMethod,
    NetworkConfig,
    NetworkName,
    Recipe,
    ScheduleConfig,
    TrainingConfig,
)
from galjax.config.values import Factor
from galjax.errors import InputError

NAME = "robustness_benchmark"
TITLE = "A benchmark of robustness to loss of resolution"
QUESTION = "How well does each network, trained in each way, hold at reduced resolution?"


def _with(schedule: ScheduleConfig) -> TrainingConfig:
    return TrainingConfig(schedule, ROBUST_OPTIMISER)


@dataclasses.dataclass(frozen=True)
class RobustnessBenchmark(ExperimentConfig):
    """Flags."""

    per_class: int = Suggested(300)
    """Galaxies of each class that a repeat draws."""
    factors: tuple[Factor, ...] = suggested(2, 3, 4, 5, 6, 7, 8)
    """Factors to shrink test images by, each at least 2."""
    methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Interpolation methods to enlarge the shrunk test images back with."""
    networks: tuple[NetworkName, ...] = ("thesis", "residual")
    """Networks to train, each with its defaults."""
    recipes: tuple[Recipe, ...] = ("none", "dihedral", "resolution", "all")
    """Recipes of --augment to train with, at their default strengths."""
    training: Annotated[TrainingConfig, Flat] = dataclasses.field(default_factory=lambda: _with(ScheduleConfig()))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("factors", "methods", "networks", "recipes"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{name} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always used), not at {min(self.factors)}.")
        if self.training.augment != AugmentConfig():
            raise InputError("--augment has no effect here, where --recipes says what to train with. Leave it out.")


_quick = RobustnessBenchmark(
    repeats=6,
    factors=suggested(2, 4, 6, 8),
    recipes=("none", "all"),
    training=_with(ScheduleConfig(epochs=24, evaluate_every=8)),
)
_standard = dataclasses.replace(
    _quick,
    repeats=10,
    recipes=RobustnessBenchmark().recipes,
    training=_with(ScheduleConfig(epochs=60, evaluate_every=10)),
)
PRESETS: dict[PresetName, RobustnessBenchmark] = {
    "quick": _quick,
    "standard": _standard,
    "robust": _standard,  # recipes are what is compared
    "thesis": RobustnessBenchmark(validation_fraction=0.0),
}

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table, vstack
from rich.table import Table as ScreenTable

from galjax.analysis import scores
from galjax.analysis.cases import Case
from galjax.analysis.classes import said_under
from galjax.analysis.tables import history_arrays, results_table, summary_table
from galjax.analysis.wording import EPOCH, listed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.report.figures.scores import scores_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import repeats_left
from galjax.training.conditions import Condition, device_conditions, make_conditions, to_device
from galjax.training.ensemble import HeldOut
from galjax.training.history import History

KEYS = ("network", "recipe")


def study(config: RobustnessBenchmark, run: ExperimentRun) -> Findings:
    """Train every network with every recipe on the same draws, and score what they say of their test galaxies."""
    sample = run.load()
    pool = run.galaxies(sample)
    config = run.fitted(config, per_class=run.most_per_class(pool), factors=min(pool.images.shape[1:3]))
    drawn = run.draw_balanced(pool, config.per_class)
    conditions = make_conditions(sorted(config.factors), config.methods)
    device_sample = to_device(pool)
    device_conditions(device_sample, conditions, config.training.convention)  # is every factor possible?
    run.open(sample, draws=[drawn])
    held_out = HeldOut(pool, np.asarray(drawn.test))
    cases, blocks, histories = [], [], {}
    for network in config.networks:
        for recipe in config.recipes:
            keeps = (network, recipe) == (config.networks[0], config.recipes[-1])
            stage = Stage(f"{network}_{recipe}", f"{network}, {recipe}", drawn, conditions, keeps_ensemble=keeps)
            stage = stage._replace(training=_trained_with(run.config.training, network, recipe))
            history = histories[f"{network}, {recipe}"] = run.train(stage, device_sample, pool)
            keys = {"network": network, "recipe": recipe}
            cases += [
                Case({**keys, "factor": one.factor, "method": one.method}, history, number)
                for number, one in enumerate(conditions)
            ]
            block, _ = scores.score(_answers(history, held_out, conditions))
            for column, name in enumerate(KEYS):
                block.add_column([keys[name]] * len(block), name=name, index=column)
            blocks.append(block)
    table = vstack(blocks)
    summary = summary_table(cases)
    run.folder.write_text("benchmark.md", _document(table, config, pool))
    task = _task(pool, drawn)
    return Findings(
        headline=_headline(table, config),
        conclusions=(
            f"{repeats_left(*(case.values() for case in cases))} repeats, {EPOCH[cases[0].leading]}. {scores.BASIS}",
            "The whole table is in benchmark.csv and benchmark.md; task.csv says which galaxies each repeat trains and tests on.",
        ),
        sections=(
            Section(
                "Scores",
                (PROTOCOL,),
                (scores_figure(table, config.methods),),
                {"Scores with 95 % intervals": table, "Summary over repeats": summary},
            ),
        ),
        results=results_table(cases),
        summary=summary,
        history=history_arrays(histories, "trained", conditions, pool.class_names),
        screen=(_screen(table),),
        further_tables={"benchmark.csv": table, "task.csv": task},
    )


PROTOCOL = (
    "Protocol: networks are trained on images at full resolution. A test image is shrunk by the whole factor, each new pixel the mean of those "
    "it covers, and enlarged back to its size with the method, by the pixels of cv2.resize (INTER_AREA, then INTER_NEAREST, INTER_LINEAR, "
    "INTER_CUBIC, INTER_LANCZOS4; wiener inverts the mean). Nothing else changes, and nothing is fitted on test galaxies. The epoch is "
    "chosen on validation galaxies at full resolution, or is the last."
)


def _trained_with(training: TrainingConfig, network: NetworkName, recipe: Recipe) -> TrainingConfig:
    """The training with a network, which has its own defaults if it is another one, and a recipe."""
    own = training.network
    if network != own.network:
        own = NetworkConfig(network=network, input_scaling=own.input_scaling)
    return dataclasses.replace(training, network=own, augment=AugmentConfig(recipe))


def _answers(
    history: History, held_out: HeldOut, conditions: Sequence[Condition]
) -> dict[tuple[int, scores.Condition], scores.Answers]:
    """What every repeat that counts says of its test galaxies under every condition."""
    found = {}
    for number, condition in enumerate(conditions):
        said = said_under(history, held_out, number) or said_under(history, held_out, number, "last")
        if said is None:
            raise InputError("No repeat is left to score: each was dropped, because its loss became NaN or infinite.")
        kept = np.flatnonzero(~np.isnan(history.train_loss).any(axis=1))
        where = (condition.factor, condition.method if condition.factor > 1 else "")
        for repeat, chosen, labels, probabilities in zip(
            kept.tolist(), said.chosen, said.labels, said.probabilities, strict=True
        ):
            found[repeat, where] = scores.Answers(held_out.sample.ids[chosen], labels, probabilities)
    return found


def _task(pool: GalaxySample, drawn: Draw) -> Table:
    """Which galaxies every repeat uses for what: repeat, id, set (train, validation or test), class."""
    names, parts = np.array(pool.class_names), []
    for name, positions in drawn._asdict().items():
        chosen = np.asarray(positions)
        flat = chosen.reshape(-1)
        repeats = np.repeat(np.arange(len(chosen)), chosen.shape[1])
        parts.append(
            Table(
                {
                    "repeat": repeats,
                    "id": pool.ids[flat],
                    "set": np.full(len(flat), name, "U10"),
                    "class": names[pool.labels[flat]],
                }
            )
        )
    return vstack([part for part in parts if len(part)])


def _headline(table: Table, config: RobustnessBenchmark) -> str:
    coarsest = max(config.factors)
    rows = table[table["factor"] == coarsest]
    best = rows[int(np.argmax(rows["accuracy"]))]
    means = {
        (network, recipe): float(np.mean(rows["accuracy"][(rows["network"] == network) & (rows["recipe"] == recipe)]))
        for network in config.networks
        for recipe in config.recipes
    }
    each = listed([f"{network}, {recipe} {mean:.3f}" for (network, recipe), mean in means.items()])
    return (
        f"At 1/{coarsest} the accuracies are, by network and recipe, the mean over methods: {each}. The highest there is {best['accuracy']:.3f} "
        f"({best['network']}, {best['recipe']}, {best['method']}; {_interval(best)})."
    )


def _interval(row: Table.Row) -> str:
    if not np.isfinite(row["accuracy_low"]):
        return "the same in every repeat"
    return f"95 % interval {row['accuracy_low']:.3f} to {row['accuracy_high']:.3f}"


def _document(table: Table, config: RobustnessBenchmark, pool: GalaxySample) -> str:
    """The benchmark as a page of Markdown."""
    height, width = pool.images.shape[1:3]
    return (
        f"# {TITLE}\n\n{PROTOCOL}\n\n{scores.BASIS}\n\nGalaxies: {pool.provenance.get('survey', config.source.data)}, seed {config.seed}; "
        f"{', '.join(f'{n} {name}' for name, n in pool.class_counts().items())}, of which each of {config.repeats} repeats draws "
        f"{config.per_class} of each class; {height}x{width} px.\n\n{scores.markdown(table, KEYS)}\n"
    )


def _screen(table: Table) -> ScreenTable:
    conditions = list(dict.fromkeys(zip(table["factor"].tolist(), table["method"].tolist(), strict=True)))
    rows = []
    for entry in dict.fromkeys(zip(table["network"], table["recipe"], strict=True)):
        own = table[(table["network"] == entry[0]) & (table["recipe"] == entry[1])]
        rows.append([", ".join(entry), *(f"{value:.3f}" for value in own["accuracy"])])
    return screen_table("accuracy", ["network, recipe", *map(scores.label_of, conditions)], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
