import dataclasses

import numpy as np
import pytest

from galjax.analysis import instruments
from galjax.analysis.instruments import (
    COARSE,
    NOISE,
    PIXELS,
    SEEING,
    MatchedSamples,
    check_seeing,
    degrade_in_steps,
    match_by_id,
    unknown_fields,
    view_name,
)
from galjax.errors import InputError
from galjax.sources.simulated.survey import HSC_WIDE, SimulatedSurvey, simulate

GALAXIES = {"galaxies": 60, "class_fractions": (0.5, 0.5, 0.0)}


@pytest.fixture(scope="module")
def both():
    coarse = simulate(SimulatedSurvey(**GALAXIES), seed=1)
    return match_by_id(coarse, simulate(dataclasses.replace(HSC_WIDE, **GALAXIES), seed=1))


def test_matching_keeps_common_galaxies_in_the_order_of_the_coarse_ones(both):
    coarse, sharp = both
    shuffled = sharp.take(np.random.default_rng(0).permutation(60)[:50])
    matched = match_by_id(coarse.take(np.arange(40)), shuffled)
    np.testing.assert_array_equal(matched.coarse.ids, matched.sharp.ids)
    assert (np.diff(matched.coarse.ids) > 0).all()
    for galaxy, image in zip(matched.sharp.ids, matched.sharp.images, strict=True):
        np.testing.assert_array_equal(image, sharp.images[galaxy - 1])
    missing = {row.reason for row in matched.coarse.excluded}
    assert missing == {"not among the sharp images", "not among the coarse images"}
    assert len(matched.coarse) + len(matched.coarse.excluded) == len(np.union1d(np.arange(1, 41), shuffled.ids))


def test_labels_are_those_of_the_coarse_catalogue(both):
    other = dataclasses.replace(both.sharp, labels=1 - both.sharp.labels, class_names=("a", "b", "c"))
    matched = match_by_id(both.coarse, other)
    np.testing.assert_array_equal(matched.sharp.labels, both.coarse.labels)
    assert matched.sharp.class_names == both.coarse.class_names


def test_sets_that_do_not_fit_get_a_sentence(both):
    coarse, sharp = both
    with pytest.raises(
        InputError, match="No galaxy is in both sets: ids of the first are like 1, of the second like 1001"
    ):
        match_by_id(coarse, dataclasses.replace(sharp, ids=sharp.ids + 1000))
    with pytest.raises(InputError, match=r"different fields: 25.3 and 75.0 arcsec"):
        match_by_id(coarse, dataclasses.replace(sharp, pixel_scale=0.5))
    with pytest.raises(InputError, match=r"Swap --data and --sharp.data"):
        match_by_id(sharp, coarse)
    colour = dataclasses.replace(sharp, images=np.stack([sharp.images] * 2, -1), bands=("g", "r"))
    with pytest.raises(InputError, match="different bands"):
        match_by_id(coarse, colour)


def test_each_step_brings_the_sharp_images_nearer_to_the_coarse_ones(both):
    steps = degrade_in_steps(both, (1.32, 0.6), seed=0)
    views = [steps.views[name] for name in steps.path]
    assert len(steps.views) == 9
    assert {view.shape for view in steps.views.values()} == {both.sharp.images.shape}
    np.testing.assert_array_equal(views[0], both.sharp.images)
    # Every step but the first is made of blocks of 64 x 64 pixels, enlarged with nearest.
    assert len(np.unique(views[1][0])) <= 64 * 64
    # Sharpest part of the profile: the brightest pixel over all light falls with the seeing, and not further with noise.
    sharp, pixels, seeing, _, coarse = (np.median(_peak(view)) for view in views)
    assert sharp > pixels > 1.1 * seeing
    assert seeing == pytest.approx(coarse, rel=0.15)  # noise makes the brightest pixel brighter
    assert steps.noise_added > 0


@pytest.mark.parametrize("others", [(), (PIXELS,), (SEEING,), (PIXELS, SEEING)])
def test_with_noise_every_view_is_as_noisy_per_area_as_the_coarse_images(both, others):
    views = degrade_in_steps(both, (1.32, 0.6), seed=0).views
    before, after = views[view_name(others)], views[view_name((*others, NOISE))]
    pixels_ratio = 1 if PIXELS in others else 150 / 64
    scale = instruments.brightness_ratio(after, views[COARSE])
    wanted = pixels_ratio * scale * instruments.sky_noise(both.coarse.images)
    assert instruments.sky_noise(after) == pytest.approx(wanted, rel=0.15)
    assert instruments.sky_noise(before) < 0.3 * wanted


def test_seeing_cannot_be_matched_where_the_pixel_scale_is_unknown(both):
    coarse, sharp = both
    note = {"note": "The images were shrunk by different factors."}
    unknown = dataclasses.replace(sharp, pixel_scale=float("nan"), provenance=note)
    check_seeing(both, (1.3, 0.6))
    check_seeing(MatchedSamples(coarse, unknown), None)
    for refuse in (check_seeing, degrade_in_steps):
        with pytest.raises(InputError, match=r"Give --sharp\.pixel-scale, or leave out .* shrunk by different factors"):
            refuse(MatchedSamples(coarse, unknown), (1.3, 0.6))


def test_it_is_said_where_fields_cannot_be_compared(both):
    coarse = both.coarse
    unknown = [dataclasses.replace(sample, pixel_scale=float("nan")) for sample in both]
    assert unknown_fields(both) == ""
    assert unknown_fields(MatchedSamples(coarse, unknown[1])).startswith(
        "The pixel scale of the sharp images is not known"
    )
    assert unknown_fields(MatchedSamples(*unknown)).startswith("The pixel scale of the coarse and sharp images is not")


def test_without_seeing_that_step_is_left_out(both):
    steps = degrade_in_steps(both, None)
    assert steps.names == (PIXELS, NOISE)
    assert steps.path == ("sharp", "sharp + pixel size", "sharp + pixel size + noise", "coarse")
    assert set(steps.views) == {*steps.path, "sharp + noise"}


def test_noisier_sharp_images_get_no_noise(both):
    noisy = both.sharp.images + 1e4 * np.random.default_rng(0).standard_normal(
        both.sharp.images.shape, dtype=np.float32
    )
    matched = both._replace(sharp=dataclasses.replace(both.sharp, images=noisy))
    assert degrade_in_steps(matched, None).noise_added == 0


def test_noise_and_brightness_are_measured_through_stars_and_sky():
    rng = np.random.default_rng(0)
    images = (100 + 3 * rng.standard_normal((20, 40, 40))).astype(np.float32)
    images[:4, 2, 2:20] += 500  # stars in some frames
    assert instruments.sky_noise(images) == pytest.approx(3, rel=0.05)
    images[:, 15:25, 15:25] += 50
    assert instruments.brightness_ratio(4 * images, images) == pytest.approx(4, rel=0.01)
    colour = np.stack([images, images], axis=-1)
    assert instruments.sky_noise(colour) == pytest.approx(3, rel=0.05)


def _peak(images):
    sky = np.median(images, axis=(1, 2), keepdims=True)
    return (images - sky).max(axis=(1, 2)) / (images - sky).sum(axis=(1, 2))
