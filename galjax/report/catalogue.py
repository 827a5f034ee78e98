"""What is to be seen of a catalogue: counts, probabilities, galaxies, flags, and how far its probabilities can be trusted."""

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float, Shaped

from galjax.analysis.wording import fixed
from galjax.calibration import Reliability, reliability
from galjax.catalogue.stamps import Stamper
from galjax.io.whole_files import write_whole
from galjax.report.figures.catalogue import (
    coverage_curves,
    probability_histograms,
    reliability_diagrams,
    surest_and_least_sure,
)
from galjax.report.html import Chapter, Report, Section, render
from galjax.training.classify import FLAGS, UNCALIBRATED, UNLIKE, Classifier, count_flags
from galjax.training.conditions import Condition

CONFIDENT = 0.9
"""Galaxies are named with confidence from this probability on."""
IN_GALLERY = 8
MANY_UNLIKE = 0.1
"""Share of galaxies that are unlike those of the training from which on a warning is given."""
ACCURACY_OF = "the mean accuracy of single networks, on their own test galaxies seen at that resolution"


class Rows(NamedTuple):
    """What the report needs of the catalogue's columns."""

    ids: Shaped[np.ndarray, " galaxy"]
    named: Shaped[np.ndarray, " galaxy"]
    """The class; empty for none."""
    probabilities: Float[np.ndarray, "galaxy class"]
    uncalibrated: Float[np.ndarray, "galaxy class"] | None
    factor: Float[np.ndarray, " galaxy"]
    expected: Float[np.ndarray, " galaxy"]
    flags: Shaped[np.ndarray, " galaxy"]
    given: Shaped[np.ndarray, " galaxy"] | None
    """The class that a galaxy was given with; empty for none. None where nobody has labelled the galaxies."""


def rows_of(column: Any, names: Sequence[str], columns: Sequence[str]) -> Rows:
    """The columns that `column` gives by their names, of those that there are."""

    def of_classes(prefix: str) -> Float[np.ndarray, "galaxy class"]:
        return np.stack([np.asarray(column(f"{prefix}{name}"), np.float64) for name in names], axis=1)

    def text(name: str) -> Shaped[np.ndarray, " galaxy"]:
        return np.asarray(column(name)).astype(np.str_)

    return Rows(
        np.asarray(column("id")),
        text("class"),
        of_classes("p_"),
        of_classes(UNCALIBRATED) if f"{UNCALIBRATED}{names[0]}" in columns else None,
        np.asarray(column("factor"), np.float64),
        np.asarray(column("expected_accuracy"), np.float64),
        np.asarray(column("flags")),
        text("label") if "label" in columns else None,
    )


def conclusions_of(
    rows: Rows, classifier: Classifier, shares: Mapping[str, float], *, is_assumed: bool = False
) -> list[str]:
    """What the catalogue says, in sentences. `shares` are estimated or given ones; empty for none.

    `is_assumed`: whether nothing says what the resolution is.
    """
    names, count = classifier.class_names, len(rows.named)
    counts = collections.Counter(rows.named.tolist())
    classified = count - counts[""]
    if not classified:
        return [f"None of {count:,} galaxies could be classified: {_reasons(rows)}."]
    said = [
        f"{classified:,} of {count:,} galaxies are classified: "
        + ", ".join(f"{name} {counts[name]:,} ({counts[name] / classified:.1%})" for name in names)
        + "."
    ]
    if shares:
        said.append(
            "Shares of the classes: " + ", ".join(f"{name} {share:.3f}" for name, share in shares.items()) + "."
        )
    known = rows.factor[np.isfinite(rows.factor)]
    ends = [_share_of_training(factor) for factor in sorted({known.min(), known.max()})]
    expected = rows.expected[np.isfinite(rows.expected)]
    where = f"Their resolution is {' to '.join(ends)}"
    if is_assumed:
        where = (
            f"Their resolution is taken to be {' to '.join(ends)}, as no pixel scale is known (--pixel-scale, --factor)"
        )
    if len(expected):
        calibrated = "calibrated" if classifier.seen.calibrated else "not calibrated"
        span = (
            fixed(expected.min()) if np.ptp(expected) < 5e-4 else f"{fixed(expected.min())} to {fixed(expected.max())}"
        )
        said.append(f"{where}; the accuracy to expect there is {span} ({ACCURACY_OF}, {calibrated}).")
    else:
        said.append(f"{where}, at which the networks were not tested: no accuracy can be expected.")
    said += _against_labels(rows, classifier)
    flagged = count_flags(rows.flags)
    unlike = flagged.get(UNLIKE, 0) / classified
    if unlike > MANY_UNLIKE:
        said.append(
            f"Warning: {unlike:.0%} are unlike the training images, so that the accuracy to expect is that of other galaxies. Check units, sky "
            f"and pixel scale."
        )
    if flagged:
        said.append("Flags: " + "; ".join(f"{bit} ({FLAGS[bit]}): {n:,}" for bit, n in flagged.items()) + ".")
    return said


def _share_of_training(factor: float) -> str:
    if factor <= 1:
        return "that of the training images" if factor == 1 else "better than the training's, and reduced to it"
    return f"1/{factor:.3g} of the training's"


def _against_labels(rows: Rows, classifier: Classifier) -> list[str]:
    measured = found_accuracy(rows, classifier.class_names)
    if not measured:
        return []
    (count, after), before = measured["calibrated"], measured.get("as trained")
    said = f"{count:,} of them were given with one of these classes. Of these "
    if before is not None:
        said += (
            f"{fixed(before[1].accuracy)} are named right as trained (calibration error {fixed(before[1].error())}) and "
            f"{fixed(after.accuracy)} calibrated (calibration error {fixed(after.error())})."
        )
    else:
        said += f"{fixed(after.accuracy)} are named right (calibration error {fixed(after.error())})."
    return [said]


