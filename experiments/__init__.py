"""One file, one scientific question, one command: `python -m experiments.NAME`."""

from typing import Literal, get_args

from galjax.terminal.interrupts import listen_in_command

listen_in_command()

ExperimentName = Literal[
    "uncertain_labels",
    "class_balance",
    "resolution_sweep",
    "phase_shift",
    "same_resolution",
    "cross_survey",
    "robust_training",
    "label_audit",
    "robustness_benchmark",
    "ablation",
]
EXPERIMENTS: tuple[ExperimentName, ...] = get_args(ExperimentName)
"""The modules here whose `EXPERIMENT` trains, in the order in which `experiments.thesis` runs them."""
OF_THESIS = EXPERIMENTS[: EXPERIMENTS.index("robust_training")]
"""Those that the thesis made: what `experiments.thesis` runs where it is not told."""
