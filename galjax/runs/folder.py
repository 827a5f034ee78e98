"""The run folder: configuration, environment, tables and histories of one run, and whether a run starts or resumes."""

import contextlib
import datetime
import io
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from astropy.table import Table
from flax.traverse_util import flatten_dict

from galjax.config import jax_settings
from galjax.config.json_form import as_words, dumps, flags, from_json, to_json
from galjax.errors import InputError
from galjax.io.whole_files import partial_of, write_whole
from galjax.runs.lock import HOLDER, LOCK, RunLock
from galjax.sample import Exclusion
from galjax.training import processes
from galjax.training.history import History

Read = TypeVar("Read")

FORMAT = 4
"""Version of the run folder's layout, stored in config.json."""


ELSEWHERE = ("out", "resume", "processes")
"""Parts of a configuration that only say where to write and who takes part: they are not kept."""
MAY_DIFFER = ("data", "checkpoint_seconds", "on_divergence", "discard_state")
"""Parts that decide how safely a run is computed and where its galaxies lie (their checksum is compared instead), and no
result of a repeat."""
MAY_GROW = "epochs"
"""A run may be trained on."""
FALLING = "rate_schedule"
ENDS_THERE = "the learning rate falls towards the last epoch, so that a longer training is another one"


class RunFolder:
    """One run's results on disk. Every file is written whole or not at all.

    Of several processes the first alone reads and writes it; in the others writing does nothing.
    """

    def __init__(
        self, path: Path, *, is_new: bool, writes: bool = True, lock: RunLock | None = None, notes: Sequence[str] = ()
    ) -> None:
        """Use `open_run`, which decides whether the folder may be used."""
        self.path = path
        self.notes = tuple(notes)
        """What a run that is resumed is to report."""
        self.is_new = is_new
        self.writes = writes
        self._lock = lock

    def close(self) -> None:
        """Let other processes work on the folder."""
        if self._lock is not None:
            self._lock.release()

    @property
    def finished(self) -> bool:
        """Whether the run got to its end: environment.json, which is written last, is there."""
        return (self.path / "environment.json").exists()

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Write a file of the folder: whole, or not at all. `name` may have folders in it."""
        path = self.path / name
        if not self.writes:
            return path
        partial = partial_of(path)
        if not Path(os.path.realpath(partial)).is_relative_to(os.path.realpath(self.path)):
            raise InputError(
                f"{partial} lies outside of the run folder, through a link in it. Remove the link, or give another --out."
            )
        try:
            write_whole(path, content)
        except OSError as error:
            raise InputError(
                f"Cannot write {path} ({error.strerror}). What was computed so far is kept in {self.path}; make room "
                f"or fix the permissions, and run the same command with --out {self.path} to resume."
            ) from error
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write a text file of the folder."""
        return self.write_bytes(name, text.encode(errors="backslashreplace"))  # names of files may be no UTF-8

    def write_json(self, name: str, content: Mapping[str, Any]) -> Path:
        """Write a JSON file of the folder, in JSON as every parser reads it (`configuration.dumps`)."""
        return self.write_text(name, dumps(content))

    def write_table(self, name: str, table: Table) -> Path:
        """Write an astropy table, as CSV where the name ends so, else as ECSV."""
        text = io.StringIO()
        table.write(text, format="ascii.csv" if name.endswith(".csv") else "ascii.ecsv")
        return self.write_text(name, text.getvalue())

    def write_exclusions(self, excluded: Iterable[Exclusion]) -> Path:
        """Write excluded.ecsv: every galaxy that was given and left out, with file and reason."""
        return self.write_table("excluded.ecsv", exclusions_table(excluded))

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> Path:
        """Write arrays as an uncompressed .npz that loads without pickle."""
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        return self.write_bytes(name, buffer.getvalue())

    def read_history(self, name: str) -> History | None:
        """A history whose arrays were written, or None where there is none."""
        return self._read(name, lambda arrays: History(**arrays))

    def read_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """What `write_arrays` wrote, or None where there is nothing."""
        return self._read(name, dict)

    def _read(self, name: str, make: Callable[[dict[str, np.ndarray]], Read]) -> Read | None:
        """What is made of the arrays of a file, or None where there is none. The same in all processes."""
        path = self.path / name
        content = processes.broadcast(path.read_bytes() if self.writes and path.exists() else b"")
        if not content:
            return None
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return make(dict(arrays))
        except Exception as error:  # NumPy raises whatever a damaged file leads it to
            raise InputError(
                f"{path} is damaged or no history of a training. Delete it, and run the same command again to compute that part anew."
            ) from error

    def subfolder(self, name: str) -> Path:
        """A folder inside the run folder, made where it is missing."""
        path = self.path / name
        if self.writes:
            try:
                path.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise InputError(
                    f"Cannot make the folder {path} ({error.strerror}). Remove what is in its place, or give another --out."
                ) from error
        return path

    def remove_subfolder(self, name: str) -> None:
        """Delete a folder inside the run folder."""
        if self.writes:
            shutil.rmtree(self.path / name, ignore_errors=True)


