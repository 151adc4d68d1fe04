"""The painter for the browser: panels as traces and layouts for plotly.js, in JSON.

Numbers travel as base64 of float32 (steps as int32), a third of their size as text; a clock that
several marks share travels once. Every text is escaped for plotly, which reads some HTML.
"""

import base64
import math
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from limitcycle.reading.clock import Array, Clock
from limitcycle.report.figure import Axis, Figure, Line, Panel, Points, Span, drawable

SYMBOLS = {"circle": "circle", "triangle": "triangle-down", "cross": "x"}
FLOAT32_LARGEST = float(np.finfo(np.float32).max)


@dataclass
class Clocks:
    """The clocks met so far, each encoded once, and found again by its steps."""

    encoded: list[dict[str, Any]] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def index(self, clock: Clock) -> int:
        """The place of ``clock`` among the encoded ones."""
        arrays = (clock.steps, clock.epochs, clock.periods)
        key = b"|".join(b"" if each is None else each.tobytes() for each in arrays)
        if key not in self._known:
            self._known[key] = len(self.encoded)
            self.encoded.append(
                {
                    "steps": encode_steps(clock.steps),
                    "epochs": _along(clock.steps, clock.epochs),
                    "periods": _along(clock.steps, clock.periods),
                }
            )
        return self._known[key]


def encode(values: Array, dtype: str = "f4") -> dict[str, str]:
    """``values`` in plotly's form for typed arrays: element type and base64 of its bytes."""
    with np.errstate(invalid="ignore", over="ignore"):
        packed = np.ascontiguousarray(values).astype("<" + dtype)
    return {"dtype": dtype, "bdata": base64.b64encode(packed.tobytes()).decode("ascii")}


def encode_steps(steps: Array) -> dict[str, str]:
    """Steps as int32 where they fit, i.e. nearly always."""
    whole = bool((steps == np.floor(steps)).all() and (np.abs(steps) < 2**31).all())
    return encode(steps, "i4" if whole else "f8")


def paint_web(figure: Figure, clocks: Clocks) -> list[dict[str, Any]]:
    """The panels of ``figure`` as plain JSON values; their clocks are added to ``clocks``."""
    return [_panel(panel, clocks) for panel in figure.panels]


def _along(steps: Array, other: Array | None) -> Any:
    """Time on another axis: a factor where it is proportional to the steps, else the values."""
    if other is None:
        return None
    if len(steps) and steps[-1] > 0:
        factor = float(other[-1] / steps[-1])
        if np.allclose(steps * factor, other, rtol=1e-9):
            return factor
    return encode(other, "f8")


def _panel(panel: Panel, clocks: Clocks) -> dict[str, Any]:
    curves = [mark for mark in panel.marks if isinstance(mark, Line | Points)]
    return {
        "name": panel.name,
        "title": panel.title,
        "enlarged": panel.enlarged,
        "note": panel.note,
        "time": panel.x is None,
        "traces": [_trace(mark, panel, clocks) for mark in curves],
        "spans": [_span(mark, clocks) for mark in panel.marks if isinstance(mark, Span)],
        "x": _axis(panel.x),
        "y": _axis(panel.y),
    }


def _axis(axis: Axis | None) -> dict[str, Any]:
    if axis is None:
        return {}
    scale: dict[str, Any] = {"type": "log" if axis.log else "linear"}
    if axis.log:
        scale["exponentformat"] = "power"
    if axis.limits:
        scale["range"] = [math.log10(end) if axis.log else end for end in axis.limits]
    return {"title": {"text": escaped(axis.label)}, **scale}


def _trace(mark: Line | Points, panel: Panel, clocks: Clocks) -> dict[str, Any]:
    y = drawable(mark.y, log=panel.y.log)
    y = np.where(np.abs(y) > FLOAT32_LARGEST, np.nan, y)
    trace: dict[str, Any] = {
        "type": "scatter",
        "name": escaped(mark.label),
        "y": encode(y),
        "clock": clocks.index(mark.x) if isinstance(mark.x, Clock) else None,
        "run": mark.run,
        "walk": isinstance(mark, Line) and mark.walk,
        "hovertemplate": _hover(mark, panel),
    }
    if isinstance(mark.x, np.ndarray):
        trace["x"] = encode(drawable(mark.x, log=bool(panel.x and panel.x.log)))
    if not mark.label:
        trace |= {"hoverinfo": "skip", "hovertemplate": None}
    return trace | _style(mark)


def _hover(mark: Line | Points, panel: Panel) -> str:
    across = "%{x:.6~g}" if panel.x is None else f"{escaped(panel.x.label)} %{{x:.4~g}}"
    return (
        f"{escaped(mark.label)}<br>{escaped(panel.y.label)} %{{y:.4~g}}<br>{across}<extra></extra>"
    )


def escaped(text: str) -> str:
    """Keep plotly from reading a user's text as HTML or as a template."""
    return escape(text.replace("%{", "%\u200b{")).replace("\n", " ")


def _style(mark: Line | Points) -> dict[str, Any]:
    if isinstance(mark, Line):
        line = {"color": mark.colour, "width": mark.width, "dash": mark.dash}
        return {"mode": "lines", "line": line, "opacity": mark.opacity}
    marker = {"color": mark.colour, "size": mark.size * 1.4, "symbol": SYMBOLS[mark.symbol]}
    return {"mode": "markers", "marker": marker}


def _span(mark: Span, clocks: Clocks) -> dict[str, Any]:
    return {"clock": clocks.index(mark.x), "colour": mark.colour, "text": escaped(mark.text),
            "align": mark.align}  # fmt: skip
