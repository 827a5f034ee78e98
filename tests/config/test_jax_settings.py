"""The user's environment tells JAX things: they change no result, or a sentence says why not."""

import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from galjax.config import jax_settings
from galjax.errors import InputError
from galjax.sources.simulated.survey import SimulatedSurvey, simulate
from galjax.training.repeats import repeat_keys
from tests.experiments.test_resolution_sweep import ROOT, SMALL, run

TOLD = {
    "JAX_DEFAULT_PRNG_IMPL": "rbg",
    "JAX_THREEFRY_PARTITIONABLE": "0",
    "JAX_RANDOM_SEED_OFFSET": "7",
    "JAX_ENABLE_X64": "1",
    "JAX_DEFAULT_DTYPE_BITS": "32",
    "JAX_NUMPY_RANK_PROMOTION": "raise",
    "JAX_NUMPY_DTYPE_PROMOTION": "strict",
    "JAX_DEFAULT_MATMUL_PRECISION": "bfloat16",
    "JAX_DEFAULT_DEVICE": "cpu",
    "JAX_DISABLE_JIT": "1",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    "JAX_DEBUG_NANS": "1",
    "JAX_DEBUG_INFS": "1",
}


def command(*flags, **told):
    return subprocess.run(
        [sys.executable, "-m", "experiments.resolution_sweep", *SMALL, *map(str, flags)],
        cwd=ROOT,
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.thorough
def test_no_setting_of_the_environment_changes_a_result(tmp_path):
    done = command("--out", tmp_path / "told", **TOLD)
    assert done.returncode == 0, done.stderr
    aside = done.stderr.split("Ignored, because it would change results or stop the run: ")[1]
    for name in (
        "JAX_DEFAULT_PRNG_IMPL=rbg",
        "JAX_ENABLE_X64=True",
        "JAX_RANDOM_SEED_OFFSET=7",
        "JAX_DISABLE_JIT=True",
    ):
        assert name in aside
    assert run("--out", tmp_path / "plain") == 0
    for name in ("results.ecsv", "summary.ecsv", "history.npz"):
        assert (tmp_path / "told" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


@pytest.mark.parametrize("told", [{"JAX_PLATFORMS": "cuda"}, {"JAX_PLATFORMS": "nonsense"}])
def test_a_platform_that_is_not_there_gets_a_sentence(told, tmp_path):
    done = command("--out", tmp_path / "run", **told)
    assert done.returncode == 2
    ((name, value),) = told.items()
    assert f"error: What {name}={value} asks for cannot be started here (" in done.stderr
    assert "Set JAX_PLATFORMS=cpu to compute on the CPU" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error", [RuntimeError("cuInit failed: no driver"), AssertionError()], ids=lambda error: type(error).__name__
)
def test_devices_that_cannot_be_started_get_a_sentence(error, monkeypatch):
    def broken():
        raise error

    monkeypatch.setattr(jax, "devices", broken)
    monkeypatch.delenv("JAX_PLATFORMS")
    with pytest.raises(
        InputError, match=r"The device that JAX chooses cannot be started here \((cuInit failed|no such)"
    ):
        jax_settings.check_backend()


def test_settings_are_pinned_and_what_is_set_aside_is_told():
    notes = []
    jax_settings.pin(notes.append)
    assert notes == []
    jax.config.update("jax_random_seed_offset", 3)
    jax_settings.pin(notes.append)
    assert notes == ["Ignored, because it would change results or stop the run: JAX_RANDOM_SEED_OFFSET=3."]
    assert jax.config.jax_random_seed_offset == 0


def test_without_a_command_the_generator_is_the_same():
    plain = simulate(SimulatedSurvey(galaxies=3, image_size=16), seed=5)
    keys = jax.random.key_data(repeat_keys(3, range(2)).draw)
    with jax.default_prng_impl("rbg"):
        assert simulate(SimulatedSurvey(galaxies=3, image_size=16), seed=5).digest() == plain.digest()
        np.testing.assert_array_equal(jax.random.key_data(repeat_keys(3, range(2)).draw), keys)


def test_what_differs_is_refused_where_it_draws_other_numbers_and_noted_elsewhere():
    now = jax_settings.describe()
    assert jax_settings.check_same(now, now, "x") == []
    assert {
        "jax_default_prng_impl",
        "jax_threefry_partitionable",
        "jax_enable_x64",
        "jax",
        "device",
        "xla_flags",
    } <= set(now)
    (note,) = jax_settings.check_same({**now, "xla_flags": "--a"}, now, "x")
    assert f"xla_flags was '--a', now {now['xla_flags']!r}" in note
    with pytest.raises(InputError, match="x holds a run with other random numbers: jax_enable_x64 was True, now False"):
        jax_settings.check_same({**now, "jax_enable_x64": True}, now, "x")
