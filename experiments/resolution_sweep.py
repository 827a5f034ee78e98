"""How different may the training and test resolutions be? (thesis, 5.2 and 5.3)

    python -m experiments.resolution_sweep                      # simulated galaxies; 1 to 5 minutes on 2 CPU cores
    python -m experiments.resolution_sweep --preset standard    # 10 repeats, 60 epochs, two sample sizes; an hour, by estimate
    python -m experiments.resolution_sweep --preset thesis      # 30 repeats, 900 epochs, four sample sizes
    python -m experiments.resolution_sweep --data FOLDER        # your own catalogue and images
    python -m experiments.resolution_sweep --degrade psf        # seeing and noise of a coarser survey, not its pixels alone

A network trained on full-resolution galaxies classifies test galaxies that were shrunk to 1/2 ... 1/8 and enlarged back
with three methods. Every repeat draws its own galaxies; all repeats train in one program. With --degrade psf the test galaxies
are blurred before they are shrunk, and get the noise of a coarser survey, instead of the mean over pixels alone.

The thesis finds 0.92 at Original on SDSS images, all three methods usable to 1/4, and about 0.5 (chance) at 1/8.
"""

import dataclasses
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
from galjax.config.json_form import suggested
from galjax.config.markers import Flat
from galjax.config.settings import EnlargingMethod, ScheduleConfig, TrainingConfig, UsableConfig
from galjax.config.values import Factor
from galjax.errors import InputError

NAME = "resolution_sweep"
TITLE = "Resolution sweep"
QUESTION = "How different may the training and test resolutions be?"


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
    """Interpolation methods to enlarge the shrunk test images back with."""
    degrade: Literal["area", "psf"] = "area"
    """What a resolution of 1/k is: area (the mean over k x k pixels), or psf (what a survey of k times the seeing
    and k times the pixel size records of the same sky: blurred, shrunk, and with its noise)."""
    seeing: float | None = None
    """Seeing of the images for --degrade psf, full width at half maximum in arcsec. None: that of the simulated survey."""
    usable: Annotated[UsableConfig, Flat] = dataclasses.field(default_factory=UsableConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, values in {"per-class": self.per_class, "factors": self.factors, "methods": self.methods}.items():
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{flag} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always evaluated), not at {min(self.factors)}.")
        if self.seeing is not None and not 0 < self.seeing < float("inf"):
            raise InputError(f"--seeing must be above 0 arcsec, not {self.seeing}.")
        if self.seeing is not None and self.degrade == "area":
            raise InputError("--seeing has no effect on --degrade area. Leave it out, or give --degrade psf.")
        if self.degrade == "psf" and self.known_seeing() is None:
            raise InputError(
                "--degrade psf makes images of a multiple of their seeing, which is not known of these. Give --seeing (full width at "
                "half maximum, arcsec)."
            )

    @property
    def is_as_in_thesis(self) -> bool:
        """Whether classes are balanced and images shrunk by the mean over pixels, so that results compare with the thesis's."""
        return self.total is None and self.degrade == "area"

    def known_seeing(self) -> float | None:
        """Full width at half maximum of the images, arcsec."""
        return self.seeing or (self.source.simulated.seeing if self.source.data == "simulated" else None)


