import itertools

import numpy as np
import pytest

from galjax.analysis.attribution import REMAINS, attribution_table, shapley_terms, subsets

STEPS = ("pixel size", "seeing", "noise")


@pytest.fixture(scope="module")
def accuracies():
    rng = np.random.default_rng(0)
    return {done: rng.uniform(0.5, 1, 5) for done in subsets(STEPS)}


def test_the_subsets_run_from_none_to_all():
    found = list(subsets(STEPS))
    assert len(set(found)) == 8
    assert (found[0], found[-1]) == (frozenset(), frozenset(STEPS))


@pytest.mark.parametrize("step", STEPS)
def test_a_cost_is_the_mean_over_all_orders(accuracies, step):
    costs = []
    for order in itertools.permutations(STEPS):
        done = frozenset(order[: order.index(step)])
        costs.append(accuracies[done] - accuracies[done | {step}])
    before, after = shapley_terms(accuracies, step)
    np.testing.assert_allclose(before - after, np.mean(costs, axis=0))


def test_costs_and_what_remains_sum_to_the_whole_loss(accuracies):
    target = np.full(5, 0.4)
    table = attribution_table(accuracies, STEPS, target, 0.0)
    assert table["what"].tolist() == [*STEPS, REMAINS]
    assert sum(table["cost"]) == pytest.approx(np.mean(accuracies[frozenset()] - target))
    assert (table["least"] <= table["cost"]).all()
    assert (table["cost"] <= table["most"]).all()
    assert (table["low"] < table["cost"]).all()
    assert (table["p_corrected"] >= table["p_value"]).all()


def test_luck_that_a_repeat_has_in_all_views_does_not_widen_the_intervals(accuracies):
    luck = np.array([-0.3, 0.2, 0.1, -0.1, 0.3])
    lucky = {done: values + luck for done, values in accuracies.items()}
    plain, shifted = (attribution_table(found, STEPS, found[frozenset()], 0.0) for found in (accuracies, lucky))
    np.testing.assert_allclose(shifted["high"] - shifted["low"], plain["high"] - plain["low"])


def test_a_dropped_repeat_does_not_count(accuracies):
    holed = {done: np.append(values, np.nan) for done, values in accuracies.items()}
    table = attribution_table(holed, STEPS, np.append(np.full(5, 0.4), np.nan), 0.0)
    assert table["n"].tolist() == [5] * 4
    np.testing.assert_allclose(table["cost"], attribution_table(accuracies, STEPS, np.full(5, 0.4), 0.0)["cost"])


def test_repeats_that_share_galaxies_are_less_sure(accuracies):
    alone, sharing = (attribution_table(accuracies, STEPS, np.full(5, 0.4), shared) for shared in (0.0, 0.3))
    np.testing.assert_array_equal(alone["cost"], sharing["cost"])
    assert (sharing["high"] - sharing["low"] > alone["high"] - alone["low"]).all()
