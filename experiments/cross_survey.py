"""Can a network trained on one instrument's images classify another's? (thesis, 6.3)

    python -m experiments.cross_survey                      # the simulated survey seen by SDSS and HSC; 6 minutes on 2 CPU cores
    python -m experiments.cross_survey --preset thesis      # 100 repeats, 1,000 galaxies, 150x150 px
    python -m experiments.cross_survey --data COARSE --sharp.data SHARP --sharp.image-size 150
                                                            # two folders or saved samples of the same galaxies

    python -m experiments.cross_survey --coarse-size own    # coarse -> coarse at 64 px, as in the thesis

The same galaxies in coarse images (SDSS, 64 px) and sharp ones (HSC, 150 px), matched by id; the coarse ones are enlarged with
nearest. Three conditions: coarse -> coarse, sharp -> coarse and sharp -> sharp (trained -> tested). Then the sharp test images
get every subset of three properties of the coarse ones (pixel size, seeing, noise), to see which of them costs what: what a
step costs depends on those before it, and is averaged over all orders (Shapley values).

All networks here see images of 150 px, so that the coarse ones differ from the sharp in nothing but what the instrument does. The thesis
used 150 px only where HSC images take part, and 64 px for coarse -> coarse: --coarse-size own.

--recipes dihedral resolution all trains on the sharp images with each of these recipes of --augment too, on the same galaxies: does one
remove the loss, and which step does it help with? A learning rate that falls suits them: --learning-rate 0.01 --rate-schedule cosine.

The thesis finds sharp -> coarse significantly worse than the other two, which do not differ.
"""

import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
from galjax.config.json_form import Suggested
from galjax.config.markers import SHARP_IMAGES
from galjax.config.settings import AugmentConfig, Recipe, ScheduleConfig, TrainingConfig
from galjax.errors import InputError
from galjax.sources import HSC_WIDE, SimulatedSurvey, SourceConfig

NAME = "cross_survey"
TITLE = "Across surveys: two instruments, the same galaxies"
QUESTION = "Can a network trained on one instrument's images classify another's?"


