"""From a command line to a configuration, and from an error to a sentence and an exit code."""

import dataclasses
import io
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Protocol, TypeVar, runtime_checkable

import tyro
from rich.console import Console

from galjax import processes
from galjax.errors import InputError, printable
from galjax.execution import use_all_cores
from galjax.flags import with_commas_split
from galjax.memory import in_short, is_exhaustion
from galjax.processes import ProcessesConfig
from galjax.sources import SourceConfig
from galjax.stages import Flat, TrainingConfig
from galjax.stopping import Interrupted

BAD_INPUT = 2
"""Exit code where the user gave something that cannot be used."""

MOST_REPEATS = 1_000_000

PresetName = Literal["quick", "thesis"]


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """The flags that every experiment has."""

    source: Annotated[SourceConfig, Flat] = dataclasses.field(default_factory=SourceConfig)
    classes: tuple[str, ...] = ("spiral", "elliptical")
    """Classes to tell apart; galaxies of other classes are not used."""
    redshift_range: tuple[float, float] = (0.0, 0.2)
    """Redshifts to use, lower and upper bound exclusive; without effect where no redshift is known."""
    repeats: int = 30
    """Trainings with their own galaxies and starting weights, all in one program."""
    test_fraction: float = 0.3
    """Share of the drawn galaxies of each class kept for testing, between 0 and 1."""
    validation_fraction: float = 0.0
    """Share kept for choosing the epoch, 0 to below 1 - test fraction; 0 for none."""
    seed: int = 0
    """Of every draw, starting weight and shuffle, and of the simulated survey; at least 0."""
    out: Path | None = None
    """Run folder; None makes runs/EXPERIMENT/TIME (UTC). A folder of the same command is gone on with."""
    resume: bool = False
    """Go on with the newest run of this experiment (or that in --out) with its own flags; --epochs may be more."""
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
        """Whether to go on with a run by its own configuration."""


Config = TypeVar("Config", bound=RunConfig)


def run_command(
    presets: Mapping[PresetName, Config],
    run: Callable[[Config, Console], object],
    program: str,
    description: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse flags over the chosen preset (default quick), run, and give the exit code.

    0 done; 2 with a sentence on standard error for what the user can mend (also argparse's code for unknown flags);
    130 or 143 where SIGINT or SIGTERM stopped the run; 141 where whoever read the help went away; 1 where another of
    several processes has gone.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parsed: list[Config] = []
    code = exit_code(lambda: parsed.append(_parse(presets, program, description, given)))
    if not parsed:
        return code
    (config,) = parsed

    def join_and_run() -> None:
        from galjax import jax_settings  # which --help does not need

        jax_settings.pin(_say)
        processes.join(config.processes)
        use_all_cores()
        jax_settings.check_backend()
        run(_resumed(config, program, description, given), Console(quiet=not processes.is_first()))

    if config.processes.are_several:
        return processes.supervised(lambda: exit_code(join_and_run), _say)
    return exit_code(join_and_run)


def exit_code(command: Callable[[], object]) -> int:
    """Do what a command does, and turn what stops it into a sentence and an exit code (see `run_command`)."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Names of files may hold what no terminal can show.
            stream.reconfigure(errors="backslashreplace")
    try:
        try:
            command()
        finally:
            sys.stdout.flush()
    except InputError as error:
        _say(f"error: {error}")
        return BAD_INPUT
    except Interrupted as stop:
        _say(f"{stop} Run the same command again with --resume (or the same --out) to go on.")
        return stop.exit_code
    except (RuntimeError, MemoryError) as error:
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
    except BrokenPipeError:  # As in `--help | head`: nobody reads on, so what Python still holds goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    return 0


def _parse(presets: Mapping[PresetName, Config], program: str, description: str, arguments: list[str]) -> Config:
    preset, rest = _split_preset(arguments, list(presets))
    described = (
        f"{description}\n\n--preset {'|'.join(presets)} (now: {preset}) sets the defaults below; give it with --help to "
        f"see each."
    )
    default = presets[preset]
    return tyro.cli(
        type(default), prog=program, description=described, default=default,
        args=with_commas_split(type(default), rest), config=(tyro.conf.FlagCreatePairsOff,),
    )  # fmt: skip


def _resumed(config: Config, program: str, description: str, arguments: list[str]) -> Config:
    """With --resume: the configuration of the run to go on with, and over it the flags that were given. Else as it is.

    A --preset that was given is a configuration of its own, to be compared with the run's. Of several processes the first
    looks for the run.
    """
    if not config.resume or any(argument.partition("=")[0] == "--preset" for argument in arguments):
        return config
    from galjax import runs  # which --help does not need

    experiment = program.rpartition(".")[2]
    found = processes.on_first(lambda: runs.run_to_resume(experiment, config.out))
    if found is None:
        return config
    before = runs.configuration(type(config), found["config"], found["path"])
    return tyro.cli(  # with pairs of flags: --keep-parameters may be given again where it is on already
        type(config), prog=program, description=description, args=with_commas_split(type(config), arguments),
        default=dataclasses.replace(before, out=Path(found["path"])),  # type: ignore[type-var]
    )  # fmt: skip


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
