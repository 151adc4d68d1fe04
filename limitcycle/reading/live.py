"""Forecasts of a run that goes on, from its rows as they come, in a fraction of a reading's time.

The jumps are looked for again only when one may have happened: the norm has climbed since, or the
run has become a good deal longer. In between they are those of before, and only the rows of the
last periods are measured.
"""

import numpy as np
import pandas as pd

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.data import RunData
from limitcycle.reading.events import Found, find_events
from limitcycle.reading.forecast import Forecast, first_needed, forecast, withheld
from limitcycle.reading.optimizers import UpdateRule
from limitcycle.reading.series import Series

COLUMNS = (
    "step",
    "loss",
    "norm",
    "lr",
    "weight_decay",
    "momentum",
    "grad_norm",
    "second_moment_lag",
)
MOST_ROWS = 100_000
"""Rows that are kept: the last ones."""

LONGER = 1.25
"""A run that has become so many times as long is read again, whatever its norm did."""

STIRRED = 0.8
"""Share of the smallest climb of a jump from which on the norm is looked at again."""


class Live:
    """A run that is being watched.

    Args:
        rule: of its optimizer.
        net: as of `limitcycle.reading.RunData`.
    """

    def __init__(self, rule: UpdateRule | None, net: str = "") -> None:
        self._data = RunData(steps={}, rule=rule, described=True, net=net)
        self._rows = GrowingTable()
        self._read: Series | None = None
        self._found = Found((), None, 0, 1.0)
        self._lowest = np.inf  # of log ρ since the last reading
        self._stirred = True

    def add(self, steps: pd.DataFrame) -> None:
        """Take new rows of the step table, oldest first."""
        before = len(self._rows)
        self._rows.add(steps)
        if self._rows.dropped:  # rows that jumps are named by are gone
            self._rows.dropped = False
            self._read = None
            return
        log_norm = np.log(self._rows.column("norm")[before:])
        if len(log_norm):
            lowest = np.minimum.accumulate(np.minimum(log_norm, self._lowest))
            self._stirred |= bool(np.any(log_norm - lowest > STIRRED * c.MIN_RISE))
            self._lowest = float(lowest[-1])

    def forecast(self) -> Forecast:
        """The next jump after the last row; what `limitcycle.diagnose` says of all rows."""
        if len(self._rows) < c.MIN_ROWS:
            return withheld("too few rows to tell")
        with np.errstate(all="ignore"):
            if self._has_to_be_read():
                self._look_again()
            first = first_needed(self._found)
            return forecast(
                self._rows.series(first),
                self._found.since(first),
                self._data,
                length=self._rows.length,
            )

    def _has_to_be_read(self) -> bool:
        if self._read is None or self._stirred or self._found.unfinished is not None:
            return True
        return len(self._rows) > LONGER * len(self._read)

    def _look_again(self) -> None:
        self._read = self._rows.series(0)
        self._found = find_events(self._read)
        self._lowest, self._stirred = float(self._read.log_norm[-1]), False


class GrowingTable:
    """Columns of a table that grows at its end, as arrays."""

    def __init__(self) -> None:
        self.dropped = False
        self._arrays: dict[str, Array] = {}
        self._length = 0
        self._first_step = np.nan

    def __len__(self) -> int:
        return self._length

    @property
    def length(self) -> float:
        """Steps from the first row that ever was to the last."""
        return float(self.column("step")[-1] - self._first_step)

    def column(self, name: str) -> Array:
        """The values of a column."""
        return self._arrays[name][: self._length] if self._length else np.empty(0)

    def add(self, steps: pd.DataFrame) -> None:
        """Put the usable rows of a frame at the end."""
        names = [name for name in COLUMNS if name in steps]
        values = {name: steps[name].to_numpy(np.float64) for name in names}
        usable = np.isfinite(values["loss"]) & np.isfinite(values["norm"]) & (values["norm"] > 0)
        count = int(usable.sum())
        if not count:
            return
        if not self._length:
            self._arrays = {name: np.empty(max(2 * count, 1_024)) for name in names}
            self._first_step = float(values["step"][usable][0])
        self._make_room(count)
        for name, array in self._arrays.items():
            array[self._length : self._length + count] = values[name][usable]
        self._length += count

    def series(self, first: int) -> Series:
        """The rows from ``first`` on, as a reading has them."""
        here = {name: self.column(name)[first:] for name in self._arrays}
        rows = self._length - first
        return Series(
            step=here["step"],
            loss=here["loss"],
            norm=here["norm"],
            lr=here.get("lr"),
            weight_decay=here.get("weight_decay"),
            momentum=np.nan_to_num(here.get("momentum", np.zeros(rows))),
            momentum_known="momentum" in here,
            effective_lr=None,
            epoch=None,
            grad_norm=here.get("grad_norm"),
            rotation=None,
            second_moment_lag=here.get("second_moment_lag"),
            given=rows,
            broken_from=None,
            steps_an_update=1.0,
            trusted=True,
        )

    def _make_room(self, count: int) -> None:
        room = len(next(iter(self._arrays.values())))
        if self._length + count <= room:
            return
        kept = self._length
        if kept >= MOST_ROWS:
            kept, self.dropped = MOST_ROWS // 2, True
        for name, array in self._arrays.items():
            grown = np.empty(2 * (kept + count))
            grown[:kept] = array[self._length - kept : self._length]
            self._arrays[name] = grown
        self._length = kept
