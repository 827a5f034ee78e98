"""How much of the loss at low resolution is the mismatch, and how much is not won back by training there? (thesis, 6.2)

    python -m experiments.same_resolution                      # simulated galaxies; 4 minutes on 2 CPU cores
    python -m experiments.same_resolution --preset thesis      # 30 repeats, 300 per class, every factor from 2 to 8
    python -m experiments.same_resolution --data FOLDER        # your own catalogue and images

One network is trained at every resolution, on the same galaxies, and tested at every resolution. What training at Original
and testing at 1/k loses against training and testing at Original falls into two parts: what training at 1/k wins back (the
mismatch) and what it does not. Expect the mismatch to be most of it.

What is not won back by this network and this training need not be lost from the images. As a bound that is known, a support
vector machine is trained on the small images of the same galaxies, at every resolution; for Original (and 1/k of large
images) they are shrunk to 32 px. It knows nothing of the validation and test galaxies.

The thesis leaves open whether a network trained on 1/8 images classifies 1/8 images.
"""

import dataclasses
import sys
from typing import Literal

from galjax.cli.command import ExperimentConfig, PresetName, answer_flags, described, with_robust
from galjax.config.json_form import Suggested, suggested
from galjax.config.settings import EnlargingMethod, ScheduleConfig, TrainingConfig
from galjax.config.values import Factor
from galjax.errors import InputError

NAME = "same_resolution"
TITLE = "Trained and tested at the same resolution"
QUESTION = "How much of the loss at low resolution is the mismatch, and how much is not won back by training there?"


