"""How far does training with images that change at random move the limit, and what does it cost at full resolution?

    python -m experiments.robust_training                      # simulated galaxies, eight trainings
    python -m experiments.robust_training --preset thesis      # 30 repeats, 300 per class, every factor from 2 to 8
    python -m experiments.robust_training --data FOLDER        # your own catalogue and images

Networks are trained at full resolution with each recipe of --augment, on the same galaxies, and tested at every resolution, with the
threshold between the classes as trained and fitted anew for that resolution. What they reach is compared with networks that were trained
at that resolution itself (the ceiling). So the gap falls into what a new threshold closes, what the recipe closes, what both close
together, and what is left.
"""

import dataclasses
import sys
from typing import Annotated, Literal

from galjax.cli.command import (
    ExperimentConfig,
    PresetName,
    answer_flags,
    described,
    with_robust,
)
from galjax.config.json_form import Suggested, suggested
from galjax.config.markers import Flat
from galjax.config.settings import (
    ROBUST_OPTIMISER,
    ROBUST_RECIPE,
    AugmentConfig,
    EnlargingMethod,
    Recipe,
    ScheduleConfig,
    TrainingConfig,
    UsableConfig,
)
from galjax.config.values import Factor
from galjax.errors import InputError

NAME = "robust_training"
TITLE = "Training with images that change at random"
QUESTION = (
    "How far does training with images that change at random move the limit, and what does it cost at full resolution?"
)


def _with(schedule: ScheduleConfig) -> TrainingConfig:
    return TrainingConfig(schedule, ROBUST_OPTIMISER, augment=ROBUST_RECIPE)


