"""What networks make of single classes and galaxies at every resolution, as a section of a report."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from galjax.analysis.cases import Case
from galjax.analysis.classes import Said, accuracy_against, classes_table, most_often_wrong, said_under
from galjax.draw import Draw
from galjax.report.figures.classes import accuracy_against_figure, roc_figure, wrong_gallery
from galjax.report.figures.confusion import confusion_figure
from galjax.report.figures.style import NamedFigure
from galjax.report.html import Section
from galjax.sample import GalaxySample
from galjax.training.conditions import ORIGINAL, Condition
from galjax.training.ensemble import HeldOut
from galjax.training.history import History

SHOWN = (0, 1, 3, 7)
"""Which of the resolutions, from the finest on, have a line of accuracy against a quantity: all would hide each other."""
MOST_WRONG = 16


class Seen(NamedTuple):
    """What was shown to the networks of the largest sample size, with one method."""

    pool: GalaxySample
    draw: Draw
    history: History
    conditions: Sequence[Condition]
    method: str

    def said(self) -> dict[str, Said]:
        """What they said, by resolution; nothing where that was not kept."""
        held_out = HeldOut(self.pool, np.asarray(self.draw.test))
        found = {
            condition.label: said_under(self.history, held_out, number)
            for number, condition in enumerate(self.conditions)
            if condition.method in (ORIGINAL.method, self.method)
        }
        return {label: said for label, said in found.items() if said is not None}


def classes_section(seen: Seen, cases: Sequence[Case]) -> Section:
    """Single classes and galaxies at every resolution, from the cases of these networks."""
    names, said = seen.pool.class_names, seen.said()
    own = [case for case in cases if case.keys["method"] in (ORIGINAL.method, seen.method)]
    confusions = {Condition(case.keys["factor"]).label: case.confusion() for case in own}
    what = f"networks trained at Original, tested at each resolution (enlarged with {seen.method})"
    figures: list[NamedFigure] = []
    if said:
        figures.append(roc_figure(said, names, seen.method))
        quantities = {
            "redshift": seen.pool.redshift,
            **{n: seen.pool.columns[n] for n in ("magnitude",) if n in seen.pool.columns},
        }
        shown = [label for number, label in enumerate(said) if number in SHOWN]
        binned = {
            quantity: {label: one for label in shown if (one := accuracy_against(said[label], values)) is not None}
            for quantity, values in quantities.items()
        }
        binned = {quantity: lines for quantity, lines in binned.items() if lines}
        if binned:
            figures.append(accuracy_against_figure(binned, seen.method))
        first = next(iter(said))
        wrong = most_often_wrong(said[first], MOST_WRONG)
        if wrong:
            figures.append(wrong_gallery(seen.pool, wrong, _named_most(said[first], names), f"at {first}"))
    folded = confusion_figure(confusions, [names] * len(confusions), "confusion", what)
    tables = {"Completeness and purity of each class": classes_table(cases, names)}
    return Section("Classes and galaxies", figures=tuple(figures), folded=(folded,), tables=tables)


def _named_most(said: Said, names: Sequence[str]) -> dict[int, str]:
    """The class that each galaxy is given most often, by its position."""
    predicted = said.probabilities.argmax(axis=-1)
    return {
        int(galaxy): names[int(np.bincount(predicted[said.chosen == galaxy], minlength=len(names)).argmax())]
        for galaxy in np.unique(said.chosen)
    }