@dataclasses.dataclass(frozen=True)
class CrossSurvey(ExperimentConfig):
    """Flags. --data are the coarse images, --sharp.data the sharp ones; labels are those of --data."""

    sharp: Annotated[SourceConfig, SHARP_IMAGES] = dataclasses.field(
        default_factory=lambda: SourceConfig(simulated=HSC_WIDE)
    )
    per_class: int = Suggested(500)
    """Galaxies of each class that a repeat draws."""
    coarse_size: Literal["sharp", "own"] = "sharp"
    """Size of the images that the network of the coarse images is trained and tested on: sharp (enlarged, as those that it is
    compared with), or own (not enlarged; it is then tested on coarse images alone)."""
    coarse_seeing: float | None = None
    """Seeing of the coarse images, full width at half maximum in arcsec. None: that of the simulated survey; for other
    galaxies the step from seeing to seeing is left out."""
    sharp_seeing: float | None = None
    """Seeing of the sharp images, full width at half maximum in arcsec. None: as of the coarse ones."""

    recipes: tuple[Recipe, ...] = ()
    """Recipes of --augment to train with on the sharp images too, besides what --augment says."""
    recipe_seeing: float = 0.0
    """Largest standard deviation of the blur of the recipe all, px of the sharp images."""
    recipe_noise: float = 0.0
    """Largest noise of the recipe all, in units of that of the sharp images' own pixels."""
    noise_unit: Literal["own", "training"] = "own"
    """Whose sky noise is the unit of pixels where the input scaling is sky: own, each instrument's (surveys give pixels in
    different units, and each knows its own noise), or training, that of the images trained on, for all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag in ("coarse_seeing", "sharp_seeing"):
            value = getattr(self, flag)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"--{flag.replace('_', '-')} must be above 0 arcsec, not {value}.")

        if len(set(self.recipes)) != len(self.recipes):
            raise InputError(f"--recipes takes each recipe once, not {self.recipes}.")
        for flag in ("recipe_seeing", "recipe_noise"):
            if getattr(self, flag) and "all" not in self.recipes:
                raise InputError(
                    f"--{flag.replace('_', '-')} is of the recipe all. Add it to --recipes, or leave the flag out."
                )
            self.recipe("all")  # are its strengths possible?

    def recipe(self, name: Recipe) -> AugmentConfig:
        """The recipe, with the strengths of the flags."""
        if name != "all":
            return AugmentConfig(name)
        return AugmentConfig(name, augment_seeing=self.recipe_seeing, augment_noise=self.recipe_noise)

    def simulated_together(self) -> bool:
        """Whether both instruments see the simulated survey."""
        return self.source.data == self.sharp.data == "simulated"

    def seeing(self) -> tuple[float, float] | None:
        """(coarse, sharp) full width at half maximum in arcsec, where both are known."""
        known = (
            (self.source.simulated.seeing, self.sharp.simulated.seeing) if self.simulated_together() else (None, None)
        )
        coarse, sharp = self.coarse_seeing or known[0], self.sharp_seeing or known[1]
        return (coarse, sharp) if coarse and sharp else None


PRESETS: dict[PresetName, CrossSurvey] = with_robust(
    {
        "quick": CrossSurvey(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=1200)),
            repeats=4,
            per_class=Suggested(200),
            training=TrainingConfig(ScheduleConfig(epochs=16, evaluate_every=4)),
        ),
        "standard": CrossSurvey(
            repeats=10, per_class=Suggested(300), training=TrainingConfig(ScheduleConfig(epochs=30, evaluate_every=5))
        ),
        "thesis": CrossSurvey(
            repeats=100, validation_fraction=0.0, training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=10))
        ),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table, vstack
from rich.table import Table as ScreenTable

from galjax.analysis.attribution import attribution_table, subsets
from galjax.analysis.cases import Case, values_by
from galjax.analysis.instruments import (
    COARSE,
    SHARP,
    MatchedSamples,
    Steps,
    check_seeing,
    degrade_in_steps,
    match_by_id,
    unknown_fields,
    view_name,
)
from galjax.analysis.statements import Statement, is_better, no_difference
from galjax.analysis.tables import (
    comparisons_table,
    history_arrays,
    interval_in_words,
    results_table,
    rows_with,
    summary_table,
)
from galjax.analysis.threshold import IN_SHORT_CAPTION, Mismatch, about_threshold, in_short, threshold_table
from galjax.analysis.wording import (
    HOLM,
    NEW_GALAXIES,
    PAIRED,
    basis,
    fixed,
    interval,
    interval_and_test,
    listed,
    mean_of,
    minus,
    plus_minus,
    signed,
)
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.networks.registry import check_image_shape
from galjax.report.figures import NamedFigure
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.curves import training_curves
from galjax.report.figures.galleries import clearest
from galjax.report.figures.instruments import attribution_figure, instrument_gallery, steps_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import THESIS_SELECTION, Comparison, compare_paired, repeats_left, summarise
from galjax.training.conditions import Condition, to_device
from galjax.training.history import History
from galjax.training.step import DeviceSample

CONDITIONS = {"coarse → coarse": (COARSE, COARSE), "sharp → coarse": (SHARP, COARSE), "sharp → sharp": (SHARP, SHARP)}
"""Trained on, tested on."""
Accuracies = Mapping[tuple[Any, ...], np.ndarray]
"""In every repeat, by what was trained on and tested on."""
COSTS_CAPTION = (
    "Each step's cost to a network trained on sharp images, averaged over all orders of the steps (Shapley values; paired over repeats, "
    f"95 % confidence intervals {NEW_GALAXIES}, {HOLM}); least and most: mean costs in single orders"
)
STEPS_CAPTION = (
    f"In one order: each step against the one before, trained on sharp images ({PAIRED}, {HOLM}, {NEW_GALAXIES})"
)
TEST = f"{PAIRED}, {HOLM}"
ATTRIBUTED = ("accuracy", "recalibrated_accuracy")
"""Metrics whose loss is attributed to the steps."""


def study(config: CrossSurvey, run: ExperimentRun) -> Findings:
    """Train on each instrument, and test on both and on everything between them."""
    matched = _matched(config, run)
    config = run.fitted(config, per_class=run.most_per_class(matched.coarse))
    drawn = run.draw_balanced(matched.coarse, config.per_class)
    check_image_shape(config.training.network, *matched.sharp.images.shape[1:3])
    run.open(*matched, draws=[drawn])
    run.progress.note("Making the sharp images coarse, step by step")
    steps = degrade_in_steps(matched, config.seeing(), config.seed)
    seen = _seen(config, matched, steps)
    own_sky = config.noise_unit == "own"
    histories = {name: _train(name, one, drawn, run, own_sky=own_sky) for name, one in seen.items()}
    cases = [
        Case({"trained_on": trained_on, "tested_on": tested_on}, history, number)
        for trained_on, history in histories.items()
        for number, tested_on in enumerate(seen[trained_on].views)
    ]
    values = {metric: values_by(cases, "trained_on", "tested_on", metric=metric) for metric in ATTRIBUTED}
    accuracies = values["accuracy"]
    shared = run.shared_share(matched.coarse, drawn)
    compared, costs = conditions_table(accuracies, shared), costs_table(values, steps.names, shared)
    own = dict(zip(accuracies, cases, strict=True))
    threshold = threshold_table(
        Mismatch(own[on, on], case, shared) for (on, tested), case in own.items() if tested != on
    )
    stands_on = basis(repeats_left(*accuracies.values()), cases[0].leading, PAIRED, [shared], HOLM)
    headline, *conclusions = _conclusions(compared, costs, accuracies, config)
    to_coarse = rows_with(threshold, trained_on=SHARP, tested_on=COARSE)
    conclusions.append(about_threshold(to_coarse, lambda row: "between sharp images and the coarse ones"))
    single = steps_table(accuracies, steps.path, shared)
    trained = {name: _train(SHARP, seen[SHARP], drawn, run, own_sky=own_sky, recipe=name) for name in config.recipes}
    recipes = Recipes({name: _values(history, seen[SHARP]) for name, history in trained.items()}, values, shared)
    conclusions += recipes.sentences()
    cases += [
        Case({"trained_on": f"{SHARP}, {name}", "tested_on": tested_on}, history, number)
        for name, history in trained.items()
        for number, tested_on in enumerate(seen[SHARP].views)
    ]
    summary = summary_table(cases)
    return Findings(
        headline=f"{headline} {stands_on}",
        conclusions=tuple(conclusions),
        sections=(
            Section(
                "Three conditions",
                text=(_about_sizes(matched, config),),
                figures=_conditions_figures(accuracies, histories, seen),
                tables={
                    f"Pairs of conditions (paired over repeats, 95 % confidence intervals {NEW_GALAXIES}, {HOLM})": compared
                },
            ),
            Section(
                "Which step costs what",
                text=(_about_steps(steps, config),),
                figures=(
                    _gallery(matched, steps),
                    attribution_figure(rows_with(costs, metric="accuracy")),
                    steps_figure(accuracies, steps.path),
                ),
                tables={
                    COSTS_CAPTION: costs,
                    STEPS_CAPTION: single,
                    IN_SHORT_CAPTION: in_short(threshold),
                    "Summary over repeats": summary,
                },
            ),
            *recipes.sections(steps.names),
        ),
        results=results_table(cases),
        summary=summary,
        history=_history(
            histories | {f"{SHARP}_{name}": history for name, history in trained.items()},
            seen | {f"{SHARP}_{name}": seen[SHARP] for name in trained},
            matched.coarse.class_names,
        ),
        screen=(_screen(accuracies, steps.path), _costs_screen(costs)),
        thesis_figures={"6.1": "conditions"},
        statements=_statements(values_by(cases, "trained_on", "tested_on", selection=THESIS_SELECTION), shared),
        further_tables={
            "conditions.ecsv": compared,
            "attribution.ecsv": costs,
            "steps.ecsv": single,
            "threshold.ecsv": threshold,
            **recipes.tables(steps.names),
        },
    )


def _statements(accuracies: Accuracies, shared: float) -> tuple[Statement, ...]:
    """What the thesis concludes from its three conditions."""
    own, across, sharp = CONDITIONS

    def compared(one: str, other: str) -> dict[str, Comparison]:
        found = compare_paired(accuracies[CONDITIONS[one]], accuracies[CONDITIONS[other]], shared)
        return {minus(f"({one})", f"({other})"): found}

    return (
        is_better(
            f"{across} is significantly worse than {own} and {sharp} ({PAIRED})",
            "6.3",
            compared(own, across) | compared(sharp, across),
        ),
        no_difference(f"{own} and {sharp} do not differ significantly ({PAIRED})", "6.3", compared(sharp, own)),
    )


class Seen(NamedTuple):
    """What the network of one instrument is trained and tested on."""

    galaxies: GalaxySample
    pixels: DeviceSample
    views: tuple[str, ...]
    """The names of the views in `pixels`."""

    @property
    def conditions(self) -> list[Condition]:
        """To test under: every view."""
        return [Condition(view=view) for view in range(len(self.views))]


def _values(history: History, seen: Seen) -> dict[str, Accuracies]:
    """What networks that were trained on sharp images reach on every view, by metric."""
    cases = [Case({"tested_on": view}, history, number) for number, view in enumerate(seen.views)]
    found = {metric: values_by(cases, "tested_on", metric=metric) for metric in ATTRIBUTED}
    return {metric: {(SHARP, *key): one for key, one in by_view.items()} for metric, by_view in found.items()}


class Recipes(NamedTuple):
    """Trainings on sharp images that change at random, compared with the others; empty where none was asked for."""

    reached: Mapping[str, Mapping[str, Accuracies]]
    """By recipe and metric."""
    values: Mapping[str, Accuracies]
    """Those of the other trainings, by metric."""
    shared: float

    def table(self) -> Table:
        """How far each recipe is above training without it, and what is left to networks of the coarse images."""
        plain, rows = self.values["accuracy"], []
        for name, found in self.reached.items():
            own, anew = found["accuracy"], found["recalibrated_accuracy"]
            pairs = {
                "sharp → sharp": (own[SHARP, SHARP], plain[SHARP, SHARP]),
                "sharp → coarse": (own[SHARP, COARSE], plain[SHARP, COARSE]),
                "sharp → coarse, new threshold": (anew[SHARP, COARSE], plain[SHARP, COARSE]),
                LEFT: (plain[COARSE, COARSE], own[SHARP, COARSE]),
            }
            for part, (one, other) in pairs.items():
                rows.append((name, part, float(summarise(one).mean), *compare_paired(one, other, self.shared)))
        return comparisons_table(rows, ("recipe", "part", "accuracy", "difference"))

    def costs(self, steps: Sequence[str]) -> Table:
        """What every step still costs with each recipe (`costs_table`)."""
        blocks = []
        for name, found in self.reached.items():
            block = costs_table(found, steps, self.shared)
            block.add_column([name] * len(block), name="recipe", index=0)
            blocks.append(block)
        return vstack(blocks)

    def tables(self, steps: Sequence[str]) -> dict[str, Table]:
        """Both tables by file name."""
        return {"recipes.ecsv": self.table(), "recipes_attribution.ecsv": self.costs(steps)} if self.reached else {}

    def sentences(self) -> list[str]:
        """What each recipe changes."""
        said = []
        for name in self.reached:
            own = {row["part"]: row for row in rows_with(self.table(), recipe=name)}
            parts = [
                f"{part} {signed(row['difference'])} ({interval_in_words(row)})"
                for part, row in own.items()
                if part != LEFT
            ]
            left = own[LEFT]
            said.append(
                f"Trained on sharp images with {name}, against without: {listed(parts)}. Networks of the coarse images are {signed(left['difference'])} "
                f"above it there ({interval_in_words(left)})."
            )
        return said

    def sections(self, steps: Sequence[str]) -> tuple[Section, ...]:
        """A section of the report, where there is something to tell."""
        if not self.reached:
            return ()
        plain = self.values["accuracy"]
        panels = {
            tested: {
                "as above": plain[SHARP, view],
                **{name: found["accuracy"][SHARP, view] for name, found in self.reached.items()},
            }
            for tested, view in {"sharp → sharp": SHARP, "sharp → coarse": COARSE}.items()
        }
        panels["sharp → coarse"]["trained on coarse"] = plain[COARSE, COARSE]
        figure = points_with_bars(panels, ["std"], "recipes", "Trained on sharp images as above, and with each recipe.")
        captions = {
            f"What each recipe changes ({PAIRED}, {HOLM}, {NEW_GALAXIES})": self.table(),
            f"{COSTS_CAPTION}; with each recipe": self.costs(steps),
        }
        return (Section("Training images that change at random", figures=(figure,), tables=captions),)


LEFT = "left to coarse → coarse"
"""How far networks that were trained on the coarse images are above a recipe's there."""


