"""The stand-in archives in a process of their own, so that they and a client do not wait for each other's interpreter."""

import contextlib
import dataclasses
import multiprocessing

from benchmarks.stand_in.server import Server
from benchmarks.stand_in.services import Archives, every_service_fault


def make_files(universe, folder):
    """Put every frame that can be asked for into a folder; gives their bytes on average."""
    archives = Archives(universe, folder)
    paths = [universe.das_path(number) for number in range(len(universe.fields))]
    for path in paths:
        archives.frame(f"/{path}")
    universe.make_frames(corrected=False)
    for path in list(universe.made):
        archives.frame(f"/{path}")
    return sum(len(archives.frame(f"/{path}")) for path in paths) / len(paths)


@contextlib.contextmanager
def serving(universe, folder, log, stall_seconds=60.0, *, faults=True):
    """Runs the archives of a universe whose files are in `folder`; gives the server's flags for build_sample."""
    # The files hold the light; without it, what goes to the other process is small.
    light = dataclasses.replace(universe, lights=[[] for _ in universe.fields], made={})
    if not faults:
        light = dataclasses.replace(light, faults={}, missing_in_sas=set())
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(light, folder, log, stall_seconds, faults, theirs), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send("stop")
        process.join(10)
        if process.is_alive():
            process.terminate()


def _serve(universe, folder, log, stall_seconds, faults, pipe):
    archives = Archives(universe, folder, service_faults=every_service_fault() if faults else None)
    with Server(archives, stall_seconds=stall_seconds, log=log) as server:
        pipe.send(server.addresses())
        pipe.recv()
