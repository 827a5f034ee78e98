"""The table of networks says what was measured, and the benchmark trains every network of the registry."""

import numpy as np
import pytest

from benchmarks import networks
from benchmarks.networks import NetworksBenchmark
from galjax.config.settings import LEARNING_RATES
from galjax.networks.registry import NETWORKS
from galjax.sources import SimulatedSurvey, SourceConfig

RESULTS = {
    "settings": {"per_class": 4},
    "galaxies": {"simulated": {"spiral": 10, "elliptical": 10}},
    "networks": {
        "thesis": {
            "parameters": 9_000_000,
            "learning_rate": 0.003,
            "seconds_per_repeat_and_step": {"median": 0.008, "min": 0.007, "max": 0.009},
            "accuracy": {"simulated": [[0.8, 0.9, 0.85], [0.5, 0.6, 0.7]]},
        },
        "residual": {
            "parameters": 300_000,
            "learning_rate": 0.03,
            "seconds_per_repeat_and_step": {"median": 0.010, "min": 0.009, "max": 0.011},
            "accuracy": {"simulated": [[0.9, 0.96, 0.96], [0.5, 0.6, 0.7]]},
        },
    },
}


def test_the_table_gives_ratio_parameters_accuracies_and_paired_differences():
    header, _, thesis, residual, difference = networks.tables(RESULTS)["networks"].splitlines()
    assert header.split(" | ")[-2:] == ["simulated, Original", "simulated, 1/4 |"]
    assert thesis == "| thesis | 1.00 | 8.0 (7.0 - 9.0) | 9,000,000 | 0.003 | 0.850 ± 0.050 | 0.600 ± 0.100 |"
    assert residual.startswith("| residual | 1.25 | 10.0 (9.0 - 11.0) | 300,000 | 0.03 | 0.940 ± 0.035 |")
    wider = (1 / 3 + 0.1 / 0.9) ** 0.5  # 1 of 10 galaxies per class is tested
    low, high = np.asarray([-1, 1]) * 4.302653 * np.std([0.1, 0.06, 0.11], ddof=1) * wider + 0.09
    assert f"| +0.090 (95 % interval {low:+.3f} to {high:+.3f}) | 0.000 (no difference in any repeat) |" in difference


def test_a_bad_flag_gets_a_sentence(capsys):
    assert networks.main(["--repeats", "0"]) == 2
    assert "--repeats must be at least 1, not 0" in capsys.readouterr().err


@pytest.mark.slow
def test_every_network_is_trained_and_timed():
    source = SourceConfig(simulated=SimulatedSurvey(galaxies=120, image_size=16))
    results = networks.run(NetworksBenchmark(source, repeats=2, epochs=1, per_class=10, rounds=1, no_write=True))
    assert list(results["networks"]) == list(NETWORKS)
    for name, found in results["networks"].items():
        assert np.shape(found["accuracy"]["simulated"]) == (2, 2)  # conditions, repeats
        assert found["learning_rate"] == LEARNING_RATES[name]
        assert found["seconds_per_repeat_and_step"]["n"] == 1
