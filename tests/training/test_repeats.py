import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import galjax.training.execution
import galjax.training.repeats
import galjax.training.step
from galjax.config.settings import ExecutionConfig, NetworkConfig, OptimiserConfig, ScheduleConfig, TrainingConfig
from galjax.draw import Split, draw_balanced
from galjax.metrics import accuracy
from galjax.runs.checkpoints import Checkpoints
from galjax.training.conditions import ORIGINAL, Condition
from galjax.training.repeats import RepeatProgram, Task, assemble, execution_of, repeat_keys
from galjax.training.step import DeviceSample

SMALL = NetworkConfig(filters=(4, 4, 4), dense_units=(16, 16), dropout=0.25, input_scaling="asinh", padding="same")


def make_program(
    repeats, evaluate_every=2, learning_rate=0.02, momentum=0.0, validation_fraction=0.0, seed=0, **execution
):
    rng = np.random.default_rng(0)
    labels = (np.arange(60) % 2).astype(np.int32)
    images = rng.standard_normal((60, 16, 16, 1), dtype=np.float32)
    images[labels == 1, 4:9, 4:9] += 1.5
    keys = repeat_keys(seed, repeats)
    drawn = draw_balanced(labels, ("a", "b"), 20, keys.draw, Split(validation=validation_fraction))
    pool = DeviceSample(jnp.asarray(images)[None], jnp.asarray(labels))
    devices, network = execution.pop("devices", None), execution.pop("network", SMALL)
    conditions = (ORIGINAL, Condition(2, "bilinear"), Condition(4, "nearest"))
    task = Task(pool, drawn, keys, 2, conditions, execution.pop("trained_at", ORIGINAL), execution.pop("kept", 0))
    config = TrainingConfig(
        ScheduleConfig(epochs=evaluate_every, evaluate_every=evaluate_every),
        OptimiserConfig(learning_rate, momentum),
        network,
        ExecutionConfig(**execution),
    )
    chosen = execution_of(task, config)
    return assemble(task, config, chosen._replace(devices=devices or chosen.devices))


def train(program, epochs):
    return list(program.continue_from(program.start(), epochs))[-1]


def assert_equal_histories(ours, theirs):
    ours, theirs = ours.stored(), theirs.stored()
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


def test_a_repeat_alone_equals_the_same_repeat_among_others():
    together = train(make_program([0, 1, 2, 3]), 4)
    alone = train(make_program([3]), 4)
    np.testing.assert_allclose(alone.history.train_loss[0], together.history.train_loss[3], rtol=1e-4)
    np.testing.assert_array_equal(alone.history.test_confusion[0], together.history.test_confusion[3])
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a[0], b[3], atol=1e-5),
        alone.state.parameters,
        together.state.parameters,
    )


def test_numbers_that_do_not_divide_over_the_devices_change_nothing():
    assert jax.device_count() == 4
    expected = train(make_program([0, 1, 2, 3, 4], devices=1), 2)
    for arrangement in ({}, {"devices": 3, "repeats_at_once": 2}):
        program = make_program([0, 1, 2, 3, 4], **arrangement)
        found = train(program, 2)
        assert found.history.train_loss.shape == (5, 2)
        assert {leaf.shape[0] for leaf in program.host_arrays(found.progress).values()} == {5}
        np.testing.assert_allclose(found.history.train_loss, expected.history.train_loss, rtol=1e-5)
        np.testing.assert_array_equal(found.history.test_confusion, expected.history.test_confusion)


@pytest.mark.parametrize(("lowering", "delayed_steps"), [("direct", 1), ("patches", 2), ("xla", 5)])
def test_how_it_is_computed_changes_rounding_only(lowering, delayed_steps):
    usual = train(make_program([0, 1]), 3)
    other = train(make_program([0, 1], lowering=lowering, delayed_steps=delayed_steps), 3)
    np.testing.assert_allclose(other.history.train_loss, usual.history.train_loss, rtol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), other.state, usual.state)


@pytest.mark.parametrize(("precision", "loss"), [("tf32", 2e-3), ("bfloat16", 2e-2)])
def test_a_lower_precision_rounds_and_trains_all_the_same(precision, loss):
    usual, rounded = train(make_program([0, 1]), 3).history, train(make_program([0, 1], precision=precision), 3).history
    assert (usual.train_loss != rounded.train_loss).all()
    np.testing.assert_allclose(rounded.train_loss, usual.train_loss, rtol=loss)


