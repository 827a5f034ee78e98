import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax.networks.lowering import LOWERINGS, winograd

REFERENCE = LOWERINGS["xla"]
OURS = LOWERINGS["direct"], LOWERINGS["patches"]
ours = pytest.mark.parametrize("ours", OURS, ids=["direct", "patches"])


def assert_close(found, expected):
    """To float32 rounding, against the largest value: sums of hundreds of terms are compared."""
    scale = float(jnp.abs(expected).max()) + 1e-6
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def assert_same_values_and_gradients(layer, *arguments, padding=()):
    """Of the layer in every lowering as in the reference: values, and the gradients of a random projection to every argument."""

    def compute(function, *arguments):
        return function(*arguments, *padding)

    def projected(function, *arguments):
        values = compute(function, *arguments)
        return (values * jax.random.normal(jax.random.key(9), values.shape)).sum(), values

    reference, everything = getattr(REFERENCE, layer), tuple(range(1, 1 + len(arguments)))
    with jax.default_matmul_precision("float32"):
        gradients = jax.jit(jax.grad(projected, everything, has_aux=True), static_argnums=0)
        wanted, expected = gradients(reference, *arguments)
        for function in {getattr(lowering, layer) for lowering in OURS} - {reference}:
            assert_close(jax.jit(compute, static_argnums=0)(function, *arguments), expected)
            jax.tree.map(assert_close, gradients(function, *arguments), (wanted, expected))


def normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("image", "kernel"),
    [
        ((8, 64, 64, 1), (3, 3, 1, 32)),
        ((8, 32, 32, 32), (3, 3, 32, 64)),
        ((8, 16, 16, 64), (2, 2, 64, 128)),
        ((2, 75, 75, 32), (3, 3, 32, 64)),
        ((1, 5, 3, 16), (3, 3, 16, 17)),
        ((1, 7, 5, 3), (3, 3, 3, 2)),
        ((1, 7, 5, 1), (3, 3, 1, 2)),
        ((3, 9, 4, 2), (2, 2, 2, 5)),
        ((2, 6, 6, 1), (4, 4, 1, 1)),
        ((2, 3, 3, 4), (1, 1, 4, 3)),
    ],
)
def test_convolution(image, kernel, padding):
    assert_same_values_and_gradients("convolution", normal(0, *image), normal(1, *kernel), padding=(padding,))


@pytest.mark.parametrize("shape", [(8, 64, 64, 32), (2, 5, 7, 3), (1, 2, 2, 1), (3, 31, 6, 2)])
def test_max_pool(shape):
    assert_same_values_and_gradients("max_pool", normal(0, *shape))


@ours
def test_the_first_of_equal_pixels_has_the_gradient_of_the_pooling(ours):
    image = jnp.asarray([[0.0, 0, 2, 1], [0, 0, 2, 2]])[None, :, :, None]
    gradient = jax.grad(lambda x: ours.max_pool(x).sum())(image)
    np.testing.assert_array_equal(gradient, jax.grad(lambda x: REFERENCE.max_pool(x).sum())(image))
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[1, 0, 1, 0], [0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("batch", "inputs", "outputs"), [(8, 8192, 64), (8, 1024, 1024), (1, 70, 3), (5, 64, 1), (64, 128, 2)]
)
def test_dense(batch, inputs, outputs):
    assert_same_values_and_gradients("dense", normal(0, batch, inputs), normal(1, inputs, outputs))


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


@pytest.mark.parametrize("taps", [2, 3])
def test_minimal_filtering_is_exact_on_whole_numbers(taps):
    to_outputs, to_filter, to_inputs = (matrix.astype(np.float64) for matrix in winograd.matrices(taps))
    rng = np.random.default_rng(0)
    data, filter_ = rng.integers(-5, 6, winograd.OUTPUTS + taps - 1), rng.integers(-5, 6, taps)
    found = to_outputs @ ((to_filter @ filter_) * (to_inputs @ data))
    np.testing.assert_allclose(found, np.correlate(data, filter_, "valid"), atol=1e-5)


def test_minimal_filtering_rounds_no_more_than_a_few_times_the_plain_sum():
    image, kernel = normal(0, 4, 32, 32, 32), normal(1, 3, 3, 32, 64)
    found = LOWERINGS["direct"].convolution(image, kernel, "same")
    with jax.enable_x64(True):
        wide = (jnp.asarray(np.asarray(array, np.float64)) for array in (image, kernel))
        exact = np.asarray(REFERENCE.convolution(*wide, "same"))
    assert np.abs(found - exact).max() / np.abs(exact).max() < 3e-6


def test_bfloat16_operands_are_summed_in_float32():
    image, kernel = (
        normal(n, *shape).astype(jnp.bfloat16) for n, shape in enumerate([(2, 16, 16, 32), (3, 3, 32, 64)])
    )
    expected = REFERENCE.convolution(image.astype(jnp.float32), kernel.astype(jnp.float32), "same")
    found = LOWERINGS["direct"].convolution(image, kernel, "same")
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(found.astype(jnp.float32), expected, atol=2**-8 * float(jnp.abs(expected).max()))
