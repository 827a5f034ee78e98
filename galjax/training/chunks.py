"""How a training is cut into chunks of a few seconds: which repeats do which part of the way to the next evaluation.

The way from one evaluation to the next is a `Stretch`. On it every repeat trains some epochs, in blocks, and is then evaluated
under every condition. A device computes its repeats in groups, side by side; a chunk takes each group as far as the time
allows, one group after the other. Where the cuts are changes no result: every repeat does the same blocks in the same order.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Int, Int32

CHUNK_SECONDS = 5.0
"""How long a chunk lasts: often enough to see progress and to stop, seldom enough to cost nothing."""
MOST_UNITS = 2**30

Kind = Literal["train", "evaluate"]


class Stretch(NamedTuple):
    """How far every repeat, and what fills up the devices, is on the way to the next evaluation."""

    repeats: int
    """Number of repeats, without the padding."""
    until: int
    """Epochs trained at its end."""
    blocks: int
    """That every repeat trains."""
    conditions: int
    """Under which every repeat is evaluated then."""
    trained: Int32[np.ndarray, " repeat"]
    """Blocks done."""
    evaluated: Int32[np.ndarray, " repeat"]
    """Conditions done."""

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], total: int) -> "Stretch":
        """The opposite of `arrays`, filled up to `total` repeats with copies of the last."""
        repeats = len(arrays["trained"])
        rows = np.minimum(np.arange(total), repeats - 1)
        until, blocks, conditions = (int(arrays[name]) for name in ("until", "blocks", "conditions"))
        return cls(repeats, until, blocks, conditions, arrays["trained"][rows], arrays["evaluated"][rows])

    def arrays(self) -> dict[str, np.ndarray]:
        """The repeats' own as named arrays, for a checkpoint."""
        numbers = {name: np.array(getattr(self, name), np.int32) for name in ("until", "blocks", "conditions")}
        return {**numbers, "trained": self.trained[: self.repeats], "evaluated": self.evaluated[: self.repeats]}

    @property
    def share_trained(self) -> float:
        """Share of all blocks that is trained, 0 to 1."""
        return float(self.trained[: self.repeats].mean()) / self.blocks

    @property
    def share_evaluated(self) -> float:
        """Share of all conditions that is evaluated, 0 to 1."""
        return float(self.evaluated[: self.repeats].mean()) / self.conditions


class Part(NamedTuple):
    """What one chunk does: units (blocks or conditions) `begin` to before `end` of every repeat in some groups."""

    begin: Int32[np.ndarray, " repeat"]
    end: Int32[np.ndarray, " repeat"]
    groups: Int32[np.ndarray, " 2"]
    """The first group of a device with something to do, and the one after the last."""


class Groups(NamedTuple):
    """How repeats, the leading axis of every array, lie on devices and in groups."""

    devices: int
    repeats_at_once: int

    def are_level(self, stretch: Stretch) -> bool:
        """Whether the repeats of each group are equally far, as they must be to be trained together.

        They are not where other numbers of devices or of repeats at once stopped in the middle of the stretch.
        """
        arranged = (self._by_group(done) for done in (stretch.trained, stretch.evaluated))
        return all(bool((done == done[:, :, :1]).all()) for done in arranged)

    def next_part(self, done: Int32[np.ndarray, " repeat"], total: int, units: int) -> Part:
        """At most `units` units of work on every device, of repeats that have `done` so many of `total` units each."""
        left = total - self._by_group(done)
        before = left[:, :, :1].cumsum(axis=1) - left[:, :, :1]  # what earlier groups of the device still have to do
        taken = np.clip(units - before, 0, left)
        busy = np.flatnonzero(taken.any(axis=(0, 2)))
        return Part(done, done + taken.reshape(-1).astype(np.int32), np.array([busy[0], busy[-1] + 1], np.int32))

    def units_of(self, part: Part) -> int:
        """Units that the busiest device does."""
        return int(self._by_group(part.end - part.begin)[:, :, 0].sum(axis=1).max())

    def _by_group(self, values: Int[np.ndarray, " repeat"]) -> Int[np.ndarray, "device group at_once"]:
        return values.reshape(self.devices, -1, self.repeats_at_once)


class Pace:
    """How many units of work fit into a chunk, from how long the last chunk of their kind took."""

    def __init__(self) -> None:
        self._seconds_per_unit: dict[Kind, float] = {}

    def units(self, kind: Kind, seconds: float) -> int:
        """So many units take about so many seconds (infinity: all there are); 1 where nothing is known yet."""
        if seconds == math.inf:
            return MOST_UNITS
        known = self._seconds_per_unit.get(kind, math.inf)
        return int(min(max(1, seconds / known), MOST_UNITS))

    def seconds(self, kind: Kind, units: int) -> float:
        """What so many units are expected to take; NaN where nothing is known yet."""
        return units * self._seconds_per_unit.get(kind, math.nan)

    def measured(self, kind: Kind, units: int, seconds: float) -> None:
        """A chunk of so many units took so long."""
        self._seconds_per_unit[kind] = max(seconds, 1e-6) / units
