"""The table of recipes says what was measured, and the benchmark trains with every one."""

from typing import get_args

from benchmarks import augmentation
from benchmarks.augmentation import RECIPES, AugmentationBenchmark
from galjax.config.settings import Recipe


def test_every_recipe_is_timed_against_none():
    results = augmentation.run(AugmentationBenchmark(repeats=1, galaxies=8, image_size=16, rounds=1, no_write=True))
    assert set(get_args(Recipe)) <= set(results["recipes"]) == set(RECIPES)
    header, _, none, *others = augmentation.tables(results)["augmentation"].splitlines()
    assert "time of a step / none's" in header
    assert none.startswith("| none | 1.00 |")
    assert len(others) == len(RECIPES) - 1


def test_bad_flags_get_a_sentence(capsys):
    assert augmentation.main(["--rounds", "0"]) == 2
    assert "--rounds must be at least 1" in capsys.readouterr().err
