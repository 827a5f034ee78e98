import dataclasses

import numpy as np
import pytest

from galjax import GalaxySample, InputError
from galjax.draw import (
    Split,
    draw_balanced,
    draw_natural,
    make_pool,
    most_per_class,
    set_aside,
    shared_share,
    with_test_galaxies,
)
from galjax.training.repeats import repeat_keys

NAMES = ("spiral", "elliptical")
LABELS = np.random.default_rng(0).permutation(np.repeat(np.array([0, 1], np.int32), [130, 70]))


def sets_of(draw):
    return [np.asarray(part) for part in draw]


@pytest.mark.parametrize("validation_fraction", [0.0, 0.1])
def test_balanced_draw(validation_fraction):
    keys = repeat_keys(3, range(5)).draw
    train, validation, test = sets_of(draw_balanced(LABELS, NAMES, 40, keys, Split(validation=validation_fraction)))
    held = round(40 * validation_fraction)
    assert [part.shape for part in (train, validation, test)] == [(5, 2 * (28 - held)), (5, 2 * held), (5, 24)]
    for repeat in range(5):
        together = np.concatenate([train[repeat], validation[repeat], test[repeat]])
        assert len(set(together.tolist())) == 80
        for part in (train[repeat], validation[repeat], test[repeat]):
            assert np.bincount(LABELS[part], minlength=2).tolist() == [len(part) // 2] * 2
    assert (np.sort(train, axis=1)[0] != np.sort(train, axis=1)[1]).any()


@pytest.mark.parametrize("validation_fraction", [0.0, 0.15])
@pytest.mark.parametrize("total", [20, 101, 200])
def test_natural_draw(total, validation_fraction):
    keys = repeat_keys(3, range(6)).draw
    parts = sets_of(draw_natural(LABELS, NAMES, total, keys, Split(validation=validation_fraction)))
    sizes = [part.shape[1] for part in parts]
    assert sum(sizes) == total
    assert abs(sizes[2] - 0.3 * total) <= 1
    assert abs(sizes[1] - validation_fraction * total) <= 1
    for repeat in range(6):
        drawn = np.concatenate([part[repeat] for part in parts])
        assert len(set(drawn.tolist())) == total
        spirals = (LABELS[drawn] == 0).sum()
        in_test = (LABELS[parts[2][repeat]] == 0).sum()
        assert abs(in_test - 0.3 * spirals) <= 1.5  # stratified: each class is split by the fraction
    if total == 200:
        assert (LABELS[drawn] == 0).sum() == 130


def test_a_repeat_draws_the_same_galaxies_alone_and_among_others():
    for draw in (draw_balanced(LABELS, NAMES, 20, repeat_keys(0, range(8)).draw),):
        alone = draw_balanced(LABELS, NAMES, 20, repeat_keys(0, [7]).draw)
        for ours, theirs in zip(draw, alone, strict=True):
            np.testing.assert_array_equal(ours[7], theirs[0])
    natural = draw_natural(LABELS, NAMES, 50, repeat_keys(0, range(8)).draw)
    np.testing.assert_array_equal(natural.test[7], draw_natural(LABELS, NAMES, 50, repeat_keys(0, [7]).draw).test[0])


def test_every_galaxy_is_drawn_about_equally_often():
    drawn = draw_balanced(LABELS, NAMES, 35, repeat_keys(1, range(400)).draw)
    counts = np.bincount(np.concatenate([np.asarray(part).ravel() for part in drawn]), minlength=200)
    ellipticals = counts[LABELS == 1]  # 35 of 70 in 400 repeats: 200 +- 10
    assert ellipticals.min() > 150
    assert ellipticals.max() < 250


def sample(redshift):
    return GalaxySample(
        images=np.zeros((4, 2, 2), np.float32),
        labels=np.array([0, 1, 2, 0], np.int32),
        class_names=(*NAMES, "uncertain"),
        ids=np.arange(10, 14),
        redshift=np.asarray(redshift, float),
        pixel_scale=0.396,
        bands=("r",),
    )


def test_pool_is_cut_in_redshift_and_says_what_was_left_out():
    pool = make_pool(sample([0.1, np.nan, 0.1, 0.2]), NAMES, (0.0, 0.2))
    assert pool.ids.tolist() == [10]
    assert [(row.id, row.reason) for row in pool.excluded] == [
        ("12", f"uncertain is not among the classes {', '.join(NAMES)}"),
        ("11", "no redshift"),
        ("13", "redshift 0.2000 is outside 0.0 < z < 0.2"),
    ]


def test_pool_without_redshifts_is_not_cut():
    assert make_pool(sample([np.nan] * 4), NAMES).ids.tolist() == [10, 11, 13]
    assert make_pool(sample([5.0] * 4), NAMES, None).ids.tolist() == [10, 11, 13]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda keys: make_pool(sample([0.3] * 4), NAMES), r"None of the 3 galaxies has a redshift in 0\.0 < z < 0\.2"),
        (lambda keys: draw_balanced(LABELS, NAMES, 71, keys), "there are 130 spiral, 70 elliptical.*1 to 70"),
        (lambda keys: draw_balanced(LABELS, NAMES, 0, keys), "draw of 0 galaxies per class is not possible"),
        (lambda keys: draw_balanced(LABELS, NAMES, 1, keys), "1 to train, 0 to validate and 0 to test"),
        (lambda keys: draw_balanced(LABELS, NAMES, 2, keys, Split(validation=0.1)), "0 to train, 1 to validate"),
        (
            lambda keys: draw_natural(LABELS, NAMES, 201, keys),
            r"200 galaxies \(130 spiral, 70 elliptical\).*--total 201",
        ),
        (lambda keys: draw_natural(LABELS, NAMES, 1, keys), "no set may be empty"),
    ],
)
def test_draws_that_are_not_possible_get_a_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(repeat_keys(0, [0]).draw)


