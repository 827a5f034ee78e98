import numpy as np
import pytest

from galjax.analysis import usable
from galjax.analysis.cases import Case
from galjax.analysis.tables import results_table, summary_table
from galjax.analysis.usable import UsableConfig
from galjax.metrics import accuracy
from galjax.statistics import compare_independent, compare_paired, repeats_left, summarise
from galjax.training.divergence import Diverged, Divergence, check_diverged, describe, find_diverged, without
from galjax.training.history import History

NAN, INF = np.nan, np.inf


def make_history(train_loss, test_loss, validation=False):
    """Four epochs, evaluated after the second and the last, one condition."""
    train = np.array(train_loss, np.float32)
    test = np.array(test_loss, np.float32)[:, :, None]
    repeats = len(train)
    confusion = np.tile(np.array([[3, 1], [1, 3]]), (repeats, 2, 1, 1, 1))
    confusion[:, 1, 0] = [[4, 0], [0, 4]]
    return History(
        train,
        np.full_like(train, 0.5),
        np.array([2, 4]),
        confusion,
        test,
        confusion[:, :, 0] if validation else None,
        test[:, :, 0] if validation else None,
    )


FINE = [1.0, 0.9, 0.8, 0.7]


def test_every_kind_of_loss_and_the_first_epoch_of_it_is_found():
    history = make_history(
        [FINE, [1.0, NAN, NAN, NAN], [1.0, 0.9, INF, 0.9], FINE, FINE],
        [[1.0, 0.9], [NAN, NAN], [1.0, 1.0], [1.0, INF], [1.0, 0.9]],
    )
    assert find_diverged(history) == [(1, 2, 4), (2, 3, 4), (3, 4, 4)]
    assert find_diverged(make_history([FINE], [[1.0, 0.9]])) == []
    assert find_diverged(make_history([FINE], [[1.0, NAN]], validation=True)) == [(0, 4, 4)]


def test_without_them_every_measurement_is_unknown_and_the_given_history_is_untouched():
    history = make_history([FINE, [1.0, NAN, NAN, NAN], FINE], [[1.0, 0.9], [NAN, NAN], [1.0, 0.9]], validation=True)
    cleaned = without(history, find_diverged(history))
    assert np.isnan(cleaned.train_loss[1]).all()
    assert np.isnan(accuracy(cleaned.test_confusion)[1]).all()
    assert np.isnan(accuracy(cleaned.validation_confusion)[1]).all()
    assert cleaned.evaluated_epoch.tolist() == [2, 4]
    for name, array in history.arrays().items():
        if name != "evaluated_epoch":
            np.testing.assert_array_equal(cleaned.arrays()[name][[0, 2]], array[[0, 2]])
    assert history.test_confusion[1].sum() > 0
    assert without(history, []) is history


def test_a_run_is_stopped_by_default_and_when_no_repeat_is_left():
    history = make_history([FINE, [1.0, NAN, NAN, NAN]], [[1.0, 0.9], [NAN, NAN]])
    with pytest.raises(
        Diverged, match=r"sweep: the loss of repeat 1 in epochs 2 to 4 is NaN or infinite\. KEPT\. .*drop"
    ):
        check_diverged(history, "sweep", "stop", "KEPT.")
    assert check_diverged(history, "sweep", "drop", "KEPT.") == [Divergence(1, 2, 4)]
    all_gone = make_history([[NAN] * 4] * 2, [[NAN, NAN]] * 2)
    with pytest.raises(Diverged, match=r"every repeat .* nothing is left .* KEPT\. .*--learning-rate"):
        check_diverged(all_gone, "sweep", "drop", "KEPT.")
    assert check_diverged(make_history([FINE], [[1.0, 0.9]]), "sweep", "stop", "KEPT.") == []


def test_many_are_named_shortly():
    assert describe([Divergence(n, 2, 9) for n in range(8)]).endswith("repeat 4 in epochs 2 to 9 and 3 more repeats")


def test_tables_keep_the_rows_and_summaries_say_how_many_count():
    history = make_history([FINE, [1.0, NAN, NAN, NAN], FINE], [[1.0, 0.9], [NAN, NAN], [1.0, 0.9]])
    cases = [Case({"factor": 1}, without(history, find_diverged(history)))]
    results = results_table(cases)
    best = results[results["selection"] == "test-mean"]
    assert best["repeat"].tolist() == [0, 1, 2]
    assert best["epoch"].tolist() == [4, 4, 4]
    np.testing.assert_array_equal(best["accuracy"], [1.0, NAN, 1.0])
    summary = summary_table(cases)
    assert summary["n"].tolist() == [2, 2]
    assert summary["mean"].tolist() == [1.0, 1.0]


def test_statistics_do_not_count_dropped_repeats():
    values, others = np.array([0.9, NAN, 0.8, 0.85]), np.array([0.8, 0.9, NAN, 0.80])
    assert summarise(values) == summarise(values[[0, 2, 3]])
    assert summarise(values).n == 3
    assert repeats_left(values, values) == "3"
    assert repeats_left(values, np.array([0.1])) == "1 to 3"
    nothing = summarise(np.full(3, NAN))
    assert nothing.n == 0
    assert np.isnan(nothing.mean)
    pair = np.array([0, 3])
    assert compare_paired(values, others, 0.1) == compare_paired(values[pair], others[pair], 0.1)
    assert compare_paired(values, others, 0.1).n == 2
    assert compare_independent(values, others, (0.1, 0.0)) == compare_independent(
        values[[0, 2, 3]], others[[0, 1, 3]], (0.1, 0.0)
    )
    assert compare_independent(values, np.full(4, NAN), (0.1, 0.0)).n == 0
    curve = np.array([[1.0, 2.0], [NAN, NAN], [3.0, NAN]])
    assert summarise(curve).n == 2  # a repeat that is a number somewhere was not dropped


def test_what_is_usable_is_decided_by_the_repeats_that_are_left():
    original = np.tile([0.91, 0.90, 0.92, 0.91], 3)
    degraded = np.tile([0.91, 0.905, 0.915, 0.91], 3)
    with_gap = [np.append(values, NAN) for values in (original, degraded)]
    config, shared = UsableConfig(), 0.01
    assert usable.is_usable(original, degraded, config, shared)
    assert usable.is_usable(*with_gap, config, shared)
    assert not usable.is_usable(np.array([0.91, NAN]), np.array([0.91, NAN]), config, shared)
    assert not usable.is_usable(np.full(3, NAN), np.full(3, NAN), config, shared)
    whole, gap = (
        usable.limit_interval((1, 2), np.stack(values), config, shared) for values in ([original, degraded], with_gap)
    )
    assert whole == gap
    assert whole is not None
    assert usable.limit_interval((1, 2), np.full((2, 12), NAN), config, shared) is None
