"""The table of recipes says what was measured."""

from typing import get_args

import pytest

from benchmarks import augmentation
from benchmarks.augmentation import RECIPES, AugmentationBenchmark
from galjax.config.settings import Recipe


@pytest.mark.thorough
def test_recipes_are_timed_against_none():
    assert set(get_args(Recipe)) <= set(RECIPES)
    some = ("none", "all, with every part")
    config = AugmentationBenchmark(repeats=1, galaxies=8, image_size=16, recipes=some, rounds=1, no_write=True)
    results = augmentation.run(config)
    assert tuple(results["recipes"]) == some
    header, _, none, every = augmentation.tables(results)["augmentation"].splitlines()
    assert "time of a step / none's" in header
    assert none.startswith("| none | 1.00 |")
    assert every.startswith("| all, with every part |")


def test_bad_flags_get_a_sentence(capsys):
    for flags, sentence in (
        (["--rounds", "0"], "--rounds must be at least 1"),
        (["--recipes", "all"], "--recipes takes none"),
    ):
        assert augmentation.main(flags) == 2
        assert sentence in capsys.readouterr().err
