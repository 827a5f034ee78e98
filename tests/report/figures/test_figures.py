"""Figures say what they show: captions with n and the meaning of bars, shapes from the network itself."""

import numpy as np
import pytest

from galjax.analysis.tables import summary_table
from galjax.analysis.usable import UsableConfig, with_usable
from galjax.config.settings import NetworkConfig
from galjax.networks.registry import make_network
from galjax.report.figures.comparison import points_with_bars
from galjax.report.figures.confusion import confusion_figure
from galjax.report.figures.curves import training_curves
from galjax.report.figures.galleries import class_gallery, clearest
from galjax.report.figures.network import layers_of, network_figure
from galjax.report.figures.redshift import redshift_histogram
from galjax.report.figures.style import stretched
from galjax.report.figures.sweep import accuracy_by_method, discrimination_by_method, methods_compared
from galjax.sources.simulated.survey import SimulatedSurvey, simulate
from galjax.training.history import History
from tests.made_up_cases import MadeUpCase


@pytest.fixture(scope="module")
def survey():
    return simulate(SimulatedSurvey(galaxies=40, image_size=16), seed=0)


def texts(figure):
    return " ".join(text.get_text() for panel in figure.axes for text in panel.texts)


def test_the_network_is_drawn_from_its_parameters():
    layers = layers_of(make_network(NetworkConfig(padding="same"), 2), (64, 64, 1))
    assert [layer.name for layer in layers] == ["conv_1", "conv_2", "conv_3", "dense_1", "dense_2", "output"]
    assert [layer.output for layer in layers] == [(32, 32, 32), (16, 16, 64), (8, 8, 128), (1024,), (1024,), (2,)]
    assert [layer.parameters for layer in layers] == [
        9 * 32 + 32,
        9 * 32 * 64 + 64,
        4 * 64 * 128 + 128,
        8192 * 1024 + 1024,
        1024 * 1024 + 1024,
        2 * 1024 + 2,
    ]
    valid = layers_of(make_network(NetworkConfig(padding="valid", filters=(4, 5, 6), dense_units=(7,)), 3), (32, 32, 2))
    assert [layer.output for layer in valid] == [(15, 15, 4), (6, 6, 5), (2, 2, 6), (7,), (3,)]
    named = network_figure(NetworkConfig(padding="same"), 2, (64, 64, 1))
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
    assert "bars: 2 standard deviations over the repeats" in named.caption
    assert "; 2 standard errors of the mean" in named.caption


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


@pytest.mark.parametrize(
    ("losses", "right", "words"),
    [
        ([0.7, 0.5], [5, 9], "training loss falls from 0.70 to 0.50, test accuracy rises from 0.500 to 0.900"),
        ([0.5, 0.7], [9, 5], "training loss rises from 0.50 to 0.70, test accuracy falls from 0.900 to 0.500"),
        ([0.6, 0.6], [5, 5], "training loss ends as it began, at 0.60, test accuracy ends as it began, at 0.500"),
    ],
)
def test_the_course_of_a_training_is_told_as_it_went(losses, right, words):
    confusion = np.array([[[[[n, 0], [10 - n, 0]]] for n in right]] * 2)
    train = np.array([losses] * 2)
    named = training_curves(
        {"": History(train, train, np.array([1, 2]), confusion, train[..., None])}, "curves", "galaxies"
    )
    assert named.alternative == f"{words}."
    assert "cut off" not in named.caption
    alone = History(train[:1], train[:1], np.array([1, 2]), confusion[:1], train[:1, :, None])
    assert "n = 1 repeats. Training" in training_curves({"": alone}, "curves", "galaxies").caption


def test_losses_are_said_to_be_cut_off_only_where_they_are():
    train = np.array([[0.7, 0.5, 0.4]] * 2)
    test = np.array([[0.7, 50.0, 0.4]] * 2)[..., None]
    confusion = np.ones((2, 3, 1, 2, 2), int)
    named = training_curves({"": History(train, train, np.arange(1, 4), confusion, test)}, "curves", "galaxies")
    assert "losses above 2.2 are cut off" in named.caption
    assert named.figure.axes[0].get_ylim()[1] == pytest.approx(2.2)


def sweep_summary(repeats=3, **usable):
    cases = [
        MadeUpCase(
            {"per_class": 20, "factor": factor, "method": method},
            {
                "accuracy": value + np.arange(repeats) / 100,
                "auc": value + np.arange(repeats) / 50,
                "recalibrated_accuracy": 0.8 * value + np.arange(repeats) / 200,
            },
        )
        for factor, method, value in ((1, "none", 0.9), (2, "nearest", 0.8), (2, "bicubic", 0.85))
    ]
    return with_usable(summary_table(cases), cases, UsableConfig(**usable), {20: 0.0})


def test_the_lines_of_a_sweep_are_the_thresholds_of_its_rule_and_named():
    summary = sweep_summary(usable_accuracy=0.86, usable_loss=0.04)
    for named in (methods_compared(summary, 20), accuracy_by_method(summary, 20, "std")):
        (legend,) = named.figure.legends
        names = [text.get_text() for text in legend.get_texts()]
        assert names == ["Original \N{MINUS SIGN} 0.04 (--usable-loss)", "0.86 (--usable-accuracy)"]
        for panel in named.figure.axes:
            flat = [line.get_ydata()[0] for line in panel.lines if list(line.get_xdata()) == [0, 1]]
            np.testing.assert_allclose(flat, [0.91 - 0.04, 0.86])
        assert (
            "shows a mean loss below 0.04. Usable: as accurate as Original, with a mean accuracy of at least 0.86"
            in named.caption
        )
    (legend,) = methods_compared(sweep_summary(usable_accuracy=0.0), 20).figure.legends
    assert len(legend.get_texts()) == 1


def test_the_area_and_the_fitted_threshold_stand_beside_the_accuracy():
    named = discrimination_by_method(sweep_summary(), 20)
    found = {container.get_label(): container for container in named.figure.axes[1].containers}
    assert list(found) == ["accuracy", "accuracy at a fitted threshold", "area under the ROC curve"]
    for name, means, std in (("accuracy", [0.91, 0.86], 0.01), ("area under the ROC curve", [0.92, 0.87], 0.02)):
        line, _, (bars,) = found[name]
        np.testing.assert_allclose(line.get_ydata(), means)
        np.testing.assert_allclose([bar[1, 1] - bar[0, 1] for bar in bars.get_segments()], 2 * std)
    assert "Mean accuracy at a fitted threshold. nearest: Original 0.725, 1/2 0.645; bicubic: " in named.alternative


def test_a_single_repeat_has_no_bars_in_picture_or_caption():
    caption = methods_compared(sweep_summary(repeats=1), 20).caption
    assert "Points are the results of a single repeat (n = 1), which has no bars" in caption
    assert "standard deviation" not in caption
    points = points_with_bars({"accuracy": {"a": np.array([0.9])}}, ["std"], "points", "About.")
    assert points.caption == "About. A single repeat (n = 1), which has no bars."
    matrix = confusion_figure({"one": np.array([[[0, 1], [0, 9]]])}, [("spiral", "elliptical")], "confusion", "a test")
    assert "standard deviation" not in matrix.caption
    assert "TPR -" in " ".join(label.get_text() for label in matrix.figure.axes[0].get_xticklabels())
