"""What does another network cost and gain: time of a step, parameters, accuracy at and below the training resolution?

    python -m benchmarks.networks                       # simulated galaxies
    python -m benchmarks.networks --data FOLDER         # and galaxies of your own

Every network of `--network` trains on the same galaxies, drawn anew in each repeat, in the same order of batches, with its own
learning rate, and is tested at the last epoch: at full resolution (Original) and shrunk to 1/4 and enlarged back (bilinear). The
learning rate of residual and its width were chosen on other galaxies: 4 repeats of 16 epochs gave at Original / 1/4, on 300 real ones of each
class, 0.809 / 0.696 with a rate of 0.01, and a loss that diverged with 0.03; with a rate that falls to 0, 0.822 / 0.711 from 0.01, 0.818 / 0.720
from 0.03, 0.799 / 0.766 from 0.003, and 0.806 / 0.744 from 0.01 with --filters 16 32 64. On simulated ones of another seed 0.842 / 0.799 with
0.01, and 0.842 / 0.796, 0.854 / 0.732, 0.784 / 0.579 and 0.784 / 0.668 with rates that fall to 0.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.jax_repeats import JaxRepeats
from benchmarks.contenders.problem import Problem
from benchmarks.measure import in_turn, write_results
from galjax import draw, sources
from galjax.analysis.tables import markdown_table
from galjax.analysis.wording import NEW_GALAXIES, interval, minus, plus_minus, signed
from galjax.config.markers import DATA, Flat
from galjax.config.settings import (
    ExecutionConfig,
    NetworkConfig,
    TrainingConfig,
)
from galjax.networks.counting import parameter_shapes
from galjax.networks.registry import NETWORKS, make_network
from galjax.sample import GalaxySample
from galjax.sources import SourceConfig
from galjax.statistics import compare_paired, summarise
from galjax.training.conditions import make_conditions
from galjax.training.execution import use_all_cores
from galjax.training.train import TrainOptions, train

NAME = "networks"
BASELINE = "thesis"
CONDITIONS = make_conditions((4,), ("bilinear",))
"""Original and 1/4."""


@dataclasses.dataclass(frozen=True)
class NetworksBenchmark:
    """Flags."""

    source: Annotated[SourceConfig, Flat, DATA] = dataclasses.field(default_factory=SourceConfig)
    repeats: int = 6
    """Trainings of every network, on the same draws."""
    epochs: int = 16
    """Passes over the training galaxies."""
    per_class: int = 300
    """Galaxies of each of two classes that a repeat draws, 3 in 10 of them to test on."""
    rounds: int = 5
    """Times that a part of an epoch of every network is timed, in turn."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, repeats=self.repeats, epochs=self.epochs, per_class=self.per_class, rounds=self.rounds)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(NetworksBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: NetworksBenchmark) -> dict[str, Any]:
    """Train and time every network, print and keep the table."""
    use_all_cores()
    simulated = SourceConfig(simulated=config.source.simulated)
    samples = {"simulated": sources.load(simulated, 0)}
    if config.source.data != simulated.data:
        samples[Path(config.source.data).name] = sources.load(config.source, 0)
    pools = {name: draw.make_pool(sample, ("spiral", "elliptical"), (0.0, 0.2)) for name, sample in samples.items()}
    trainings = {name: TrainingConfig(network=NetworkConfig(network=name)) for name in NETWORKS}
    results: dict[str, Any] = {
        "settings": {"repeats": config.repeats, "epochs": config.epochs, "per_class": config.per_class},
        "galaxies": {},
        "networks": _measured(trainings, pools["simulated"], config.repeats, config.rounds),
    }
    for source, pool in pools.items():
        results["galaxies"][source] = dict(pool.class_counts())
        for name, training in trainings.items():
            say(f"{name} on {source}: {config.repeats} repeats of {config.epochs} epochs")
            results["networks"][name]["accuracy"][source] = trained(config, training, pool).T.tolist()
        say(f"\n{tables(results)['networks']}")
        if not config.no_write:  # what has been measured stays where the next galaxies take too long
            say(f"\nkept in {write_results(NAME, results)}")
    return results


