"""Processes that share nothing but the machine: what as many devices at once can be expected to take."""

import contextlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.connection import Connection

from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from galjax.errors import InputError
from galjax.execution import ExecutionConfig


class Apart:
    """Processes of one host device, each with repeats of its own; as many as wanted train at the same time."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    def run(self, processes: int) -> None:
        """Train one epoch in the first so many, and return when the last has done it."""
        chosen = self._connections[:processes]
        for connection in chosen:
            with contextlib.suppress(BrokenPipeError):  # its end is told of below
                connection.send("run")
        for connection in chosen:
            _hear(connection)


@contextlib.contextmanager
def start_apart(problem: Problem, repeats: int, processes: int) -> Iterator[Apart]:
    """Start so many processes; they end with the block. Raises InputError where one ends before its work is done."""
    context = multiprocessing.get_context("spawn")  # a fork of a process that runs JAX's threads can hang
    pairs = [context.Pipe() for _ in range(processes)]
    children = [
        context.Process(target=_train_when_asked, args=(theirs, problem, repeats), daemon=True) for _, theirs in pairs
    ]
    try:
        for child, (_, theirs) in zip(children, pairs, strict=True):
            child.start()
            theirs.close()
        for ours, _ in pairs:
            _hear(ours)
        yield Apart([ours for ours, _ in pairs])
    finally:
        for child in children:
            child.kill()
            child.join()


def _hear(connection: Connection) -> None:
    try:
        connection.recv()
    except (EOFError, ConnectionResetError):
        raise InputError(
            "A process that was to train beside the others has ended: is there memory for them? Give fewer --devices."
        ) from None


def _train_when_asked(connection: Connection, problem: Problem, repeats: int) -> None:
    work = JaxRepeats(problem, repeats, ExecutionConfig(), devices=1)
    connection.send("ready")
    with contextlib.suppress(EOFError):  # the parent has gone
        while connection.recv():
            work.run()
            connection.send("done")
