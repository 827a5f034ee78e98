import gc
import resource
import shutil
import warnings
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest

from galjax.errors import InputError
from galjax.io import stored_arrays
from galjax.runs.checkpoints import Checkpoints
from tests.training.test_repeats import assert_equal_histories, make_program, train


@pytest.fixture(autouse=True)
def orbax_tidied_up():
    """Of a write or read that fails orbax leaves an event loop behind, which complains when it is collected."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def program():
    return make_program([0, 1, 2], devices=1)


@pytest.fixture(scope="module")
def written(program, tmp_path_factory):
    """A folder with the checkpoints of epochs 2 and 4."""
    folder = tmp_path_factory.mktemp("checkpoints")
    write(program, folder, 4)
    return folder


def write(program, folder, epochs):
    with Checkpoints(folder, 0.0) as checkpoints:
        for snapshot in program.continue_from(checkpoints.latest(program) or program.start(), epochs):
            checkpoints.maybe_save(program, snapshot)
        return checkpoints


def read(program, folder):
    notes = []
    with Checkpoints(folder, 0.0, notes.append) as checkpoints:
        return checkpoints.latest(program), notes, checkpoints.steps


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(written, tmp_path / "copy"))


def cut(folder):
    """The second half of every file."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(folder):
    """One bit in the middle of every file."""
    for path in (path for path in folder.rglob("*") if path.is_file() and path.stat().st_size):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def empty(folder):
    for path in folder.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")


def lose_arrays(folder):
    shutil.rmtree(folder / "arrays")


def lose_description(folder):
    shutil.rmtree(folder / "description")


def lose_all(folder):
    shutil.rmtree(folder)
    folder.mkdir()


def other_values(folder):
    """Files that are whole, but of other arrays: only the checksums tell."""
    description = (folder / "description" / "metadata").read_text()
    older = folder.parent / "2000"
    shutil.rmtree(folder / "arrays")
    shutil.copytree(older / "arrays", folder / "arrays")
    assert (older / "description" / "metadata").read_text() != description


SPOILERS = [cut, flip, empty, lose_arrays, lose_description, lose_all, other_values]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_where_the_newest_is_damaged_the_one_before_takes_its_place(program, folder, spoil):
    spoil(folder / "4000")
    snapshot, notes, steps = read(program, folder)
    assert snapshot.epoch == 2
    assert steps == [2000]
    if spoil is not lose_all:  # which orbax does not take for a checkpoint at all
        assert len(notes) == 1
        assert notes[0].startswith(f"The checkpoint of epoch 4 in {folder / '4000'} is damaged (")
    write(program, folder, 6)
    resumed, _, steps = read(program, folder)
    assert steps == [4000, 6000]
    assert_equal_histories(resumed.history, train(program, 6).history)


def test_where_all_are_damaged_the_training_starts_anew(program, folder):
    flip(folder / "2000")
    cut(folder / "4000")
    snapshot, notes, steps = read(program, folder)
    assert (snapshot, len(notes), steps) == (None, 2, [])


def test_checkpoints_after_the_last_epoch_wanted_are_none(program, folder):
    with Checkpoints(folder, 0.0) as checkpoints:
        assert checkpoints.latest(program, 3).epoch == 2
        assert checkpoints.steps == [2000]


def test_the_last_one_is_kept_alone_once_it_is_whole(program, tmp_path):
    with Checkpoints(tmp_path, 1e9) as checkpoints:
        for snapshot in program.continue_from(program.start(), 4):
            checkpoints.maybe_save(program, snapshot, force=True)
        checkpoints.maybe_save(program, snapshot, force=True)  # is there already
        checkpoints.keep_last()
        assert checkpoints.steps == [4000]
    assert read(program, tmp_path)[0].epoch == 4


