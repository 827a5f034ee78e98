"""The benchmarks of training run in tiny sizes, and say what they must."""

import functools
import json

import pytest

from benchmarks import accelerator, measure, profile, scaling, training
from benchmarks.contenders.problem import NotHere, Problem, count_work
from galjax.config.settings import NetworkConfig

Small = functools.partial(
    Problem, image_size=16, network=NetworkConfig(filters=(4, 4, 4), dense_units=(8,), padding="same")
)


@pytest.fixture(scope="module")
def compared():
    """The training benchmark with its JAX contenders and one that is not there."""

    def missing(problem, repeats):
        raise NotHere("Foo is not installed")

    wanted = ("galjax, all repeats", "Flax default layers, one repeat", "PyTorch eager")
    chosen = [entry for entry in training.entries() if entry.name in wanted]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "entries", lambda: [*chosen, training.Entry("Foo", missing)])
        patch.setattr(training, "Problem", Small)
        patch.setattr(training, "measure_ceilings", lambda: measure.Ceilings(1e12, 1e10))
        return training.run(training.TrainingBenchmark(repeats=2, galaxies=20, image_size=16, rounds=2, no_write=True))


def test_every_contender_learns_the_same(compared):
    for name, row in compared["contenders"].items():
        assert row["loss_difference"] < 1e-4, name
        assert 0 < row["seconds"]["min"] <= row["seconds"]["median"] <= row["seconds"]["max"]
    assert {"galjax, all repeats", "Flax default layers, one repeat"} <= set(compared["contenders"])


def test_what_is_not_installed_is_named(compared):
    assert compared["skipped"]["Foo"] == "Foo is not installed"


def test_tables_follow_from_the_json(compared):
    again = json.loads(json.dumps(compared, default=float))
    assert training.tables(again) == training.tables(compared)
    assert "galjax, all repeats" in training.tables(again)["training"]


def test_a_wrong_result_would_show(monkeypatch):
    wrong = training.Entry(
        "wrong",
        lambda p, n: training.JaxRepeats(Small(20, learning_rate=0.3, dropout=0.0), 1, training.ExecutionConfig()),
    )
    monkeypatch.setattr(training, "entries", lambda: [wrong])
    _, differences, _ = training._prepare(Small(20), 1)
    assert differences["wrong"] > 1e-3


def test_the_least_work_of_the_thesis_network():
    work = count_work(NetworkConfig(padding="same"), 64, 8, delayed_steps=1)
    conv_2, conv_3, conv_1 = 8 * 32**2 * 9 * 32 * 64 * 2, 8 * 16**2 * 4 * 64 * 128 * 2, 8 * 64**2 * 9 * 32 * 2
    assert work.convolution_flops == 3 * (conv_2 + conv_3) + 2 * conv_1
    assert work.dense_flops == 6 * 8 * (8192 * 1024 + 1024 * 1024 + 1024 * 2)
    assert work.weight_bytes == 16 * (8192 * 1024 + 1024 * 1024)
    assert (
        count_work(NetworkConfig(padding="same"), 64, 8, delayed_steps=8).weight_bytes == work.weight_bytes * 2.25 / 4
    )


def test_exponents_are_those_of_a_power_law():
    rows = [{"axis": "size", "value": n, "seconds": {"median": 3 * n**1.5}} for n in (2, 4, 10)]
    assert scaling.exponents([*rows, {"axis": "one", "value": 1, "seconds": {"median": 1.0}}]) == {
        "size": pytest.approx(1.5)
    }


def test_scaling_measures_every_axis(monkeypatch):
    def record(point, rounds):
        seconds = {"median": 0.1 * point.value}
        return {
            "axis": point.axis,
            "value": point.value,
            "seconds": seconds,
            "seconds_per_galaxy": 1,
            "compile_seconds": 1,
        }

    monkeypatch.setattr(scaling, "measure_point", record)
    results = scaling.run(scaling.ScalingBenchmark(no_write=True))
    assert results["exponents"] == {
        axis: pytest.approx(1.0) for axis in ("repeats", "galaxies per class", "image size", "batch size", "devices")
    }
    assert "repeats 100" in scaling.tables(results)["scaling"]


def test_one_point_is_measured(monkeypatch):
    row = scaling.measure_point(scaling.Point("repeats", 2, 2, Small(16)), rounds=1)
    assert row["seconds_per_galaxy"] == pytest.approx(row["seconds"]["median"] / 32)


@pytest.mark.slow
@pytest.mark.parametrize("benchmark_", [accelerator, scaling])
def test_the_quick_form_of_a_benchmark_runs(benchmark_, capsys):
    assert benchmark_.main(["--quick", "--no-write"]) == 0
    assert "| ---" in capsys.readouterr().out


@pytest.mark.slow
def test_the_accelerator_benchmark_leaves_out_what_does_not_fit_the_time(capsys):
    config = accelerator.AcceleratorBenchmark(minutes=0, repeats=1, galaxies=16, image_size=16, no_write=True)
    results = accelerator.run(config)
    assert "1 repeats" in results["left_out"]
    assert results["sweep"]["sweep_seconds"] > 0
    assert "left out, the time is up" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("jit(f)/jvp(ThesisNetwork)/ThesisNetwork.features/conv_2/dot", "conv_2 forward"),
        ("jit(f)/transpose(jvp(ThesisNetwork))/ThesisNetwork.classify/dense_1/dot", "dense_1 backward"),
        ("jit(_chunk)/shard_map/while/body/closed_call/dot_general", "update of dense kernels"),
        ("jit(_chunk)/shard_map/gather", "other"),
    ],
)
def test_operations_are_known_by_layer_and_direction(name, part):
    assert profile.part_of(name) == part


@pytest.mark.parametrize("benchmark_", [training, scaling, profile, accelerator])
def test_a_bad_flag_gets_a_sentence(benchmark_, capsys):
    flag = "--repeats" if benchmark_ is not scaling else "--rounds"
    assert benchmark_.main([flag, "0"]) == 2
    assert f"{flag} must be at least 1, not 0" in capsys.readouterr().err


def test_results_of_every_benchmark_are_kept():
    kept = {path.stem for path in measure.RESULTS.glob("*/*.json")}
    assert {"training", "scaling", "profile", "accelerator", "resampling"} <= kept
