"""What happens to a run folder when something goes wrong, seen from the command line."""

import dataclasses
import json
import re
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from astropy.table import Table

import galjax.runs.stage
import galjax.training.execution
import galjax.training.repeats
from experiments import class_balance
from galjax import InputError
from galjax.runs.checkpoints import Checkpoints
from galjax.runs.folder import RunFolder
from galjax.runs.lock import HOLDER
from tests.experiments.test_resolution_sweep import ROOT, SMALL, run

EVERY_EPOCH = ["--evaluate-every", 1, "--checkpoint-seconds", 0]


@pytest.fixture
def diverging(monkeypatch):
    """Called with repeats and an epoch: from that epoch on, the loss of these repeats is NaN in what the program measures."""

    def from_epoch(epoch, repeats):
        original = galjax.training.repeats._to_history

        def spoiled(last, count, *measured):
            history = original(last, count, *measured)
            loss = history.train_loss.copy()
            first = last - count + 1
            loss[np.array(repeats), max(0, epoch - first) :] = np.nan
            return history if last < epoch else dataclasses.replace(history, train_loss=loss)

        monkeypatch.setattr(galjax.training.repeats, "_to_history", spoiled)

    return from_epoch


def test_a_loss_that_is_no_number_stops_the_run_and_the_same_folder_goes_on_without_the_repeat(
    tmp_path, capsys, diverging
):
    """With the last good checkpoint kept; and then every table says n."""
    diverging(3, [1])
    assert run(*EVERY_EPOCH, "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    place = tmp_path / "run" / "checkpoints" / "per_class_20"
    assert "20 per class: the loss of repeat 1 in epochs 3 to 3 is NaN or infinite." in error
    assert f"The checkpoint of epoch 2 in {place} is kept." in error
    assert "--learning-rate" in error
    assert "--on-divergence drop" in error
    assert sorted(p.name for p in place.iterdir() if p.name.isdigit()) == ["1000", "2000"]
    assert not (tmp_path / "run" / "results.ecsv").exists()
    assert run(*EVERY_EPOCH, "--out", tmp_path / "run", "--on-divergence", "drop") == 0
    told = " ".join(capsys.readouterr().out.split())  # a table's title is broken where its columns are narrow
    assert "resuming at epoch 2" in told
    assert "continuing without repeat 1 in epochs 3 to 3: the loss is NaN or infinite" in told
    assert "mean ± std of 2 repeats" in told
    assert "20 galaxies per class, 2 repeats" in told
    assert (
        "Not in these results, because the loss became NaN or infinite: per_class_20, repeat 1 in epochs 3 to 3."
        in told
    )
    results, summary, methods, dropped = (
        Table.read(tmp_path / "run" / f"{name}.ecsv") for name in ("results", "summary", "methods", "dropped")
    )
    assert len(results) == 3 * 3 * 7  # repeats, selections, conditions
    assert np.isnan(results["accuracy"][results["repeat"] == 1]).all()
    assert np.isfinite(results["accuracy"][results["repeat"] != 1]).all()
    assert set(summary["n"]) == set(methods["n"]) == {2}
    assert np.isfinite(summary["mean"]).all()
    assert [tuple(row) for row in dropped] == [("per_class_20", 1, 3, 3)]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Repeats that were dropped" in page
    assert "n = 2 repeats" in page
    assert "n = 3 repeats" not in page
    with pytest.raises(InputError, match="is NaN or infinite"):  # read back, where the command says stop again
        raise_of(lambda: run(*EVERY_EPOCH, "--out", tmp_path / "run"), capsys)


def raise_of(command, capsys):
    """As an exception, what a command says on standard error."""
    assert command() == 2
    raise InputError(capsys.readouterr().err)


@pytest.mark.slow
def test_the_other_repeats_are_as_without_it(tmp_path, diverging):
    assert run(*EVERY_EPOCH, "--out", tmp_path / "whole") == 0
    diverging(2, [0])
    assert run(*EVERY_EPOCH, "--out", tmp_path / "run", "--on-divergence", "drop") == 0
    whole, run_ = (Table.read(tmp_path / name / "results.ecsv") for name in ("whole", "run"))
    keep = (whole["repeat"] > 0) & (whole["selection"] == "last")
    np.testing.assert_array_equal(whole["accuracy"][keep], run_["accuracy"][keep])


def test_a_network_that_really_goes_off_is_noticed(tmp_path, capsys):
    assert run("--learning-rate", 1e30, "--out", tmp_path / "run", "--on-divergence", "drop") == 2
    error = capsys.readouterr().err
    assert "the loss of every repeat is NaN or infinite" in error
    assert "--learning-rate" in error


@pytest.mark.thorough
def test_an_experiment_of_two_classes_drops_repeats_too(tmp_path, capsys, diverging):
    diverging(2, [0])
    small = [*SMALL[:4], "--total", "24", *SMALL[6:12], "--filters", "4", "4", "4", "--dense-units", "16"]
    assert class_balance.main([*small, "--out", str(tmp_path), "--on-divergence", "drop"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "(2 standard errors, on the same galaxies) of 2 repeats" in told
    summary = Table.read(tmp_path / "summary.ecsv")
    assert set(summary["n"]) <= {0, 1, 2}


def test_a_folder_in_use_is_refused_by_name_and_free_once_its_process_is_dead(tmp_path, capsys):
    out = tmp_path / "run"
    slow = ["--epochs", "4000", "--evaluate-every", "4000"]
    first = subprocess.Popen(
        [sys.executable, "-m", "experiments.resolution_sweep", *SMALL, *slow, "--out", out],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not (out / "config.json").exists() and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        before = (out / "config.json").read_text()
        assert run(*slow, "--out", out) == 2
        assert f"Another process (pid {first.pid} on " in capsys.readouterr().err
        assert (out / "config.json").read_text() == before
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    assert run("--out", out) == 2  # another configuration: the lock of the dead process is not what stops it
    assert "another configuration" in capsys.readouterr().err


def test_a_folder_left_by_a_process_that_died_before_its_run_began_is_empty(tmp_path):
    for name in (".lock", HOLDER, "config.json.partial"):
        (tmp_path / name).write_text("half")
    assert run("--out", tmp_path) == 0


@pytest.mark.thorough
def test_where_and_how_safely_may_differ_between_commands(tmp_path, capsys):
    assert run("--out", tmp_path, "--checkpoint-seconds", 5) == 0
    assert run("--out", tmp_path, "--checkpoint-seconds", 7, "--on-divergence", "drop") == 0
    assert (
        json.loads((tmp_path / "config.json").read_text())["config"]["training"]["schedule"]["checkpoint_seconds"] == 7
    )
    assert run("--out", tmp_path, "--keep-ensemble", "all") == 2
    assert "--keep-ensemble was 10, now all" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["results.ecsv", pytest.param("report.html", marks=pytest.mark.slow)])
def test_a_full_disk_while_results_are_written_gets_a_sentence_and_the_run_goes_on_later(
    tmp_path, capsys, monkeypatch, name
):
    assert run("--out", tmp_path / "whole") == 0
    capsys.readouterr()
    original = RunFolder.write_bytes

    def no_room(self, given, content):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        if given == name:  # as if there were room for ten bytes more
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
        try:
            return original(self, given, content)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "write_bytes", no_room)
        assert run("--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert re.search(rf"Cannot write .*{name} \(File too large\)\. What was computed so far is kept", error)
    assert "Traceback" not in error
    assert not list((tmp_path / "run").rglob("*.partial"))
    assert run("--out", tmp_path / "run") == 0
    assert "already trained" in capsys.readouterr().out
    for table in ("results.ecsv", "summary.ecsv"):
        assert (tmp_path / "run" / table).read_bytes() == (tmp_path / "whole" / table).read_bytes()


def test_a_sweep_too_large_for_the_memory_is_refused_before_it_starts(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(galjax.training.execution, "host_memory", lambda: 5e6)
    assert run("--out", tmp_path, "--repeats", 400) == 2
    error = capsys.readouterr().err
    found = re.search(r"about \d+\.\d GB .*there are 0\.0 GB\. Nothing was trained\. --repeats (\d+) fits", error)
    assert found, error
    assert not list(tmp_path.rglob("*.npz"))

    def fits(*arguments):
        raise InputError("It fits.")

    monkeypatch.setattr(galjax.training.repeats.RepeatProgram, "__init__", fits)
    assert run("--out", tmp_path / "fewer", "--repeats", found[1]) == 2
    assert "It fits." in capsys.readouterr().err


@pytest.mark.parametrize("method", ["start", "continue_from"])
def test_memory_that_runs_out_all_the_same_gets_the_advice(tmp_path, capsys, monkeypatch, method):
    def exhausted(*arguments):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\nBufferAssignment")

    monkeypatch.setattr(galjax.training.repeats.RepeatProgram, method, exhausted)
    assert run("--out", tmp_path) == 2
    error = capsys.readouterr().err
    assert "The memory ran out (RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.)" in error
    assert "--repeats 1 takes about half" in error
    assert "Traceback" not in error


def test_a_damaged_checkpoint_is_told_of_and_the_result_is_the_same(tmp_path, capsys, monkeypatch):
    flags = [*EVERY_EPOCH, "--epochs", 6]
    assert run(*flags, "--out", tmp_path / "whole") == 0
    original = Checkpoints.maybe_save

    def stop_after_four(self, program, snapshot, *, force=False):
        original(self, program, snapshot, force=force)
        if snapshot.epoch == 4 and snapshot.stretch is None:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoints, "maybe_save", stop_after_four)
        assert run(*flags, "--out", tmp_path / "run") == 130
    for path in (tmp_path / "run" / "checkpoints" / "per_class_20" / "4000").rglob("*"):
        if path.is_file():
            path.write_bytes(b"not what was written")
    capsys.readouterr()
    assert run(*flags, "--out", tmp_path / "run") == 0
    told = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "The checkpoint of epoch 4 in " in told
    assert "is damaged" in told
    assert "20 per class: resuming at epoch 3" in told
    for name in ("results.ecsv", "history.npz"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_checkpoints_cost_is_kept(tmp_path):
    assert run("--out", tmp_path, "--epochs", 20, "--checkpoint-seconds", 0.01) == 0
    environment = json.loads((tmp_path / "environment.json").read_text())
    assert 0 <= environment["checkpoint_seconds"] < environment["training_seconds"]
    share = environment["checkpoint_seconds"] / environment["training_seconds"]
    assert environment["checkpoint_share"] == pytest.approx(share, abs=0.01)
    assert environment["processes"] == 1
