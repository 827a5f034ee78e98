"""`galjax score PREDICTIONS`: how good anybody's predictions at reduced resolutions are, and how they compare."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from galjax.cli import flags
from galjax.cli.command import exit_code
from galjax.config.markers import OPTIONS, OUTPUT
from galjax.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from astropy.table import Table

DESCRIPTION = """Score predictions of galaxies whose images were shrunk and enlarged again: accuracy, area under the ROC curve, calibration
error and Brier score at every resolution, with 95 % intervals.

  galjax score predictions.csv --task resolution
  galjax score predictions.csv --against runs/robustness_benchmark/TIME

A row is one galaxy under one condition: columns id, factor, method, p_CLASS for every class, true (or --against), and repeat where there
are several."""
TASK_FILE, RESULTS_FILE = "task.csv", "results.ecsv"
"""What a run of experiments.robustness_benchmark leaves: which galaxies each repeat trains and tests on, and what its networks reach."""
SELECTIONS = ("validation", "last")
"""Epochs of a run's test_predictions.ecsv, the first that is there counts."""


@dataclasses.dataclass(frozen=True)
class Score:
    """The flags of the verb."""

    GROUP = OPTIONS
    task: Literal["resolution"] = "resolution"
    """What was predicted: galaxies at reduced resolutions (resolution)."""
    against: Path | None = None
    """Run folder of experiments.robustness_benchmark: its task.csv says what is to be predicted, and its networks are compared with."""
    out: Annotated[Path | None, OUTPUT] = None
    """File to write beside what is printed: the table of scores (.csv, .ecsv), or all of it (.md)."""

    def __post_init__(self) -> None:
        if self.out is not None and self.out.suffix not in (".csv", ".ecsv", ".md"):
            raise InputError(f"--out is a .csv, .ecsv or .md file, not {self.out}.")


def main(arguments: Sequence[str]) -> int:
    """Run the verb; gives its exit code."""

    def run() -> None:
        given = list(arguments)
        path = given.pop(0) if given and not given[0].startswith("-") else None
        config = flags.parse(Score(), given, "galjax score PREDICTIONS", DESCRIPTION)
        if path is None:
            raise InputError("galjax score needs a table of predictions: galjax score predictions.csv.")
        for line in scored(Path(path).expanduser(), config):
            print(line)

    return exit_code(run)


def scored(path: Path, config: Score) -> list[str]:
    """The scores in lines, written to `config.out` too. Raises InputError where predictions are not what they should be."""
    from galjax.analysis import scores

    table = _read(path, needs_truth=config.against is None)
    names = scores.classes_in(table.colnames)
    truth = None if config.against is None else _task(config.against.expanduser())
    if truth is not None:
        classes = {name.lower() for name in truth.values()}
        names = [name for name in names if name.lower() in classes]
        if len(names) < len(classes):
            raise InputError(
                f"{path.name} needs the columns {', '.join(f'p_{name}' for name in sorted(classes))}: the classes of the task."
            )
    try:
        answers = scores.answers_of(table, names, truth)
    except InputError as error:
        raise InputError(f"{path.name}: {error}") from error
    found, values = scores.score(answers)
    lines = [scores.markdown(found), "", scores.BASIS]
    counts = [len(one.ids) for one in answers.values()]
    if len(set(counts)) > 1:
        lines.append(f"Repeats and conditions have from {min(counts)} to {max(counts)} galaxies: are some missing?")
    if config.against is not None:
        lines += ["", *_compared(values, answers, config.against.expanduser())]
    if config.out is not None:
        _write(found, config.out.expanduser(), lines)
    return lines


def _read(path: Path, *, needs_truth: bool) -> "Table":
    from galjax.analysis.scores import classes_in
    from galjax.io.table_files import read_catalogue

    if not path.is_file():
        raise InputError(f"{path} is a folder, not a table." if path.is_dir() else f"There is no file {path}.")
    table = read_catalogue(path)
    missing = [name for name in ("id", *(["true"] if needs_truth else [])) if name not in table.colnames]
    if missing:
        there = ", ".join(table.colnames)
        way = " or give --against, a run that knows the classes" if missing == ["true"] else ""
        raise InputError(f"{path.name} has no column {missing[0]!r}; its columns are {there}. Add it{way}.")
    if len(classes_in(table.colnames)) < 2:
        raise InputError(
            f"{path.name} needs the probability of two or more classes, in columns p_CLASS: p_spiral, p_elliptical."
        )
    if "selection" in table.colnames:  # of our own: one epoch of them counts
        own = {str(value) for value in table["selection"]}
        chosen = next((one for one in SELECTIONS if one in own), None)
        table = table[[str(value) == chosen for value in table["selection"]]]
    return table


