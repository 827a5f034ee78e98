"""Classes that are not as frequent among the galaxies as where the networks learned: probabilities that take that into account."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from galjax import calibration
from galjax.catalogue.parts import Parts
from galjax.errors import InputError

ESTIMATE = "estimate"
PREFIX = "shares_"
"""Begins the names of the columns."""


def read_shares(given: Sequence[str], names: Sequence[str]) -> dict[str, float] | None:
    """Shares written as spiral=0.3 elliptical=0.7, which sum to 1; None where they are to be estimated. Raises InputError."""
    if list(given) == [ESTIMATE]:
        return None
    found: dict[str, float] = {}
    for text in given:
        name, _, number = text.rpartition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if name not in names:
            raise InputError(f"--shares has no class {name or text!r}; the networks know {', '.join(names)}.")
        if not 0 < found[name] < float("inf"):
            raise InputError(
                f"--shares takes a share above 0 for each class, like {' '.join(f'{one}={1 / len(names):.2g}' for one in names)}, or "
                f"{ESTIMATE}; not {text!r}."
            )
    missing = [name for name in names if name not in found]
    if missing:
        raise InputError(f"--shares lacks {', '.join(missing)}; give a share for each class.")
    total = sum(found.values())
    if abs(total - 1) > 0.01:
        raise InputError(f"--shares sum to {total:.3g}, not to 1: {' '.join(given)}.")
    return {name: found[name] / total for name in names}


def estimate_shares(parts: Parts, names: Sequence[str], learned: Sequence[float]) -> dict[str, float]:
    """The shares that explain the probabilities of the whole catalogue best (`galjax.calibration.with_shares`)."""
    probabilities = np.stack([parts.column(f"p_{name}") for name in names], axis=1)
    known = np.isfinite(probabilities).all(axis=1)
    if not known.any():
        raise InputError("No galaxy is classified, so there are no shares to estimate. Leave --shares out.")
    _, shares = calibration.with_shares(probabilities[known], np.asarray(learned))
    return dict(zip(names, shares.tolist(), strict=True))


def adding_shares(
    names: Sequence[str], learned: Sequence[float], shares: Mapping[str, float]
) -> Callable[[pa.Table], pa.Table]:
    """Adds to a part the probabilities under these shares, and the class of the largest."""
    wanted = np.array([shares[name] for name in names])
    said = ", ".join(f"{name} {share:.4f}" for name, share in shares.items())

    def add(part: pa.Table) -> pa.Table:
        probabilities = np.stack([part.column(f"p_{name}").to_numpy() for name in names], axis=1)
        moved, _ = calibration.with_shares(probabilities, np.asarray(learned), wanted)
        known = np.isfinite(moved).all(axis=1)
        named = np.where(known, np.array(names)[np.nan_to_num(moved).argmax(axis=1)], "")
        about = {"description": f"with the shares {said}"}
        columns = {f"{PREFIX}class": pa.array(named)} | {
            f"{PREFIX}p_{name}": pa.array(moved[:, number]) for number, name in enumerate(names)
        }
        for name, values in columns.items():
            part = part.append_column(pa.field(name, values.type, metadata=about), values)
        return part

    return add
