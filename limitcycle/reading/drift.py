"""How a series changes from end to end, and how sure that is."""

from typing import NamedTuple

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array


class Drift(NamedTuple):
    """Change along a fitted line, its standard error; what the values and their means span."""

    size: float
    error: float
    span: float
    block_span: float

    @property
    def sure(self) -> bool:
        """It is no chance."""
        return abs(self.size) > c.DRIFT_ERRORS * self.error

    def wanders(self, margin: float = 1.0) -> bool:
        """The values move to and fro about one place, and their drift is small against that.

        Args:
            margin: factor on all that is measured, to see whether it is a close call.
        """
        size, block_span = margin * abs(self.size), margin * self.block_span
        return (
            size <= c.DRIFT_ERRORS * self.error
            and size < min(c.WANDER_DRIFT, c.WANDER_SHARE * self.span)
            and block_span < c.WANDER_BLOCKS * self.span
        )


def drift_of(values: Array) -> Drift:
    """How ``values``, shape (rows,), change, by a line fitted to the means of blocks."""
    blocks, span = min(c.DRIFT_BLOCKS, len(values)), float(np.ptp(values))
    if blocks < 3:
        return Drift(float(values[-1] - values[0]), 0.0, span, span)
    edges = np.linspace(0, len(values), blocks + 1).astype(int)
    means = np.add.reduceat(values, edges[:-1]) / np.diff(edges)
    x = (np.arange(blocks) + 0.5) / blocks - 0.5
    slope = float(x @ means / (x @ x))
    residual = means - means.mean() - slope * x
    error = float(np.sqrt(residual @ residual / (blocks - 2) / (x @ x)))
    return Drift(slope, error, span, float(np.ptp(means)))
