"""A closer look at one period of one run, its phases A, B and C shaded (the paper's Figure 3)."""

from collections.abc import Sequence

import numpy as np

from limitcycle.reading.clock import Array, Rows, TimeAxis
from limitcycle.reading.history import Track
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
from limitcycle.report.panels import EFFECTIVE_GRADIENT, EFFECTIVE_LR, LOSS, NORM, check_axis
from limitcycle.report.thin import rows_to_draw

ROWS_OF_A_PERIOD = 1_500
MARGIN = 0.04
THIN = 0.08
"""Share of a period below which a phase has no room for its letter."""
INK = RUN_COLOURS[0]


def most_telling(tracks: Sequence[Track]) -> int:
    """The run to look at closely: of those with at least three events the one with the fewest."""
    events = [len(track.diagnosis.events) for track in tracks]
    return min(
        range(len(tracks)),
        key=lambda at: (events[at] < 3, events[at] if events[at] >= 3 else -events[at]),
    )


def one_period(track: Track, axis: TimeAxis = "steps") -> Figure | None:
    """Loss, norm, effective gradient, angle, the jump enlarged, and the loop in the phase diagram.

    Returns:
        The figure; None where the run has no complete period.

    Raises:
        UserError: the run has no such time axis.
    """
    check_axis(track, axis)
    period = typical_period(track)
    if period is None:
        return None
    margin = MARGIN * (period.end - period.phase_a)
    rows = _rows(track, period.phase_a - margin, period.end + margin)
    shading = _shading(track, period)
    panels = (
        Panel("loss", "Training loss", LOSS, (*shading, *_curve(track, rows, "loss"))),
        Panel("norm", "SI weight norm", NORM, (*shading, *_curve(track, rows, "norm"))),
        Panel(
            "gradient",
            "Effective gradient norm",
            Axis("ρ‖∇f‖", log=True),
            (*shading, *_curve(track, rows, "effective_grad_norm")),
        ),
        _angle(track, rows, shading),
        _jump(track, period),
        _loop(track, rows, period),
    )
    return Figure(panels, axis, title=f"One period of {track.label}")


def _rows(track: Track, start: float, end: float) -> Rows:
    """Rows to draw from step ``start`` to step ``end``."""
    first, last = np.searchsorted(track.clock.steps, [start, end])
    return rows_to_draw(track, ROWS_OF_A_PERIOD, slice(int(first), int(last) + 1))


def _shading(track: Track, period: Period) -> list[Mark]:
    """A band a phase; the letters of thin ones at the borders stand outside of the period."""
    outside: dict[str, Align] = {"A": "right", "C": "left"}
    least = THIN * (period.end - period.phase_a)
    return [
        Span(
            track.clock.take(track.rows_of([start, end])),
            PHASE_COLOURS[letter],
            letter,
            "center" if end - start > least else outside.get(letter, "center"),
        )
        for letter, start, end in period.phases
    ]


def _curve(track: Track, rows: Rows, name: str) -> list[Mark]:
    raw = track.columns[name]
    at, mean = track.clock.take(rows), track.means.get(name, raw)
    line = Line(at, mean[rows], INK, track.label, walk=True)
    return [line] if mean is raw else [Line(at, raw[rows], INK, width=0.5, opacity=0.35), line]


def _angle(track: Track, rows: Rows, shading: list[Mark]) -> Panel:
    """Cosine distance of neighbouring weights: the δ of the paper's δ-jumps (Definition 1)."""
    axis = Axis("1 − cos(xₜ, xₜ₊₁)", log=True)
    if not np.isfinite(track.columns["cosine_distance"]).any():
        return Panel(
            "angle", "Distance of a step", axis, (), note="the angle of a step was not recorded"
        )
    marks = (*shading, *_curve(track, rows, "cosine_distance"))
    return Panel("angle", "Distance of a step", axis, marks)


def _jump(track: Track, period: Period) -> Panel:
    """Phase C enlarged: the loss leaves first, the norm follows (Section 3)."""
    room = max(period.end - period.phase_c, 8.0)
    rows = _rows(track, period.phase_c - 0.5 * room, period.end + room)
    start = track.rows_of([period.phase_c])
    at = track.clock.take(rows)
    phase_c = Span(
        track.clock.take(track.rows_of([period.phase_c, period.end])), PHASE_COLOURS["C"], "C"
    )
    lines = [
        Line(at, _relative(track.columns["loss"], rows, start), INK, "loss"),
        Line(
            at,
            _relative(track.columns["norm"], rows, start),
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


def _loop(track: Track, rows: Rows, period: Period) -> Panel:
    """The period as a loop in the phase diagram, each phase in its colour, both ends included.

    A dotted line closes it: the next period begins where this one ends, at another peak.
    """
    x, y = track.columns["effective_lr"], track.means["effective_grad_norm"]
    steps = track.clock.steps[rows]
    marks: list[Mark] = []
    for letter, start, end in period.phases:
        inside = np.union1d(rows[(steps >= start) & (steps <= end)], track.rows_of([start, end]))
        marks.append(
            Line(x[inside], y[inside], PHASE_COLOURS[letter], f"phase {letter}", width=1.6)
        )
    peaks = track.rows_of([period.end, period.phase_a])
    name = "from this peak back to the one before"
    marks.append(Line(x[peaks], y[peaks], RUN_COLOURS[6], name, dash="dot"))
    return Panel("phase", "Phase diagram", EFFECTIVE_GRADIENT, tuple(marks), EFFECTIVE_LR)
