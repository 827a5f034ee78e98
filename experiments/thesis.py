"""Every experiment of the thesis in one folder, and one report.

    python -m experiments.thesis                      # simulated galaxies; 25 minutes on 2 CPU cores
    python -m experiments.thesis --preset thesis      # 30 repeats and more, up to 900 epochs: for an accelerator
    python -m experiments.thesis --data FOLDER        # your own galaxies, with the experiments that they allow

Each experiment has its own folder inside, as if it had been run alone with the same preset; the report puts them together.
Where the command is stopped, the same command resumes the experiment at hand. An experiment that the galaxies do not allow (no
uncertain class, too few of a class, no second instrument) is left out and named.
"""

import dataclasses
import datetime
import importlib
import re
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, get_args

from experiments import EXPERIMENTS as NAMES
from experiments import OF_THESIS, ExperimentName
from galjax.cli.command import PresetName, answer_flags, described, run_command
from galjax.config.markers import DATA, EXPERIMENT, OUTPUT, SHARP_IMAGES, Flat, Hidden
from galjax.config.settings import OnDivergence, ProcessesConfig
from galjax.errors import InputError
from galjax.sources import HSC_WIDE, FolderOptions, SimulatedSurvey, SourceConfig

NAME = "thesis"
TITLE = "Galaxy morphology across resolutions: every experiment of the thesis"
QUESTION = "How different may the training and test resolutions be?"


@dataclasses.dataclass(frozen=True)
class Thesis:
    """Flags. What is not given is as the preset of each experiment has it."""

    GROUP = EXPERIMENT

    preset: Annotated[PresetName, Hidden] = "quick"
    """Preset of every experiment."""
    experiments: tuple[ExperimentName, ...] = OF_THESIS
    """Experiments to run, in this order."""
    data: Annotated[str, DATA] = "simulated"
    """Galaxies to use: `simulated` (rendered here), or files in any usual form: a folder of images with a table or with a
    folder for each class, a table, HDF5, NumPy arrays, a saved sample. `galjax check PATH` says how they are understood."""
    folder: Annotated[FolderOptions, Flat, DATA] = dataclasses.field(default_factory=FolderOptions)
    sharp: Annotated[SourceConfig, SHARP_IMAGES] = dataclasses.field(
        default_factory=lambda: SourceConfig(simulated=HSC_WIDE)
    )
    """The sharp images of the same galaxies, for cross_survey."""
    repeats: int | None = None
    """Trainings of every experiment. None: as many as the preset of each has."""
    epochs: int | None = None
    """Passes over the training galaxies in every experiment. None: as many as the preset of each has."""
    seed: int = 0
    """Seed of every draw, starting weight and shuffle, and of the simulated survey; at least 0."""
    out: Annotated[Path | None, OUTPUT] = None
    """Run folder. None: runs/thesis/TIME (UTC), which is made. The run of the same command in a folder is resumed."""
    resume: Annotated[bool, OUTPUT] = False
    """Resume the newest run, or the one in --out, with its own flags; --epochs may be more."""
    on_divergence: OnDivergence = "stop"
    """What to do where the loss of a repeat becomes NaN or infinite: stop, with the last checkpoint kept, or drop that
    repeat from every result."""
    processes: Annotated[ProcessesConfig, Flat] = dataclasses.field(default_factory=ProcessesConfig)

    def __post_init__(self) -> None:
        if not self.experiments or len(set(self.experiments)) != len(self.experiments):
            raise InputError(f"--experiments takes one or more names, each once, not {self.experiments}.")
        for name in ("repeats", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} must be at least 1, not {value}.")

    def of(self, name: str, out: Path) -> Any:
        """The configuration of one experiment."""
        config = EXPERIMENTS[name].presets[self.preset]
        source = dataclasses.replace(config.source, data=self.data, folder=self.folder)
        changes: dict[str, Any] = {"source": source, "seed": self.seed, "out": out, "resume": False}
        if self.repeats is not None:
            changes["repeats"] = self.repeats
        schedule = dataclasses.replace(config.training.schedule, on_divergence=self.on_divergence)
        if self.epochs is not None:
            schedule = dataclasses.replace(schedule, epochs=self.epochs)
        changes["training"] = dataclasses.replace(config.training, schedule=schedule)
        if hasattr(config, "sharp"):
            changes["sharp"] = self.sharp
        return dataclasses.replace(config, **changes)


PRESETS: dict[PresetName, Thesis] = {name: Thesis(preset=name) for name in get_args(PresetName)}

if __name__ == "__main__":  # before what computes is imported
    answer_flags(PRESETS, f"python -m experiments.{NAME}", described(QUESTION, __doc__))

from astropy.table import Table, vstack
from rich.console import Console

from experiments import interpolation_cost
from galjax import sources
from galjax.analysis.published import against_table
from galjax.analysis.statements import statements_table
from galjax.cli.experiment import BESIDE_CAPTIONS, Experiment, Finished, LoadGalaxies
from galjax.report.html import Chapter, Report, Section, write_report
from galjax.runs.folder import RunFolder, describe_environment, open_run
from galjax.sample import GalaxySample
from galjax.terminal.console import say
from galjax.terminal.progress import ConsoleProgress
from galjax.training import processes