def test_a_small_draw_has_at_least_one_validation_galaxy_of_each_class():
    drawn = draw_balanced(LABELS, NAMES, 4, repeat_keys(0, range(2)).draw, Split(validation=0.1))
    assert [part.shape[1] for part in drawn] == [4, 2, 2]


@pytest.mark.parametrize("balanced", [True, False])
def test_disjoint_draws_have_no_galaxy_in_common(balanced):
    draw, size = (draw_balanced, 14) if balanced else (draw_natural, 40)
    keys = repeat_keys(2, range(5)).draw
    parts = sets_of(draw(LABELS, NAMES, size, keys, Split(validation=0.1, draws="disjoint")))
    together = np.concatenate(parts, axis=1)
    assert len(np.unique(together)) == together.size == 5 * (2 * 14 if balanced else 40)
    plain = sets_of(draw(LABELS, NAMES, size, keys, Split(validation=0.1)))
    assert [part.shape for part in parts] == [part.shape for part in plain]
    if balanced:
        assert (np.bincount(LABELS[parts[2][3]]) == [4, 4]).all()
    fewer = draw(LABELS, NAMES, size, keys[:3], Split(validation=0.1, draws="disjoint"))
    np.testing.assert_array_equal(fewer.test, parts[2][:3])  # more repeats change none of the others


def test_disjoint_draws_need_so_many_galaxies():
    keys = repeat_keys(0, range(5)).draw
    with pytest.raises(
        InputError, match=r"5 repeats with 15 galaxies per class of their own.*Choose --per-class from 1 to 14"
    ):
        draw_balanced(LABELS, NAMES, 15, keys, Split(draws="disjoint"))
    with pytest.raises(InputError, match=r"so --total 41, for each of 5 repeats its own \(--draws disjoint\), cannot"):
        draw_natural(LABELS, NAMES, 41, keys, Split(draws="disjoint"))


@pytest.mark.parametrize("balanced", [True, False])
def test_the_share_of_test_galaxies_that_two_repeats_have_in_common_is_what_is_found(balanced):
    draw, size = (draw_balanced, 60) if balanced else (draw_natural, 120)
    drawn = draw(LABELS, NAMES, size, repeat_keys(0, range(60)).draw)
    expected = np.mean([18 / 130, 18 / 70]) if balanced else 36 / 200
    assert shared_share(LABELS, drawn) == pytest.approx(expected, abs=0.002)
    tested = np.zeros((60, 200), int)
    np.put_along_axis(tested, np.asarray(drawn.test), 1, axis=1)
    common = (tested @ tested.T)[np.triu_indices(60, 1)].mean() / 36
    assert common == pytest.approx(expected, abs=0.01)


def test_a_given_split_is_kept():
    given = np.random.default_rng(2).choice(["train", "val", "test"], len(LABELS), p=[0.6, 0.15, 0.25])
    keys = repeat_keys(3, range(5)).draw
    split = Split(0.2, 0.1)
    drawn = draw_balanced(LABELS, NAMES, 30, keys, split, given)
    assert [part.shape for part in drawn] == [(5, 42), (5, 6), (5, 12)]
    for part, name in zip(sets_of(drawn), ("train", "val", "test"), strict=True):
        assert (given[part] == name).all()
        for row in part:
            assert len(set(row.tolist())) == len(row)
            assert np.bincount(LABELS[row]).tolist() == [len(row) // 2] * 2
    assert (np.sort(drawn.train[0]) != np.sort(drawn.train[1])).any()
    without = np.where(given == "val", "train", given)
    train, validation, _ = sets_of(draw_balanced(LABELS, NAMES, 30, keys, split, without))
    assert (without[validation] == "train").all()
    assert not set(validation.ravel().tolist()) & set(train.ravel().tolist())  # in no repeat
    with pytest.raises(InputError, match=r"has .* galaxies of elliptical in test, and .* are to be drawn"):
        draw_balanced(LABELS, NAMES, 70, keys, Split(0.5), given)
    with pytest.raises(InputError, match="do not go together"):
        draw_balanced(LABELS, NAMES, 30, keys, Split(0.2, 0.1, "disjoint"), given)
    sample = GalaxySample.from_arrays(np.random.default_rng(0).normal(size=(200, 8, 8)), LABELS, class_names=NAMES)
    most = most_per_class(dataclasses.replace(sample, columns={"split": given}), split=split)
    draw_balanced(LABELS, NAMES, most, keys, split, given)
    with pytest.raises(InputError):
        draw_balanced(LABELS, NAMES, most + 1, keys, split, given)
    assert most_per_class(sample) == 70


def test_every_class_gives_its_share_to_those_set_aside():
    labels = np.repeat(np.arange(2, dtype=np.int32), [50, 3])
    kept, aside = set_aside(labels, 0.2, np.random.default_rng(0))
    assert np.bincount(labels[aside]).tolist() == [10, 1]
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, aside])), np.arange(53))


def test_test_galaxies_may_be_others_and_are_then_trained_on():
    labels, keys = np.repeat(np.arange(2, dtype=np.int32), 20), repeat_keys(0, range(3)).draw
    drawn = draw_balanced(labels, ("a", "b"), 10, keys, Split(0.3, 0.1))
    other = with_test_galaxies(drawn, np.arange(40, 45))
    assert other.train.shape[1] == drawn.train.shape[1] + drawn.test.shape[1]
    assert np.array_equal(other.test, np.broadcast_to(np.arange(40, 45), (3, 5)))
    np.testing.assert_array_equal(other.validation, drawn.validation)
