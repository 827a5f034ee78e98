import dataclasses

import jax
import pytest

import galjax.io.host
import galjax.training.execution
from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.io.host import host_memory
from galjax.training.execution import ExecutionConfig, choose, load_of
from galjax.training.memory import GIGABYTE, Load, Memory, check_fits, exhaustion_explained
from galjax.training.step import OptimiserConfig
from tests.training.test_execution import LARGE, THESIS

ONE_GB = Memory(state=GIGABYTE, working=2 * GIGABYTE, galaxies=GIGABYTE)


def make_load(**changes):
    usual = {
        "memory": ONE_GB,
        "repeats": 10,
        "repeats_at_once": 5,
        "devices": 1,
        "sharing": 1,
        "holds_checkpoint": False,
        "available": 100 * GIGABYTE,
    }
    return Load(**{**usual, **changes})


def test_the_estimate_counts_states_copies_devices_and_what_is_computed_at_once():
    assert make_load().bytes == (10 + 1 + 5 * 2) * GIGABYTE
    assert make_load(holds_checkpoint=True).bytes == (20 + 1 + 10) * GIGABYTE
    assert make_load(holds_checkpoint=True, kept=3).bytes == (20 + 6 + 1 + 10) * GIGABYTE
    assert make_load(devices=4, repeats_at_once=1).bytes == (3 + 1 + 2) * GIGABYTE  # one GPU of four
    assert make_load(devices=4, sharing=4, repeats_at_once=1).bytes == (12 + 4 * 3) * GIGABYTE  # four cores


def test_the_advice_names_the_largest_flag_that_fits():
    load = make_load(available=17 * GIGABYTE)
    with pytest.raises(
        InputError, match=r"about 21\.0 GB .*there are 17\.0 GB\. Nothing was trained\. --repeats-at-once 3 fits"
    ):
        check_fits(load)
    assert dataclasses.replace(load, repeats_at_once=3).fits
    assert not dataclasses.replace(load, repeats_at_once=4).fits
    load = make_load(available=8 * GIGABYTE)
    with pytest.raises(InputError, match=r"--repeats 5 fits; so do more devices"):
        check_fits(load)
    assert load.with_repeats(5).fits
    assert not load.with_repeats(6).fits
    with pytest.raises(InputError, match=r"Not even --repeats 1 fits\. Take smaller images"):
        check_fits(make_load(available=3 * GIGABYTE))
    check_fits(make_load())


@pytest.mark.parametrize("sizes", [THESIS, LARGE])
def test_what_a_cpu_computes_is_counted_on_its_memory(monkeypatch, sizes):
    config, optimiser = NetworkConfig(), OptimiserConfig()
    monkeypatch.setattr(galjax.training.execution, "host_memory", lambda: 4 * GIGABYTE)
    execution = choose(ExecutionConfig(), config, optimiser, sizes, 300)
    load = load_of(execution, config, optimiser, sizes, 300)
    assert load.available == 4 * GIGABYTE
    with pytest.raises(InputError, match=r"--repeats \d+ fits"):
        check_fits(load)
    fitting = int(load.advice().split()[1])
    execution = choose(ExecutionConfig(), config, optimiser, sizes, fitting)
    assert load_of(execution, config, optimiser, sizes, fitting).fits


def test_on_a_gpu_each_device_has_its_own_memory_and_the_flag_is_repeats_at_once(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(galjax.training.execution, "device_memory", lambda device: 6 * GIGABYTE)
    config, optimiser = NetworkConfig(), OptimiserConfig()
    execution = choose(ExecutionConfig(repeats_at_once=100), config, optimiser, THESIS, 200)
    load = load_of(execution, config, optimiser, THESIS, 200)
    assert (load.devices, load.sharing, load.holds_checkpoint) == (jax.device_count(), 1, False)
    with pytest.raises(InputError, match=r"--repeats-at-once \d+ fits"):
        check_fits(load)


def test_a_control_group_bounds_the_memory_of_the_machine(monkeypatch, tmp_path):
    whole = host_memory()
    (tmp_path / "max").write_text("max\n")
    (tmp_path / "some").write_text("1000000\n")
    monkeypatch.setattr(galjax.io.host, "CONTROL_GROUP_LIMITS", (str(tmp_path / "max"), str(tmp_path / "absent")))
    assert host_memory() >= whole
    monkeypatch.setattr(galjax.io.host, "CONTROL_GROUP_LIMITS", (str(tmp_path / "some"),))
    assert host_memory() == 1e6


@pytest.mark.parametrize(
    ("error", "load", "sentence"),
    [
        (
            RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5 bytes"),
            make_load(),
            "--repeats-at-once 2 takes less",
        ),
        (MemoryError(), make_load(repeats_at_once=1), "--repeats 5 takes about half"),
        (RuntimeError("Out of memory"), make_load(available=8 * GIGABYTE), "--repeats 5 fits"),
        (RuntimeError("Out of memory"), make_load(repeats=1, repeats_at_once=1), "Take smaller images"),
    ],
)
def test_memory_that_ran_out_gets_the_same_advice(error, load, sentence):
    with pytest.raises(InputError, match=f"The memory ran out .* by estimate.*{sentence}"), exhaustion_explained(load):
        raise error


def test_other_errors_pass(monkeypatch):
    with pytest.raises(RuntimeError, match="something else"), exhaustion_explained(make_load()):
        raise RuntimeError("something else")


def test_an_allocation_that_the_system_refuses_is_told_of():
    with pytest.raises(InputError, match="The memory ran out"), exhaustion_explained(make_load()):
        jax.block_until_ready(jax.numpy.zeros((2**45,), jax.numpy.float32))
