"""Does a sample of real galaxies come through an archive's faults and a killed program, and how fast is it built?

    python -m benchmarks.archives                # 2 CPU cores, 4 GB of disk for a while: 10 minutes
    python -m benchmarks.archives --quick        # a smoke run of small frames; its results are not kept

A stand-in for the archives (tests/sources/archive) serves, on this machine and in a process of its own, full-size DR7 frames
of 2048x1489 px with galaxies of the simulated survey at known places, gzipped to about 2.5 MB.

Part one: frames fetched and cut per second, with `experiments.build_sample` as a library and with a plain loop of astropy calls,
in turn in one run; no faults. Both measure the sky where the header does not have it. Part two: the command itself on 2,000
galaxies with every fault of FAULTS (tests/sources/archive/faults.py), once undisturbed, and once ended with SIGKILL, SIGTERM and
SIGKILL on the way; the samples must be the same bytes, every galaxy must be where the truth has it, and stars planted at
catalogue positions within 0.5 px of the recorded centre. Part three: the resolution sweep on that sample.

Expect at least 15 frames per second on 2 cores, several times the plain loop's.
"""

import collections
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage
from astropy.table import Table

from benchmarks.command import check_at_least, run_benchmark, say
from benchmarks.contenders.astropy_loop import Wanted, cut_out
from benchmarks.measure import in_turn, write_results
from benchmarks.stand_in.frames import SHAPE
from benchmarks.stand_in.process import make_files, serving
from benchmarks.stand_in.universe import Shares, Universe, make_universe
from galjax.analysis.tables import markdown_table
from galjax.config.jax_settings import PRNG
from galjax.sample import GalaxySample
from galjax.sources.archives.das import CorrectedFrames
from galjax.sources.archives.download import Client, Politeness
from galjax.sources.build.journal import open_journal
from galjax.sources.build.pipeline import SilentProgress, cut_all
from galjax.sources.build.survey import FileStore, StampRequest
from galjax.sources.simulated.population import draw_galaxies
from galjax.sources.simulated.rendering import render
from galjax.sources.simulated.survey import SimulatedSurvey, instrument_of
from galjax.sources.surveys.galaxy_list import GalaxyList
from galjax.sources.surveys.galaxy_zoo import read_table2
from galjax.sources.surveys.sdss import SdssFrames
from galjax.statistics import leading

NAME = "archives"
GALJAX, LOOP = "galjax", "plain astropy loop"
GOAL = 15.0
"""Frames per second."""
CATALOGUE = "GalaxyZoo1_DR_table2.csv.gz"
ATTEMPTS = 4
ENDINGS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL)
"""How the command is ended, after a quarter, a half and three quarters of the frames."""
ROOT = Path(__file__).resolve().parents[1]


