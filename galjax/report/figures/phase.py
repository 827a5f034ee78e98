"""Even and odd grids: accuracy against the size shrunk to, where the centre goes, and what it looks like."""

from collections.abc import Mapping, Sequence

import numpy as np
from astropy.table import Table
from jaxtyping import Float

from galjax.analysis.tables import rows_with
from galjax.analysis.wording import fixed, signed
from galjax.report.figures.galleries import brightness_range
from galjax.report.figures.style import (
    COLOURS,
    MARKERS,
    NamedFigure,
    drawn,
    light_grid,
    make_panels,
    points_and_bars,
    show_image,
)
from galjax.resample import resize_matrices
from galjax.statistics import repeats_left, summarise


@drawn
def size_figure(accuracies: Mapping[tuple[str, str, int], Float[np.ndarray, " repeat"]], height: int) -> NamedFigure:
    """Accuracy against the size that images of `height` px are shrunk to, one panel per method, one line per position.

    Keys are (position, method, size). Even sizes are shaded: where parity matters the line zigzags.
    """
    positions, methods = (list(dict.fromkeys(names)) for names in zip(*((p, m) for p, m, _ in accuracies), strict=True))
    sizes = list(dict.fromkeys(size for _, _, size in accuracies))
    figure, panels = make_panels(len(methods), width=3.4, sharey=True)
    for panel, method in zip(panels, methods, strict=True):
        for index, position in enumerate(positions):
            found = [summarise(np.asarray(accuracies[position, method, size], np.float64)) for size in sizes]
            bars = np.array([float(s.ste) for s in found])
            panel.errorbar(
                np.array(sizes) + 0.14 * (index - (len(positions) - 1) / 2),
                [float(s.mean) for s in found],
                yerr=None if np.isnan(bars).all() else bars,
                color=COLOURS[index],
                marker=MARKERS[index],
                linestyle=("-", "--", "-.")[index % 3],
                markersize=4,
                linewidth=1.2,
                capsize=2.5,
                label=position,
            )
        for size in sizes:
            if size % 2 == 0:
                panel.axvspan(size - 0.5, size + 0.5, color="0.94", zorder=0)
        panel.set_xticks(sizes)
        panel.set(xlabel=f"shrunk from {height} px to (px)", title=method)
        light_grid(panel)
    panels[0].set_ylabel("accuracy")
    panels[-1].legend(frameon=False, fontsize=8)
    n = repeats_left(*accuracies.values())
    return NamedFigure(
        "accuracy_by_size",
        figure,
        f"One training at Original, tested on galaxies shrunk to every size and enlarged back; even sizes are shaded. "
        f"{points_and_bars(n, 'ste')}.",
        "; ".join(
            f"{position}, {method}, {size} px: {fixed(float(summarise(v).mean))}"
            for (position, method, size), v in accuracies.items()
        )
        + ".",
    )


@drawn
def shift_figure(enlarged: Table, cutout: str) -> NamedFigure:
    """How far the centre moves for every factor, method and size rule, of one cut-out rule."""
    figure, panels = make_panels(2, width=4.2, height=3.2, sharey=True)
    chosen = rows_with(enlarged, cutout=cutout)
    resolutions, methods = (list(dict.fromkeys(chosen[name])) for name in ("resolution", "method"))
    for panel, rule in zip(panels, dict.fromkeys(chosen["size_rule"]), strict=True):
        for index, method in enumerate(methods):
            rows = rows_with(chosen, size_rule=rule, method=method)
            panel.plot(
                range(len(resolutions)),
                rows["brightest"],
                marker=MARKERS[index],
                color=COLOURS[index],
                linestyle=("-", "--", "-.")[index % 3],
                markersize=4,
                linewidth=1.2,
                label=method,
            )
        panel.axhline(0, color="0.4", linewidth=0.8)
        sizes = rows_with(chosen, size_rule=rule, method=methods[0])["size"]
        panel.set_xticks(
            range(len(resolutions)), [f"{r}\n{s} px" for r, s in zip(resolutions, sizes, strict=True)], fontsize=8
        )
        panel.set(title="H // factor" if rule == "floor" else "round(H / factor)", xlabel="shrunk to")
        light_grid(panel)
    panels[0].set_ylabel("brightest pixel moves by (px)")
    panels[-1].legend(frameon=False)
    return NamedFigure(
        "centre_shift",
        figure,
        f"How far the brightest pixel of a Gaussian source ({cutout}, mean over positions) moves on each axis when the image "
        f"is shrunk and enlarged back. Positive is right and up the index; sizes are the pixels left.",
        "; ".join(f"{r['resolution']} {r['size_rule']} {r['method']}: {signed(r['brightest'], 2)} px" for r in chosen)
        + ".",
    )


@drawn
def phase_gallery(
    views: Mapping[str, Float[np.ndarray, "height width"]], sizes: Sequence[int], about: str
) -> NamedFigure:
    """One galaxy shrunk to each size in each position, the middle of the grid and the brightest pixel marked (figure 5.15)."""
    figure, panels = make_panels(len(sizes), len(views), width=1.45, height=1.6)
    words = []
    for number, panel in enumerate(panels):
        row, column = divmod(number, len(sizes))
        position, image = list(views.items())[row]
        size = sizes[column]
        rows, columns = resize_matrices(image.shape, (size, size), "area")
        shrunk = rows @ image @ columns.T
        show_image(panel, shrunk, *brightness_range(shrunk))
        y, x = np.unravel_index(shrunk.argmax(), shrunk.shape)
        middle = (size - 1) / 2
        panel.plot(middle, middle, "+", color=COLOURS[4], markersize=9, markeredgewidth=1.3)
        panel.plot(
            x, y, "s", markerfacecolor="none", markeredgecolor=COLOURS[5], markersize=110 / size, markeredgewidth=1.3
        )
        if row == 0:
            panel.set_title(f"{size} px ({'even' if size % 2 == 0 else 'odd'})", fontsize=8)
        if column == 0:
            panel.set_ylabel(position, fontsize=8)
        words.append(f"{position}, {size} px: {signed(x - middle, 1)}, {signed(y - middle, 1)}")
    return NamedFigure(
        "phase_gallery",
        figure,
        f"{about} shrunk to even and odd sizes. Cross: middle of the grid; square: brightest pixel. On even grids no pixel is in "
        f"the middle.",
        f"Brightest pixel from the middle (x, y): {'; '.join(words)}.",
    )
