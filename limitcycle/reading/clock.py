"""Time as it is counted in training: in steps, in epochs, in units of 1/(ηλ)."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Rows = NDArray[np.int64]
TimeAxis = Literal["steps", "epochs", "periods"]


@dataclass(frozen=True)
class Clock:
    """When the points of a mark happen.

    Attributes:
        steps: updates made, shape (n,).
        epochs: passes over the training set, shape (n,); None where the epoch's length is unknown.
        periods: ∫ηλ dt, i.e. time in units of 1/(ηλ), shape (n,); None without weight decay.
    """

    steps: Array
    epochs: Array | None = None
    periods: Array | None = None

    def on(self, axis: TimeAxis) -> Array | None:
        """The same instants on the chosen axis, shape (n,); None where it is not defined."""
        return {"steps": self.steps, "epochs": self.epochs, "periods": self.periods}[axis]

    def take(self, rows: Rows) -> "Clock":
        """Some of the instants."""
        parts = (self.epochs, self.periods)
        return Clock(self.steps[rows], *(None if part is None else part[rows] for part in parts))
