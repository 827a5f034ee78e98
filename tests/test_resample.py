import itertools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from galjax.errors import InputError
from galjax.resample import degrade, degrade_matrices, resize, resize_matrices

CV2 = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
    "area": cv2.INTER_AREA,
}
METHODS = tuple(CV2)
OF_JAX = ("nearest", "bilinear", "bicubic", "area")
sides = st.integers(1, 90)


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def cv2_resize(image, size, method):
    return cv2.resize(image, (size[1], size[0]), interpolation=CV2[method])


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, derandomize=True, max_examples=150)
@given(shape=st.tuples(sides, sides), size=st.tuples(sides, sides), seed=st.integers(0, 1000))
def test_matrices_equal_opencv_for_any_sizes(method, shape, size, seed):
    image = random_images(*shape, seed=seed)
    rows, columns = resize_matrices(shape, size, method)
    tolerance = 0 if method == "nearest" else 1e-5  # OpenCV rounds coordinates to float32, so its error grows with size
    np.testing.assert_allclose(
        (rows @ image @ columns.T).astype(np.float32), cv2_resize(image, size, method), atol=tolerance, rtol=0
    )


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(64, 64), (64, 51), (33, 64)])
def test_resize_on_the_device_equals_opencv(method, shape):
    images = random_images(3, 2, *shape)
    for size in [(8, 8), (10, 9), (64, 64), (21, 40), (128, 128)]:
        found = resize(jnp.asarray(images), size, method)
        expected = np.stack([[cv2_resize(image, size, method) for image in row] for row in images])
        np.testing.assert_allclose(found, expected, atol=5e-6 if method == "lanczos" else 5e-7, rtol=0)  # of float32


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("factor", range(1, 9))
def test_degrade_equals_the_two_opencv_calls(factor, method):
    images = random_images(4, 64, 64)
    small = (64 // factor, 64 // factor)
    expected = [cv2_resize(cv2_resize(image, small, "area"), (64, 64), method) for image in images]
    np.testing.assert_allclose(degrade(jnp.asarray(images), factor, method), np.stack(expected), atol=4e-7, rtol=0)


@pytest.mark.parametrize(
    ("convention", "method"),
    [*itertools.product(["opencv"], [*METHODS, "wiener"]), *itertools.product(["jax"], OF_JAX)],
)
@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 8), (64, 64)),  # rows and columns grow by whole numbers
        ((8, 7), (24, 16)),  # rows alone
        ((7, 8), (16, 24)),  # columns alone
        ((2, 3), (98, 9)),  # where 1 / (new / old) is not old / new in floating point
        ((48, 30), (16, 15)),  # shrinking by whole numbers
        ((48, 30), (16, 60)),
        ((16, 30), (48, 15)),
        ((30, 1), (1, 5)),
    ],
)
def test_sums_over_rows_equal_the_matrices(shape, size, method, convention):
    images = random_images(2, 3, *shape)
    rows, columns = resize_matrices(shape, size, method, convention)
    np.testing.assert_allclose(resize(images, size, method, convention), rows @ images @ columns.T, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("factor", [2, 5])
def test_degrade_equals_its_matrices(factor, method):
    images = random_images(2, 30, 20)
    rows, columns = degrade_matrices((30, 20), factor, method)
    np.testing.assert_allclose(degrade(images, factor, method), rows @ images @ columns.T, atol=1e-6, rtol=0)


@pytest.mark.parametrize("method", ["lanczos", "wiener"])
def test_the_jax_convention_lacks_two_methods(method):
    with pytest.raises(InputError, match=f"no method {method}"):
        resize(random_images(8, 8), (16, 16), method, convention="jax")


def test_wiener_is_the_best_linear_estimate_of_what_was_averaged():
    """No other method is nearer to random walks with the covariance that it takes them to have, and no weights near its own."""
    rng, pixels = np.random.default_rng(0), np.arange(48)
    covariance = np.exp(-np.abs(pixels[:, None] - pixels) / 12)
    walks = rng.multivariate_normal(np.zeros(48), covariance, 4000).T
    (area, _), (wiener, _) = resize_matrices((48, 48), (6, 6), "area"), resize_matrices((6, 6), (48, 48), "wiener")
    seen = area @ walks + rng.normal(scale=1e-3**0.5, size=(6, 4000))

    def error(matrix):
        return np.square(matrix @ seen - walks).mean()

    others = [resize_matrices((6, 6), (48, 48), name)[0] for name in ("nearest", "bilinear", "bicubic", "lanczos")]
    others += [wiener + rng.normal(scale=0.05, size=wiener.shape) for _ in range(5)]
    assert error(wiener) < min(map(error, others))
    np.testing.assert_allclose(area @ wiener, np.eye(6), atol=0.02)
    np.testing.assert_allclose(wiener.sum(axis=1), 1)
    np.testing.assert_array_equal(resize_matrices((48, 48), (6, 6), "wiener")[0], area)


def test_factor_one_changes_nothing():
    images = random_images(2, 5, 6)
    np.testing.assert_array_equal(degrade(images, 1, "bicubic"), images)


@pytest.mark.parametrize("method", OF_JAX)
def test_the_jax_convention_is_jax_image_resize(method):
    images = jnp.asarray(random_images(3, 20, 31))
    name = {"nearest": "nearest", "bilinear": "linear", "bicubic": "cubic", "area": "linear"}[method]
    for size in [(9, 12), (40, 64)]:
        expected = jax.image.resize(images, (3, *size), name)
        np.testing.assert_allclose(resize(images, size, method, convention="jax"), expected, atol=1e-6)


TIES = ((50, 55), (50, 31), (10, 25), (14, 49), (6, 97))
"""Sizes where a new pixel's centre falls on the edge between two old ones, or so near that rounding decides."""


@pytest.mark.parametrize(
    "size", [*TIES, *((64, 64 // factor) for factor in range(2, 9)), *itertools.product((7, 20, 61), (9, 31, 64))]
)
def test_the_jax_convention_picks_the_pixel_that_jax_image_resize_picks(size):
    old, new = size
    images = jnp.arange(old * old, dtype=jnp.float32).reshape(old, old)
    expected = jax.image.resize(images, (new, new), "nearest")
    np.testing.assert_array_equal(resize(images, (new, new), "nearest", convention="jax"), expected)
    compiled = jax.jit(lambda images: resize(images, (new, new), "nearest", convention="jax"))
    np.testing.assert_array_equal(compiled(images), expected)


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">i2", ">u2", "<u1", ">i8", "<f2"])
@pytest.mark.parametrize("method", METHODS)
def test_pixels_of_any_type_and_byte_order_are_taken(method, dtype):
    images = (1000 * random_images(2, 20, 31)).astype(dtype)
    for size in [(9, 12), (40, 62)]:
        expected = [cv2_resize(image.astype(np.float32), size, method) for image in images]
        np.testing.assert_allclose(
            resize(images, size, method), np.stack(expected), rtol=2e-6, atol=4e-3 if method == "lanczos" else 2e-4
        )
    plain = images.astype(np.float32)
    np.testing.assert_array_equal(degrade(images, 3, "bicubic"), degrade(plain, 3, "bicubic"))
    np.testing.assert_array_equal(degrade(images, 1, "bicubic"), plain)
    np.testing.assert_array_equal(
        resize(images[:, ::-1, ::-1], (9, 12), method), resize(plain[:, ::-1, ::-1], (9, 12), method)
    )


def test_pixels_as_astropy_reads_them_are_taken(tmp_path):
    image = random_images(20, 31)
    fits.writeto(tmp_path / "image.fits", image)
    read = fits.getdata(tmp_path / "image.fits")
    assert read.dtype.byteorder == ">"
    np.testing.assert_array_equal(resize(read, (9, 12), "area"), resize(image, (9, 12), "area"))


def largest_difference(ours, theirs):
    """Over all images with pixels in [0, 1]: half the sum of the absolute differences of two pixels' weights."""
    worst = 0.0
    for i in range(len(ours[0]) // 2 + 1):  # the other half mirrors this one
        weights = ours[0][i][:, None] * ours[1][:, None, :] - theirs[0][i][:, None] * theirs[1][:, None, :]
        worst = max(worst, 0.5 * np.abs(weights).sum(axis=(1, 2)).max())
    return worst


def test_the_conventions_differ_by_what_the_docstring_says():
    sizes = [64 // factor for factor in range(2, 9)]

    def enlarging(n, method, convention):
        return resize_matrices((n, n), (64, 64), method, convention)

    worst = {
        method: {n: largest_difference(enlarging(n, method, "opencv"), enlarging(n, method, "jax")) for n in sizes}
        for method in ("nearest", "bilinear", "bicubic")
    }
    assert max(worst["bilinear"].values()) < 1e-6
    assert {n for n, value in worst["nearest"].items() if value == 0} == {32, 16, 8}
    assert max(worst["nearest"].values()) == 1
    assert max(worst["bicubic"].values()) == pytest.approx(0.17, abs=0.006)
    other = {
        n: int((enlarging(n, "nearest", "opencv")[0] != enlarging(n, "nearest", "jax")[0]).any(axis=1).sum())
        for n in (21, 12, 10, 9)
    }
    assert other == {21: 10, 12: 4, 10: 4, 9: 4}
    area = [
        largest_difference(*(resize_matrices((64, 64), (n, n), "area", c) for c in ("opencv", "jax"))) for n in sizes
    ]
    assert max(area) == pytest.approx(0.44, abs=0.005)
    whole = [
        largest_difference(*(degrade_matrices((64, 64), k, "bilinear", c) for c in ("opencv", "jax")))
        for k in range(2, 9)
    ]
    assert max(whole) == pytest.approx(0.40, abs=0.005)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, derandomize=True, max_examples=50)
@given(shape=st.tuples(sides, sides), size=st.tuples(sides, sides))
def test_rows_sum_to_one_so_constants_stay_constant(method, shape, size):
    for matrix in resize_matrices(shape, size, method):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-12)


@pytest.mark.parametrize("method", OF_JAX)
def test_rows_sum_to_one_in_the_jax_convention(method):
    for matrix in resize_matrices((64, 21), (9, 64), method, "jax"):
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-6)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(old=sides, new=sides, method=st.sampled_from(["bilinear", "bicubic", "area"]))
def test_mirroring_commutes_except_with_nearest(old, new, method):
    if method == "area" and new > old:
        return  # OpenCV's fallback for enlarging is not symmetric either.
    matrix, _ = resize_matrices((old, old), (new, new), method)
    np.testing.assert_allclose(matrix[::-1, ::-1], matrix, atol=1e-9)


def test_nearest_is_not_mirror_symmetric():
    matrix, _ = degrade_matrices((64, 64), 7, "nearest")
    assert np.abs(matrix[::-1, ::-1] - matrix).max() > 0.1


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_area_by_a_divisor_is_the_block_mean(factor):
    image = random_images(64, 64)
    blocks = image.reshape(64 // factor, factor, 64 // factor, factor).mean(axis=(1, 3))
    small = (64 // factor, 64 // factor)
    np.testing.assert_allclose(resize(jnp.asarray(image), small, "area"), blocks, atol=3e-7)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: resize_matrices((8, 8), (4, 4), "spline"), "no resampling method 'spline'.*nearest, bilinear"),
        (lambda: resize_matrices((8, 8), (0, 4), "area"), "every side must be at least 1"),
        (lambda: degrade_matrices((8, 8), 9, "nearest"), "8x8 px can be shrunk by factors 1 to 8, not by 9"),
        (lambda: degrade_matrices((8, 8), 0, "nearest"), "factors 1 to 8, not by 0"),
        (lambda: resize(np.ma.masked_less(random_images(8, 8), 0.5), (4, 4), "area"), "Some pixels are masked"),
    ],
)
def test_bad_arguments_get_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()
