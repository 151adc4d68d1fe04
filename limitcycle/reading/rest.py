"""What a run does outside of its events: settled low, settled high, or still under way."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.columns import Array
from limitcycle.reading.decay import log_decay
from limitcycle.reading.events import Found
from limitcycle.reading.series import Series


@dataclass(frozen=True)
class Rest:
    """The label without events and the numbers behind it, all over the last half of the rest.

    ``drift`` is the relative change of the norm along a fitted line, ``reach`` its largest over its
    smallest value, ``wanders`` says that it fluctuates about one place so much that the drift is
    none. ``free_drift`` is what weight decay alone would do to it (NaN: not known), ``free_decay``
    says that it falls nearly as fast as that. ``loss`` is the median, ``limit`` the loss above
    which a settled run is stuck; ``first_loss``, the level of the first rows, is NaN where the
    limit does not come from it.
    """

    label: Literal["equilibrium", "stuck", "converging"]
    drift: float
    reach: float
    wanders: bool
    free_drift: float
    free_decay: bool
    loss: float
    limit: float
    first_loss: float


class Drift(NamedTuple):
    """Change of log ρ along a fitted line, its standard error; what log ρ and its means span."""

    size: float
    error: float
    span: float
    block_span: float

    @property
    def sure(self) -> bool:
        """It is no chance."""
        return abs(self.size) > c.DRIFT_ERRORS * self.error

    @property
    def wanders(self) -> bool:
        """The norm moves to and fro about one place, and its drift is small against that."""
        return (
            not self.sure
            and abs(self.size) < min(c.WANDER_DRIFT, c.WANDER_SHARE * self.span)
            and self.block_span < c.WANDER_BLOCKS * self.span
        )


def judge_rest(series: Series, found: Found, stuck_above: float | None) -> Rest | None:
    """What the run does without its events; None with too few rows.

    With an event the rest is the longest piece of the table before, between or after them.
    """
    if len(series) < c.MIN_ROWS:
        return None
    first, last = _longest_piece(len(series), found)
    half = slice((first + last) // 2, last)
    drift, free = _drift(series.log_norm[half]), _free_drift(series, half)
    falling = bool(drift.sure and free < 0 and drift.size < c.FREE_DECAY_SHARE * free)
    settled = drift.wanders or abs(_change(drift.size)) < c.MAX_DRIFT
    with np.errstate(over="ignore"):  # of two losses of 1e308 each
        loss = float(np.median(series.loss[half]))
    first_loss = _first_loss(series) if stuck_above is None else float("nan")
    limit = c.STUCK_SHARE * first_loss if stuck_above is None else stuck_above
    label: Literal["equilibrium", "stuck"] = "stuck" if loss > limit else "equilibrium"
    return Rest(
        label="converging" if falling or not settled else label,
        drift=_change(drift.size),
        reach=1 + _change(drift.span),
        wanders=drift.wanders,
        free_drift=_change(free),
        free_decay=falling,
        loss=loss,
        limit=limit,
        first_loss=first_loss,
    )


def _change(log_ratio: float) -> float:
    """The relative change that a difference of logarithms stands for."""
    with np.errstate(over="ignore"):
        return float(np.expm1(log_ratio))


def _longest_piece(rows: int, found: Found) -> tuple[int, int]:
    pieces, first = [], 0
    for event in (*found.events, *([found.unfinished] if found.unfinished else [])):
        pieces.append((first, event.start + 1))
        first = event.top
    pieces.append((first, rows))
    return max(pieces, key=lambda piece: piece[1] - piece[0])


def _first_loss(series: Series) -> float:
    """The level of the loss in the first rows."""
    rows = max(3, round(c.FIRST_ROWS * len(series)))
    return float(np.median(series.loss[:rows]))


def _drift(log_norm: Array) -> Drift:
    """How ``log_norm`` changes from end to end, by a line fitted to the means of blocks."""
    blocks, span = min(c.DRIFT_BLOCKS, len(log_norm)), float(np.ptp(log_norm))
    if blocks < 3:
        return Drift(float(log_norm[-1] - log_norm[0]), 0.0, span, span)
    edges = np.linspace(0, len(log_norm), blocks + 1).astype(int)
    means = np.add.reduceat(log_norm, edges[:-1]) / np.diff(edges)
    x = (np.arange(blocks) + 0.5) / blocks - 0.5
    slope = float(x @ means / (x @ x))
    residual = means - means.mean() - slope * x
    error = float(np.sqrt(residual @ residual / (blocks - 2) / (x @ x)))
    return Drift(slope, error, span, float(np.ptp(means)))


def _free_drift(series: Series, half: slice) -> float:
    """What weight decay alone does to log ρ over ``half``; NaN where it is not known."""
    if series.lr is None or series.weight_decay is None:
        return float("nan")
    product = float(np.median((series.lr * series.weight_decay)[half]))
    steps = float(series.step[half][-1] - series.step[half][0])
    return steps * log_decay(product, float(np.median(series.momentum[half])))
