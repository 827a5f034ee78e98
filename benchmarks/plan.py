"""What does a study of many repeats or galaxies take on a cluster: hours, memory, storage, and what to launch?

    python -m benchmarks.plan                       # 10,000 repeats, and 10^9 galaxies, on 100 machines like each measured one
    python -m benchmarks.plan --machines 8 --repeats 3000 --per-class 1000

Estimated from the rates that `benchmarks.accelerator` measured on a machine and kept in benchmarks/results/: galaxies per second in
training and in evaluation, the default network, 64x64 px. Repeats share nothing while they train, so that hours are machine-hours
divided by machines; `benchmarks.weak_scaling` measures how far that holds. Memory is galjax's own estimate.
"""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.measure import RESULTS
from galjax.analysis.tables import markdown_table
from galjax.config.settings import NetworkConfig
from galjax.errors import InputError
from galjax.training.memory import GIGABYTE, Sizes, memory_of
from galjax.training.step import OptimiserConfig

NAME = "plan"
RESULTS_OF = "accelerator"
"""The benchmark whose kept results this estimates from."""
TRAIN_SHARE, TEST_SHARE, CLASSES = 0.7, 0.3, 2
SIDE = 64
"""px, of the images that were measured."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """Flags."""

    machines: int = 100
    """Machines like the measured one, all at work together."""
    repeats: int = 10_000
    """Trainings in all."""
    repeats_per_run: int = 1_000
    """Trainings of one run folder, which has its own --seed; its first machine holds the weights of all of them while it
    writes a checkpoint."""
    epochs: int = 900
    """Passes over the training galaxies."""
    evaluate_every: int = 10
    """Epochs from one evaluation to the next."""
    per_class: int = 300
    """Galaxies of each of two classes that a repeat draws, 7 in 10 of them to train on."""
    conditions: int = 22
    """Conditions under which every test galaxy is evaluated."""
    galaxies: int = 10**9
    """Galaxies to train on once, or to classify."""
    galaxies_per_part: int = 10**6
    """Galaxies of one saved sample (--data PART.fits); each device holds its images."""

    def __post_init__(self) -> None:
        check_at_least(1, **{field.name: getattr(self, field.name) for field in dataclasses.fields(self)})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(Plan, run, NAME, __doc__ or "", arguments)


def run(config: Plan) -> dict[str, dict[str, float]]:
    """Print the plan for every machine that was measured; gives its figures."""
    kept = sorted(RESULTS.glob(f"*/{RESULTS_OF}.json"))
    if not kept:
        raise InputError(f"No result is kept in {RESULTS}. Run python -m benchmarks.{RESULTS_OF} first.")
    found = {}
    for path in kept:
        results = json.loads(path.read_text())
        found[path.parent.name] = estimate(config, results["sweep"])
        say(f"\n{path.parent.name}\n\n{table(config, results)}")
    return found


def estimate(config: Plan, rates: dict[str, Any]) -> dict[str, float]:
    """Hours, bytes and numbers of what the plan takes, from measured galaxies per second."""
    trained, tested = (round(CLASSES * config.per_class * share) for share in (TRAIN_SHARE, TEST_SHARE))
    training = config.repeats * config.epochs * trained / rates["images_per_second"]
    evaluations = -(-config.epochs // config.evaluate_every)
    evaluation = config.repeats * evaluations * tested * config.conditions / rates["evaluated_images_per_second"]
    memory = memory_of(
        NetworkConfig(padding="same"), OptimiserConfig(), Sizes((SIDE, SIDE, 1), 10_000, trained, tested)
    )
    image = 4.0 * SIDE**2
    together = min(config.repeats, config.repeats_per_run)
    runs = -(-config.repeats // config.repeats_per_run)
    machines_per_run = max(1, config.machines // runs)
    own = -(-together // machines_per_run)
    history = 4.0 * (2 * config.epochs + evaluations * config.conditions * (1 + CLASSES**2))
    return {
        "sweep_hours": (training + evaluation) / 3600 / config.machines,
        "sweep_machine_hours": (training + evaluation) / 3600,
        "evaluation_share": evaluation / (training + evaluation),
        "runs": runs,
        "machines_per_run": machines_per_run,
        "first_machine_bytes": (together + own) * memory.state + memory.galaxies + memory.working,
        "other_machine_bytes": own * memory.state + memory.galaxies + memory.working,
        "checkpoint_bytes": 2 * config.repeats * memory.state,
        "network_bytes": config.repeats * memory.state,
        "history_bytes": config.repeats * history,
        "parts": -(-config.galaxies // config.galaxies_per_part),
        "part_bytes": min(config.galaxies, config.galaxies_per_part) * image,
        "image_bytes": config.galaxies * image,
        "visit_hours": config.galaxies / rates["images_per_second"] / 3600 / config.machines,
        "classify_hours": config.galaxies / rates["evaluated_images_per_second"] / 3600 / config.machines,
    }


def table(config: Plan, results: dict[str, Any]) -> str:
    """The plan as a Markdown table."""
    found = estimate(config, results["sweep"])

    def size(name: str) -> str:
        return f"{found[name] / GIGABYTE:,.{0 if found[name] >= 10 * GIGABYTE else 1}f} GB"

    rows = [
        [
            "measured: galaxies per second trained on, evaluated",
            f"{results['sweep']['images_per_second']:,.0f}, {results['sweep']['evaluated_images_per_second']:,.0f}",
        ],
        [
            f"sweep of {config.repeats:,} repeats, {config.epochs} epochs, {config.per_class} per class",
            f"{found['sweep_machine_hours']:,.0f} machine-hours",
        ],
        [
            f"on {config.machines:,} machines ({found['evaluation_share']:.0%} of it evaluation)",
            f"{found['sweep_hours']:,.1f} h",
        ],
        [
            "runs, each with its own seed, and machines of each",
            f"{found['runs']:,.0f} x {found['machines_per_run']:,.0f}",
        ],
        [
            "memory of the first machine of a run, of another",
            f"{size('first_machine_bytes')}, {size('other_machine_bytes')}",
        ],
        ["storage of the newest two checkpoints of all runs", size("checkpoint_bytes")],
        [
            "storage of all trained networks (--keep-ensemble all), of all histories",
            f"{size('network_bytes')}, {size('history_bytes')}",
        ],
        [f"{config.galaxies:,} galaxies of {SIDE}x{SIDE} px: storage", size("image_bytes")],
        [
            "in parts (saved samples), and memory of one on every device",
            f"{found['parts']:,.0f} x {size('part_bytes')}",
        ],
        [f"to train on each once, on {config.machines:,} machines", f"{found['visit_hours']:,.1f} h"],
        [f"to classify each once, on {config.machines:,} machines", f"{found['classify_hours']:,.1f} h"],
    ]
    return markdown_table(["plan", ""], rows)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """The plan of the default flags, for the README."""
    return {"plan": table(Plan(), results)}


if __name__ == "__main__":
    sys.exit(main())
