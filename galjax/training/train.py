"""The call: from a sample to trained networks, in memory. Runs on disk (`galjax.runs`) are made of the same parts."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from galjax import draw
from galjax.config.settings import (
    ROBUST_OPTIMISER,
    ROBUST_RECIPE,
    AugmentConfig,
    ExecutionConfig,
    NetworkConfig,
    OptimiserConfig,
    Recipe,
    ScheduleConfig,
    TrainingConfig,
)
from galjax.errors import InputError
from galjax.networks.registry import check_image_shape
from galjax.sample import GalaxySample
from galjax.terminal.progress import ConsoleProgress, TrainingProgress
from galjax.training.conditions import ORIGINAL, Condition, to_device
from galjax.training.description import describe
from galjax.training.divergence import check_diverged
from galjax.training.ensemble import Ensemble, HeldOut, parameters_of
from galjax.training.repeats import Task, assemble, repeat_keys, with_sky
from galjax.training.sky import chosen_scaling


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What `train` may be told besides its repeats, epochs and seed; the defaults are those of the preset robust."""

    per_class: int | None = None
    """Galaxies of each class that a repeat draws. None: as many as the smallest class has."""
    classes: Sequence[str] | None = None
    """Classes to tell apart. None: all of the sample."""
    test_fraction: float = 0.3
    """Share of the drawn galaxies of each class kept for testing, between 0 and 1."""
    conditions: Sequence[tuple[int, str]] = ()
    """Further (factor, method) to measure the accuracy at; Original always is."""
    network: NetworkConfig = dataclasses.field(default_factory=NetworkConfig)
    optimiser: OptimiserConfig | None = None
    """None: that of the experiments, or of their preset robust where training images change."""
    execution: ExecutionConfig = dataclasses.field(default_factory=ExecutionConfig)
    augment: Recipe | AugmentConfig = ROBUST_RECIPE
    """How training images change at random: a recipe ("none", "dihedral", "resolution", "all"), or one with its strengths. That of the
    preset robust."""
    progress: bool | TrainingProgress = False
    """True shows a progress bar; an object is told how far the training is."""


def train(sample: GalaxySample, *, repeats: int = 5, epochs: int = 60, seed: int = 0, **options: Any) -> Ensemble:
    """Train `repeats` networks on a labelled sample, all in one program, each on galaxies of its own.

    Every repeat draws `per_class` galaxies of each class, keeps `test_fraction` of them for testing and trains on the rest
    for `epochs` passes (from the sets of a sample that was read with split="given"); `seed` decides draws, starting weights and the order of galaxies. `options` are the fields of
    `TrainOptions`; where they say nothing of it, training images change at random, so that the networks hold at coarser images. The networks are those of the last epoch. On a CPU every device of JAX trains one repeat at a time:
    `galjax.use_all_cores()`, before JAX is first used, makes every core one.

    Raises InputError for a sample without labels or with too few galaxies, options out of range, images that are too small
    for the network, a loss that is no longer a number, and too little memory.

    >>> import galjax
    >>> sample = galjax.simulate(galjax.SimulatedSurvey(galaxies=60, image_size=32), seed=1)
    >>> small = galjax.NetworkConfig(filters=(4, 4, 4), dense_units=(8,))
    >>> ensemble = galjax.train(sample, repeats=2, epochs=1, classes=["spiral", "elliptical"], network=small)
    >>> ensemble
    Ensemble(2 repeats of 1 epochs, spiral / elliptical, 32x32 px, r)
    >>> ensemble.accuracy().shape
    (2,)
    """
    unknown = sorted(set(options) - {field.name for field in dataclasses.fields(TrainOptions)})
    if unknown:
        known = ", ".join(field.name for field in dataclasses.fields(TrainOptions))
        raise InputError(f"train() has no option {unknown[0]!r}; its options are repeats, epochs, seed, {known}.")
    chosen = TrainOptions(**options)
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}.")
    if not sample.is_labelled:
        raise InputError("The sample has no labels to train on. Give labels to GalaxySample.from_arrays.")
    galaxies = sample.with_classes(chosen.classes or sample.class_names)
    scaling = chosen_scaling(chosen.network.input_scaling, galaxies)
    network = dataclasses.replace(chosen.network, input_scaling=scaling)
    augment = AugmentConfig(chosen.augment) if isinstance(chosen.augment, str) else chosen.augment
    optimiser = chosen.optimiser or (OptimiserConfig() if augment.augment == "none" else ROBUST_OPTIMISER)
    config = TrainingConfig(
        ScheduleConfig(epochs=epochs, evaluate_every=epochs), optimiser, network, chosen.execution, augment
    )
    check_image_shape(config.network, *galaxies.images.shape[1:3])
    split, given = draw.Split(chosen.test_fraction), draw.given_split(galaxies)
    per_class = chosen.per_class or draw.most_per_class(galaxies, split=split)
    keys = repeat_keys(seed, range(repeats))
    drawn = draw.draw_balanced(galaxies.labels, galaxies.class_names, per_class, keys.draw, split, given)
    batch = config.optimiser.batch_size
    if batch > drawn.train.shape[1]:
        smaller = dataclasses.replace(config.optimiser, batch_size=drawn.train.shape[1])
        config = dataclasses.replace(config, optimiser=smaller)
    conditions = (ORIGINAL, *(Condition(factor, method) for factor, method in chosen.conditions if factor > 1))
    task = Task(to_device(galaxies), drawn, keys, len(galaxies.class_names), conditions)
    return _trained(with_sky(task, config), config, galaxies, chosen.progress)


def _trained(task: Task, config: TrainingConfig, galaxies: GalaxySample, progress: bool | TrainingProgress) -> Ensemble:
    if progress is True:
        with ConsoleProgress(Console()) as shown:
            return _trained(task, config, galaxies, shown)
    program, epochs = assemble(task, config), config.schedule.epochs
    snapshot = start = program.start()
    if progress:
        progress.begin("training", 0, epochs)
    for snapshot in program.continue_from(start, epochs):
        if progress:
            progress.advance(snapshot.epochs_trained, float("nan"), float("nan"))
    history = snapshot.history
    assert history is not None
    check_diverged(history, "training", "stop", "No network is given.")
    about = {
        "network": config.network,
        "repeats": tuple(range(program.repeats)),
        "epoch": epochs,
        "precision": program.execution.precision,
        "augmentation": config.augment.in_words(),
    }
    return Ensemble(
        describe(galaxies, history, task, about),
        parameters_of(program.host_arrays(snapshot.progress), "state/parameters/"),
        HeldOut(galaxies, np.asarray(task.draw.test)),
    )
