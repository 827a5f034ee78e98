"""From a configuration to a run folder: what every experiment does around the part that is its own.

An `Experiment` has a function `study(config, run) -> Findings`. It asks `run` for galaxies, opens the folder once all that the
user gave is known to be good, has stages trained, and says what came out; tables, figures, report and the closing words on
the terminal are made here.
"""

import collections
import dataclasses
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np
from astropy.table import Table
from rich.console import Console
from rich.table import Table as ScreenTable

from galjax import draw, sources
from galjax.analysis.predictions import coarsest_usable, test_predictions
from galjax.analysis.published import Against, against_table
from galjax.analysis.statements import STATEMENTS_CAPTION, Statement, statements_table
from galjax.cli.command import ExperimentConfig, PresetName, described, run_command
from galjax.config.json_form import as_words, fitted, to_json
from galjax.draw import Draw
from galjax.errors import InputError
from galjax.networks.registry import check_image_shape
from galjax.report.html import Chapter, Report, Section, kinds_of_reasons, write_figures, write_report
from galjax.runs.folder import RunFolder, describe_environment, open_run, plain_settings
from galjax.runs.stage import Stage, StageOutcome, run_stage
from galjax.sample import Exclusion, GalaxySample
from galjax.terminal.console import say
from galjax.terminal.interrupts import last_words
from galjax.terminal.progress import ConsoleProgress
from galjax.training.divergence import Divergence, describe
from galjax.training.ensemble import HeldOut
from galjax.training.history import History
from galjax.training.repeats import RepeatKeys, Task, repeat_keys, with_sky
from galjax.training.sky import chosen_scaling, in_words
from galjax.training.step import DeviceSample

Config = TypeVar("Config", bound=ExperimentConfig)
LoadGalaxies = Callable[[sources.SourceConfig, int, Callable[[int, int], None] | None], GalaxySample]


