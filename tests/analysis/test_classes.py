"""Completeness, purity, accuracy against quantities, and the galaxies most often wrong."""

import numpy as np
import pytest

import galjax
from galjax.analysis.cases import Case
from galjax.analysis.classes import Said, accuracy_against, classes_table, most_often_wrong, said_under
from galjax.report.figures.classes import accuracy_against_figure, roc_figure, wrong_gallery
from galjax.training.ensemble import HeldOut
from galjax.training.history import History

CONFUSION = np.array([[[[[8, 1], [2, 9]]]], [[[[6, 0], [4, 10]]]]])


def history(**changes):
    measured = {
        "train_loss": np.zeros((2, 3)),
        "train_accuracy": np.zeros((2, 3)),
        "evaluated_epoch": np.array([3]),
        "test_confusion": CONFUSION,
        "test_loss": np.zeros((2, 1, 1)),
    }
    return History(**(measured | changes))


def test_completeness_and_purity_are_those_of_the_confusion_matrix():
    table = classes_table([Case({"factor": 1}, history())], ["a", "b"])
    first, second = table
    assert first["class"] == "a"
    assert first["completeness"] == pytest.approx((0.8 + 0.6) / 2)
    assert first["purity"] == pytest.approx((8 / 9 + 1) / 2)
    assert second["completeness"] == pytest.approx((0.9 + 1) / 2)
    assert second["purity_std"] == pytest.approx(np.std([9 / 11, 10 / 14], ddof=1))
    never = np.array([[[[[0, 0], [10, 10]]]]])
    (row, _) = classes_table([Case({"factor": 1}, history(test_confusion=np.concatenate([never, never])))], ["a", "b"])
    assert row["completeness"] == 0
    assert np.isnan(row["purity"])


def some_said():
    labels = np.array([[0, 1, 0, 1], [0, 1, 1, 0]])
    chosen = np.array([[5, 6, 7, 8], [5, 6, 8, 9]])
    p = np.array([[0.9, 0.2, 0.4, 0.3], [0.8, 0.7, 0.1, 0.55]])  # of class 0
    return Said(np.stack([p, 1 - p], axis=2), labels, chosen)


def test_the_galaxies_most_often_wrong_lead():
    said = some_said()
    assert said.is_right.tolist() == [[True, True, False, True], [True, False, True, True]]
    assert most_often_wrong(said, 5) == [(6, 0.5, 2)]  # 7 is tested by one repeat alone
    alone = Said(*(part[:1] for part in said))
    assert most_often_wrong(alone, 5) == [(7, 1.0, 1)]


def test_accuracy_against_a_quantity_is_that_of_its_bins():
    rng = np.random.default_rng(0)
    chosen = np.arange(600).reshape(2, 300)
    labels = rng.integers(0, 2, (2, 300))
    quantity = np.linspace(0, 1, 600)
    right = rng.random((2, 300)) < 0.5 + quantity[chosen] / 2
    p = np.where(right, labels == 0, labels == 1) * 0.8 + 0.1
    said = Said(np.stack([p, 1 - p], axis=2), labels, chosen)
    found = accuracy_against(said, quantity)
    assert len(found.middles) == 6
    np.testing.assert_allclose(found.accuracy, 0.5 + found.middles / 2, atol=0.15)
    assert found.error[0] == pytest.approx(np.sqrt(found.accuracy[0] * (1 - found.accuracy[0]) / 100))
    assert accuracy_against(said, np.full(600, np.nan)) is None
    assert accuracy_against(said, np.ones(600)) is None


def test_what_was_said_is_that_of_the_leading_epoch():
    sample = galjax.simulate(galjax.SimulatedSurvey(galaxies=12, image_size=8), seed=1)
    chosen = np.array([[0, 1, 2], [3, 4, 5]])
    predictions = np.random.default_rng(0).dirichlet([1, 1, 1], (2, 1, 1, 3)).astype(np.float32)
    one = history(predictions=predictions, predicted_epoch=np.array([3]))
    said = said_under(one, HeldOut(sample, chosen), 0)
    np.testing.assert_array_equal(said.probabilities, predictions[:, 0, 0])
    assert (said.labels == sample.labels[chosen]).all()
    assert said_under(history(), HeldOut(sample, chosen), 0) is None
    other = history(predictions=predictions, predicted_epoch=np.array([2]))
    assert said_under(other, HeldOut(sample, chosen), 0) is None
    for figure in (
        roc_figure({"Original": said}, sample.class_names, "nearest"),
        wrong_gallery(sample, [(0, 1.0, 2)], {0: "spiral"}, "at Original"),
    ):
        assert figure.figure is not None, figure.caption
    many = accuracy_against(
        Said(np.tile(said.probabilities, (1, 20, 1)), np.tile(said.labels, 20), np.arange(120).reshape(2, 60)),
        np.arange(120.0),
    )
    figure = accuracy_against_figure({"redshift": {"Original": many}}, "nearest")
    assert figure.figure is not None, figure.caption
