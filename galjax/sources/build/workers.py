"""Threads that do the jobs of a build side by side."""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from galjax.sources.archives.download import Stop, Stopped
from galjax.sources.build.survey import Job, Outcome


class Workers:
    """Threads that do jobs. They end with the program, so that a stalled connection does not hold it up."""

    def __init__(self, work: Callable[[Job], list[Outcome]], jobs: Sequence[Job], threads: int, stop: Stop) -> None:
        self._work, self._stop = work, stop
        self._todo: queue.SimpleQueue[Job] = queue.SimpleQueue()
        for job in jobs:
            self._todo.put(job)
        self._done: queue.SimpleQueue[tuple[Job, list[Outcome] | Exception]] = queue.SimpleQueue()
        self._left = len(jobs)
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(min(threads, len(jobs)))]

    def results(self) -> Iterator[tuple[Job, list[Outcome]]]:
        """Every job with its outcomes as they come. Raises what a worker raised."""
        for thread in self._threads:
            thread.start()
        while self._left:
            # A limit, so that signals are seen while nothing happens.
            with contextlib.suppress(queue.Empty):
                yield self._take(0.2)

    def wind_up(self, seconds: float) -> Iterator[tuple[Job, list[Outcome]]]:
        """What the jobs under way still give within so many seconds, while no new one is begun."""
        self._stop.soon.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            alive = any(thread.is_alive() for thread in self._threads)
            try:
                yield self._take(0.05)
            except queue.Empty:
                if not alive:
                    return

    def _take(self, timeout: float) -> tuple[Job, list[Outcome]]:
        job, result = self._done.get(timeout=timeout)
        self._left -= 1
        if isinstance(result, Exception):
            raise result
        return job, result

    def _run(self) -> None:
        while not self._stop.soon.is_set():
            try:
                job = self._todo.get_nowait()
            except queue.Empty:
                return
            try:
                self._done.put((job, self._work(job)))
            except Stopped:
                return
            except Exception as error:
                self._done.put((job, error))
                return
