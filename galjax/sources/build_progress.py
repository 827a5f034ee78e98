"""What a person at the terminal sees while a sample is built: galaxies done and failed, MB/s, time left."""

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ConsoleBuildProgress:
    """A bar on a terminal; elsewhere (a log file, a batch job) a line every ten seconds. A context manager."""

    SECONDS_BETWEEN_LINES = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("galaxies {task.completed:.0f}/{task.total:.0f}  {task.fields[measured]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            speed_estimate_period=300,
        )
        self._task: TaskID | None = None
        self._total = self._first = 0
        self._began = self._last_line = time.monotonic()

    def __enter__(self) -> "ConsoleBuildProgress":
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, done: int, failed: int, total: int) -> None:
        """Start the bar where an earlier build has stopped."""
        self._total, self._first = total, done + failed
        self._began = self._last_line = time.monotonic()
        self._task = self._bar.add_task("cutting out", total=total, completed=self._first, measured="")
        if self._first:
            self.note(f"Going on: {done} galaxies are cut out and {failed} have failed already")

    def advance(self, done: int, failed: int, received: int) -> None:
        """Move the bar, or print a line where there is no terminal."""
        now = time.monotonic()
        elapsed = max(now - self._began, 1e-9)
        measured = f"failed {failed}  {received / 1e6 / elapsed:.1f} MB/s"
        if self._task is not None:
            self._bar.update(self._task, completed=done + failed, measured=measured)
        finished = done + failed >= self._total
        if not self._console.is_terminal and (now - self._last_line > self.SECONDS_BETWEEN_LINES or finished):
            left = elapsed / max(done + failed - self._first, 1) * (self._total - done - failed)
            self.note(f"galaxies {done + failed}/{self._total}  done {done}  {measured}  {left:.0f} s left")
            self._last_line = now
