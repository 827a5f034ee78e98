"""From flags to a benchmark and from an error to a sentence: the same for every benchmark."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from galjax.command import exit_code
from galjax.errors import InputError
from galjax.flags import with_commas_split

Config = TypeVar("Config")


def run_benchmark(
    config: type[Config], run: Callable[[Config], Any], name: str, description: str, arguments: Sequence[str] | None
) -> int:
    """Parse flags, run, and give the exit code, as `galjax.command.run_command` does."""
    # A framework that is timed after JAX must find memory on the same GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    given = list(sys.argv[1:] if arguments is None else arguments)

    def parse_and_run() -> None:
        run(
            tyro.cli(
                config, prog=f"python -m benchmarks.{name}", description=description, args=with_commas_split(config, given),
                config=(tyro.conf.FlagCreatePairsOff,),
            )
        )  # fmt: skip

    return exit_code(parse_and_run)


def check_at_least(least: int, **flags: int) -> None:
    """Raise InputError for the first flag below `least`."""
    for name, value in flags.items():
        if value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, not {value}.")


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)
