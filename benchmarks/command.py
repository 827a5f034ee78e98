"""From flags to a benchmark and from an error to a sentence: the same for every benchmark."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from galjax.cli import flags
from galjax.cli.command import described, exit_code
from galjax.errors import InputError

Config = TypeVar("Config")


def run_benchmark(
    config: type[Config], run: Callable[[Config], Any], name: str, recipe: str, arguments: Sequence[str] | None
) -> int:
    """Parse flags, run, and give the exit code, as `galjax.cli.command.run_command` does."""
    # A framework that is timed after JAX must find memory on the same GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    said = described(recipe.strip().split("\n\n")[0], recipe)
    given = list(sys.argv[1:] if arguments is None else arguments)

    return exit_code(lambda: run(flags.parse(config(), given, f"python -m benchmarks.{name}", said)))


def check_at_least(least: int, **flags: int) -> None:
    """Raise InputError for the first flag below `least`."""
    for name, value in flags.items():
        if value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, not {value}.")


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)
