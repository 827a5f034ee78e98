"""Numbers and tests in words."""

import pytest

from galjax.analysis.wording import (
    PAIRED,
    basis,
    fixed,
    interval,
    interval_and_test,
    mean_of,
    minus,
    plus_minus,
    probability,
    signed,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0124, "+0.012"),
        (-0.02, "-0.020"),
        (-0.0004, "0.000"),
        (0.0004, "0.000"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (NAN, "-"),
        (1e-17, "0.000"),
        (-0.0006, "-0.001"),
        (10.0, "+10.000"),
    ],
)
def test_differences_have_a_sign_unless_they_are_nothing(value, words):
    assert signed(value) == words


@pytest.mark.parametrize(("value", "words"), [(0.9124, "0.912"), (-0.0004, "0.000"), (-0.25, "-0.250"), (NAN, "-")])
def test_numbers(value, words):
    assert fixed(value) == words


def test_spreads_and_probabilities():
    assert plus_minus(0.9, 0.02) == "0.900 ± 0.020"
    assert plus_minus(0.9, NAN) == "0.900"
    assert plus_minus(-0.0001, 0.02) == "0.000 ± 0.020"
    assert plus_minus(NAN, NAN) == "-"
    assert [probability(p) for p in (4e-16, 0.0312, 1.0, NAN)] == ["p < 0.001", "p = 0.031", "p = 1", "no p value"]
    assert mean_of("5 to 6", "std") == "mean ± std of 5 to 6 repeats"
    assert mean_of("1", "std") == "one repeat"
    assert minus("nearest", "bilinear") == "nearest \N{MINUS SIGN} bilinear"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ((-0.021, 0.009, 0.3, 3), "95 % interval -0.021 to +0.009, t-test, p = 0.3"),
        ((NAN, NAN, NAN, 1), "no interval: one repeat"),
        ((NAN, NAN, NAN, 0), "no interval: no repeat counts on both sides"),
        ((NAN, NAN, NAN, 4), "no interval: the same in every repeat"),
        ((0.0, 0.0, 1.0, 4), "no difference in any repeat"),
    ],
)
def test_intervals_and_tests_say_why_there_is_none(found, words):
    assert interval_and_test(*found, "t-test") == words
    low, high, _, n = found
    assert interval(low, high, n) == words.partition(", t-test")[0]


@pytest.mark.parametrize(
    ("n", "shared", "correction", "words"),
    [
        (
            "6",
            [0.075],
            "Holm's correction",
            "6 repeats, at the last epoch; paired t-test over repeats with Holm's correction, for new galaxies of the same kind (two "
            "repeats have 7.5 % of their test galaxies in common, which is allowed for).",
        ),
        (
            "5 to 6",
            [0.25, 0.075, 0.1],
            "",
            "5 to 6 repeats, at the last epoch; paired t-test over repeats, for new galaxies of the same kind (two repeats have 7.5 % to "
            "25.0 % of their test galaxies in common, which is allowed for).",
        ),
        (
            "3",
            [0.0],
            "",
            "3 repeats, at the last epoch; paired t-test over repeats, for new galaxies of the same kind (no two repeats have a galaxy in "
            "common).",
        ),
        ("1", [0.0], "Holm's correction", "One repeat, at the last epoch: without a spread nothing is tested."),
    ],
)
def test_a_claim_says_what_it_stands_on(n, shared, correction, words):
    assert basis(n, "last", PAIRED, shared, correction) == words
