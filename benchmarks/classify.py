"""How many galaxies a second do trained networks classify, in galjax and in PyTorch?

    python -m benchmarks.classify                   # 2 CPU cores: 2 minutes
    python -m benchmarks.classify --no-write --repeats 4 --galaxies 256

The same networks, with weights of their own, see the same images, in turn in one process: in galjax as `galjax classify` computes
them, in PyTorch one after the other, channels last and without gradients, in several batch sizes, of which the fastest counts. The
probabilities of both are compared first. `end to end` is the command's own loop over stamps in one array: cutting, flags,
calibration and writing too. The machine's ceilings are measured in the same run.
"""

import copy
import dataclasses
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.problem import NotHere, Problem, optional
from benchmarks.contenders.pytorch import make_network as make_pytorch
from benchmarks.measure import in_turn, measure_ceilings, write_results
from galjax.analysis.tables import markdown_table
from galjax.catalogue import stream
from galjax.catalogue.parts import Parts, Stretch
from galjax.catalogue.stamps import Stamper, Survey
from galjax.networks.counting import forward_products
from galjax.networks.registry import make_network
from galjax.sources.files.detection import find_galaxies
from galjax.sources.options import FolderOptions
from galjax.training.applying import Applied
from galjax.training.classify import Classifier, Seen
from galjax.training.conditions import ORIGINAL
from galjax.training.description import Description
from galjax.training.ensemble import Ensemble
from galjax.training.execution import for_applying, use_all_cores
from galjax.training.step import OptimiserConfig

NAME = "classify"
OURS, TOLD = "galjax", "galjax, end to end"
PYTORCH_BATCHES = (8, 32, 128, 512)
SKY = 10**10
"""Galaxies of the plan: those of the largest surveys to come."""


@dataclasses.dataclass(frozen=True)
class ClassifyBenchmark:
    """Flags."""

    repeats: int = 10
    """Networks of the ensemble."""
    galaxies: int = 1024
    """Galaxies that they classify in each round."""
    image_size: int = 64
    """Height and width of the images, px."""
    rounds: int = 5
    """Times that each contender is timed, in turn."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, repeats=self.repeats, rounds=self.rounds, galaxies=self.galaxies)
        check_at_least(8, image_size=self.image_size)


class _Silent:
    """Told how far a catalogue is, and says nothing."""

    def advance(self, done: int, measured: str) -> None:
        """As `CatalogueProgress.advance`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(ClassifyBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: ClassifyBenchmark) -> dict[str, Any]:
    """Check probabilities, time everything in turn, print and keep the tables."""
    use_all_cores()
    problem = Problem(galaxies=config.galaxies, image_size=config.image_size)
    images, _ = problem.data()
    parameters = jax.tree.map(lambda array: np.stack([array] * config.repeats), problem.parameters())
    execution = for_applying("float32")
    trainer = execution.trainer(problem.network_config, OptimiserConfig(), 2)
    applied = Applied(execution, trainer, (parameters, None))
    rows, columns = (jnp.asarray(m, jnp.float32) for m in ORIGINAL.matrices(images.shape[1:3], "opencv"))
    contenders: dict[str, Any] = {OURS: lambda: applied(images, (rows, columns))}
    differences, skipped = {}, {}
    try:
        ours = applied(images, (rows, columns))
        for batch in PYTORCH_BATCHES:
            name = f"PyTorch, batches of {batch}"
            contenders[name] = _pytorch(problem, config.repeats, images, batch)
            differences[name] = float(np.abs(contenders[name]() - ours).max())
            say(f"{name}: probabilities differ by at most {differences[name]:.0e}")
    except NotHere as reason:
        skipped["PyTorch"] = str(reason)
        say(f"PyTorch: left out, {reason}")
    with tempfile.TemporaryDirectory() as folder:
        contenders[TOLD] = _end_to_end(problem, parameters, images, Path(folder))
        ceilings = measure_ceilings()
        times = in_turn(contenders, config.rounds)
    stamps = config.galaxies * config.repeats
    flops = sum(p.flops for p in forward_products(make_network(problem.network, 2, "xla"), images.shape[1:], 1))
    rates = {name: stamps / value.median for name, value in times.items()}
    fastest = max((rate for name, rate in rates.items() if name.startswith("PyTorch")), default=None)
    results = {
        "repeats": config.repeats,
        "galaxies": config.galaxies,
        "image_size": config.image_size,
        "skipped": skipped,
        "contenders": {
            name: {
                "seconds": times[name].scaled(1 / stamps).record(),
                "stamps_per_second": rates[name],
                "ratio_to_fastest_pytorch": rates[name] / fastest if fastest else None,
                "difference": differences.get(name, 0.0),
                "share_of_matmul": rates[name] * flops / ceilings.flops,
            }
            for name in contenders
        },
        "ceilings": dataclasses.asdict(ceilings),
        "flops_per_stamp": flops,
    }
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def _pytorch(problem: Problem, repeats: int, images: np.ndarray, batch: int) -> Any:
    torch = optional("torch")
    if torch is None:
        raise NotHere("PyTorch is not installed")
    one = make_pytorch(dataclasses.replace(problem, dropout=0.0)).to(memory_format=torch.channels_last).eval()
    networks = [copy.deepcopy(one) for _ in range(repeats)]
    device = next(one.parameters()).device
    pixels = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).contiguous(memory_format=torch.channels_last)

    def classify() -> np.ndarray:
        with torch.inference_mode():
            batches = [some.to(device) for some in pixels.split(batch)]
            each = [torch.cat([network(some) for some in batches]) for network in networks]
            return np.asarray(torch.stack(each).softmax(dim=-1).cpu())

    return classify


