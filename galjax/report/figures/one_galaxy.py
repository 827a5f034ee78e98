"""One galaxy at several resolutions, and the accuracy at each: a sweep in one picture."""

from collections.abc import Sequence

import numpy as np
from astropy.table import Table

from galjax.analysis.tables import rows_with
from galjax.analysis.wording import plus_minus
from galjax.errors import InputError
from galjax.report.figures.galleries import brightness_range, clearest
from galjax.report.figures.style import NamedFigure, drawn, grey, make_panels, show_image
from galjax.resample import Convention, degrade_matrices
from galjax.sample import GalaxySample
from galjax.statistics import count_in_words, leading


def accuracies_of(
    summary: Table, per_class: int, factors: Sequence[int], method: str
) -> dict[int, tuple[float, float]]:
    """Mean and standard deviation of the accuracy at every factor (1 is Original), at the leading epoch.

    `summary` is that of a resolution sweep (`summary.ecsv`). Raises InputError for a condition that it does not have.
    """
    chosen = rows_with(summary, per_class=per_class, selection=leading(summary["selection"]))
    found = {}
    for factor in factors:
        rows = rows_with(chosen, factor=factor, method="none" if factor == 1 else method)
        if len(rows) != 1:
            raise InputError(
                f"The sweep has no result at 1/{factor} with {method} for {per_class} galaxies per class. Choose among its "
                f"factors, {', '.join(map(str, sorted(set(chosen['factor'].tolist()))))}, and methods, "
                f"{', '.join(sorted(set(chosen['method'].tolist()) - {'none'}))}."
            )
        found[factor] = float(rows["mean"][0]), float(rows["std"][0])
    return found


@drawn
def one_galaxy(
    sample: GalaxySample,
    accuracies: dict[int, tuple[float, float]],
    method: str,
    n: Sequence[int],
    convention: Convention = "opencv",
) -> NamedFigure:
    """The clearest galaxy of the sample's first class at every resolution, with mean ± standard deviation of the accuracy below.

    `accuracies` are by factor (`accuracies_of`), `n` the numbers of repeats they are means over.
    """
    index = clearest(sample, sample.class_names[0])
    image = grey(sample.images[index])
    low, high = brightness_range(image)
    figure, panels = make_panels(len(accuracies), width=1.9, height=2.5)
    for panel, (factor, (mean, std)) in zip(panels, accuracies.items(), strict=True):
        rows, columns = degrade_matrices(image.shape, factor, method, convention)
        show_image(panel, rows @ image @ columns.T, low, high)
        panel.set_title("Original" if factor == 1 else f"1/{factor}", fontsize=12)
        panel.set_xlabel(f"accuracy\n{plus_minus(mean, std)}", fontsize=10)
    shown = ", ".join(f"{'Original' if k == 1 else f'1/{k}'} {mean:.3f}" for k, (mean, _) in accuracies.items())
    return NamedFigure(
        "resolutions",
        figure,
        f"A galaxy labelled {sample.class_names[0]} (id {sample.ids[index]}), shrunk and enlarged back ({method}), and the "
        f"accuracy of networks trained at Original on test galaxies of that resolution: mean ± standard deviation over n = "
        f"{count_in_words(np.asarray(n))} repeats.",
        f"One galaxy from sharp to blurred, with the accuracy below: {shown}.",
    )
