"""The painter for paper: a figure as PNG or SVG, by matplotlib, without a browser or a display.

The same figure gives the same bytes (no dates, no random identifiers).
"""

import math
import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from textwrap import wrap
from typing import IO, Any, cast

import matplotlib
import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullLocator,
)

from limitcycle.errors import UserError
from limitcycle.reading.clock import Array, Clock, TimeAxis
from limitcycle.report.figure import (
    TIME_LABELS,
    Axis,
    Cells,
    Figure,
    Key,
    Line,
    Mark,
    Panel,
    Points,
    Span,
    Text,
    drawable,
)
from limitcycle.report.fit import NOTE, fit
from limitcycle.report.paint_cells import paint_bar, paint_cells, paint_text
from limitcycle.report.writing import write_file

PANEL_HEIGHT = 1.32
DOTS_PER_INCH = 300
LINE_HEIGHT = 0.14
KEY_WIDTH, LETTER_WIDTH = 0.45, 0.055  # of the legend, inches
DASHES: dict[str, Any] = {
    "solid": "-",
    "dash": (0, (4, 1.4)),
    "dot": (0, (1.2, 1.2)),
    "dashdot": (0, (4, 1.2, 1.2, 1.2)),
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
TITLE: dict[str, Any] = {"weight": "bold", "size": 7}
FOOTNOTE: dict[str, Any] = {"size": 6, "color": "0.35", "va": "bottom"}
SYMBOLS = {"circle": "o", "triangle": "v", "cross": "x"}
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 6.5,
    "axes.titlesize": 6.8,
    "axes.labelsize": 6.5,
    "axes.titlepad": 3.0,
    "axes.labelpad": 1.5,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 6.0,
    "ytick.labelsize": 6.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
    "xtick.major.pad": 1.5,
    "ytick.major.pad": 1.5,
    "legend.fontsize": 6.2,
    "svg.hashsalt": "limitcycle",
    "agg.path.chunksize": 10_000,
}


def paint(figure: Figure, path: Path, *, width: float) -> Path:
    """Draw ``figure`` into ``path``; the suffix (.png or .svg) chooses the format.

    Args:
        figure: what to draw.
        path: the file to write.
        width: of the picture in inches; from 5 inches on, the panels stand in more columns.

    Raises:
        UserError: another suffix, or ``path`` may not be written.
        RunError: the disk is full; ``path`` is as it was.
    """
    paint_sheet([figure], path, width=width)
    return path


def paint_sheet(figures: Sequence[Figure], *paths: Path, width: float, footnote: str = "") -> None:
    """Draw ``figures`` below each other, each with its title and legend, into each of ``paths``.

    Args and errors are those of `paint`; a ``footnote`` stands below them all.
    """
    for path in paths:
        if path.suffix.lower() not in (".png", ".svg"):
            raise UserError(f"{path} must end in .png or .svg")
    with matplotlib.rc_context(cast(Any, STYLE)), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; that is no reason to fail.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        drawn = canvas(figures, width, _lines(footnote, width))
        fit(drawn)
        for path in paths:
            write_file(path, partial(_save, drawn, path.suffix))


def _save(canvas: Any, suffix: str, file: IO[bytes]) -> None:
    kind = suffix.lower()[1:]
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    canvas.savefig(file, dpi=DOTS_PER_INCH, metadata=metadata, format=kind)


def canvas(figures: Sequence[Figure], width: float, footnote: Sequence[str] = ()) -> Any:
    """``figures`` below each other as matplotlib's figure, in inches; within `STYLE`."""
    heights = [_height(figure, width) for figure in figures]
    foot = LINE_HEIGHT * len(footnote)
    share = foot / (sum(heights) + foot)
    room = (0.0, share, 1.0, 1.0 - share)
    layout = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0.03, hspace=0.03, rect=room)
    drawn = Canvas(figsize=(width, sum(heights) + foot), layout=layout)
    if footnote:
        drawn.text(0.01, 0.3 * share, _plain("\n".join(footnote)), **FOOTNOTE)
    parts: list[Any] = [drawn]
    if len(figures) > 1:
        parts = list(cast(Any, drawn.subfigures(len(figures), 1, height_ratios=heights)))
    for part, figure in zip(parts, figures, strict=True):
        _fill(part, figure, width)
    return drawn


