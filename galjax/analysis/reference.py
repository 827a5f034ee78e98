"""What a support vector machine makes of the small images: accuracy that is there to be had, whatever a network gets."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from astropy.table import Table
from jaxtyping import Float, Float32, Integer

from galjax.analysis.tables import comparisons_table
from galjax.config.settings import Convention
from galjax.draw import Draw
from galjax.resample import resize
from galjax.sample import GalaxySample, bands_last
from galjax.statistics import compare_paired, summarise
from galjax.training.sky import level_and_noise

LARGEST_SIDE = 32
"""Images are shrunk to at most so many pixels a side."""
PENALTIES = (1.0, 10.0, 100.0)
"""Values of C to choose from."""
WIDTHS = (0.1, 0.3, 1.0)
"""Values of gamma to choose from, times the number of pixels (which have unit variance)."""
FOLDS = 3


class Reference(NamedTuple):
    """What a support vector machine makes of the images at one resolution."""

    size: tuple[int, int]
    """Height and width of its images, px."""
    accuracy: Float[np.ndarray, " repeat"]


References = Mapping[int, Reference]
"""By factor."""


def reference_size(shape: Sequence[int], factor: int) -> tuple[int, int]:
    """The (height, width) that images of `shape` have after shrinking by `factor`, at most `LARGEST_SIDE` a side."""
    height, width = shape[0] // factor, shape[1] // factor
    excess = max(height, width, LARGEST_SIDE) / LARGEST_SIDE
    return max(1, round(height / excess)), max(1, round(width / excess))


def svm_accuracies(
    pool: GalaxySample,
    drawn: Draw,
    sizes: Sequence[tuple[int, int]],
    convention: Convention = "opencv",
    tell: Callable[[int], None] = lambda done: None,
) -> Float[np.ndarray, "size repeat"]:
    """Accuracy of a support vector machine (`fit_svm`) on images shrunk to each of the sizes, in every repeat.

    It is trained and tested on the same galaxies as the networks of the repeat. Pixels are scaled by arcsinh((pixel - sky) /
    noise) in each band, both measured in the frames of the repeat's training galaxies at full resolution: the same scaling at
    all sizes.
    `tell` is called after each fit with how many are done, of len(sizes) x repeats.
    """
    train, test = (np.asarray(part) for part in (drawn.train, drawn.test))
    images = bands_last(pool.images)
    levels, noise = (np.asarray(each) for each in level_and_noise(images, train))
    units = np.where(noise > 0, noise, np.float32(1))  # drawn images have none
    found = np.empty((len(sizes), len(train)))
    for (row, size), repeat in itertools.product(enumerate(sizes), range(len(train))):
        if repeat == 0:
            small = _shrunk(images, size, convention)
        scaled = np.arcsinh((small - levels[repeat]) / units[repeat]).reshape(len(small), -1)
        machine = fit_svm(scaled[train[repeat]], pool.labels[train[repeat]])
        found[row, repeat] = machine.score(scaled[test[repeat]], pool.labels[test[repeat]])
        tell(row * len(train) + repeat + 1)
    return found


def fit_svm(features: Float[np.ndarray, "galaxy feature"], labels: Integer[np.ndarray, " galaxy"]) -> Any:
    """A support vector machine (Cortes & Vapnik 1995, Machine Learning 20, 273) with a Gaussian kernel, trained.

    On features brought to mean 0 and variance 1. C and the kernel's width are those of the best accuracy in a
    cross-validation on these galaxies, or the middle ones where a class has fewer than two of them.
    """
    from sklearn.model_selection import GridSearchCV, StratifiedKFold  # which take a second to import
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    gammas = [width / features.shape[1] for width in WIDTHS]
    machine = make_pipeline(StandardScaler(), SVC(C=PENALTIES[1], gamma=gammas[1]))
    folds = min(FOLDS, int(np.unique(labels, return_counts=True)[1].min()))
    if folds > 1:
        grid = {"svc__C": PENALTIES, "svc__gamma": gammas}
        machine = GridSearchCV(machine, grid, cv=StratifiedKFold(folds))
    return machine.fit(features, labels)


def reference_table(
    references: References, networks: Mapping[int, Float[np.ndarray, " repeat"]], shared: float
) -> Table:
    """By factor the accuracy of the support vector machine, and by how much it is above the network; paired over repeats.

    `networks` are the accuracies of networks trained and tested at the same factor, `shared` is the share of test
    galaxies that two repeats have in common.
    """
    rows = []
    for factor, (size, accuracy) in references.items():
        mean, std, *_ = summarise(accuracy)
        rows.append((factor, *size, float(mean), float(std), *compare_paired(accuracy, networks[factor], shared)))
    return comparisons_table(rows, ("factor", "height", "width", "accuracy", "std", "above_network"))


def _shrunk(
    images: Float32[np.ndarray, "galaxy height width band"], size: tuple[int, int], convention: Convention
) -> Float32[np.ndarray, "galaxy new_height new_width band"]:
    planes = np.moveaxis(images, -1, 1)
    return np.moveaxis(np.asarray(resize(planes, size, "area", convention)), 1, -1)
