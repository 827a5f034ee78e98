"""galjax, and the same JAX program with the compiler's own layers, for any number of repeats."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.contenders.problem import Problem
from galjax.draw import Draw
from galjax.execution import ExecutionConfig, Sizes, choose
from galjax.repeats import RepeatProgram
from galjax.training import Conditions, OptimiserConfig, Pool, hyperparameters_of


class JaxRepeats:
    """`repeats` repeats in one program; each sees the same galaxies in its own order."""

    def __init__(
        self, problem: Problem, repeats: int, config: ExecutionConfig, devices: int | None = None, epochs: int = 1
    ) -> None:
        """`epochs` are trained in one call of the program and count as one run."""
        images, labels = problem.data()
        optimiser = OptimiserConfig(problem.learning_rate, batch_size=problem.batch_size)
        network = problem.network_config
        sizes = Sizes((*images.shape[1:3], 1), problem.galaxies, problem.galaxies, 1)
        self.execution = choose(config, network, optimiser, sizes, repeats)
        if devices:
            self.execution = self.execution._replace(devices=devices)
        train = jnp.tile(jnp.arange(problem.galaxies), (repeats, 1))
        # The program always ends with an evaluation: of one galaxy as it is, which costs nothing beside an epoch.
        draw = Draw(train, jnp.zeros((repeats, 0), jnp.int32), jnp.zeros((repeats, 1), jnp.int32))
        same = jnp.eye(problem.image_size)[None]
        self._epochs = epochs
        self.program = RepeatProgram(
            self.execution.trainer(network, optimiser, 2), hyperparameters_of(optimiser),
            Pool(jnp.asarray(images), jnp.asarray(labels)), draw, Conditions(same, same), problem.keys(repeats),
            epochs, self.execution,
        )  # fmt: skip
        self.compile_seconds = self.program.compile_seconds
        self.repeat_steps = repeats * problem.steps * epochs
        self._snapshot = jax.block_until_ready(self.program.start())

    def run(self) -> float:
        """As `Contender.run`."""
        (self._snapshot,) = self.program.continue_from(self._snapshot, self._snapshot.epoch + self._epochs)
        jax.block_until_ready(self._snapshot.state)
        history = self._snapshot.history
        assert history is not None
        self._snapshot = self._snapshot._replace(history=None)
        return float(np.mean(history.train_loss[0]))
