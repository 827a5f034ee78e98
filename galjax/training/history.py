"""What is measured while repeats train, on the host."""

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int


@dataclasses.dataclass(frozen=True)
class History:
    """Everything measured on the way, on the host. The first axis of every measurement is the repeat."""

    train_loss: Float[np.ndarray, "repeat epoch"]
    """Mean over the epoch while the network learns, with dropout."""
    train_accuracy: Float[np.ndarray, "repeat epoch"]
    evaluated_epoch: Int[np.ndarray, " evaluation"]
    """Epochs trained when each evaluation was made, from 1."""
    test_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"]
    test_loss: Float[np.ndarray, "repeat evaluation condition"]
    validation_confusion: Int[np.ndarray, "repeat evaluation condition predicted true"] | None = None
    validation_loss: Float[np.ndarray, "repeat evaluation condition"] | None = None

    def extended(self, later: "History") -> "History":
        """This history followed by a later one of the same repeats."""
        joined: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            ours, theirs = getattr(self, field.name), getattr(later, field.name)
            joined[field.name] = (
                None
                if ours is None
                else np.concatenate([ours, theirs], axis=0 if field.name == "evaluated_epoch" else 1)
            )
        return dataclasses.replace(self, **joined)

    def evaluated_every(self, every: int, last: int) -> "History":
        """The history with only those evaluations that a training to epoch `last` makes, one `every` so many epochs and one at its end."""
        kept = (self.evaluated_epoch % every == 0) | (self.evaluated_epoch == last)
        measured = {
            name: array[kept] if name == "evaluated_epoch" else array[:, kept]
            for name, array in self.arrays().items()
            if not name.startswith("train_")
        }
        return dataclasses.replace(self, **measured)

    def arrays(self) -> dict[str, np.ndarray]:
        """The measurements by name, without those that were not made."""
        named = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {name: array for name, array in named.items() if array is not None}