def _seen(config: CrossSurvey, matched: MatchedSamples, steps: Steps) -> dict[str, Seen]:
    first, *further = steps.views.values()
    pixels = to_device(dataclasses.replace(matched.sharp, images=first), *further)
    everything = Seen(matched.sharp, pixels, tuple(steps.views))
    if config.coarse_size == "sharp":
        return {SHARP: everything, COARSE: everything}
    return {SHARP: everything, COARSE: Seen(matched.coarse, to_device(matched.coarse), (COARSE,))}


def _train(
    trained_on: str, seen: Seen, drawn: Draw, run: ExperimentRun, *, own_sky: bool, recipe: Recipe | None = None
) -> History:
    config = run.config
    assert isinstance(config, CrossSurvey)
    changed = None if recipe is None else dataclasses.replace(config.training, augment=config.recipe(recipe))
    return run.train(
        Stage(
            f"trained_on_{trained_on}" + (f"_{recipe}" if recipe else ""),
            f"trained on {trained_on}" + (f" with {recipe}" if recipe else ""),
            drawn,
            seen.conditions,
            Condition(view=seen.views.index(trained_on)),
            keeps_ensemble=trained_on == SHARP and recipe is None,
            own_sky=own_sky,
            training=changed,
        ),
        seen.pixels,
        seen.galaxies,
    )


