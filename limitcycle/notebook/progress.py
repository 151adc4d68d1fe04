"""A progress bar: HTML in a notebook, a line that is written over in a terminal."""

import sys
import time
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING

from limitcycle.notebook.cell import Cell

if TYPE_CHECKING:
    from limitcycle.lab import Progress

EVERY = 0.25  # seconds


def bar(name: str, cell: Cell | None = None) -> "Callable[[Progress], None]":
    """A function to be told how far a run is; it shows that.

    Args:
        name: of the run.
        cell: where to show it; None: here.
    """
    place = cell or Cell()
    if place.shows:
        return _Paced(lambda now: place.write(_html(name, now)))
    if sys.stderr.isatty():
        return _Paced(lambda now: _line(name, now))
    return lambda _: None


class _Paced:
    """Shows the last word always, and others four times a second."""

    def __init__(self, show: "Callable[[Progress], None]") -> None:
        self._show, self._shown = show, 0.0

    def __call__(self, now: "Progress") -> None:
        if now.step >= now.total or time.monotonic() - self._shown >= EVERY:
            self._show(now)
            self._shown = time.monotonic()


def _said(now: "Progress") -> str:
    return (
        f"{now.step:,} of {now.total:,} steps, loss {now.loss:.2e}, ρ {now.norm:.3g}, "
        f"η/ρ² {now.effective_lr:.2e}"
    )


def _html(name: str, now: "Progress") -> str:
    return (
        f'<div class="limitcycle"><progress value="{now.step}" max="{now.total}" '
        f'aria-label="{escape(name)}"></progress> {escape(name)}: {_said(now)}</div>'
    )


def _line(name: str, now: "Progress") -> None:
    end = "\n" if now.step >= now.total else ""
    sys.stderr.write(f"\r\x1b[2K{name}: {_said(now)}{end}")
    sys.stderr.flush()
