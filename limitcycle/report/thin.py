"""Fewer points, the same picture: rows to draw, chosen so that no event is lost.

A run of 400,000 steps has more points than a screen has pixels. In each of equally many rows (a
bin) the extremes of every drawn column are kept, so an excursion of a single step survives; rows
that matter by name (starts, peaks, recoveries, turns of the norm) are kept whatever the budget.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.history import DRAWN, History


def thin(columns: Sequence[Array], budget: int, keep: ArrayLike = ()) -> Rows:
    """Rows to draw, ascending and without repetition.

    Args:
        columns: the series drawn against these rows, each of shape (n,); NaN where missing.
        budget: about how many rows to return; exceeded only by ``keep``.
        keep: rows that must stay.

    Returns:
        All n rows where they fit the budget. Otherwise the first, the last, ``keep``, and in every
        bin the rows of each column's smallest and largest value.
    """
    n = len(columns[0])
    if n <= budget:
        return np.arange(n)
    must = np.unique(np.concatenate([np.asarray(keep, dtype=np.int64), [0, n - 1]]))
    bins = max(1, (budget - len(must)) // (2 * len(columns)))
    extremes = [rows for column in columns for rows in _extremes(column, bins)]
    return np.unique(np.concatenate([must, *extremes]))


def extremes_between(values: Array, cuts: Rows, *, largest: bool) -> Rows:
    """The row of the largest (or smallest) value between each two neighbouring ``cuts``."""
    sign = 1.0 if largest else -1.0
    comparable = np.where(np.isfinite(values), sign * values, -np.inf)
    found = [
        first + int(np.argmax(comparable[first:last]))
        for first, last in pairwise(cuts)
        if last > first
    ]
    return np.asarray(found, dtype=np.int64)


def _extremes(column: Array, bins: int) -> tuple[Rows, Rows]:
    """Rows of the smallest and the largest value in each of ``bins`` bins; missing ones last."""
    width = -(-len(column) // bins)
    padding = -len(column) % width
    finite = np.isfinite(column)
    offsets = np.arange(0, len(column), width)
    rows = []
    for sign in (1.0, -1.0):
        comparable = np.where(finite, sign * column, np.inf)
        table = np.concatenate([comparable, np.full(padding, np.inf)]).reshape(-1, width)
        rows.append(offsets + np.argmin(table, axis=1))
    return rows[0], rows[1]


def rows_to_draw(history: History, budget: int, window: slice = slice(None)) -> Rows:
    """Rows within ``window`` that draw like all of them."""
    first, last, _ = window.indices(len(history.clock.steps))
    if last <= first:
        return np.empty(0, dtype=np.int64)
    keep = _landmarks(history, budget)
    inside = keep[(keep >= first) & (keep < last)] - first
    series = [history.columns[name][first:last] for name in DRAWN]
    measured = [column for column in series if np.isfinite(column).any()]
    return first + thin(measured or series[:1], budget, inside)


def _landmarks(history: History, budget: int) -> Rows:
    """Rows of the events and, where they fit half the budget, of the turns between them."""
    events = history.diagnosis.events
    marks = [history.rows_of(events[name].to_numpy()) for name in ("start", "peak", "recovery")]
    cuts = np.unique(np.concatenate([[0], marks[1], [len(history.clock.steps)]])).astype(np.int64)
    if 6 * len(cuts) < budget / 2:
        marks += [
            extremes_between(history.columns["norm"], cuts, largest=True),
            extremes_between(history.columns["norm"], cuts, largest=False),
            extremes_between(history.columns["loss"], cuts, largest=False),
        ]
    return np.unique(np.concatenate(marks)).astype(np.int64)
