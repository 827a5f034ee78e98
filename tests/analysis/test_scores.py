"""Predictions of anybody, scored: against scikit-learn, and every way in which a table of them may be wrong."""

import numpy as np
import pytest
from astropy.table import Table
from sklearn.metrics import brier_score_loss, roc_auc_score

from galjax.analysis import scores
from galjax.errors import InputError
from galjax.statistics import error_of_mean

CLASSES = ("spiral", "elliptical")


def predictions(repeats=3, tested=20, conditions=((1, ""), (4, "nearest"), (4, "bilinear")), pool=60, seed=0):
    rng = np.random.default_rng(seed)
    rows = []
    for repeat in range(repeats):
        ids = rng.permutation(pool)[:tested]
        for factor, method in conditions:
            for galaxy in ids:
                true = CLASSES[int(galaxy) % 2]
                p = float(np.clip(rng.normal(0.6 if true == "spiral" else 0.4, 0.2), 0.05, 0.95))
                rows.append((repeat, galaxy, factor, method, true, p, 1 - p))
    return Table(rows=rows, names=("repeat", "id", "factor", "method", "true", "p_spiral", "p_elliptical"))


def test_metrics_are_those_of_scikit_learn():
    table = predictions()
    found, values = scores.score(scores.answers_of(table, CLASSES, None))
    assert [tuple(row) for row in found["factor", "method"]] == [(1, ""), (4, "nearest"), (4, "bilinear")]
    for repeat in range(3):
        own = table[(table["repeat"] == repeat) & (table["method"] == "nearest")]
        true = np.asarray(own["true"] == "spiral")
        right, area, _, brier = values[4, "nearest"][repeat]
        assert right == pytest.approx(((own["p_spiral"] > 0.5) == true).mean())
        assert area == pytest.approx(roc_auc_score(true, own["p_spiral"]), abs=1e-6)
        assert brier == pytest.approx(2 * brier_score_loss(true, own["p_spiral"]))
    row = found[1]
    each = values[4, "nearest"][:, 0]
    assert row["accuracy"] == pytest.approx(each.mean())
    own = [one for (_, where), one in scores.answers_of(table, CLASSES, None).items() if where == (4, "nearest")]
    shared = scores.shared_by_ids(own)
    assert 0 < shared < 1
    half = row["accuracy"] - row["accuracy_low"]
    assert half == pytest.approx(
        4.302653 * error_of_mean(each.std(ddof=1), 3, shared), rel=1e-5
    )  # t of 2 degrees of freedom


def test_one_repeat_has_the_interval_of_its_galaxies():
    table = predictions(repeats=1, tested=200, pool=200, conditions=((2, "bicubic"),))
    row = scores.score(scores.answers_of(table, CLASSES, None))[0][0]
    binomial = np.sqrt(row["accuracy"] * (1 - row["accuracy"]) / 200)
    assert row["accuracy_high"] - row["accuracy_low"] == pytest.approx(2 * 1.96 * binomial, rel=0.25)
    assert row["auc_low"] < row["auc"] < row["auc_high"]
    table = table[[name for name in table.colnames if name != "repeat"]]
    again = scores.score(scores.answers_of(table, CLASSES, None))[0][0]
    assert list(again) == list(row)


def test_repeats_that_share_nearly_all_galaxies_are_told_from_those_that_share_all():
    table = predictions(repeats=2, tested=60, conditions=((2, "bicubic"),))
    same = scores.score(scores.answers_of(table, CLASSES, None))[0][0]
    assert same["accuracy_high"] - same["accuracy_low"] < 0.5  # by resamples of the galaxies
    other = table.copy()
    other["id"][np.flatnonzero(other["repeat"] == 1)[0]] = 1000
    found = scores.score(scores.answers_of(other, CLASSES, None))[0][0]
    assert (found["accuracy_low"], found["accuracy_high"]) != (same["accuracy_low"], same["accuracy_high"])


def test_repeats_that_agree_have_no_interval():
    table = predictions(repeats=2)
    table["p_spiral"] = np.where(table["true"] == "spiral", 0.9, 0.1)
    table["p_elliptical"] = 1 - table["p_spiral"]
    found = scores.score(scores.answers_of(table, CLASSES, None))[0]
    assert np.isnan(found["accuracy_low"]).all()
    assert "| 1.000 |" in scores.markdown(found)


def test_factors_methods_and_classes_may_be_written_as_they_are_shown():
    table = predictions(repeats=2)
    expected = list(scores.score(scores.answers_of(table, CLASSES, None))[0][1])
    table["factor"] = ["Original" if factor == 1 else f"1/{factor}" for factor in table["factor"]]
    table["method"] = np.char.upper(table["method"])
    table["true"] = np.char.capitalize(table["true"])
    assert list(scores.score(scores.answers_of(table, CLASSES, None))[0][1]) == expected


def spoiled(change):
    table = predictions(repeats=2)
    change(table)
    return table


TRUTH = {(int(row["repeat"]), str(row["id"])): str(row["true"]) for row in predictions(repeats=2)}


@pytest.mark.parametrize(
    ("change", "truth", "sentence"),
    [
        (lambda t: t["p_spiral"].__setitem__(3, 1.4), None, r"Row 4: a probability lies outside 0 to 1"),
        (lambda t: t["p_spiral"].__setitem__(3, np.nan), None, r"Row 4: a probability lies outside 0 to 1"),
        (
            lambda t: t["p_spiral"].__setitem__(2, 0.0),
            None,
            r"Row 3: the probabilities of spiral, elliptical sum to 0\.\d+, not to 1",
        ),
        (
            lambda t: t["id"].__setitem__(1, t["id"][0]),
            None,
            r"predicted 2 times in repeat 0 at Original; keep one row",
        ),
        (
            lambda t: t["true"].__setitem__(0, "bar"),
            None,
            r"Row 1: the class is 'bar', and there are probabilities of spiral, el",
        ),
        (lambda t: t["method"].__setitem__(30, "None"), None, r"Row 31 has factor 4 and no method"),
        (lambda t: t.replace_column("id", ["", *map(str, t["id"][1:])]), None, r"Row 1 has no id"),
        (lambda t: t["method"].__setitem__(30, ""), None, r"Row 31 has factor 4 and no method"),
        (
            lambda t: t["true"].__setitem__(slice(None), "spiral"),
            TRUTH,
            r"true is 'spiral', and galaxy \d+ is elliptical in the task",
        ),
        (lambda t: t.remove_column("repeat"), None, r"; keep one row, or add the column repeat"),
        (lambda t: t["factor"].__setitem__(30, 0), None, r"Row 31: factor is 0, not a whole number from 1 on"),
        (lambda t: t["id"].__setitem__(0, 999), TRUTH, r"Row 1: galaxy 999 is not among the test galaxies of repeat 0"),
        (lambda t: t.remove_row(5), TRUTH, r"1 of 20 test galaxies of repeat 0 have no prediction at Original"),
        (lambda t: t["repeat"].__setitem__(slice(None), 7), TRUTH, r"is not among the test galaxies of repeat 7"),
    ],
)
def test_what_does_not_fit_is_named(change, truth, sentence):
    with pytest.raises(InputError, match=sentence):
        scores.answers_of(spoiled(change), CLASSES, truth)
