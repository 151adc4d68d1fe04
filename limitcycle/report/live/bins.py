"""Growing tables kept small: stretches of equally many steps, which double when there are many.

So what is kept, and what a new row costs, does not hang on how long a run is.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from limitcycle.reading.clock import Array, Rows

MOST = 800
"""Bins before they are joined in pairs; a screen has about as many pixels."""


class Extremes:
    """Rows of a growing table: in every bin those where a column is smallest or largest.

    Args:
        columns: those that are looked at; a table may lack some.
        averaged: of these the mean of every bin is known, too.
    """

    def __init__(self, columns: Sequence[str], averaged: Sequence[str] = ()) -> None:
        self._columns, self._averaged = tuple(columns), tuple(averaged)
        self.rows = pd.DataFrame()
        self._width = 1
        self._sums = {name: np.zeros((2, 0)) for name in averaged}  # sums and counts by bin

    def add(self, table: pd.DataFrame) -> None:
        """Take in rows that follow those before; ``step`` ascends."""
        if table.empty:
            return
        self._add_sums(table)
        last = self._bins(self.rows)[-1] if len(self.rows) else -1
        open_rows = self.rows[self._bins(self.rows) == last] if len(self.rows) else self.rows
        whole = self.rows.iloc[: len(self.rows) - len(open_rows)]
        parts = [part for part in (open_rows, table) if len(part)]
        new = self._extremes(pd.concat(parts, ignore_index=True))
        parts = [part for part in (whole, new) if len(part)]
        self.rows = pd.concat(parts, ignore_index=True)
        while self._bins(self.rows)[-1] >= MOST:
            self._double()

    def means(self, name: str) -> Array:
        """The means of the bins, drawn out to the kept rows, (rows,); NaN where none is known."""
        sums, counts = self._sums[name]
        known = np.flatnonzero(counts)
        if not len(known):
            return np.full(len(self.rows), np.nan)
        centres = (known + 0.5) * self._width
        steps = self.rows["step"].to_numpy(np.float64)
        return np.asarray(np.interp(steps, centres, sums[known] / counts[known]))

    def _bins(self, table: pd.DataFrame) -> Rows:
        if table.empty:
            return np.empty(0, dtype=np.int64)
        return np.asarray(table["step"].to_numpy(np.int64) // self._width)

    def _extremes(self, table: pd.DataFrame) -> pd.DataFrame:
        bins = self._bins(table)
        kept = [np.flatnonzero(np.diff(bins, prepend=-1)), np.array([len(table) - 1])]
        for name in self._columns:
            if name in table:
                kept += _lowest_and_highest(table[name].to_numpy(np.float64), bins)
        return table.iloc[np.unique(np.concatenate(kept)).astype(np.int64)]

    def _add_sums(self, table: pd.DataFrame) -> None:
        bins = self._bins(table)
        for name in self._averaged:
            values = _column(table, name)
            known = np.isfinite(values)
            size = max(int(bins[-1]) + 1, self._sums[name].shape[1])
            grown = np.zeros((2, size))
            grown[:, : self._sums[name].shape[1]] = self._sums[name]
            grown[0] += np.bincount(bins[known], values[known], minlength=size)
            grown[1] += np.bincount(bins[known], minlength=size)
            self._sums[name] = grown

    def _double(self) -> None:
        self._width *= 2
        self.rows = self._extremes(self.rows).reset_index(drop=True)
        self._sums = {name: _in_pairs(sums) for name, sums in self._sums.items()}


class GroupMeans:
    """Geometric means of a growing group table, group by group and bin by bin.

    Args:
        columns: those that are looked at; a table may lack some.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self.groups: tuple[str, ...] = ()
        self._width = 1
        self._bins = 0
        self._sums: dict[str, Array] = {}  # (2, groups, bins): sums of logarithms, and counts

    def add(self, table: pd.DataFrame) -> None:
        """Take in rows that follow those before, of the groups of the first ones."""
        if table.empty:
            return
        if not self.groups:
            self.groups = tuple(map(str, table["group"].unique()))
        places = table["group"].map({name: at for at, name in enumerate(self.groups)})
        row: Array = np.asarray(places, dtype=np.float64)
        steps: Rows = table["step"].to_numpy(np.int64)
        self._bins = max(self._bins, int(steps[-1]) // self._width + 1)
        while self._bins > MOST // 2:
            self._double()
        for name in self._columns:
            if name in table:
                values: Array = table[name].to_numpy(np.float64)
                self._take(name, row, values, steps // self._width)

    def edges(self) -> Array:
        """Where bins begin and the last one ends, in steps."""
        return np.arange(self._bins + 1, dtype=np.float64) * self._width

    def grids(self) -> dict[str, Array]:
        """Means by column, each (groups, bins); NaN where nothing is known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return {name: np.exp(sums[0] / sums[1]) for name, sums in self._widened().items()}

    def _take(self, name: str, row: Array, values: Array, bins: Rows) -> None:
        known = np.isfinite(row) & np.isfinite(values) & (values > 0)
        sums = self._widened(name)[name]
        cells = (row[known].astype(np.int64), bins[known])
        np.add.at(sums[0], cells, np.log(values[known]))
        np.add.at(sums[1], cells, 1)
        self._sums[name] = sums

    def _widened(self, *names: str) -> dict[str, Array]:
        """The sums of ``names``, or of all there are, as wide as the bins."""
        found = {}
        for name in names or tuple(self._sums):
            sums = self._sums.get(name, np.zeros((2, len(self.groups), 0)))
            room = self._bins - sums.shape[2]
            found[name] = np.pad(sums, ((0, 0), (0, 0), (0, room)))
        return found

    def _double(self) -> None:
        self._width *= 2
        self._bins = -(-self._bins // 2)
        self._sums = {name: _in_pairs(sums) for name, sums in self._sums.items()}


def _lowest_and_highest(values: Array, bins: Rows) -> list[Rows]:
    """In every bin the row of the smallest and of the largest finite value."""
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.lexsort((values[known], bins[known]))]
    if not len(order):
        return []
    turns = np.flatnonzero(np.diff(bins[order])) + 1
    return [order[np.append(0, turns)], order[np.append(turns, len(order)) - 1]]


def _in_pairs(sums: Array) -> Array:
    """Sums over two neighbours along the last axis."""
    odd = sums.shape[-1] % 2
    even = np.pad(sums, [(0, 0)] * (sums.ndim - 1) + [(0, odd)])
    return np.asarray(even[..., ::2] + even[..., 1::2])


def _column(table: pd.DataFrame, name: str) -> Array:
    if name not in table:
        return np.full(len(table), np.nan)
    return table[name].to_numpy(np.float64)
