"""Repeats whose loss is no longer a number: where that began, and the results without them."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from galjax.config.settings import OnDivergence
from galjax.errors import InputError
from galjax.training.history import History


class Divergence(NamedTuple):
    """One repeat that diverged."""

    repeat: int
    first_epoch: int
    """Epochs count from 1. By the end of this one the loss of training, or of an evaluation, was NaN or infinite."""
    last_epoch: int
    """Last epoch that it was trained to nevertheless."""


class Diverged(InputError):
    """Repeats diverged, and the user did not ask to continue without them."""


def find_diverged(history: History) -> list[Divergence]:
    """Every repeat with a NaN or infinite loss, in training or under any evaluated condition."""
    finite = np.isfinite(history.train_loss)
    finite[:, history.evaluated_epoch - 1] &= np.isfinite(history.test_loss).all(axis=2)
    if history.validation_loss is not None:
        finite[:, history.evaluated_epoch - 1] &= np.isfinite(history.validation_loss)
    return [
        Divergence(int(repeat), int(finite[repeat].argmin()) + 1, finite.shape[1])
        for repeat in np.flatnonzero(~finite.all(axis=1))
    ]


def without(history: History, diverged: Sequence[Divergence]) -> History:
    """The history with those repeats as if they had not been measured: losses and accuracies NaN, counts 0.

    Every metric of an empty confusion matrix is NaN, which `galjax.statistics` does not count.
    """
    gone = [repeat for repeat, _, _ in diverged]
    if not gone:
        return history
    measured = {}
    for name, array in history.arrays().items():
        if name != "evaluated_epoch":
            measured[name] = array.copy()
            measured[name][gone] = 0 if name.endswith("confusion") else np.nan
    return dataclasses.replace(history, **measured)


def describe(diverged: Sequence[Divergence]) -> str:
    """Which repeats, and in which epochs: "repeat 2 in epochs 3 to 8 and repeat 5 in epochs 8 to 8"."""
    shown = [f"repeat {repeat} in epochs {first} to {last}" for repeat, first, last in diverged[:5]]
    more = [f"{len(diverged) - 5} more repeats"] if len(diverged) > 5 else []
    *others, final = [*shown, *more]
    return f"{', '.join(others)} and {final}" if others else final


def check_diverged(history: History, label: str, on_divergence: OnDivergence, last_good: str) -> list[Divergence]:
    """Find the repeats that diverged; raise `Diverged` where that is to stop the run, or where no repeat is left.

    `last_good` says in a sentence which checkpoint is kept.
    """
    diverged = find_diverged(history)
    if diverged and on_divergence == "stop":
        raise Diverged(
            f"{label}: the loss of {describe(diverged)} is NaN or infinite. {last_good} Train with a smaller "
            f"--learning-rate and another --out, or give --on-divergence drop with the same --out to continue without "
            f"{'it' if len(diverged) == 1 else 'them'}."
        )
    if len(diverged) == len(history.train_loss):
        raise Diverged(
            f"{label}: the loss of every repeat is NaN or infinite, the last from epoch "
            f"{max(d.first_epoch for d in diverged)} on; nothing is left to train. {last_good} Train with a smaller "
            f"--learning-rate and another --out."
        )
    return diverged
