"""Which labels are likely wrong, and do networks get better where they are put right?

    python -m experiments.label_audit                      # simulated galaxies
    python -m experiments.label_audit --preset thesis      # 30 repeats, so about nine votes a galaxy
    python -m experiments.label_audit --data FOLDER        # your own catalogue and images

Every repeat tests part of its galaxies, so that many repeats give each galaxy the votes of networks that never trained on it. A label
is likely wrong where their mean probability of another class is high. How well that works is counted on the same galaxies with some
labels made wrong on purpose (--planted), beside cleanlab on the same votes where it is installed. Networks are then trained on labels as
they were given and on audited ones, and tested on galaxies that were set aside before anything else. Galaxies that people were unsure
of get a verdict.
"""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
from galjax.config.json_form import Suggested
from galjax.config.settings import ScheduleConfig, TrainingConfig
from galjax.errors import InputError
from galjax.sources import SimulatedSurvey, SourceConfig

NAME = "label_audit"
TITLE = "Which labels are likely wrong"
QUESTION = "Which labels are likely wrong, and do networks get better where they are put right?"


@dataclasses.dataclass(frozen=True)
class LabelAudit(ExperimentConfig):
    """Flags."""

    per_class: int = Suggested(1000)
    """Galaxies of each class that a repeat draws of those that are audited; the fewer it draws, the fewer votes each galaxy gets."""
    confidence: float = 0.7
    """Mean probability of another class, from which on a label is called likely wrong, 0 to 1."""
    fewest_votes: int = 2
    """Networks that must have tested a galaxy for its label to be judged."""
    planted: float = 0.05
    """Share of the labels of each class that is made wrong on purpose in a training of its own, 0 to below 0.5; 0 for none."""
    held_out: float = 0.2
    """Share of the galaxies of each class that is set aside for a last test, above 0 and below 1."""
    uncertain_class: str = "uncertain"
    """Class of galaxies that people were unsure of, which get a verdict; --classes are the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.confidence < 1:
            raise InputError(f"--confidence must lie between 0 and 1, not {self.confidence}.")
        if self.fewest_votes < 1:
            raise InputError(f"--fewest-votes must be at least 1, not {self.fewest_votes}.")
        if not 0 <= self.planted < 0.5:
            raise InputError(f"--planted must be at least 0 and below 0.5, not {self.planted}.")
        if not 0 < self.held_out < 1:
            raise InputError(f"--held-out must lie between 0 and 1, not {self.held_out}.")
        if self.uncertain_class in self.classes:
            raise InputError(f"--uncertain-class {self.uncertain_class} is among --classes; it is the further one.")


PRESETS: dict[PresetName, LabelAudit] = with_robust(
    {
        "quick": LabelAudit(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=800)),
            repeats=10,
            per_class=Suggested(240),
            training=TrainingConfig(ScheduleConfig(epochs=16, evaluate_every=4)),
        ),
        "standard": LabelAudit(
            source=SourceConfig(simulated=SimulatedSurvey(galaxies=1500)),
            repeats=20,
            per_class=Suggested(450),
            training=TrainingConfig(ScheduleConfig(epochs=24, evaluate_every=4)),
        ),
        "thesis": LabelAudit(training=TrainingConfig(ScheduleConfig(epochs=200, evaluate_every=10))),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from jaxtyping import Bool, Float, Int32
from rich.table import Table as ScreenTable

from galjax import draw
from galjax.analysis import audit
from galjax.analysis.cases import Case
from galjax.analysis.classes import Said, said_under
from galjax.analysis.tables import (
    comparisons_table,
    history_arrays,
    interval_in_words,
    results_table,
    rows_with,
    summary_table,
)
from galjax.analysis.wording import EPOCH, fixed, listed, minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.errors import in_short
from galjax.report.figures import NamedFigure
from galjax.report.figures.audit import detection_figure, disagreement_figure, galaxies_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.sources.simulated.survey import true_labels
from galjax.statistics import compare_paired, repeats_left
from galjax.training.conditions import ORIGINAL, to_device
from galjax.training.ensemble import IN_RUN, HeldOut, load

OWN, ASIDE = "own", "set aside"
"""What networks are tested on: the test galaxies of their own draw, which are audited, or those that were set aside."""
GIVEN, PLANTED = "given", "planted"
AUDITED = "{}, audited"
"""Labels that networks are trained on."""
SHOWN = 24
"""Galaxies of a gallery."""


class Labels(NamedTuple):
    """One version of the labels of the audited galaxies, and what networks say of them."""

    galaxies: GalaxySample
    """With these labels; those set aside come last, with labels that no audit changes."""
    audited_count: int
    """How many are audited: the first."""
    votes: audit.Votes
    likely_wrong: Bool[np.ndarray, " galaxy"]

    @property
    def audited(self) -> GalaxySample:
        """The galaxies that are audited."""
        return self.galaxies.take(np.arange(self.audited_count))


def study(config: LabelAudit, run: ExperimentRun) -> Findings:
    """Vote on labels as given and with planted errors, and train on both, before and after the audit."""
    sample = run.load()
    pool = run.galaxies(sample)
    if draw.given_split(pool) is not None:
        raise InputError("Every galaxy is to be tested by some of the networks; leave --split given out.")
    galaxies, count, truth = _in_parts(pool, config)
    versions = {GIVEN: galaxies}
    if config.planted:
        rng = np.random.default_rng([config.seed, 2])
        changed = audit.with_planted_errors(galaxies.labels[:count], len(galaxies.class_names), config.planted, rng)
        versions[PLANTED] = _with_labels(galaxies, changed)
    first = [one.take(np.arange(count)) for one in versions.values()]
    config = run.fitted(config, per_class=min(run.most_per_class(one) for one in first))
    draws = {name: run.draw_balanced(one, config.per_class) for name, one in zip(versions, first, strict=True)}
    run.open(sample, draws=draws.values())
    cases: list[Case] = []
    audited: dict[str, Labels] = {}
    for name, labelled in versions.items():
        case, said = _trained(run, labelled, draws[name], name, OWN)
        cases.append(case)
        votes = audit.collect_votes(said, count)
        wrong = audit.likely_wrong(votes, labelled.labels[:count], config.confidence, config.fewest_votes)
        audited[name] = Labels(labelled, count, votes, wrong)
    right: dict[str, Float[np.ndarray, " galaxy"]] = {}
    for name, own in audited.items():
        corrected = audit.relabelled(own.galaxies.labels[:count], own.votes, own.likely_wrong)
        for labels, version in ((name, own.galaxies), (AUDITED.format(name), _with_labels(own.galaxies, corrected))):
            drawn = run.draw_balanced(version.take(np.arange(count)), _balanced(run, version, count, config.per_class))
            case, said = _trained(
                run, version, draw.with_test_galaxies(drawn, np.arange(count, len(version))), labels, ASIDE
            )
            cases.append(case)
            right[labels] = audit.right_by_galaxy(said)
    verdicts = _verdicts(sample, config, run)
    return _findings(config, cases, audited, right, truth, verdicts)


def _in_parts(pool: GalaxySample, config: LabelAudit) -> tuple[GalaxySample, int, Int32[np.ndarray, " galaxy"] | None]:
    """The galaxies, those that are audited first, how many these are, and what all of them are, where that is known.

    Those set aside have the true class as their label, where it is known: nothing is learned from it.
    """
    kept, aside = draw.set_aside(pool.labels, config.held_out, np.random.default_rng([config.seed, 1]))
    galaxies = pool.take(np.concatenate([kept, aside]))
    truth = true_labels(galaxies)
    if truth is None or set(galaxies.class_names) != {"spiral", "elliptical"}:  # uncertain is no truth
        return galaxies, len(kept), None
    labels = np.where(np.arange(len(galaxies)) < len(kept), galaxies.labels, truth).astype(np.int32)
    return dataclasses.replace(galaxies, labels=labels), len(kept), truth


def _with_labels(galaxies: GalaxySample, first: Int32[np.ndarray, " audited"]) -> GalaxySample:
    """The galaxies, the first of them with other labels."""
    return dataclasses.replace(galaxies, labels=np.concatenate([first, galaxies.labels[len(first) :]]))


def _balanced(run: ExperimentRun, version: GalaxySample, count: int, per_class: int) -> int:
    """Galaxies of each class to train on: as many as were drawn to vote, or as many as there are."""
    return min(per_class, run.most_per_class(version.take(np.arange(count))))


def _trained(run: ExperimentRun, galaxies: GalaxySample, drawn: Draw, labels: str, tested_on: str) -> tuple[Case, Said]:
    """Train on these labels; what was measured, and what every repeat says of the galaxies that it is tested on."""
    name = f"{labels}_{tested_on}".replace(", ", "_").replace(" ", "_")
    label = f"labels {labels}" if tested_on == OWN else f"labels {labels}, tested on those {ASIDE}"
    stage = Stage(name, label, drawn, (ORIGINAL,), keeps_ensemble=(labels, tested_on) == (GIVEN, OWN))
    history = run.train(stage, to_device(galaxies), galaxies)
    held_out = HeldOut(galaxies, np.asarray(drawn.test))
    said = said_under(history, held_out, 0) or said_under(history, held_out, 0, "last")
    if said is None:
        raise InputError("No repeat is left to vote: each was dropped, because its loss became NaN or infinite.")
    return Case({"labels": labels, "tested_on": tested_on}, history), said


class Verdicts(NamedTuple):
    """What networks say of galaxies that people were unsure of, the surest first."""

    galaxies: GalaxySample
    table: Table


def _verdicts(sample: GalaxySample, config: LabelAudit, run: ExperimentRun) -> Verdicts | str:
    """By the networks that were trained on labels as given; in words why there are none."""
    name = config.uncertain_class
    if run.config.training.schedule.kept_of(config.repeats) == 0:
        return f"Galaxies of the class {name} have no verdict, as no networks were kept (--keep-ensemble none)."
    unsure = sample.take(sample.labels == sample.class_names.index(name)) if name in sample.class_names else None
    if unsure is None or not len(unsure):
        return f"There are no galaxies of a class called {name} to give verdicts on (--uncertain-class)."
    try:
        table = load(run.folder.path / IN_RUN).classify(unsure, factor=1.0, sky="training")
    except InputError as error:
        return f"Galaxies of the class {name} have no verdict. {in_short(error)}"
    truth = true_labels(unsure)
    if truth is not None:
        table["truth"] = np.array(unsure.class_names)[truth]
    table["confidence"] = np.max([table[f"p_{one}"] for one in config.classes], axis=0)
    order = np.argsort(-np.asarray(table["confidence"]), kind="stable")
    return Verdicts(unsure.take(order), table[order])


def _findings(
    config: LabelAudit,
    cases: Sequence[Case],
    audited: Mapping[str, Labels],
    right: Mapping[str, Float[np.ndarray, " galaxy"]],
    truth: Int32[np.ndarray, " galaxy"] | None,
    verdicts: Verdicts | str,
) -> Findings:
    given = audited[GIVEN]
    known = None if truth is None else truth[: given.audited_count]
    table = audit.audit_table(given.audited, given.votes, given.likely_wrong, known)
    agreement = audit.agreement_table(given.audited, given.votes, given.likely_wrong, config.fewest_votes)
    detection = {
        f"labels {name}": audit.detection_table(
            own.votes,
            own.audited.labels,
            _is_wrong(own, given, known),
            sorted({*audit.CONFIDENCES, config.confidence}),
            config.fewest_votes,
        )
        for name, own in audited.items()
        if known is not None or name == PLANTED
    }
    gains = _gains(right)
    summary = summary_table(cases)
    conclusions = [
        *(_of_detection(name, one, config) for name, one in detection.items()),
        *map(_of_gain, gains),
        _of_set_aside(right, truth),
        verdicts if isinstance(verdicts, str) else _of_verdicts(verdicts, config),
    ]
    n = repeats_left(*(case.values() for case in cases))
    return Findings(
        headline=f"{_headline(given, table, agreement, config)} {n} repeats, {EPOCH[cases[0].leading]}.",
        conclusions=tuple(conclusions),
        sections=(
            Section(
                "Labels that are likely wrong",
                figures=tuple(_figures(config, audited, known, detection)),
                tables={
                    AGREEMENT_CAPTION: agreement,
                    **{f"{DETECTION_CAPTION} ({name})": one for name, one in detection.items()},
                },
            ),
            Section("Training on audited labels", tables={GAINS_CAPTION: gains, "Summary over repeats": summary}),
            *([] if isinstance(verdicts, str) else [_verdicts_section(verdicts, config)]),
        ),
        results=results_table(cases),
        summary=summary,
        history=history_arrays(
            {", ".join(case.keys.values()): case.history for case in cases},
            "training",
            (ORIGINAL,),
            given.galaxies.class_names,
        ),
        screen=(_screen(right),),
        further_tables={
            "audit.ecsv": table,
            "agreement.ecsv": agreement,
            "gains.ecsv": gains,
            **{f"detection_{name.removeprefix('labels ')}.ecsv": one for name, one in detection.items()},
            **({} if isinstance(verdicts, str) else {"verdicts.ecsv": verdicts.table}),
        },
    )


AGREEMENT_CAPTION = "Galaxies by their label: how many are judged, the share whose consensus is the label (agreement), and how many labels are likely wrong"
DETECTION_CAPTION = (
    "Wrong labels found, by least probability of another class: precision (of those flagged, wrong) and recall (of the wrong, flagged), with "
    "95 % Wilson intervals"
)
GAINS_CAPTION = (
    f"Accuracy on the galaxies {ASIDE}, the mean over all repeats, and its differences (paired t-test over galaxies, 95 % intervals for new "
    "galaxies of the same kind)"
)


def _is_wrong(own: Labels, given: Labels, truth: Int32[np.ndarray, " galaxy"] | None) -> Bool[np.ndarray, " galaxy"]:
    """Which labels differ from what galaxies are; where that is not known, from the labels as given."""
    return own.audited.labels != (given.audited.labels if truth is None else truth)


def _gains(right: Mapping[str, Float[np.ndarray, " galaxy"]]) -> Table:
    """What other labels change: every version against the labels as given, and audited ones against the same before the audit."""
    pairs = [(AUDITED.format(GIVEN), GIVEN)]
    if PLANTED in right:
        pairs += [(PLANTED, GIVEN), (AUDITED.format(PLANTED), PLANTED), (AUDITED.format(PLANTED), GIVEN)]
    # Over galaxies, each of which stands for itself.
    rows = [(minus(f"({one})", f"({other})"), *compare_paired(right[one], right[other], 0.0)) for one, other in pairs]
    return comparisons_table(rows, ("labels", "difference"))


def _headline(given: Labels, table: Table, agreement: Table, config: LabelAudit) -> str:
    judged = int((given.votes.networks >= config.fewest_votes).sum())
    wrong = int(given.likely_wrong.sum())
    share = f" ({100 * wrong / judged:.1f} %)" if judged else ""
    agree = listed([f"{100 * row['agreement']:.1f} % ({row['label']})" for row in agreement])
    votes = float(np.median(given.votes.networks))
    return (
        f"{wrong} of {judged} labels{share} are likely wrong: networks that did not train on the galaxy give another class a mean probability "
        f"of at least {config.confidence:g}. A galaxy has {votes:g} vote{'s' if votes != 1 else ''} (median), and the consensus is the label for {agree}."
    )


def _of_detection(name: str, found: Table, config: LabelAudit) -> str:
    ours = rows_with(found, rule="probability", confidence=config.confidence)[0]
    parts = [_found(ours, f"from a probability of {config.confidence:g} on")]
    parts += [_found(row, f"by {row['rule']}") for row in found if row["rule"] != "probability"]
    return f"{name.capitalize()}: {ours['wrong']} of {ours['judged']} that are judged are wrong; {'; '.join(parts)}."


def _found(row: Table.Row, how: str) -> str:
    return (
        f"{how} {row['flagged']} are flagged, {row['found']} of these wrong (precision {_bounds(row, 'precision')}, recall "
        f"{_bounds(row, 'recall')})"
    )


def _bounds(row: Table.Row, name: str) -> str:
    if not np.isfinite(row[name]):
        return "unknown"
    return f"{row[name]:.2f}, 95 % interval {row[f'{name}_low']:.2f} to {row[f'{name}_high']:.2f}"


def _of_gain(row: Table.Row) -> str:
    return f"Accuracy on the galaxies {ASIDE}, {row['labels']}: {signed(row['difference'])} ({interval_in_words(row)})."


def _of_set_aside(right: Mapping[str, Float[np.ndarray, " galaxy"]], truth: Any) -> str:
    count = len(right[GIVEN])
    are = "the true ones" if truth is not None else "those that were given"
    return f"{count} galaxies were {ASIDE} before anything was trained: no network trains on them, no audit sees them. Their classes are {are}."


def _of_verdicts(verdicts: Verdicts, config: LabelAudit) -> str:
    table = verdicts.table
    sure = np.asarray(table["confidence"]) >= config.confidence
    counts = listed([f"{int((table['class'] == name).sum())} {name}" for name in config.classes])
    known = ""
    if "truth" in table.colnames:
        is_right = np.asarray(table["class"] == table["truth"])
        of_sure = f", and {100 * is_right[sure].mean():.1f} % of those" if sure.any() else ""
        known = f" {100 * is_right.mean():.1f} % of all verdicts are right{of_sure}."
    return (
        f"Verdicts on {len(table)} galaxies of the class {config.uncertain_class}: {counts}; {int(sure.sum())} with a probability of at least "
        f"{config.confidence:g}.{known}"
    )


def _figures(
    config: LabelAudit,
    audited: Mapping[str, Labels],
    truth: Int32[np.ndarray, " galaxy"] | None,
    detection: Mapping[str, Table],
) -> list[NamedFigure]:
    given = audited[GIVEN]
    figures = [_histogram(config, name, own, _is_wrong(own, given, truth), truth) for name, own in audited.items()]
    if detection:
        figures.append(detection_figure(detection))
    sample, against = given.audited, audit.against_label(given.votes, given.audited.labels)
    order = np.argsort(-np.nan_to_num(against), kind="stable")
    shown = [int(n) for n in order if given.likely_wrong[n]][:SHOWN]
    titles = [
        f"label {sample.class_names[sample.labels[n]]}\n{sample.class_names[given.votes.consensus[n]]} {against[n]:.2f}\n"
        f"votes: {given.votes.networks[n]}\n{sample.ids[n]}"
        for n in shown
    ]
    if shown:
        caption = (
            f"{len(shown)} of {int(given.likely_wrong.sum())} galaxies whose label is likely wrong, the surest first: label, consensus with its "
            "mean probability, votes, id."
        )
        figures.append(galaxies_figure(sample, shown, titles, "likely_wrong", caption))
    return figures


def _histogram(
    config: LabelAudit,
    name: str,
    own: Labels,
    wrong: Bool[np.ndarray, " galaxy"],
    truth: Int32[np.ndarray, " galaxy"] | None,
) -> NamedFigure:
    against = audit.against_label(own.votes, own.audited.labels)
    against = np.where(own.votes.networks >= config.fewest_votes, against, np.nan)
    if truth is None and name == GIVEN:
        groups = {"labels as given": against}
    else:
        others = "labels that are right" if truth is not None else "labels as given"
        groups = {others: against[~wrong], "wrong labels": against[wrong]}
    return disagreement_figure(groups, config.confidence, f"disagreement_{name}", f"Labels {name}.")


def _verdicts_section(verdicts: Verdicts, config: LabelAudit) -> Section:
    table, figures = verdicts.table, []
    for name in config.classes:
        shown = [int(n) for n in np.flatnonzero(table["class"] == name)][: SHOWN // 2]
        titles = [f"{name} {table['confidence'][n]:.2f}\n{table['id'][n]}" for n in shown]
        if shown:
            caption = f"The {len(shown)} surest verdicts {name} on galaxies of the class {config.uncertain_class}: calibrated probability, id."
            figures.append(galaxies_figure(verdicts.galaxies, shown, titles, f"verdicts_{name}", caption))
    return Section("Verdicts on galaxies that people were unsure of", figures=tuple(figures))


def _screen(right: Mapping[str, Float[np.ndarray, " galaxy"]]) -> ScreenTable:
    rows = [[labels, fixed(float(each.mean()))] for labels, each in right.items()]
    return screen_table(f"accuracy on {len(right[GIVEN])} galaxies {ASIDE}", ["trained on labels", "accuracy"], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
