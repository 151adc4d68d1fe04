"""A figure as data: panels, axes, marks. Two painters draw it, on paper and in the browser.

Time is the reader's choice (steps, epochs, periods of 1/(ηλ)), so marks of a time panel carry a
`Clock`, which knows all three, instead of x values.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from limitcycle.reading.clock import Array, Clock, TimeAxis

Align = Literal["center", "left", "right"]

TIME_LABELS: dict[TimeAxis, str] = {
    "steps": "step",
    "epochs": "epoch",
    "periods": "time in periods of 1/(ηλ)",
}

# Okabe and Ito's palette for colour-blind readers; grey stands in for its yellow and its black,
# which vanish on a white and on a dark page.
RUN_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F")
DASHES = ("solid", "dash", "dot", "dashdot")
PHASE_COLOURS = {"A": "#E69F00", "B": "#56B4E9", "C": "#CC79A7"}


@dataclass(frozen=True)
class Line:
    """A polyline; a NaN breaks it. ``walk``: the cursor of the page may walk along it."""

    x: Array | Clock
    y: Array
    colour: str
    label: str = ""
    run: int | None = None
    dash: str = "solid"
    width: float = 1.3
    opacity: float = 1.0
    walk: bool = False


@dataclass(frozen=True)
class Points:
    """Single points; ``symbol`` is one of circle, triangle, cross."""

    x: Array | Clock
    y: Array
    colour: str
    label: str = ""
    run: int | None = None
    symbol: str = "circle"
    size: float = 5.0


@dataclass(frozen=True)
class Span:
    """A shaded stretch of time: a clock of two instants, with a letter at its top.

    ``align``: the letter stands in its middle, ends at its right end or begins at its left end.
    """

    x: Clock
    colour: str
    text: str = ""
    align: Align = "center"


@dataclass(frozen=True)
class Scale:
    """Colours of values; between two stops they are mixed.

    Attributes:
        stops: values, ascending, each with its colour.
        log: mix by ratios; such a scale of numbers has a bar beside its panel.
        percent: values are fractions, of which the bar tells percentages.
    """

    stops: tuple[tuple[float, str], ...]
    log: bool = False
    percent: bool = False


@dataclass(frozen=True)
class Cells:
    """Squares in rows and columns; the one of value ``grid[i, j]`` lies about (j, i).

    Attributes:
        grid: what is coloured, shape (rows, columns); NaN leaves a square open.
        scale: the colours.
        opacity: of all squares.
        texts: what a reader is told of each square, row by row; empty: nothing.
    """

    grid: Array
    scale: Scale
    opacity: float = 1.0
    texts: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Text:
    """Words about the point (x, y), with a halo.

    ``slope``: they run along a line that rises so much per unit of x; ``upright``: upwards.
    """

    x: float
    y: float
    text: str
    colour: str = "#1d2329"
    size: float = 6.5
    bold: bool = False
    slope: float = 0.0
    upright: bool = False


Mark = Line | Points | Span | Cells | Text


@dataclass(frozen=True)
class Axis:
    """A labelled axis, linear or logarithmic; without ``limits`` it spans its marks.

    ``ticks``: where they stand and what they say, instead of numbers chosen by the painter.
    """

    label: str
    log: bool = False
    limits: tuple[float, float] | None = None
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Panel:
    """One system of axes.

    Attributes:
        name: by which programs find it: loss, test_error, norm, …
        title: by which readers find it.
        y: the vertical axis.
        marks: what is drawn, the first one at the back.
        x: the horizontal axis; None means time.
        note: why some marks, or all, are missing.
        enlarged: shows a part of the time that its neighbours show, and is not zoomed with them.
    """

    name: str
    title: str
    y: Axis
    marks: tuple[Mark, ...]
    x: Axis | None = None
    note: str = ""
    enlarged: bool = False


@dataclass(frozen=True)
class Key:
    """One entry of a figure's legend; ``filled``: it stands for squares, not for a line."""

    label: str
    colour: str
    dash: str = "solid"
    filled: bool = False


@dataclass(frozen=True)
class Figure:
    """Panels that share one legend and one time axis.

    ``columns`` of panels on paper; None: as many as the picture's width has room for.
    ``panel_height`` on paper in inches; None: the painter's own.
    """

    panels: tuple[Panel, ...]
    axis: TimeAxis
    keys: tuple[Key, ...] = ()
    title: str = ""
    columns: int | None = None
    panel_height: float | None = None


def drawable(values: Array, *, log: bool) -> Array:
    """``values`` with NaN where an axis can show nothing: infinities, on log axes also ≤ 0."""
    shown = np.isfinite(values) & ((values > 0) if log else True)
    return np.where(shown, values, np.nan)
