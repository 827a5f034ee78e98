import dataclasses

import numpy as np
import pytest

from galjax.analysis.cases import Case, values_by
from galjax.analysis.tables import comparisons_table, history_arrays, results_table, summary_table
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
    checked = None if validation is None else confusion(np.asarray(validation))
    return History(
        zeros[..., 0],
        zeros[..., 0],
        np.arange(5, 5 * right.shape[1] + 5, 5),
        confusion(right),
        zeros,
        checked,
        None if checked is None else zeros[..., 0],
    )


def test_results_hold_every_repeat_at_the_chosen_epoch():
    history = make_history([[2, 8, 6], [4, 8, 6]], validation=[[9, 0, 0], [9, 0, 0]])
    results = results_table([Case({"kind": "a", "size": 3}, history)])
    assert results.colnames == ["repeat", "kind", "size", "selection", "epoch", "accuracy"]
    assert [tuple(row) for row in results] == [
        (0, "a", 3, "validation", 5, 0.6),
        (1, "a", 3, "validation", 5, 0.7),
        (0, "a", 3, "last", 15, 0.8),
        (1, "a", 3, "last", 15, 0.8),
        (0, "a", 3, "test-mean", 10, 0.9),
        (1, "a", 3, "test-mean", 10, 0.9),
    ]


def test_results_stand_on_the_validation_galaxies_or_the_last_epoch_whatever_the_condition():
    validated = Case({}, make_history([[2, 8, 6]], validation=[[9, 0, 0]]))
    assert (validated.leading, validated.epoch(), validated.values().tolist()) == ("validation", 5, [0.6])
    plain = Case({}, make_history([[2, 8, 6]]))
    assert (plain.leading, plain.epoch(), plain.epoch("test-mean")) == ("last", 15, 10)


def test_epochs_that_were_chosen_elsewhere_are_read_where_they_were_evaluated():
    case = Case({}, make_history([[2, 8, 6]]), epochs={"validation": 5, "test-mean": 15})
    assert (case.reported, case.leading) == (("validation", "test-mean"), "validation")
    assert (case.epoch(), case.values().tolist(), case.values(selection="test-mean").tolist()) == (5, [0.6], [0.8])


def test_summaries_of_one_and_of_several_metrics():
    plain = [Case({"kind": kind}, make_history([[2], [4], [6]])) for kind in ("a", "b")]
    cases = [case._replace(class_names=("spiral", "elliptical")) for case in plain]
    assert results_table(cases).colnames[-4:] == ["accuracy", "tss", "tpr_spiral", "tpr_elliptical"]
    summary = summary_table(plain)
    assert summary.colnames == ["kind", "selection", "epoch", "mean", "std", "ste", "n"]
    assert len(summary) == 4
    assert summary["mean"][0] == pytest.approx(0.7)
    assert summary["std"][0] == pytest.approx(0.1)
    assert summary["ste"][0] == pytest.approx(0.1 / 3**0.5)
    several = summary_table(cases)
    rows = {(row["kind"], row["selection"], row["metric"]): row["mean"] for row in several}
    assert rows["b", "last", "tpr_spiral"] == pytest.approx(0.4)
    assert rows["b", "last", "tss"] == pytest.approx(0.4)  # no false positives
    np.testing.assert_allclose(cases[0].values("tpr_spiral", "last"), [0.2, 0.4, 0.6])


def test_discrimination_stands_beside_the_accuracy_or_in_rows_of_its_own():
    history = make_history([[2, 8], [4, 8]])
    recalibrated = history.test_confusion[:, ::-1]
    areas = np.array([[0.25, 0.5], [0.5, 0.75]], np.float32)[..., None]
    measured = dataclasses.replace(history, test_auc=areas, test_recalibrated_confusion=recalibrated)
    case = Case({"kind": "a"}, measured, epochs={"last": 10})
    (row,) = summary_table([case])
    assert row.colnames[-4:] == ["auc", "auc_std", "recalibrated_accuracy", "recalibrated_accuracy_std"]
    assert (row["mean"], row["auc"], row["recalibrated_accuracy"]) == pytest.approx((0.9, 0.625, 0.65))
    assert row["auc_std"] == pytest.approx(0.25 / 2**0.5)
    assert results_table([case])["auc"].tolist() == [0.5, 0.75]
    np.testing.assert_allclose(values_by([case], "kind", selection="last", metric="auc")["a",], [0.5, 0.75])
    summary = summary_table([case._replace(class_names=("a", "b"))])
    assert summary["metric"].tolist() == ["accuracy", "auc", "recalibrated_accuracy", "tss", "tpr_a", "tpr_b"]
    arrays = history_arrays({1: measured}, "kind", [ORIGINAL], ("a", "b"))
    assert arrays["test_auc"].ndim == len(arrays["test_auc_axes"]) == 4
    assert arrays["test_recalibrated_confusion"].ndim == len(arrays["test_recalibrated_confusion_axes"]) == 6


def test_three_classes_have_no_true_skill_statistic():
    case = Case({}, make_history([[2]]), class_names=("a", "b", "c"))
    assert case.metrics == ("accuracy", "tpr_a", "tpr_b", "tpr_c")


def test_cases_of_other_classes_stand_in_one_table():
    """The metrics that only one of them has are NaN in the rows of the other, which has no such row in the summary."""
    history = make_history([[2], [4]])
    two = Case({"labels": 2}, history, class_names=("a", "b"), epochs={"last": 5})
    one = Case({"labels": 1}, history, epochs={"last": 5})
    results = results_table([one, two])
    assert results.colnames == ["repeat", "labels", "selection", "epoch", "accuracy", "tss", "tpr_a", "tpr_b"]
    np.testing.assert_array_equal(results["tpr_a"], [np.nan, np.nan, 0.2, 0.4])
    summary = summary_table([one, two])
    assert [(row["labels"], row["metric"]) for row in summary] == [
        (1, "accuracy"),
        (2, "accuracy"),
        (2, "tss"),
        (2, "tpr_a"),
        (2, "tpr_b"),
    ]


def test_values_are_looked_up_by_keys_at_the_epoch_asked_for():
    history = make_history([[2, 8, 6], [4, 8, 6]])
    cases = [Case({"kind": kind, "size": size}, history) for kind in ("a", "b") for size in (3, 5)]
    found = values_by(cases, "size", "kind")
    assert list(found) == [(3, "a"), (5, "a"), (3, "b"), (5, "b")]
    np.testing.assert_array_equal(found[5, "b"], [0.8, 0.8])
    np.testing.assert_array_equal(values_by(cases, "kind", selection="test-mean")["a",], [0.9, 0.9])  # the best mean


def test_comparisons_are_corrected_for_their_number():
    rows = [("one", 0.1, 0.0, 0.2, 0.01, 5), ("two", 0.2, 0.1, 0.3, 0.03, 5)]
    table = comparisons_table(rows, ("what", "difference"))
    assert table.colnames == ["what", "difference", "low", "high", "p_value", "n", "p_corrected"]
    assert table["p_corrected"].tolist() == [0.02, 0.03]
    nothing = comparisons_table([], ("what", "difference"), ("U9",))
    assert (len(nothing), nothing["what"].dtype, nothing["n"].dtype) == (0, np.dtype("U9"), np.dtype("i8"))


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
