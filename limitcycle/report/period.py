"""A closer look at one period of one run, its phases A, B and C shaded (the paper's Figure 3)."""

from collections.abc import Sequence

import numpy as np

from limitcycle.reading.clock import Array, Rows, TimeAxis
from limitcycle.reading.history import History
from limitcycle.reading.period import Period, typical_period
from limitcycle.report.figure import (
    PHASE_COLOURS,
    RUN_COLOURS,
    Align,
    Axis,
    Figure,
    Line,
    Mark,
    Panel,
    Span,
)
from limitcycle.report.panels import EFFECTIVE_GRADIENT, LOSS, NORM, check_axis, rate_axis
from limitcycle.report.thin import rows_to_draw

ROWS_OF_A_PERIOD = 1_500
MARGIN = 0.04
THIN = 0.08
"""Share of a period below which a phase has no room for its letter."""
INK = RUN_COLOURS[0]
FEW_TURNS = 8
"""Events that show at a glance that they recur, and are still apart on a screen."""


def most_telling(histories: Sequence[History]) -> int:
    """The run to look at first: of those with several events the one nearest to `FEW_TURNS`."""

    def unclear(at: int) -> tuple[bool, float]:
        events = len(histories[at].diagnosis.events)
        if events < 3:
            return True, -events
        return False, abs(np.log(events / FEW_TURNS))

    return min(range(len(histories)), key=unclear)


def one_period(history: History, axis: TimeAxis = "steps") -> Figure | None:
    """Loss, norm, effective gradient, angle, the jump enlarged, and the loop in the phase diagram.

    Returns:
        The figure; None where the run has no complete period.

    Raises:
        UserError: the run has no such time axis.
    """
    check_axis(history, axis)
    period = typical_period(history)
    if period is None:
        return None
    margin = MARGIN * (period.end - period.phase_a)
    rows = _rows(history, period.phase_a - margin, period.end + margin)
    shading = _shading(history, period)
    panels = (
        Panel("loss", "Training loss", LOSS, (*shading, *_curve(history, rows, "loss"))),
        Panel("norm", "Scale-invariant norm", NORM, (*shading, *_curve(history, rows, "norm"))),
        Panel(
            "gradient",
            "Effective gradient norm",
            Axis("ρ‖∇f‖", log=True),
            (*shading, *_curve(history, rows, "effective_grad_norm")),
        ),
        _angle(history, rows, shading),
        _jump(history, period),
        _loop(history, rows, period),
    )
    return Figure(panels, axis, title=f"One period of {history.label}")


def _rows(history: History, start: float, end: float) -> Rows:
    """Rows to draw from step ``start`` to step ``end``."""
    first, last = np.searchsorted(history.clock.steps, [start, end])
    return rows_to_draw(history, ROWS_OF_A_PERIOD, slice(int(first), int(last) + 1))


def _shading(history: History, period: Period) -> list[Mark]:
    """A band a phase; the letters of thin ones at the borders stand outside of the period."""
    outside: dict[str, Align] = {"A": "right", "C": "left"}
    least = THIN * (period.end - period.phase_a)
    return [
        Span(
            history.clock.take(history.rows_of([start, end])),
            PHASE_COLOURS[letter],
            letter,
            "center" if end - start > least else outside.get(letter, "center"),
        )
        for letter, start, end in period.phases
    ]


def _curve(history: History, rows: Rows, name: str) -> list[Mark]:
    raw = history.columns[name]
    at, mean = history.clock.take(rows), history.means.get(name, raw)
    line = Line(at, mean[rows], INK, history.label, walk=True)
    return [line] if mean is raw else [Line(at, raw[rows], INK, width=0.5, opacity=0.35), line]


def _angle(history: History, rows: Rows, shading: list[Mark]) -> Panel:
    """Cosine distance of neighbouring weights: the δ of the paper's δ-jumps (Definition 1)."""
    axis = Axis("1 − cos(xₜ, xₜ₊₁)", log=True)
    if not np.isfinite(history.columns["cosine_distance"]).any():
        return Panel(
            "angle", "Distance of a step", axis, (), note="the angle of a step was not recorded"
        )
    marks = (*shading, *_curve(history, rows, "cosine_distance"))
    return Panel("angle", "Distance of a step", axis, marks)


def _jump(history: History, period: Period) -> Panel:
    """Phase C enlarged: the loss leaves first, the norm follows (Section 3)."""
    room = max(period.end - period.phase_c, 8.0)
    rows = _rows(history, period.phase_c - 0.5 * room, period.end + room)
    start = history.rows_of([period.phase_c])
    at = history.clock.take(rows)
    phase_c = Span(
        history.clock.take(history.rows_of([period.phase_c, period.end])), PHASE_COLOURS["C"], "C"
    )
    lines = [
        Line(at, _relative(history.columns["loss"], rows, start), INK, "loss"),
        Line(
            at,
            _relative(history.columns["norm"], rows, start),
            RUN_COLOURS[1],
            "norm ρ",
            None,
            "dash",
        ),
    ]
    axis = Axis("ratio to start of C", log=True)
    title = "Phase C: loss, norm (dashed)"
    return Panel("jump", title, axis, (phase_c, *lines), enlarged=True)


def _relative(values: Array, rows: Rows, start: Rows) -> Array:
    return values[rows] / values[start]


def _loop(history: History, rows: Rows, period: Period) -> Panel:
    """The period as a loop in the phase diagram, each phase in its colour, both ends included.

    A dotted line closes it: the next period begins where this one ends, at another peak.
    """
    x, y = history.columns["effective_lr"], history.means["effective_grad_norm"]
    steps = history.clock.steps[rows]
    marks: list[Mark] = []
    for letter, start, end in period.phases:
        inside = np.union1d(rows[(steps >= start) & (steps <= end)], history.rows_of([start, end]))
        marks.append(
            Line(x[inside], y[inside], PHASE_COLOURS[letter], f"phase {letter}", width=1.6)
        )
    peaks = history.rows_of([period.end, period.phase_a])
    name = "from this peak back to the one before"
    marks.append(Line(x[peaks], y[peaks], RUN_COLOURS[6], name, dash="dot"))
    return Panel("phase", "Phase diagram", EFFECTIVE_GRADIENT, tuple(marks), rate_axis([history]))
