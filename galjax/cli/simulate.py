"""`galjax simulate OUT.fits`: galaxies of the simulated survey, or of one like it, as a saved sample."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from galjax.cli import flags
from galjax.cli.command import exit_code
from galjax.config.markers import DATA, Flat
from galjax.errors import InputError
from galjax.sources.options import SimulatedSurvey

DESCRIPTION = """Render galaxies as an instrument sees them, and save them as a sample: FITS, for --data, DS9 and TOPCAT. The same seed gives
the same galaxies, whatever the instrument.

  galjax simulate sdss.fits --galaxies 1000
  galjax simulate coarser.fits --seed 9 --image-size 16 --pixel-scale 1.584    # pixels four times as wide"""


@dataclasses.dataclass(frozen=True)
class Simulate:
    """The flags of the verb."""

    GROUP = DATA
    survey: Annotated[SimulatedSurvey, Flat, DATA] = dataclasses.field(default_factory=SimulatedSurvey)
    seed: int = 0
    """Seed of the galaxies and of the noise, at least 0."""

    def __post_init__(self) -> None:
        if not 0 <= self.seed < 2**32:
            raise InputError(f"--seed must lie in 0..{2**32 - 1}, not {self.seed}.")


def main(arguments: Sequence[str]) -> int:
    """Run the verb; gives its exit code."""

    def run() -> None:
        given = list(arguments)
        out = Path(given.pop(0)).expanduser() if given and not given[0].startswith("-") else None
        try:
            config = flags.parse(Simulate(), given, "galjax simulate OUT.fits", DESCRIPTION)
        except InputError as error:  # the flags have a prefix where an experiment has them
            raise InputError(str(error).replace("--simulated.", "--")) from error
        if out is None or out.suffix != ".fits":
            raise InputError("galjax simulate needs a file that ends in .fits: galjax simulate survey.fits.")
        if out.exists():
            raise InputError(f"{out} is there already. Give another name, or delete it.")
        from galjax.sources.simulated.survey import simulate

        sample = simulate(config.survey, config.seed)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            sample.save(out)
        except OSError as error:
            raise InputError(f"Cannot write {out} ({error.strerror}). Give another name, or make room.") from error
        print(f"{sample!r}\nSaved in {out}. galjax check {out} says what can be done with them.")

    return exit_code(run)
