"""Spikes: the loss rises out of its low level and comes back, whatever the norm does.

Nothing here knows a norm, so a held norm, a run without weight decay and one without normalisation
are counted like any other.
"""

from typing import NamedTuple

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.level import Level, first_below, height, level_rows, loss_at


class Spike(NamedTuple):
    """One rise of the loss and its return, as rows of the series.

    ``start`` is the last row on the low level, ``peak`` the highest one, ``recovery`` the first
    row after it that is back at half of the height; -1 where the loss never is.
    """

    start: int
    peak: int
    recovery: int


class Rises(NamedTuple):
    """All rises of a loss out of its low level: those that come back, and those that do not."""

    spikes: list[Spike]
    lasting: list[Spike]


def find_spikes(loss: Array, level: Level) -> Rises:
    """All spikes of a loss; the first descent is none.

    A loss that rises and never comes back has changed its level: that is no spike, and what is low
    is judged anew behind it.

    Args:
        loss: shape (rows,), finite, at least `c.MIN_ROWS` rows.
        level: of `limitcycle.reading.level.running_level`.
    """
    excess = loss - level.low
    least = c.SPIKE_SIZE * (loss[0] - np.nanmin(level.low))
    high = np.flatnonzero((height(loss, level) > c.MIN_HEIGHT) & (excess > least))
    calm = np.where(excess <= level.noise, np.arange(len(loss)), -1)
    last_calm = np.maximum.accumulate(calm)
    rises = Rises([], [])
    at, free = 0, 0  # rows before ``free`` belong to earlier spikes
    while at < len(high):
        row = int(high[at])
        at += 1
        if last_calm[row] < free:
            continue
        top = _peak_and_recovery(loss, row, level.at(row))
        start = int(last_calm[row])
        if top is None:
            free = row + level_rows(len(loss))
            highest = row + int(np.argmax(loss[row:free]))
            rises.lasting.append(Spike(start, highest, -1))
        else:
            rises.spikes.append(Spike(start, *top))
            free = top[1]
        at = int(np.searchsorted(high, free))
    return rises


def _peak_and_recovery(loss: Array, row: int, level: Level) -> tuple[int, int] | None:
    """Where the loss is highest from ``row`` on, and where it is back; None if it never is."""
    peak = row
    while True:
        half = loss_at(height(loss[peak], level) / 2, level)
        recovery = first_below(loss, peak + 1, float(half))
        if recovery is None:
            return None
        highest = peak + int(np.argmax(loss[peak:recovery]))
        if highest == peak:
            return peak, recovery
        peak = highest