def test_half_written_ones_are_cleared_away(program, folder):
    half = folder / "6000.orbax-checkpoint-tmp" / "arrays"
    half.mkdir(parents=True)
    (half / "d").write_text("half")
    snapshot, notes, _ = read(program, folder)
    assert (snapshot.epoch, notes) == (4, [])
    assert sorted(path.name for path in folder.iterdir()) == ["2000", "4000"]


def test_a_format_of_another_version_is_an_error_and_nothing_is_changed(program, folder):
    path = folder / "4000" / "description" / "metadata"
    path.write_text(path.read_text().replace(f'"format": {stored_arrays.FORMAT}', '"format": 99'))
    with pytest.raises(
        InputError, match=r"4000 is stored in format 99; this version of galjax reads format 3.*Nothing was"
    ):
        read(program, folder)
    assert sorted(path.name for path in folder.iterdir()) == ["2000", "4000"]


@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.thorough), 3])
def test_a_checkpoint_of_four_devices_is_gone_on_with_on_other_numbers(tmp_path, devices):
    repeats = range(5)
    assert jax.device_count() == 4
    on_four = make_program(repeats, devices=4)
    whole = train(on_four, 4)
    write(on_four, tmp_path, 2)
    fewer = make_program(repeats, devices=devices)
    snapshot, _, _ = read(fewer, tmp_path)
    kept = on_four.host_arrays(read(on_four, tmp_path)[0].progress)
    there = fewer.host_arrays(snapshot.progress)
    for name in kept:
        np.testing.assert_array_equal(kept[name], there[name], err_msg=name)
    resumed = list(fewer.continue_from(snapshot, 4))[-1]
    np.testing.assert_allclose(resumed.history.train_loss, whole.history.train_loss, rtol=1e-5)
    np.testing.assert_array_equal(resumed.history.test_confusion, whole.history.test_confusion)


def test_the_time_spent_is_measured_and_bounds_how_often_is_written(program, tmp_path, monkeypatch):
    checkpoints = write(program, tmp_path / "all", 6)
    assert checkpoints.seconds > 0
    with Checkpoints(tmp_path / "seldom", 1e-9) as checkpoints:
        for snapshot in program.continue_from(program.start(), 12):
            checkpoints.maybe_save(program, snapshot)
            checkpoints._last_cost = 1000.0  # as if the disk were that slow
        assert len(checkpoints.steps) == 1


def test_a_full_disk_gets_a_sentence_and_earlier_checkpoints_stay(program, tmp_path, capfd):
    write(program, tmp_path, 2)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, unlimited[1]))  # as if there were room for 2 kB
    try:
        with pytest.raises(
            InputError, match=r"Cannot write a checkpoint .*The checkpoint of epoch 2 is complete and kept; make room"
        ):
            write(program, tmp_path, 6)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert capfd.readouterr().err == ""
    snapshot, notes, steps = read(program, tmp_path)
    assert (snapshot.epoch, notes, steps) == (2, [], [2000])
    write(program, tmp_path, 6)
    assert_equal_histories(read(program, tmp_path)[0].history, train(program, 6).history)


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        ValueError("RESOURCE_EXHAUSTED: Error writing: No space left on device [os_error_code='28']"),
    ],
)
def test_every_way_of_saying_that_the_disk_is_full_is_understood(program, tmp_path, monkeypatch, error):
    def refuse(*arguments, **named):
        raise error

    monkeypatch.setattr(ocp.CheckpointManager, "save", refuse)
    with pytest.raises(
        InputError, match=r"Cannot write a checkpoint .*No space left.*There is none before it; make room"
    ):
        write(program, tmp_path, 2)


def test_other_errors_of_orbax_are_not_taken_for_a_full_disk(program, tmp_path, monkeypatch):
    def fail(*arguments, **named):
        raise ValueError("a mistake")

    monkeypatch.setattr(ocp.CheckpointManager, "save", fail)
    with pytest.raises(ValueError, match="a mistake"):
        write(program, tmp_path, 2)