EXPERIMENTS: dict[str, Experiment[Any]] = {
    name: importlib.import_module(f"experiments.{name}").EXPERIMENT for name in NAMES
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_command(PRESETS, run, f"python -m experiments.{NAME}", described(QUESTION, __doc__), arguments)


def run(config: Thesis, console: Console) -> None:
    """All experiments, then the report of all."""
    for experiment in config.experiments:
        config.of(experiment, Path())  # raises InputError for what no experiment takes
    load = remembering(sources.load)
    digest = "simulated"
    if config.data != "simulated":
        with ConsoleProgress(console) as progress:  # before a folder is made for nothing
            source = SourceConfig(data=config.data, folder=config.folder)
            digest = load(source, config.seed, progress.images_read).digest()
    folder = open_run(NAME, config, config.out, resume=config.resume, sample_digest=digest)
    with closing(folder):
        _run(config, folder, load, console)


def _run(config: Thesis, folder: RunFolder, load: LoadGalaxies, console: Console) -> None:
    started = time.perf_counter()
    finished: dict[str, Finished] = {}
    left_out: dict[str, str] = {}
    for number, name in enumerate(config.experiments, 1):
        console.rule(f"{number} of {len(config.experiments)}: {EXPERIMENTS[name].title}")
        try:
            finished[name] = EXPERIMENTS[name].run(config.of(name, folder.path / name), console, load)
        except InputError as reason:
            begun = folder.path / name / "config.json"
            if processes.on_first(begun.exists):  # It had begun: not for want of galaxies.
                raise
            left_out[name] = str(reason)
            say(console, f"left out: {reason}")
    if not finished:
        raise InputError(f"No experiment can be run. {next(iter(left_out.values()))}")
    _write(config, folder, finished, left_out, time.perf_counter() - started)
    console.rule("All experiments")
    for ran, done in finished.items():
        say(console, f"{ran}: {done.findings.headline}")
    for left, why in left_out.items():
        say(console, f"{left}: left out. {why}")
    say(console, f"Results: {folder.path}/report.html")


def remembering(load: LoadGalaxies) -> LoadGalaxies:
    """`load` that reads the galaxies of a source once, however many experiments ask for them one after the other."""
    newest: dict[Any, GalaxySample] = {}

    def load_once(source: SourceConfig, seed: int, progress: Any = None) -> GalaxySample:
        given = source if source.data == "simulated" else dataclasses.replace(source, simulated=SimulatedSurvey())
        key = (given, seed)
        if key not in newest:
            while len(newest) > 1:  # two instruments at the most
                del newest[next(iter(newest))]
            newest[key] = load(source, seed, progress)
        return newest[key]

    return load_once


def _write(
    config: Thesis, folder: RunFolder, finished: dict[str, Finished], left_out: dict[str, str], seconds: float
) -> None:
    """The tables and the report of all experiments."""
    beside = {
        "statements.ecsv": _of_all(
            {name: statements_table(done.findings.statements) for name, done in finished.items()}
        ),
        "against_thesis.ecsv": _of_all({name: against_table(done.findings.against) for name, done in finished.items()}),
    }
    for file, table in beside.items():
        folder.write_table(file, table)
    folder.write_exclusions(dict.fromkeys(row for done in finished.values() for row in done.excluded))
    overview = Chapter(
        "overview",
        "The thesis's figures and ours",
        "Does it agree with the thesis?",
        tuple(f"{name}: left out. {reason}" for name, reason in left_out.items()),
        (
            Section("Words and numbers", tables={BESIDE_CAPTIONS[file]: table for file, table in beside.items()}),
            Section("Where the thesis's figures are", tables={"Figures of the thesis, and here": _figures(finished)}),
        ),
    )
    environment = {
        **describe_environment(),
        "experiments": {name: "left out" if name in left_out else "run" for name in config.experiments},
        "wall_seconds": round(seconds, 1),
        "finished": datetime.datetime.now().isoformat(timespec="seconds"),
    }
    cost = interpolation_cost.chapter()
    provenance = {key: value for done in finished.values() for key, value in done.provenance.items()}
    report = Report(
        TITLE,
        QUESTION,
        [overview, *(done.chapter for done in finished.values()), *([cost] if cost else [])],
        conclusions=[f"{EXPERIMENTS[n].title}. {done.findings.headline}" for n, done in finished.items()],
        excluded=list(dict.fromkeys(row for done in finished.values() for row in done.excluded)),
        provenance=provenance,
        environment=environment,
    )
    write_report(folder, report)
    folder.write_json("environment.json", environment)


def _of_all(tables: Mapping[str, Table]) -> Table:
    """The tables of all experiments, named in a first column."""
    for name, table in tables.items():
        table.add_column([name] * len(table), name="experiment", index=0)
    return vstack([table for table in tables.values() if len(table)] or list(tables.values())[:1])


def _figures(finished: dict[str, Finished]) -> Table:
    rows = [
        (figure, name, here) for name, done in finished.items() for figure, here in done.findings.thesis_figures.items()
    ]
    rows.sort(key=lambda row: [int(number) for number in re.findall(r"\d+", row[0])])
    return Table(rows=rows or None, names=("thesis_figure", "experiment", "figure_here"), dtype=("U20", "U40", "U60"))


if __name__ == "__main__":
    sys.exit(main())
