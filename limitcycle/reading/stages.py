"""What lies between the events: phases A, B, C, and the end of warm-up."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from limitcycle.reading import constants as c
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
