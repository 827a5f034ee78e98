import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table

import galjax
from galjax.errors import InputError
from galjax.training import placement, processes
from galjax.training.processes import LOST_SENTENCE, ProcessesConfig

ROOT = Path(__file__).resolve().parents[2]
SWEEP = (
    "--simulated.galaxies 120 --simulated.image-size 32 --per-class 20 --repeats 5 --factors 2 4 "
    "--filters 4 4 4 --dense-units 16"
).split()


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ({"coordinator": "node1:1234"}, "go together: give all three, or none"),
        ({"process_id": 0, "process_count": 2}, "go together"),
        ({"coordinator": "node1", "process_id": 0, "process_count": 2}, "is host:port, like node1:12345, not 'node1'"),
        ({"coordinator": "node1:x", "process_id": 0, "process_count": 2}, "is host:port"),
        ({"coordinator": "node1:99999", "process_id": 0, "process_count": 2}, "is host:port"),
        ({"coordinator": "node1:1234", "process_id": 2, "process_count": 2}, r"must lie in 0\.\.1 .* not 2"),
        (
            {"coordinator": "a:1", "process_id": 0, "process_count": 1, "distributed": "auto"},
            "finds the processes by itself",
        ),
    ],
)
def test_bad_flags_get_a_sentence(flags, sentence):
    with pytest.raises(InputError, match=sentence):
        ProcessesConfig(**flags)


def test_one_process_is_the_first_and_asks_nobody():
    assert not ProcessesConfig().are_several
    assert ProcessesConfig(distributed="auto").are_several
    processes.join(ProcessesConfig())
    assert (processes.count(), processes.is_first()) == (1, True)
    assert processes.on_first(lambda: [1, "a"]) == [1, "a"]
    assert processes.broadcast(b"abc") == b"abc"
    assert processes.all_reduce_max(7) == 7
    assert not processes.is_lost(RuntimeError("Gloo AllGather failed: Connection closed by peer"))


def test_what_travels_between_processes_is_cut_into_blocks(monkeypatch):
    monkeypatch.setattr(placement, "BLOCK_BYTES", 100)
    assert placement._blocks(slice(3, 10), (20, 10), np.float32) == [
        slice(3, 5),
        slice(5, 7),
        slice(7, 9),
        slice(9, 10),
    ]
    assert placement._blocks(slice(0, 2), (2, 1000), np.float32) == [slice(0, 1), slice(1, 2)]
    assert placement._blocks(slice(0, 2), (2,), np.float32) == [slice(0, 2)]


@pytest.mark.parametrize("code", [0, 2, 143])
def test_the_exit_code_of_a_supervised_command_passes_through(code):
    script = (
        f"from galjax.training.processes import supervised\nimport sys\nsys.exit(supervised(lambda: {code}, print))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=600).returncode == code


@pytest.mark.parametrize(
    ("number", "code", "sentence"),
    [("SIGABRT", 1, LOST_SENTENCE), ("SIGKILL", 137, "Ended by SIGKILL. Run the same command again")],
)
def test_a_supervised_command_that_dies_is_told_of(number, code, sentence):
    script = (
        "from galjax.training.processes import supervised\nimport os, signal, sys\n"
        f"sys.exit(supervised(lambda: os.kill(os.getpid(), signal.{number}), print))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=600, capture_output=True, text=True)
    assert done.returncode == code
    assert sentence in done.stdout


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(out, *flags, devices=2, processes=1, out_of_second=None, program=("-m", "experiments.resolution_sweep")):
    """The sweep in so many processes of so many host devices each."""
    environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}"}
    coordinator = f"127.0.0.1:{free_port()}"
    started = []
    for n in range(processes):
        place = out_of_second if n and out_of_second else out
        together = ["--coordinator", coordinator, "--process-id", n, "--process-count", processes]
        command = [
            *program,
            *SWEEP,
            "--checkpoint-seconds",
            0,
            "--out",
            place,
            *flags,
            *(together if processes > 1 else []),
        ]
        started.append(launch([str(word) for word in command], environment))
    return started


def launch(command, environment):
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(started):
    ended = []
    try:
        for process in started:
            output, error = process.communicate(timeout=1800)
            ended.append((process.returncode, output, error))
    finally:
        for process in started:
            process.kill()
            process.communicate()
    return ended


def assert_same_results(out, reference, epochs):
    """Equal up to float32 rounding, which differs between programs and which training amplifies.

    After 6 epochs losses agree to 1e-5 and every count is the same; after 120, losses to 1e-2, and no accuracy differs by
    more than one of the 12 test galaxies of a repeat.
    """
    short = epochs == SHORT
    ours, theirs = (Table.read(folder / "results.ecsv") for folder in (out, reference))
    np.testing.assert_allclose(ours["accuracy"], theirs["accuracy"], atol=0 if short else 1.01 / 12)
    with np.load(out / "history.npz") as ours, np.load(reference / "history.npz") as theirs:
        assert ours.files == theirs.files
        for name in ("train_loss", "test_loss"):
            np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-5 if short else 1e-2, err_msg=name)
        if short:
            np.testing.assert_array_equal(ours["test_confusion"], theirs["test_confusion"])


