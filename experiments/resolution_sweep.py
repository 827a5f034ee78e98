"""How far may the resolution of training images differ from that of the images to classify? (thesis, 5.2 and 5.3)

    python -m experiments.resolution_sweep                      # simulated galaxies, quick preset
    python -m experiments.resolution_sweep --preset thesis      # 30 repeats, 900 epochs, four sample sizes
    python -m experiments.resolution_sweep --data FOLDER        # your own catalogue and images

A network trained on full-resolution galaxies classifies test galaxies that were shrunk to 1/2 ... 1/8 and enlarged back
with three methods. Every repeat draws its own galaxies; all repeats train in one program. The thesis finds 0.92 at
Original on SDSS images, all three methods usable to 1/4, and about 0.5 (chance) at 1/8.
"""

import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from astropy.table import Table
from rich.console import Console
from rich.table import Table as ScreenTable

from galjax import draw, figures, outcome, report, runs, sources, stages
from galjax.command import ExperimentConfig, PresetName, run_command
from galjax.draw import Draw
from galjax.errors import InputError
from galjax.progress import ConsoleProgress
from galjax.repeats import History, RepeatKeys, repeat_keys
from galjax.sample import GalaxySample
from galjax.stages import Flat, ScheduleConfig, Stage, StageOutcome, TrainingConfig
from galjax.statistics import UsableConfig

NAME = "resolution_sweep"
QUESTION = "How far may the resolution of training images differ from that of the images to classify?"
EnlargingMethod = Literal["nearest", "bilinear", "bicubic"]


