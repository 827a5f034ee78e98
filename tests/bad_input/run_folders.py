"""Run folders: how that of a whole run is spoiled, and what is said of it then."""

import json
import os
import pickle
import shutil

import numpy as np

from galjax.runs.folder import FORMAT
from tests.bad_input.making import Bomb


def spoil_config(**changes):
    def spoil(out):
        path = out / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return spoil


def replace(name, content):
    """A file of the run folder by another, by a folder (None), or by a link (a path)."""

    def spoil(out):
        path = out / name
        if path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is None:
            path.mkdir()
        else:
            path.symlink_to(content)

    return spoil


# Run folders: how that of a whole run is spoiled, and what is said of it then.
RUN_FOLDERS = {
    "config lost": (
        lambda out: (out / "config.json").unlink(),
        r"holds files, but no readable run .* \(config\.json\)\. Nothing there was touched",
    ),
    "config cut off": (lambda out: os.truncate(out / "config.json", 40), "no readable run"),
    "config is a folder": (replace("config.json", None), "no readable run"),
    "config not UTF-8": (replace("config.json", b"\xff\xfe{}"), "no readable run"),
    "config of endless depth": (replace("config.json", b"[" * 100_000), "no readable run"),
    "config without content": (spoil_config(config=3), "no readable run"),
    "newer version": (
        spoil_config(format=FORMAT + 1),
        f"holds a run of layout {FORMAT + 1}; this version reads layout {FORMAT}",
    ),
    "another experiment": (
        spoil_config(experiment="phase_shift"),
        "holds a run of phase_shift, not of same_resolution",
    ),
    "another configuration": (spoil_config(config={"seed": 1}), "another configuration: .*--seed was 1, now 0"),
    "other galaxies": (spoil_config(sample="0" * 64), "run on other galaxies"),
    "training cut off": (
        lambda out: os.truncate(out / "checkpoints" / "factor_2.npz", 300),
        r"factor_2\.npz is damaged .* Delete it",
    ),
    "training that is a pickle": (
        lambda out: (out / "checkpoints" / "factor_2.npz").write_bytes(pickle.dumps(Bomb())),
        r"factor_2\.npz is damaged",
    ),
    "training of something else": (
        lambda out: np.savez(out / "checkpoints" / "factor_2.npz", a=1),
        r"factor_2\.npz is damaged",
    ),
    "link out of the folder": (
        replace("excluded.ecsv.partial", "../precious"),
        r"excluded\.ecsv\.partial lies outside of the run folder, through a link",
    ),
    "table is a folder": (
        lambda out: ((out / "excluded.ecsv").unlink(), (out / "excluded.ecsv").mkdir()),
        r"Cannot write .*excluded\.ecsv \(Is a directory\)",
    ),
    "checkpoints is a file": (replace("checkpoints", b""), r"Cannot make the folder .*checkpoints|Not a directory"),
    "not ours": (
        lambda out: (shutil.rmtree(out), out.mkdir(), (out / "thesis.tex").write_text("years")),
        "no readable run",
    ),
    "a file": (lambda out: (shutil.rmtree(out), out.write_text("years")), "is a file; give a folder"),
    "below a file": (
        lambda out: (shutil.rmtree(out.parent), out.parent.write_text("years")),
        "Cannot make the folder .* Give another --out",
    ),
}
