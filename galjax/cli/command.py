"""From a command line to a configuration, and from an error to a sentence and an exit code."""

import dataclasses
import importlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar, runtime_checkable

from rich.console import Console

from galjax.cli import flags
from galjax.cli.flags import Flag
from galjax.cli.screen import is_broken_pipe, surviving_screens
from galjax.config.markers import DATA, EXPERIMENT, OUTPUT, Flat
from galjax.config.settings import ROBUST_OPTIMISER, ROBUST_RECIPE, Draws, ProcessesConfig, TrainingConfig
from galjax.errors import InputError, in_short, is_exhaustion, printable
from galjax.sources import SourceConfig
from galjax.sources.options import check_exists
from galjax.terminal.interrupts import Interrupted

BAD_INPUT = 2
"""Exit code where the user gave something that cannot be used."""

MOST_REPEATS = 1_000_000

PresetName = Literal["quick", "standard", "thesis", "robust"]


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """The flags that every experiment has."""

    GROUP = EXPERIMENT
    source: Annotated[SourceConfig, Flat, DATA] = dataclasses.field(default_factory=SourceConfig)
    classes: Annotated[tuple[str, ...], DATA] = ("spiral", "elliptical")
    """Classes to tell apart; galaxies of other classes are not used."""
    redshift_range: Annotated[tuple[float, float], DATA] = (0.0, 0.2)
    """Redshifts to use, lower and upper bound exclusive; without effect where no redshift is known."""
    repeats: int = 30
    """Trainings, each with its own galaxies and starting weights; all are computed in one program."""
    test_fraction: float = 0.3
    """Share of the drawn galaxies of each class kept for testing, between 0 and 1."""
    validation_fraction: float = 0.1
    """Share of the drawn galaxies of each class kept for choosing the epoch, 0 to below 1 - test fraction; 0 for none, and
    results of the last epoch."""
    draws: Draws = "overlapping"
    """Whether repeats draw anew from all galaxies (overlapping), or each has galaxies of its own (disjoint), of which
    repeats times as many are needed."""
    seed: int = 0
    """Seed of every draw, starting weight and shuffle, and of the simulated survey; at least 0."""
    out: Annotated[Path | None, OUTPUT] = None
    """Run folder. None: runs/EXPERIMENT/TIME (UTC), which is made. The run of the same command in a folder is resumed."""
    resume: Annotated[bool, OUTPUT] = False
    """Resume the newest run of this experiment, or the one in --out, with its own flags; --epochs may be more."""
    training: Annotated[TrainingConfig, Flat] = dataclasses.field(default_factory=TrainingConfig)
    processes: Annotated[ProcessesConfig, Flat] = dataclasses.field(default_factory=ProcessesConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.repeats <= MOST_REPEATS:
            raise InputError(f"--repeats must be at least 1 and at most {MOST_REPEATS}, not {self.repeats}.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed must lie in 0..{2**32 - 1}, not {self.seed}.")
        if len(self.classes) < 2:
            raise InputError(f"--classes takes two or more classes, not {len(self.classes)}.")
        if not self.redshift_range[0] < self.redshift_range[1]:
            raise InputError(f"--redshift-range takes a lower and a higher bound, not {self.redshift_range}.")
        if not 0 < self.test_fraction < 1:
            raise InputError(f"--test-fraction must lie between 0 and 1, not {self.test_fraction}.")
        if not 0 <= self.validation_fraction < 1 - self.test_fraction:
            raise InputError(
                f"--validation-fraction must be at least 0 and below {1 - self.test_fraction:g} (1 - test fraction), "
                f"not {self.validation_fraction}."
            )


Experimental = TypeVar("Experimental", bound=ExperimentConfig)


def with_robust(presets: Mapping[PresetName, Experimental]) -> dict[PresetName, Experimental]:
    """The presets, and robust: the standard one with training images that change at random, and a learning rate that falls to 0."""
    standard = presets["standard"]
    training = dataclasses.replace(standard.training, augment=ROBUST_RECIPE, optimiser=ROBUST_OPTIMISER)
    return {**presets, "robust": dataclasses.replace(standard, training=training)}


@runtime_checkable
class RunConfig(Protocol):
    """A configuration of a run that may be that of one process among several."""

    @property
    def processes(self) -> ProcessesConfig:
        """Which of them this is."""

    @property
    def out(self) -> Path | None:
        """The run folder."""

    @property
    def resume(self) -> bool:
        """Whether to resume a run by its own configuration."""


Config = TypeVar("Config", bound=RunConfig)


def run_command(
    presets: Mapping[PresetName, Config],
    run: Callable[[Config, Console], object],
    program: str,
    description: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse flags over the chosen preset (default quick), run, and give the exit code.

    0 done; 2 with a sentence on standard error for what the user can fix (also for unknown flags); 130 or 143 where
    SIGINT or SIGTERM stopped the run; 1 where another of several processes has gone. Where all was done, but standard
    output could not be written: 141 where whoever read it went away, and 2 otherwise.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed: list[Config] = []
    code = exit_code(lambda: parsed.append(_parse(presets, program, description, given)))
    if code or not parsed:
        return code
    (config,) = parsed
    from galjax.training import processes
    from galjax.training.execution import use_all_cores

    def join_and_run() -> None:
        from galjax.config import jax_settings  # which --help does not need

        jax_settings.pin(_say)
        processes.join(config.processes)
        use_all_cores()
        jax_settings.check_backend()
        run(_resumed(config, program, given), Console(quiet=not processes.is_first()))

    if config.processes.are_several:
        return processes.supervised(lambda: exit_code(join_and_run), _say)
    return exit_code(join_and_run)


def described(question: str, recipe: str | None) -> str:
    """What the help says first: the question, and of a module's docstring how it is answered and by which commands.

    Paragraphs after the third, and all of it under `python -OO`, are left out.
    """
    _, commands, way, *_ = [*(recipe or "").rstrip().split("\n\n"), "", "", ""][:4]
    return "\n\n".join(part for part in (question, way, commands) if part)


def answer_flags(presets: Mapping[PresetName, Config], program: str, description: str) -> None:
    """End the process where its arguments ask for help, cannot be understood, or name galaxies that are not there.

    For a module that is run as a command, before it imports what it computes with: that takes seconds.
    """

    def answer() -> None:
        _check_data(_parse(presets, program, description, sys.argv[1:]))
        try:
            importlib.import_module("jax")
        except ValueError as error:  # of a variable of the environment
            raise InputError(
                f"JAX does not start: {error}. Correct that variable of the environment, or unset it."
            ) from error

    code = exit_code(answer)
    if code:
        sys.exit(code)


def _check_data(config: Any) -> None:
    """Look for the galaxies that every --data of a configuration names."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            _check_data(value)
        elif field.name == "data":
            check_exists(value)


def exit_code(command: Callable[[], object]) -> int:
    """Do what a command does, and turn what stops it into a sentence and an exit code (see `run_command`)."""
    with surviving_screens() as (screen, _):
        try:
            code = _exit_code(command)
        except SystemExit as end:  # of the help, or of a flag that is not understood
            screen.flush()
            if end.code or screen.error is None:
                raise
            code = 0
        screen.flush()
        if code or screen.error is None:
            return code
        if is_broken_pipe(screen.error):
            return 128 + signal.SIGPIPE
        _say(f"error: Standard output cannot be written ({screen.error.strerror}). Nothing else was lost by that.")
        return BAD_INPUT


def _exit_code(command: Callable[[], object]) -> int:
    try:
        command()
    except InputError as error:
        _say(f"error: {error}")
        return BAD_INPUT
    except Interrupted as stop:
        _say(f"{stop} Run the same command again with --resume (or the same --out) to resume.")
        return stop.exit_code
    except (RuntimeError, MemoryError) as error:
        from galjax.training import processes

        if processes.is_lost(error):
            _say(processes.LOST_SENTENCE)
            return processes.LOST
        if not is_exhaustion(error):
            raise
        _say(
            f"error: The memory ran out ({in_short(error)}). Take fewer galaxies, smaller images or fewer "
            f"--repeats. What was computed so far is kept."
        )
        return BAD_INPUT
    except KeyboardInterrupt:
        _say("Stopped before anything was kept; run the same command again.")
        return 130
    return 0


def _parse(presets: Mapping[PresetName, Config], program: str, description: str, arguments: list[str]) -> Config:
    preset, rest = _split_preset(arguments, list(presets))
    return flags.parse(presets[preset], rest, program, description, [_preset_flag(presets, preset)])


def _resumed(config: Config, program: str, arguments: list[str]) -> Config:
    """With --resume: the configuration of the run to resume, and over it the flags that were given. Else as it is.

    A --preset that was given is a configuration of its own, to be compared with the run's. Of several processes the first
    looks for the run.
    """
    if not config.resume or any(argument.partition("=")[0] == "--preset" for argument in arguments):
        return config
    from galjax.runs import folder as runs
    from galjax.training import processes  # which --help does not need

    experiment = program.rpartition(".")[2]
    found = processes.on_first(lambda: runs.run_to_resume(experiment, config.out))
    if found is None:
        return config
    before = runs.configuration(type(config), found["config"], found["path"])
    default = dataclasses.replace(before, out=Path(found["path"]))  # type: ignore[type-var]
    return flags.parse(default, arguments, program, switches_off=True)


def _preset_flag(presets: Mapping[PresetName, Config], chosen: PresetName) -> Flag:
    """--preset for the help, with what each of them sets."""
    defaults = {name: {flag.typed: flag.default for flag in flags.flags_of(config)} for name, config in presets.items()}
    differing = [typed for typed in defaults[chosen] if len({its.get(typed) for its in defaults.values()}) > 1]
    described = []
    for name, its in defaults.items():
        sets = ", ".join(f"{typed.split()[0]} {its[typed]}" for typed in differing if typed in its)
        described.append(f"{name} ({sets})" if sets else name)
    text = f"Defaults to start from: {' or '.join(described)}. Flags that are given replace them. (default: {next(iter(presets))})"
    return Flag("--preset", f"{{{','.join(presets)}}}", text, EXPERIMENT)


def _split_preset(arguments: list[str], names: list[PresetName]) -> tuple[PresetName, list[str]]:
    """The value of --preset, which must be known before the other flags have defaults, and the other arguments."""
    rest: list[str] = []
    value: str = names[0]
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--preset":
            value = next(remaining, "")
        elif argument.startswith("--preset="):
            value = argument.removeprefix("--preset=")
        else:
            rest.append(argument)
    for name in names:
        if name == value:
            return name, rest
    raise InputError(f"--preset is one of {', '.join(names)}, not {value!r}.")


def _say(text: str) -> None:
    Console(stderr=True).print(printable(text), highlight=False, markup=False, soft_wrap=True)
