"""Test images as coarser surveys would have recorded them: the blur's width, the flux, and the noise."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from galjax import GalaxySample
from galjax.resample import FWHM_PER_SIGMA, apply_matrices
from galjax.training.coarser import Recorded, in_coarser_surveys, recorded, variance_kept
from galjax.training.conditions import ORIGINAL, Condition, device_conditions, make_conditions
from galjax.training.repeats import RepeatProgram, assemble
from galjax.training.step import DeviceSample, see
from tests.training.test_repeats import SMALL, make_program, train

KEY = jax.random.key(3)
METHODS = ("nearest", "bilinear", "bicubic")


def coarser(factors, survey, methods=METHODS):
    return in_coarser_surveys(make_conditions(factors, methods), survey, "opencv")


def condition_at(pool, condition, key=KEY):
    of_one = jax.tree.map(lambda leaf: leaf[0], device_conditions(pool, [condition], "opencv"))
    return of_one.of_repeat(key)


def seen(images, condition, chosen=None, key=KEY):
    """Images (galaxy, height, width, band) under one condition, as a network with the scaling "none" gets them."""
    pool = DeviceSample(jnp.asarray(images, jnp.float32)[None], jnp.zeros(len(images), jnp.int32))
    chosen = jnp.arange(len(images)) if chosen is None else jnp.asarray(chosen)
    return np.asarray(see(pool, chosen, condition_at(pool, condition, key), "none"))


def gaussian(pixels, width):
    x = np.arange(pixels) - (pixels - 1) / 2
    profile = np.exp(-(x**2) / (2 * width**2))
    return profile[:, None] * profile


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_point_seen_by_a_survey_is_at_factor_k_a_gaussian_of_k_times_the_seeing(factor):
    pixels, seeing = 128, 3.0
    survey = Recorded((pixels, pixels), seeing, (0.0,))
    _, condition = coarser((factor,), survey, ("nearest",))
    point = gaussian(pixels, seeing / FWHM_PER_SIGMA)
    rows, columns = condition.shrinking((pixels, pixels), "opencv")
    small = rows @ point @ columns.T
    centres = (np.arange(len(small)) + 0.5) * factor - pixels / 2
    # The mean over k samples widens a profile by (k^2 - 1) / 12.
    variance = (small.sum(axis=0) * centres**2).sum() / small.sum() - (factor**2 - 1) / 12
    assert FWHM_PER_SIGMA * variance**0.5 == pytest.approx(factor * seeing, rel=2e-3)
    expected = gaussian(pixels, factor * seeing / FWHM_PER_SIGMA) * point.sum()
    expected /= gaussian(pixels, factor * seeing / FWHM_PER_SIGMA).sum()
    blocks = expected.reshape(len(small), factor, len(small), factor).mean(axis=(1, 3))
    np.testing.assert_allclose(small, blocks, atol=2e-3 * blocks.max())


@pytest.mark.parametrize("method", METHODS)
def test_the_total_flux_stays_also_of_what_lies_at_an_edge(method):
    images = np.zeros((2, 32, 32, 1), np.float32)
    images[0, 15, 16], images[1, 0, 3] = 100, 100
    conditions = coarser((2, 4), Recorded((32, 32), 4.0, (0.0,)), (method,))
    assert [condition.factor for condition in conditions] == [1, 2, 4]
    for condition in conditions[1:]:
        rows, columns = condition.shrinking((32, 32), "opencv")
        small = np.asarray(apply_matrices(images[..., 0], jnp.float32(rows), jnp.float32(columns)))
        np.testing.assert_allclose(small.sum(axis=(1, 2)) * condition.factor**2, 100, rtol=1e-5)
        if method != "bicubic":  # which overshoots at the edge
            np.testing.assert_allclose(seen(images, condition)[0].sum(), 100, rtol=0.02)


def test_coarse_pixels_have_the_noise_of_the_original_over_k():
    """Also where blocks overlap, as at 1/3 and 1/7 of 64 px, in every band, and without the galaxies' noise counted twice."""
    noise = np.float32([2, 30])
    images = noise * np.random.default_rng(0).standard_normal((150, 64, 64, 2), dtype=np.float32)
    sample = GalaxySample.from_arrays(images, pixel_scale=0.4, bands=("g", "r"))
    survey = recorded(sample, seeing=0.6)
    assert survey.seeing == pytest.approx(1.5)
    np.testing.assert_allclose(survey.noise, noise, rtol=0.03)
    for condition in coarser((2, 3, 7), survey, ("nearest",))[1:]:
        every = seen(images, condition)
        edges = np.linspace(0, 64, 64 // condition.factor + 1)
        coarse = every[:, ((edges[1:] + edges[:-1]) / 2).astype(int)][:, :, ((edges[1:] + edges[:-1]) / 2).astype(int)]
        expected = noise * (64 // condition.factor) / 64
        np.testing.assert_allclose(coarse.std(axis=(0, 1, 2)), expected, rtol=0.05)
        assert 0 < variance_kept(condition.shrinking((64, 64), "opencv")) < 1 / condition.factor**2


def test_the_noise_is_that_of_a_galaxy_repeat_and_factor_whatever_the_method_and_the_batch():
    survey = Recorded((16, 16), 3.0, (1.0,))
    conditions = {(one.factor, one.method): one for one in coarser((2, 4), survey)}
    nothing = np.zeros((5, 16, 16, 1))
    noise = seen(nothing, conditions[4, "nearest"])
    assert noise[0].std() > 0.1
    assert not np.allclose(noise[0], noise[1])
    np.testing.assert_array_equal(seen(nothing, conditions[4, "nearest"], [3, 1]), noise[[3, 1]])
    assert not np.allclose(seen(nothing, conditions[4, "nearest"], key=jax.random.key(4)), noise)
    small = noise[:, ::4, ::4, 0]
    rows, columns = conditions[4, "bilinear"].enlarging((16, 16), "opencv")
    np.testing.assert_allclose(seen(nothing, conditions[4, "bilinear"])[..., 0], rows @ small @ columns.T, atol=1e-5)
    finer = seen(nothing, conditions[2, "nearest"])[:, ::2, ::2, 0]
    assert not np.allclose(finer[:, :4, :4] / finer.std(), small / small.std(), atol=0.1)
    np.testing.assert_array_equal(seen(nothing, conditions[1, "none"]), nothing)


def test_images_without_noise_get_none():
    sample = GalaxySample.from_arrays(np.full((3, 16, 16), 7.0), pixel_scale=1.0)
    survey = recorded(sample, seeing=2.0)
    assert survey.noise == (0.0,)
    _, condition = coarser((2,), survey, ("bilinear",))
    np.testing.assert_allclose(seen(np.full((3, 16, 16, 1), 7.0), condition), 7, rtol=1e-5)


def test_area_has_no_noise_in_its_program_and_resamples_as_before():
    conditions = make_conditions((2, 4), METHODS)
    pool = DeviceSample(jnp.zeros((1, 2, 16, 16, 1)), jnp.zeros(2, jnp.int32))
    assert device_conditions(pool, conditions, "opencv").noise is None
    assert len(jax.tree.leaves(device_conditions(pool, conditions, "opencv"))) == 3
    for condition in conditions[1:]:
        (rows, _), (down, _), (up, _) = (
            condition.matrices((16, 16), "opencv"),
            condition.shrinking((16, 16), "opencv"),
            condition.enlarging((16, 16), "opencv"),
        )
        np.testing.assert_array_equal(rows, up @ down)


def psf_program(repeats, **execution):
    program = make_program(repeats, network=dataclasses.replace(SMALL, input_scaling="sky"), **execution)
    survey = Recorded((16, 16), 2.0, (1.0,))
    conditions = in_coarser_surveys((ORIGINAL, Condition(2, "bilinear"), Condition(4, "nearest")), survey, "opencv")
    return assemble(program.task._replace(conditions=conditions), program._config, program.execution)


@pytest.mark.thorough
def test_a_repeat_alone_has_the_noise_that_it_has_among_others_and_noise_changes_nothing_at_original():
    together, alone = (train(psf_program(repeats), 4).history for repeats in ([0, 1, 2], [2]))
    np.testing.assert_allclose(alone.test_loss[0], together.test_loss[2], rtol=1e-4)
    program = psf_program([0, 1, 2])
    without = program.task._replace(conditions=[condition._replace(noise=()) for condition in program.task.conditions])
    quiet = train(RepeatProgram(without, program._config, program.execution), 4).history
    np.testing.assert_array_equal(quiet.test_loss[:, :, 0], together.test_loss[:, :, 0])
    assert (quiet.test_loss[:, :, 1:] != together.test_loss[:, :, 1:]).all()
    side_by_side = train(psf_program([0, 1, 2], repeats_at_once=3, devices=1, lowering="patches"), 4).history
    np.testing.assert_allclose(side_by_side.test_loss, together.test_loss, rtol=2e-3)
