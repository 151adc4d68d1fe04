"""What a run does outside of its events: settled low, settled high, or still under way."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from limitcycle.dynamics import constants as c
from limitcycle.dynamics.events import Found
from limitcycle.dynamics.series import Array, Series


@dataclass(frozen=True)
class Rest:
    """The label without events and the numbers behind it, all over the last half of the rest.

    ``drift`` is the relative change of the norm, ``within_scatter`` says that it fluctuates so much
    that this is none, ``free_drift`` what weight decay alone would do to
    it (NaN: not known), ``free_decay`` says that the norm falls nearly as fast as that, ``loss`` is
    the median and ``limit`` the loss above which a settled run is stuck.
    """

    label: Literal["equilibrium", "stuck", "converging"]
    drift: float
    within_scatter: bool
    free_drift: float
    free_decay: bool
    loss: float
    limit: float


def judge_rest(series: Series, found: Found, stuck_above: float | None) -> Rest | None:
    """What the run does without its events; None with too few rows.

    With an event the rest is the longest piece of the table before, between or after them.
    """
    if len(series) < c.MIN_ROWS:
        return None
    first, last = _longest_piece(len(series), found)
    half = slice((first + last) // 2, last)
    drift, error = _drift(series.log_norm[half])
    free = _free_drift(series, half)
    sure = abs(drift) > c.DRIFT_ERRORS * error
    falling = bool(sure and free < 0 and drift < c.FREE_DECAY_SHARE * free)
    settled = not sure or abs(np.expm1(drift)) < c.MAX_DRIFT
    loss = float(np.median(series.loss[half]))
    limit = _stuck_limit(series) if stuck_above is None else stuck_above
    label: Literal["equilibrium", "stuck"] = "stuck" if loss > limit else "equilibrium"
    return Rest(
        label="converging" if falling or not settled else label,
        drift=float(np.expm1(drift)),
        within_scatter=not sure,
        free_drift=float(np.expm1(free)),
        free_decay=falling,
        loss=loss,
        limit=limit,
    )


def _longest_piece(rows: int, found: Found) -> tuple[int, int]:
    pieces, first = [], 0
    for event in (*found.events, *([found.unfinished] if found.unfinished else [])):
        pieces.append((first, event.start + 1))
        first = event.top
    pieces.append((first, rows))
    return max(pieces, key=lambda piece: piece[1] - piece[0])


def _stuck_limit(series: Series) -> float:
    rows = max(3, round(c.FIRST_ROWS * len(series)))
    return c.STUCK_SHARE * float(np.median(series.loss[:rows]))


def _drift(log_norm: Array) -> tuple[float, float]:
    """Change of ``log_norm`` from end to end along a fitted line, and its standard error."""
    blocks = min(c.DRIFT_BLOCKS, len(log_norm))
    if blocks < 3:
        return float(log_norm[-1] - log_norm[0]), 0.0
    edges = np.linspace(0, len(log_norm), blocks + 1).astype(int)
    means = np.add.reduceat(log_norm, edges[:-1]) / np.diff(edges)
    x = (np.arange(blocks) + 0.5) / blocks - 0.5
    slope = float(x @ means / (x @ x))
    residual = means - means.mean() - slope * x
    return slope, float(np.sqrt(residual @ residual / (blocks - 2) / (x @ x)))


def _free_drift(series: Series, half: slice) -> float:
    """What weight decay alone does to log ρ over ``half`` (Eq. 3); NaN where it is not known."""
    if series.lr is None or series.weight_decay is None:
        return float("nan")
    product = float(np.median((series.lr * series.weight_decay)[half]))
    steps = float(series.step[half][-1] - series.step[half][0])
    return steps * np.log1p(-product) if 0 <= product < 1 else float("nan")
