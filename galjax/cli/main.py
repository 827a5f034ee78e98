"""The command `galjax`: verbs for a user's own galaxies and runs. Experiments are `python -m experiments.NAME`."""

import importlib
import sys
from collections.abc import Sequence

from galjax.terminal.interrupts import listen

VERBS = {
    "check": "Say what galaxies a folder or file holds, and how they are understood.",
    "classify": "Classify galaxies that nobody has labelled with trained networks, into a catalogue.",
    "score": "Score predictions at reduced resolutions, your own or anybody's.",
    "simulate": "Render galaxies as an instrument sees them, and save them as a sample.",
    "resume": "Resume a run with its own configuration, or train it on.",
}
"""Every verb is a module of this package with a function `main(arguments)` that gives an exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the first argument names, and give the exit code: 2 for what the user can fix."""
    if arguments is None:
        listen()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--version"]:
        from galjax import __version__

        print(f"galjax {__version__}")
        return 0
    if not given or given[0] in ("-h", "--help"):
        print(_help())
        return 0
    verb, *rest = given
    if verb not in VERBS:
        print(
            f"error: galjax has no verb {verb!r}; there is {', '.join(VERBS)}. galjax --help says more.",
            file=sys.stderr,
        )
        return 2
    code: int = importlib.import_module(f"galjax.cli.{verb}").main(rest)
    return code


def _help() -> str:
    verbs = "\n".join(f"  {verb:<12}{text}" for verb, text in VERBS.items())
    return (
        "usage: galjax VERB [ARGUMENT ...]\n\nHow different may the training and test resolutions of galaxy images be?\n\n"
        f"Verbs:\n{verbs}\n\n  --version   Show the version, and end.\n  -h, --help  Show this help, and end.\n\n"
        "galjax VERB --help says more of one. Experiments are commands of their own: python -m experiments.NAME --help"
    )
