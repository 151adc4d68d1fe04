"""How high a loss stands above its low level, on a scale that knows neither unit nor zero.

The height of a loss is log(1 + excess ÷ noise): the excess over the low level that this run has
just here, in units of the scatter of the loss about it. So a·loss + b has the same heights (a > 0),
be it a likelihood below zero, a cross-entropy that ends at 2.9, or one with smoothed labels.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array, Rows

_TO_DEVIATION = 1.4826  # from the median distance to the median, of Gaussian values


class Level(NamedTuple):
    """Low levels of the loss and the scatter about them: arrays of one shape, or two numbers.

    The scatter is positive.
    """

    low: Any
    noise: Any

    def where(self, mask: NDArray[np.bool_]) -> "Level":
        """Those that ``mask`` chooses."""
        return Level(self.low[mask], self.noise[mask])

    def repeat(self, counts: Rows) -> "Level":
        """Each as often as ``counts`` says."""
        return Level(np.repeat(self.low, counts), np.repeat(self.noise, counts))

    def at(self, index: int) -> "Level":
        """One of them."""
        return Level(self.low[index], self.noise[index])


def height(loss: Array, level: Level) -> Array:
    """log(1 + excess ÷ noise); 0 on the low level and below it."""
    return np.asarray(np.log1p(np.maximum(loss - level.low, 0) / level.noise))


def loss_at(height: Array, level: Level) -> Array:
    """The loss of a given height: the inverse of `height` above the low level."""
    return np.asarray(level.low + level.noise * np.expm1(height))


def level_of(loss: Array, start: Rows, stop: Rows) -> Level:
    """Median and scatter of ``loss`` in each of the slices start:stop, which come in order.

    A slice of few rows is filled up with those of the slices before it: two rows have no scatter.
    """
    lengths = stop - start
    ends = np.cumsum(lengths)
    begins = np.maximum(np.minimum(ends - lengths, ends - c.LEVEL_ROWS), 0)
    values = loss[ranges(start, stop)][ranges(begins, ends)]
    slices = np.repeat(np.arange(len(lengths)), ends - begins)
    low = _medians(values, slices)
    noise = _TO_DEVIATION * _medians(np.abs(values - low[slices]), slices)
    return Level(low, np.maximum(noise, resolution(loss)))


def running_level(loss: Array) -> Level:
    """Median and scatter of the rows before each row, a `c.LEVEL_SHARE` of the table.

    Both are NaN in the first rows. In a long table one value serves a block of rows.
    """
    block = max(len(loss) // c.LEVEL_BLOCKS, 1)
    window = max(level_rows(len(loss)) // block, 1)
    low = _spread(_before(_block_medians(loss, block), window), block, len(loss))
    noise = _TO_DEVIATION * _before(_block_medians(np.abs(loss - low), block), window)
    noise = np.maximum(noise, resolution(loss))
    return Level(low, _spread(noise, block, len(loss)))


def level_rows(rows: int) -> int:
    """Over how many rows the low level is taken in a table of so many."""
    return max(round(c.LEVEL_SHARE * rows), c.LEVEL_ROWS)


def first_below(loss: Array, row: int, limit: float) -> int | None:
    """The first row from ``row`` on with a loss below ``limit``; None if there is none.

    Looked for in pieces that double, as it is near as a rule and the table may be long.
    """
    length = 64
    while row < len(loss):
        below = np.flatnonzero(loss[row : row + length] < limit)
        if below.size:
            return row + int(below[0])
        row, length = row + length, 2 * length
    return None


def ranges(start: Rows, stop: Rows) -> Rows:
    """All rows of the slices start:stop, one slice after the other."""
    lengths = stop - start
    ends = np.cumsum(lengths)
    first = np.repeat(start - (ends - lengths), lengths)
    return np.asarray(first + np.arange(len(first)), np.int64)


def scatter(values: Array) -> float:
    """The standard deviation, by the median distance to the median, which sees no spikes."""
    return _TO_DEVIATION * float(np.median(np.abs(values - np.median(values))))


def resolution(loss: Array) -> float:
    """The smallest step that the loss makes: below it no scatter can be told."""
    steps = np.abs(np.diff(loss))
    smallest = float(np.min(steps, where=steps > 0, initial=np.inf))
    return smallest if smallest < np.inf else 1.0


def _medians(values: Array, groups: Rows) -> Array:
    return np.asarray(pd.Series(values).groupby(groups).median(), np.float64)


def _block_medians(values: Array, block: int) -> Array:
    """The median of each ``block`` rows; what is left at the end is a block, too."""
    whole = len(values) // block * block
    medians = np.median(values[:whole].reshape(-1, block), axis=1)
    if whole < len(values):
        medians = np.append(medians, np.median(values[whole:]))
    return np.asarray(medians, np.float64)


def _spread(values: Array, block: int, rows: int) -> Array:
    """One value a row again."""
    return np.repeat(values, block)[:rows]


def _before(values: Array, window: int) -> Array:
    """The median of up to ``window`` values before each, from half of them on."""
    rolling = pd.Series(values).rolling(window, min_periods=(window + 1) // 2)
    return np.asarray(rolling.median().shift(1), np.float64)
