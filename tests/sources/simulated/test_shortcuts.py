"""No single number that a catalogue holds tells the classes apart as well as the picture does."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galjax.sources import SimulatedSurvey, simulate

APERTURE = 22
"""Pixels around the centre that are measured."""


def measures(image):
    """Log flux, half-light radius (px), two concentrations and axis ratio of one image, as a catalogue has them."""
    y, x = np.indices(image.shape) - image.shape[0] / 2
    near = np.maximum(image, 0) * np.exp(-(y**2 + x**2) / (2 * 6**2))
    y, x = (axis - (near * axis).sum() / near.sum() for axis in (y, x))
    radius = np.hypot(y, x)
    inwards = np.argsort(radius, axis=None)[: int(np.pi * APERTURE**2)]
    light = np.cumsum(image.ravel()[inwards])
    growth = np.maximum.accumulate(light / light[-1])
    r20, r50, r80, r90 = np.interp([0.2, 0.5, 0.8, 0.9], growth, radius.ravel()[inwards])
    weighted = image * np.exp(-(radius**2) / (2 * (1.5 * r50) ** 2))
    moments = [[(weighted * a * b).sum() for a in (y, x)] for b in (y, x)]
    minor, major = np.maximum(np.linalg.eigvalsh(moments), 1e-6)
    return np.log(max(light[-1], 1.0)), r50, r90 / r50, r80 / r20, np.sqrt(minor / major)


@pytest.fixture(scope="module")
def survey():
    return simulate(SimulatedSurvey(galaxies=900, class_fractions=(0.34, 0.33, 0.33)), seed=3)


@pytest.fixture(scope="module")
def catalogue(survey):
    return np.array([measures(image) for image in survey.images])


def accuracy(columns, labels, classes):
    """Of a logistic regression that tells two classes apart, both as frequent, over five folds."""
    chosen = np.isin(labels, classes)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    return cross_val_score(model, columns[chosen], labels[chosen], cv=5, scoring="balanced_accuracy").mean()


@pytest.mark.parametrize(("column", "most"), [("flux", 0.6), ("half-light radius", 0.7)])
def test_flux_and_size_say_little(survey, catalogue, column, most):
    number = ("flux", "half-light radius").index(column)
    assert accuracy(catalogue[:, number, None], survey.labels, (0, 1)) < most


def test_redshift_says_next_to_nothing(survey):
    assert accuracy(survey.redshift[:, None], survey.labels, (0, 1)) < 0.6


def test_concentration_and_axis_ratio_say_less_than_a_picture(survey, catalogue):
    assert 0.75 < accuracy(catalogue[:, 2:], survey.labels, (0, 1)) < 0.89


def test_uncertain_galaxies_are_not_told_by_brightness_and_size(survey, catalogue):
    true = np.stack([survey.columns["magnitude"], survey.columns["half_light_radius"]], axis=1)
    for columns in (true, catalogue[:, :2]):
        for clear in (0, 1):
            assert accuracy(columns, survey.labels, (clear, 2)) < 0.8
