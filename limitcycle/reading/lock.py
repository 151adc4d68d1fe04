"""Are the jumps locked to one position in the epoch?

A small or odd batch that comes by once an epoch can set off jumps of its own, through the batch
statistics. Then the jumps follow one position, which by chance they would share with probability
1/P each, P the number of batches in an epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log, log1p

import numpy as np
from numpy.typing import NDArray

from limitcycle.reading import constants as c
from limitcycle.reading.events import Event
from limitcycle.reading.series import Series


@dataclass(frozen=True)
class EpochLock:
    """``hits`` of ``jumps`` jumps follow the batch at ``position`` (from 0) of ``batches``.

    ``chance`` is the probability that jumps at random share some position that often;
    ``batch_size`` the size of that batch, None where it is not known.
    """

    position: int
    batches: int
    hits: int
    jumps: int
    chance: float
    batch_size: int | None


def find_lock(
    series: Series,
    events: Sequence[Event],
    train_size: int | None = None,
    batch_size: int | None = None,
) -> tuple[EpochLock | None, str]:
    """The lock, if there is one, and else the reason: not locked, or why it cannot be told."""
    reason = _untellable(series, events)
    if reason:
        return None, reason
    starts = _epoch_starts(series)
    batches = int(np.median(np.diff(starts)))
    suspects = [
        _commonest(series, starts, batches, rows)
        for rows in (
            [event.turn for event in events],
            [max(event.turn - 1, 0) for event in events],
            [event.start for event in events],
        )
    ]
    locked = [found for found in suspects if _is_locked(found, len(events))]
    if not locked:
        return None, "the jumps come at different positions in the epoch"
    # The guilty batch may show a high loss itself, and then the norm turns there, or only the next
    # one does. The last one in the epoch is suspected first: no other can be of another size.
    position, hits, chance = min(locked, key=lambda found: (found[0] < batches - 1, found[2]))
    size = _size(position, batches, train_size, batch_size)
    return EpochLock(position, batches, hits, len(events), chance, size), ""


def _untellable(series: Series, events: Sequence[Event]) -> str:
    """Why nothing can be said; empty if it can."""
    if len(events) < c.LOCK_EVENTS:
        return f"fewer than {c.LOCK_EVENTS} jumps"
    if series.epoch is None or not np.isfinite(series.epoch).all():
        return "the table has no complete column 'epoch'"
    if np.median(np.diff(series.step)) != 1:
        return "the table does not hold every step"
    starts = _epoch_starts(series)
    if len(starts) < 2:
        return "the table holds one epoch"
    return "an epoch is one batch" if np.median(np.diff(starts)) < 2 else ""


def _is_locked(found: tuple[int, int, float], events: int) -> bool:
    _, hits, chance = found
    return hits >= c.LOCK_EVENTS and 2 * hits >= events and chance <= c.LOCK_CHANCE


def _epoch_starts(series: Series) -> NDArray[np.int64]:
    """Steps at which an epoch begins; the first row may lie inside one and is none."""
    assert series.epoch is not None
    # Some loggers count parts of epochs; 2.9999999 of them are three.
    new = np.flatnonzero(np.diff(np.floor(series.epoch + 1e-6))) + 1
    return series.step[new].astype(np.int64)


def _commonest(
    series: Series, starts: NDArray[np.int64], batches: int, rows: Sequence[int]
) -> tuple[int, int, float]:
    """The commonest position of ``rows`` in the epoch, how many share it, how likely by chance."""
    steps = series.step[list(rows)].astype(np.int64)
    epoch = np.searchsorted(starts, steps, side="right") - 1
    position = (steps - starts[np.maximum(epoch, 0)]) % batches
    counts = np.bincount(position, minlength=batches)
    hits, n = int(counts.max()), len(steps)
    # Any position, by any of three markers.
    return int(counts.argmax()), hits, min(1.0, 3 * batches * _at_least(hits, n, 1 / batches))


def _at_least(hits: int, n: int, p: float) -> float:
    """Probability of at least ``hits`` successes in ``n`` trials of probability ``p`` each."""

    def log_term(k: int) -> float:
        choose = lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
        return choose + k * log(p) + (n - k) * log1p(-p)

    return sum(exp(log_term(k)) for k in range(hits, n + 1))


def _size(
    position: int, batches: int, train_size: int | None, batch_size: int | None
) -> int | None:
    if train_size is None or batch_size is None:
        return batch_size if position < batches - 1 else None
    return batch_size if position < batches - 1 else train_size - (batches - 1) * batch_size