def _end_to_end(problem: Problem, parameters: Any, images: np.ndarray, folder: Path) -> Any:
    """The loop of `galjax classify` over an .npy file."""
    np.save(folder / "images.npy", images[..., 0])
    about = Description(
        network=problem.network_config,
        class_names=("plain", "square"),
        repeats=tuple(range(len(parameters["output"]["bias"]))),
        epoch=0,
        image_size=images.shape[1:3],
        bands=("grey",),
        pixel_scale=float("nan"),
    )
    options = FolderOptions(labels_needed=False)
    galaxies = find_galaxies(folder / "images.npy", options)
    assert galaxies is not None
    classifier = Classifier(Ensemble(about, parameters), Seen(calibrated=False))
    job = stream.Job(Stamper(galaxies, options, about, Survey()), classifier, Stretch(0, len(images)))
    runs = iter(range(10**6))

    def classify() -> None:
        parts = Parts(folder / f"catalogue-{next(runs)}")
        parts.begin({}, place=parts.folder)
        stream.run(job, parts, _Silent())

    return classify


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = []
    for name, row in sorted(results["contenders"].items(), key=lambda item: -item[1]["stamps_per_second"]):
        ratio, seconds = row["ratio_to_fastest_pytorch"], row["seconds"]
        rows.append(
            [
                name,
                "" if ratio is None else f"{ratio:.2f}",
                f"{row['stamps_per_second']:,.0f}",
                f"{1 / seconds['max']:,.0f} - {1 / seconds['min']:,.0f}",
                f"{row['share_of_matmul']:.2f}",
                f"{row['difference']:.0e}",
            ]
        )
    header = [
        "classifying",
        "rate / fastest PyTorch",
        "stamps x networks / s",
        "range",
        "of the matmul ceiling",
        "differs by",
    ]
    told = results["contenders"][TOLD]["stamps_per_second"] / results["repeats"]
    days = SKY / told / 86400
    plan = [
        ["one machine like this", f"{told:,.0f}", f"{days:,.0f}"],
        ["1,000 of them (--part 1/1000 ...)", f"{1000 * told:,.0f}", f"{days / 1000:,.1f}"],
    ]
    head = [f"{SKY:.0e} galaxies, {results['repeats']} networks", "galaxies / s", "days"]
    return {"classify": markdown_table(header, rows), "classify-plan": markdown_table(head, plan)}


if __name__ == "__main__":
    sys.exit(main())
