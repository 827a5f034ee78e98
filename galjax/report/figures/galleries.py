"""Images of galaxies: of a class, and of one galaxy at all resolutions."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from galjax.report.figures.style import DPI, NamedFigure, drawn, grey, make_panels, show_image
from galjax.resample import Convention
from galjax.sample import GalaxySample
from galjax.training.conditions import ORIGINAL, Condition


def brightness_range(image: Float[np.ndarray, "height width"]) -> tuple[float, float]:
    """Range of brightness to show: from the sky to nearly the brightest pixel."""
    low, high = np.percentile(image, [5, 99.8])
    return float(low), float(max(high, low + 1e-12))


def clearest(sample: GalaxySample, class_name: str, percentile: float = 90.0) -> int:
    """The position of the galaxy of a class whose contrast (standard deviation of its pixels) is at the percentile."""
    members = np.flatnonzero(sample.labels == sample.class_names.index(class_name))
    contrast = sample.images[members].reshape(len(members), -1).std(axis=1)
    return int(members[np.abs(contrast - np.percentile(contrast, percentile)).argmin()])


@drawn
def class_gallery(sample: GalaxySample, class_name: str, columns: int = 8, rows: int = 2) -> NamedFigure:
    """Galaxies of one class, from the faintest to the clearest (thesis, figures 4.2-4.4).

    They are taken at even steps in the order of contrast, so that the gallery shows the whole range, not the best.
    """
    members = np.flatnonzero(sample.labels == sample.class_names.index(class_name))
    contrast = sample.images[members].reshape(len(members), -1).std(axis=1)
    steps = np.linspace(0, len(members) - 1, min(columns * rows, len(members))).round().astype(int)
    chosen = members[np.argsort(contrast, kind="stable")[steps]]
    figure, panels = make_panels(columns, rows, width=1.05, height=1.1)
    for panel in panels:
        panel.set_axis_off()
    for panel, index in zip(panels, chosen, strict=False):
        panel.set_axis_on()
        image = grey(sample.images[index])
        show_image(panel, image, *brightness_range(image))
    return NamedFigure(
        f"galaxies_{class_name}",
        figure,
        f"{len(chosen)} of {len(members)} galaxies labelled {class_name}, at even steps from the lowest contrast to the "
        f"highest, {_extent(sample)}. Arcsinh stretch of each on its own.",
        f"{len(chosen)} small images of galaxies labelled {class_name}.",
    )


@drawn
def degraded_gallery(
    sample: GalaxySample, class_name: str, conditions: Sequence[Condition], convention: Convention
) -> NamedFigure:
    """One galaxy shrunk by every factor, and enlarged with every method (thesis, figures 5.2, 5.3).

    `conditions` are those of `galjax.training.conditions.make_conditions`, Original first, with or without blur and noise.
    """
    index = clearest(sample, class_name)
    image = grey(sample.images[index])
    shape = image.shape
    columns = list(dict.fromkeys(condition.factor for condition in conditions))
    methods = list(dict.fromkeys(condition.method for condition in conditions[1:]))
    rows = ["shrunk", *methods]
    by_name = {(condition.factor, condition.method): condition for condition in conditions}
    figure = Figure(figsize=(1.05 * len(columns) + 0.5, 1.12 * len(rows) + 0.3), layout="constrained", dpi=DPI)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    low, high = brightness_range(image)
    for column, factor in enumerate(columns):
        for row, method in enumerate(rows):
            condition = by_name.get((factor, methods[0] if row == 0 else method), ORIGINAL)
            shown = _shrunk(image, condition, convention)
            if row > 0:
                left, right = condition.enlarging((shape[0], shape[1]), convention)
                shown = left @ shown @ right.T
            panel = panels[row, column]
            show_image(panel, shown, low, high)
            if row == 0:
                panel.set_title(
                    f"Original\n{shape[1]} px" if factor == 1 else f"1/{factor}\n{shape[1] // factor} px", fontsize=8
                )
            if column == 0:
                panel.set_ylabel(method, fontsize=8)
    coarser = any(condition.blur for condition in conditions)
    first, then = ("blurred, ", ", with noise added,") if coarser else ("", "")
    return NamedFigure(
        f"gallery_{class_name}",
        figure,
        f"A galaxy labelled {class_name} (id {sample.ids[index]}), {first}shrunk by the mean over covered pixels{then} and enlarged "
        f"back to {shape[1]} px. It is the one at the 90th percentile of contrast; arcsinh stretch, the same in all panels.",
        f"Grid of {len(rows)} x {len(columns)} images of one galaxy labelled {class_name}: shrunk by "
        f"{', '.join(map(str, columns))} from left to right, and from top to bottom {', '.join(rows)}.",
    )


def _shrunk(
    image: Float[np.ndarray, "height width"], condition: Condition, convention: Convention
) -> Float[np.ndarray, "new_height new_width"]:
    """The mean over bands under a condition, before it is enlarged; its noise is drawn here, the same for all methods."""
    left, right = condition.shrinking((image.shape[0], image.shape[1]), convention)
    small = left @ image @ right.T
    if not condition.noise:
        return small
    deviation = np.hypot.reduce(condition.noise) / len(condition.noise)
    return small + deviation * np.random.default_rng(0).standard_normal(small.shape)


def _extent(sample: GalaxySample) -> str:
    height, width = sample.images.shape[1:3]
    if not np.isfinite(sample.pixel_scale):
        return f"{height} x {width} px"
    return f"{height * sample.pixel_scale:.1f} x {width * sample.pixel_scale:.1f} arcsec ({height} x {width} px)"
