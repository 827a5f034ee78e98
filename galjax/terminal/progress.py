"""What a person at the terminal sees while something long runs: how far it is, what it measures, time left."""

import math
import time
from types import TracebackType
from typing import Protocol, TypeVar, runtime_checkable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from galjax.terminal.console import say

Line = TypeVar("Line", bound="ConsoleLine")
WIDE = 100
"""Columns from which on the line has a long bar, and the time that has passed."""


@runtime_checkable
class TrainingProgress(Protocol):
    """Told by the library how far a training is; what becomes of it is the caller's choice."""

    def note(self, text: str) -> None:
        """One line that stays."""

    def begin(self, label: str, done: int | float, total: int) -> None:
        """A training called `label` stands at epoch `done` of `total`."""

    def advance(self, epoch: int | float, loss: float, accuracy: float) -> None:
        """It has got to `epoch`, or within one on to the next; mean training loss and mean accuracy on the test galaxies at
        Original are those of the last evaluation, NaN before the first."""


class ConsoleLine:
    """A progress bar on a terminal; elsewhere (a log file, a batch job) a line every ten seconds. A context manager."""

    SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        wide = console.width >= WIDE
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24 if wide else 10),
            TextColumn("{task.fields[unit]} {task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[measured]}"),
            *([TimeElapsedColumn()] if wide else []),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=600,
        )
        self._room = console.width - len(f"{'':24}  0:00:00 left 0:00:00  " if wide else f"{'':10}  left 0:00:00  ")
        """Columns for the texts that are not always as long: label, count and what is measured."""
        self._longest_label = self._longest_count = 0
        self._task: TaskID | None = None
        self._label, self._unit, self._first, self._total = "", "", 0.0, 0
        self._began = self._last_line = time.monotonic()

    def __enter__(self: Line) -> Line:  # not Self, which beartype does not know here
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        say(self._console, text)

    def start_line(self, label: str, unit: str, done: int | float, total: int) -> None:
        """Start a new bar, which stands at `done` of `total` units of work."""
        self._task = self._add(label, unit, done, total)
        self._label, self._unit, self._first, self._total = label, unit, done, total
        self._began = self._last_line = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the bar was started, above 0."""
        return max(time.monotonic() - self._began, 1e-9)

    def move_line(self, done: int | float, measured: str) -> None:
        """Move the bar, or print a line where there is no terminal."""
        if self._task is not None:
            self._bar.update(self._task, completed=done, measured=self._fitting(measured))
        now = time.monotonic()
        due = now - self._last_line > self.SECONDS_BETWEEN_LINES or done >= self._total
        if due and not self._console.is_terminal:
            new = done - self._first
            left = f"{self.elapsed / new * (self._total - done):.0f} s left" if new > 0 else ""
            self.note(f"{self._label}: {self._unit} {math.floor(done)}/{self._total}  {measured}  {left}")
            self._last_line = now

    def _add(self, label: str, unit: str, done: int | float, total: int) -> TaskID:
        """A bar whose label is cut where there is no room for it; all bars share their columns."""
        count = f"{unit} {total}/{total}"
        self._longest_count = max(self._longest_count, len(count))
        room = max(self._room - self._longest_count, 1)
        shown = label if len(label) <= room else label[: room - 1] + "…"
        self._longest_label = max(self._longest_label, len(shown))
        return self._bar.add_task(escape(shown), total=total, completed=int(done), unit=unit, measured="")

    def _fitting(self, measured: str) -> str:
        """The last parts of what is measured, separated by two spaces, that there is room for."""
        room = self._room - self._longest_label - self._longest_count - 1
        parts = measured.split("  ")
        while parts and len("  ".join(parts)) > room:
            del parts[0]
        return "  ".join(parts)


class ConsoleProgress(ConsoleLine):
    """How far a training is, at the terminal."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._reading: TaskID | None = None

    def images_read(self, done: int, total: int) -> None:
        """Tell how many image files of a folder are read."""
        if self._reading is None:
            self._reading = self._add("reading images", "image", done, total)
        self._bar.update(self._reading, completed=done)

    def begin(self, label: str, done: int | float, total: int) -> None:
        """As `TrainingProgress.begin`."""
        self.start_line(label, "epoch", done, total)

    def advance(self, epoch: int | float, loss: float, accuracy: float) -> None:
        """As `TrainingProgress.advance`."""
        self.move_line(epoch, "" if math.isnan(loss) else f"loss {loss:.3f}  test accuracy {accuracy:.3f}")