def _task(run: Path) -> Mapping[tuple[int, Any], str]:
    """The class of every test galaxy, by repeat and id."""
    from galjax.io.table_files import read_catalogue

    place = run / TASK_FILE
    if not place.is_file():
        raise InputError(f"{run} has no {TASK_FILE}: --against takes a run folder of experiments.robustness_benchmark.")
    return {
        (int(row["repeat"]), str(row["id"])): str(row["class"])
        for row in read_catalogue(place)
        if str(row["set"]) == "test"
    }


def _compared(values: Mapping[tuple[int, str], "np.ndarray"], answers: Mapping[Any, Any], run: Path) -> list[str]:
    """The differences in accuracy to every network of the run, in lines."""
    import numpy as np

    from galjax.analysis.scores import label_of, shared_by_ids
    from galjax.analysis.tables import markdown_table, rows_with
    from galjax.analysis.wording import NEW_GALAXIES, PAIRED, interval, signed
    from galjax.io.table_files import read_catalogue
    from galjax.statistics import compare_paired, leading

    theirs = read_catalogue(run / RESULTS_FILE)
    theirs = theirs[np.asarray(theirs["selection"]) == leading(theirs["selection"])]
    tested = {
        (int(factor), "" if factor == 1 else str(method)) for factor, method in theirs["factor", "method"].iterrows()
    }
    unknown = [condition for condition in values if condition not in tested]
    if unknown:
        there = ", ".join(map(label_of, sorted(tested)))
        raise InputError(
            f"The networks of {run} were not tested at {label_of(unknown[0])}, but at {there}. Leave those rows out."
        )
    repeats_there = set(theirs["repeat"].tolist())
    missing = [label_of(condition) for condition in sorted(tested) if condition not in values]
    missing += [f"repeat {repeat}" for repeat in sorted(repeats_there - {repeat for repeat, _ in answers})]
    entries = list(dict.fromkeys(zip(map(str, theirs["network"]), map(str, theirs["recipe"]), strict=True)))
    rows = []
    for condition, ours in values.items():
        factor, method = condition
        repeats = sorted(repeat for repeat, where in answers if where == condition)
        shared = shared_by_ids([answers[repeat, condition] for repeat in repeats])
        cells = []
        for network, recipe in entries:
            own = rows_with(theirs, network=network, recipe=recipe, factor=factor)
            own = own if factor == 1 else rows_with(own, method=method)
            known = dict(zip(own["repeat"].tolist(), own["accuracy"].tolist(), strict=True))
            pairs = np.array([known.get(repeat, np.nan) for repeat in repeats])
            found = compare_paired(ours[:, 0], pairs, shared if shared < 1 else 0.0)
            # Repeats on the same galaxies do not show how the difference varies with these.
            words = "no interval: the same galaxies" if shared == 1 else interval(found.low, found.high, found.n)
            cells.append(f"{signed(found.difference)} ({words})" if found.n else "-")
        rows.append([label_of(condition), *cells])
    header = ["accuracy above", *(f"{network}, {recipe}" for network, recipe in entries)]
    lines = [markdown_table(header, rows), "", f"Differences: {PAIRED}, 95 % intervals {NEW_GALAXIES}."]
    return [*lines, f"Not predicted: {', '.join(missing)}."] if missing else lines


def _write(found: "Table", out: Path, lines: Sequence[str]) -> None:
    """The table of scores, in Markdown with all that is printed."""
    from galjax.io.whole_files import replacing

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as partial:
            if out.suffix == ".md":
                partial.write_text("\n".join(lines) + "\n")
            else:
                found.write(partial, format="ascii.ecsv" if out.suffix == ".ecsv" else "ascii.csv", overwrite=True)
    except OSError as error:
        raise InputError(f"Cannot write {out} ({error.strerror}). Give another name, or make room.") from error
