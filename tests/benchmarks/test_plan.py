import multiprocessing

import pytest

from benchmarks import plan, weak_scaling
from benchmarks.contenders.apart import start_apart
from benchmarks.contenders.problem import Problem
from benchmarks.plan import Plan, estimate
from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.training.memory import Sizes, memory_of
from galjax.training.step import OptimiserConfig

RATES = {"images_per_second": 420.0, "evaluated_images_per_second": 3960.0}


def test_hours_follow_from_the_measured_rates():
    one = Plan(machines=1, repeats=1, repeats_per_run=1, epochs=900, evaluate_every=10)
    found = estimate(one, RATES)  # 420 galaxies to train on and 180 under 22 conditions to evaluate: a second each
    assert found["sweep_machine_hours"] == pytest.approx((900 + 90) / 3600)
    assert found["evaluation_share"] == pytest.approx(90 / 990)
    many = estimate(Plan(machines=10, repeats=100, repeats_per_run=50), RATES)
    assert many["sweep_hours"] == pytest.approx(100 * 990 / 3600 / 10)
    assert (many["runs"], many["machines_per_run"]) == (2, 5)
    twice = estimate(one, {name: 2 * rate for name, rate in RATES.items()})
    assert twice["sweep_hours"] == pytest.approx(found["sweep_hours"] / 2)
    assert twice["classify_hours"] == pytest.approx(1e9 / 7920 / 3600)


def test_memory_and_storage_follow_from_the_estimate():
    state = memory_of(NetworkConfig(padding="same"), OptimiserConfig(), Sizes((64, 64, 1), 1, 1, 1)).state
    found = estimate(Plan(machines=10, repeats=100, repeats_per_run=100), RATES)
    assert found["checkpoint_bytes"] == 2 * 100 * state
    assert found["first_machine_bytes"] - found["other_machine_bytes"] == 100 * state
    assert found["image_bytes"] == 1e9 * 64 * 64 * 4
    assert found["parts"] == 1000


def test_every_measured_machine_gets_its_plan(capsys):
    assert plan.main(["--machines", "8", "--repeats", "3000"]) == 0
    told = capsys.readouterr().out
    assert "cpu-amd-epyc-2-cores" in told
    assert "sweep of 3,000 repeats" in told
    assert plan.main(["--machines", "0"]) == 2
    assert "--machines must be at least 1, not 0" in capsys.readouterr().err


def test_devices_are_held_against_processes_of_their_own_and_marked_where_they_take_turns():
    rows = [
        {"devices": 1, "at_once": 1, "repeats": 2, "seconds": {"median": 1.0, "min": 1.0, "max": 1.0}, "apart": None},
        {
            "devices": 4,
            "at_once": 2,
            "repeats": 8,
            "seconds": {"median": 2.5, "min": 2.0, "max": 3.0},
            "apart": {"median": 2.0, "min": 2.0, "max": 2.5},
        },
    ]
    table = weak_scaling.tables({"rows": rows})["weak-scaling"]
    assert "| 1 | 2 | - | 1.000 (1.000 - 1.000) | - |" in table
    assert "| 4, oversubscribed | 8 | 1.25 | 2.500 (2.000 - 3.000) | 2.000 (2.000 - 2.500) |" in table


@pytest.mark.thorough
def test_processes_apart_train_when_asked_and_their_loss_is_a_sentence():
    small = Problem(
        galaxies=8, image_size=16, network=NetworkConfig(filters=(4, 4, 4), dense_units=(8,), padding="same")
    )
    with start_apart(small, 1, [1, 2]) as apart:
        apart.run([0, 1])
        apart.run([1])
        for child in multiprocessing.active_children():
            child.kill()
            child.join()
        with pytest.raises(InputError, match="has ended: is there memory"):
            apart.run([0])
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_the_quick_form_runs(capsys):
    assert weak_scaling.main(["--quick", "--no-write", "--devices", "1", "2"]) == 0
    assert "| ---" in capsys.readouterr().out