@dataclasses.dataclass(frozen=True)
class RobustTraining(ExperimentConfig):
    """Flags."""

    per_class: int = Suggested(300)
    """Galaxies of each class that a repeat draws."""
    factors: tuple[Factor, ...] = suggested(2, 3, 4, 5, 6, 7, 8)
    """Factors to shrink test images by, each at least 2."""
    methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Interpolation methods to enlarge the shrunk test images back with."""
    recipes: tuple[Recipe, ...] = ("none", "dihedral", "resolution", "all")
    """Recipes of --augment to train with, none among them. The strengths are those of the flags --augment-..."""
    ceiling: Literal["nearest", "bilinear", "bicubic", "lanczos", "wiener", "all", "none"] = "bilinear"
    """Method of the images that networks are trained on at every reduced resolution, to compare with: one, all of --methods, or none."""
    usable: Annotated[UsableConfig, Flat] = dataclasses.field(default_factory=UsableConfig)
    training: Annotated[TrainingConfig, Flat] = dataclasses.field(default_factory=lambda: _with(ScheduleConfig()))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("factors", "methods", "recipes"):
            values = getattr(self, name)
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{name} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always used), not at {min(self.factors)}.")
        if "none" not in self.recipes or len(self.recipes) < 2:
            raise InputError(
                f"--recipes takes none, which others are compared with, and one or more others, not {self.recipes}."
            )
        if self.training.augment.augment != "all":
            raise InputError("--augment has no effect here, where --recipes says what to train with. Leave it out.")
        if self.ceiling not in (*self.methods, "all", "none"):
            raise InputError(f"--ceiling {self.ceiling} is none of --methods {' '.join(self.methods)}.")

    def recipe(self, name: Recipe) -> AugmentConfig:
        """The recipe with the strengths of the flags, where it takes them."""
        strengths = self.training.augment
        if name == "all":
            return strengths
        if name == "resolution":
            return AugmentConfig(name, strengths.augment_factor, strengths.augment_methods)
        return AugmentConfig(name)

    @property
    def ceilings(self) -> tuple[str, ...]:
        """The methods whose ceiling is trained."""
        return {"all": tuple(self.methods), "none": ()}.get(self.ceiling, (self.ceiling,))


PRESETS: dict[PresetName, RobustTraining] = with_robust(
    {
        "quick": RobustTraining(
            repeats=6, factors=suggested(2, 4, 6, 8), training=_with(ScheduleConfig(epochs=24, evaluate_every=8))
        ),
        "standard": RobustTraining(
            repeats=10, factors=suggested(2, 4, 6, 8), training=_with(ScheduleConfig(epochs=60, evaluate_every=10))
        ),
        "thesis": RobustTraining(validation_fraction=0.0, ceiling="all", training=_with(ScheduleConfig())),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from galjax.analysis.cases import Case, values_by
from galjax.analysis.robustness import BASELINE, CEILING, Found, best_recipe, gap_table, limits_table, losses_table
from galjax.analysis.tables import history_arrays, interval_in_words, results_table, rows_with, summary_table
from galjax.analysis.usable import is_usable
from galjax.analysis.wording import HOLM, NEW_GALAXIES, PAIRED, basis, fixed, listed, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.report.figures.robustness import gap_figure, recipes_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import repeats_left, summarise
from galjax.training.conditions import ORIGINAL, Condition, device_conditions, make_conditions, to_device


def study(config: RobustTraining, run: ExperimentRun) -> Findings:
    """Train with every recipe, and at every resolution, on the same draws."""
    sample = run.load()
    pool = run.galaxies(sample)
    config = run.fitted(config, per_class=run.most_per_class(pool), factors=min(pool.images.shape[1:3]))
    drawn = run.draw_balanced(pool, config.per_class)
    conditions = make_conditions(sorted(config.factors), config.methods)
    device_conditions(to_device(pool), conditions, config.training.convention)  # is every factor possible?
    run.open(sample, draws=[drawn])
    cases = _cases(config, run, pool, drawn)
    keys = ("trained_with", "factor", "method")
    accuracies, anew = (values_by(cases, *keys, metric=metric) for metric in ("accuracy", "recalibrated_accuracy"))
    found = Found(accuracies, anew, run.shared_share(pool, drawn))
    limits, losses, gaps = limits_table(found, config.usable), losses_table(found), gap_table(found)
    best = best_recipe(limits, found, config.methods)
    stands_on = basis(repeats_left(*found.accuracy.values()), cases[0].leading, PAIRED, [found.shared], HOLM)
    summary = summary_table(cases)
    figures = [recipes_figure(found, config.methods), *([gap_figure(gaps, best)] if len(gaps) else [])]
    histories = {case.keys["trained_with"]: case.history for case in cases if case.keys["trained_with"] != CEILING}
    return Findings(
        headline=f"{_headline(found, limits, best, config)} {stands_on}",
        conclusions=(*_conclusions(limits, losses, gaps, best), f"{config.usable.rule()}."),
        sections=(
            Section(
                "What each recipe reaches",
                (RECIPES,),
                tuple(figures),
                {
                    LIMITS_CAPTION: limits,
                    LOSSES_CAPTION: losses,
                    **({GAPS_CAPTION: gaps} if len(gaps) else {}),
                    "Summary over repeats": summary,
                },
            ),
        ),
        results=results_table(cases),
        summary=summary,
        history=history_arrays(histories, "trained_with", conditions, pool.class_names),
        screen=tuple(_screen(found, config, method) for method in config.methods),
        further_tables={"limits.ecsv": limits, "losses.ecsv": losses, **({"gaps.ecsv": gaps} if len(gaps) else {})},
    )


RECIPES = (
    "Recipes: none; dihedral, one of the eight orientations; resolution, shrunk by a factor and enlarged with a method drawn at random; all, "
    "these two and what --augment-shift, --augment-rotation, --augment-seeing and --augment-noise say. Each training image changes anew in "
    "every epoch. Test images do not."
)
LIMITS_CAPTION = (
    "The coarsest usable factor of every recipe, with thresholds as trained and fitted on other galaxies seen alike (1: only full "
    "resolution, 0: not even that)"
)
LOSSES_CAPTION = f"Accuracy at full resolution, and its difference to training without changes ({PAIRED}, 95 % intervals {NEW_GALAXIES}, {HOLM})"
GAPS_CAPTION = (
    f"The gap to networks that were trained at that resolution, and what closes it: a new threshold (recalibration), the recipe (training), "
    f"both; and what is left ({PAIRED}, 95 % intervals {NEW_GALAXIES}, {HOLM})"
)


def _cases(config: RobustTraining, run: ExperimentRun, pool: GalaxySample, drawn: Draw) -> list[Case]:
    """Everything that is trained, tested under every condition; the ceilings under their own."""
    conditions, training = make_conditions(sorted(config.factors), config.methods), run.config.training
    at = [Condition(factor, method) for method in config.ceilings for factor in sorted(config.factors)]
    stages = [
        Stage(
            f"recipe_{name}",
            f"trained with {name}",
            drawn,
            conditions,
            keeps_ensemble=name == config.recipes[-1],
            training=dataclasses.replace(training, augment=config.recipe(name)),
        )
        for name in config.recipes
    ] + [
        Stage(
            f"at_{one.factor}_{one.method}",
            f"trained at {one.label}, {one.method}",
            drawn,
            [one],
            one,
            training=dataclasses.replace(training, augment=config.recipe("none")),
        )
        for one in at
    ]
    names = [*config.recipes, *[CEILING] * len(at)]
    device_sample = to_device(pool)
    cases = []
    for name, stage in zip(names, stages, strict=True):
        history = run.train(stage, device_sample, pool)
        cases += [
            Case({"trained_with": name, "factor": one.factor, "method": one.method}, history, number)
            for number, one in enumerate(stage.conditions)
        ]
    return cases


def _headline(found: Found, limits: Table, best: str, config: RobustTraining) -> str:
    coarsest = max(config.factors)
    reached = {
        recipe: listed([f"{fixed(_mean(found.of(recipe, coarsest, method)))} ({method})" for method in config.methods])
        for recipe in (BASELINE, best)
    }
    if best == BASELINE:
        return f"No recipe holds further than training without changes, which reaches {reached[best]} at 1/{coarsest}."
    return (
        f"Trained with {best}, networks reach {reached[best]} at 1/{coarsest}, and {fixed(_mean(found.of(best, *ORIGINAL[:2])))} at full "
        f"resolution; trained without changes {reached[BASELINE]}, and {fixed(_mean(found.of(BASELINE, *ORIGINAL[:2])))}. "
        f"Usable with {best}: {_limits_in_words(limits, best)}; without changes: {_limits_in_words(limits, BASELINE)}."
    )


def _limits_in_words(limits: Table, recipe: str) -> str:
    return listed(
        [
            f"{row['method']} {_down_to(row['usable'])} ({_down_to(row['usable_recalibrated'])} with a new threshold)"
            for row in rows_with(limits, trained_with=recipe)
        ]
    )


def _down_to(limit: int) -> str:
    return "nowhere" if limit == 0 else f"to 1/{limit}" if limit > 1 else "at full resolution alone"


def _conclusions(limits: Table, losses: Table, gaps: Table, best: str) -> list[str]:
    sentences = [
        f"At full resolution {row['trained_with']} changes the accuracy by {signed(row['difference'])} ({interval_in_words(row)})."
        for row in losses
    ]
    sentences += [
        f"Usable with {recipe}: {_limits_in_words(limits, recipe)}."
        for recipe in dict.fromkeys(limits["trained_with"])
        if recipe not in (BASELINE, best)
    ]
    for recipe in dict.fromkeys(gaps["trained_with"]):
        own = rows_with(gaps, trained_with=recipe)
        for method in dict.fromkeys(own["method"]):
            coarsest = max(own["factor"])
            parts = {row["part"]: row for row in rows_with(own, method=method, factor=coarsest)}
            sentences.append(
                f"At 1/{coarsest} ({method}) networks that were trained there are {signed(parts['gap']['difference'])} above those trained "
                f"without changes ({interval_in_words(parts['gap'])}). Of that a new threshold closes {signed(parts['recalibration']['difference'])}, "
                f"{recipe} {signed(parts['training']['difference'])}, both {signed(parts['both']['difference'])}; left are "
                f"{signed(parts['left']['difference'])} ({interval_in_words(parts['left'])})."
            )
    return sentences


def _mean(values: np.ndarray) -> float:
    return float(summarise(values).mean)


def _screen(found: Found, config: RobustTraining, method: str) -> ScreenTable:
    rows = []
    for factor in (ORIGINAL.factor, *sorted(config.factors)):
        cells = []
        for recipe in config.recipes:
            values = found.of(recipe, factor, method)
            usable = is_usable(found.of(recipe, *ORIGINAL[:2]), values, config.usable, found.shared)
            cells.append(f"{plus_minus(_mean(values), float(summarise(values).std))} {'*' if usable else ' '}")
        there = (CEILING, factor, method) in found.accuracy
        cells.append(fixed(_mean(found.of(CEILING, factor, method))) if there else "")
        rows.append(["Original" if factor == 1 else f"1/{factor}", *cells])
    title = f"accuracy, {method}, n = {repeats_left(*found.accuracy.values())} (* usable)"
    return screen_table(title, ["resolution", *config.recipes, CEILING], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
