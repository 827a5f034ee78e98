"""Figures say what they show: captions with n and the meaning of bars, shapes from the network itself."""

import numpy as np
import pytest

from galjax.figures.comparison import points_with_bars
from galjax.figures.confusion import confusion_figure
from galjax.figures.galleries import class_gallery, clearest
from galjax.figures.network import layers_of, network_figure
from galjax.figures.redshift import redshift_histogram
from galjax.figures.style import stretched
from galjax.network import NetworkConfig
from galjax.sources.simulated import SimulatedSurvey, simulate


@pytest.fixture(scope="module")
def survey():
    return simulate(SimulatedSurvey(galaxies=40, image_size=16), seed=0)


def texts(figure):
    return " ".join(text.get_text() for panel in figure.axes for text in panel.texts)


def test_the_network_is_drawn_from_its_parameters():
    layers = layers_of(NetworkConfig(), 2, (64, 64, 1))
    assert [layer.name for layer in layers] == ["conv_1", "conv_2", "conv_3", "dense_1", "dense_2", "output"]
    assert [layer.output for layer in layers] == [(32, 32, 32), (16, 16, 64), (8, 8, 128), (1024,), (1024,), (2,)]
    assert [layer.parameters for layer in layers] == [
        9 * 32 + 32, 9 * 32 * 64 + 64, 4 * 64 * 128 + 128, 8192 * 1024 + 1024, 1024 * 1024 + 1024, 2 * 1024 + 2,
    ]  # fmt: skip
    valid = layers_of(NetworkConfig(padding="valid", filters=(4, 5, 6), dense_units=(7,)), 3, (32, 32, 2))
    assert [layer.output for layer in valid] == [(15, 15, 4), (6, 6, 5), (2, 2, 6), (7,), (3,)]
    named = network_figure(NetworkConfig(), 2, (64, 64, 1))
    assert "8,389,632" in texts(named.figure)
    total = sum(layer.parameters for layer in layers)
    assert f"{total:,} in all, 88% of them in dense 1" in named.caption


def test_confusion_matrices_show_mean_and_spread_with_predictions_as_rows():
    counts = np.array([[[8, 1], [2, 9]], [[6, 1], [4, 9]]])
    named = confusion_figure({"two": counts}, [("spiral", "elliptical")], "confusion", "a test")
    assert "7.0\n± 1.4" in texts(named.figure)
    assert "TPR 0.700" in " ".join(label.get_text() for label in named.figure.axes[0].get_xticklabels())
    assert "of true spiral 3.0 are called elliptical" in named.alternative
    assert "n = 2 repeats" in named.caption


def test_bars_are_as_long_as_they_say():
    values = np.array([0.8, 0.9, 1.0])
    named = points_with_bars({"accuracy": {"a": values}}, ["2 std", "2 ste"], "points", "About.")
    heights = []
    for panel in named.figure.axes:
        (segments,) = (c.get_segments() for c in panel.collections if hasattr(c, "get_segments"))
        heights.append(segments[0][1, 1] - segments[0][0, 1])
    np.testing.assert_allclose(heights, [4 * 0.1, 4 * 0.1 / 3**0.5])
    assert "2 std, 2 standard deviations over the repeats; 2 ste, 2 standard errors" in named.caption


def test_a_gallery_shows_the_whole_range_of_a_class(survey):
    named = class_gallery(survey, "spiral", columns=4, rows=1)
    assert len([panel for panel in named.figure.axes if panel.images]) == 4
    count = survey.class_counts()["spiral"]
    assert named.caption.startswith(f"4 of {count} galaxies labelled spiral")
    assert survey.labels[clearest(survey, "elliptical")] == 1


def test_redshifts_are_counted_by_label_or_there_is_no_figure(survey):
    import dataclasses

    assert f"spiral ({survey.class_counts()['spiral']})" in " ".join(
        text.get_text() for text in redshift_histogram(survey).figure.axes[0].get_legend().get_texts()
    )
    assert redshift_histogram(dataclasses.replace(survey, redshift=np.full(40, np.nan))) is None


def test_the_stretch_maps_sky_to_black_and_the_brightest_to_white():
    found = stretched(np.array([[10.0, 60.0, 110.0]]), 10.0, 110.0)
    assert found[0, 0] == 0
    assert found[0, 2] == pytest.approx(1)
    assert found[0, 1] > 0.75