def test_no_device_waits_for_another_within_a_chunk():
    program = make_program([0, 1, 2, 3])
    for text in (program.training.as_text(), program.evaluation.as_text()):
        assert "num_partitions=4" in text
        for collective in ("all-reduce", "all-gather", "all-to-all", "collective-permute", "reduce-scatter"):
            assert collective not in text


@pytest.mark.slow
def test_the_states_are_in_memory_once():
    program = make_program([0, 1, 2, 3, 4, 5], devices=1)
    memory = program.training.memory_analysis()
    state = sum(leaf.size * 4 for name, leaf in program.shapes().items() if name.startswith("state/"))
    assert memory.alias_size_in_bytes >= state
    more = make_program(range(12), devices=1).training.memory_analysis()
    assert more.temp_size_in_bytes - memory.temp_size_in_bytes < state / 2


@pytest.mark.parametrize("options", [{"xla_cpu_of_another_version": True}, {}])
def test_compiler_options_change_no_result_and_may_be_unknown(monkeypatch, options):
    usual = train(make_program([0, 1]), 2)
    monkeypatch.setattr(galjax.training.execution, "CPU_COMPILER_OPTIONS", options)
    assert_equal_histories(train(make_program([0, 1]), 2).history, usual.history)


def test_repeats_differ_and_seeds_differ():
    history = train(make_program([0, 1]), 2).history
    assert (history.train_loss[0] != history.train_loss[1]).all()
    other = train(make_program([0, 1], seed=1), 2).history
    assert (history.train_loss != other.train_loss).all()


def test_the_same_program_twice_is_bit_identical():
    assert_equal_histories(train(make_program([0, 1]), 3).history, train(make_program([0, 1]), 3).history)


LARGE_IMAGES = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from galjax.training.execution import ExecutionConfig
program = JaxRepeats(Problem(galaxies=280, image_size=100), 2, ExecutionConfig(delayed_steps=1), devices=2).program
for _ in range(12):
    *_, snapshot = program.continue_from(program.start(), 1)
    print({name: array.tobytes().__hash__() for name, array in program.host_arrays(snapshot.progress).items()})