@dataclasses.dataclass(frozen=True)
class Findings:
    """What an experiment found."""

    headline: str
    """The answer: what was found, in a sentence or a few."""
    conclusions: tuple[str, ...]
    """Further sentences, all computed from the results."""
    sections: tuple[Section, ...]
    results: Table
    """Tidy: one row per repeat and condition."""
    summary: Table
    """One row per condition."""
    history: Mapping[str, np.ndarray]
    screen: tuple[ScreenTable, ...]
    """Tables for the terminal."""
    against: tuple[Against, ...] = ()
    """Compared with what the thesis found."""
    statements: tuple[Statement, ...] = ()
    """What the thesis says in words, and whether it is so here."""
    further_tables: Mapping[str, Table] = dataclasses.field(default_factory=dict)
    """Tables by file name."""
    thesis_figures: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Which figure here shows what a figure of the thesis shows: its number, and the name here."""


class Finished(NamedTuple):
    """A run that got to its end."""

    folder: RunFolder
    findings: Findings
    chapter: Chapter
    excluded: tuple[Exclusion, ...]
    provenance: Mapping[str, str]


class ExperimentRun:
    """One run of an experiment: gives it galaxies, a folder and trainings, and remembers what they cost."""

    def __init__(
        self, name: str, config: ExperimentConfig, progress: ConsoleProgress, load: LoadGalaxies = sources.load
    ) -> None:
        self.name, self.config, self.progress = name, config, progress
        self._load = load
        self._started = time.perf_counter()
        self._folder: RunFolder | None = None
        self.outcomes: dict[str, StageOutcome] = {}
        self.keys = repeat_keys(config.seed, range(config.repeats))
        self.excluded: tuple[Exclusion, ...] = ()
        self._drawn_from: set[str] = set()
        self.provenance: Mapping[str, str] = {}
        self._main: tuple[Stage, HeldOut, History] | None = None
        self.scalings: dict[str, str] = {}
        """A sentence on the input scaling, by stage."""
        self.adjustments: tuple[str, ...] = ()
        """Sentences about default numbers that were made to fit the galaxies."""

    def load(self, source: sources.SourceConfig | None = None) -> GalaxySample:
        """All galaxies of the configuration's source, or of another; what their source has to say of them is shown."""
        source = source or self.config.source
        sample = self._load(source, self.config.seed, self.progress.images_read)
        if "note" in sample.provenance:
            self.progress.note(f"{source.data}: {sample.provenance['note']}")
        return sample

    def galaxies(self, sample: GalaxySample, classes: Sequence[str] | None = None) -> GalaxySample:
        """Those of the sample that repeats may draw, of the configuration's classes or of others, inside the redshift range.

        Says on the screen what they are; those that no pool of the run has go into excluded.ecsv.
        """
        pool = draw.make_pool(sample, classes or self.config.classes, self.config.redshift_range)
        check_image_shape(self.config.training.network, *pool.images.shape[1:3])
        self._drawn_from.update(map(str, pool.ids))
        known = {(row.id, row.file) for row in self.excluded}
        further = (row for row in pool.excluded if (row.id, row.file) not in known)
        # What another pool of the run draws from was not left out of the run.
        self.excluded = tuple(row for row in (*self.excluded, *further) if row.file or row.id not in self._drawn_from)
        self.provenance = {**self.provenance, **pool.provenance}
        counts = ", ".join(f"{n} {name}" for name, n in pool.class_counts().items())
        height, width = pool.images.shape[1:3]
        kinds = kinds_of_reasons(pool.excluded)
        first = "; ".join(f"{n}: {kind}" for kind, n in kinds[:3]) + ("; ..." if len(kinds) > 3 else "")
        left_out = f"; {len(pool.excluded)} left out ({first})" if kinds else ""
        stamps = f" ({pool.provenance['stamps']})" if "stamps" in pool.provenance else ""
        given = draw.given_split(pool)
        sets = {} if given is None else dict(collections.Counter(given.tolist()))
        split = f"; given split: {', '.join(f'{name} {n}' for name, n in sets.items())}" if sets else ""
        self.progress.note(f"{self.config.source.data}: {counts}, {height}x{width} px{stamps}{split}{left_out}")
        return pool

    def fitted(self, config: Config, **limits: int) -> Config:
        """The configuration with those of its numbers made to fit the galaxies that the user did not give (`Suggested`).

        `limits` are the largest values possible, by field. Says on the screen, and in the conclusions, what was changed; what
        the user gave stays, to be refused where it cannot be.
        """
        changes = {name: fitted(getattr(config, name), limit) for name, limit in limits.items()}
        changes = {name: value for name, value in changes.items() if value != getattr(config, name)}
        for name, value in changes.items():
            self._adjust(name, getattr(config, name), value)
        self.config = config = dataclasses.replace(config, **changes)
        return config

    def draw_balanced(self, pool: GalaxySample, per_class: int, keys: RepeatKeys | None = None) -> Draw:
        """As many galaxies of each class for every repeat, or those of other keys (`galjax.draw.draw_balanced`)."""
        own_keys, given = (keys or self.keys).draw, draw.given_split(pool)
        return draw.draw_balanced(pool.labels, pool.class_names, per_class, own_keys, self._split(), given)

    def draw_natural(self, pool: GalaxySample, total: int, keys: RepeatKeys | None = None) -> Draw:
        """So many galaxies of any class for every repeat, or those of other keys (`galjax.draw.draw_natural`)."""
        if draw.given_split(pool) is not None:
            raise InputError("A draw in natural proportions makes its own split; leave --split given out.")
        return draw.draw_natural(pool.labels, pool.class_names, total, (keys or self.keys).draw, self._split())

    def _split(self) -> draw.Split:
        config = self.config
        return draw.Split(config.test_fraction, config.validation_fraction, config.draws)

    @property
    def disjoint_draws(self) -> int:
        """How many draws the pool must allow of which no two have a galaxy in common."""
        return self.config.repeats if self.config.draws == "disjoint" else 1

    def most_per_class(self, pool: GalaxySample) -> int:
        """The largest balanced draw for every repeat that the pool allows, at least 1."""
        return draw.most_per_class(pool, self.disjoint_draws, self._split())

    def shared_share(self, pool: GalaxySample, drawn: Draw) -> float:
        """Share of a repeat's test galaxies that another repeat tests too (`galjax.draw.shared_share`); 0 for disjoint draws."""
        return 0.0 if self.config.draws == "disjoint" else draw.shared_share(pool.labels, drawn)

    def _adjust(self, name: str, before: Any, now: Any) -> None:
        was, words = (as_words(to_json(value)) for value in (before, now))
        sentence = f"--{name.replace('_', '-')} is {words} instead of {was}: these galaxies allow no more."
        self.adjustments = (*self.adjustments, sentence)
        self.progress.note(sentence)

    def open(self, *samples: GalaxySample, draws: Iterable[Draw]) -> None:
        """Make or find the run folder (`galjax.runs.folder.open_run`), for trainings on `draws` of galaxies that are all in `samples`.

        Raises InputError where a draw trains on fewer galaxies than a batch of the size asked for has.
        """
        training = self.config.training
        scaling = chosen_scaling(training.network.input_scaling, *samples)
        training = dataclasses.replace(training, network=dataclasses.replace(training.network, input_scaling=scaling))
        fewest = min(drawn.train.shape[1] for drawn in draws)
        batch = fitted(training.optimiser.batch_size, fewest)
        if batch != training.optimiser.batch_size:
            self._adjust("batch_size", training.optimiser.batch_size, batch)
            optimiser = dataclasses.replace(training.optimiser, batch_size=batch)
            training = dataclasses.replace(training, optimiser=optimiser)
        self.config = dataclasses.replace(self.config, training=training)
        if batch > fewest:
            raise InputError(
                f"--batch-size {batch} is more than the {fewest} galaxies that a repeat trains on. Give a smaller one, or draw more."
            )
        digest = "+".join(sample.digest() for sample in samples)
        config = self.config
        self._folder = open_run(self.name, config, config.out, resume=config.resume, sample_digest=digest)
        for note in self._folder.notes:
            self.progress.note(note)
        self._folder.write_exclusions(self.excluded)
        last_words(
            f"What was done so far is kept; run the same command again with --out {self._folder.path} to resume."
        )

    def close(self) -> None:
        """Let other processes work on the run folder."""
        if self._folder is not None:
            self._folder.close()

    @property
    def folder(self) -> RunFolder:
        """The run folder, once it is open."""
        if self._folder is None:
            raise RuntimeError("The run folder is not open yet.")
        return self._folder

    def train(
        self,
        stage: Stage,
        sample: DeviceSample,
        galaxies: GalaxySample,
        keys: RepeatKeys | None = None,
        epochs: int | None = None,
    ) -> History:
        """All repeats of one training on `galaxies`, whose pixels are in `sample` (`galjax.runs.stage.run_stage`), by the configuration;
        `epochs` stops it earlier."""
        training = stage.training or self.config.training
        if epochs is not None:
            every = min(training.schedule.evaluate_every, epochs)
            schedule = dataclasses.replace(training.schedule, epochs=epochs, evaluate_every=every)
            training = dataclasses.replace(training, schedule=schedule)
        names = galaxies.class_names
        kept = training.schedule.kept_of(self.config.repeats) if stage.keeps_ensemble else 0
        task = Task(sample, stage.draw, keys or self.keys, len(names), stage.conditions, stage.trained_at, kept)
        task = with_sky(task._replace(own_sky=stage.own_sky), training)
        self._tell_scaling(stage, task, galaxies.bands)
        outcome = run_stage(stage, task, galaxies, training, self.folder, self.progress)
        if stage.keeps_ensemble:
            self._main = (stage, HeldOut(galaxies, np.asarray(stage.draw.test)), outcome.history)
        self.outcomes[stage.name] = outcome
        return outcome.history

    def _tell_scaling(self, stage: Stage, task: Task, bands: Sequence[str]) -> None:
        sky = jax.tree.map(lambda value: value[:, task.trained_at.view], task.sky)
        sentence = in_words(self.config.training.network.input_scaling, sky, bands)
        if sentence not in self.scalings.values():
            self.progress.note(f"{stage.label}: {sentence}" if self.scalings else sentence)
        self.scalings[stage.name] = sentence

    def test_predictions(self, summary: Table) -> Table | None:
        """What the repeats of the main training said of their test galaxies; None where nothing was trained."""
        if self._main is None:
            return None
        stage, held_out, history = self._main
        usable = coarsest_usable(summary, stage.conditions)
        as_trained = [number for number, condition in enumerate(stage.conditions) if condition == stage.trained_at]
        wanted = as_trained if usable is None else [*as_trained, usable]
        if self.config.training.schedule.all_predictions:
            wanted = list(range(len(stage.conditions)))
        return test_predictions(held_out, history, stage.conditions, wanted) if wanted else None

    @property
    def dropped(self) -> Table:
        """Repeats that count in no result of a stage, because their loss became NaN or infinite."""
        rows = [(stage, *row) for stage, done in self.outcomes.items() for row in done.dropped]
        names = ("stage", *Divergence._fields)
        return Table(rows=rows or None, names=names, dtype=("U80", *["i8"] * 3))

    def environment(self) -> dict[str, Any]:
        """How it was computed, and how long it took so far."""
        outcomes = self.outcomes.values()
        training = sum(done.train_seconds for done in outcomes)
        checkpoints = sum(done.checkpoint_seconds for done in outcomes)
        return {
            **describe_environment(),
            "input_scaling": self.scalings,
            "execution": {name: done.execution._asdict() for name, done in self.outcomes.items()},
            "compile_seconds": round(sum(done.compile_seconds for done in outcomes), 1),
            "training_seconds": round(training, 1),
            "checkpoint_seconds": round(checkpoints, 3),
            "checkpoint_share": round(checkpoints / training, 4) if training else 0.0,
            "wall_seconds": round(time.perf_counter() - self._started, 1),
        }