def open_run(experiment: str, config: Any, out: Path | None, *, resume: bool, sample_digest: str) -> RunFolder:
    """Decide whether a run starts, resumes, or is refused, and make its folder.

    1. Without `out`: a new folder `runs/<experiment>/<UTC time>`; with `resume`, the one there that was begun last.
    2. `out` is absent or an empty folder: start (with `resume` too: there is nothing to resume).
    3. `out` holds something else than a run of this layout: refuse, before anything there is touched.
    4. Another process is using `out`: refuse, and name it. The lock of a process that died is no obstacle.
    5. `out` holds a run of another experiment, another configuration, other galaxies or other random numbers
       (`jax_settings.check_same`): refuse, and name the flags that differ. More epochs than before are no difference.
    6. Otherwise the same command was given before: resume where it stopped. What of it has ended is read back, the rest resumes
       from its newest whole checkpoint (`Checkpoints.latest`) or from its beginning.

    The parts of a configuration that `MAY_DIFFER` names are not compared: the same galaxies under another path are the
    same. The folder is this process's until it is closed. Of several processes the first decides for all. Raises
    InputError for every refusal.
    """
    opened: list[RunFolder] = []

    def decide() -> tuple[str, bool]:
        opened.append(_open(experiment, config, out, resume, sample_digest))
        return str(opened[0].path), opened[0].is_new

    path, is_new = processes.on_first(decide)
    return opened[0] if opened else RunFolder(Path(path), is_new=is_new, writes=False)


def _open(experiment: str, config: Any, out: Path | None, resume: bool, sample_digest: str) -> RunFolder:
    """`open_run` in the first process."""
    now = datetime.datetime.now(datetime.UTC)
    if out is None:
        home = Path("runs", experiment)
        out = newest_run(experiment) if resume else _unused(home / now.strftime("%Y-%m-%dT%H-%M-%SZ"))
    wanted: dict[str, Any] = {
        "format": FORMAT,
        "experiment": experiment,
        "started": now.isoformat(),
        "config": plain_settings(config),
        "sample": sample_digest,
        "jax": jax_settings.describe(),
    }
    notes: list[str] = []
    try:
        if out.exists() and not out.is_dir():
            raise InputError(f"--out {out} is a file; give a folder that is new, empty, or holds an earlier run.")
        if not _is_empty(out):
            _read(out)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {out} or read it ({error.strerror}). Give another --out.") from error
    lock = RunLock(out)
    try:
        is_new = _is_empty(out)  # asked again, now that nobody else can change it
        if not is_new:
            found = _read(out)
            _check_same(out, found, wanted, type(config))
            notes = jax_settings.check_same(found["jax"], wanted["jax"], str(out))
            if found["config"] != wanted["config"]:  # its results are of fewer epochs
                (out / "environment.json").unlink(missing_ok=True)
            wanted |= {name: found[name] for name in ("started", "jax")}
        folder = RunFolder(out, is_new=is_new, lock=lock, notes=notes)
        folder.write_json("config.json", wanted)
    except BaseException:
        lock.release()
        raise
    return folder


def newest_run(experiment: str) -> Path:
    """The run in `runs/<experiment>/` that was begun last, by the UTC time that it keeps: names and time zones decide nothing.

    Of copies of one run the one with the shortest name, which is the original. Raises InputError where there is none.
    """
    home = Path("runs", experiment)
    begun = {path.parent: _started(path) for path in home.glob("*/config.json")}
    if not begun:
        raise InputError(f"There is no run in {home} to resume. Leave out --resume to start one.")
    return max(begun, key=lambda path: (begun[path], -len(path.name), path.name))


