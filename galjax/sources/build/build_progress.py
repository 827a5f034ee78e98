"""What a person at the terminal sees while a sample is built: galaxies done and failed, MB/s, time left."""

from galjax.terminal.progress import ConsoleLine


class ConsoleBuildProgress(ConsoleLine):
    """As `galjax.sources.build.pipeline.BuildProgress`, at the terminal."""

    def begin(self, done: int, failed: int, total: int) -> None:
        """Start the bar where an earlier build has stopped."""
        self.start_line("cutting out", "galaxy", done + failed, total)
        if done + failed:
            self.note(f"Resuming: {done} galaxies are cut out and {failed} have failed already")

    def advance(self, done: int, failed: int, received: int) -> None:
        """Move the bar, or print a line."""
        speed = received / 1e6 / self.elapsed
        self.move_line(done + failed, f"done {done}  failed {failed}  {speed:.1f} MB/s")