@dataclasses.dataclass(frozen=True)
class Experiment(Generic[Config]):
    """A question, the flags that it takes, and the study that answers it."""

    name: str
    """Name of the module in `experiments`, and of its run folders."""
    title: str
    question: str
    recipe: str
    """The docstring of the module, whose first paragraphs are the question and the commands."""
    presets: Mapping[PresetName, Config]
    study: Callable[[Config, ExperimentRun], Findings]

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """The command: parse flags, run, and give the exit code."""
        description = described(self.question, self.recipe)
        return run_command(self.presets, self.run, f"python -m experiments.{self.name}", description, arguments)

    def run(self, config: Config, console: Console, load: LoadGalaxies = sources.load) -> Finished:
        """Do the study, write its tables, figures and report into the run folder, and print what it found."""
        with ConsoleProgress(console) as progress, closing(ExperimentRun(self.name, config, progress, load)) as run:
            findings = _with_dropped(self.study(config, run), run)
            findings = dataclasses.replace(findings, conclusions=(*findings.conclusions, *run.adjustments))
            progress.note("Drawing figures")
            chapter = _write(self, findings, run)
        for table in findings.screen:
            console.print(table)
        for sentence in (findings.headline, *findings.conclusions):
            say(console, sentence)
        say(console, f"Results: {run.folder.path}/report.html")
        return Finished(run.folder, findings, chapter, run.excluded, run.provenance)