def found_accuracy(rows: Rows, names: Sequence[str]) -> dict[str, tuple[int, Reliability]]:
    """How often galaxies that were given with a class are named so: "calibrated" (or all there is) and "as trained"; with their number."""
    if rows.given is None:
        return {}
    number = {name: index for index, name in enumerate(names)}
    labels = np.array([number.get(name, -1) for name in rows.given.tolist()])
    some = (labels >= 0) & (rows.named != "")
    if not some.any():
        return {}
    both = {"calibrated": rows.probabilities, "as trained": rows.uncalibrated}
    return {
        name: (int(some.sum()), reliability(values[some], labels[some]))
        for name, values in both.items()
        if values is not None
    }


def write(path: Path, rows: Rows, stamper: Stamper, classifier: Classifier, about: Mapping[str, Any]) -> None:
    """Write the report. `about` are conclusions, excluded, provenance and environment, as `Report` has them."""
    title = "A catalogue of galaxies"
    chapter = Chapter(
        "catalogue",
        title,
        "",
        tuple(about["conclusions"]),
        (_galaxies(rows, classifier), *_to_look_at(rows, stamper, classifier), *_trust(rows, classifier)),
    )
    question = "Which class is each galaxy of, how sure is that, and how often will it be right?"
    report = Report(title, question, [chapter], about["excluded"], about["provenance"], about["environment"])
    write_whole(path, render(report).encode())


def _galaxies(rows: Rows, classifier: Classifier) -> Section:
    names = classifier.class_names
    counts = collections.Counter(rows.named.tolist())
    sure = rows.probabilities.max(axis=1)
    by_class = Table(
        [
            [*names, "not classified"],
            [*(counts[name] for name in names), counts[""]],
            [*(int((sure[rows.named == name] >= CONFIDENT).sum()) for name in names), 0],
        ],
        names=["class", "galaxies", f"probability at least {CONFIDENT}"],
    )
    tables = {"Galaxies of each class": by_class}
    flagged = count_flags(rows.flags)
    if flagged:
        tables["Flags"] = Table(
            [list(flagged), [FLAGS[bit] for bit in flagged], list(flagged.values())],
            names=["bit", "meaning", "galaxies"],
        )
    histograms = probability_histograms({name: rows.probabilities[:, n] for n, name in enumerate(names)})
    return Section("Classes", (), (histograms,), tables)


def _to_look_at(rows: Rows, stamper: Stamper, classifier: Classifier) -> list[Section]:
    figures = []
    for number, name in enumerate(classifier.class_names):
        here = np.flatnonzero(rows.named == name)
        if not len(here):
            continue
        order = here[np.argsort(-rows.probabilities[here, number], kind="stable")]
        surest, least = order[:IN_GALLERY], order[::-1][:IN_GALLERY]
        shown = [
            [
                (f"{rows.probabilities[n, number]:.3f}\n{rows.ids[n]}", cut.stamp)
                for n in chosen.tolist()
                if (cut := stamper.cut(n)).stamp is not None
            ]
            for chosen in (surest, least)
        ]
        figures.append(surest_and_least_sure(name, *shown))
    return [Section("Galaxies to look at", (), tuple(figures))] if figures else []


def _trust(rows: Rows, classifier: Classifier) -> list[Section]:
    sections = []
    by_factor = {factor: classifier.measured_at(factor) for factor in classifier.factors_tested}
    known = {Condition(factor).label: one.reliability for factor, one in by_factor.items() if one.reliability}
    if known:
        table = Table(rows=[row for name, both in known.items() for row in _measured_rows(name, both)])
        text = (
            "Calibration at the resolution of the galaxies needs no label of theirs: the networks' own test galaxies are degraded to it, and "
            "temperature and bias of each network fitted there. A network's own probability is then right as often as it says, as far "
            "as the galaxies are like those of the training but for their resolution. The mean over networks that disagree lies nearer to the "
            "middle, and may be right more often than it says.",
        )
        after = {name: both[1] for name, both in known.items()}
        figures = (reliability_diagrams(known), coverage_curves(after))
        sections.append(
            Section("Calibration at each resolution", text, figures, {"Single networks on their test galaxies": table})
        )
    found = found_accuracy(rows, classifier.class_names)
    if found:
        table = Table(rows=[_measured_row("this catalogue", name, one) for name, (_, one) in found.items()])
        both = [found[name][1] for name in ("as trained", "calibrated") if name in found]
        diagrams = [reliability_diagrams({"this catalogue": both})] if len(both) == 2 else []
        text = (
            "Means over repeats against the classes that galaxies were given with; no label has a part in their probabilities.",
        )
        sections.append(Section("Against the labels given", text, tuple(diagrams), {"Against the labels given": table}))
    return sections


def _measured_rows(name: str, both: Sequence[Reliability]) -> list[dict[str, Any]]:
    return [_measured_row(name, how, one) for how, one in zip(("as trained", "calibrated"), both, strict=True)]


def _measured_row(name: str, how: str, one: Reliability) -> dict[str, Any]:
    share, right = one.confident(CONFIDENT)
    return {
        "seen at": name,
        "probabilities": how,
        "accuracy": one.accuracy,
        "calibration error": one.error(),
        "Brier score": one.brier,
        f"share from {CONFIDENT} on": share,
        "accuracy among them": right,
    }


def _reasons(rows: Rows) -> str:
    return "; ".join(f"{FLAGS[bit]}: {n:,}" for bit, n in count_flags(rows.flags).items()) or "there are none"
