import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax.lowering import LOWERINGS

OURS, REFERENCE = LOWERINGS["patches"], LOWERINGS["xla"]


def assert_same_values_and_gradients(ours, reference, *arguments):
    """Values, and the gradients of a random projection to every argument."""
    with jax.default_matmul_precision("float32"):
        ours, reference = jax.jit(ours), jax.jit(reference)
        expected = reference(*arguments)
        np.testing.assert_allclose(ours(*arguments), expected, rtol=2e-4, atol=2e-5)
        weights = jax.random.normal(jax.random.key(9), expected.shape)
        everything = tuple(range(len(arguments)))
        found = jax.grad(lambda *a: (ours(*a) * weights).sum(), everything)(*arguments)
        wanted = jax.grad(lambda *a: (reference(*a) * weights).sum(), everything)(*arguments)
    for f, w in zip(found, wanted, strict=True):
        scale = float(jnp.abs(w).max()) + 1e-6
        np.testing.assert_allclose(f / scale, w / scale, atol=2e-5)


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("image", "kernel"),
    [
        ((8, 64, 64, 1), (3, 3, 1, 32)),
        ((8, 32, 32, 32), (3, 3, 32, 64)),
        ((8, 16, 16, 64), (2, 2, 64, 128)),
        ((1, 7, 5, 3), (3, 3, 3, 2)),
        ((3, 9, 4, 2), (2, 2, 2, 5)),
        ((2, 6, 6, 1), (4, 4, 1, 1)),
        ((2, 3, 3, 4), (1, 1, 4, 3)),
    ],
)
def test_convolution(image, kernel, padding):
    assert_same_values_and_gradients(
        lambda x, k: OURS.convolution(x, k, padding),
        lambda x, k: REFERENCE.convolution(x, k, padding),
        normal(0, *image),
        normal(1, *kernel),
    )


@pytest.mark.parametrize("shape", [(8, 64, 64, 32), (2, 5, 7, 3), (1, 2, 2, 1), (3, 31, 6, 2)])
def test_max_pool(shape):
    assert_same_values_and_gradients(OURS.max_pool, REFERENCE.max_pool, normal(0, *shape))


@pytest.mark.parametrize(
    ("batch", "inputs", "outputs"), [(8, 8192, 64), (8, 1024, 1024), (1, 70, 3), (5, 64, 1), (32, 128, 2)]
)
def test_dense(batch, inputs, outputs):
    assert_same_values_and_gradients(OURS.dense, REFERENCE.dense, normal(0, batch, inputs), normal(1, inputs, outputs))


def test_under_vmap_over_repeats_each_gets_its_own():
    images, kernels = normal(0, 3, 2, 8, 8, 2), normal(1, 3, 3, 3, 2, 4)
    together = jax.vmap(lambda x, k: OURS.convolution(x, k, "same"))(images, kernels)
    for repeat in range(3):
        alone = REFERENCE.convolution(images[repeat], kernels[repeat], "same")
        np.testing.assert_allclose(together[repeat], alone, rtol=1e-4, atol=1e-5)


def test_ties_in_pooling_share_the_gradient():
    gradient = jax.grad(lambda x: OURS.max_pool(x).sum())(jnp.ones((1, 2, 2, 1)))
    np.testing.assert_allclose(gradient.ravel(), 0.25)