def _started(config: Path) -> str:
    """When a run was started (UTC, ISO 8601); "", before all others, where it cannot be read."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        started = datetime.datetime.fromisoformat(json.loads(config.read_text())["started"])
        return started.astimezone(datetime.UTC).isoformat(timespec="microseconds")
    return ""


def run_to_resume(experiment: str, out: Path | None) -> dict[str, Any] | None:
    """Path and configuration (JSON) of the run to resume: in `out`, or the newest; None where `out` has none yet.

    Raises InputError where `out` is something else or of another experiment.
    """
    place = newest_run(experiment) if out is None else out
    if out is not None and (not out.is_dir() or _is_empty(out)):
        return None
    found = _read(place)
    _check_experiment(place, found, experiment)
    return {"path": str(place), "config": found["config"]}


Config = TypeVar("Config")


def configuration(kind: type[Config], found: Mapping[str, Any], place: str) -> Config:
    """What `config.json` of a run folder says in its `config`, as the dataclass it was; raises InputError where it cannot be."""
    try:
        return from_json(kind, found)
    except (ValueError, InputError) as error:
        raise InputError(
            f"The configuration in {place} does not fit this version of galjax: {error}. Use the version that made it "
            f"(environment.json names it), or start anew in another --out."
        ) from error


def _is_empty(out: Path) -> bool:
    """Whether a folder is absent, or holds no more than a process leaves that died before its run began."""
    return not out.is_dir() or {path.name for path in out.iterdir()} <= {LOCK, HOLDER, "config.json.partial"}


def describe_environment() -> dict[str, Any]:
    """Versions, device, command and commit: what else decides a result and its speed."""
    packages = (
        "galjax",
        "jax",
        "jaxlib",
        "flax",
        "optax",
        "numpy",
        "scipy",
        "astropy",
        "opencv-python-headless",
        "orbax-checkpoint",
        "scikit-learn",
    )
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "jax": jax_settings.describe(),
        "platform": platform.platform(),
        "device": {"kind": device.device_kind, "platform": device.platform, "count": jax.device_count()},
        "processes": processes.count(),
        "cpu_count": os.cpu_count(),
        "command": " ".join([Path(sys.argv[0]).stem, *sys.argv[1:]]),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "commit": _commit(),
    }


def plain_settings(config: Any) -> dict[str, Any]:
    """The configuration as JSON gives it back, without what only says where to write and who takes part."""
    return {name: value for name, value in to_json(config).items() if name not in ELSEWHERE}


def _unused(path: Path) -> Path:
    candidates = [path, *(path.with_name(f"{path.name}-{n}") for n in range(2, 1000))]
    return next(candidate for candidate in candidates if not candidate.exists())


def _read(out: Path) -> dict[str, Any]:
    """What config.json says; raises InputError unless `out` holds a run of this layout."""
    try:
        found = json.loads((out / "config.json").read_text())
        layout, _, _ = found["format"], found["experiment"], dict(found["config"])
        _ = layout != FORMAT or (dict(found["jax"]), found["started"])
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
    return found


def _check_experiment(out: Path, found: dict[str, Any], experiment: str) -> None:
    if found["experiment"] != experiment:
        raise InputError(f"{out} holds a run of {found['experiment']}, not of {experiment}. Give another --out.")


def _check_same(out: Path, found: dict[str, Any], wanted: dict[str, Any], kind: type) -> None:
    """Raise InputError unless `out` holds a run of this experiment, configuration and galaxies."""
    _check_experiment(out, found, wanted["experiment"])
    ours, theirs = (flatten_dict(run["config"], sep=".") for run in (wanted, found))
    named = flags(kind)
    differences = []
    falls = any(path.endswith(FALLING) and value == "cosine" for path, value in theirs.items())
    for path in sorted({*ours, *theirs}):
        before, now = theirs.get(path, "not there"), ours.get(path, "not there")
        name = path.rpartition(".")[2]
        grows = name == MAY_GROW and not falls and _is_no_less(now, before)
        if before != now and name not in MAY_DIFFER and not grows:
            fewer = f" ({ENDS_THERE if falls else 'a run can be trained on, not back'})" if name == MAY_GROW else ""
            flag = named[path][0] if path in named else path
            differences.append(f"{flag} was {as_words(before)}, now {as_words(now)}{fewer}")
    if differences:
        raise InputError(
            f"{out} holds a run with another configuration: {'; '.join(differences)}. Give the same flags, or --resume and none "
            f"of them, to resume it, or another --out."
        )
    if found.get("sample") != wanted["sample"]:
        raise InputError(
            f"{out} holds a run on other galaxies: --data has changed since. Give another --out, or restore the data."
        )


def _is_no_less(now: Any, before: Any) -> bool:
    """Whether `now` is at least `before`; None is what a preset has, which each experiment of a run of several checks by itself."""
    return None in (now, before) or (isinstance(now, int) and isinstance(before, int) and now >= before)


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


def exclusions_table(excluded: Iterable[Exclusion]) -> Table:
    """One row a galaxy: id, file, reason."""
    rows = list(excluded)
    columns = {field: [getattr(row, field) for row in rows] for field in Exclusion._fields}
    return Table(columns, dtype=["U1"] * 3 if not rows else None)
