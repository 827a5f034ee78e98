"""What do training images that change at random cost: time of a step with each recipe, over that without.

    python -m benchmarks.augmentation

The same training as in `benchmarks.training`, timed in turn with every recipe of `--augment`, and with each part of "all" alone.
"""

import dataclasses
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from benchmarks.measure import in_turn, write_results
from galjax.analysis.tables import markdown_table
from galjax.config.settings import AugmentConfig, ExecutionConfig
from galjax.errors import InputError
from galjax.training.execution import use_all_cores

NAME = "augmentation"
_NONE: dict[str, Any] = {"augment_shift": 0.0, "augment_rotation": 0.0, "augment_seeing": 0.0, "augment_noise": 0.0}
_ALONE: dict[str, Any] = {"augment_shift": 1.0, "augment_rotation": 180.0, "augment_seeing": 1.0, "augment_noise": 1.0}
RECIPES = {
    "none": AugmentConfig(),
    "dihedral": AugmentConfig("dihedral"),
    "resolution": AugmentConfig("resolution"),
    "all": AugmentConfig("all"),
    **{
        f"all, with {name.removeprefix('augment_')} alone": AugmentConfig("all", **{**_NONE, name: strength})
        for name, strength in _ALONE.items()
        if name != "augment_shift"
    },
    "all, with every part": AugmentConfig("all", **_ALONE),
}
"""By name. "all" has its default strengths; "with ... alone" adds one part to orientation and resolution."""


@dataclasses.dataclass(frozen=True)
class AugmentationBenchmark:
    """Flags."""

    repeats: int = 2
    """Trainings at a time."""
    galaxies: int = 104
    """Galaxies of an epoch, which is timed."""
    image_size: int = 64
    """Height and width of the images, px."""
    recipes: tuple[str, ...] = tuple(RECIPES)
    """What to time, none among it."""
    rounds: int = 7
    """Times that an epoch of every recipe is timed, in turn."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, repeats=self.repeats, galaxies=self.galaxies, rounds=self.rounds)
        check_at_least(16, image_size=self.image_size)
        if not {"none", *self.recipes} <= set(RECIPES) or "none" not in self.recipes:
            raise InputError(f"--recipes takes none and others of {', '.join(RECIPES)}, not {', '.join(self.recipes)}.")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(AugmentationBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: AugmentationBenchmark) -> dict[str, Any]:
    """Time every recipe, print and keep the table."""
    use_all_cores()
    problem = Problem(galaxies=config.galaxies, image_size=config.image_size)
    contenders = {}
    for name in config.recipes:
        say(f"compiling: {name}")
        its = dataclasses.replace(problem, augment=RECIPES[name])
        contenders[name] = JaxRepeats(its, config.repeats, ExecutionConfig())
    times = in_turn({name: contender.run for name, contender in contenders.items()}, config.rounds)
    results = {
        "settings": {"repeats": config.repeats, "galaxies": config.galaxies, "image_size": config.image_size},
        "recipes": {
            name: times[name].scaled(1 / contender.repeat_steps).record() for name, contender in contenders.items()
        },
    }
    say(f"\n{tables(results)['augmentation']}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as a Markdown table."""
    seconds = results["recipes"]
    header = ["training images", "time of a step / none's", "ms per repeat and step (range)"]
    rows = [
        [
            name,
            f"{found['median'] / seconds['none']['median']:.2f}",
            f"{1e3 * found['median']:.1f} ({1e3 * found['min']:.1f} - {1e3 * found['max']:.1f})",
        ]
        for name, found in seconds.items()
    ]
    return {"augmentation": markdown_table(header, rows)}


if __name__ == "__main__":
    sys.exit(main())
