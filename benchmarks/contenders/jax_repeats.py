"""galjax, and the same JAX program with the compiler's own layers, for any number of repeats."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders.problem import Problem
from galjax.draw import Draw
from galjax.resample import condition_matrices
from galjax.training.execution import ExecutionConfig, Sizes, choose
from galjax.training.repeats import RepeatProgram
from galjax.training.step import Conditions, DeviceSample, OptimiserConfig, hyperparameters_of

SWEEP = [(1, "nearest"), *((factor, method) for factor in range(2, 9) for method in ("nearest", "bilinear", "bicubic"))]
"""The 22 conditions of the thesis's resolution sweep: Original once, and seven factors by three methods."""


class JaxRepeats:
    """`repeats` repeats in one program; each sees the same galaxies in its own order."""

    def __init__(
        self,
        problem: Problem,
        repeats: int,
        config: ExecutionConfig,
        devices: int | None = None,
        epochs: int = 1,
        tested: int = 1,
        conditions: Sequence[tuple[int, str]] = SWEEP[:1],
    ) -> None:
        """`epochs` are trained in one call of the program and count as one run.

        Every call ends with an evaluation: of one galaxy as it is, which costs nothing beside an epoch, unless `tested`
        galaxies and `conditions` (factor, method) are given.
        """
        images, labels = problem.data()
        optimiser = OptimiserConfig(problem.learning_rate, batch_size=problem.batch_size)
        network = problem.network_config
        sizes = Sizes((*images.shape[1:3], 1), problem.galaxies, problem.galaxies, tested)
        self.execution = choose(config, network, optimiser, sizes, repeats)
        if devices:
            self.execution = self.execution._replace(devices=devices)
        train = jnp.tile(jnp.arange(problem.galaxies), (repeats, 1))
        test = jnp.tile(jnp.arange(tested) % problem.galaxies, (repeats, 1))
        draw = Draw(train, jnp.zeros((repeats, 0), jnp.int32), test)
        rows, columns = (jnp.asarray(m, jnp.float32) for m in condition_matrices(images.shape[1:3], conditions))
        seen = Conditions(jnp.zeros(len(conditions), jnp.int32), rows, columns)
        self._epochs = epochs
        self.program = RepeatProgram(
            self.execution.trainer(network, optimiser, 2),
            hyperparameters_of(optimiser),
            DeviceSample(jnp.asarray(images)[None], jnp.asarray(labels)),
            draw,
            jax.tree.map(lambda leaf: leaf[0], seen),
            seen,
            problem.keys(repeats),
            epochs,
            self.execution,
        )
        self.compile_seconds = self.program.compile_seconds
        self.repeat_steps = repeats * problem.steps * epochs
        self._snapshot = jax.block_until_ready(self.program.start())

    def run(self) -> float:
        """As `Contender.run`."""
        snapshots = self.program.continue_from(self._snapshot, self._snapshot.epoch + self._epochs, math.inf)
        *_, self._snapshot = snapshots
        history = self._snapshot.history
        assert history is not None
        self._snapshot = self._snapshot._replace(history=None)
        return float(np.mean(history.train_loss[0]))
