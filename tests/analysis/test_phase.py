import numpy as np
import pytest

from galjax.analysis import phase
from galjax.analysis.tables import rows_with
from galjax.sources.simulated.survey import SimulatedSurvey, simulate

FACTORS = (2, 3, 4, 5, 6, 7, 8)


def test_the_thesis_saw_the_centre_at_a_seventh_and_right_below_it_at_a_sixth():
    table = phase.shrunk_table(64, FACTORS)
    at_32 = rows_with(table, cutout="at index 32")
    floor, rounded = (rows_with(at_32, size_rule=rule) for rule in phase.SIZE_RULES)
    assert floor["size"].tolist() == [32, 21, 16, 12, 10, 9, 8]
    assert floor["brightest"].tolist() == [0.5, 0, 0.5, 0.5, 0.5, 0, 0.5]
    assert rounded["size"].tolist() == [32, 21, 16, 13, 11, 9, 8]
    assert rounded["brightest"].tolist() == [0.5, 0, 0.5, 0, 0, 0, 0.5]
    assert not floor["spread"].any()


def test_real_cutouts_fall_on_both_sides_of_even_grids_only_with_cutout2d():
    table = rows_with(phase.shrunk_table(64, (6,)), size_rule="floor")
    assert rows_with(table, cutout="cut by int(position)")["brightest"][0] == pytest.approx(0.5)
    centred = rows_with(table, cutout="cut by astropy Cutout2D")
    assert centred["brightest"][0] == pytest.approx(0.0, abs=0.02)
    assert centred["spread"][0] == pytest.approx(0.5, abs=0.01)


def test_how_far_the_centre_moves_after_enlarging():
    table = rows_with(phase.enlarged_table(64, FACTORS, ("nearest", "bilinear", "bicubic")), cutout="at index 32")
    table = rows_with(table, size_rule="floor")
    found = {method: rows_with(table, method=method) for method in ("nearest", "bilinear", "bicubic")}
    np.testing.assert_allclose(found["bilinear"]["centroid"], [0, 0, 0.01, 0.07, 0.15, -0.19, 0.30], atol=0.01)
    np.testing.assert_allclose(found["nearest"]["centroid"], [0, 0.49, 0.01, 0.56, 0.64, 0.31, 0.30], atol=0.01)
    np.testing.assert_array_equal(found["bilinear"]["brightest"] + 32, [32, 32, 33, 34, 34, 32, 35])
    np.testing.assert_array_equal(found["bicubic"]["brightest"] + 32, [32, 32, 33, 33, 33, 32, 34])


def test_a_source_in_the_middle_of_the_grid_stays_there():
    table = rows_with(phase.enlarged_table(64, FACTORS, ("bilinear", "bicubic")), cutout="at index 31.5")
    np.testing.assert_allclose(table["centroid"], 0, atol=1e-6)
    np.testing.assert_allclose(rows_with(table, size_rule="floor")["brightest"], 0, atol=1e-6)


@pytest.fixture(scope="module")
def survey():
    return simulate(SimulatedSurvey(galaxies=50, class_fractions=(0.5, 0.5, 0.0)), seed=2)


def test_centres_are_measured_to_a_fraction_of_a_pixel(survey):
    found = phase.measure_centres(survey.images)
    true = np.stack([survey.columns["centre_y"], survey.columns["centre_x"]], axis=1)
    distance = np.linalg.norm(found - true, axis=1)
    assert np.median(distance) < 0.1
    assert (distance < 1).mean() > 0.9  # a bright star nearby may draw a few away


def test_recentred_galaxies_lie_in_the_middle_of_the_grid(survey):
    found = phase.recentre(survey.images)
    assert found.images.shape == survey.images.shape
    assert found.images.dtype == np.float32
    assert found.moved.mean() > 0.9
    after = phase.measure_centres(found.images)[found.moved] - 31.5
    assert np.abs(np.median(after, axis=0)).max() < 0.02
    assert np.median(np.linalg.norm(after, axis=1)) < 0.05
    np.testing.assert_array_equal(found.images[~found.moved], survey.images[~found.moved])


def test_galaxies_can_be_centred_on_a_coarse_pixel(survey):
    offset = phase.offset_of_pixel(64, 10)
    assert offset == pytest.approx(3.2)
    assert phase.offset_of_pixel(64, 9) == 0
    found = phase.recentre(survey.images, offset)
    after = phase.measure_centres(found.images)[found.moved] - 31.5
    np.testing.assert_allclose(np.median(after, axis=0), 3.2, atol=0.05)
    # 31.5 + 3.2 is the middle of the sixth of ten pixels: 5.5 x 6.4 - 0.5
    assert pytest.approx(31.5 + offset) == 5.5 * 6.4 - 0.5


def test_a_source_far_from_the_middle_is_not_taken_for_the_galaxy():
    y, x = np.mgrid[:64, :64]
    image = np.exp(-0.5 * ((y - 44.0) ** 2 + (x - 31.5) ** 2) / 6.0**2).astype(np.float32)[None]
    found = phase.recentre(image)
    assert not found.moved[0]
    np.testing.assert_array_equal(found.images, image)


def test_blank_images_and_bands():
    assert phase.measure_centres(np.zeros((1, 16, 16)))[0].tolist() == [7.5, 7.5]
    y, x = np.mgrid[:32, :32]
    image = np.exp(-0.5 * ((y - 16.2) ** 2 + (x - 14.9) ** 2) / 2.0**2).astype(np.float32)
    found = phase.recentre(np.stack([image, 2 * image], axis=-1)[None])
    np.testing.assert_allclose(phase.measure_centres(found.images[..., 1])[0], [15.5, 15.5], atol=0.02)


def test_the_deficit_of_even_sizes():
    accuracies = {size: np.array([0.8, 0.9]) - (0.1 if size % 2 == 0 else 0) - 0.02 * size for size in range(8, 13)}
    np.testing.assert_allclose(phase.even_size_deficit(accuracies), [0.1, 0.1])
    with pytest.raises(ValueError, match="both neighbours"):
        phase.even_size_deficit({8: np.zeros(2), 9: np.zeros(2)})
