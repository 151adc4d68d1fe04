"""Why the loss rose: by what moved first in the rows before it, against the calm before those.

A learning rate that rose is seen in its column. Wrong arithmetic makes a gradient many times as
large from one step to the next while the loss is still low. A bad batch has a high loss before
anything has moved the weights, and the next batch has none. Adam's second moment lags where large
gradients come after a calm time. Where none of that happened, steps and gradients have built each
other up: the effective learning rate was too high for where the weights are (Section 4 of the
paper). ``benchmarks/causes.py`` puts each into trainings and counts what is said.
"""

import math
from typing import Literal, NamedTuple, get_args

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.digits import two_digits
from limitcycle.reading.level import Level, height, resolution, scatter
from limitcycle.reading.series import Series

CauseKind = Literal[
    "learning rate",
    "arithmetic",
    "optimizer",
    "batch",
    "second moment",
    "effective learning rate",
    "unknown",
]
CAUSES: tuple[CauseKind, ...] = get_args(CauseKind)


class Cause(NamedTuple):
    """Why the loss rose, and what shows it: a clause with its numbers."""

    kind: CauseKind
    evidence: str


class _Before(NamedTuple):
    """Rows around a rise: the first high one, calm rows before it, and those just before it.

    ``heights`` are those of all rows from ``near`` on to the peak, over the calm ones.
    """

    row: int
    calm: slice
    near: int
    heights: Array

    def of_calm(self, values: Array) -> float:
        """The median of the calm rows; NaN where none is known."""
        known = values[self.calm]
        known = known[np.isfinite(known)]
        return float(np.median(known)) if known.size else math.nan

    def times_calm(self, values: Array) -> Array:
        """The rows just before the rise, in units of the calm ones' median."""
        usual = self.of_calm(values)
        return np.asarray(values[self.near : self.row] / (usual if usual > 0 else math.nan))

    def recent(self, values: Array) -> Array:
        """The largest of the three values before each of these rows, in the same units; 1 at least.

        A gradient or a turn that is far above it has come at once.
        """
        before = np.lib.stride_tricks.sliding_window_view(values[self.near - 3 : self.row - 1], 3)
        return np.asarray(np.fmax(before.max(axis=1) / self.of_calm(values), 1))


def cause_of(series: Series, start: int, peak: int, since: int, *, jump: bool) -> Cause:
    """Why the loss rose after row ``start``.

    Args:
        series: the usable rows.
        start, peak: of the rise, see `limitcycle.reading.diagnose`.
        since: the row at which the last rise before it was over; 0 where there was none.
        jump: the norm turned from falling to rising with it.
    """
    before = _before(series, start, peak)
    if before is None:
        return Cause(
            "unknown",
            f"only {start:,} rows precede it, and it takes {c.CAUSE_LEAST + c.CAUSE_NEAR}",
        )
    growth, at = _growth(series, before, since)
    by_itself = Cause("effective learning rate", _built_up(series, before, growth, at))
    found = _learning_rate(series, before)
    if found is None and not series.one_update(before.row - 1):
        return by_itself if jump and growth > c.CLEAR_GROWTH else _blind(series, before)
    for test in (_arithmetic, _optimizer, _batch):
        found = found or test(series, before)
    return found or _second_moment(series, before, growth) or by_itself


def _before(series: Series, start: int, peak: int) -> _Before | None:
    """Where the loss leaves its calm rows; None where too few precede it."""
    begin, end = max(start - c.CAUSE_ROWS, 0), start - c.CAUSE_NEAR + 1
    if end - begin < c.CAUSE_LEAST:
        return None
    calm, near = slice(begin, end), end
    loss = series.loss[near : peak + 1]
    usual = series.loss[calm]
    noise = max(scatter(usual), resolution(usual))
    heights = height(loss, Level(float(np.median(usual)), noise))
    high = np.flatnonzero(heights[start + 1 - near :] >= c.MIN_HEIGHT)
    row = start + 1 + int(high[0]) if high.size else peak
    near = max(near, row - c.CAUSE_NEAR)
    return _Before(row, calm, near, heights[len(heights) - (peak + 1 - near) :])


def _learning_rate(series: Series, before: _Before) -> Cause | None:
    if series.lr is None:
        return None
    usual, rates = before.of_calm(series.lr), series.lr[before.near : before.row]
    highest = float(np.nanmax(rates, initial=0))
    if not highest > c.RATE_RISE * usual:
        return None
    step = series.step[before.near + int(np.nanargmax(rates))]
    return Cause(
        "learning rate",
        f"the learning rate rose {two_digits(highest / usual)}-fold, from {usual:.3g} to "
        f"{highest:.3g} at step {step:,}",
    )