def _measured(
    trainings: dict[Any, TrainingConfig], pool: GalaxySample, repeats: int, rounds: int
) -> dict[str, dict[str, Any]]:
    """Parameters, learning rate and the time of a step of every network, timed in turn on images of the pool's size."""
    height, width = pool.images.shape[1:3]
    problem = Problem(galaxies=64, image_size=height)
    contenders = {
        name: JaxRepeats(dataclasses.replace(problem, network=training.network), repeats, ExecutionConfig())
        for name, training in trainings.items()
    }
    times = in_turn({name: contender.run for name, contender in contenders.items()}, rounds)
    found = {}
    for name, training in trainings.items():
        shapes = parameter_shapes(make_network(training.network, len(pool.class_names)), (height, width, 1))
        found[name] = {
            "parameters": sum(leaf.size for leaf in jax.tree.leaves(shapes)),
            "learning_rate": training.optimiser.learning_rate,
            "seconds_per_repeat_and_step": times[name].scaled(1 / contenders[name].repeat_steps).record(),
            "accuracy": {},
        }
    return found


def trained(config: NetworksBenchmark, training: TrainingConfig, pool: GalaxySample) -> np.ndarray:
    """Accuracies (repeat, condition) on test galaxies after the last epoch."""
    ensemble = train(
        pool,
        repeats=config.repeats,
        epochs=config.epochs,
        per_class=config.per_class,
        conditions=[(condition.factor, condition.method) for condition in CONDITIONS],
        network=training.network,
        optimiser=training.optimiser,
        augment="none",
    )
    return np.stack([ensemble.accuracy(condition.factor, condition.method) for condition in CONDITIONS], axis=1)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The results as a Markdown table."""
    networks = results["networks"]
    all_sources = list(results["galaxies"])
    seconds = {name: found["seconds_per_repeat_and_step"] for name, found in networks.items()}
    header = [
        "network",
        f"time of a step / {BASELINE}'s",
        "ms per repeat and step (range)",
        "parameters",
        "learning rate",
        *(f"{source}, {condition.label}" for source in all_sources for condition in CONDITIONS),
    ]
    rows = []
    for name, found in networks.items():
        low, middle, high = (1e3 * seconds[name][key] for key in ("min", "median", "max"))
        rows.append(
            [
                name,
                f"{seconds[name]['median'] / seconds[BASELINE]['median']:.2f}",
                f"{middle:.1f} ({low:.1f} - {high:.1f})",
                f"{found['parameters']:,}",
                f"{found['learning_rate']:g}",
                *(_mean(values) for source in all_sources for values in found["accuracy"][source]),
            ]
        )
    for name, found in networks.items():
        if name != BASELINE:
            differences = [
                _difference(ours, theirs, _shared(results, source))
                for source in all_sources
                for ours, theirs in zip(found["accuracy"][source], networks[BASELINE]["accuracy"][source], strict=True)
            ]
            rows.append([f"{minus(name, BASELINE)}, paired, {NEW_GALAXIES}", *[""] * 4, *differences])
    return {"networks": markdown_table(header, rows)}


def _mean(values: list[float]) -> str:
    found = summarise(np.asarray(values))
    return plus_minus(float(found.mean), float(found.std))


def _shared(results: dict[str, Any], source: str) -> float:
    """The share of test galaxies that two repeats have in common (`galjax.draw.shared_share`)."""
    tested = round(results["settings"]["per_class"] * TrainOptions.test_fraction)
    return float(np.mean([tested / count for count in results["galaxies"][source].values()]))


def _difference(ours: list[float], theirs: list[float], shared: float) -> str:
    found = compare_paired(np.asarray(ours), np.asarray(theirs), shared)
    return f"{signed(found.difference)} ({interval(found.low, found.high, found.n)})"


if __name__ == "__main__":
    sys.exit(main())
