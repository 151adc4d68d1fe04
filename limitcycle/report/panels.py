"""The paper's four panels (Figure 2): loss, test error, norm and phase diagram of several runs.

They are built as data; `limitcycle.report.paint` and `limitcycle.report.web` draw them.
"""

from collections.abc import Sequence

import numpy as np

from limitcycle.errors import UserError
from limitcycle.report.figure import (
    DASHES,
    RUN_COLOURS,
    TIME_LABELS,
    Array,
    Axis,
    Clock,
    Figure,
    Key,
    Line,
    Mark,
    Panel,
    Points,
    TimeAxis,
)
from limitcycle.report.thin import Rows, thin
from limitcycle.report.track import Track
from limitcycle.theory import growth_threshold

LOSS = Axis("loss, nats", log=True)
EFFECTIVE_LR = Axis("effective learning rate η/ρ²", log=True)
EFFECTIVE_GRADIENT = Axis("effective gradient\nnorm ρ‖∇f‖", log=True)
NORM = Axis("norm ρ", log=True)
ROWS_OF_ALL_RUNS = 48_000
MOST_ROWS_OF_A_RUN = 6_000
MOST_TESTS_OF_A_RUN = 1_500


def four_panels(tracks: Sequence[Track], axis: TimeAxis = "steps") -> Figure:
    """Training loss, test error, norm and phase diagram of all runs.

    Raises:
        UserError: a run has no such time axis (no weight decay, length of the epoch unknown).
    """
    for track in tracks:
        check_axis(track, axis)
    budget = min(ROWS_OF_ALL_RUNS // len(tracks), MOST_ROWS_OF_A_RUN)
    rows = [track.rows_to_draw(budget) for track in tracks]
    drawn = list(zip(range(len(tracks)), tracks, rows, strict=True))
    panels = (
        Panel("loss", "Training loss", LOSS, _joined([_loss(*each) for each in drawn])),
        _test_error(tracks),
        Panel("norm", "SI weight norm", NORM, _joined([_curve(*each, "norm") for each in drawn])),
        _phase_diagram(drawn),
    )
    keys = tuple(Key(track.label, *_style(run)) for run, track in enumerate(tracks))
    return Figure(panels, axis, keys)


def check_axis(track: Track, axis: TimeAxis) -> None:
    """Refuse a time axis that a run does not have.

    Raises:
        UserError: with the reason.
    """
    if track.clock.on(axis) is None:
        lacks = "epoch column" if axis == "epochs" else "weight decay, so 1/(ηλ) is no time"
        raise UserError(
            f"run {track.source.name!r} cannot be drawn against {TIME_LABELS[axis]}: it has no "
            f"{lacks}; choose --axis steps"
        )


def _style(run: int) -> tuple[str, str]:
    return RUN_COLOURS[run % len(RUN_COLOURS)], DASHES[run % len(DASHES)]


def _joined(marks: Sequence[list[Mark]]) -> tuple[Mark, ...]:
    return tuple(mark for each in marks for mark in each)


def _curve(run: int, track: Track, rows: Rows, name: str) -> list[Mark]:
    """A column against time: its values, faint behind their means where those are smoother."""
    (colour, dash), raw = _style(run), track.columns[name]
    at, mean = take(track.clock, rows), track.means.get(name, raw)
    # Dashes help where the line is smooth; on a noisy one they are noise.
    dash = dash if name == "norm" else "solid"
    line = Line(at, mean[rows], colour, track.label, run, dash, walk=True)
    if mean is raw:
        return [line]
    return [Line(at, raw[rows], colour, track.label, run, width=0.5, opacity=0.3), line]


def _loss(run: int, track: Track, rows: Rows) -> list[Mark]:
    """The loss, with a triangle over every destabilisation that was found."""
    peaks = track.rows_of(track.verdict.events["peak"].to_numpy())
    colour, _ = _style(run)
    at, height = take(track.clock, peaks), track.columns["loss"][peaks] * 1.6
    found = Points(at, height, colour, f"{track.label}: destabilisation", run, "triangle", 4.0)
    return [*_curve(run, track, rows, "loss"), found]


def _test_error(tracks: Sequence[Track]) -> Panel:
    marks: list[Mark] = []
    missing = []
    for run, track in enumerate(tracks):
        measured = np.flatnonzero(np.isfinite(track.test_error))
        if len(measured) == 0:
            missing.append(track.label)
            continue
        rows = measured[thin([track.test_error[measured]], MOST_TESTS_OF_A_RUN)]
        at, percent = take(track.test_clock, rows), 100 * track.test_error[rows]
        marks.append(Line(at, percent, _style(run)[0], track.label, run, width=0.9, opacity=0.85))
    note = f"not measured for {', '.join(missing)}" if missing else ""
    if len(missing) == len(tracks):
        note = "the test error was not measured in these runs"
    shown = np.concatenate([track.test_error[np.isfinite(track.test_error)] for track in tracks])
    wide = len(shown) > 0 and shown.max() > 30 * shown.min() > 0
    axis = Axis("test error, %", log=bool(wide))
    return Panel("test_error", "Test error", axis, tuple(marks), note=note)


def _phase_diagram(drawn: Sequence[tuple[int, Track, Rows]]) -> Panel:
    """Effective gradient norm against effective learning rate, with the line of Eq. (3)."""
    marks: list[Mark] = []
    missing = []
    for run, track, rows in drawn:
        x = track.columns["effective_lr"][rows]
        y = track.means["effective_grad_norm"][rows]
        if not np.isfinite(x * y).any():
            missing.append(track.label)
            continue
        marks.append(Line(x, y, _style(run)[0], track.label, run, width=0.8, walk=True))
        marks += [*_threshold(run, track, x), *_starting_point(run, track, x, y)]
    note = f"learning rate or gradient norm unknown: {', '.join(missing)}" if missing else ""
    return Panel("phase", "Phase diagram", EFFECTIVE_GRADIENT, tuple(marks), EFFECTIVE_LR, note)


def _starting_point(run: int, track: Track, x: Array, y: Array) -> list[Mark]:
    first = np.flatnonzero((x > 0) & (y > 0) & np.isfinite(x * y))[:1]
    return [Points(x[first], y[first], _style(run)[0], f"{track.label}: start", run, size=7.0)]


def _threshold(run: int, track: Track, x: Array) -> list[Mark]:
    """The line η̃·g̃ = √(ηλ(2 − ηλ)), above which a step makes the norm grow."""
    product, shown = track.lr * track.weight_decay, x[np.isfinite(x) & (x > 0)]
    if not product > 0 or len(shown) == 0:
        return []
    ends = np.array([shown.min() / 1.3, shown.max() * 1.3])
    line = float(growth_threshold(track.lr, track.weight_decay)) / ends
    label = f"{track.label}: above this line the norm grows"
    return [Line(ends, line, _style(run)[0], label, run, "dash", width=0.9, opacity=0.8)]


def take(clock: Clock, rows: Rows) -> Clock:
    """Some of the instants of a clock."""
    parts = (clock.epochs, clock.periods)
    return Clock(clock.steps[rows], *(None if part is None else part[rows] for part in parts))
