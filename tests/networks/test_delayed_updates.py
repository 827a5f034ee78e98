import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax.config.settings import NetworkConfig
from galjax.networks import delayed_updates as delayed
from galjax.networks.thesis import ThesisNetwork
from galjax.training.step import (
    Batch,
    OptimiserConfig,
    Trainer,
    hyperparameters_of,
    initialise,
    train_delayed_step,
    train_step,
)

NETWORK = NetworkConfig(filters=(4, 4, 4), dense_units=(24, 16), dropout=0.5, padding="same")


def batches(count, size=8):
    rng = np.random.default_rng(0)
    for number in range(count):
        mask = np.arange(size) < (size if number % 3 else 5)
        yield Batch(
            jnp.asarray(rng.standard_normal((size, 16, 16, 1), dtype=np.float32)),
            jnp.asarray(rng.integers(0, 2, size), jnp.int32),
            jnp.asarray(mask, jnp.float32),
        )


def test_delayed_steps_equal_steps_made_at_once():
    trainer, hyperparameters = Trainer(ThesisNetwork(NETWORK, 2), 8), hyperparameters_of(OptimiserConfig(0.05))
    state = initialise(trainer, hyperparameters, jax.random.key(0), (16, 16, 1))
    rest, kernels = delayed.split(state.parameters, trainer.network.hidden_layers)
    delayed_so_far = delayed.Delayed(rest, kernels, delayed.no_factors(kernels, 6 * 8))
    at_once, later = jax.jit(train_step, static_argnums=0), jax.jit(train_delayed_step, static_argnums=0)
    for number, batch in enumerate(batches(6)):
        key = jax.random.key(number)
        state, expected = at_once(trainer, hyperparameters, state, key, batch)
        delayed_so_far, found = later(trainer, hyperparameters, delayed_so_far, jnp.int32(number), key, batch)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
        assert found.correct == expected.correct
    parameters = delayed.join(delayed_so_far.rest, delayed.apply(kernels, delayed_so_far.factors))
    assert jax.tree.structure(parameters) == jax.tree.structure(dict(state.parameters))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), parameters, dict(state.parameters))
    changed = {name: float(jnp.abs(kernels[name] - state.parameters[name]["kernel"]).max()) for name in kernels}
    assert min(changed.values()) > 1e-4  # what is compared is more than the starting weights


def test_splitting_and_joining_loses_nothing():
    parameters = {"a": {"kernel": jnp.ones((2, 3)), "bias": jnp.zeros(3)}, "b": {"kernel": jnp.ones((3, 1))}}
    rest, kernels = delayed.split(parameters, ["a"])
    assert set(rest["a"]) == {"bias"}
    assert set(kernels) == {"a"}
    assert jax.tree.all(jax.tree.map(jnp.array_equal, delayed.join(rest, kernels), parameters))


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_factors_are_the_sum_of_the_products_taken(steps):
    rng = np.random.default_rng(1)
    kernels = {"a": jnp.asarray(rng.standard_normal((5, 4)), jnp.float32)}
    factors, expected = delayed.no_factors(kernels, 3 * 2), np.asarray(kernels["a"], np.float64)
    for step in range(steps):
        x, g = (rng.standard_normal((2, n)).astype(np.float32) for n in (5, 4))
        factors = delayed.with_step(factors, jnp.int32(step), {"a": jnp.asarray(x)}, {"a": jnp.asarray(g)})
        expected = expected + x.T.astype(np.float64) @ g
    np.testing.assert_allclose(delayed.apply(kernels, factors)["a"], expected, atol=1e-5)
