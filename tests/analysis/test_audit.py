"""Which labels are likely wrong: votes, rules and how well they find errors, on made-up votes."""

import dataclasses

import numpy as np
import pytest

from experiments.label_audit import LabelAudit
from experiments.label_audit import _in_parts as parts_of
from galjax.analysis import audit
from galjax.analysis.classes import Said
from galjax.sample import GalaxySample
from galjax.sources.simulated.survey import SimulatedSurvey, simulate, true_labels


def said(seed=0, repeats=5, tested=12, galaxies=30, classes=3):
    rng = np.random.default_rng(seed)
    chosen = np.stack([rng.permutation(galaxies)[:tested] for _ in range(repeats)])
    probabilities = rng.dirichlet(np.ones(classes), (repeats, tested)).astype(np.float32)
    return Said(probabilities, rng.integers(0, classes, (repeats, tested)), chosen)


def test_votes_are_those_of_the_repeats_that_tested_the_galaxy():
    found = said()
    votes = audit.collect_votes(found, 30)
    for galaxy in range(30):
        own = found.probabilities[found.chosen == galaxy].astype(np.float64)
        assert votes.networks[galaxy] == len(own)
        if not len(own):
            assert np.isnan(votes.probability[galaxy]).all()
            continue
        np.testing.assert_allclose(votes.probability[galaxy], own.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(votes.named[galaxy], np.eye(3)[own.argmax(axis=1)].mean(axis=0), rtol=1e-12)
        assert votes.consensus[galaxy] == own.mean(axis=0).argmax()
        if len(own) > 1:
            assert votes.std[galaxy] == pytest.approx(own[:, 0].std(ddof=1), rel=1e-6)
        else:
            assert np.isnan(votes.std[galaxy])


def made_up(wrong=8, galaxies=200, seed=1):
    """Votes that say what galaxies are, and labels of which the first few are wrong."""
    rng = np.random.default_rng(seed)
    truth = np.arange(galaxies, dtype=np.int32) % 2
    p_first = np.clip(np.where(truth == 0, 0.9, 0.1) + rng.normal(scale=0.05, size=galaxies), 0.01, 0.99)
    labels = truth.copy()
    labels[:wrong] = 1 - labels[:wrong]
    probability = np.stack([p_first, 1 - p_first], axis=1)
    votes = audit.Votes(np.full(galaxies, 9), probability, np.zeros(galaxies), (probability > 0.5) * 1.0)
    return votes, labels, truth


def test_a_label_is_likely_wrong_where_enough_networks_are_sure_of_another_class():
    votes, labels, truth = made_up()
    wrong = audit.likely_wrong(votes, labels, 0.6, 2)
    np.testing.assert_array_equal(wrong, labels != truth)
    np.testing.assert_array_equal(audit.relabelled(labels, votes, wrong), truth)
    assert not audit.likely_wrong(votes, labels, 0.6, 10).any()
    few = votes._replace(networks=np.where(np.arange(200) < 4, 1, 9))
    assert audit.likely_wrong(few, labels, 0.6, 2).sum() == 4
    none = votes._replace(networks=np.zeros(200, int), probability=np.full((200, 2), np.nan))
    assert not audit.likely_wrong(none, labels, 0.1, 1).any()


def test_precision_and_recall_are_counted_and_those_of_cleanlab_on_the_same_votes():
    pytest.importorskip("cleanlab")
    votes, labels, truth = made_up()
    table = audit.detection_table(votes, labels, labels != truth, (0.6, 0.999), 2)
    sure, hardly, theirs = table
    assert (sure["judged"], sure["wrong"], sure["flagged"], sure["found"]) == (200, 8, 8, 8)
    assert sure["precision"] == sure["recall"] == 1
    # Wilson: n / (n + z^2) is the lower bound of n in n.
    assert sure["recall_low"] == pytest.approx(8 / (8 + 1.959964**2), abs=1e-5)
    assert hardly["flagged"] == 0
    assert np.isnan(hardly["precision"])
    assert hardly["recall"] == 0
    assert theirs["rule"] == audit.CONFIDENT_LEARNING
    assert np.isnan(theirs["confidence"])
    assert theirs["found"] == theirs["flagged"] > 4


def test_without_cleanlab_its_row_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    votes, labels, truth = made_up()
    table = audit.detection_table(votes, labels, labels != truth, (0.6,), 2)
    assert table["rule"].tolist() == ["probability"]


def test_planted_errors_are_the_share_of_each_class_and_another_class():
    labels = np.repeat(np.arange(3, dtype=np.int32), [40, 60, 100])
    planted = audit.with_planted_errors(labels, 3, 0.1, np.random.default_rng(0))
    changed = planted != labels
    assert np.bincount(labels[changed]).tolist() == [4, 6, 10]
    assert set(planted) == {0, 1, 2}
    assert planted.dtype == np.int32
    np.testing.assert_array_equal(audit.with_planted_errors(labels, 3, 0.0, np.random.default_rng(0)), labels)


def test_the_tables_name_every_galaxy_and_every_class():
    votes, labels, truth = made_up(galaxies=40)
    sample = GalaxySample.from_arrays(np.random.default_rng(0).normal(size=(40, 4, 4)), labels, class_names=["s", "e"])
    wrong = audit.likely_wrong(votes, labels, 0.6, 2)
    table = audit.audit_table(sample, votes, wrong, truth)
    assert sorted(table["id"]) == list(range(40))
    assert table["likely_wrong"][:8].all()
    assert (table["label"] == table["truth"])[8:].all()
    assert "truth" not in audit.audit_table(sample, votes, wrong, None).colnames
    by_class = audit.agreement_table(sample, votes, wrong, 2)
    assert by_class["galaxies"].tolist() == by_class["judged"].tolist() == [20, 20]
    np.testing.assert_allclose(by_class["agreement"], 16 / 20)
    assert by_class["likely_wrong"].tolist() == [4, 4]


def test_simulated_galaxies_are_what_they_were_rendered_as():
    survey = SimulatedSurvey(galaxies=400, image_size=16)
    sample = simulate(survey, seed=3).with_classes(("spiral", "elliptical"))
    truth = true_labels(sample)
    assert 0 < (truth != sample.labels).mean() < 0.06  # `label_error` is 0.025
    right = simulate(dataclasses.replace(survey, label_error=0.0), seed=3).with_classes(("spiral", "elliptical"))
    np.testing.assert_array_equal(true_labels(right), right.labels)
    same = truth == sample.labels
    np.testing.assert_array_equal(right.images[same], sample.images[same])
    assert (sample.columns["arm_strength"][truth == 0] > 0).all()
    assert true_labels(GalaxySample.from_arrays(np.zeros((2, 4, 4)) + np.eye(4), ["spiral", "elliptical"])) is None


def test_true_classes_are_known_only_where_people_were_sure():
    sample = simulate(SimulatedSurvey(galaxies=90, image_size=16), seed=3)
    for classes, known in ((("spiral", "elliptical"), True), (("spiral", "elliptical", "uncertain"), False)):
        config = LabelAudit(classes=classes, uncertain_class="none")
        pool = sample.with_classes(classes)
        galaxies, count, truth = parts_of(pool, config)
        assert (truth is not None) == known
        assert set(galaxies.ids) == set(pool.ids)
        same = dict(zip(pool.ids.tolist(), pool.labels.tolist(), strict=True))
        assert [same[i] for i in galaxies.ids[:count].tolist()] == galaxies.labels[:count].tolist()
        if known:
            np.testing.assert_array_equal(galaxies.labels[count:], truth[count:])
