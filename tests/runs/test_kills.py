"""A run that is killed at any moment, and resumed each time, equals one that nothing disturbed, bit for bit.

    pytest -m slow tests/test_kills.py -s -n 0      # 25 kills; 6 minutes on 2 CPU cores

The moments are drawn by a seed: of every four kills one comes at a random time after the process has begun to train, one as soon
as a checkpoint is being written, one a little later, and one while the final tables, figures and the report are written.
"""

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from galjax.training.ensemble import load

ROOT = Path(__file__).resolve().parents[2]
SWEEP = (
    "--simulated.galaxies 120 --simulated.image-size 32 --per-class 15 20 --repeats 3 --epochs 120 "
    "--evaluate-every 2 --factors 2 4 --filters 4 4 4 --dense-units 16 --checkpoint-seconds 0 "
    "--keep-ensemble all"
).split()
MOMENTS = ("while training", "as a checkpoint begins", "during a checkpoint", "in the final report")


def command(out):
    return [sys.executable, "-m", "experiments.resolution_sweep", *SWEEP, "--out", str(out)]


def is_new(paths, since):
    """Whether one of them was made by this process, not by one that was killed before."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):  # gone, or renamed, meanwhile
            if path.stat().st_mtime >= since:
                return True
    return False


def checkpoint_begins(out, since):
    return is_new(out.glob("checkpoints/*/*.orbax-checkpoint-tmp*"), since)


def report_begins(out, since):
    return is_new([out / "results.ecsv"], since)


def training_begins(out, since):
    return is_new(out.glob(".lock.json"), since) and any(out.glob("checkpoints/*/"))


BEGINNINGS = dict(zip(MOMENTS, (training_begins, checkpoint_begins, checkpoint_begins, report_begins), strict=True))
LONGEST_DELAY = dict(zip(MOMENTS, (4.0, 0.0, 0.05, 2.0), strict=True))


def run_and_kill(out, moment, delay):
    """Start the command, kill it at the moment; whether it was killed before it ended by itself."""
    since = time.time()
    process = subprocess.Popen(command(out), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 1200
        while process.poll() is None and not BEGINNINGS[moment](out, since):
            assert time.monotonic() < deadline, moment
            time.sleep(0.002)
        time.sleep(delay)
    finally:
        process.kill()
        _, error = process.communicate()
    assert process.returncode in (0, -signal.SIGKILL), error
    return process.returncode != 0


def run_to_the_end(out):
    done = subprocess.run(command(out), cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def assert_same_run(out, undisturbed):
    for name in ("results.ecsv", "summary.ecsv", "methods.ecsv", "excluded.ecsv"):
        assert (out / name).read_bytes() == (undisturbed / name).read_bytes(), name
    with np.load(out / "history.npz") as ours, np.load(undisturbed / "history.npz") as theirs:
        assert ours.files == theirs.files
        for name in ours.files:
            np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    ours, theirs = load(out), load(undisturbed)
    assert ours.about == theirs.about
    jax.tree.map(np.testing.assert_array_equal, ours.parameters, theirs.parameters)


def survive(kills, seed, tmp_path, undisturbed):
    """Kill so many runs, and compare each that got to its end; gives what happened."""
    drawn, happened, runs = random.Random(seed), [], 0
    while len(happened) < kills:
        runs += 1
        out = tmp_path / f"run_{runs}"
        for moment in (*MOMENTS[:3] * 2, MOMENTS[3]):
            delay = drawn.uniform(0, LONGEST_DELAY[moment])
            if len(happened) < kills and run_and_kill(out, moment, delay):
                happened.append((moment, round(delay, 3)))
                print(f"kill {len(happened)}: {moment}, after {delay:.3f} s", flush=True)
        run_to_the_end(out)
        assert_same_run(out, undisturbed)
        assert not list(out.rglob("*.orbax-checkpoint-tmp*"))
        assert not list(out.rglob("*.partial"))
    return happened


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("kills") / "undisturbed"
    run_to_the_end(out)
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "seed"), [(25, 2026)])
def test_a_run_killed_at_random_moments_equals_an_undisturbed_one(tmp_path, undisturbed, kills, seed):
    happened = survive(kills, seed, tmp_path, undisturbed)
    assert len(happened) == kills
    assert {moment for moment, _ in happened} == set(MOMENTS)
