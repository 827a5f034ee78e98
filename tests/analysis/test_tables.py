import numpy as np
import pytest

from galjax.analysis.tables import Case, class_metrics, history_arrays, results_table, summary_table, values_of
from galjax.resample import degrade_matrices, round_trip_matrices
from galjax.training.conditions import ORIGINAL, Condition, make_conditions
from galjax.training.history import History


def make_history(right, validation=None):
    """A history whose accuracies of 10 galaxies of each of two classes are `right` (repeat, evaluation) in tenths."""
    right = np.asarray(right)[..., None]  # one condition

    def confusion(tenths):
        found = np.zeros((*tenths.shape, 2, 2), int)
        found[..., 0, 0], found[..., 1, 0] = tenths, 10 - tenths
        found[..., 1, 1] = 10
        return found

    zeros = np.zeros(right.shape)
    checked = None if validation is None else confusion(np.asarray(validation)[..., None])
    return History(
        zeros[..., 0],
        zeros[..., 0],
        np.arange(5, 5 * right.shape[1] + 5, 5),
        confusion(right),
        zeros,
        checked,
        None if checked is None else zeros,
    )


def test_results_hold_every_repeat_at_the_chosen_epoch():
    history = make_history([[2, 8, 6], [4, 8, 6]], validation=[[9, 0, 0], [9, 0, 0]])
    results = results_table([Case({"kind": "a", "size": 3}, history)])
    assert results.colnames == ["repeat", "kind", "size", "selection", "epoch", "accuracy"]
    assert [tuple(row) for row in results] == [
        (0, "a", 3, "test-mean", 10, 0.9),
        (1, "a", 3, "test-mean", 10, 0.9),
        (0, "a", 3, "last", 15, 0.8),
        (1, "a", 3, "last", 15, 0.8),
        (0, "a", 3, "validation", 5, 0.6),
        (1, "a", 3, "validation", 5, 0.7),
    ]


def test_summaries_of_one_and_of_several_metrics():
    cases = [Case({"kind": kind}, make_history([[2], [4], [6]])) for kind in ("a", "b")]
    results = results_table(cases, class_metrics(("spiral", "elliptical")))
    assert results.colnames[-4:] == ["accuracy", "tss", "tpr_spiral", "tpr_elliptical"]
    summary = summary_table(results)
    assert summary.colnames == ["kind", "selection", "epoch", "mean", "std", "ste", "n"]
    assert len(summary) == 4
    assert summary["mean"][0] == pytest.approx(0.7)
    assert summary["std"][0] == pytest.approx(0.1)
    assert summary["ste"][0] == pytest.approx(0.1 / 3**0.5)
    several = summary_table(results, ("accuracy", "tpr_spiral", "tss"))
    rows = {(row["kind"], row["selection"], row["metric"]): row["mean"] for row in several}
    assert rows["b", "last", "tpr_spiral"] == pytest.approx(0.4)
    assert rows["b", "last", "tss"] == pytest.approx(0.4)  # no false positives
    np.testing.assert_allclose(values_of(results, "tpr_spiral", kind="a", selection="last"), [0.2, 0.4, 0.6])


def test_three_classes_have_no_true_skill_statistic():
    assert list(class_metrics(("a", "b", "c"))) == ["accuracy", "tpr_a", "tpr_b", "tpr_c"]


def test_conditions_start_at_original_and_have_their_matrices():
    conditions = make_conditions((1, 2, 4), ("nearest", "bicubic"))
    assert conditions == (
        ORIGINAL,
        Condition(2, "nearest"),
        Condition(4, "nearest"),
        Condition(2, "bicubic"),
        Condition(4, "bicubic"),
    )
    assert [condition.label for condition in conditions[:2]] == ["Original", "1/2"]
    shape = (16, 12)
    np.testing.assert_array_equal(ORIGINAL.matrices(shape, "opencv")[1], np.eye(12))
    for found, expected in zip(
        Condition(4, "bicubic").matrices(shape, "opencv"), degrade_matrices(shape, 4, "bicubic"), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    sized = Condition(3, "bilinear", size=5).matrices(shape, "opencv")
    for found, expected in zip(sized, round_trip_matrices(shape, (5, 4), "bilinear"), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_histories_are_stacked_with_named_axes():
    histories = {20: make_history([[2, 3]]), 30: make_history([[4, 5]])}
    arrays = history_arrays(histories, "per_class", [ORIGINAL], ("a", "b"))
    assert arrays["test_confusion"].shape == (2, 1, 2, 1, 2, 2)
    assert arrays["test_confusion_axes"].tolist()[:2] == ["per_class", "repeat"]
    assert arrays["per_class"].tolist() == [20, 30]
    assert "validation_loss" not in arrays
