"""The picture of the README is drawn from a sweep's run folder."""

import numpy as np
import pytest
from astropy.table import Table
from PIL import Image

from benchmarks import readme
from experiments.resolution_sweep import ResolutionSweep
from galjax.errors import InputError
from galjax.report.figures.one_galaxy import accuracies_of, one_galaxy
from galjax.runs import folder
from galjax.sources import SimulatedSurvey, SourceConfig, simulate

SURVEY = SimulatedSurvey(galaxies=60, image_size=32)


@pytest.fixture
def summary():
    """Two sample sizes; at Original, and with two methods at 1/2, 1/4, 1/8, the accuracy is told apart everywhere."""
    conditions = [(1, "none"), *((k, method) for method in ("nearest", "bilinear") for k in (2, 4, 8))]
    rows = [
        (per_class, factor, method, selection, mean, 0.01, 6)
        for per_class, base in ((20, 0.5), (40, 0.7))
        for selection, more in (("test-mean", 0.0), ("last", 0.1))
        for factor, method in conditions
        for mean in [base + more + 0.001 * factor + 0.01 * (method == "bilinear")]
    ]
    return Table(rows=rows, names=("per_class", "factor", "method", "selection", "mean", "std", "n"))


def test_the_accuracies_are_those_of_one_method_and_sample_size_at_the_leading_epoch(summary):
    found = accuracies_of(summary, 20, (1, 2, 8), "bilinear")
    assert list(found) == [1, 2, 8]
    np.testing.assert_allclose([mean for mean, _ in found.values()], [0.601, 0.612, 0.618])
    with pytest.raises(InputError, match=r"no result at 1/3 .* factors, 1, 2, 4, 8, and methods, bilinear, nearest"):
        accuracies_of(summary, 20, (1, 3), "bilinear")


def test_each_panel_has_its_accuracy_and_loses_detail_with_its_factor(summary):
    named = one_galaxy(simulate(SURVEY, seed=0), accuracies_of(summary, 20, (1, 2, 8), "bilinear"), "bilinear", [6])
    panels = named.figure.axes
    assert [panel.get_title() for panel in panels] == ["Original", "1/2", "1/8"]
    assert [panel.get_xlabel() for panel in panels] == [f"accuracy\n0.6{k} ± 0.010" for k in ("01", "12", "18")]
    steps = [np.abs(np.diff(panel.images[0].get_array())).sum() for panel in panels]
    assert steps[0] > steps[1] > steps[2]
    assert "n = 6 repeats" in named.caption


def test_the_picture_is_drawn_from_a_run_folder(tmp_path, summary):
    run = tmp_path / "run"
    with pytest.raises(InputError, match="holds no finished resolution sweep"):
        readme.draw_picture(run, tmp_path / "picture.png")
    config = ResolutionSweep(source=SourceConfig(simulated=SURVEY))
    opened = folder.open_run("resolution_sweep", config, run, resume=False, sample_digest="")
    opened.write_table("summary.ecsv", summary)
    opened.close()
    caption = readme.draw_picture(run, tmp_path / "picture.png")
    assert "A galaxy labelled spiral" in caption
    with Image.open(tmp_path / "picture.png") as picture:
        assert picture.text["Description"] == caption
        assert picture.width > 3 * picture.height / 1.5
