"""Training images that change at random: each part against a reference, and the training that they are a part of."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.ndimage

import galjax
from galjax.config.settings import AugmentConfig
from galjax.errors import InputError
from galjax.resample import degrade
from galjax.training.augmentation import Augmentation, augmented, make_augmentation
from galjax.training.step import hyperparameters_of
from tests.training.test_train import LEARNS, SMALL, arrays

SHAPE = (16, 16)
KEYS = jax.random.split(jax.random.key(0), 200)


def images(count=200, shape=SHAPE, bands=1):
    return jnp.asarray(np.random.default_rng(0).normal(size=(count, *shape, bands)), jnp.float32)


def of(recipe, **strengths):
    return make_augmentation(AugmentConfig(recipe, **strengths), SHAPE, "opencv")


def orientations(image):
    found = [np.rot90(image, turns) for turns in range(4)]
    return found + [one[::-1] for one in found]


def which(image, candidates):
    found = [n for n, one in enumerate(candidates) if np.allclose(image, one, atol=1e-5)]
    assert len(found) == 1
    return found[0]


def test_dihedral_gives_the_eight_orientations_equally_often():
    before = images(bands=2)
    after = np.asarray(augmented(before, KEYS, of("dihedral")))
    counts = np.bincount([which(a, orientations(np.asarray(b))) for a, b in zip(after, before, strict=True)])
    assert len(counts) == 8
    assert counts.min() > 10  # of 25 expected; fewer with a probability of 3e-4


def test_of_images_that_are_not_square_four_orientations_keep_the_shape():
    before = images(40, (8, 12))
    augmentation = Augmentation(turned=jnp.float32(1))
    after = np.asarray(augmented(before, KEYS[:40], augmentation))
    found = {which(a, [b, b[::-1], b[:, ::-1], b[::-1, ::-1]]) for a, b in zip(after, np.asarray(before), strict=True)}
    assert found == {0, 1, 2, 3}
    never = Augmentation(turned=jnp.float32(0))
    np.testing.assert_array_equal(augmented(before, KEYS[:40], never), before)


def test_resolution_is_that_of_degraded_images_each_factor_as_often():
    before = images()
    after = np.asarray(augmented(before, KEYS, of("resolution", augment_factor=4)))
    choices = [(1, "nearest"), *((k, m) for k in (2, 3, 4) for m in ("nearest", "bilinear", "bicubic"))]
    seen = [np.asarray(degrade(before[..., 0], factor, method)) for factor, method in choices]
    taken = [which(after[n, :, :, 0], [one[n] for one in seen]) for n in range(len(after))]
    counts = np.bincount(np.array([choices[n][0] for n in taken]))[1:]
    assert counts.min() > 30  # of 50 expected
    assert set(taken) == set(range(len(choices)))


def test_a_shift_moves_a_smooth_image_as_a_spline_does():
    y, x = np.mgrid[:32, :32] - 15.5
    smooth = jnp.asarray(np.exp(-(x**2 + 2 * y**2) / 40), jnp.float32)[None, :, :, None]
    (after,) = np.asarray(augmented(smooth, KEYS[:1], Augmentation(shift=jnp.float32(3))))[..., 0]
    centre = np.array(scipy.ndimage.center_of_mass(after)) - 15.5
    assert 0.2 < np.abs(centre).max() < 3
    expected = scipy.ndimage.shift(np.asarray(smooth[0, :, :, 0]), centre, order=3)
    np.testing.assert_allclose(after[4:-4, 4:-4], expected[4:-4, 4:-4], atol=4e-3)


def test_a_rotation_turns_about_the_middle():
    y, x = np.mgrid[:32, :32] - 15.5
    smooth = np.exp(-(x**2 / 60 + y**2 / 15)).astype(np.float32)
    some = jnp.tile(smooth[None, :, :, None], (20, 1, 1, 1))
    after = np.asarray(augmented(some, KEYS[:20], Augmentation(rotation=jnp.float32(np.pi / 3))))[..., 0]
    angles = []
    for one in after:
        np.testing.assert_allclose(scipy.ndimage.center_of_mass(one), 15.5, atol=0.05)
        yy, xx, xy = ((one * moment).sum() for moment in (y * y, x * x, x * y))
        angles.append(np.rad2deg(np.arctan2(2 * xy, xx - yy) / 2))
        expected = scipy.ndimage.rotate(smooth, -angles[-1], reshape=False, order=1, mode="mirror")
        inside = np.hypot(x, y) < 12  # what is mirrored at the edges moves the angle a little
        np.testing.assert_allclose(one[inside], expected[inside], atol=0.02)
    assert -60 < min(angles) < -20
    assert 20 < max(angles) < 60


def test_seeing_keeps_the_flux_and_widens_a_point():
    point = jnp.zeros((50, 33, 33, 1)).at[:, 16, 16].set(1)
    after = np.asarray(augmented(point, KEYS[:50], Augmentation(seeing=jnp.float32(2))))[..., 0]
    np.testing.assert_allclose(after.sum(axis=(1, 2)), 1, rtol=1e-4)
    variance = (after * (np.arange(33) - 16)[None, :, None] ** 2).sum(axis=(1, 2))
    assert 3 < variance.max() < 4.1
    assert variance.min() < 0.2
    sigma = variance[variance > 1][0] ** 0.5
    one = after[np.flatnonzero(variance > 1)[0]]
    np.testing.assert_allclose(one, scipy.ndimage.gaussian_filter(np.asarray(point[0, :, :, 0]), sigma), atol=2e-3)


def test_noise_is_white_in_the_pixels_of_the_shrunk_image():
    flat = jnp.zeros((200, 16, 16, 2))
    augmentation = of("all", augment_shift=0.0, augment_noise=2.0, augment_factor=4, augment_methods=("nearest",))
    after = np.asarray(augmented(flat, KEYS, augmentation, jnp.asarray([3.0, 30.0])))
    assert np.abs(after).min(axis=(1, 2, 3)).max() > 0
    widths = set()
    for one in after[..., 0]:
        widths.add(int(np.argmax(np.diff(one[0]) != 0)) + 1)  # of the first coarse pixel
    assert widths == {1, 2, 4}  # at 1/3 five coarse pixels in 16, the first of them 4 px wide
    deviation = after.std(axis=(1, 2))
    assert deviation[:, 0].max() < 2 * 3 * 1.5
    np.testing.assert_allclose(deviation[:, 1].mean() / deviation[:, 0].mean(), 10, rtol=0.1)
    assert deviation[:, 0].mean() == pytest.approx(3, rel=0.15)  # uniform from 0 to twice the noise


def test_an_image_depends_on_its_own_key_alone():
    augmentation = of("all", augment_rotation=90.0, augment_seeing=1.0, augment_noise=1.0)
    noise = jnp.ones(1)
    before = images(6)
    together = augmented(before, KEYS[:6], augmentation, noise)
    alone = augmented(before[3:4], KEYS[3:4], augmentation, noise)
    np.testing.assert_allclose(together[3], alone[0], atol=1e-5)
    assert not np.allclose(together[3], augmented(before[3:4], KEYS[4:5], augmentation, noise)[0], atol=0.1)


def test_other_strengths_cost_no_retrace():
    traced = []

    @jax.jit
    def once(some, augmentation):
        traced.append(1)
        return augmented(some, KEYS[:4], augmentation)

    for shift in (1.0, 2.5):
        once(images(4), of("all", augment_shift=shift))
    assert len(traced) == 1
    once(images(4), of("dihedral"))
    assert len(traced) == 2


def test_parts_of_no_strength_are_not_in_the_program():
    assert of("none") is None
    assert of("dihedral").resolution is None
    assert of("resolution").turned is None
    every = of("all", augment_rotation=10.0, augment_seeing=1.0, augment_noise=1.0)
    assert all(part is not None for part in every)
    assert of("all", augment_shift=0.0).shift is None


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"augment": "all", "augment_factor": 0}, "--augment-factor must lie in"),
        ({"augment": "all", "augment_methods": ()}, "--augment-methods takes one or more"),
        ({"augment": "all", "augment_noise": -1.0}, "--augment-noise must lie in 0"),
        ({"augment": "all", "augment_rotation": 200.0}, "--augment-rotation must lie in 0..180"),
        ({"augment": "resolution", "augment_noise": 1.0}, "no effect on --augment resolution"),
        ({"augment_factor": 4}, "no effect on --augment none"),
    ],
)
def test_wrong_settings_get_a_sentence(wrong, sentence):
    with pytest.raises(InputError, match=sentence):
        AugmentConfig(**wrong)


@pytest.fixture(scope="module")
def sample():
    pixels, labels = arrays()
    return galjax.GalaxySample.from_arrays(pixels, labels, class_names=["empty", "square"])


def trained(sample, augment, network=SMALL, **more):
    options = {"repeats": 2, "epochs": 6, "seed": 1, "network": network, "optimiser": LEARNS} | more
    return galjax.train(sample, augment=augment, conditions=[(4, "nearest")], **options)


def parameters(ensemble):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(dict(ensemble.parameters))])


def test_what_changes_is_said_and_kept(sample, tmp_path):
    every = AugmentConfig("all", augment_factor=4, augment_methods=("nearest", "wiener"), augment_noise=0.5)
    assert every.in_words() == (
        "one of the eight orientations; shifted by up to 1 px; shrunk by a factor of 1 to 4 and enlarged with nearest or wiener; with noise of "
        "up to 0.5 times their own added"
    )
    trained(sample, "dihedral", epochs=1).save(tmp_path / "net")
    assert galjax.load(tmp_path / "net").about.augmentation == "one of the eight orientations"


def test_networks_learn_from_images_that_change(sample):
    plain, robust = (trained(sample, recipe, epochs=40) for recipe in ("none", "resolution"))
    assert robust.accuracy().mean() > 0.75
    assert robust.accuracy(4, "nearest").mean() > plain.accuracy(4, "nearest").mean()


@pytest.mark.parametrize("scaling", [pytest.param("asinh", marks=pytest.mark.thorough), "sky"])
def test_every_part_together_trains_under_every_scaling(sample, scaling):
    network = dataclasses.replace(SMALL, input_scaling=scaling)
    every = AugmentConfig("all", augment_rotation=180.0, augment_seeing=1.0, augment_noise=1.0)
    found = [parameters(trained(sample, recipe, network, epochs=2)) for recipe in (every, every, "all", "none")]
    np.testing.assert_array_equal(found[0], found[1])
    for one, other in ((0, 2), (2, 3)):
        assert not np.array_equal(found[one], found[other])
    assert np.isfinite(found[0]).all()


def test_a_learning_rate_that_falls_ends_at_zero(sample):
    falling = dataclasses.replace(LEARNS, rate_schedule="cosine")
    constant, fallen = (trained(sample, "none", optimiser=one, epochs=4) for one in (LEARNS, falling))
    assert not np.array_equal(parameters(constant), parameters(fallen))
    hyperparameters = hyperparameters_of(falling, 4)
    rates = [float(hyperparameters.at_epoch(jnp.int32(epoch)).learning_rate) for epoch in range(5)]
    expected = optax.cosine_decay_schedule(LEARNS.learning_rate, 4)
    np.testing.assert_allclose(rates, [expected(epoch) for epoch in range(5)], atol=1e-9)


def test_a_repeat_alone_is_trained_as_among_others(sample):
    both = trained(sample, "all", epochs=3)
    alone = trained(sample, "all", epochs=3, repeats=1)
    for ours, theirs in zip(
        jax.tree.leaves(dict(alone.parameters)), jax.tree.leaves(dict(both.parameters)), strict=True
    ):
        np.testing.assert_array_equal(ours[0], theirs[0])
