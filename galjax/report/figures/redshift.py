"""How many galaxies there are at which redshift."""

import numpy as np

from galjax.report.figures.style import COLOURS, NamedFigure, drawn, light_grid, make_panels
from galjax.sample import GalaxySample

LINES = ("-", "--", "-.", ":")


@drawn
def redshift_histogram(sample: GalaxySample, bins: int = 20) -> NamedFigure | None:
    """The number of galaxies against redshift for each label (thesis, figures 4.1 and 5.1); None without redshifts."""
    known = np.isfinite(sample.redshift)
    if not known.any():
        return None
    edges = np.linspace(0, float(sample.redshift[known].max()) * 1.0001, bins + 1)
    figure, (panel,) = make_panels(1, width=5.6, height=3.3)
    words = []
    for number, class_name in enumerate(sample.class_names):
        redshift = sample.redshift[known & (sample.labels == number)]
        panel.hist(
            redshift,
            edges.tolist(),
            histtype="step",
            color=COLOURS[number % len(COLOURS)],
            linewidth=1.4,
            linestyle=LINES[number % len(LINES)],
            label=f"{class_name} ({len(redshift)})",
        )
        if len(redshift):
            words.append(f"{len(redshift)} {class_name} with a median redshift of {np.median(redshift):.3f}")
    panel.set(xlabel="redshift", ylabel=f"galaxies per bin of {edges[1]:.3g}", xlim=(0, edges[-1]))
    panel.legend(frameon=False)
    light_grid(panel)
    return NamedFigure(
        "redshift",
        figure,
        f"Galaxies against redshift, by label: the {int(known.sum())} that repeats draw from"
        + (f" and whose redshift is known; that of {int((~known).sum())} is not." if not known.all() else "."),
        f"Histogram of redshifts: {'; '.join(words)}.",
    )
