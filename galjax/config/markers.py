"""What is said of a field of a configuration beside its type: whether it is a flag, and under which heading of the help."""

import dataclasses

import tyro

Flat = tyro.conf.arg(name="")
"""Marks a nested configuration whose fields are flags without a prefix."""
Hidden = tyro.conf.Suppress
"""Marks a field that is no flag."""


@dataclasses.dataclass(frozen=True)
class Group:
    """Under which heading of the help a field stands, or all fields of a nested configuration."""

    title: str
    in_short: bool = True
    """Whether `--help` shows it; else `--help-all` alone does."""


DATA = Group("Data")
SHARP_IMAGES = Group("Sharp images of the same galaxies")
EXPERIMENT = Group("Experiment")
OUTPUT = Group("Output")
SIMULATED = Group("Simulated galaxies", in_short=False)
NETWORK = Group("Network", in_short=False)
EXECUTION = Group("Execution", in_short=False)
ARCHIVES = Group("Archives", in_short=False)
MACHINES = Group("Several machines", in_short=False)
OPTIONS = Group("Options")
