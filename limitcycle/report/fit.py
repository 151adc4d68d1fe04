"""The last look at a picture: what is too long for its place is thinned out or broken."""

from collections.abc import Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any

from matplotlib.ticker import FixedLocator

NOTE = "note"
"""Mark (``gid``) of texts that are to stay within their panel."""

GAP = 0.7  # between the labels of two ticks, in heights of their letters


def fit(canvas: Any) -> None:
    """Thin out tick labels that touch; break axis labels and notes wider than their panel."""
    canvas.draw_without_rendering()
    for on in canvas.axes:
        if on.axison:
            _thin_labels(on.xaxis)
            _break_label(on)
            for text in on.texts:
                if text.get_gid() == NOTE:
                    _wrap(text, on.get_window_extent().width)


def _thin_labels(axis: Any) -> None:
    """Keep every second tick, or every third, …, of which the labels do not touch."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    ticks = [tick for tick in ticks if tick.label1.get_text()]
    boxes = [tick.label1.get_window_extent() for tick in ticks]
    stride = next((n for n in range(1, len(boxes)) if _apart(boxes[::n])), len(boxes))
    if stride > 1:
        axis.set_major_locator(FixedLocator([tick.get_loc() for tick in ticks[::stride]]))


def _apart(boxes: Sequence[Any]) -> bool:
    return all(a.x1 + GAP * a.height < b.x0 for a, b in pairwise(boxes))


def _break_label(on: Any) -> None:
    """Break the horizontal axis' label in two lines where it is wider than its panel."""
    label, text = on.xaxis.label, on.get_xlabel()
    if _width(label) <= on.get_window_extent().width or " " not in text:
        return
    spaces = [at for at, letter in enumerate(text) if letter == " "]
    middle = min(spaces, key=lambda at: abs(2 * at - len(text)))
    on.set_xlabel(text[:middle] + "\n" + text[middle + 1 :])


def _wrap(text: Any, width: float) -> None:
    """Break ``text`` into lines no wider than ``width``, in dots, and make room for it."""
    letters = len(text.get_text())
    text.set_text(fill(text.get_text(), max(10, int(letters * width / _width(text)))))
    text.set_in_layout(True)


def _width(artist: Any) -> float:
    return max(float(artist.get_window_extent().width), 1.0)