"""
"""The third convolution sees 25x25 px, so that pooling drops a row and a column."""


@pytest.mark.slow
def test_large_images_of_an_odd_size_on_two_devices_are_bit_identical():
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    done = subprocess.run(
        [sys.executable, "-c", LARGE_IMAGES],
        cwd=Path(__file__).resolve().parents[2],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states = done.stdout.splitlines()
    assert len(states) == 12
    assert len(set(states)) == 1


def test_shapes_and_evaluated_epochs_with_a_shorter_last_chunk():
    history = train(make_program([0, 1, 2], evaluate_every=3, validation_fraction=0.2, devices=2), 7).history
    assert history.evaluated_epoch.tolist() == [3, 6, 7]
    assert history.train_loss.shape == history.train_accuracy.shape == (3, 7)
    assert np.isfinite(history.train_loss).all()
    assert history.test_confusion.shape == (3, 3, 3, 2, 2)
    assert (history.test_confusion.sum(axis=(-2, -1)) == 12).all()
    assert (history.validation_confusion.sum(axis=(-2, -1)) == 8).all()
    assert (history.test_recalibrated_confusion.sum(axis=-2) == history.test_confusion.sum(axis=-2)).all()
    assert ((history.test_auc >= 0) & (history.test_auc <= 1)).all()
    assert history.test_auc.shape == (3, 3, 3)
    assert history.test_loss.shape == (3, 3, 3)
    assert history.validation_loss.shape == (3, 3)


def test_when_it_is_evaluated_does_not_change_the_training():
    often, seldom = (train(make_program([0, 1], evaluate_every=every), 6) for every in (2, 4))
    np.testing.assert_allclose(often.history.train_loss, seldom.history.train_loss, rtol=1e-5)


def test_one_trace_for_a_whole_run(monkeypatch):
    traces = []
    original = galjax.training.step.train_delayed_step
    monkeypatch.setattr(galjax.training.step, "train_delayed_step", lambda *a: traces.append(1) or original(*a))
    network = dataclasses.replace(SMALL, dropout=0.125)  # of no other test, so that nothing of it is traced yet
    program = make_program([0, 1], network=network)
    at_compile = len(traces)
    assert at_compile >= 1
    train(program, 7)
    assert len(traces) == at_compile
    make_program([0, 1], learning_rate=0.5, network=network)  # a float of the configuration is traced
    assert len(traces) == at_compile


@pytest.mark.parametrize(("momentum", "devices"), [(0.0, 2), (0.9, 3)])  # 2 do not divide the repeats
def test_going_on_from_a_checkpoint_equals_an_uninterrupted_run_bit_for_bit(tmp_path, momentum, devices):
    program = make_program([0, 1, 2], momentum=momentum, devices=devices)
    whole = train(program, 7)
    with Checkpoints(tmp_path, 0.0) as checkpoints:
        assert checkpoints.latest(program) is None
        for snapshot in program.continue_from(program.start(), 4):
            checkpoints.maybe_save(program, snapshot)
    with Checkpoints(tmp_path, 0.0) as checkpoints:
        snapshot = checkpoints.latest(make_program([0, 1, 2], momentum=momentum, devices=devices))
    assert snapshot.epoch == 4
    resumed = list(program.continue_from(snapshot, 7))[-1]
    assert_equal_histories(resumed.history, whole.history)
    jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)


def test_checkpoints_keep_the_newest_two_and_wait_between_writes(tmp_path):
    program = make_program([0])
    with Checkpoints(tmp_path / "all", 0.0) as checkpoints:
        for snapshot in program.continue_from(program.start(), 8):
            checkpoints.maybe_save(program, snapshot)
    assert sorted(p.name for p in (tmp_path / "all").iterdir() if p.name.isdigit()) == ["6000", "8000"]
    with Checkpoints(tmp_path / "seldom", 1000.0) as checkpoints:
        for snapshot in program.continue_from(program.start(), 8):
            checkpoints.maybe_save(program, snapshot, force=snapshot.epochs_trained == 6 and snapshot.stretch is None)
    assert [p.name for p in (tmp_path / "seldom").iterdir() if p.name.isdigit()] == ["6000"]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_chunks_of_any_length_give_the_same_bits(momentum):
    program = make_program([0, 1, 2], evaluate_every=3, momentum=momentum, validation_fraction=0.2, devices=2)
    whole = list(program.continue_from(program.start(), 7, chunk_seconds=np.inf))
    assert [snapshot.epochs_trained for snapshot in whole] == [3, 3, 6, 6, 7, 7]  # each trained, then evaluated
    pieces = list(program.continue_from(program.start(), 7, chunk_seconds=0.0))
    assert len(pieces) > 30
    assert_equal_histories(pieces[-1].history, whole[-1].history)
    jax.tree.map(np.testing.assert_array_equal, pieces[-1].state, whole[-1].state)


def interrupted(program, epochs, pieces, folder):
    """A training in the smallest pieces that was stopped after so many, and what is read back of it."""
    with Checkpoints(folder, 1000.0) as checkpoints:
        for number, snapshot in enumerate(program.continue_from(program.start(), epochs, chunk_seconds=0.0), 1):
            if number == pieces:
                checkpoints.maybe_save(program, snapshot, force=True)
                break
    return snapshot


@pytest.mark.parametrize("pieces", [1, 5, 8, 11])  # within an epoch, between two, between repeats, in an evaluation
def test_a_training_stopped_between_evaluations_resumes_there_bit_for_bit(tmp_path, pieces):
    program = make_program([0, 1, 2, 3, 4], evaluate_every=2, devices=2, delayed_steps=2)
    whole = train(program, 4)
    stopped = interrupted(program, 4, pieces, tmp_path)
    assert stopped.stretch is not None
    again = make_program([0, 1, 2, 3, 4], evaluate_every=2, devices=2, delayed_steps=2)
    with Checkpoints(tmp_path, 1000.0) as checkpoints:
        snapshot = checkpoints.latest(again)
    assert snapshot.epochs_trained == stopped.epochs_trained
    resumed = list(again.continue_from(snapshot, 4))[-1]
    assert_equal_histories(resumed.history, whole.history)
    jax.tree.map(np.testing.assert_array_equal, resumed.state, whole.state)


@pytest.mark.parametrize("arrangement", [{"devices": 1}, {"devices": 2, "repeats_at_once": 3}])
def test_it_resumes_on_other_numbers_of_devices_and_of_repeats_at_once(tmp_path, arrangement):
    program = make_program([0, 1, 2, 3, 4], evaluate_every=2, devices=2, delayed_steps=2)
    whole = train(program, 4)
    stopped = interrupted(program, 4, 8, tmp_path)
    assert len(set(stopped.stretch.trained)) > 1  # some repeats are ahead of others
    other = make_program([0, 1, 2, 3, 4], evaluate_every=2, delayed_steps=2, **arrangement)
    with Checkpoints(tmp_path, 1000.0) as checkpoints:
        resumed = list(other.continue_from(checkpoints.latest(other), 4))[-1]
    np.testing.assert_allclose(resumed.history.train_loss, whole.history.train_loss, rtol=1e-5)
    np.testing.assert_array_equal(resumed.history.test_confusion, whole.history.test_confusion)


def test_a_stretch_that_has_begun_ends_where_it_would_have(tmp_path):
    program = make_program([0, 1], evaluate_every=4)
    interrupted(program, 2, 3, tmp_path)
    with Checkpoints(tmp_path, 1000.0) as checkpoints:
        snapshot = checkpoints.latest(program)
    history = list(program.continue_from(snapshot, 6))[-1].history
    assert history.evaluated_epoch.tolist() == [2, 4, 6]


VALIDATED = {"evaluate_every": 2, "validation_fraction": 0.2, "kept": 2, "learning_rate": 0.1, "seed": 1}


def kept_by_epoch(program, epochs):
    """The parameters of the repeats to keep and their predictions, at every evaluation, and the last snapshot."""
    found = {}
    for snapshot in program.continue_from(program.start(), epochs):
        if snapshot.stretch is None:
            parameters = program.first_networks(snapshot.state, program.kept)
            found[snapshot.epoch] = (parameters, snapshot.history.predictions[:, 1])
    return found, snapshot


@pytest.mark.parametrize("devices", [1, 2])
def test_the_networks_of_the_best_validation_epoch_are_kept_with_what_they_say(devices):
    """Also where repeats lie on several devices, and the last evaluation, out of turn, is one that a longer training does not make."""
    found, last = kept_by_epoch(make_program([0, 1, 2], devices=devices, **VALIDATED), 15)
    history = last.history
    mean = accuracy(history.validation_confusion).mean(axis=0)
    in_turn = history.evaluated_epoch % 2 == 0
    best = int(history.evaluated_epoch[in_turn][mean[in_turn].argmax()])
    assert history.predicted_epoch.tolist() == [best, 15]
    assert 2 < best < 14  # else it would be no choice
    parameters, predictions = found[best]
    assert {len(array) for array in last.best.values()} == {2}
    jax.tree.map(np.testing.assert_array_equal, dict(last.best), parameters)
    np.testing.assert_array_equal(history.predictions[:, 0], predictions)
    np.testing.assert_array_equal(history.predictions[:, 1], found[15][1])


@pytest.mark.parametrize("stopped_at", [3, 8])
def test_what_is_kept_resumes_bit_for_bit_also_after_a_shorter_training(tmp_path, stopped_at):
    program = make_program([0, 1, 2], devices=2, **VALIDATED)
    whole = train(program, 15)
    with Checkpoints(tmp_path, 0.0) as checkpoints:
        for snapshot in program.continue_from(program.start(), stopped_at):
            checkpoints.maybe_save(program, snapshot)
    with Checkpoints(tmp_path, 0.0) as checkpoints:
        snapshot = checkpoints.latest(program)
    kept = snapshot.history.evaluated_every(2, 15)  # as a run that is trained on does
    resumed = list(program.continue_from(snapshot._replace(history=kept), 15))[-1]
    assert_equal_histories(resumed.history, whole.history)
    jax.tree.map(np.testing.assert_array_equal, dict(resumed.best), dict(whole.best))


def test_validation_galaxies_are_seen_as_the_network_was_trained():
    """The same as the evaluation of test galaxies under that condition, where both are the same galaxies."""
    condition = Condition(4, "nearest")
    program = make_program([0, 1], trained_at=condition, validation_fraction=0.3)
    drawn = program.task.draw
    same = program.task._replace(draw=drawn._replace(validation=drawn.test))
    history = train(RepeatProgram(same, program._config, program.execution), 4).history
    np.testing.assert_array_equal(history.validation_confusion, history.test_confusion[:, :, 2])
    np.testing.assert_array_equal(history.validation_loss, history.test_loss[:, :, 2])
    assert (history.validation_loss != history.test_loss[:, :, 0]).any()
