"""What the page's scripts draw, as plain JSON values."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from limitcycle.errors import UserError
from limitcycle.reading.clock import Array, TimeAxis
from limitcycle.reading.diagnosis import Diagnosis
from limitcycle.reading.history import History
from limitcycle.reading.labels import look
from limitcycle.reading.period import typical_period
from limitcycle.report.depth import MEASURES, Depth, depth
from limitcycle.report.figure import TIME_LABELS
from limitcycle.report.marks import Mark, counted, marks
from limitcycle.report.panels import check_axis, panels_of, stacked_panels, style_of
from limitcycle.report.period import most_telling, one_period
from limitcycle.report.story import story
from limitcycle.report.web import Clocks, encode, encode_steps, escaped, paint_web

AXIS_NAMES: tuple[TimeAxis, ...] = get_args(TimeAxis)  # the page's buttons, as --axis has them
MOST_MARKS = 2_000
"""Of a run, rises of the loss that the page shows; the last ones."""


def content(drawn: Sequence[History], axis: TimeAxis) -> dict[str, Any]:
    """Everything that the report's script draws."""
    clocks = Clocks()
    return {
        **common(drawn, axis),
        "panels": paint_web(stacked_panels(drawn, axis), clocks),
        "loop": paint_web(panels_of(drawn, ["phase"], axis), clocks)[0],
        "runs": [_run(at, history, clocks) for at, history in enumerate(drawn)],
        "clocks": clocks.encoded,
    }


def common(drawn: Sequence[History], axis: TimeAxis) -> dict[str, Any]:
    """What is said of all runs together."""
    return {
        "axis": axis,
        "axisNames": AXIS_NAMES,
        "axisLabels": TIME_LABELS,
        "axisMissing": {name: _missing(drawn, name) for name in AXIS_NAMES},
        "focus": most_telling(drawn),
    }


def said(at: int, history: History, clocks: Clocks) -> dict[str, Any]:
    """What is said of a run, and where its loss rose; ``at``: its place among all."""
    found, rises = history.diagnosis, marks(history)
    colour, dash = style_of(at)
    return {
        "label": history.label,
        "name": history.source.name,
        "colour": colour,
        "dash": dash,
        "story": [part._asdict() for part in story(history)],
        "headline": found.headline,
        "kind": look(found.label).colour,
        "numbers": _numbers(found),
        "advice": found.advice.text,
        "code": found.advice.code,
        "marks": _marks(history, rises[-MOST_MARKS:], clocks),
        "counted": counted(rises),
        "phases": "".join(found.phases["phase"]),
        "phaseStarts": encode_steps(found.phases["start"].to_numpy(float)),
        "threshold": history.threshold,
    }


def _numbers(found: Diagnosis) -> str:
    """The line of the diagnosis behind its headline, where that is no advice or remark."""
    for line in found.text.splitlines()[1:2]:
        if line != found.advice.text and not line.startswith("Note: "):
            return line
    return ""


def _run(at: int, history: History, clocks: Clocks) -> dict[str, Any]:
    return {
        **said(at, history, clocks),
        "period": _period(history, clocks),
        "depth": depth_values(depth(history), history, clocks),
    }


def _marks(history: History, rises: Sequence[Mark], clocks: Clocks) -> dict[str, Any]:
    return {
        "clock": _clock(history, np.array([mark.step for mark in rises], dtype=float), clocks),
        "peaks": _clock(history, np.array([mark.peak for mark in rises], dtype=float), clocks),
        "jumps": [mark.jump for mark in rises],
        "reasons": [_reason(mark) for mark in rises],
    }


def _reason(mark: Mark) -> str:
    return f"Step {mark.step:,}. {mark.reason}"


def _clock(history: History, steps: Array, clocks: Clocks) -> int:
    return clocks.index(history.clock.take(history.rows_of(steps)))


def depth_values(found: Depth | None, history: History, clocks: Clocks) -> dict[str, Any] | None:
    """The grids of ``found``, rows joined."""
    if found is None:
        return None
    measures = dict(MEASURES)
    if history.rate:
        measures["effective_lr"] += f" {history.rate}"
    return {
        "groups": [escaped(name) for name in found.groups],
        "clock": _clock(history, found.edges, clocks),
        "grids": {name: encode(grid.ravel()) for name, grid in found.grids.items()},
        "measures": {name: measures[name] for name in found.grids},
    }


def _period(history: History, clocks: Clocks) -> dict[str, Any]:
    figure, period = one_period(history), typical_period(history)
    if figure is None or period is None:
        why = "has no complete period, so there is nothing to enlarge"
        return {"text": f"{history.label} {why}: {history.diagnosis.headline}.", "panels": []}
    length, share = period.end - period.phase_a, [end - start for _, start, end in period.phases]
    parts = ", ".join(
        f"{steps:,.0f} in phase {letter}" for letter, steps in zip("ABC", share, strict=True)
    )
    text = f"{history.label}, a period of typical length: {length:,.0f} steps, {parts}; "
    text += "a dotted line joins the two peaks in the phase diagram."
    return {"text": text, "panels": paint_web(figure, clocks)}


def _missing(drawn: Sequence[History], axis: TimeAxis) -> str:
    """Why a time axis is not on offer; empty where it is."""
    try:
        for history in drawn:
            check_axis(history, axis)
    except UserError as refusal:
        return str(refusal).split("; choose")[0]
    return ""
