"""galjax, and the same JAX program with the compiler's own layers, for any number of repeats."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders.problem import Problem
from galjax.config.settings import ExecutionConfig, OptimiserConfig, ScheduleConfig, TrainingConfig
from galjax.draw import Draw
from galjax.training.conditions import Condition, make_conditions
from galjax.training.repeats import Task, assemble, execution_of
from galjax.training.step import DeviceSample

SWEEP = make_conditions(range(2, 9), ("nearest", "bilinear", "bicubic"))
"""The 22 conditions of the thesis's resolution sweep: Original once, and seven factors by three methods."""


class Workload(NamedTuple):
    """What one call of the program does: it trains and then evaluates.

    By default the evaluation is of one galaxy as it is, which costs nothing beside an epoch.
    """

    epochs: int = 1
    """They count as one run."""
    tested: int = 1
    """Galaxies of the evaluation."""
    conditions: Sequence[Condition] = SWEEP[:1]


ONE_EPOCH = Workload()


class JaxRepeats:
    """`repeats` repeats in one program; each sees the same galaxies in its own order."""

    def __init__(
        self,
        problem: Problem,
        repeats: int,
        config: ExecutionConfig,
        devices: int | None = None,
        workload: Workload = ONE_EPOCH,
    ) -> None:
        images, labels = problem.data()
        train = jnp.tile(jnp.arange(problem.galaxies), (repeats, 1))
        test = jnp.tile(jnp.arange(workload.tested) % problem.galaxies, (repeats, 1))
        draw = Draw(train, jnp.zeros((repeats, 0), jnp.int32), test)
        pool = DeviceSample(jnp.asarray(images)[None], jnp.asarray(labels))
        task = Task(pool, draw, problem.keys(repeats), 2, workload.conditions)
        settings = TrainingConfig(
            ScheduleConfig(epochs=workload.epochs, evaluate_every=workload.epochs),
            OptimiserConfig(problem.learning_rate, batch_size=problem.batch_size),
            problem.network_config,
            config,
            problem.augment,
        )
        self.execution = execution_of(task, settings)
        if devices:
            self.execution = self.execution._replace(devices=devices)
        self._epochs = workload.epochs
        self.program = assemble(task, settings, self.execution)
        self.compile_seconds = self.program.compile_seconds
        self.repeat_steps = repeats * problem.steps * workload.epochs
        self._snapshot = jax.block_until_ready(self.program.start())

    def run(self) -> float:
        """As `Contender.run`."""
        snapshots = self.program.continue_from(self._snapshot, self._snapshot.epoch + self._epochs, math.inf)
        *_, self._snapshot = snapshots
        history = self._snapshot.history
        assert history is not None
        self._snapshot = self._snapshot._replace(history=None)
        return float(np.mean(history.train_loss[0]))