def _blind(series: Series, before: _Before) -> Cause:
    """Rows that are several updates apart do not show what moved first."""
    apart = series.step[before.row] - series.step[before.row - 1]
    distance = "an epoch" if series.epochs else f"{apart:,} steps"
    evidence = f"rows are {distance} apart, and what moved first lies between them"
    return Cause("unknown", evidence)


def _arithmetic(series: Series, before: _Before) -> Cause | None:
    """A gradient that is large at once, by far more than its own loss is."""
    if series.grad_norm is None:
        return None
    times = before.times_calm(series.grad_norm)
    recent = before.recent(series.grad_norm)
    sudden = times / recent / np.exp(before.heights[: len(times)])
    if not np.nanmax(sudden, initial=0) > c.GRADIENT_JUMP:
        return None
    row = int(np.nanargmax(sudden))
    return Cause(
        "arithmetic",
        f"the gradient of step {series.step[before.near + row]:,} was "
        f"{two_digits(times[row])} times as large as usual while its loss was still low",
    )


def _optimizer(series: Series, before: _Before) -> Cause | None:
    """Weights that turn far at once, by a gradient that is not to blame."""
    if series.rotation is None or series.grad_norm is None:
        return None
    turns, gradients = before.times_calm(series.rotation), before.times_calm(series.grad_norm)
    sudden = turns / before.recent(series.rotation)
    sudden[gradients > c.STATE_GRADIENT] = 0
    if not np.nanmax(sudden, initial=0) > c.STATE_TURN:
        return None
    row = int(np.nanargmax(sudden))
    return Cause(
        "optimizer",
        f"step {series.step[before.near + row]:,} turned the weights "
        f"{two_digits(turns[row])} times as far as usual, though gradient and learning rate were "
        "as usual, as after a resume without the optimizer's state",
    )


def _batch(series: Series, before: _Before) -> Cause | None:
    """A loss that is high at once and at its highest, and nothing has moved before it."""
    at_row = before.row - before.near
    here, highest = float(before.heights[at_row]), float(before.heights[at_row:].max())
    if here < max(c.BATCH_HEIGHT, c.BATCH_SHARE * highest):
        return None
    moved = np.nan
    if series.rotation is not None:
        moved = float(np.nanmax(before.times_calm(series.rotation)[-3:], initial=0))
    if moved > c.BATCH_TURN:
        return None
    evidence = f"the loss of step {series.step[before.row]:,} rose at once"
    if not math.isnan(moved):
        evidence += (
            ", while the steps before it turned the weights at most "
            f"{two_digits(moved)} times as far as usual"
        )
    return Cause("batch", evidence)


def _second_moment(series: Series, before: _Before, growth: float) -> Cause | None:
    """Squared gradients above what Adam divides by, at an effective rate that stood still."""
    if series.second_moment_lag is None:
        return None
    rising = slice(before.near, before.near + len(before.heights))
    lag = float(np.nanmax(series.second_moment_lag[rising], initial=0))
    if not (lag > c.LAG_BEHIND and growth < c.LAG_GROWTH):
        return None
    return Cause(
        "second moment",
        f"squared gradients were up to {two_digits(lag)} times Adam's second moment, which lags "
        "behind after a calm time, while the effective learning rate stood still",
    )


def _growth(series: Series, before: _Before, since: int) -> tuple[float, int]:
    """By how much the effective learning rate had grown, and since which row."""
    first = min(since, before.calm.start)
    here = slice(first, before.row)
    if series.effective_lr is None:
        rates = 1 / series.norm[here] ** 2  # as it would be at one learning rate
    else:
        rates = series.effective_lr[here]
    lowest = int(np.argmin(np.where(np.isfinite(rates), rates, np.inf)))
    return float(rates[-1] / rates[lowest]), first + lowest


def _built_up(series: Series, before: _Before, growth: float, since: int) -> str:
    """How the effective learning rate stood, and what built up."""
    parts = []
    if growth > c.CLEAR_GROWTH:
        parts.append(f"it had grown {two_digits(growth)}-fold since step {series.step[since]:,}")
    moved = series.rotation if series.rotation is not None else series.grad_norm
    if moved is not None:
        times = float(np.nanmax(before.times_calm(moved), initial=0))
        what = "the weights turned" if series.rotation is not None else "the gradient was"
        how = "as far a step" if series.rotation is not None else "as large"
        parts.append(f"{what} up to {two_digits(times)} times {how} as usual")
    if not parts:
        parts.append("neither the learning rate nor a single batch stands out")
    return f"before step {series.step[before.row]:,} {' and '.join(parts)}"
