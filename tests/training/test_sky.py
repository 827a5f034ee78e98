"""The sky of training images, and the scaling that measures pixels in it."""

import dataclasses

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from astropy.stats import mad_std

import galjax
from galjax import GalaxySample, InputError
from galjax.networks.scaling import Sky, scale_images
from galjax.resample import degrade
from galjax.sources import read_folder
from galjax.sources.options import FolderOptions
from galjax.training.conditions import Condition, device_conditions
from galjax.training.repeats import Task, repeat_keys, with_sky
from galjax.training.sky import chosen_scaling, in_words, measure_sky, sky_of_views
from galjax.training.step import DeviceSample, see
from tests.training.test_repeats import SMALL, TrainingConfig, draw_balanced, make_program, train

IN_SKY = dataclasses.replace(SMALL, input_scaling="sky")
LEVEL, NOISE = np.float32([5, -100]), np.float32([2, 30])


def images_of(count=40, size=24, seed=0):
    """Sky of two bands, a galaxy in the middle of every image, and a star at the border of some."""
    rng = np.random.default_rng(seed)
    images = LEVEL + NOISE * rng.standard_normal((count, size, size, 2), dtype=np.float32)
    images[:, 8:16, 8:16] += 500
    images[::4, :3, 3:9] += 2000
    return images.astype(np.float32)


def test_the_sky_is_what_was_put_into_the_images_whatever_stars_and_galaxies_are_there():
    level, unit = measure_sky(images_of(200))
    np.testing.assert_allclose(level, LEVEL[None], atol=0.05 * NOISE.max())
    np.testing.assert_allclose(unit, NOISE[None], rtol=0.05)


def test_it_is_the_median_over_the_galaxies_that_a_repeat_trains_on_of_median_and_deviation_in_a_frame():
    images = images_of(10)
    chosen = np.array([[0, 3, 5], [9, 2, 4]])
    level, unit = measure_sky(images, chosen)
    inside = np.zeros((24, 24), bool)
    inside[5:-5, 5:-5] = True
    for repeat, rows in enumerate(chosen):
        for band in range(2):
            frames = [images[row, ..., band][~inside] for row in rows]
            assert level[repeat, band] == pytest.approx(np.median([np.median(frame) for frame in frames]))
            assert unit[repeat, band] == pytest.approx(np.median([mad_std(frame) for frame in frames]), rel=1e-4)
    others = images.copy()
    others[[1, 6, 7, 8]] = 1e6  # nobody trains on these
    np.testing.assert_array_equal(measure_sky(others, chosen), (level, unit))


@pytest.mark.parametrize(
    "images", [np.zeros((4, 16, 16, 1)), np.full((4, 16, 16, 1), 3.0), np.eye(16)[None, ..., None]]
)
def test_images_without_noise_are_refused_in_a_sentence_that_says_what_to_choose(images):
    with pytest.raises(
        InputError, match=r"sky's noise, which is 0 in the frames of 5 px.*Choose --input-scaling asinh"
    ):
        measure_sky(images.astype(np.float32))


def test_views_have_the_sky_of_one_or_each_their_own():
    one = images_of()
    views, chosen = jnp.stack([jnp.asarray(one), jnp.asarray(one * 3 + 7)]), jnp.asarray([[0, 1, 2], [5, 6, 7]])
    first, second = measure_sky(one, np.asarray(chosen)), measure_sky(one * 3 + 7, np.asarray(chosen))
    same, own = sky_of_views(views, chosen, 1), sky_of_views(views, chosen, None)
    for number in range(2):
        np.testing.assert_array_equal(Sky(*(value[:, number] for value in same)), second)
        np.testing.assert_array_equal(Sky(*(value[:, number] for value in own)), (first, second)[number])


def test_pixels_are_measured_in_the_same_sky_at_every_resolution():
    images = images_of(6)
    pool = DeviceSample(jnp.asarray(images)[None], jnp.zeros(6, jnp.int32))
    sky = Sky(jnp.asarray(LEVEL), jnp.asarray(NOISE))
    (condition,) = (device_conditions(pool, [Condition(4, "bilinear")], "opencv"),)
    condition = jax.tree.map(lambda leaf: leaf[0], condition)
    seen = see(pool, jnp.arange(6), condition, "sky", Sky(*(value[None] for value in sky)))
    blurred = np.moveaxis(np.asarray(degrade(np.moveaxis(images, -1, 1), 4, "bilinear")), 1, -1)
    np.testing.assert_allclose(seen, np.arcsinh((blurred - LEVEL) / NOISE) / 2, atol=2e-5)
    np.testing.assert_allclose(scale_images(jnp.asarray(blurred), "sky", sky), seen, atol=2e-5)


def test_a_repeat_alone_has_the_sky_that_it_has_among_others():
    together, alone = make_program([0, 1, 2, 3], network=IN_SKY), make_program([3], network=IN_SKY)
    skies = np.asarray(together.task.sky)
    assert skies.shape == (2, 4, 1, 1)
    assert len(np.unique(skies[1])) > 1
    np.testing.assert_array_equal(skies[:, 3:], alone.task.sky)
    together, alone = (train(program, 4).history for program in (together, alone))
    np.testing.assert_allclose(alone.train_loss[0], together.train_loss[3], rtol=1e-4)
    np.testing.assert_array_equal(alone.test_confusion[0], together.test_confusion[3])
    side_by_side = make_program([0, 1, 2, 3], network=IN_SKY, repeats_at_once=4, devices=1, lowering="patches")
    np.testing.assert_allclose(train(side_by_side, 4).history.train_loss, together.train_loss, rtol=1e-3)


