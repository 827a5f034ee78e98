import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax.lowering import LOWERINGS

REFERENCE = LOWERINGS["xla"]
ours = pytest.mark.parametrize("ours", [LOWERINGS["direct"], LOWERINGS["patches"]], ids=["direct", "patches"])


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


@ours
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("image", "kernel"),
    [
        ((8, 64, 64, 1), (3, 3, 1, 32)),
        ((8, 32, 32, 32), (3, 3, 32, 64)),
        ((8, 16, 16, 64), (2, 2, 64, 128)),
        ((2, 75, 75, 32), (3, 3, 32, 64)),
        ((1, 7, 5, 3), (3, 3, 3, 2)),
        ((1, 7, 5, 1), (3, 3, 1, 2)),
        ((3, 9, 4, 2), (2, 2, 2, 5)),
        ((2, 6, 6, 1), (4, 4, 1, 1)),
        ((2, 3, 3, 4), (1, 1, 4, 3)),
    ],
)
def test_convolution(ours, image, kernel, padding):
    assert_same_values_and_gradients(
        lambda x, k: ours.convolution(x, k, padding),
        lambda x, k: REFERENCE.convolution(x, k, padding),
        normal(0, *image),
        normal(1, *kernel),
    )


@ours
@pytest.mark.parametrize("shape", [(8, 64, 64, 32), (2, 5, 7, 3), (1, 2, 2, 1), (3, 31, 6, 2)])
def test_max_pool(ours, shape):
    assert_same_values_and_gradients(ours.max_pool, REFERENCE.max_pool, normal(0, *shape))


@ours
def test_the_first_of_equal_pixels_has_the_gradient_of_the_pooling(ours):
    image = jnp.asarray([[0.0, 0, 2, 1], [0, 0, 2, 2]])[None, :, :, None]
    gradient = jax.grad(lambda x: ours.max_pool(x).sum())(image)
    np.testing.assert_array_equal(gradient, jax.grad(lambda x: REFERENCE.max_pool(x).sum())(image))
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0, 1, 0], [0, 0, 0, 0]])


@ours
@pytest.mark.parametrize(
    ("batch", "inputs", "outputs"), [(8, 8192, 64), (8, 1024, 1024), (1, 70, 3), (5, 64, 1), (64, 128, 2)]
)
def test_dense(ours, batch, inputs, outputs):
    assert_same_values_and_gradients(ours.dense, REFERENCE.dense, normal(0, batch, inputs), normal(1, inputs, outputs))


@ours
def test_under_vmap_over_repeats_each_gets_its_own(ours):
    images, kernels = normal(0, 3, 2, 8, 8, 2), normal(1, 3, 3, 3, 2, 4)
    together = jax.vmap(lambda x, k: ours.convolution(x, k, "same"))(images, kernels)
    for repeat in range(3):
        alone = REFERENCE.convolution(images[repeat], kernels[repeat], "same")
        np.testing.assert_allclose(together[repeat], alone, rtol=1e-4, atol=1e-5)


@ours
def test_pixels_that_are_not_numbers_stay_visible(ours):
    image = normal(0, 1, 4, 4, 2).at[0, 1, 1, 0].set(jnp.nan)
    assert jnp.isnan(ours.convolution(image, normal(1, 3, 3, 2, 2), "same")).any()
