"""`galjax resume RUN`: the run of an experiment goes on where it stopped, or to more epochs."""

import importlib.util
import json
import re
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

from galjax.cli.command import exit_code
from galjax.errors import InputError

HELP = """usage: galjax resume RUN [--epochs N] [FLAG ...]

Resume the run in the folder RUN with its own configuration: what has ended is read back, the rest goes on from its newest
checkpoint, and the result is that of an undisturbed run.

  --epochs N  Train on to N epochs, also where the run had ended.
  FLAG        Further flags of the run's experiment that change no result, such as --checkpoint-seconds 60."""


def main(arguments: Sequence[str]) -> int:
    """Run the verb; gives its exit code."""
    if not arguments or set(arguments) & {"-h", "--help"}:
        print(HELP)
        return 0 if arguments else 2
    found: list[str] = []
    code = exit_code(lambda: found.append(_experiment_of(Path(arguments[0]).expanduser())))
    if not found:
        return code
    sys.argv = ["galjax resume", "--resume", "--out", arguments[0], *arguments[1:]]
    try:
        runpy.run_module(found[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def _experiment_of(run: Path) -> str:
    """The module of the experiment whose run a folder holds."""
    try:
        name = json.loads((run / "config.json").read_text())["experiment"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{run} holds no run (no readable config.json). Give the folder that a run named at its end."
        ) from error
    module = f"experiments.{name}"
    if not re.fullmatch(r"[a-z_]+", str(name)) or importlib.util.find_spec("experiments") is None:
        raise InputError(
            f"{run} holds a run of {module}, which is not installed here. Run galjax in a clone that has it: pip install -e ."
        )
    if importlib.util.find_spec(module) is None:
        raise InputError(f"{run} holds a run of {module}, which this version of galjax does not have.")
    return module
