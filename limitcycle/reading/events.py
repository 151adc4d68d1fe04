"""Destabilisations: the norm turns from falling to rising while the loss leaves its low level.

The norm leads, because it is nearly free of noise and turns exactly when the gradient outweighs
weight decay (Eq. 3), whether that takes ten steps or ten thousand. The loss confirms: a climb of
the norm is a jump if the loss, weighted with what each row adds to the norm, stands well above
the level that it had before.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from limitcycle.reading import constants as c
from limitcycle.reading.changes import Change, sudden
from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.level import Level, first_below, height, level_of, loss_at, ranges
from limitcycle.reading.series import Series
from limitcycle.reading.turns import noise, turning_points


class Event(NamedTuple):
    """One destabilisation, as rows of the series.

    ``turn`` is the norm's minimum, ``top`` its maximum after the climb; for the others see
    `limitcycle.reading.diagnose`. ``recovery`` is -1 while the loss has not come back. ``low`` is
    the level that the loss left, ``noise`` the scatter about it.
    """

    start: int
    peak: int
    recovery: int
    turn: int
    top: int
    low: float
    noise: float

    @property
    def level(self) -> Level:
        """The level that the loss left."""
        return Level(self.low, self.noise)


@dataclass(frozen=True)
class Found:
    """``events`` in order, ``unfinished`` the last one if the loss has not come back from it.

    ``turns`` counts the norm's turns from falling to rising, ``share`` is that of those that look
    like a jump; 1 where the others are too few to matter. ``nearly`` counts those
    that would be jumps if `c.NEARLY` of the height were asked for. ``changes`` came from outside.
    """

    events: tuple[Event, ...]
    unfinished: Event | None
    turns: int
    share: float
    nearly: int = 0
    changes: tuple[Change, ...] = ()

    @property
    def with_unfinished(self) -> tuple[Event, ...]:
        """All events, the unfinished one last."""
        return self.events if self.unfinished is None else (*self.events, self.unfinished)

    def since(self, row: int) -> "Found":
        """The jumps that begin at ``row`` or later, by rows counted from there."""
        if not row:
            return self
        names = ("start", "peak", "recovery", "turn", "top")
        events = tuple(
            event._replace(**{name: getattr(event, name) - row for name in names})
            for event in self.events
            if event.start >= row
        )
        return Found(events, self.unfinished, self.turns, self.share)

    @property
    def wandering(self) -> bool:
        """Most turns came without a jump, so low jumps were dismissed as chance."""
        return self.share < c.MIN_SHARE

    @property
    def close(self) -> bool:
        """A close call: a few jumps more or less would have told otherwise."""
        return c.MIN_SHARE / c.CLOSE_SHARE < self.share < c.MIN_SHARE * c.CLOSE_SHARE

    @property
    def nearly_periodic(self) -> bool:
        """Of the two jumps that it takes one is there, and one more nearly."""
        return not self.wandering and len(self.with_unfinished) == 1 and self.nearly >= 2


class Climbs(NamedTuple):
    """Climbs of the norm, each from ``turn`` to ``top``, after a fall that began at ``quiet``."""

    quiet: Rows
    turn: Rows
    top: Rows

    def where(self, mask: NDArray[np.bool_]) -> "Climbs":
        """Those that ``mask`` chooses."""
        return Climbs(*(rows[mask] for rows in self))


def find_events(series: Series) -> Found:
    """All destabilisations of ``series``; the first descent of the loss is none."""
    climbs = climbs_of(series.log_norm)
    level = level_of(series.loss, (climbs.quiet + 2 * climbs.turn) // 3, climbs.turn + 1)
    heights = _heights(series, climbs, level)
    rises = series.log_norm[climbs.top] - series.log_norm[climbs.turn]
    jumps = _high_enough(heights, rises)
    nearly = int(_high_enough(heights / c.NEARLY, rises).sum())
    share = float(jumps.mean()) if (~jumps).sum() >= c.CHANCE_TURNS else 1.0
    if share < c.MIN_SHARE:
        jumps &= heights >= c.CLEAR_HEIGHT
    placed = _place(series, climbs.where(jumps), level.where(jumps))
    events, changes = _without_changes(series, _separate(series.loss, placed))
    unfinished = events.pop() if events and events[-1].recovery < 0 else None
    return Found(tuple(events), unfinished, len(jumps), share, nearly, tuple(changes))


def _high_enough(heights: Array, rises: Array) -> NDArray[np.bool_]:
    """Which climbs are as high as jumps, and raise log ρ by as much."""
    return np.asarray((heights >= c.MIN_HEIGHT) & (rises * heights >= c.MIN_SIZE))


def swing_of(log_norm: Array) -> float:
    """The smallest swing of log ρ that its noise from row to row does not make."""
    return c.RISE_NOISE * noise(log_norm, 2)


def climbs_of(log_norm: Array) -> Climbs:
    """The climbs of a norm that had fallen before; a first rise is none."""
    rows = turning_points(log_norm, max(c.MIN_RISE, swing_of(log_norm)))
    if len(rows) > 1 and log_norm[rows[1]] < log_norm[rows[0]]:
        tops = rows[0::2]
    else:
        tops = rows[1::2]  # The norm rises first: the first descent of the loss.
    turns = rows[np.searchsorted(rows, tops[:-1]) + 1]
    return Climbs(quiet=tops[:-1], turn=turns, top=tops[1:])


def _heights(series: Series, climbs: Climbs, level: Level) -> Array:
    """How high the loss stands on average while the norm climbs, for each climb.

    A row counts with what it adds to the norm. Of the two rows that bound a step of the norm the
    higher loss counts: in a thinned table the jump lies between them.
    """
    lengths = climbs.top - climbs.turn
    rows = ranges(climbs.turn, climbs.top)
    added = np.maximum(np.diff(series.log_norm)[rows], 0)
    higher = np.maximum(series.loss[1:], series.loss[:-1])[rows]
    each = height(higher, level.repeat(lengths))
    first = np.cumsum(lengths) - lengths
    if not len(first):
        return np.empty(0)
    return np.asarray(np.add.reduceat(added * each, first) / np.add.reduceat(added, first))


def _place(series: Series, climbs: Climbs, level: Level) -> list[Event]:
    """Start and peak of each jump, and the level that it left."""
    events = []
    for i, (quiet, turn, top) in enumerate(zip(*climbs, strict=True)):
        low, noise = float(level.low[i]), float(level.noise[i])
        climbed = series.log_norm[turn : top + 1] - series.log_norm[turn]
        half, most = turn + np.searchsorted(
            np.maximum.accumulate(climbed), [c.HALF_CLIMB * climbed[-1], c.MOST_CLIMB * climbed[-1]]
        )
        before = series.loss[quiet:half]
        calm = np.flatnonzero(before <= low + noise)
        start = int(quiet + (calm[-1] if calm.size else np.argmin(before)))
        peak = start + 1 + int(np.argmax(series.loss[start + 1 : most + 1]))
        events.append(Event(start, peak, -1, int(turn), int(top), low, noise))
    return events


def _separate(loss: Array, placed: list[Event]) -> list[Event]:
    """The events with their recoveries; one that begins before the last recovered belongs to it.

    An event from which the loss never comes back stands alone.
    """
    separate: list[Event] = []
    pending: Event | None = None
    for i, event in enumerate(placed):
        if pending is not None:
            peak = max(pending.peak, event.peak, key=lambda row: loss[row])
            event = pending._replace(peak=peak, top=event.top)
        final = i + 1 == len(placed)
        event = _recover(loss, event, len(loss) if final else placed[i + 1].start + 1)
        waits = event.recovery < 0 and not final and _back(loss, event) is not None
        pending = event if waits else None
        if pending is None:
            separate.append(event)
    return separate


def _back(loss: Array, event: Event) -> int | None:
    """The first row after the peak at which the loss has come half the way back; None: never."""
    ends = height(loss[[event.start, event.peak]], event.level)
    return first_below(loss, event.peak + 1, float(loss_at(ends.mean(), event.level)))


def _without_changes(series: Series, events: list[Event]) -> tuple[list[Event], list[Change]]:
    """The events that are jumps, and what changed where they are none."""
    jumps: list[Event] = []
    changes: list[Change] = []
    found = [sudden(series, event.start, event.peak, event.recovery) for event in events]
    kinds = [None if change is None else change.kind for change in found]
    often = max(kinds.count("data"), kinds.count(None)) >= c.OFTEN
    for i, (event, change) in enumerate(zip(events, found, strict=True)):
        if often and kinds[i] == "data":
            change = None  # one more of what jumps anyway
        if change is None and event.recovery < 0:
            over = i + 1 < len(events) or _long_over(series, event, jumps)
            change = Change(event.start, "level") if over else None
        if change is None:
            jumps.append(event)
        else:
            changes.append(change)
    return jumps, changes


def _long_over(series: Series, event: Event, jumps: list[Event]) -> bool:
    """The norm has stopped rising long ago, and the loss did not come back."""
    usual = max((jump.recovery - jump.peak for jump in jumps), default=0)
    return len(series) - event.top > max(c.LONG_OVER * (event.top - event.start), 2 * usual)


def _recover(loss: Array, event: Event, limit: int) -> Event:
    """``event`` with its recovery, if it comes before row ``limit``, and its peak before that."""
    while True:
        back = _back(loss[:limit], event)
        end = limit if back is None else back
        peak = event.start + int(np.argmax(loss[event.start : end]))
        if peak == event.peak or loss[peak] <= loss[event.peak]:
            return event._replace(recovery=-1 if back is None else back)
        event = event._replace(peak=peak)