@dataclasses.dataclass(frozen=True)
class ArchivesBenchmark:
    """Flags."""

    galaxies: int = 2000
    """Galaxies and stars of the stand-in sky."""
    fields: int = 700
    """Fields that the galaxies and stars lie in."""
    timed_fields: int = 60
    """Frames that each round of part one cuts out of."""
    rounds: int = 5
    """Rounds of part one."""
    connections: int = 4
    """Connections that galjax opens at the same time."""
    quick: bool = False
    """Measure 60 galaxies in 40 small fields, one round and no sweep, and keep no results."""
    no_write: bool = False
    """Do not keep the results in benchmarks/results/."""

    def __post_init__(self) -> None:
        check_at_least(1, timed_fields=self.timed_fields, rounds=self.rounds, connections=self.connections)
        check_at_least(self.fields, galaxies=self.galaxies)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code."""
    return run_benchmark(ArchivesBenchmark, run, NAME, __doc__ or "", arguments)


def run(config: ArchivesBenchmark) -> dict[str, Any]:
    """All parts; prints and keeps the tables."""
    shape = SHAPE
    if config.quick:
        config = dataclasses.replace(config, galaxies=60, fields=40, timed_fields=10, rounds=1, no_write=True)
        shape = (340, 460)
    folder = Path(tempfile.mkdtemp(prefix="galjax-archives-"))
    try:
        started = time.perf_counter()
        universe = make_universe(
            fields=config.fields,
            galaxies=config.galaxies,
            shape=shape,
            shares=Shares(faulty=0.4 if config.quick else 0.15, stars=0.08),
            light=_rendered(config.galaxies),
        )
        (folder / "files").mkdir()
        frame_bytes = make_files(universe, folder / "files")
        say(f"{config.fields} fields made in {time.perf_counter() - started:.0f} s, {frame_bytes / 1e6:.2f} MB each")
        results: dict[str, Any] = {"frame_bytes": frame_bytes, "shape": shape, "goal": GOAL}
        with serving(universe, folder / "files", folder / "log-calm", faults=False) as addresses:
            results["throughput"] = _throughput(config, universe, folder, addresses)
        results["chain"] = _chain(universe, folder)
        if not config.quick:
            results["sweep"] = _sweep(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for table in tables(results).values():
        say(f"\n{table}")
    if not config.no_write:
        say(f"\nkept in {write_results(NAME, results)}")
    return results


def _rendered(count: int) -> Any:
    """Light of simulated galaxies without noise: (index, label, generator) to counts and the centre in them."""
    instrument = instrument_of(SimulatedSurvey())
    images, centres = [], []
    for label in range(3):
        galaxies = draw_galaxies(jax.random.key(label, impl=PRNG), jnp.arange(count), jnp.full(count, label, jnp.int32))
        images.append(np.asarray(jax.lax.map(lambda galaxy: render(galaxy, instrument), galaxies, batch_size=50)))
        low, high = instrument.centre
        centres.append(low + (high - low) * np.asarray(galaxies.subpixel))

    def light(index: int, label: int, _: object) -> tuple[np.ndarray, float, float]:
        y, x = centres[label][index]
        return images[label][index], float(y), float(x)

    return light


def _throughput(
    config: ArchivesBenchmark, universe: Universe, folder: Path, addresses: Sequence[str]
) -> list[dict[str, Any]]:
    """Part one: a row for each contender."""
    (folder / CATALOGUE).write_bytes(universe.catalogue())
    galaxies = read_table2(folder / CATALOGUE)
    base = addresses[addresses.index("--das-url") + 1]
    whole = [n for n in range(config.fields) if universe.das_path(n) not in universe.faults][: config.timed_fields]
    of_field = {f"{f.run}-{f.rerun}-{f.camcol}-{f.field}": n for n, f in enumerate(universe.fields)}
    chosen, wanted = _choose(galaxies, universe, whole, base, of_field)
    stamps: dict[str, dict[int, np.ndarray]] = {}

    def galjax(connections: int) -> None:
        name = GALJAX if connections == config.connections else f"{GALJAX}, 1 connection"
        stamps[name] = _with_galjax(chosen, base, folder, connections)

    contenders = {
        GALJAX: lambda: galjax(config.connections),
        f"{GALJAX}, 1 connection": lambda: galjax(1),
        LOOP: lambda: stamps.update({LOOP: cut_out(wanted)}),
    }
    times = in_turn(contenders, config.rounds, warm_up=1)
    per_frame = {name: time.scaled(1 / len(whole)) for name, time in times.items()}
    rows = []
    for name, time_ in per_frame.items():
        common = stamps[name].keys() & stamps[LOOP].keys()
        difference = max(float(np.abs(stamps[name][i] - stamps[LOOP][i]).max()) for i in common)
        rows.append(
            {
                "contender": name,
                "ratio": per_frame[LOOP].median / time_.median,
                "frames_per_second": 1 / time_.median,
                "seconds_per_frame": time_.record(),
                "frames": len(whole),
                "stamps": len(stamps[name]),
                "difference": difference,
            }
        )
        say(f"{name}: {1 / time_.median:.1f} frames/s")
    return rows


def _choose(
    galaxies: GalaxyList, universe: Universe, numbers: Sequence[int], base: str, of_field: Mapping[str, int]
) -> tuple[GalaxyList, list[Wanted]]:
    """The galaxies of the given fields, and the same as the plain loop wants them."""
    survey = SdssFrames(Client(Politeness()), (CorrectedFrames(base),), FileStore(Path(), keep=False), _request())
    wanted: list[Wanted] = []
    members: list[int] = []
    for job in survey.jobs(galaxies):
        if of_field[job.key] in set(numbers):
            index = np.array(job.galaxies)
            members += job.galaxies
            path = universe.das_path(of_field[job.key]).removeprefix("das/")
            wanted.append(
                Wanted(f"{base}/{path}", tuple(galaxies.id[index].tolist()), galaxies.ra[index], galaxies.dec[index])
            )
    at = np.array(sorted(members))
    chosen = dataclasses.replace(
        galaxies,
        row=galaxies.row[at],
        id=galaxies.id[at],
        ra=galaxies.ra[at],
        dec=galaxies.dec[at],
        label=galaxies.label[at],
        columns={},
    )
    return chosen, wanted


def _request() -> StampRequest:
    return StampRequest(64, "r", "int")


def _with_galjax(galaxies: GalaxyList, base: str, folder: Path, connections: int) -> dict[int, np.ndarray]:
    """The stamps as the command makes them: journal, files on disk and all."""
    client = Client(Politeness(connections=connections))
    place = folder / "timed"
    shutil.rmtree(place, ignore_errors=True)
    survey = SdssFrames(client, (CorrectedFrames(base),), FileStore(place / "frames", keep=False), _request())
    with open_journal(place) as journal:
        cut_all(survey, galaxies, client, journal, SilentProgress())
        return {
            int(galaxies.id[galaxy]): np.frombuffer(pixels, "<f4").reshape(64, 64)
            for galaxy, pixels, _ in journal.stamps()
        }


def _chain(universe: Universe, folder: Path) -> dict[str, Any]:
    """Part two. Raises ArithmeticError where anything is not as the truth has it."""
    outs = {}
    seconds = {}
    facts: dict[str, Any] = {}
    for name, endings in {"undisturbed": (), "ended": ENDINGS}.items():
        outs[name] = folder / name
        outs[name].mkdir()
        log = folder / f"log-{name}"
        with serving(universe, folder / "files", log) as addresses:
            started = time.perf_counter()
            _command(outs[name], addresses, log, endings, len(universe.fields))
            seconds[name] = time.perf_counter() - started
        lines = [line.split("\t") for line in log.read_text().splitlines()]
        sent = collections.Counter(
            p
            for p, status, whole, fault in lines
            if p[:4] in ("/das", "/sas") and (status, whole, fault) == ("200", "1", "")
        )
        facts[name] = {
            "seconds": seconds[name],
            "requests": len(lines),
            "frames": len(sent),
            "frames_sent_twice": sum(n > 1 for n in sent.values()),
            "faults": dict(collections.Counter(fault for *_, fault in lines if fault)),
        }
        say(f"{name}: {seconds[name]:.0f} s, {facts[name]}")
    same = (outs["ended"] / "sdss.fits").read_bytes() == (outs["undisturbed"] / "sdss.fits").read_bytes()
    return facts | {"bytes_equal": _true(same, "the samples differ")} | _against_truth(universe, outs["ended"])


def _command(out: Path, addresses: Sequence[str], log: Path, endings: Sequence[signal.Signals], fields: int) -> None:
    """Run build_sample to its end, ended on the way as told."""
    command = [
        sys.executable,
        "-m",
        "experiments.build_sample",
        "--catalogue",
        str(out / CATALOGUE),
        "--out",
        str(out / "sdss.fits"),
        "--attempts",
        str(ATTEMPTS),
        "--backoff",
        "0.1",
        "--timeout",
        "4.0",
        *addresses,
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for number, ending in enumerate((*endings, None)):
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        if ending is not None:
            target = fields * (number + 1) / (len(endings) + 1)
            while process.poll() is None and (not log.exists() or log.read_text().count("/das/") < target):
                time.sleep(0.02)
            process.send_signal(ending)
        output, _ = process.communicate()
        expected = 0 if ending is None else 143 if ending == signal.SIGTERM else -ending
        if process.returncode != expected:
            raise ArithmeticError(f"build_sample ended with {process.returncode}, not {expected}: {output[-2000:]}")
        if ending == signal.SIGTERM and "run the same command again to resume" not in output:
            raise ArithmeticError(f"no sentence how to resume: {output[-500:]}")


def _against_truth(universe: Universe, out: Path) -> dict[str, Any]:
    sample, failures = GalaxySample.load(out / "sdss.fits"), Table.read(out / "failures.ecsv")
    _true(len(sample) + len(failures) == universe.rows(), "counts in are not cut-outs and failures")
    archives = dict(zip(map(str, sample.ids.tolist()), sample.columns["archive"].tolist(), strict=True))
    reasons = {str(row["id"]): str(row["reason"]) for row in failures}
    truth = universe.expected(attempts=ATTEMPTS)
    for identifier, expected in truth.items():
        right = (
            archives.get(identifier) == expected
            if expected in ("das", "sas")
            else expected in reasons.get(identifier, "")
        )
        found = archives.get(identifier) or reasons.get(identifier)
        _true(right, f"galaxy {identifier} should be {expected}, and is {found}")
    redshift = [universe.redshift.get(identifier, np.nan) for identifier in sample.ids.tolist()]
    _true(np.array_equal(sample.redshift, redshift, equal_nan=True), "redshifts are not the true ones")
    offsets, low, high = _star_offsets(universe, sample)
    _true(bool(offsets.max() < 0.5), f"a star is {offsets.max():.2f} px from where it should be")
    _true(low >= 32 and high < 33, f"centres lie in {low}..{high}, not in 32..33")
    return {
        "galaxies": universe.rows(),
        "cut_out": len(sample),
        "left_out": len(failures),
        "as_the_truth": len(truth),
        "reasons": dict(collections.Counter(failures["stage"].tolist())),
        "from_archive": dict(collections.Counter(archives.values())),
        "stars": len(offsets),
        "star_offset_px": {"median": float(np.median(offsets)), "max": float(offsets.max())},
        "centres": [low, high],
    }


def _star_offsets(universe: Universe, sample: GalaxySample) -> tuple[np.ndarray, float, float]:
    """Pixels between the measured and the recorded centre of every star, the larger axis; the range of recorded centres."""
    stars = {galaxy.id for galaxy in universe.galaxies if galaxy.is_star}
    at = [number for number, identifier in enumerate(sample.ids.tolist()) if identifier in stars]
    centres = np.stack([sample.columns["centre_y"], sample.columns["centre_x"]], axis=1)
    offsets = []
    for number in at:
        stamp = np.clip(sample.images[number] - 60, 0, None)[24:42, 24:42]
        offsets.append(np.abs(np.array(scipy.ndimage.center_of_mass(stamp)) + 24 - centres[number]).max())
    return np.array(offsets), float(centres.min()), float(centres.max())


def _true(right: bool, what: str) -> bool:
    if not right:
        raise ArithmeticError(what)
    return right


def _sweep(folder: Path) -> dict[str, Any]:
    """Part three: the resolution sweep on the sample, few epochs."""
    out = folder / "sweep"
    started = time.perf_counter()
    command = [
        sys.executable,
        "-m",
        "experiments.resolution_sweep",
        "--data",
        str(folder / "ended" / "sdss.fits"),
        "--out",
        str(out),
        "--per-class",
        "300",
        "--repeats",
        "4",
        "--epochs",
        "16",
        "--evaluate-every",
        "4",
    ]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    _true(ran.returncode == 0, f"the sweep failed: {ran.stdout[-500:]}{ran.stderr[-1500:]}")
    summary = Table.read(out / "summary.ecsv")
    chosen = summary[summary["selection"] == leading(summary["selection"])]
    rows = [row for row in chosen if row["method"] in ("none", "bilinear")]
    accuracy = {f"1/{row['factor']}" if row["factor"] > 1 else "Original": float(row["mean"]) for row in rows}
    say(f"sweep: {accuracy}")
    return {"seconds": time.perf_counter() - started, "accuracy": accuracy}


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The results as Markdown tables, by name."""
    rows = [
        [
            row["contender"],
            f"{row['ratio']:.1f}",
            f"{row['frames_per_second']:.1f}",
            f"{1 / row['seconds_per_frame']['max']:.1f} - {1 / row['seconds_per_frame']['min']:.1f}",
            f"{row['difference']:.2g}",
        ]
        for row in sorted(results["throughput"], key=lambda row: -row["ratio"])
    ]
    size = f"{results['shape'][1]}x{results['shape'][0]} px, {results['frame_bytes'] / 1e6:.1f} MB"
    chain = results["chain"]
    ended, calm = chain["ended"], chain["undisturbed"]
    facts = [
        ["catalogue rows = cut-outs + left out", f"{chain['galaxies']} = {chain['cut_out']} + {chain['left_out']}"],
        ["galaxies as the truth has them", str(chain["as_the_truth"])],
        ["from archive", ", ".join(f"{name} {n}" for name, n in sorted(chain["from_archive"].items()))],
        ["faulty answers survived", str(sum(calm["faults"].values()))],
        ["sample after 3 endings = undisturbed sample", "the same bytes" if chain["bytes_equal"] else "different"],
        [
            "frames sent whole twice, of those sent",
            f"{ended['frames_sent_twice']} of {ended['frames']} (in flight when ended)",
        ],
        [
            "stars: largest distance from the recorded centre",
            f"{chain['star_offset_px']['max']:.2f} px ({chain['stars']} stars)",
        ],
        ["seconds, undisturbed / ended three times", f"{calm['seconds']:.0f} / {ended['seconds']:.0f}"],
    ]
    if "sweep" in results:
        facts.append(
            [
                "resolution sweep on it, accuracy (bilinear)",
                ", ".join(f"{name} {mean:.2f}" for name, mean in results["sweep"]["accuracy"].items()),
            ]
        )
    header = [f"frames of {size}, gzipped", "frames/s, ratio", "frames/s", "range", "largest difference, counts"]
    return {"archives-throughput": markdown_table(header, rows), "archives-chain": markdown_table(["chain", ""], facts)}


if __name__ == "__main__":
    sys.exit(main())
