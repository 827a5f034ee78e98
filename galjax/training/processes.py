"""Several processes, on several machines, as one run: joining them, what the first alone does, and ending together.

Every process runs the same program on the same galaxies and holds the repeats of its own devices. The first alone reads and
writes the run folder, and tells the others what they must know. They exchange something between chunks only, never while a
chunk trains.
"""

import ctypes
import itertools
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from galjax.config.settings import ProcessesConfig
from galjax.errors import InputError
from galjax.terminal.interrupts import handling

LOST = 1
"""Exit code where another process has gone."""


def join(config: ProcessesConfig) -> None:
    """Meet the other processes, before JAX is first asked for its devices. Raises InputError where that fails."""
    if not config.are_several:
        return
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            config.coordinator,
            config.process_count,
            config.process_id,
            shutdown_timeout_seconds=3600,  # the others wait there while the first draws figures
        )
    except (ValueError, RuntimeError) as error:
        where = (
            f"the coordinator {config.coordinator}: is process 0 running there, and is the port free and open?"
            if config.coordinator
            else "other processes by --distributed auto: was the command started by srun or mpirun? Elsewhere give "
            "--coordinator, --process-id and --process-count."
        )
        raise InputError(f"Could not reach {where} ({str(error).splitlines()[0]})") from error


def count() -> int:
    """Number of processes."""
    return jax.process_count()


def is_first() -> bool:
    """Whether this process is the one that writes and prints."""
    return jax.process_index() == 0


def barrier() -> None:
    """Wait until every process has come here, however long some of them compute.

    To be called before each exchange: JAX's collectives give up where a process is half a minute late.
    """
    from orbax.checkpoint import multihost

    wait = multihost.get_barrier_sync_fn()  # does nothing where there is one process
    wait(key=f"galjax_{next(_barriers)}", timeout_ms=PATIENCE_SECONDS * 1000)


_barriers = itertools.count()
PATIENCE_SECONDS = 24 * 3600
"""A process that has died is noticed within JAX's heartbeat, long before."""


def on_first(task: Callable[[], Any]) -> Any:
    """Do something in the first process alone, and give what it returned (plain JSON values) in all of them.

    An InputError there is raised in all of them.
    """
    if count() == 1:
        return task()
    told = b""
    if is_first():
        try:
            told = json.dumps({"value": task()}).encode()
        except InputError as error:
            told = json.dumps({"error": str(error)}).encode()
    said = json.loads(broadcast(told))
    if "error" in said:
        raise InputError(said["error"])
    return said["value"]


def broadcast(content: bytes) -> bytes:
    """The bytes that the first process has, in all processes."""
    if count() == 1:
        return content
    from jax.experimental import multihost_utils

    barrier()
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
    buffer = np.zeros(size, np.uint8)
    if is_first():
        buffer[:] = np.frombuffer(content, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(buffer)).astype(np.uint8).tobytes()


def all_reduce_max(number: int) -> int:
    """The largest of the numbers that the processes have."""
    if count() == 1:
        return number
    from jax.experimental import multihost_utils

    barrier()
    return int(np.max(multihost_utils.process_allgather(np.int32(number))))


def is_lost(error: BaseException) -> bool:
    """Whether the error is that another process has gone."""
    signs = ("gloo", "closed by peer", "heartbeat", "coordination", "barrier", "nccl", "unavailable")
    return count() > 1 and isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)


LOST_SENTENCE = (
    "Another process of this job has ended or cannot be reached any more, so this one ends too. Run the same command again, "
    "on as many processes and devices as you like, to resume from the last checkpoint."
)


def supervised(command: Callable[[], int], say: Callable[[str], None]) -> int:
    """Run a command that joins other processes in a child process, and give its exit code.

    JAX aborts a process whose coordinator has gone, or that computes while another one dies, without asking Python: only
    a parent can then say what has happened.
    """
    if not hasattr(os, "fork"):
        return command()
    sys.stdout.flush()
    sys.stderr.flush()
    parent, child = os.getpid(), os.fork()
    if child == 0:
        _end_with(parent)
        os.setpgid(0, 0)  # Ctrl-C at a terminal reaches the parent alone, which passes it on once
        try:
            code = command()
        except BaseException:
            traceback.print_exc()
            code = 1
        _leave(code)

    with handling(lambda number: os.kill(child, number), again_ends=False):
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code >= 0:
        return code
    if code == -signal.SIGABRT:
        say(LOST_SENTENCE)
        return LOST
    say(f"Ended by {signal.Signals(-code).name}. Run the same command again to resume from the last checkpoint.")
    return 128 - code


def _leave(code: int) -> None:
    """End this process. After a failure at once: to part from the others in order, all must have come to their end."""
    sys.stdout.flush()
    sys.stderr.flush()
    if code == 0:
        jax.distributed.shutdown()
    elif is_first():
        time.sleep(2)  # What all have run into the others can say too, before their coordinator goes.
    os._exit(code)


def _end_with(parent: int) -> None:
    """Have this process killed when its parent dies, where the system can do that (Linux)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(LOST)
