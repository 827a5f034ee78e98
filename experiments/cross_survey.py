"""Can a network trained on one instrument's images classify another's? (thesis, 6.3)

    python -m experiments.cross_survey                      # the simulated survey seen by SDSS and HSC; 6 minutes on 2 CPU cores
    python -m experiments.cross_survey --preset thesis      # 100 repeats, 1,000 galaxies, 150x150 px
    python -m experiments.cross_survey --data COARSE --sharp.data SHARP --sharp.image-size 150
                                                            # two folders or saved samples of the same galaxies

The same galaxies in coarse images (SDSS, 64 px) and sharp ones (HSC, 150 px), matched by id; the coarse ones are enlarged with
nearest. Three conditions: coarse -> coarse, sharp -> coarse and sharp -> sharp (trained -> tested). Then the sharp test images
are made like the coarse ones one step at a time (pixel size, seeing, noise), to see which of them costs what.

The thesis finds sharp -> coarse significantly worse than the other two, which do not differ.
"""

import dataclasses
import itertools
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described
from galjax.config.json_form import Suggested
from galjax.config.markers import SHARP_IMAGES
from galjax.config.settings import ScheduleConfig, TrainingConfig
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
    coarse_seeing: float | None = None
    """Seeing of the coarse images, full width at half maximum in arcsec. None: that of the simulated survey; for other
    galaxies the step from seeing to seeing is left out."""
    sharp_seeing: float | None = None
    """Seeing of the sharp images, full width at half maximum in arcsec. None: as of the coarse ones."""

    noise_unit: Literal["own", "training"] = "own"
    """Whose sky noise is the unit of pixels where the input scaling is sky: own, each instrument's (surveys give pixels in
    different units, and each knows its own noise), or training, that of the images trained on, for all."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag in ("coarse_seeing", "sharp_seeing"):
            value = getattr(self, flag)
            if value is not None and not 0 < value < float("inf"):
                raise InputError(f"--{flag.replace('_', '-')} must be above 0 arcsec, not {value}.")

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


PRESETS: dict[PresetName, CrossSurvey] = {
    "quick": CrossSurvey(
        source=SourceConfig(simulated=SimulatedSurvey(galaxies=1200)),
        repeats=4,
        per_class=Suggested(200),
        training=TrainingConfig(ScheduleConfig(epochs=12, evaluate_every=3)),
    ),
    "standard": CrossSurvey(
        repeats=10, per_class=Suggested(300), training=TrainingConfig(ScheduleConfig(epochs=30, evaluate_every=5))
    ),
    "thesis": CrossSurvey(
        repeats=100, validation_fraction=0.0, training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=10))
    ),
}

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

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
)
from galjax.analysis.tables import comparisons_table, history_arrays, results_table, rows_with, summary_table
from galjax.analysis.threshold import IN_SHORT_CAPTION, Mismatch, about_threshold, in_short, threshold_table
from galjax.analysis.wording import (
    HOLM,
    NEW_GALAXIES,
    PAIRED,
    basis,
    fixed,
    interval_and_test,
    mean_of,
    minus,
    plus_minus,
    signed,
)
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.networks.registry import check_image_shape
from galjax.report.figures import NamedFigure
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.curves import training_curves
from galjax.report.figures.galleries import clearest
from galjax.report.figures.instruments import instrument_gallery, steps_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.statistics import compare_paired, repeats_left, summarise
from galjax.training.conditions import Condition, to_device

CONDITIONS = {"coarse → coarse": (COARSE, COARSE), "sharp → coarse": (SHARP, COARSE), "sharp → sharp": (SHARP, SHARP)}
"""Trained on, tested on."""
Accuracies = Mapping[tuple[Any, ...], np.ndarray]
"""In every repeat, by what was trained on and tested on."""
TEST = f"{PAIRED}, {HOLM}"


def study(config: CrossSurvey, run: ExperimentRun) -> Findings:
    """Train on each instrument, and test on both and on every step between them."""
    matched = _matched(config, run)
    pool = matched.coarse
    config = run.fitted(config, per_class=run.most_per_class(pool))
    drawn = run.draw_balanced(pool, config.per_class)
    height, width = matched.sharp.images.shape[1:3]
    check_image_shape(config.training.network, height, width)
    run.open(*matched, draws=[drawn])
    run.progress.note("Making the sharp images coarse, step by step")
    steps = degrade_in_steps(matched, config.seeing(), config.seed)
    names = list(steps.views)
    first, *further = steps.views.values()
    device_sample = to_device(dataclasses.replace(matched.sharp, images=first), *further)
    conditions = [Condition(view=view) for view in range(len(names))]
    histories = {
        trained_on: run.train(
            Stage(
                f"trained_on_{trained_on}",
                f"trained on {trained_on}",
                drawn,
                conditions,
                Condition(view=names.index(trained_on)),
                keeps_ensemble=trained_on == SHARP,
                own_sky=config.noise_unit == "own",
            ),
            device_sample,
            matched.sharp,
        )
        for trained_on in (SHARP, COARSE)
    }
    cases = [
        Case({"trained_on": trained_on, "tested_on": tested_on}, history, number)
        for trained_on, history in histories.items()
        for number, tested_on in enumerate(names)
    ]
    summary = summary_table(cases)
    accuracies = values_by(cases, "trained_on", "tested_on")
    shared = run.shared_share(pool, drawn)
    compared, costs = conditions_table(accuracies, shared), steps_table(accuracies, names, shared)
    own = dict(zip(accuracies, cases, strict=True))
    threshold = threshold_table(
        Mismatch(own[on, on], case, shared) for (on, tested), case in own.items() if tested != on
    )
    stands_on = basis(repeats_left(*accuracies.values()), cases[0].leading, PAIRED, [shared], HOLM)
    headline, *conclusions = _conclusions(compared, costs, accuracies, config)
    conclusions.append(about_threshold(rows_with(threshold, trained_on=SHARP), _from_sharp))
    return Findings(
        headline=f"{headline} {stands_on}",
        conclusions=tuple(conclusions),
        sections=(
            Section(
                "Three conditions",
                figures=(
                    points_with_bars(
                        {"accuracy": {name: accuracies[pair] for name, pair in CONDITIONS.items()}},
                        ["std"],
                        "conditions",
                        "Trained on the images before the arrow, tested on those after it.",
                    ),
                    *(
                        training_curves({"": h}, f"training_curves_{n}", f"on {n} images, tested on sharp images")
                        for n, h in histories.items()
                    ),
                ),
                tables={
                    f"Pairs of conditions (paired over repeats, 95 % confidence intervals {NEW_GALAXIES}, {HOLM})": compared
                },
            ),
            Section(
                "Which step costs what",
                text=(_about_steps(steps, config),),
                figures=(_gallery(matched, steps), steps_figure(accuracies, names)),
                tables={
                    f"Each step against the one before, trained on sharp images ({PAIRED}, {HOLM}, {NEW_GALAXIES})": costs,
                    IN_SHORT_CAPTION: in_short(threshold),
                    "Summary over repeats": summary,
                },
            ),
        ),
        results=results_table(cases),
        summary=summary,
        history=history_arrays(histories, "trained_on", conditions, pool.class_names),
        screen=(_screen(accuracies, names),),
        thesis_figures={"6.1": "conditions"},
        further_tables={"conditions.ecsv": compared, "steps.ecsv": costs, "threshold.ecsv": threshold},
    )


def _matched(config: CrossSurvey, run: ExperimentRun) -> MatchedSamples:
    """Both sets of images, galaxies that are in one alone left out."""
    sharp_source = config.sharp
    if config.simulated_together():
        ours = config.source.simulated
        theirs = dataclasses.replace(
            sharp_source.simulated, galaxies=ours.galaxies, class_fractions=ours.class_fractions
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


def steps_table(accuracies: Accuracies, steps: Sequence[str], shared: float) -> Table:
    """What every step from sharp to coarse costs a network trained on sharp images; paired over repeats."""
    rows = []
    for before, step in itertools.pairwise(steps):
        found = compare_paired(accuracies[SHARP, before], accuracies[SHARP, step], shared)
        name = "what remains to the coarse images" if step == COARSE else step
        rows.append((name, float(summarise(accuracies[SHARP, step]).mean), *found))
    return comparisons_table(rows, ("step", "accuracy", "cost"))


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
    sentences.append(_dearest_step(costs))
    if config.seeing() is None:
        sentences.append("The step of the seeing was left out: --coarse-seeing and --sharp-seeing are not given.")
    return sentences


def _from_sharp(row: Table.Row) -> str:
    """What a network trained on sharp images was tested on, in words."""
    coarser = f"the same made coarse up to the {row['tested_on'].removeprefix('+ ')}"
    return f"between sharp images and {'the coarse ones' if row['tested_on'] == COARSE else coarser}"


def _dearest_step(costs: Table) -> str:
    costly = costs[(costs["p_corrected"] < 0.05) & (costs["cost"] > 0)]
    if len(costly):
        dearest = costly[int(np.argmax(costly["cost"]))]
        step = dearest["step"].removeprefix("+ ")
        return f"Of the steps from sharp to coarse whose cost is significant, the most costly is {step}: {fixed(dearest['cost'])} of accuracy."
    if not np.isfinite(costs["p_corrected"]).any():
        return "Which step from sharp to coarse costs accuracy cannot be said: the differences have no spread over repeats."
    return "No single step from sharp to coarse costs a significant amount of accuracy."


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
    return instrument_gallery(steps.views, chosen, [names[matched.coarse.labels[index]] for index in chosen])


def _screen(accuracies: Accuracies, names: Sequence[str]) -> ScreenTable:
    rows = []
    for name in names:
        found = [summarise(accuracies[trained_on, name]) for trained_on in (SHARP, COARSE)]
        rows.append([name, *(plus_minus(float(s.mean), float(s.std)) for s in found)])
    title = f"accuracy, {mean_of(repeats_left(*accuracies.values()), 'std')}"
    return screen_table(title, ["tested on", "trained on sharp", "trained on coarse"], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
