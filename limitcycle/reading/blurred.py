"""Whether rows are missing or too far apart, or the loss is smoothed: remarks.

Jumps that such a table does not show are not found, and the label may be another than its run's.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.events import Climbs, climbs_of, swing_of
from limitcycle.reading.series import Series


def blurs(series: Series, *, every_step: bool) -> list[str]:
    """What hides jumps in this table; nothing where it shows them.

    Args:
        series: the usable rows; with fewer than `c.MIN_ROWS` nothing is remarked.
        every_step: rows that are one apart are known to be one update apart.
    """
    if len(series) < c.MIN_ROWS:
        return []
    apart = np.diff(series.step)
    climbs = climbs_of(series.log_norm)
    coarse = [] if every_step and np.median(apart) == 1 else _coarse(series, climbs)
    return [*_gaps(series, apart), *coarse, *_smoothed(series, climbs)]


def _gaps(series: Series, apart: NDArray[Any]) -> list[str]:
    usual = float(np.median(apart))
    if np.mean(apart > 1.5 * usual) < c.GAPS:
        return []
    missing = 1 - len(series) / (float(series.step[-1] - series.step[0]) / float(apart.min()) + 1)
    return [f"about {missing:.0%} of the rows are missing: what happened between them is not seen"]


def _coarse(series: Series, climbs: Climbs) -> list[str]:
    if swing_of(series.log_norm) >= c.COARSE_SWING:
        return [
            "the norm moves to and fro from row to row: rows are further apart than a jump lasts, "
            "or the norm is noisy, so jumps may be missed; log more often"
        ]
    if _at_once(series.log_norm, climbs) >= c.AT_ONCE:
        return [
            "the norm rises within one row: rows are further apart than a jump lasts, so jumps may "
            "be missed; log more often"
        ]
    return []


def _at_once(log_norm: Array, climbs: Climbs) -> float:
    """How much of a climb is made between two rows: the median over the climbs; 0 without one."""
    shares = []
    for turn, top in zip(climbs.turn, climbs.top, strict=True):
        rise = log_norm[top] - log_norm[turn]
        if rise > c.CLEAR_RISE:
            shares.append(float(np.diff(log_norm[turn : top + 1]).max() / rise))
    return float(np.median(shares)) if shares else 0.0


def _smoothed(series: Series, climbs: Climbs) -> list[str]:
    """A real loss is back when the norm stops rising, as it is the loss that makes it rise."""
    lags = []
    for quiet, turn, top in zip(*climbs, strict=True):
        low = float(np.median(series.loss[(quiet + turn) // 2 : turn + 1]))
        peak = float(series.loss[turn : top + 1].max())
        if top - turn >= c.LAG_ROWS and peak > low:
            lags.append((float(series.loss[top]) - low) / (peak - low))
    if not lags or float(np.median(lags)) < c.LAG:
        return []
    return [
        "the loss is still high when the norm has stopped rising: it looks averaged over many "
        "steps, so jumps may be missed; log the loss of each batch"
    ]
