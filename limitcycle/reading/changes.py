"""What looks like a jump and is a change from outside: of data, of scale, of schedule, of the run.

A jump builds up over several steps and throws the norm back over more. A change is there from one
step to the next, so it can be told where a table holds every step.
"""

from typing import Literal, NamedTuple

from limitcycle.reading import constants as c
from limitcycle.reading.series import Series

ChangeKind = Literal["level", "data", "schedule", "rise"]


class Change(NamedTuple):
    """One change: the last row before it, and what changed."""

    row: int
    kind: ChangeKind


def sudden(series: Series, start: int, peak: int, recovery: int) -> Change | None:
    """The change behind what looks like a jump; None where it is one.

    Args:
        start, peak, recovery: rows of the event, see `limitcycle.reading.diagnose`.
    """
    if series.lr is not None:
        before, there = series.lr[max(start - 2, 0)], series.lr[peak]
        if there > c.SCHEDULE_RISE * before:
            return Change(start, "schedule")
    if not series.one_update(start):
        return None
    at_once = series.loss[start + 1] - series.loss[start]
    rise = series.loss[peak] - series.loss[start]
    back = recovery if recovery >= 0 else len(series)
    share = c.SUDDEN if recovery >= 0 else c.SUDDEN_FOR_GOOD
    if back - peak < c.SLOW_ROWS or at_once <= share * rise:
        return None
    return Change(start, "data" if recovery >= 0 else "level")
