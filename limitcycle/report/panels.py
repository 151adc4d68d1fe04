"""The paper's four panels (Figure 2): loss, test error, norm and phase diagram of several runs.

They are built as data; `limitcycle.report.paint` and `limitcycle.report.web` draw them.
"""

from collections.abc import Sequence

import numpy as np

from limitcycle.errors import UserError
from limitcycle.reading.clock import Array, Rows, TimeAxis
from limitcycle.reading.history import PASSED, Track
from limitcycle.report.figure import (
    DASHES,
    RUN_COLOURS,
    TIME_LABELS,
    Axis,
    Figure,
    Key,
    Line,
    Mark,
    Panel,
    Points,
    drawable,
)
from limitcycle.report.thin import rows_to_draw, thin

LOSS = Axis("loss, nats", log=True)
EFFECTIVE_LR = Axis("effective learning rate η/ρ²", log=True)
EFFECTIVE_GRADIENT = Axis("effective gradient\nnorm ρ‖∇f‖", log=True)
NORM = Axis("norm ρ", log=True)
# Panels that show a column against time: title and vertical axis.
CURVES = {
    "loss": ("Training loss", LOSS),
    "norm": ("SI weight norm", NORM),
    "effective_lr": ("Effective learning rate", Axis("effective learning\nrate η/ρ²", log=True)),
    "effective_grad_norm": ("Effective gradient norm", EFFECTIVE_GRADIENT),
    "cosine_distance": ("Distance of a step", Axis("1 − cos(xₜ, xₜ₊₁)", log=True)),
}
ROWS_OF_ALL_RUNS = 48_000
MOST_ROWS_OF_A_RUN = 6_000
MOST_TESTS_OF_A_RUN = 1_500


def four_panels(tracks: Sequence[Track], axis: TimeAxis = "steps") -> Figure:
    """Training loss, test error, norm and phase diagram of all runs.

    Raises:
        UserError: a run has no such time axis (no weight decay, length of the epoch unknown).
    """
    return panels_of(tracks, ("loss", "test_error", "norm", "phase"), axis)


def panels_of(
    tracks: Sequence[Track], names: Sequence[str], axis: TimeAxis = "steps", title: str = ""
) -> Figure:
    """The panels called ``names`` (see `CURVES`, and test_error, phase) of all runs.

    Raises:
        UserError: a run has no such time axis (no weight decay, length of the epoch unknown).
    """
    for track in tracks:
        check_axis(track, axis)
    budget = min(ROWS_OF_ALL_RUNS // len(tracks), MOST_ROWS_OF_A_RUN)
    rows = [rows_to_draw(track, budget) for track in tracks]
    drawn = list(zip(range(len(tracks)), tracks, rows, strict=True))
    keys = tuple(Key(track.label, *_style(run)) for run, track in enumerate(tracks))
    return Figure(tuple(_panel(name, drawn) for name in names), axis, keys, title)


def _panel(name: str, drawn: "Sequence[tuple[int, Track, Rows]]") -> Panel:
    if name == "test_error":
        return _test_error([track for _, track, _ in drawn])
    if name == "phase":
        return _phase_diagram(drawn)
    title, axis = CURVES[name]
    marks = [_loss(*each) if name == "loss" else _curve(*each, name) for each in drawn]
    notes = {f"{track.label}: {track.note}": None for _, track, _ in drawn if track.note}
    return Panel(name, title, axis, _joined(marks), note="; ".join(notes) if name == "norm" else "")


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
    """A column against time: its values, faint behind what is smoother.

    That is the additional pass over the training set, or the mean over an epoch.
    """
    (colour, dash), raw = _style(run), track.columns[name]
    at, mean = track.clock.take(rows), track.means.get(name, raw)
    # Dashes help where the line is smooth; on a noisy one they are noise.
    dash = dash if name == "norm" else "solid"
    line = Line(at, mean[rows], colour, track.label, run, dash, walk=True)
    if name in PASSED and track.passed:
        passes = _passes(track)
        when = track.test_clock.take(passes)
        line = Line(when, track.passed[name][passes], colour, track.label, run, walk=True)
    elif mean is raw:
        return [line]
    return [Line(at, raw[rows], colour, track.label, run, width=0.5, opacity=0.3), line]


def _passes(track: Track) -> Rows:
    """Rows of the epoch table to draw: as many as are drawn of a test error."""
    rows = track.evaluations()
    return rows[thin([track.passed[name][rows] for name in PASSED], MOST_TESTS_OF_A_RUN)]


def _loss(run: int, track: Track, rows: Rows) -> list[Mark]:
    """The loss, with a triangle over every destabilisation that was found."""
    peaks = track.rows_of(track.diagnosis.events["peak"].to_numpy())
    colour, _ = _style(run)
    at, height = track.clock.take(peaks), track.columns["loss"][peaks] * 1.6
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
        at, percent = track.test_clock.take(rows), 100 * track.test_error[rows]
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
    missing, shown = [], []
    for run, track, rows in drawn:
        x, y = (drawable(each, log=True) for each in _phase(track, rows))
        if not np.isfinite(x + y).any():
            missing.append(track.label)
            continue
        shown.append(track)
        marks.append(Line(x, y, _style(run)[0], track.label, run, width=0.8, walk=True))
        marks += [*_threshold(run, track, x), *_starting_point(run, track, x, y)]
    unknown = f"learning rate or gradient norm unknown or 0: {', '.join(missing)}"
    note = "; ".join(filter(None, [unknown if missing else "", no_growth_line(shown)]))
    return Panel("phase", "Phase diagram", EFFECTIVE_GRADIENT, tuple(marks), EFFECTIVE_LR, note)


def _phase(track: Track, rows: Rows) -> tuple[Array, Array]:
    """Effective learning rate and gradient norm: of the additional passes, else of ``rows``."""
    if track.passed:
        passes = _passes(track)
        return track.passed["effective_lr"][passes], track.passed["effective_grad_norm"][passes]
    return track.columns["effective_lr"][rows], track.means["effective_grad_norm"][rows]


def no_growth_line(tracks: Sequence[Track]) -> str:
    """Why runs with momentum have no line of Eq. (3); empty without such runs."""
    moving = [
        track.label for track in tracks if track.momentum != 0 and track.lr * track.weight_decay > 0
    ]
    if not moving:
        return ""
    whose = "" if len(moving) == len(tracks) else f" for {', '.join(moving)}"
    return f"no line of balance{whose}: with momentum earlier gradients act, too"


def _starting_point(run: int, track: Track, x: Array, y: Array) -> list[Mark]:
    first = np.flatnonzero(np.isfinite(x) & np.isfinite(y))[:1]
    return [Points(x[first], y[first], _style(run)[0], f"{track.label}: start", run, size=7.0)]


def _threshold(run: int, track: Track, x: Array) -> list[Mark]:
    """The line η̃·g̃ = √(ηλ(2 − ηλ)), above which a step makes the norm grow."""
    shown = x[np.isfinite(x)]
    if track.threshold is None or len(shown) == 0:
        return []
    ends = np.array([shown.min() / 1.3, shown.max() * 1.3])
    line = track.threshold / ends
    label = f"{track.label}: above this line the norm grows"
    return [Line(ends, line, _style(run)[0], label, run, "dash", width=0.9, opacity=0.8)]
