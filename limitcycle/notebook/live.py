"""A running watch in a cell, brought up to date while the training goes on."""

import time
from collections.abc import Callable
from typing import Protocol

from limitcycle.notebook.cards import watch_card
from limitcycle.notebook.cell import Cell
from limitcycle.reading import RunData

SHARE = 0.05  # of the time, at most, that showing takes


class Following(Protocol):
    """What is shown: a `limitcycle.Watch`."""

    @property
    def step(self) -> int:
        """Steps so far."""

    def run_data(self) -> RunData:
        """The tables so far."""


class LiveCard:
    """The card of a watch, written again every few seconds from within the training loop.

    The watch calls `look` between two steps, when all that was logged of the last one is there. No
    thread reads what the loop writes. Where reading takes long, it is done less often, so that
    it never takes more than a twentieth of the time.

    Args:
        watch: under way.
        seconds: between two looks, at least.
        clock: seconds.
        cell: where to show it.
    """

    def __init__(
        self,
        watch: Following,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        cell: Cell | None = None,
    ) -> None:
        self._watch, self._seconds, self._clock = watch, seconds, clock
        self._cell = cell or Cell()
        self._shows = self._cell.shows
        self._due = clock() + seconds

    def last(self) -> None:
        """Show how it ended, and look no more."""
        if self._shows:
            self._write()
            self._shows = False

    def look(self) -> None:
        """Show how it is going, if it is time."""
        if self._shows and self._clock() >= self._due:
            began = self._clock()
            self._write()
            now = self._clock()
            self._due = now + max(self._seconds, (now - began) / SHARE)

    def _write(self) -> None:
        try:
            self._cell.write(watch_card(self._watch, self._watch.step))
        except Exception:  # a notebook that is gone ends no training
            self._shows = False
