"""Processes with host devices of their own, which share nothing but the machine, and train when they are asked to."""

import contextlib
import multiprocessing
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

import jax

from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from galjax.errors import InputError
from galjax.training.execution import ExecutionConfig


class Apart:
    """Processes that are ready; any of them train at the same time."""

    def __init__(self, connections: list[Connection]) -> None:
        self._connections = connections

    def run(self, processes: Sequence[int]) -> None:
        """Train one epoch in those (numbered as they were started), and return when the last has done it."""
        chosen = [self._connections[number] for number in processes]
        for connection in chosen:
            with contextlib.suppress(BrokenPipeError):  # its end is reported below
                connection.send("run")
        for connection in chosen:
            _hear(connection)


@contextlib.contextmanager
def start_apart(problem: Problem, repeats: int, devices: Sequence[int]) -> Iterator[Apart]:
    """Start a process for every entry of `devices`, with so many host devices and `repeats` on each of them.

    They end with the block. Raises InputError where one ends before its work is done.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process that runs JAX's threads can hang
    pairs = [context.Pipe() for _ in devices]
    children = [
        context.Process(target=_train_when_asked, args=(theirs, problem, repeats, count), daemon=True)
        for (_, theirs), count in zip(pairs, devices, strict=True)
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


def _train_when_asked(connection: Connection, problem: Problem, repeats: int, devices: int) -> None:
    jax.config.update("jax_num_cpu_devices", devices)
    work = JaxRepeats(problem, repeats * devices, ExecutionConfig(), devices=devices)
    connection.send("ready")
    with contextlib.suppress(EOFError):  # the parent has gone
        while connection.recv():
            work.run()
            connection.send("done")