PRESETS: dict[PresetName, ResolutionSweep] = with_robust(
    {
        "quick": ResolutionSweep(
            repeats=6, per_class=suggested(300), training=TrainingConfig(ScheduleConfig(epochs=24, evaluate_every=8))
        ),
        "standard": ResolutionSweep(
            repeats=10,
            per_class=suggested(300, 1000),
            training=TrainingConfig(ScheduleConfig(epochs=60, evaluate_every=5)),
        ),
        "thesis": ResolutionSweep(validation_fraction=0.0),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from galjax import draw
from galjax.analysis.cases import Case, values_by
from galjax.analysis.classes import classes_table
from galjax.analysis.published import Against, Published
from galjax.analysis.statements import NEAR, Statement, no_difference, of_sizes, of_sweep
from galjax.analysis.sweep_answer import SweepAnswer
from galjax.analysis.tables import comparisons_table, history_arrays, results_table, rows_with, summary_table
from galjax.analysis.threshold import IN_SHORT_CAPTION, Mismatch, about_threshold, in_short, threshold_table
from galjax.analysis.usable import with_usable
from galjax.analysis.wording import EPOCH, HOLM, NEW_GALAXIES, PAIRED, mean_of, minus, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.report.classes import Seen, classes_section
from galjax.report.figures.overview import overview_figures
from galjax.report.figures.sweep import sweep_figures
from galjax.report.html import Section
from galjax.report.methods_text import bibtex, methods_paragraph
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import THESIS_SELECTION, Comparison, compare_paired, count_in_words, leading
from galjax.training.coarser import Recorded, in_coarser_surveys, recorded
from galjax.training.conditions import ORIGINAL, Condition, device_conditions, make_conditions, to_device
from galjax.training.history import History
from galjax.training.step import DeviceSample

Accuracies = Mapping[tuple[Any, ...], np.ndarray]
"""In every repeat, by galaxies per class, factor and method."""


def study(config: ResolutionSweep, run: ExperimentRun) -> Findings:
    """Train every sample size at Original, evaluate it under all conditions."""
    sample = run.load()
    pool = run.galaxies(sample)
    config = run.fitted(config, factors=min(pool.images.shape[1:3]))
    if config.total is None:
        config = run.fitted(config, per_class=run.most_per_class(pool))
    draws = _draws(config, pool, run)
    conditions = make_conditions(config.factors, config.methods)
    device_sample = to_device(pool)
    device_conditions(device_sample, conditions, config.training.convention)  # is every factor possible?
    survey = _survey(config, pool)
    if survey is not None:
        conditions = in_coarser_surveys(conditions, survey, config.training.convention)
    definition = _definition(survey, pool)
    run.open(sample, draws=draws.values())
    histories = _trained(draws, conditions, device_sample, pool, run)
    cases = [
        Case({"per_class": per_class, "factor": condition.factor, "method": condition.method}, history, number)
        for per_class, history in histories.items()
        for number, condition in enumerate(conditions)
    ]
    shared = {per_class: run.shared_share(pool, drawn) for per_class, drawn in draws.items()}
    results, summary = results_table(cases), with_usable(summary_table(cases), cases, config.usable, shared)
    names = ("per_class", "factor", "method")
    accuracies, by_thesis = values_by(cases, *names), values_by(cases, *names, selection=THESIS_SELECTION)
    guesses = {per_class: most_frequent_share(history) for per_class, history in histories.items()}
    if config.total is not None:
        note = f"natural draw of {config.total} galaxies; per_class is their number divided by the number of classes"
        results.meta["draw"] = summary.meta["draw"] = note
    if survey is not None:
        results.meta["degrade"] = summary.meta["degrade"] = definition
    answers = {
        per_class: SweepAnswer(_of_size(accuracies, per_class), config.usable, share, cases[0].leading, config.seed)
        for per_class, share in shared.items()
    }
    headline, *conclusions = _conclusions(answers, guesses, config)
    methods = methods_table(accuracies, config, shared)
    own = dict(zip(accuracies, cases, strict=True))
    threshold = threshold_table(
        Mismatch(own[size, *ORIGINAL[:2]], case, shared[size]) for (size, factor, _), case in own.items() if factor > 1
    )
    lead, *others = sweep_figures(summary, histories, pool, conditions, config.training.convention)
    anew = values_by(cases, *names, metric="recalibrated_accuracy")
    limits = [
        answer.limits(dataclasses.replace(answer, accuracies=_of_size(anew, size))) for size, answer in answers.items()
    ]
    main = max(histories)
    seen = Seen(pool, draws[main], histories[main], conditions, config.methods[0])
    return Findings(
        headline=headline,
        conclusions=(
            *(f"{_drawn(size, config)}: {said}" for size, said in zip(answers, limits, strict=True) if said),
            *conclusions,
            *([definition] if survey is not None else []),
            about_threshold(threshold, lambda row: f"between Original and 1/{row['factor']} with {row['method']}"),
            *_about_methods(methods),
            *_about_sizes(summary, {size: drawn.test.shape[1] for size, drawn in draws.items()}, config),
        ),
        sections=(
            Section(
                "Accuracy and resolution",
                text=(definition,),
                figures=(lead,),
                folded=tuple(others),
                tables={
                    "Summary over repeats": summary,
                    IN_SHORT_CAPTION: in_short(threshold),
                    **(
                        {f"Interpolation methods compared ({PAIRED}, {HOLM}, {NEW_GALAXIES})": methods}
                        if methods
                        else {}
                    ),
                },
            ),
            classes_section(seen, [case for case in cases if case.keys["per_class"] == main]),
            Section(
                "Methods, to copy",
                quoted=f"{_methods(config, pool, draws[main])}\n\n{bibtex()}",
            ),
            Section(
                "The galaxies and the network",
                figures=overview_figures(pool, config.training.network, len(config.classes)),
            ),
        ),
        results=results,
        summary=summary,
        history=history_arrays(histories, "per_class", conditions, config.classes),
        screen=tuple(_screen(summary, config)),
        against=tuple(_against(by_thesis, config)),
        statements=tuple(_statements(by_thesis, config, shared)),
        further_tables={
            "methods.ecsv": methods,
            "threshold.ecsv": threshold,
            "classes.ecsv": classes_table(cases, pool.class_names),
        },
        thesis_figures=_thesis_figures(config),
    )


def _methods(config: ResolutionSweep, pool: GalaxySample, drawn: Draw) -> str:
    """A paragraph for a paper."""
    counts = " and ".join(f"{n:,} {name}" for name, n in pool.class_counts().items())
    train, validation, test = (part.shape[1] for part in drawn)
    kept_aside = f", {validation} to choose the epoch" if validation else ""
    factors = ", ".join(f"1/{factor}" for factor in sorted(config.factors))
    height, width = pool.images.shape[1:3]
    about = {
        "galaxies": f"Galaxies ({config.source.data}): {counts}.",
        "repeats": f"Each of {config.repeats} repeats drew its own {train} galaxies to train{kept_aside} and {test} to test on (seed {config.seed}).",
        "tested": (
            f"Networks trained at full resolution were tested on images shrunk to {factors} "
            f"({'by the mean over pixels' if config.degrade == 'area' else 'with the seeing and noise of a coarser survey'}) and enlarged back with "
            f"{', '.join(config.methods)} interpolation ({config.training.convention} convention). Differences were tested by paired t-tests "
            f"over repeats, corrected for shared test galaxies after Nadeau & Bengio (2003) and for several tests after Holm."
        ),
    }
    bands = pool.images.shape[3] if pool.images.ndim == 4 else 1
    return methods_paragraph(config.training, about, (height, width, bands), len(config.classes))


def _trained(
    draws: Mapping[int, Draw],
    conditions: Sequence[Condition],
    device_sample: DeviceSample,
    pool: GalaxySample,
    run: ExperimentRun,
) -> dict[int, History]:
    """One training for each sample size; the networks of the largest are kept."""
    largest = max(draws)
    return {
        per_class: run.train(
            Stage(
                f"per_class_{per_class}",
                f"{per_class} per class",
                drawn,
                conditions,
                keeps_ensemble=per_class == largest,
            ),
            device_sample,
            pool,
        )
        for per_class, drawn in draws.items()
    }


def _draws(config: ResolutionSweep, pool: GalaxySample, run: ExperimentRun) -> dict[int, Draw]:
    """The draw of every sample size, by galaxies per class; all are checked before anything is trained."""
    if config.total is not None:
        return {round(config.total / len(config.classes)): run.draw_natural(pool, config.total)}
    for per_class in config.per_class:
        draw.check_enough(pool.labels, pool.class_names, per_class, run.disjoint_draws)
    return {per_class: run.draw_balanced(pool, per_class) for per_class in config.per_class}


def _survey(config: ResolutionSweep, pool: GalaxySample) -> Recorded | None:
    """How the galaxies were recorded, where they are to be as coarser surveys record them.

    Raises InputError where their pixel scale is not known.
    """
    seeing = config.known_seeing()
    if config.degrade == "area" or seeing is None:
        return None
    if not np.isfinite(pool.pixel_scale):
        note = pool.provenance.get("note", "")
        raise InputError(
            f"For --degrade psf the pixel scale of the images must be known. Give --pixel-scale (arcsec). {note}".strip()
        )
    return recorded(pool, seeing)


def _definition(survey: Recorded | None, pool: GalaxySample) -> str:
    """What a resolution of 1/k is here."""
    if survey is None:
        return "At 1/k a test image is the mean over k x k pixels, enlarged back (--degrade area)."
    noise = ", ".join(f"{band} {noise:.4g}" for band, noise in zip(pool.bands, survey.noise, strict=True))
    stretched = " The images are stretched already, so that neither blur nor noise is quite a telescope's."
    return (
        f"At 1/k a test image is what a survey of k times the seeing ({survey.seeing * pool.pixel_scale:.3g} arcsec, {survey.seeing:.3g} "
        f"px), k times the pixel size and the same sky brightness, exposure and aperture records, enlarged back (--degrade psf): blurred by a "
        f"Gaussian, shrunk, and with white noise added, so that a pixel has 1/k of the noise that the sky has in a pixel of the original "
        f"({noise}).{stretched if pool.is_8_bit else ''}"
    )


def most_frequent_share(history: History) -> float:
    """The accuracy of always naming the class that most test galaxies have, over all repeats; NaN without any."""
    of_class = history.test_confusion[:, 0, 0].sum(axis=(0, 1))
    return float(of_class.max() / of_class.sum()) if of_class.sum() else float("nan")


def _of_size(accuracies: Accuracies, per_class: int) -> dict[tuple[int, str], np.ndarray]:
    return {(factor, method): values for (size, factor, method), values in accuracies.items() if size == per_class}


def _conclusions(
    answers: Mapping[int, SweepAnswer], guesses: Mapping[int, float], config: ResolutionSweep
) -> list[str]:
    """In words, computed from the results: for each sample size, then the definition."""
    sentences = [answer.sentences(guesses[size], _drawn(size, config)) for size, answer in answers.items()]
    return [*sentences, f"{config.usable.rule()}."]


def _drawn(per_class: int, config: ResolutionSweep) -> str:
    if config.total is None:
        return f"{per_class} galaxies per class"
    return f"{config.total} galaxies in natural proportions"


def _screen(summary: Table, config: ResolutionSweep) -> list[ScreenTable]:
    """The closing table on the terminal: mean ± std at the leading epoch, resolutions marked by what they meet."""
    allowed, threshold = config.usable.usable_loss, config.usable.usable_accuracy
    below = f"; ~ loses less than {allowed:g} but stays below {threshold:g}" if threshold else ""
    tables, selection = [], leading(summary["selection"])
    for per_class in dict.fromkeys(summary["per_class"].tolist()):
        rows = rows_with(summary, per_class=per_class, selection=selection)
        lines = []
        for factor in sorted(set(rows["factor"])):
            cells = []
            for method in config.methods:
                row = rows[(rows["factor"] == factor) & ((rows["method"] == method) | (factor == 1))][0]
                mark = "*" if row["usable"] else "~" if row["within_loss"] else " "
                cells.append(f"{plus_minus(row['mean'], row['std'])} {mark}")
            lines.append(["Original" if factor == 1 else f"1/{factor}", *cells])
        title = (
            f"accuracy {EPOCH[selection]}, {mean_of(count_in_words(rows['n']), 'std')}, "
            f"{_drawn(per_class, config)} (* usable{below})"
        )
        tables.append(screen_table(title, ["resolution", *config.methods], lines))
    return tables


def methods_table(accuracies: Accuracies, config: ResolutionSweep, shared: Mapping[int, float]) -> Table:
    """Every pair of interpolation methods at every factor and sample size, paired over repeats.

    `shared` is the share of test galaxies that two repeats have in common, by sample size.
    """
    sizes = dict.fromkeys(per_class for per_class, _, _ in accuracies)
    rows = [
        (*key, minus(one, other), *compare_paired(accuracies[*key, one], accuracies[*key, other], shared[key[0]]))
        for key in itertools.product(sizes, sorted(config.factors))
        for one, other in itertools.combinations(config.methods, 2)
    ]
    return comparisons_table(rows, ("per_class", "factor", "methods", "difference"), ("i8", "i8", "U40"))


def _about_methods(methods: Table) -> list[str]:
    if not len(methods):
        return []
    if not np.isfinite(methods["p_corrected"]).any():
        return ["Whether the interpolation methods differ cannot be said: the differences have no spread over repeats."]
    different = methods[methods["p_corrected"] < 0.05]
    if not len(different):
        return [
            f"No two interpolation methods differ significantly at any resolution ({PAIRED}, {HOLM}, {NEW_GALAXIES})."
        ]
    words = [f"1/{row['factor']} {row['methods']} {signed(row['difference'])}" for row in different[:8]]
    more = f" and {len(different) - 8} more" if len(different) > 8 else ""
    return [f"Interpolation methods that differ significantly ({PAIRED}, {HOLM}): {', '.join(words)}{more}."]


def _about_sizes(summary: Table, tested: Mapping[int, int], config: ResolutionSweep) -> list[str]:
    """What more galaxies change, from the smallest sample to the largest, at the fine resolutions (thesis, 5.3).

    `tested` are the test galaxies of a repeat, by sample size: an accuracy measured on n of them has a binomial standard deviation
    that falls with 1 / sqrt(n), whatever the network has learned.
    """
    sizes = sorted(dict.fromkeys(summary["per_class"].tolist()))
    if len(sizes) < 2:
        return []
    chosen = rows_with(summary, selection=leading(summary["selection"]))
    few, many = (rows_with(chosen, per_class=size) for size in (sizes[0], sizes[-1]))
    fine = np.asarray(few["factor"]) <= 4
    coarsest = int(np.asarray(few["factor"])[fine].max())
    gain = float(np.mean(np.asarray(many["mean"])[fine] - np.asarray(few["mean"])[fine]))
    spreads = [np.asarray(table["std"], np.float64)[fine] for table in (few, many)]
    known = np.all([spread > 0 for spread in spreads], axis=0)
    where = f"down to 1/{coarsest}" if coarsest > 1 else "at full resolution"
    change = f"From {sizes[0]} to {sizes[-1]} galaxies per class the mean accuracy {where} changes by {signed(gain)}"
    if not known.any():
        return [f"{change}."]
    ratio = np.exp(np.mean(np.log(spreads[1][known] / spreads[0][known])))
    sizes_alone = (tested[sizes[0]] / tested[sizes[-1]]) ** 0.5
    nested = "" if config.draws == "disjoint" else "; a repeat's smaller draw is part of its larger one"
    return [
        f"{change}, and its standard deviation to {ratio:.2f} of what it was (geometric mean; the thesis: about half). The sizes of the "
        f"test sets alone, {tested[sizes[0]]} and {tested[sizes[-1]]} galaxies, predict {sizes_alone:.2f} (binomial){nested}."
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


def _against(accuracies: Accuracies, config: ResolutionSweep) -> list[Against]:
    """What the thesis states in figures, for its sample sizes: chance at 1/8, and how many runs reach 0.9 at 1/5."""
    if not config.is_as_in_thesis:
        return []
    nothing, pairs = np.array([]), []
    for method in config.methods:
        values = accuracies.get((300, 8, method), nothing)
        pairs.append(Against(Published(f"accuracy at 1/8, {method}, 300 per class", 0.5, place="5.2"), values))
    for per_class, share, place in ((300, 0.17, "5.2"), (1000, 0.25, "5.3")):
        values = accuracies.get((per_class, 5, "nearest"), nothing)
        published = Published(
            f"share of runs that reach {NEAR} at 1/5, nearest, {per_class} per class", share, place=place
        )
        pairs.append(Against(published, np.where(np.isnan(values), np.nan, values >= NEAR)))
    return [pair for pair in pairs if np.isfinite(pair.ours).any()]


def _statements(accuracies: Accuracies, config: ResolutionSweep, shared: Mapping[int, float]) -> Iterator[Statement]:
    """What the thesis says of its sweep in words."""
    if not config.is_as_in_thesis:
        return
    by_size = {size: _of_size(accuracies, size) for size in sorted(config.per_class)}
    for size, its in by_size.items():
        yield from of_sweep(its, config.usable, size)
    yield from of_sizes(by_size)
    if len(methods := methods_table(accuracies, config, shared)):
        least = methods[np.argmin(np.nan_to_num(methods["p_corrected"], nan=np.inf))]
        found = Comparison(*(least[name] for name in ("difference", "low", "high", "p_corrected", "n")))
        words = f"The interpolation methods differ at no resolution ({PAIRED}, {HOLM})"
        surest = f"the surest of {len(methods)} differences: {least['methods']} at 1/{least['factor']}"
        yield no_difference(words, "5.2", {surest: found})


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
