"""What changes are worth, from made-up probabilities."""

import numpy as np
import pytest

from galjax.analysis.ablation import AVERAGES, Told, ablation_table, gains_table
from galjax.report.figures.ablation import gains_figure


def told(sure, seed=0, repeats=3, orientations=8, galaxies=200):
    """Networks that are right in each orientation by luck and how sure they are, each with noise of its own."""
    rng = np.random.default_rng(seed)
    labels = np.arange(galaxies) % 2
    odds = np.where(labels == 1, sure, -sure) + rng.normal(size=(repeats, orientations, galaxies))
    p = 1 / (1 + np.exp(-odds))
    return Told(np.stack([1 - p, p], axis=-1).astype(np.float32), labels)


def test_averages_are_of_probabilities_and_gain_where_errors_are_independent():
    one = told(0.8)
    averaged = one.averaged()
    assert list(averaged) == list(AVERAGES)
    single = one.right.mean()
    assert single < averaged["together"] < averaged["both"]
    assert single < averaged["oriented"] <= averaged["both"]
    mean = one.probabilities[:, 0].astype(np.float64).mean(axis=0)
    assert averaged["together"] == (mean.argmax(axis=1) == one.labels).mean()


def test_gains_are_paired_over_galaxies_with_the_baseline_of_the_same_images():
    all_told = {
        ("baseline", 1, "none"): told(1.0, 1),
        ("baseline", 8, "bilinear"): told(0.5, 2),
        ("better", 1, "none"): told(2.0, 3),
        ("better", 8, "bilinear"): told(0.5, 2),
    }
    table = ablation_table(all_told, {"baseline": 10.04, "better": 20.0})
    assert table["seconds"].tolist() == [10.0, 10.0, 20.0, 20.0]
    assert table["accuracy"][2] == pytest.approx(all_told["better", 1, "none"].right.mean())
    gains = gains_table(all_told, "baseline")
    assert gains["change"].tolist() == ["better", "better"]
    first = all_told["better", 1, "none"].right.mean(axis=0) - all_told["baseline", 1, "none"].right.mean(axis=0)
    assert gains["difference"][0] == pytest.approx(first.mean())
    half = 1.971957 * first.std(ddof=1) / np.sqrt(200)  # Student's t of 199 degrees of freedom
    assert gains["high"][0] - gains["difference"][0] == pytest.approx(half, rel=1e-4)
    assert gains["difference"][1] == 0
    assert gains_figure(gains, "baseline").figure is not None
    assert len(gains_table({key: one for key, one in all_told.items() if key[0] == "baseline"}, "baseline")) == 0
