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
from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.series import Series
from limitcycle.reading.turns import noise, turning_points


class Event(NamedTuple):
    """One destabilisation, as rows of the series.

    ``turn`` is the norm's minimum, ``top`` its maximum after the climb; for the others see
    `limitcycle.reading.diagnose`. ``recovery`` is -1 while the loss has not come back.
    """

    start: int
    peak: int
    recovery: int
    turn: int
    top: int


@dataclass(frozen=True)
class Found:
    """``events`` in order, ``unfinished`` the last one if the loss has not come back from it.

    ``turns`` counts the norm's turns from falling to rising; ``wandering`` says that so many
    of them came without a jump that those with one were dismissed as chance.
    """

    events: tuple[Event, ...]
    unfinished: Event | None
    turns: int
    wandering: bool


class _Climbs(NamedTuple):
    """Climbs of the norm, each from ``turn`` to ``top``, after a fall that began at ``quiet``."""

    quiet: Rows
    turn: Rows
    top: Rows

    def where(self, mask: NDArray[np.bool_]) -> "_Climbs":
        return _Climbs(*(rows[mask] for rows in self))


def find_events(series: Series) -> Found:
    """All destabilisations of ``series``; the first descent of the loss is none."""
    climbs = _climbs(series.log_norm)
    low, contrast = _contrast(series, climbs)
    rise = series.log_norm[climbs.top] - series.log_norm[climbs.turn]
    scatter = noise(series.log_loss, 1)
    needed = max(c.MIN_CONTRAST, c.CONTRAST_NOISE * scatter)
    jumps = (contrast >= needed) & (rise * contrast >= c.MIN_SIZE)
    others = int((~jumps).sum())
    wandering = others >= c.CHANCE_TURNS and bool(jumps.mean() < c.MIN_SHARE)
    if wandering:
        jumps[:] = False
    events = _separate(series.log_loss, _place(series, climbs.where(jumps), low[jumps] + scatter))
    unfinished = events.pop() if events and events[-1].recovery < 0 else None
    return Found(tuple(events), unfinished, len(jumps), wandering)


def _climbs(log_norm: Array) -> _Climbs:
    swing = max(c.MIN_RISE, c.RISE_NOISE * noise(log_norm, 2))
    rows = turning_points(log_norm, swing)
    if len(rows) > 1 and log_norm[rows[1]] < log_norm[rows[0]]:
        tops = rows[0::2]
    else:
        tops = rows[1::2]  # The norm rises first: the first descent of the loss.
    turns = rows[np.searchsorted(rows, tops[:-1]) + 1]
    return _Climbs(quiet=tops[:-1], turn=turns, top=tops[1:])


def _contrast(series: Series, climbs: _Climbs) -> tuple[Array, Array]:
    """For each climb the low level of the log loss before it, and how far above it is climbed.

    The low level is the mean over the second half of the fall, when phase A is surely over. A row
    counts during the climb with what it adds to the norm. Of the two rows that bound a step of
    the norm the higher loss counts: in a thinned table the jump lies between them.
    """
    loss, norm = series.log_loss, series.log_norm
    middle = (climbs.quiet + climbs.turn) // 2
    low = _sums(loss, middle, climbs.turn + 1) / (climbs.turn + 1 - middle)
    added = np.maximum(np.diff(norm), 0)
    higher = np.maximum(loss[1:], loss[:-1])
    weight = _sums(added, climbs.turn, climbs.top)
    high = _sums(added * higher, climbs.turn, climbs.top) / weight
    return low, high - low


def _sums(values: Array, start: Rows, stop: Rows) -> Array:
    """Σ values[start:stop] for many slices at once."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(total[stop] - total[start])


def _place(series: Series, climbs: _Climbs, low: Array) -> list[Event]:
    """Start and peak of each jump; rows up to ``low`` (scatter included) are on the low level."""
    events = []
    for quiet, turn, top, level in zip(*climbs, low, strict=True):
        climbed = series.log_norm[turn : top + 1] - series.log_norm[turn]
        half, most = turn + np.searchsorted(
            np.maximum.accumulate(climbed), [c.HALF_CLIMB * climbed[-1], c.MOST_CLIMB * climbed[-1]]
        )
        before = series.log_loss[quiet:half]
        calm = np.flatnonzero(before <= level + 1e-9)
        start = int(quiet + (calm[-1] if calm.size else np.argmin(before)))
        peak = start + 1 + int(np.argmax(series.log_loss[start + 1 : most + 1]))
        events.append(Event(start, peak, -1, int(turn), int(top)))
    return events


def _separate(log_loss: Array, events: list[Event]) -> list[Event]:
    """The events with their recoveries; one that begins before the last recovered belongs to it."""
    separate: list[Event] = []
    for i, event in enumerate(events):
        if separate and separate[-1].recovery < 0:
            last = separate.pop()
            peak = max(last.peak, event.peak, key=lambda row: log_loss[row])
            event = Event(last.start, peak, -1, last.turn, event.top)
        limit = events[i + 1].start + 1 if i + 1 < len(events) else len(log_loss)
        separate.append(_recover(log_loss, event, limit))
    return separate


def _recover(log_loss: Array, event: Event, limit: int) -> Event:
    """``event`` with its recovery, if it comes before row ``limit``, and its peak before that."""
    while True:
        middle = (log_loss[event.start] + log_loss[event.peak]) / 2
        back = np.flatnonzero(log_loss[event.peak + 1 : limit] < middle)
        recovery = event.peak + 1 + int(back[0]) if back.size else -1
        end = recovery if back.size else limit
        peak = event.start + int(np.argmax(log_loss[event.start : end]))
        if peak == event.peak or log_loss[peak] <= log_loss[event.peak]:
            return event._replace(recovery=recovery)
        event = event._replace(peak=peak)