@dataclasses.dataclass(frozen=True)
class ResolutionSweep(ExperimentConfig):
    """Flags of the sweep."""

    per_class: tuple[int, ...] = (300, 500, 800, 1000)
    """Galaxies of each class that a repeat draws; several sizes are trained one after the other."""
    total: int | None = None
    """Instead of --per-class: galaxies that a repeat draws in the classes' natural proportions."""
    factors: tuple[int, ...] = (2, 3, 4, 5, 6, 7, 8)
    """Factors to shrink the test images by, each at least 2."""
    methods: tuple[EnlargingMethod, ...] = ("nearest", "bilinear", "bicubic")
    """Methods to enlarge them back with."""
    usable: Annotated[UsableConfig, Flat] = dataclasses.field(default_factory=UsableConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        for flag, values in {"per-class": self.per_class, "factors": self.factors, "methods": self.methods}.items():
            if not values or len(set(values)) != len(values):
                raise InputError(f"--{flag} takes one or more values, each once, not {values}.")
        if min(self.factors) < 2:
            raise InputError(f"--factors start at 2 (Original is always evaluated), not at {min(self.factors)}.")


PRESETS: dict[PresetName, ResolutionSweep] = {
    "quick": ResolutionSweep(
        repeats=6, per_class=(300,), training=TrainingConfig(ScheduleConfig(epochs=16, evaluate_every=4))
    ),
    "thesis": ResolutionSweep(),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    description = f"{QUESTION}\n\n{(__doc__ or '').split(chr(10) * 2, 2)[2]}"
    return run_command(PRESETS, run, f"python -m experiments.{NAME}", description, arguments)


def run(config: ResolutionSweep, console: Console) -> None:
    """The whole experiment: galaxies, draws, trainings, tables, figures and report in one run folder."""
    started = time.perf_counter()
    with ConsoleProgress(console) as progress:
        sample = sources.load(config.source, config.seed, progress.images_read)
        pool = draw.make_pool(sample, config.classes, config.redshift_range)
        config.training.network.check_image_shape(*pool.images.shape[1:3])
        keys = repeat_keys(config.seed, range(config.repeats))
        draws = _draws(config, pool, keys)
        conditions = outcome.make_conditions(config.factors, config.methods)
        device_pool = stages.to_device(pool)
        stages.device_conditions(device_pool, conditions, config.training.convention)
        folder = runs.open_run(NAME, config, config.out, resume=config.resume, sample_digest=sample.digest())
        folder.write_exclusions(pool.excluded)
        progress.note(_about_galaxies(config, pool))
        outcomes = {
            per_class: stages.run_stage(
                Stage(f"per_class_{per_class}", f"{per_class} per class", drawn, conditions),
                device_pool, keys, len(config.classes), config.training, folder, progress,
            )
            for per_class, drawn in draws.items()
        }  # fmt: skip
        progress.note("Drawing figures")
        summary = _write_outcome(config, pool, conditions, outcomes, folder, time.perf_counter() - started)
    _print_summary(console, summary, config, folder)


def _draws(config: ResolutionSweep, pool: GalaxySample, keys: RepeatKeys) -> dict[int, Draw]:
    """The draw of every sample size, by galaxies per class; all are checked before anything is trained."""
    fractions = {"test_fraction": config.test_fraction, "validation_fraction": config.validation_fraction}
    if config.total is not None:
        drawn = draw.draw_natural(pool.labels, pool.class_names, config.total, keys.draw, **fractions)
        return {round(config.total / len(config.classes)): drawn}
    for per_class in config.per_class:
        draw.check_enough(pool.labels, pool.class_names, per_class)
    return {
        per_class: draw.draw_balanced(pool.labels, pool.class_names, per_class, keys.draw, **fractions)
        for per_class in config.per_class
    }


def _about_galaxies(config: ResolutionSweep, pool: GalaxySample) -> str:
    counts = ", ".join(f"{n} {name}" for name, n in pool.class_counts().items())
    height, width = pool.images.shape[1:3]
    left_out = f"; {len(pool.excluded)} left out (excluded.ecsv says why)" if pool.excluded else ""
    return f"{config.source.data}: {counts}, {height}x{width} px{left_out}"


def _write_outcome(
    config: ResolutionSweep,
    pool: GalaxySample,
    conditions: Sequence[outcome.Condition],
    outcomes: dict[int, StageOutcome],
    folder: runs.RunFolder,
    seconds: float,
) -> Table:
    """Tables, history, figures and report; gives the summary."""
    histories = {per_class: done.history for per_class, done in outcomes.items()}
    results = outcome.results_table(histories, conditions, range(config.repeats))
    summary = outcome.summary_table(results, config.usable)
    if config.total is not None:
        note = f"natural draw of {config.total} galaxies; per_class is their number divided by the number of classes"
        results.meta["draw"] = summary.meta["draw"] = note
    folder.write_table("results.ecsv", results)
    folder.write_table("summary.ecsv", summary)
    folder.write_arrays("history.npz", _named_history(histories, conditions, config))
    drawn_figures = figures.sweep_figures(
        summary, histories, pool, config.factors, config.methods, config.training.convention
    )
    environment = {
        **runs.describe_environment(),
        "execution": {name: done.execution._asdict() for name, done in outcomes.items()},
        "compile_seconds": round(sum(done.compile_seconds for done in outcomes.values()), 1),
        "training_seconds": round(sum(done.train_seconds for done in outcomes.values()), 1),
        "wall_seconds": round(seconds, 1),
    }
    report.write_report(
        folder,
        title="Resolution sweep",
        question=QUESTION,
        conclusions=_conclusions(summary, config),
        tables={"Summary over repeats": summary},
        figures=drawn_figures,
        images=report.write_figures(folder, drawn_figures),
        excluded=pool.excluded,
        provenance=pool.provenance,
        environment=environment,
    )
    folder.write_json("environment.json", environment)
    return summary


def _named_history(
    histories: dict[int, History], conditions: Sequence[outcome.Condition], config: ResolutionSweep
) -> dict[str, np.ndarray]:
    """All histories stacked by sample size, with coordinates and, as `<name>_axes`, the names of the axes."""
    axes = {
        "train_loss": "per_class repeat epoch",
        "train_accuracy": "per_class repeat epoch",
        "test_loss": "per_class repeat evaluation condition",
        "test_confusion": "per_class repeat evaluation condition predicted true",
        "validation_loss": "per_class repeat evaluation condition",
        "validation_confusion": "per_class repeat evaluation condition predicted true",
    }
    first = next(iter(histories.values()))
    arrays = {
        "per_class": np.array(list(histories)),
        "repeat": np.arange(config.repeats),
        "evaluated_epoch": first.evaluated_epoch,
        "condition_factor": np.array([condition.factor for condition in conditions]),
        "condition_method": np.array([condition.method for condition in conditions]),
        "class_names": np.array(config.classes),
    }
    for name, names in axes.items():
        if name in first.arrays():
            arrays[name] = np.stack([history.arrays()[name] for history in histories.values()])
            arrays[f"{name}_axes"] = np.array(names.split())
    return arrays


def _conclusions(summary: Table, config: ResolutionSweep) -> list[str]:
    """In words, computed from the summary, at the thesis's choice of epoch."""
    sentences = []
    for per_class in dict.fromkeys(summary["per_class"].tolist()):
        rows = summary[(summary["per_class"] == per_class) & (summary["selection"] == "test-mean")]
        original = rows[rows["factor"] == 1][0]
        sentences.append(
            f"{per_class} galaxies per class: accuracy {original['mean']:.3f} at Original (std {original['std']:.3f}, "
            f"n = {original['n']}). {_usable_sentence(summary, per_class, config)}"
        )
    return [*sentences, f"{summary.meta['usable']}."]


def _usable_sentence(summary: Table, per_class: int, config: ResolutionSweep) -> str:
    if config.repeats == 1:
        return "What is usable cannot be said of one repeat."
    limits = {method: outcome.usable_limit(summary, per_class, method, "test-mean") for method in config.methods}
    if not any(limits.values()):
        return (
            f"Nothing is usable: Original itself stays below --usable-accuracy {config.usable.usable_accuracy:g} "
            f"(0 asks only for the comparison with Original)."
        )
    words = [
        f"{method} to 1/{limit}" if limit > 1 else f"{method} at no reduced resolution"
        for method, limit in limits.items()
    ]
    return f"Usable: {', '.join(words)}."


def _print_summary(console: Console, summary: Table, config: ResolutionSweep, folder: runs.RunFolder) -> None:
    """The closing table on the terminal: mean +- std at the thesis's epochs, usable resolutions marked."""
    for per_class in dict.fromkeys(summary["per_class"].tolist()):
        rows = summary[(summary["per_class"] == per_class) & (summary["selection"] == "test-mean")]
        n = rows["n"][0]
        table = ScreenTable(title=f"accuracy, mean ± std of {n} repeats, {per_class} galaxies per class (* usable)")
        table.add_column("resolution")
        for method in config.methods:
            table.add_column(method, justify="right")
        for factor in sorted(set(rows["factor"])):
            cells = []
            for method in config.methods:
                row = rows[(rows["factor"] == factor) & ((rows["method"] == method) | (factor == 1))][0]
                cells.append(f"{row['mean']:.3f} ± {row['std']:.3f}{' *' if row['usable'] else '  '}")
            table.add_row("Original" if factor == 1 else f"1/{factor}", *cells)
        console.print(table)
    for sentence in _conclusions(summary, config):
        console.print(sentence, highlight=False, soft_wrap=True)
    console.print(f"Results: {folder.path}/report.html", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