@dataclasses.dataclass(frozen=True)
class SameResolution(ExperimentConfig):
    """Flags."""

    per_class: int = Suggested(300)
    """Galaxies of each class that a repeat draws."""
    factors: tuple[Factor, ...] = suggested(2, 3, 4, 5, 6, 7, 8)
    """Factors to shrink images by, each at least 2; one training for each, and one at Original."""
    method: EnlargingMethod = "bilinear"
    """Interpolation method to enlarge the shrunk images back with."""
    reference: Literal["svm", "none"] = "svm"
    """Classifier to compare the networks with, on the shrunk images: svm (a support vector machine; slow where a repeat has many
    thousands of galaxies) or none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factors or len(set(self.factors)) != len(self.factors):
            raise InputError(f"--factors takes one or more values, each once, not {self.factors}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always used), not at {min(self.factors)}.")


PRESETS: dict[PresetName, SameResolution] = with_robust(
    {
        "quick": SameResolution(
            repeats=6,
            factors=suggested(2, 4, 6, 8),
            training=TrainingConfig(ScheduleConfig(epochs=24, evaluate_every=8)),
        ),
        "standard": SameResolution(
            repeats=10,
            factors=suggested(2, 4, 6, 8),
            training=TrainingConfig(ScheduleConfig(epochs=60, evaluate_every=10)),
        ),
        "thesis": SameResolution(validation_fraction=0.0),
    }
)

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

import numpy as np
from astropy.table import Table
from rich.table import Table as ScreenTable

from galjax.analysis.cases import Case, values_by
from galjax.analysis.reference import Reference, References, reference_size, reference_table, svm_accuracies
from galjax.analysis.tables import (
    comparisons_table,
    history_arrays,
    interval_in_words,
    results_table,
    rows_with,
    summary_table,
)
from galjax.analysis.threshold import IN_SHORT_CAPTION, Mismatch, about_threshold, in_short, threshold_table
from galjax.analysis.wording import HOLM, NEW_GALAXIES, PAIRED, basis, fixed, plus_minus, signed
from galjax.cli.experiment import Experiment, ExperimentRun, Findings, screen_table
from galjax.draw import Draw
from galjax.report.figures.resolutions import Accuracies, loss_figure, resolution_matrix, same_resolution_figure
from galjax.report.html import Section
from galjax.runs.stage import Stage
from galjax.sample import GalaxySample
from galjax.statistics import compare_paired, repeats_left, summarise
from galjax.training.conditions import ORIGINAL, device_conditions, make_conditions, to_device


def study(config: SameResolution, run: ExperimentRun) -> Findings:
    """Train at every resolution, on the same draws, and evaluate each at all of them."""
    sample = run.load()
    pool = run.galaxies(sample)
    config = run.fitted(config, per_class=run.most_per_class(pool), factors=min(pool.images.shape[1:3]))
    drawn = run.draw_balanced(pool, config.per_class)
    conditions = make_conditions(sorted(config.factors), (config.method,))
    device_sample = to_device(pool)
    device_conditions(device_sample, conditions, config.training.convention)  # is every factor possible?
    run.open(sample, draws=[drawn])
    histories = {
        condition.factor: run.train(
            Stage(
                f"factor_{condition.factor}",
                f"trained at {condition.label}",
                drawn,
                conditions,
                condition,
                keeps_ensemble=condition == ORIGINAL,
            ),
            device_sample,
            pool,
        )
        for condition in conditions
    }
    cases = [
        Case({"trained_at": trained_at, "factor": condition.factor, "method": condition.method}, history, number)
        for trained_at, history in histories.items()
        for number, condition in enumerate(conditions)
    ]
    accuracies = values_by(cases, "trained_at", "factor")
    shared = run.shared_share(pool, drawn)
    losses = losses_table(accuracies, shared)
    own = dict(zip(accuracies, cases, strict=True))
    threshold = threshold_table(
        Mismatch(own[at, at], case, shared) for (at, tested), case in own.items() if tested != at
    )
    stands_on = basis(repeats_left(*accuracies.values()), cases[0].leading, PAIRED, [shared], HOLM)
    factors = [condition.factor for condition in conditions]
    references = _references(config, run, pool, drawn)
    networks = {factor: accuracies[factor, factor] for factor in references}
    compared = reference_table(references, networks, shared) if references else None
    figures = (
        same_resolution_figure(accuracies, factors, config.method, references),
        loss_figure(losses),
        resolution_matrix(accuracies, factors, config.method),
    )
    headline, *conclusions = _conclusions(losses, compared)
    at_original = rows_with(threshold, trained_at=ORIGINAL.factor)
    conclusions.append(about_threshold(at_original, lambda row: f"between Original and 1/{row['factor']}"))
    summary = summary_table(cases)
    return Findings(
        headline=f"{headline} {stands_on}",
        conclusions=tuple(conclusions),
        sections=(
            Section(
                "Mismatch, and what training does not win back",
                (),
                figures,
                {
                    f"Loss of accuracy against Original (paired differences, 95 % confidence intervals {NEW_GALAXIES}, {HOLM})": losses,
                    **({} if compared is None else {REFERENCE_CAPTION: compared}),
                    IN_SHORT_CAPTION: in_short(threshold),
                    "Summary over repeats": summary,
                },
            ),
        ),
        results=results_table(cases),
        summary=summary,
        history=history_arrays(histories, "trained_at", conditions, pool.class_names) | _arrays(references),
        screen=(_screen(losses, accuracies, compared),),
        further_tables={
            "losses.ecsv": losses,
            "threshold.ecsv": threshold,
            **({} if compared is None else {"reference.ecsv": compared}),
        },
    )


def _references(config: SameResolution, run: ExperimentRun, pool: GalaxySample, drawn: Draw) -> dict[int, Reference]:
    """The support vector machines at every resolution, read back where the run has computed them before; empty without."""
    if config.reference == "none":
        return {}
    sizes = {factor: reference_size(pool.images.shape[1:3], factor) for factor in (1, *sorted(config.factors))}
    different, file = list(dict.fromkeys(sizes.values())), "checkpoints/reference.npz"
    known = run.folder.read_arrays(file)
    if known is None:
        run.progress.start_line("support vector machines", "fit", 0, len(different) * config.repeats)
        tell = lambda done: run.progress.move_line(done, "")  # noqa: E731
        known = {"accuracy": svm_accuracies(pool, drawn, different, config.training.convention, tell)}
        run.folder.write_arrays(file, known)
    return {factor: Reference(size, known["accuracy"][different.index(size)]) for factor, size in sizes.items()}


def _arrays(references: References) -> dict[str, np.ndarray]:
    """The accuracies of the reference, for history.npz."""
    if not references:
        return {}
    accuracy = np.stack([one.accuracy for one in references.values()])
    return {"reference_accuracy": accuracy, "reference_accuracy_axes": np.array(["condition", "repeat"])}


NOT_WON_BACK = "not won back"
REFERENCE_CAPTION = (
    "Support vector machines on the shrunk images, and by how much they are above the network trained and tested at the same resolution "
    f"(paired differences, 95 % confidence intervals {NEW_GALAXIES}, {HOLM})"
)


def losses_table(accuracies: Accuracies, shared: float) -> Table:
    """For every factor the whole loss and its two parts, each a paired difference over the repeats.

    total = trained and tested at Original, minus trained at Original and tested at 1/k; not won back = the former minus trained
    and tested at 1/k; mismatch = trained and tested at 1/k, minus trained at Original and tested at 1/k. `shared` is the share of test galaxies
    that two repeats have in common.
    """
    rows = []
    for factor in sorted({tested for _, tested in accuracies} - {1}):
        original, mixed, same = accuracies[1, 1], accuracies[1, factor], accuracies[factor, factor]
        for part, (one, other) in {
            "total": (original, mixed),
            NOT_WON_BACK: (original, same),
            "mismatch": (same, mixed),
        }.items():
            rows.append((factor, part, *compare_paired(one, other, shared)))
    return comparisons_table(rows, ("factor", "part", "difference"))


def _conclusions(losses: Table, compared: Table | None = None) -> list[str]:
    sentences = []
    for factor in sorted(set(losses["factor"]), reverse=True):  # the coarsest has the most to say
        parts = {row["part"]: row for row in losses[losses["factor"] == factor]}
        total, mismatch, rest = (parts[name] for name in ("total", "mismatch", NOT_WON_BACK))
        won = "wins this back" if mismatch["difference"] > 0 else "wins nothing back"
        sentence = (
            f"At 1/{factor} the loss of accuracy of a network trained at full resolution is {fixed(total['difference'])} "
            f"({interval_in_words(total)}): mismatch {signed(mismatch['difference'])} ({interval_in_words(mismatch)}; training at 1/{factor} {won}), and "
            f"not won back by this network and training {signed(rest['difference'])} ({interval_in_words(rest)})."
        )
        known = [] if compared is None else [_bound(row) for row in rows_with(compared, factor=factor)]
        sentences.append(" ".join([sentence, *known]))
    return sentences


def _bound(row: Table.Row) -> str:
    """What a row of the reference says of what the small images still hold."""
    above, factor = row["above_network"], row["factor"]
    if row["p_corrected"] < 0.05 and above > 0:
        verdict = "so much more is in these images, and not won back by this network and training"
    else:
        verdict = "whether more can be had from these images is not known"
    return (
        f"A support vector machine on the same galaxies, {row['height']}x{row['width']} px each, reaches "
        f"{plus_minus(row['accuracy'], row['std'])}, {signed(above)} against the network trained at 1/{factor} ({interval_in_words(row)}): {verdict}."
    )


def _screen(losses: Table, accuracies: Accuracies, compared: Table | None) -> ScreenTable:
    rows = []
    machines = {} if compared is None else dict(zip(compared["factor"], compared["accuracy"], strict=True))
    for factor in sorted(set(losses["factor"])):
        parts = {row["part"]: signed(row["difference"]) for row in losses[losses["factor"] == factor]}
        means = [fixed(float(summarise(accuracies[at, factor]).mean)) for at in (1, factor)]
        means += [fixed(machines[factor])] if machines else []
        rows.append([f"1/{factor}", *means, parts["total"], parts["mismatch"], parts[NOT_WON_BACK]])
    title = f"accuracy tested at 1/k, mean over n = {repeats_left(*accuracies.values())}; loss against Original and its two parts"
    columns = ["trained at Original", "trained at 1/k", *(["SVM at 1/k"] if machines else [])]
    return screen_table(title, ["resolution", *columns, "loss", "mismatch", NOT_WON_BACK], rows)


EXPERIMENT = Experiment(NAME, TITLE, QUESTION, __doc__ or "", PRESETS, study)
main = EXPERIMENT.main

if __name__ == "__main__":
    sys.exit(main())