def _with_dropped(findings: Findings, run: ExperimentRun) -> Findings:
    """What was found, and which repeats are not in it."""
    dropped = run.dropped
    if not len(dropped):
        return findings
    sentence = "Not in these results, because the loss became NaN or infinite: " + "; ".join(
        f"{stage}, {describe(outcome.dropped)}" for stage, outcome in run.outcomes.items() if outcome.dropped
    )
    return dataclasses.replace(
        findings,
        conclusions=(*findings.conclusions, f"{sentence}."),
        sections=(*findings.sections, Section("Repeats that were dropped", tables={DROPPED_CAPTION: dropped})),
        further_tables={**findings.further_tables, "dropped.ecsv": dropped},
    )


DROPPED_CAPTION = (
    "Repeats that count in no result of that stage: the loss was NaN or infinite from the first epoch named on"
)


def _write(experiment: Experiment[Any], findings: Findings, run: ExperimentRun) -> Chapter:
    """Tables, history, figures, report, and last environment.json, which marks a whole run."""
    folder = run.folder
    tables = {"results.ecsv": findings.results, "summary.ecsv": findings.summary, **findings.further_tables}
    sections = list(findings.sections)
    beside = {
        file: table
        for file, table in (
            ("against_thesis.ecsv", against_table(findings.against)),
            ("statements.ecsv", statements_table(findings.statements)),
        )
        if len(table)
    }
    if beside:
        tables |= beside
        captioned = {BESIDE_CAPTIONS[file]: table for file, table in beside.items()}
        sections.append(Section("Compared with the thesis", tables=captioned))
    predictions = run.test_predictions(findings.summary)
    if predictions is not None:
        tables["test_predictions.ecsv"] = predictions
    for file, table in tables.items():
        folder.write_table(file, table)
    folder.write_arrays("history.npz", findings.history)
    for sentence in write_figures(folder, [figure for section in sections for figure in section.all_figures]):
        run.progress.note(sentence)
    environment = run.environment()
    sentences = (findings.headline, *findings.conclusions)
    chapter = Chapter(run.name, experiment.title, experiment.question, sentences, tuple(sections))
    report = Report(
        experiment.title,
        experiment.question,
        [chapter],
        run.excluded,
        run.provenance,
        environment=environment,
        settings=_in_words(plain_settings(run.config)),
        tables=[*tables, "excluded.ecsv", "config.json", "environment.json"],
    )
    write_report(folder, report)
    folder.write_json("environment.json", environment)
    return dataclasses.replace(chapter, environment=environment)


def _in_words(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from JSON, as a reader may know them."""
    return {
        name: _in_words(value) if isinstance(value, Mapping) else as_words(None if value == "NaN" else value)
        for name, value in settings.items()
    }


AGAINST_CAPTION = (
    "Our figures at the epoch of the best mean test accuracy of each condition (the thesis's rule), the thesis's, and the difference in "
    "standard errors (std / sqrt(n); galaxies and unstated parts of the network differ)"
)
BESIDE_CAPTIONS = {"against_thesis.ecsv": AGAINST_CAPTION, "statements.ecsv": STATEMENTS_CAPTION}


def screen_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> ScreenTable:
    """A table for the terminal; all columns but the first are aligned right."""
    table = ScreenTable(title=title)
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table
