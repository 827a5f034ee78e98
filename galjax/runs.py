"""The run folder: configuration, environment, tables and histories of one run, and whether a run starts or goes on."""

import contextlib
import dataclasses
import datetime
import io
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np
from astropy.table import Table

from galjax.errors import InputError
from galjax.repeats import History
from galjax.sample import Exclusion

FORMAT = 1
"""Version of the run folder's layout, stored in config.json."""


class RunFolder:
    """One run's results on disk. Every file is written whole or not at all."""

    def __init__(self, path: Path, *, is_new: bool) -> None:
        """Use `open_run`, which decides whether the folder may be used."""
        self.path = path
        self.is_new = is_new

    @property
    def finished(self) -> bool:
        """Whether the run got to its end: environment.json, which is written last, is there."""
        return (self.path / "environment.json").exists()

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write a file of the folder: whole, or not at all. `name` may have folders in it."""
        path = self.path / name
        partial = path.with_name(path.name + ".partial")
        if not Path(os.path.realpath(partial)).is_relative_to(os.path.realpath(self.path)):
            raise InputError(
                f"{partial} lies outside of the run folder, through a link in it. Remove the link, or give another --out."
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            os.replace(partial, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise InputError(
                f"Cannot write {path} ({error.strerror}). What was computed so far is kept in {self.path}; make room "
                f"or mend the permissions, and run the same command with --out {self.path} to go on."
            ) from error
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the folder."""
        return self.write_bytes(name, text.encode(errors="backslashreplace"))  # names of files may be no UTF-8

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file of the folder."""
        return self.write_text(name, json.dumps(content, indent=2, default=str) + "\n")

    def write_table(self, name: str, table: Table) -> Path:
        """Write an astropy table as ECSV."""
        text = io.StringIO()
        table.write(text, format="ascii.ecsv")
        return self.write_text(name, text.getvalue())

    def write_exclusions(self, excluded: Iterable[Exclusion]) -> Path:
        """Write excluded.ecsv: every galaxy that was given and left out, with file and reason."""
        rows = list(excluded)
        columns = {field: [getattr(row, field) for row in rows] for field in Exclusion._fields}
        return self.write_table("excluded.ecsv", Table(columns, dtype=["U1"] * 3 if not rows else None))

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> Path:
        """Write arrays as an uncompressed .npz that loads without pickle."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return self.write_bytes(name, buffer.getvalue())

    def read_history(self, name: str) -> History | None:
        """A history that `write_arrays` wrote, or None where there is none."""
        path = self.path / name
        if not path.exists():
            return None
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return History(**dict(arrays))
        except Exception as error:  # NumPy raises whatever a damaged file leads it to
            raise InputError(
                f"{path} is damaged or no history of a training. Delete it, and run the same command again to train that part anew."
            ) from error

    def subfolder(self, name: str) -> Path:
        """A folder inside the run folder, made where it is missing."""
        path = self.path / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"Cannot make the folder {path} ({error.strerror}). Remove what is in its place, or give another --out."
            ) from error
        return path

    def remove_subfolder(self, name: str) -> None:
        """Delete a folder inside the run folder."""
        shutil.rmtree(self.path / name, ignore_errors=True)


def open_run(experiment: str, config: Any, out: Path | None, *, resume: bool, sample_digest: str) -> RunFolder:
    """Decide whether a run starts, goes on, or is refused, and make its folder.

    1. Without `out`: a new folder `runs/<experiment>/<time>`; with `resume`, the newest one there.
    2. `out` is absent or an empty folder: start (with `resume` too: there is nothing to go on from).
    3. `out` holds something else than a run of this layout: refuse.
    4. `out` holds a run of another experiment, another configuration or other galaxies: refuse, and name what differs.
    5. Otherwise the same command was given before: go on where it stopped.

    Where and whether to resume is not part of the configuration. Raises InputError for every refusal.
    """
    if out is None:
        earlier = sorted(Path("runs", experiment).glob("*/config.json")) if resume else []
        if resume and not earlier:
            raise InputError(
                f"There is no run in {Path('runs', experiment)} to resume. Leave out --resume to start one."
            )
        now = datetime.datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
        out = earlier[-1].parent if earlier else _unused(Path("runs", experiment, now))
    wanted = {"format": FORMAT, "experiment": experiment, "config": _plain(config), "sample": sample_digest}
    try:
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out} is a file; give a folder that is new, empty, or holds an earlier run.")
        out.mkdir(parents=True, exist_ok=True)
        is_empty = not any(out.iterdir())
    except OSError as error:
        raise InputError(f"Cannot make the folder {out} or read it ({error.strerror}). Give another --out.") from error
    if not is_empty:
        _check_same(out, wanted)
        return RunFolder(out, is_new=False)
    folder = RunFolder(out, is_new=True)
    folder.write_json("config.json", wanted)
    return folder


def describe_environment() -> dict[str, Any]:
    """Versions, device, command and commit: what else decides a result and its speed."""
    packages = ("galjax", "jax", "jaxlib", "flax", "optax", "numpy", "scipy", "astropy", "opencv-python-headless",
                "orbax-checkpoint")  # fmt: skip
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "platform": platform.platform(),
        "device": {"kind": device.device_kind, "platform": device.platform, "count": jax.device_count()},
        "cpu_count": os.cpu_count(),
        "command": " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "commit": _commit(),
    }


def _plain(config: Any) -> dict[str, Any]:
    """The configuration as JSON gives it back, without what only says where to write."""
    fields = {name: value for name, value in dataclasses.asdict(config).items() if name not in ("out", "resume")}
    return json.loads(json.dumps(fields, default=str))


def _unused(path: Path) -> Path:
    candidates = [path, *(path.with_name(f"{path.name}-{n}") for n in range(2, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())


def _check_same(out: Path, wanted: dict[str, Any]) -> None:
    """Raise InputError unless `out` holds a run of this experiment and configuration."""
    try:
        found = json.loads((out / "config.json").read_text())
        layout, experiment, config = found["format"], found["experiment"], dict(found["config"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(
            f"--out {out} holds files, but no readable run of this program (config.json). Nothing there was touched: "
            f"give a folder that is new, empty, or holds an earlier run."
        ) from error
    if layout != FORMAT:
        raise InputError(
            f"{out} holds a run of layout {layout}; this version reads layout {FORMAT}. Give another --out, or use the version that "
            f"made it."
        )
    if experiment != wanted["experiment"]:
        raise InputError(f"{out} holds a run of {experiment}, not of {wanted['experiment']}. Give another --out.")
    ours, theirs = _flat(wanted["config"]), _flat(config)
    differences = [
        f"{name} was {theirs.get(name, 'not there')}, now {ours.get(name, 'not there')}"
        for name in sorted({*ours, *theirs})
        if json.dumps(ours.get(name, "absent")) != json.dumps(theirs.get(name, "absent"))  # as text: NaN equals NaN
    ]
    if differences:
        raise InputError(
            f"{out} holds a run with another configuration: {'; '.join(differences)}. Give the same flags to go on with "
            f"it, or another --out."
        )
    if found.get("sample") != wanted["sample"]:
        raise InputError(
            f"{out} holds a run on other galaxies: --data has changed since. Give another --out, or restore the data."
        )


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in nested.items():
        flat.update(_flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value})
    return flat


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
