"""From flags to a benchmark and from an error to a sentence: the same for every benchmark."""

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import tyro

from galjax.command import BAD_INPUT
from galjax.errors import InputError

Config = TypeVar("Config")


def run_benchmark(
    config: type[Config], run: Callable[[Config], Any], name: str, description: str, arguments: Sequence[str] | None
) -> int:
    """Parse flags, run, and give the exit code: 0 done, 2 with a sentence for what the user can mend, 130 for Ctrl-C."""
    # A framework that is timed after JAX must find memory on the same GPU.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        run(
            tyro.cli(
                config, prog=f"python -m benchmarks.{name}", description=description, args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
        )  # fmt: skip
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("Stopped; nothing was kept.", file=sys.stderr)
        return 130
    return 0


def check_at_least(least: int, **flags: int) -> None:
    """Raise InputError for the first flag below `least`."""
    for name, value in flags.items():
        if value < least:
            raise InputError(f"--{name.replace('_', '-')} must be at least {least}, not {value}.")


def say(text: str) -> None:
    """One line of progress."""
    print(text, flush=True)
