"""Loss and accuracy against epoch, mean and band over the repeats."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.ticker import MaxNLocator

from galjax.analysis.wording import fixed
from galjax.metrics import accuracy
from galjax.report.figures.style import COLOURS, MARKERS, NamedFigure, drawn, light_grid, make_panels
from galjax.statistics import repeats_left, summarise
from galjax.training.history import History


@drawn
def training_curves(histories: Mapping[str, History], name: str, trained_on: str) -> NamedFigure:
    """Loss and accuracy of training and test at the first condition, a band of 1 std (thesis, figures 4.7-4.10, 4.13).

    One colour per history, which its key names; solid lines are training, dashed ones test.
    """
    figure, (loss_panel, accuracy_panel) = make_panels(2, width=4.2, height=3.2)
    words = []
    for index, (label, history) in enumerate(histories.items()):
        epochs = np.arange(1, history.train_loss.shape[1] + 1)
        test_accuracy = accuracy(history.test_confusion[:, :, 0])
        prefix = f"{label}, " if label else ""
        curves = [
            (loss_panel, epochs, history.train_loss, "training", 0),
            (loss_panel, history.evaluated_epoch, history.test_loss[:, :, 0], "test", 1),
            (accuracy_panel, epochs, history.train_accuracy, "training", 0),
            (accuracy_panel, history.evaluated_epoch, test_accuracy, "test", 1),
        ]
        for panel, x, values, kind, style in curves:
            mean, std, _, n = summarise(np.asarray(values, np.float64))
            colour = COLOURS[(index if len(histories) > 1 else style) % len(COLOURS)]
            panel.plot(
                x,
                mean,
                "-" if style == 0 else "--",
                color=colour,
                label=prefix + kind,
                marker=MARKERS[style] if len(x) <= 40 else None,
                markersize=3,
            )
            if n > 1:
                panel.fill_between(x, mean - std, mean + std, color=colour, alpha=0.18, linewidth=0)
        losses, accuracies = summarise(history.train_loss).mean, summarise(test_accuracy).mean
        words.append(f"{prefix}training loss {_course(losses, 2)}, test accuracy {_course(accuracies, 3)}")
    highest = max(3 * float(np.nanmedian(history.train_loss)) + 0.7 for history in histories.values())
    loss_panel.set(xlabel="epoch", ylabel="categorical cross-entropy")
    drawn_to = loss_panel.get_ylim()[1]
    loss_panel.set_ylim(0, min(drawn_to, highest))
    accuracy_panel.set(xlabel="epoch", ylabel="accuracy")
    accuracy_panel.legend(frameon=False, fontsize=8)
    for panel in (loss_panel, accuracy_panel):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        light_grid(panel)
    repeats = repeats_left(*(history.train_loss[:, 0] for history in histories.values()))
    and_band = " and a band of 1 standard deviation" if repeats != "1" else ""
    return NamedFigure(
        name,
        figure,
        f"Training, {trained_on}: mean over n = {repeats} repeats{and_band}. Training values are means "
        f"over the epoch, with dropout{f'; losses above {highest:.2g} are cut off' if drawn_to > highest else ''}.",
        f"{'; '.join(words)}.",
    )


def _course(values: Float[np.ndarray, " epoch"], digits: int) -> str:
    """From the first to the last, in words."""
    first, last = (fixed(float(value), digits) for value in (values[0], values[-1]))
    if first == last:
        return f"ends as it began, at {last}"
    return f"{'falls' if values[-1] < values[0] else 'rises'} from {first} to {last}"
