"""The painter for the browser, continued: panels of squares as whole plotly figures, in JSON."""

import math
from typing import Any

import numpy as np

from limitcycle.report.figure import Axis, Cells, Figure, Line, Panel, Points, Scale, Text
from limitcycle.report.scales import bar_ticks, shares, stops_of
from limitcycle.report.web import SYMBOLS, escaped


def paint_web_cells(figure: Figure) -> list[dict[str, Any]]:
    """The panels of ``figure`` as plain JSON values: name, title, note, traces, layout."""
    return [_panel(panel) for panel in figure.panels]


def _panel(panel: Panel) -> dict[str, Any]:
    assert panel.x is not None, "panels of squares are not drawn against time"
    traces = []
    for mark in panel.marks:
        if isinstance(mark, Cells):
            traces.append(_squares(mark))
        elif isinstance(mark, Line | Points):
            traces.append(_shape(mark))
    words = [_words(mark) for mark in panel.marks if isinstance(mark, Text)]
    layout = {"xaxis": _axis(panel.x), "yaxis": _axis(panel.y), "annotations": words}
    return {
        "name": panel.name,
        "title": panel.title,
        "note": panel.note,
        "traces": traces,
        "layout": layout,
    }


def _squares(mark: Cells) -> dict[str, Any]:
    places = shares(mark.scale, np.where(np.isfinite(mark.grid), mark.grid, np.nan))
    trace: dict[str, Any] = {
        "type": "heatmap",
        "z": [[_number(value) for value in row] for row in places],
        "zmin": 0,
        "zmax": 1,
        "colorscale": [[at, colour] for at, colour in stops_of(mark.scale)],
        "opacity": mark.opacity,
        "showscale": mark.scale.log and mark.opacity == 1,
        "hoverinfo": "skip",
    }
    if trace["showscale"]:
        trace["colorbar"] = _bar(mark.scale)
    if mark.texts:  # told by the page, as plain text, not by plotly
        trace |= {"customdata": [list(row) for row in mark.texts], "hoverinfo": "none"}
    return trace


def _bar(scale: Scale) -> dict[str, Any]:
    ticks = bar_ticks(scale)
    places = shares(scale, np.array([value for value, _ in ticks]))
    return {
        "tickvals": [float(at) for at in places],
        "ticktext": [text for _, text in ticks],
        "thickness": 10,
        "outlinewidth": 0,
    }


def _shape(mark: Line | Points) -> dict[str, Any]:
    assert isinstance(mark.x, np.ndarray), "panels of squares are not drawn against time"
    points = {"x": [_number(v) for v in mark.x], "y": [_number(v) for v in mark.y]}
    trace = {"type": "scatter", **points, "hoverinfo": "skip", "connectgaps": False}
    if isinstance(mark, Line):
        line = {"color": mark.colour, "width": mark.width, "dash": mark.dash}
        return {**trace, "mode": "lines", "line": line}
    marker = {"color": mark.colour, "size": mark.size, "symbol": SYMBOLS[mark.symbol]}
    return {**trace, "mode": "markers", "marker": marker}


def _words(mark: Text) -> dict[str, Any]:
    text = _lines(mark.text)
    return {
        "x": mark.x,
        "y": mark.y,
        "text": f"<b>{text}</b>" if mark.bold else text,
        "showarrow": False,
        "textangle": -90 if mark.upright else 0,
        "font": {"color": mark.colour, "size": 1.9 * mark.size},
        "bgcolor": "rgba(255,255,255,0.45)",
        "borderpad": 1,
    }


def _axis(axis: Axis) -> dict[str, Any]:
    return {
        "title": {"text": escaped(axis.label)},
        "range": list(axis.limits or ()),
        "tickvals": [at for at, _ in axis.ticks],
        "ticktext": [escaped(text) for _, text in axis.ticks],
        "showgrid": False,
    }


def _lines(text: str) -> str:
    return "<br>".join(escaped(line) for line in text.split("\n"))


def _number(value: float) -> float | None:
    return float(f"{value:.6g}") if math.isfinite(value) else None
