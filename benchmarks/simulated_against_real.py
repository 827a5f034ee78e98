"""Do the simulated galaxies look like real ones: how light falls outwards, and how clearly arms stand out?

    python -m benchmarks.simulated_against_real --data FOLDER     # draws a figure

Galaxies of the folder beside as many of the simulated survey. Of each image the level of its border is taken off; radii are in units
of the galaxy's own half-light radius, and brightness in units of the mean inside it. Arm visibility is the scatter of light around
the mean of its ellipse, over that mean, from 0.7 to 2 half-light radii, less the noise between neighbouring pixels. JPEG and PNG images of SDSS are
stretched by the arcsinh of Lupton et al. (2004, PASP 116, 133): `--softening` stretches the simulated galaxies alike.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from benchmarks.command import check_at_least, run_benchmark, say
from galjax import sources
from galjax.errors import InputError
from galjax.report.figures.style import COLOURS, grey, light_grid, make_panels, plain_style
from galjax.sample import GalaxySample
from galjax.sources import SimulatedSurvey, SourceConfig

NAME = "simulated_against_real"
CLASSES = ("spiral", "elliptical")
RADII = np.linspace(0.2, 3.0, 15)
"""Edges of the rings, in half-light radii."""


@dataclasses.dataclass(frozen=True)
class SimulatedAgainstReal:
    """Flags."""

    data: str = ""
    """Folder or sample file of real galaxies with the classes spiral and elliptical."""
    galaxies: int = 300
    """Galaxies of each class, real and simulated."""
    softening: float = 5.4
    """Counts at which the stretch turns from linear to logarithmic, as in the JPEG images of SDSS; 0 leaves the counts as they are."""
    out: Path = Path("runs/simulated_against_real.png")
    """Figure to write."""

    def __post_init__(self) -> None:
        check_at_least(2, galaxies=self.galaxies)
        if not 0 <= self.softening < float("inf"):
            raise InputError(f"--softening must be at least 0 counts, not {self.softening}.")


class Shapes(NamedTuple):
    """What is compared, of galaxies of one class."""

    profiles: Float[np.ndarray, "galaxy ring"]
    visibility: Float[np.ndarray, " galaxy"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(SimulatedAgainstReal, run, NAME, __doc__ or "", arguments)


def run(config: SimulatedAgainstReal) -> dict[str, dict[str, float]]:
    """Measure, draw and print; gives the median arm visibility by kind of galaxy and class."""
    if not config.data:
        raise InputError("--data is missing: name a folder or a sample file of real galaxies.")
    survey = SimulatedSurvey(galaxies=2 * config.galaxies, class_fractions=(0.5, 0.5, 0.0))
    simulated = sources.simulate(survey)
    if config.softening:
        simulated = dataclasses.replace(simulated, images=np.arcsinh(simulated.images / np.float32(config.softening)))
    samples = {"real": sources.load(SourceConfig(config.data), 0), "simulated": simulated}
    shapes = {kind: _shapes(sample, config.galaxies) for kind, sample in samples.items()}
    config.out.parent.mkdir(parents=True, exist_ok=True)
    with plain_style():
        _draw(shapes).savefig(config.out)
    found = {
        kind: {name: float(np.median(shape.visibility)) for name, shape in of_class.items()}
        for kind, of_class in shapes.items()
    }
    for kind, medians in found.items():
        say(f"{kind}: median arm visibility " + ", ".join(f"{name} {value:.3f}" for name, value in medians.items()))
    say(f"drawn in {config.out}")
    return found


def _shapes(sample: GalaxySample, most: int) -> dict[str, Shapes]:
    """Shapes of up to `most` galaxies of each class; what has no light in the middle is left out."""
    shapes = {}
    for name in CLASSES:
        images = sample.with_classes((name,)).images[:most]
        measured = [shape_of(grey(image)) for image in images]
        profiles, visibility = zip(*[one for one in measured if one is not None], strict=True)
        shapes[name] = Shapes(np.stack(profiles), np.array(visibility))
    return shapes


def shape_of(image: Float[np.ndarray, "height width"]) -> tuple[Float[np.ndarray, " ring"], float] | None:
    """Radial profile and arm visibility of the galaxy in the middle of an image; None where there is no light."""
    border = np.concatenate([image[:3].ravel(), image[-3:].ravel(), image[:, :3].ravel(), image[:, -3:].ravel()])
    image = image - np.median(border)
    noise = 1.4826 * np.median(np.abs(border - np.median(border)))
    y, x = (axis - image.shape[n] / 2 for n, axis in enumerate(np.indices(image.shape)))
    middle = np.where(np.hypot(y, x) < image.shape[0] / 3, np.maximum(image - 2 * noise, 0), 0)
    if middle.sum() <= 0:
        return None
    y, x = (axis - (middle * axis).sum() / middle.sum() for axis in (y, x))
    moments = np.array([[(middle * a * b).sum() for a in (y, x)] for b in (y, x)]) / middle.sum()
    inverse = np.linalg.inv(moments + 1e-3 * np.eye(2)) * np.sqrt(np.linalg.det(moments + 1e-3 * np.eye(2)))
    radius = np.sqrt(inverse[0, 0] * y**2 + 2 * inverse[0, 1] * y * x + inverse[1, 1] * x**2)
    order = np.argsort(radius, axis=None)
    inside = order[radius.ravel()[order] < image.shape[0] / 2.2]
    growth = np.maximum.accumulate(np.cumsum(image.ravel()[inside]))
    half = np.interp(growth[-1] / 2, growth, radius.ravel()[inside])
    scaled = radius / half
    inner = image[scaled < 1].mean()
    rings = np.digitize(scaled, RADII)
    means = np.array([image[rings == n].mean() if (rings == n).any() else np.nan for n in range(1, len(RADII))])
    where = (scaled > 0.7) & (scaled < 2) & (rings >= 1) & (rings < len(RADII))
    smooth = means[np.clip(rings - 1, 0, len(means) - 1)]
    checks = np.zeros_like(image)  # differences of differences of neighbouring pixels: noise, and hardly any galaxy
    checks[1:, 1:] = np.diff(np.diff(image, axis=0), axis=1) / 2
    scatter = ((image - smooth)[where] ** 2).mean() - (checks[where] ** 2).mean()
    return means / inner, float(np.sqrt(max(scatter, 0.0)) / smooth[where].mean())


def _draw(shapes: dict[str, dict[str, Shapes]]) -> Figure:
    figure, panels = make_panels(2, 2)
    middle = (RADII[1:] + RADII[:-1]) / 2
    for column, name in enumerate(CLASSES):
        profile, histogram = panels[column], panels[2 + column]
        for index, (kind, of_class) in enumerate(shapes.items()):
            low, median, high = np.nanpercentile(of_class[name].profiles, [16, 50, 84], axis=0)
            colour, line = COLOURS[index], "-" if index == 0 else "--"
            profile.fill_between(middle, low, high, color=colour, alpha=0.2, linewidth=0)
            profile.plot(middle, median, color=colour, linestyle=line, label=kind)
            edges = np.linspace(0, 1, 26).tolist()
            visibility = np.minimum(of_class[name].visibility, 1.0)
            share = np.full(len(visibility), 1 / len(visibility))
            histogram.hist(visibility, edges, weights=share, histtype="step", color=colour, linestyle=line, label=kind)
        profile.set(
            title=f"{name}: median, middle 68 %",
            xlabel="radius / half-light radius",
            ylabel="brightness / mean inside",
        )
        histogram.set(xlabel="arm visibility (last bin: 1 and more)", ylabel="share of galaxies")
        for panel in (profile, histogram):
            light_grid(panel)
            panel.legend(frameon=False, fontsize="small", loc="upper right")
    return figure


if __name__ == "__main__":
    sys.exit(main())
