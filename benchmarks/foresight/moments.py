"""Random moments of the recorded runs: what was known then, and when the next jump really began.

What was known is read from the rows up to that moment alone. A moment counts from the second jump
of a run on, and is drawn uniformly over its rows: shares of a period are known only afterwards.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from benchmarks.foresight.design import Planned
from limitcycle.errors import UserError
from limitcycle.reading import RunData
from limitcycle.reading.clock import Array
from limitcycle.reading.data import data_of
from limitcycle.reading.events import Event, Found, find_events
from limitcycle.reading.series import Series, read_table, series_of
from limitcycle.record import load


@dataclass(frozen=True)
class Made:
    """A run of the design, read as a whole.

    Attributes:
        planned: what it is.
        data: what is known of it besides its rows.
        series: all of its rows.
        events: its jumps.
    """

    planned: Planned
    data: RunData
    series: Series
    events: tuple[Event, ...]

    @property
    def periodic(self) -> bool:
        """Whether the whole run is called periodic."""
        return len(self.events) >= 2

    @property
    def starts(self) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Rows at which its jumps begin."""
        return np.array([event.start for event in self.events], dtype=np.int64)

    @property
    def period(self) -> float:
        """The median period, rows."""
        return float(np.median(np.diff(self.starts)))


@dataclass(frozen=True)
class Moment:
    """One moment of a run.

    Attributes:
        made: the run.
        row: the last one known.
        series: the rows up to it.
        found: the jumps in these.
        rest: rows to the next start; NaN where the run ends before.
        rows_left: rows to the end of the run.
        under_way: a jump has begun and its norm has not come to its maximum.
    """

    made: Made
    row: int
    series: Series
    found: Found
    rest: float
    rows_left: int
    under_way: bool


def made(planned: Planned, folder: Path) -> Made | None:
    """The run in ``folder``; None where it is not there or did not end well."""
    try:
        run = load(folder / planned.name)
    except UserError:
        return None
    if run.status.get("state") != "done":
        return None
    data = data_of(run)
    if planned.optimizer == "adamw" and "second_moment_lag" not in data.steps:
        lag = lag_of(data.steps["grad_norm"].to_numpy(np.float64))
        data = replace(data, steps=data.steps.assign(second_moment_lag=lag))
    table, _ = read_table(data.steps, data.lr, data.weight_decay, data.momentum)
    series = series_of(table, len(table))
    return Made(planned, data, series, find_events(series).events)


def lag_of(gradient: Array, beta: float = 0.999) -> Array:
    """Σg²/Σv̂ of a run that was recorded from its first step on, for tables without that column.

    The second moment is a running mean of squares, so its sum over the weights is one of ‖g‖².
    """
    squares = gradient**2
    sums = lfilter([1 - beta], [1, -beta], squares)
    corrected = sums / (1 - beta ** np.arange(1, len(squares) + 1))
    return np.asarray(squares / corrected)


def moments(run: Made, count: int, rng: np.random.Generator) -> Iterator[Moment]:
    """``count`` random moments from the second jump of ``run`` on."""
    starts, rows = run.starts, len(run.series)
    tops = np.array([event.top for event in run.events])
    if len(starts) < 3:
        return
    for row in np.sort(rng.integers(starts[1] + 1, rows, count)):
        series = until(run.series, int(row) + 1)
        later = starts[starts > row]
        rest = float(later[0] - row) if len(later) else np.nan
        under_way = bool(np.any((starts <= row) & (row < tops)))
        yield Moment(run, int(row), series, find_events(series), rest, rows - int(row), under_way)


def until(series: Series, rows: int) -> Series:
    """The first ``rows`` of a run, as if it had ended there."""
    kept = {
        each.name: getattr(series, each.name) for each in dataclasses.fields(series) if each.init
    }
    for name, value in kept.items():
        if isinstance(value, np.ndarray):
            kept[name] = value[:rows]
    return Series(**{**kept, "given": rows})
