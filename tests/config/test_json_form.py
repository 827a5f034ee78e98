import dataclasses
import itertools
import json
import math
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from experiments import EXPERIMENTS, cross_survey, phase_shift, resolution_sweep, thesis
from galjax.cli.command import _parse
from galjax.config.json_form import Suggested, dumps, fitted, flags, from_json, suggested, to_json
from galjax.config.values import with_commas_split
from galjax.errors import InputError

MODULES = [import_module(f"experiments.{name}") for name in (*EXPERIMENTS, "thesis")]


def strictly(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize(
    ("module", "preset"),
    [*itertools.product(MODULES, ("quick", "standard", "thesis", "robust"))],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_the_configuration_of_every_experiment_reads_back_exactly(module, preset):
    config = dataclasses.replace(module.PRESETS[preset], out=Path("a") / "ü")
    again = from_json(type(config), strictly(dumps(config)))
    assert repr(again) == repr(config)  # a NaN is written the same, and equals nothing
    assert type(again.out) is type(config.out)
    assert to_json(again) == to_json(config)


def test_flags_read_back_with_their_types():
    given = [
        "--redshift-range",
        "0.01",
        "inf",
        "--classes",
        "a",
        "b",
        "--crop",
        "99",
        "--pixel-scale",
        "2",
        "--sizes",
        "5",
        "6",
        "7",
        "--lowering",
        "xla",
        "--seed",
        "3",
    ]
    config = _parse(phase_shift.PRESETS, "x", "", given)
    again = from_json(phase_shift.PhaseShift, strictly(dumps(config)))
    assert again == config
    assert again.redshift_range == (0.01, math.inf)
    assert (again.sizes, again.source.folder.crop, again.training.execution.lowering) == ((5, 6, 7), 99, "xla")
    assert isinstance(again.source.folder.pixel_scale, float)


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        ({"seed": 1.5}, "seed cannot be 1.5"),
        ({"seed": True}, "seed cannot be True"),
        ({"redshift_range": [0.1]}, r"redshift_range cannot be \[0.1\]"),
        ({"methods": ["spline"]}, "methods cannot be 'spline'"),
        ({"training": 3}, "training cannot be 3"),
        ({"colour": 3}, "colour is not a field of PhaseShift"),
        ({"training": {"schedule": {"years": 1}}}, "years is not a field of ScheduleConfig"),
    ],
)
def test_what_is_no_configuration_is_refused(found, sentence):
    with pytest.raises(ValueError, match=sentence):
        from_json(phase_shift.PhaseShift, found)


def test_numbers_that_json_does_not_have_become_words():
    content = {
        "a": [math.nan, -math.inf],
        "b": np.float32("inf"),
        "c": np.int64(3),
        "d": Path("x"),
        "e": None,
        "f": True,
    }
    expected = {"a": ["NaN", "-Infinity"], "b": "Infinity", "c": 3, "d": "x", "e": None, "f": True}
    assert strictly(dumps(content)) == expected


def test_every_field_knows_its_flag():
    named = {path: flag for path, (flag, _) in flags(cross_survey.CrossSurvey).items()}
    assert named["training.schedule.epochs"] == "--epochs"
    assert named["source.data"] == "--data"
    assert named["source.simulated.image_size"] == "--simulated.image-size"
    assert named["sharp.folder.crop"] == "--sharp.crop"
    assert named["per_class"] == "--per-class"


@pytest.mark.parametrize(
    ("value", "limit", "expected"),
    [
        (Suggested(300), 200, 200),
        (Suggested(300), 300, 300),
        (300, 200, 300),  # asked for
        (suggested(300, 500, 800), 600, (300, 500)),
        (suggested(300, 500), 200, (200,)),
        ((300, 500), 200, (300, 500)),
        (suggested(2, 4, 8), 5, (2, 4)),
    ],
)
def test_only_what_nobody_asked_for_is_made_to_fit(value, limit, expected):
    assert fitted(value, limit) == expected


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        (["--factors", "2,4,8"], "factors", (2, 4, 8)),
        (["--factors", "1/2, 1/4", "8"], "factors", (2, 4, 8)),
        (["--factors=1/3,5"], "factors", (3, 5)),
        (["--methods", "nearest,bilinear"], "methods", ("nearest", "bilinear")),
        (["--sizes", "5,6,7"], "sizes", (5, 6, 7)),
        (["--classes", "a,b b"], "classes", ("a", "b b")),
        (["--redshift_range", "0.01,0.1"], "redshift_range", (0.01, 0.1)),
    ],
)
def test_several_values_may_be_separated_by_commas(given, field, expected):
    assert getattr(_parse(phase_shift.PRESETS, "x", "", given), field) == expected


def test_commas_of_flags_with_one_value_stay():
    assert with_commas_split(phase_shift.PhaseShift, ["--data", "a,b", "--out=c,d"]) == ["--data", "a,b", "--out=c,d"]
    config = _parse(resolution_sweep.PRESETS, "x", "", ["--per-class", "300,500", "--filters=4,4,4", "--data", "a,b"])
    assert (config.per_class, config.training.network.filters, config.source.data) == ((300, 500), (4, 4, 4), "a,b")
    assert not any(isinstance(number, Suggested) for number in config.per_class)  # so it is an error where it cannot be
    assert all(isinstance(number, Suggested) for number in config.factors)
    config = _parse(thesis.PRESETS, "x", "", ["--experiments", "phase_shift,class_balance"])
    assert config.experiments == ("phase_shift", "class_balance")


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--factors", "2,,4"], "--factors 2,,4 lacks a value beside a comma. Give values like 2,4,8 or 2 4 8."),
        (["--factors", "2,"], "--factors 2, lacks a value"),
        (
            ["--factors", "3/4"],
            "A factor is a whole number like 4, or the resolution that it leaves, like 1/4, not '3/4'",
        ),
        (["--factors", "1/2.5"], "not '1/2.5'"),
        (["--factors", "2.0"], "not '2.0'"),
    ],
)
def test_what_is_no_list_of_factors_gets_a_sentence(given, sentence):
    with pytest.raises(InputError) as caught:
        _parse(phase_shift.PRESETS, "x", "", given)
    assert sentence in str(caught.value)