def _history(
    histories: Mapping[str, History], seen: Mapping[str, Seen], class_names: Sequence[str]
) -> dict[str, np.ndarray]:
    """The history of each training, its arrays named after it, with the views tested on."""
    arrays: dict[str, np.ndarray] = {}
    for name, history in histories.items():
        found = history_arrays({name: history}, "trained_on", seen[name].conditions, class_names)
        found["condition_view"] = np.array(seen[name].views)
        arrays |= {f"{name}_{key}": value for key, value in found.items()}
    return arrays


def _matched(config: CrossSurvey, run: ExperimentRun) -> MatchedSamples:
    """Both sets of images, galaxies that are in one alone left out."""
    sharp_source = config.sharp
    if config.simulated_together():
        ours = config.source.simulated
        theirs = dataclasses.replace(
            sharp_source.simulated,
            galaxies=ours.galaxies,
            class_fractions=ours.class_fractions,
            label_error=ours.label_error,
        )
        sharp_source = dataclasses.replace(sharp_source, simulated=theirs)
    elif "simulated" in (config.source.data, sharp_source.data):
        raise InputError(
            "One of --data and --sharp.data is the simulated survey and the other is not: they do not show the same galaxies. "
            "Give both, or neither."
        )
    matched = match_by_id(run.load(), run.load(sharp_source))
    check_seeing(matched, config.seeing())
    if unchecked := unknown_fields(matched):
        run.progress.note(unchecked)
    pool = run.galaxies(matched.coarse)
    keep = np.flatnonzero(np.isin(matched.coarse.ids, pool.ids))
    sharp = matched.sharp.take(keep).with_classes(config.classes)
    return MatchedSamples(pool, sharp)


