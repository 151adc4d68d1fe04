"""Where the loss rises out of its own recent level: told while rows come in, for what is kept."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Array = NDArray[np.float64]
Steps = NDArray[np.int64]

RECENT = 50  # rows whose median is the level, and whose scatter is the noise
LARGE = 8.0  # times the noise: more rises than jumps, since a row kept in vain costs little
BEFORE = 15  # rows before a rise that are kept with it: what led to it
BEHIND = 16  # rows from a rise on that are kept at least: the way up
LONGEST = 64  # rows of a rise that are kept one by one; of a longer one the extremes tell


class Rises:
    """Finds rises of the loss, and the rows around them that have to stay.

    A row is high where its loss lies above the median of the `RECENT` rows before it by `LARGE`
    times their noise; a rise begins with a row that is high behind one that is not.
    """

    def __init__(self) -> None:
        self._tail = pd.DataFrame({"step": np.empty(0, dtype=np.int64), "loss": np.empty(0)})
        self._ahead = 0  # rows to come that belong to the last rise
        self._high = False  # whether the newest row was

    def around(self, steps: Steps, loss: Array) -> Steps:
        """Steps of the rows, these or earlier ones, that belong to a rise that is known by now.

        Args:
            steps, loss: of the new rows, oldest first, (n,).
        """
        new = pd.DataFrame({"step": steps, "loss": loss})
        rows = pd.concat([self._tail, new], ignore_index=True)
        first = len(self._tail)
        kept = np.zeros(len(rows), dtype=bool)
        kept[first : first + self._ahead] = True
        self._ahead = max(self._ahead - len(new), 0)
        high = _high(rows["loss"].to_numpy(), first)
        for at in np.flatnonzero(high & ~np.concatenate([[self._high], high[:-1]])):
            lasts = int(np.argmin(np.append(high[at : at + LONGEST], False)))
            end = first + int(at) + max(lasts, BEHIND)
            kept[max(first + int(at) - BEFORE, 0) : end] = True
            self._ahead = max(self._ahead, end - len(rows))
        self._high = bool(high[-1]) if len(high) else self._high
        self._tail = rows.tail(RECENT)
        found: Steps = rows["step"].to_numpy()[kept]
        return found


def _high(loss: Array, first: int) -> NDArray[np.bool_]:
    """Which of the rows from ``first`` on lie far above those before them."""
    series = pd.Series(loss).replace([np.inf, -np.inf], np.nan)
    before = series.shift(1).rolling(RECENT, min_periods=BEFORE)
    level = before.median()
    # Of a normal distribution the quartiles lie 1.35 standard deviations apart.
    noise = (before.quantile(0.75) - before.quantile(0.25)) / 1.35
    smallest = 1e-6 * level.abs()  # losses that stand still have no noise
    excess = series - level
    high: NDArray[np.bool_] = (excess > LARGE * np.maximum(noise, smallest)).to_numpy()[first:]
    return high