SHORT = ["--epochs", "6", "--evaluate-every", "2"]
LONG = ["--epochs", "120", "--evaluate-every", "2"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Run folders of one process with one device, by flags."""
    made = {}

    def of(flags):
        key = tuple(flags)
        if key not in made:
            out = tmp_path_factory.mktemp("alone") / "run"
            ((code, _, error),) = finish(start(out, *flags, devices=1))
            assert code == 0, error
            made[key] = out
        return made[key]

    return of


@pytest.mark.slow
@pytest.mark.parametrize("devices", [2, 4, 8])
def test_devices_of_one_process_give_the_same_results(tmp_path, alone, devices):
    ((code, _, error),) = finish(start(tmp_path / "run", *SHORT, devices=devices))
    assert code == 0, error
    assert_same_results(tmp_path / "run", alone(SHORT), SHORT)


@pytest.mark.slow
def test_two_processes_of_two_devices_equal_one(tmp_path, alone):
    first, second = finish(start(tmp_path / "run", *SHORT, processes=2))
    assert first[0] == second[0] == 0, first[2] + second[2]
    assert "Results: " in first[1]
    assert "accuracy" not in second[1]  # the first alone prints
    assert_same_results(tmp_path / "run", alone(SHORT), SHORT)
    assert len(galjax.load(tmp_path / "run").accuracy()) == 5


def wait_for_checkpoint(out, started):
    deadline = time.monotonic() + 900
    while not any(path.name.isdigit() for path in out.glob("checkpoints/per_class_20/*")):
        assert all(process.poll() is None for process in started), finish(started)
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_others_and_one_process_goes_on(tmp_path, alone, victim):
    out = tmp_path / "run"
    started = start(out, *LONG, processes=2)
    wait_for_checkpoint(out, started)
    started[victim].send_signal(signal.SIGKILL)
    code, _, error = finish(started)[1 - victim]
    assert code == 1, error
    assert error.rstrip().endswith(LOST_SENTENCE), error
    assert not (out / "results.ecsv").exists()
    ((code, told, error),) = finish(start(out, *LONG, devices=1))
    assert code == 0, error
    assert "resuming at epoch" in told
    assert_same_results(out, alone(LONG), LONG)


@pytest.mark.slow
@pytest.mark.parametrize(("first", "then"), [((1, 4), (1, 3)), ((2, 2), (1, 1)), ((1, 1), (2, 2))])
def test_a_stopped_run_goes_on_with_other_processes_and_devices(tmp_path, alone, first, then):
    """(processes, devices of each)."""
    out = tmp_path / "run"
    started = start(out, *LONG, processes=first[0], devices=first[1])
    wait_for_checkpoint(out, started)
    started[-1].send_signal(signal.SIGTERM)
    for code, _, error in finish(started):
        assert code == 128 + signal.SIGTERM, error
        assert "Stopped by SIGTERM. Run the same command again" in error
    ended = finish(start(out, *LONG, processes=then[0], devices=then[1]))
    assert [code for code, _, _ in ended] == [0] * then[0], ended
    assert "resuming at epoch" in ended[0][1]
    assert_same_results(out, alone(LONG), LONG)


@pytest.mark.slow
def test_a_refusal_of_the_first_process_ends_all(tmp_path):
    (tmp_path / "mine.txt").write_text("years of work")
    for code, _, error in finish(start(tmp_path, *SHORT, processes=2)):
        assert code == 2
        assert "no readable run of this program" in error
    assert os.listdir(tmp_path) == ["mine.txt"]


@pytest.mark.slow
def test_processes_that_share_no_disk_are_one_run_and_the_folder_of_the_first_is_whole(tmp_path, alone):
    """What `placement` is for: the first process writes all repeats, of which the others hold some."""
    out, elsewhere = tmp_path / "run", tmp_path / "other_disk" / "run"
    started = start(out, *LONG, processes=2, out_of_second=elsewhere)
    wait_for_checkpoint(out, started)
    started[1].send_signal(signal.SIGKILL)
    assert finish(started)[0][0] == 1
    ended = finish(start(out, *LONG, processes=2, out_of_second=elsewhere))
    assert [code for code, _, _ in ended] == [0, 0], ended
    assert "resuming at epoch" in ended[0][1]
    assert not elsewhere.exists()
    assert_same_results(out, alone(LONG), LONG)


ORBAX_ALONE = """
import sys
import jax, numpy as np, orbax.checkpoint as ocp
from pathlib import Path
number, coordinator, folder = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
jax.config.update("jax_cpu_collectives_implementation", "gloo")
jax.distributed.initialize(coordinator, 2, number)
rows = jax.sharding.NamedSharding(jax.make_mesh((2,), ("repeat",)), jax.sharding.PartitionSpec("repeat"))
array = jax.make_array_from_callback((2, 3), rows, lambda index: np.arange(6.0, dtype=np.float32).reshape(2, 3)[index])
with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(folder / "saved", {"array": array})
"""


@pytest.mark.slow
@pytest.mark.parametrize("disks", [1, 2])
def test_orbax_alone_needs_a_disk_that_all_processes_share(tmp_path, disks):
    """Each process writes its own rows; without a shared disk no folder ever holds all of them, and the writing never ends."""
    folders = [tmp_path / f"disk_{n % disks}" for n in range(2)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"}
    coordinator = f"127.0.0.1:{free_port()}"
    started = [launch(["-c", ORBAX_ALONE, str(n), coordinator, str(folders[n])], environment) for n in range(2)]
    if disks == 1:
        assert [code for code, _, _ in finish(started)] == [0, 0]
        assert (folders[0] / "saved").is_dir()
        return
    deadline = time.monotonic() + 60  # where the disk is shared, all is over after some 6 s
    while time.monotonic() < deadline and any(process.poll() is None for process in started):
        time.sleep(0.1)
    for process in started:
        process.kill()
    codes = [code for code, _, _ in finish(started)]
    assert 0 not in codes
    assert not any((folder / "saved").exists() for folder in folders)


UNSUPERVISED = """
import sys
from galjax.training import processes
processes.supervised = lambda command, say: command()
sys.argv[0] = "experiments/resolution_sweep.py"
from experiments.resolution_sweep import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("program", [("-m", "experiments.resolution_sweep"), ("-c", UNSUPERVISED)])
def test_without_a_parent_a_process_whose_coordinator_has_gone_is_aborted(tmp_path, program):
    """What `supervised` is for: JAX aborts such a process, often before Python can say a word, and its own words come last."""
    out = tmp_path / "run"
    started = start(out, *LONG, processes=2, program=program)
    wait_for_checkpoint(out, started)
    started[0].send_signal(signal.SIGKILL)
    code, _, error = finish(started)[1]
    if program[0] == "-m":
        assert (code, error.rstrip().endswith(LOST_SENTENCE)) == (1, True), error
    else:
        assert (code, error.rstrip().endswith(LOST_SENTENCE)) == (-signal.SIGABRT, False), error