def conditions_table(accuracies: Accuracies, shared: float) -> Table:
    """Every pair of the three conditions compared: paired over repeats, which draw the same galaxies.

    `shared` is the share of test galaxies that two repeats have in common.
    """
    rows = [
        (
            minus(f"({one})", f"({other})"),
            *compare_paired(accuracies[CONDITIONS[one]], accuracies[CONDITIONS[other]], shared),
        )
        for one, other in itertools.combinations(CONDITIONS, 2)
    ]
    return comparisons_table(rows, ("conditions", "difference"))


def costs_table(values: Mapping[str, Accuracies], steps: Sequence[str], shared: float) -> Table:
    """What every step from sharp to coarse costs a network trained on sharp images, averaged over all orders of the steps.

    One block of rows for each of the `values`, by metric: accuracy, and what no threshold wins back (`galjax.analysis.threshold`).
    """
    blocks = []
    for metric, found in values.items():
        by_subset = {done: found[SHARP, view_name(done)] for done in subsets(steps)}
        block = attribution_table(by_subset, steps, found[SHARP, COARSE], shared)
        block.add_column([metric] * len(block), name="metric", index=0)
        blocks.append(block)
    return vstack(blocks)


def steps_table(accuracies: Accuracies, path: Sequence[str], shared: float) -> Table:
    """What every step costs a network trained on sharp images in one order, that of an observation; paired over repeats."""
    rows = []
    for before, view in itertools.pairwise(path):
        found = compare_paired(accuracies[SHARP, before], accuracies[SHARP, view], shared)
        rows.append((view, float(summarise(accuracies[SHARP, view]).mean), *found))
    return comparisons_table(rows, ("tested_on", "accuracy", "cost"))


def _conclusions(compared: Table, costs: Table, accuracies: Accuracies, config: CrossSurvey) -> list[str]:
    means = ", ".join(
        f"{name} {plus_minus(*(float(v) for v in summarise(accuracies[pair])[:2]))}"
        for name, pair in CONDITIONS.items()
    )
    n = repeats_left(*accuracies.values())
    sentences = [f"Accuracy (trained → tested), {mean_of(n, 'std')}: {means}."]
    sentences += [
        f"{row['conditions']}: {signed(row['difference'])} "
        f"({interval_and_test(row['low'], row['high'], row['p_corrected'], row['n'], TEST)})."
        for row in compared
    ]
    sentences.append(_attribution(costs))
    if config.seeing() is None:
        sentences.append("The step of the seeing was left out: --coarse-seeing and --sharp-seeing are not given.")
    return sentences


