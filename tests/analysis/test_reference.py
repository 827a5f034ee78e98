import dataclasses

import numpy as np
import pytest

from galjax.analysis.reference import Reference, fit_svm, reference_size, reference_table, svm_accuracies
from galjax.draw import Draw
from galjax.sample import GalaxySample

SIZES = [(8, 8), (2, 2)]
DRAWN = Draw(np.arange(40).reshape(2, 20), np.array([[40], [41]]), np.array([[*range(42, 52)], [*range(52, 62)]]))


@pytest.fixture(scope="module")
def pool():
    """Rings and discs of the same light in noise, which 8x8 px tell apart and 2x2 px do not."""
    rng = np.random.default_rng(0)
    labels = (np.arange(64) % 2).astype(np.int32)
    radius = np.hypot(*(np.indices((16, 16)) - 7.5))
    shapes = np.stack(
        [(radius < 3) / (radius < 3).sum(), ((radius > 3) & (radius < 6)) / ((radius > 3) & (radius < 6)).sum()]
    )
    images = 50 + rng.standard_normal((64, 16, 16)) + 300 * shapes[labels]
    return GalaxySample.from_arrays(images.astype(np.float32), labels, class_names=("disc", "ring"))


@pytest.fixture(scope="module")
def accuracies(pool):
    return svm_accuracies(pool, DRAWN, SIZES)


def test_sizes_are_those_of_shrunk_images_up_to_a_limit():
    assert [reference_size((64, 64), factor) for factor in (1, 2, 3, 8)] == [(32, 32), (32, 32), (21, 21), (8, 8)]
    assert reference_size((150, 75), 2) == (32, 16)
    assert reference_size((400, 8), 8) == (32, 1)


def test_what_the_pixels_show_is_found_and_no_more(accuracies):
    assert accuracies.shape == (2, 2)
    assert (accuracies[0] == 1).all()
    assert accuracies[1].mean() < 0.8


def test_galaxies_that_are_not_trained_on_have_no_say(pool, accuracies):
    images = pool.images.copy()
    images[[40, 41, 62, 63]] = 1e20  # validation, and not drawn
    images[42] = 1e20  # a test galaxy
    changed = svm_accuracies(dataclasses.replace(pool, images=images), DRAWN, SIZES[:1])
    assert changed[0, 0] in (accuracies[0, 0], accuracies[0, 0] - 0.1)
    assert changed[0, 1] == accuracies[0, 1]


def test_the_unit_of_the_pixels_does_not_matter(pool, accuracies):
    other = dataclasses.replace(pool, images=np.float32(0.25) * pool.images + np.float32(7))
    np.testing.assert_array_equal(svm_accuracies(other, DRAWN, SIZES), accuracies)


def test_bands_are_taken_together_and_a_sky_without_noise_is_none_to_divide_by(pool):
    images = np.stack([np.zeros_like(pool.images), np.round((pool.images - 50) / 8)], axis=-1)
    coloured = dataclasses.replace(pool, images=images, bands=("g", "r"))
    told = []
    found = svm_accuracies(coloured, DRAWN, SIZES[:1], tell=told.append)
    assert (found == 1).all()
    assert told == [1, 2]


def test_one_galaxy_of_a_class_is_too_few_to_choose_by():
    features, labels = np.array([[0.0, 0.1], [1.0, 0.9]]), np.array([0, 1])
    assert fit_svm(features, labels).predict(features + 0.1).tolist() == [0, 1]


def test_the_table_compares_with_the_networks_repeat_by_repeat():
    rng = np.random.default_rng(0)
    luck, small = 0.1 * rng.standard_normal(6), lambda: 0.001 * rng.standard_normal(6)
    references = {1: Reference((32, 32), 0.95 + luck + small()), 8: Reference((8, 8), 0.94 + luck + small())}
    table = reference_table(references, {1: 0.95 + luck + small(), 8: 0.84 + luck + small()}, 0.0)
    assert table["factor"].tolist() == [1, 8]
    assert table["height"].tolist() == [32, 8]
    np.testing.assert_allclose(table["above_network"], [0, 0.1], atol=0.003)
    assert table["p_corrected"][1] < 0.001
