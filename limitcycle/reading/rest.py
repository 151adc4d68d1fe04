"""What the norm does outside of the events: it has settled, or is still under way."""

from dataclasses import dataclass

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.decay import log_decay
from limitcycle.reading.drift import Drift, drift_of
from limitcycle.reading.events import Found
from limitcycle.reading.held import is_held
from limitcycle.reading.series import Series


@dataclass(frozen=True)
class Rest:
    """What the norm does without events, and the numbers behind it, over the last half of the rest.

    ``drift`` is the relative change of the norm along a fitted line, ``reach`` its largest over its
    smallest value, ``wanders`` says that it fluctuates about one place so much that the drift is
    none. ``free_drift`` is what weight decay alone would do to it (NaN: not known), ``free_decay``
    says that it falls nearly as fast as that. ``held`` says that something holds it in the table's
    last rows. ``settled`` says that it stays where it is, ``close`` that this is a close call;
    ``loss`` is the median of the loss.
    """

    settled: bool
    close: bool
    drift: float
    reach: float
    wanders: bool
    free_drift: float
    free_decay: bool
    held: bool
    loss: float


def judge_rest(series: Series, found: Found) -> Rest:
    """What the run does without its events; at least `c.MIN_ROWS` rows.

    With an event the rest is the longest piece of the table before, between or after them.
    """
    first, last = _longest_piece(len(series), found)
    half = slice((first + last) // 2, last)
    drift, free = drift_of(series.log_norm[half]), _free_drift(series, half)
    falling = bool(drift.sure and free < 0 and drift.size < c.FREE_DECAY_SHARE * free)
    with np.errstate(over="ignore"):  # of two losses of 1e308 each
        loss = float(np.median(series.loss[half]))
    return Rest(
        settled=not falling and _settled(drift),
        close=not falling and _settled(drift, c.CLOSE) != _settled(drift, 1 / c.CLOSE),
        drift=_change(drift.size),
        reach=1 + _change(drift.span),
        wanders=drift.wanders(),
        free_drift=_change(free),
        free_decay=falling,
        held=is_held(series),
        loss=loss,
    )


def _settled(drift: Drift, margin: float = 1.0) -> bool:
    return drift.wanders(margin) or margin * abs(_change(drift.size)) < c.MAX_DRIFT


def _change(log_ratio: float) -> float:
    """The relative change that a difference of logarithms stands for."""
    with np.errstate(over="ignore"):
        return float(np.expm1(log_ratio))


def _longest_piece(rows: int, found: Found) -> tuple[int, int]:
    pieces, first = [], 0
    for event in found.with_unfinished:
        pieces.append((first, event.start + 1))
        first = event.top
    pieces.append((first, rows))
    return max(pieces, key=lambda piece: piece[1] - piece[0])


def _free_drift(series: Series, half: slice) -> float:
    """What weight decay alone does to log ρ over ``half``; NaN where it is not known."""
    if series.lr is None or series.weight_decay is None:
        return float("nan")
    product = float(np.median((series.lr * series.weight_decay)[half]))
    momentum = float(np.median(series.momentum[half]))
    updates = float(series.step[half][-1] - series.step[half][0]) / series.steps_an_update
    return updates * log_decay(product, momentum)