def _attribution(costs: Table) -> str:
    found = {metric: rows_with(costs, metric=metric) for metric in ATTRIBUTED}
    parts = {
        metric: listed(
            [
                f"{row['what']} {signed(row['cost'])} ({interval_and_test(row['low'], row['high'], row['p_corrected'], row['n'], TEST)})"
                for row in rows
            ]
        )
        for metric, rows in found.items()
    }
    lost = {metric: fixed(sum(rows["cost"])) for metric, rows in found.items()}
    return (
        f"A network trained on sharp images loses {lost['accuracy']} of accuracy on the coarse images. Averaged over all orders of the steps "
        f"(Shapley values), its parts are {parts['accuracy']}. With the thresholds fitted anew on other galaxies of each condition, "
        f"{lost['recalibrated_accuracy']} is still lost: {parts['recalibrated_accuracy']}."
    )


def _conditions_figures(
    accuracies: Accuracies, histories: Mapping[str, History], seen: Mapping[str, Seen]
) -> tuple[NamedFigure, ...]:
    return (
        points_with_bars(
            {"accuracy": {name: accuracies[pair] for name, pair in CONDITIONS.items()}},
            ["std"],
            "conditions",
            "Trained on the images before the arrow, tested on those after it.",
        ),
        *(
            training_curves({"": h}, f"training_curves_{n}", f"on {n} images, tested on {seen[n].views[0]} images")
            for n, h in histories.items()
        ),
    )


def _about_sizes(matched: MatchedSamples, config: CrossSurvey) -> str:
    own, large = ("x".join(map(str, sample.images.shape[1:3])) for sample in matched)
    if config.coarse_size == "own":
        return f"coarse → coarse is at {own} px, the other two at {large} px, as in the thesis: the two kinds of networks differ in size too."
    return (
        f"All networks see images of {large} px; coarse images of {own} px are enlarged with nearest. The thesis did so only where sharp "
        f"images take part, and left coarse → coarse at its own size (--coarse-size own)."
    )


def _about_steps(steps: Steps, config: CrossSurvey) -> str:
    seeing = config.seeing()
    words = f"seeing of {seeing[1]:g} to {seeing[0]:g} arcsec" if seeing else "no change of seeing (unknown)"
    noise = (
        f"noise of {steps.noise_added:.3g} per coarse pixel added (in units of the sharp images)"
        if steps.noise_added
        else "no noise added: the sharp images, made coarse, are at least as noisy as the coarse ones"
    )
    return (
        f"Pixel size by the mean over covered pixels, enlarged again with nearest; {words}; {noise}. What remains after the last "
        f"step is what these do not describe: wings of the point-spread function, position on the grid, another noise."
    )


def _gallery(matched: MatchedSamples, steps: Steps) -> NamedFigure:
    names = matched.coarse.class_names
    chosen = [clearest(matched.sharp, name, percentile) for name in names for percentile in (50.0, 90.0)]
    shown = {name: steps.views[name] for name in steps.path}
    return instrument_gallery(shown, chosen, [names[matched.coarse.labels[index]] for index in chosen])


def _screen(accuracies: Accuracies, path: Sequence[str]) -> ScreenTable:
    rows = []
    for view in path:
        found = [summarise(accuracies[pair]) if (pair := (on, view)) in accuracies else None for on in (SHARP, COARSE)]
        rows.append([view, *("-" if s is None else plus_minus(float(s.mean), float(s.std)) for s in found)])
    title = f"accuracy, {mean_of(repeats_left(*accuracies.values()), 'std')}"
    return screen_table(title, ["tested on", "trained on sharp", "trained on coarse"], rows)


def _costs_screen(costs: Table) -> ScreenTable:
    found = [rows_with(costs, metric=metric) for metric in ATTRIBUTED]
    rows = [
        [
            alone["what"],
            *(
                f"{signed(row['cost'])} ({interval(row['low'], row['high'], row['n']).removeprefix('95 % interval ')})"
                for row in (alone, anew)
            ),
        ]
        for alone, anew in zip(*found, strict=True)
    ]
    title = "cost in accuracy, trained on sharp, averaged over all orders of the steps (95 % interval)"
    return screen_table(title, ["step", "cost", "cost with thresholds fitted anew"], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
