"""What lies between the events: phases A, B, C, the end of warm-up, the time to the next jump."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from limitcycle.reading import constants as c
from limitcycle.reading.decay import log_decay
from limitcycle.reading.events import Event
from limitcycle.reading.series import Series


def phase_table(series: Series, events: Sequence[Event]) -> pd.DataFrame:
    """Phases in order, as steps: A from peak to the norm's maximum, B to the next start, C to peak.

    What comes before the first event is divided likewise, as if the first row were a peak. Phases
    of no length are left out; without events the table is empty.
    """
    rows: list[tuple[str, int, int]] = []
    peak = 0
    for event in events:
        rows += [*_between(series, peak, event.start), ("C", event.start, event.peak)]
        peak = event.peak
    if events:
        rows += _between(series, peak, len(series) - 1)
    rows = [row for row in rows if row[1] < row[2]]
    steps = series.step
    return pd.DataFrame(
        {
            "phase": [phase for phase, _, _ in rows],
            "start": steps[[start for _, start, _ in rows]] if rows else steps[:0],
            "end": steps[[end for _, _, end in rows]] if rows else steps[:0],
        }
    )


def _between(series: Series, peak: int, end: int) -> list[tuple[str, int, int]]:
    top = peak + int(np.argmax(series.norm[peak : end + 1]))
    return [("A", peak, top), ("B", top, end)]


def consistent_event(series: Series, events: Sequence[Event]) -> int | None:
    """Index of the first event of the consistent stage; None with fewer than four events.

    During warm-up the norm still comes down to where jumps happen (Section 5), so the first jumps
    start at larger norms than the median of the later half.
    """
    if len(events) < 4:
        return None
    level = series.log_norm[[event.turn for event in events]]
    close = level <= np.median(level[len(level) // 2 :]) + c.CONSISTENT_SPREAD
    return int(np.argmax(close))


def steps_to_jump(series: Series, events: Sequence[Event]) -> tuple[float, str]:
    """Steps until weight decay alone has brought the norm to where the last jump began.

    By Eq. (3) without gradient ρ shrinks by the factor 1 − ηλ a step, so this takes
    log(ρ/ρ_jump) / (−log(1 − ηλ)) steps; with momentum see `limitcycle.reading.decay`. Returns NaN
    and a reason where that cannot be said.
    """
    if not events:
        return math.nan, "no jump to judge by"
    if series.lr is None or series.weight_decay is None:
        return math.nan, "learning rate or weight decay are not known"
    product = float(series.lr[-1] * series.weight_decay[-1])
    decay = log_decay(product, float(series.momentum[-1]))
    if not decay < 0:
        return math.nan, "weight decay does not shrink the norm"
    if series.log_norm[events[-1].top :].argmax() == len(series) - 1 - events[-1].top:
        return math.nan, "the norm is still rising after the last jump"
    fall = series.log_norm[-1] - series.log_norm[events[-1].turn]
    return max(float(fall / -decay), 0.0), ""