def _lines(footnote: str, width: float) -> list[str]:
    return wrap(footnote, int(width / LETTER_WIDTH))


def _fill(part: Any, figure: Figure, width: float) -> None:
    """Draw one figure into its part of the canvas."""
    columns = _columns(figure, width)
    rows = -(-len(figure.panels) // columns)
    axes = np.atleast_1d(part.subplots(rows, columns)).ravel()
    for panel, on in zip(figure.panels, axes, strict=False):
        _panel(on, panel, figure.axis)
        paint_bar(part, on, panel.marks)
    for on in axes[len(figure.panels) :]:
        on.set_axis_off()
    if figure.keys:
        _legend(part, figure, width)
    elif figure.title:
        part.suptitle(_plain(figure.title), x=0.01, ha="left", **TITLE)


def _columns(figure: Figure, width: float) -> int:
    if figure.columns is not None:
        return figure.columns
    return 2 if width < 5 else (4 if len(figure.panels) == 4 else 3)


def _height(figure: Figure, width: float) -> float:
    """Of a figure's part of the canvas, in inches."""
    rows = -(-len(figure.panels) // _columns(figure, width))
    legend = -(-len(figure.keys) // _keys_across(figure, width))
    height = rows * (figure.panel_height or PANEL_HEIGHT)
    return height + LINE_HEIGHT * (legend + bool(figure.title))


def _panel(on: Any, panel: Panel, axis: TimeAxis) -> None:
    on.set_title(panel.title, loc="left")
    for mark in panel.marks:
        _mark(on, mark, panel, axis)
    x = panel.x or Axis(TIME_LABELS[axis])
    on.set_xlabel(x.label)
    on.set_ylabel(panel.y.label)
    if x.log:
        on.set_xscale("log")
    if panel.y.log:
        on.set_yscale("log")
    if x.limits:
        on.set_xlim(*x.limits)
    if panel.y.limits:
        on.set_ylim(*panel.y.limits)
    _ticks(on.xaxis, x, on.get_xlim())
    _ticks(on.yaxis, panel.y, on.get_ylim())
    if panel.note:
        _note(on, panel)


def _note(on: Any, panel: Panel) -> None:
    """Why something is missing: in the middle of an empty panel, else below it."""
    style: dict[str, Any] = {"ha": "center", "size": 5.5, "color": "0.35"}
    style |= {"gid": NOTE, "in_layout": False}
    if panel.marks:
        style |= {"va": "top", "xycoords": on.xaxis.label, "textcoords": "offset points"}
        on.annotate(_plain(panel.note), (0.5, 0), (0, -1), **style)
    else:
        on.text(0.5, 0.5, _plain(panel.note), transform=on.transAxes, va="center", **style)


def _mark(on: Any, mark: Mark, panel: Panel, axis: TimeAxis) -> None:
    if isinstance(mark, Span):
        _span(on, mark, axis)
    elif isinstance(mark, Cells):
        paint_cells(on, mark)
    elif isinstance(mark, Text):
        paint_text(on, mark, _plain(mark.text))
    else:
        _curve(on, mark, panel, axis)


def _span(on: Any, mark: Span, axis: TimeAxis) -> None:
    start, end = _x(mark.x, axis)
    at = {"center": (start + end) / 2, "left": start, "right": end}[mark.align]
    on.axvspan(start, end, color=mark.colour, alpha=0.22, linewidth=0)
    on.text(at, 0.97, mark.text, transform=on.get_xaxis_transform(),
            ha=mark.align, va="top", size=6.5, weight="bold", color="0.25")  # fmt: skip


def _curve(on: Any, mark: Line | Points, panel: Panel, axis: TimeAxis) -> None:
    x = drawable(_x(mark.x, axis), log=panel.x is not None and panel.x.log)
    y = drawable(mark.y, log=panel.y.log)
    if isinstance(mark, Line):
        on.plot(x, y, color=mark.colour, linestyle=DASHES[mark.dash], alpha=mark.opacity,
                linewidth=0.7 * mark.width, solid_joinstyle="round")  # fmt: skip
    else:
        on.plot(x, y, SYMBOLS[mark.symbol], color=mark.colour, markersize=0.5 * mark.size)


def _x(x: Array | Clock, axis: TimeAxis) -> Array:
    values = x.on(axis) if isinstance(x, Clock) else x
    assert values is not None, "the builder checks that every clock has the figure's axis"
    return values


def _ticks(ticks: Any, axis: Axis, limits: tuple[float, float]) -> None:
    """Few and plain ticks; on a logarithmic axis of less than two decades at 1, 2 and 5."""
    ticks.set_minor_locator(NullLocator())
    if axis.ticks:
        said = {round(at, 6): _plain(text) for at, text in axis.ticks}
        ticks.set_major_locator(FixedLocator([at for at, _ in axis.ticks]))
        ticks.set_major_formatter(FuncFormatter(lambda at, _: said.get(round(at, 6), "")))
        return
    if axis.log and not 0 < limits[0] < limits[1] < math.inf:  # nothing that it could show
        ticks.set_major_locator(NullLocator())
        return
    if not axis.log:
        ticks.set_major_locator(MaxNLocator(4))
        if max(map(abs, limits)) >= 1000:  # smaller ones are not abridged: 0.5, not 500m
            ticks.set_major_formatter(EngFormatter(sep=""))
        return
    decades = range(math.floor(math.log10(limits[0])), math.ceil(math.log10(limits[1])))
    few = [leading * 10.0**at for at in decades for leading in (1, 2, 5)]
    few = [value for value in few if limits[0] <= value <= limits[1]]
    if limits[1] > 100 * limits[0]:
        ticks.set_major_locator(LogLocator(numticks=6))
        ticks.set_major_formatter(FuncFormatter(_power_of_ten))
    else:
        ticks.set_major_locator(FixedLocator(few) if len(few) > 1 else MaxNLocator(3))
        ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _power_of_ten(value: float, _: object) -> str:
    return "10" + str(round(math.log10(value))).translate(SUPERSCRIPTS)


def _keys_across(figure: Figure, width: float) -> int:
    """How many entries of the legend fit side by side."""
    longest = max((len(key.label) for key in figure.keys), default=0)
    return max(1, int(width / (KEY_WIDTH + LETTER_WIDTH * longest)))


def _legend(part: Any, figure: Figure, width: float) -> None:
    room = int((width - KEY_WIDTH) / LETTER_WIDTH)
    handles = [_handle(key) for key in figure.keys]
    names = [_plain(_abridged(key.label, room)) for key in figure.keys]
    style = {"frameon": False, "handlelength": 2.2, "columnspacing": 1.0, "handletextpad": 0.5}
    columns = min(_keys_across(figure, width), len(names))
    side = "left" if figure.title else "center"
    found = part.legend(handles, names, loc=f"outside upper {side}", ncols=columns, **style)
    if figure.title:  # as the legend's own: a title beside it would be drawn over it
        found.set_title(_plain(figure.title), prop=TITLE)
        found.set_alignment("left")


def _handle(key: Key) -> Any:
    if key.filled:
        return Patch(facecolor=key.colour, edgecolor="0.55", linewidth=0.3)
    return Line2D([], [], color=key.colour, linestyle=DASHES[key.dash])


def _abridged(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _plain(text: str) -> str:
    """Keep matplotlib from reading a user's dollar signs as mathematics."""
    return text.replace("$", r"\$")