def test_units_do_not_matter_where_they_are_the_same_for_all():
    images = np.random.default_rng(0).standard_normal((60, 16, 16, 1), dtype=np.float32)
    keys, config = repeat_keys(0, [0, 1]), TrainingConfig(network=IN_SKY)
    drawn = draw_balanced((np.arange(60) % 2).astype(np.int32), ("a", "b"), 20, keys.draw)
    seen = []
    for pixels in (images, images * 1e-9 + 3e-9):
        task = with_sky(Task(DeviceSample(jnp.asarray(pixels)[None], jnp.zeros(60, jnp.int32)), drawn, keys, 2), config)
        seen.append(scale_images(jnp.asarray(pixels), "sky", Sky(*(value[0, 0] for value in task.sky))))
    np.testing.assert_allclose(*seen, atol=1e-5)


def test_auto_is_asinh_for_8_bit_images_and_sky_for_counts(tmp_path):
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (2, 16, 16), dtype=np.uint8)
    drawn, counts = (GalaxySample.from_arrays(pixels, [0, 1]) for pixels in (pictures, pictures.astype(np.float64)))
    drawn.save(tmp_path / "drawn.fits")
    assert [sample.is_8_bit for sample in (drawn, GalaxySample.load(tmp_path / "drawn.fits"), counts)] == [
        True,
        True,
        False,
    ]
    (tmp_path / "images").mkdir()
    (tmp_path / "catalogue.csv").write_text("id,SPIRAL,ELLIPTICAL\n0,1,0\n1,0,1\n")
    for number, picture in enumerate(pictures):
        cv2.imwrite(str(tmp_path / "images" / f"{number}.png"), picture)
    folder = read_folder(tmp_path, FolderOptions(image_size=16))
    for number, picture in enumerate(pictures):
        (tmp_path / "images" / f"{number}.png").unlink()
        np.save(tmp_path / "images" / f"{number}.npy", picture.astype(np.float32))
    assert [folder.is_8_bit, read_folder(tmp_path, FolderOptions(image_size=16)).is_8_bit] == [True, False]
    assert chosen_scaling("auto", counts) == "sky"
    assert chosen_scaling("auto", counts, folder) == "asinh"
    assert (chosen_scaling("sky", folder), chosen_scaling("minmax", counts)) == ("sky", "minmax")
    with pytest.raises(InputError, match="There is no input scaling 'auto' of images; choose from sky"):
        scale_images(jnp.zeros((1, 8, 8, 1)), "auto")


def test_a_sentence_says_which_scaling_it_is():
    sky = Sky(jnp.asarray([[1.0, 2], [3, 4], [5, 6]]), jnp.asarray([[0.5, 1], [0.25, 1], [0.75, 1]]))
    assert "(sky), with the level" in (said := in_words("sky", sky, ("g", "r")))
    assert said.endswith("g 3, 0.5, r 4, 1.")
    assert in_words("minmax").endswith("(minmax).")


@pytest.fixture(scope="module")
def trained():
    images, labels = images_of(), np.arange(40) % 2
    images[labels == 1, 8:12, 8:12] -= 300
    sample = GalaxySample.from_arrays(images, labels, class_names=["a", "b"], pixel_scale=0.4)
    network = galjax.NetworkConfig(filters=(4, 4, 4), dense_units=(8,))
    return sample, galjax.train(sample, augment="none", repeats=2, epochs=2, network=network)


def test_an_ensemble_keeps_the_sky_it_was_trained_in(trained, tmp_path):
    sample, ensemble = trained
    about = ensemble.about
    assert about.network.input_scaling == "sky"
    train = draw_balanced(sample.labels, sample.class_names, 20, repeat_keys(0, range(2)).draw).train
    np.testing.assert_array_equal(about.sky_array(), measure_sky(sample.images, np.asarray(train)))
    ensemble.save(tmp_path / "net")
    loaded = galjax.load(tmp_path / "net")
    assert loaded.about == about
    np.testing.assert_array_equal(loaded.probabilities(sample), ensemble.probabilities(sample))
    np.testing.assert_array_equal(
        dataclasses.replace(ensemble, about=dataclasses.replace(about, measured=())).accuracy(), ensemble.accuracy()
    )


def test_images_in_other_units_are_measured_in_their_own_sky(trained):
    sample, ensemble = trained
    other = (sample.images * 1000 + 7).astype(np.float32)
    own = ensemble.probabilities(other, sky="own")
    np.testing.assert_allclose(own, ensemble.probabilities(sample, sky="own"), atol=1e-4)
    assert np.abs(own - ensemble.probabilities(other)).max() > 1e-3
    assert (ensemble.predict(other, sky="own")["class"] == ensemble.predict(sample, sky="own")["class"]).all()


def test_an_own_sky_that_cannot_be_had_is_refused(trained):
    sample, ensemble = trained
    with pytest.raises(InputError, match='sky is "training" or "own", not \'mine\''):
        ensemble.predict(sample, sky="mine")
    with pytest.raises(InputError, match="which is 0 in the frames"):
        ensemble.predict(np.zeros_like(sample.images), sky="own")
    network = dataclasses.replace(ensemble.about.network, input_scaling="asinh")
    other = dataclasses.replace(ensemble, about=dataclasses.replace(ensemble.about, network=network, sky=()))
    with pytest.raises(InputError, match='sky="own" has no effect on these networks, whose input scaling is asinh'):
        other.predict(sample, sky="own")
