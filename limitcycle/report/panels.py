"""The paper's four panels (Figure 2): loss, test error, norm and phase diagram of several runs.

They are built as data; `limitcycle.report.paint` and `limitcycle.report.web` draw them.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from limitcycle.errors import UserError
from limitcycle.reading.clock import Array, Rows, TimeAxis
from limitcycle.reading.history import OF_SGD, PASSED, History
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
EFFECTIVE_LR = Axis("effective learning rate η/ρ²", log=True)  # of SGD
EFFECTIVE_GRADIENT = Axis("effective gradient\nnorm ρ‖∇f‖", log=True)
NORM = Axis("norm ρ", log=True)
# Panels that show a column against time: title and vertical axis.
CURVES = {
    "loss": ("Training loss", LOSS),
    "norm": ("Scale-invariant norm", NORM),
    "effective_lr": ("Effective learning rate", Axis("effective learning\nrate", log=True)),
    "effective_grad_norm": ("Effective gradient norm", EFFECTIVE_GRADIENT),
    "cosine_distance": ("Distance of a step", Axis("1 − cos(xₜ, xₜ₊₁)", log=True)),
}
_LONG = {"norm": "Norm of the scale-invariant weights"}
ROWS_OF_ALL_RUNS = 48_000
MOST_ROWS_OF_A_RUN = 6_000
MOST_TESTS_OF_A_RUN = 1_500


def four_panels(histories: Sequence[History], axis: TimeAxis = "steps") -> Figure:
    """Training loss, test error, norm and phase diagram of all runs.

    Where no test error was measured the effective learning rate has its place, if it is known.

    Raises:
        UserError: a run has no such time axis (no weight decay, length of the epoch unknown).
    """
    second = "test_error"
    if not _tested(histories) and _rated(histories):
        second = "effective_lr"
    return panels_of(histories, ("loss", second, "norm", "phase"), axis)


def stacked_panels(
    histories: Sequence[History], axis: TimeAxis = "steps", first: int = 0
) -> Figure:
    """What the page shows on one time axis: loss, effective learning rate, norm, test error.

    Those two that may be unknown are left out where they are, in all runs. The runs count from
    ``first``: so they get their colours.

    Raises:
        UserError: a run has no such time axis (no weight decay, length of the epoch unknown).
    """
    names = ["loss", "norm"]
    if _rated(histories):
        names.insert(1, "effective_lr")
    if _tested(histories):
        names.append("test_error")
    figure = panels_of(histories, names, axis, first=first)
    return replace(figure, panels=tuple(map(_spelt_out, figure.panels)))


def _spelt_out(panel: Panel) -> Panel:
    """A panel as wide as the page has room for its title."""
    return replace(panel, title=_LONG.get(panel.name, panel.title))


def rate_axis(histories: Sequence[History], between: str = " ") -> Axis:
    """The axis of the effective learning rate, with its formula where all runs have one.

    ``between`` its words stands a space or, where the axis is short, a break.
    """
    rates = {history.rate for history in histories}
    rate = f" {rates.pop()}" if len(rates) == 1 else ""
    return Axis(f"effective learning{between}rate{rate}".rstrip(), log=True)


def _tested(histories: Sequence[History]) -> bool:
    return any(np.isfinite(history.test_error).any() for history in histories)


def _rated(histories: Sequence[History]) -> bool:
    """Whether an effective learning rate can be drawn for any run."""
    found = (drawable(history.columns["effective_lr"], log=True) for history in histories)
    return any(np.isfinite(rates).any() for rates in found)


def panels_of(
    histories: Sequence[History],
    names: Sequence[str],
    axis: TimeAxis = "steps",
    title: str = "",
    first: int = 0,
) -> Figure:
    """The panels called ``names`` (see `CURVES`, and test_error, phase) of all runs.

    The runs count from ``first``: so they get their colours.

    Raises:
        UserError: a run has no such time axis (no weight decay, length of the epoch unknown).
    """
    for history in histories:
        check_axis(history, axis)
    budget = min(ROWS_OF_ALL_RUNS // len(histories), MOST_ROWS_OF_A_RUN)
    rows = [rows_to_draw(history, budget) for history in histories]
    places = range(first, first + len(histories))
    drawn = list(zip(places, histories, rows, strict=True))
    keys = tuple(Key(history.label, *style_of(run)) for run, history, _ in drawn)
    return Figure(tuple(_panel(name, drawn) for name in names), axis, keys, title)


def _panel(name: str, drawn: "Sequence[tuple[int, History, Rows]]") -> Panel:
    if name == "test_error":
        return _test_error([(run, history) for run, history, _ in drawn])
    if name == "phase":
        return _phase_diagram(drawn)
    title, axis = CURVES[name]
    if name == "effective_lr":
        axis = rate_axis([history for _, history, _ in drawn], "\n")
    marks = [_loss(*each) if name == "loss" else _curve(*each, name) for each in drawn]
    notes = {f"{history.label}: {history.note}": None for _, history, _ in drawn if history.note}
    return Panel(name, title, axis, _joined(marks), note="; ".join(notes) if name == "norm" else "")


def check_axis(history: History, axis: TimeAxis) -> None:
    """Refuse a time axis that a run does not have.

    Raises:
        UserError: with the reason.
    """
    if history.clock.on(axis) is None:
        lacks = "epoch column" if axis == "epochs" else "weight decay, so 1/(ηλ) is no time"
        raise UserError(
            f"run {history.source.name!r} cannot be drawn against {TIME_LABELS[axis]}: it has no "
            f"{lacks}; choose --axis steps"
        )


def style_of(run: int) -> tuple[str, str]:
    """Colour and dash: dashes tell apart those that share a colour."""
    turn, place = divmod(run, len(RUN_COLOURS))
    return RUN_COLOURS[place], DASHES[turn % len(DASHES)]


def _joined(marks: Sequence[list[Mark]]) -> tuple[Mark, ...]:
    return tuple(mark for each in marks for mark in each)


def _curve(run: int, history: History, rows: Rows, name: str) -> list[Mark]:
    """A column against time: its values, faint behind what is smoother.

    That is the additional pass over the training set, or the mean over an epoch.
    """
    (colour, dash), raw = style_of(run), history.columns[name]
    at, mean = history.clock.take(rows), history.means.get(name, raw)
    line = Line(at, mean[rows], colour, history.label, run, dash, walk=True)
    if name in PASSED and history.passed:
        passes = _passes(history)
        when = history.test_clock.take(passes)
        line = Line(when, history.passed[name][passes], colour, history.label, run, dash, walk=True)
    elif mean is raw:
        return [line]
    return [Line(at, raw[rows], colour, history.label, run, width=0.5, opacity=0.3), line]


def _passes(history: History) -> Rows:
    """Rows of the epoch table to draw: as many as are drawn of a test error."""
    rows = history.evaluations()
    return rows[thin([history.passed[name][rows] for name in PASSED], MOST_TESTS_OF_A_RUN)]


def _loss(run: int, history: History, rows: Rows) -> list[Mark]:
    """The loss, with a triangle over every destabilisation that was found."""
    peaks = history.rows_of(history.diagnosis.events["peak"].to_numpy())
    colour, _ = style_of(run)
    at, height = history.clock.take(peaks), history.columns["loss"][peaks] * 1.6
    found = Points(at, height, colour, f"{history.label}: destabilisation", run, "triangle", 4.0)
    return [*_curve(run, history, rows, "loss"), found]


def _test_error(drawn: Sequence[tuple[int, History]]) -> Panel:
    histories = [history for _, history in drawn]
    marks: list[Mark] = []
    missing = []
    for run, history in drawn:
        measured = np.flatnonzero(np.isfinite(history.test_error))
        if len(measured) == 0:
            missing.append(history.label)
            continue
        rows = measured[thin([history.test_error[measured]], MOST_TESTS_OF_A_RUN)]
        at, percent = history.test_clock.take(rows), 100 * history.test_error[rows]
        colour, dash = style_of(run)
        marks.append(Line(at, percent, colour, history.label, run, dash, 0.9, 0.85, walk=True))
    note = f"not measured for {', '.join(missing)}" if missing else ""
    if len(missing) == len(histories):
        note = "the test error was not measured in these runs"
    shown = np.concatenate(
        [history.test_error[np.isfinite(history.test_error)] for history in histories]
    )
    wide = len(shown) > 0 and shown.max() > 30 * shown.min() > 0
    axis = Axis("test error, %", log=bool(wide))
    return Panel("test_error", "Test error", axis, tuple(marks), note=note)


def _phase_diagram(drawn: Sequence[tuple[int, History, Rows]]) -> Panel:
    """Effective gradient norm against effective learning rate, with the line of Eq. (3)."""
    marks: list[Mark] = []
    missing, shown = [], []
    for run, history, rows in drawn:
        x, y = (drawable(each, log=True) for each in _phase(history, rows))
        if not np.isfinite(x + y).any():
            missing.append(history.label)
            continue
        shown.append(history)
        colour, dash = style_of(run)
        marks.append(Line(x, y, colour, history.label, run, dash, width=0.8, walk=True))
        marks += [*_threshold(run, history, x), *_starting_point(run, history, x, y)]
    unknown = f"learning rate or gradient norm unknown or 0: {', '.join(missing)}"
    note = "; ".join(filter(None, [unknown if missing else "", no_growth_line(shown)]))
    return Panel("phase", "Phase diagram", EFFECTIVE_GRADIENT, tuple(marks), rate_axis(shown), note)


def _phase(history: History, rows: Rows) -> tuple[Array, Array]:
    """Effective learning rate and gradient norm: of the additional passes, else of ``rows``."""
    if history.passed:
        passes = _passes(history)
        return history.passed["effective_lr"][passes], history.passed["effective_grad_norm"][passes]
    return history.columns["effective_lr"][rows], history.means["effective_grad_norm"][rows]


def no_growth_line(histories: Sequence[History]) -> str:
    """Why runs have no line of Eq. (3); empty where all have, or nobody would look for one."""
    decayed = [history for history in histories if history.lr * history.weight_decay > 0]
    others = [history.label for history in decayed if history.rate != OF_SGD]
    moving = [h.label for h in decayed if h.rate == OF_SGD and h.momentum != 0]
    reasons = {"it is known for SGD alone": others}
    reasons["with momentum earlier gradients act, too"] = moving
    parts = []
    for reason, names in reasons.items():
        whose = "" if len(names) == len(histories) else f" for {', '.join(names)}"
        if names:
            parts.append(f"no line of balance{whose}: {reason}")
    return "; ".join(parts)


def _starting_point(run: int, history: History, x: Array, y: Array) -> list[Mark]:
    first = np.flatnonzero(np.isfinite(x) & np.isfinite(y))[:1]
    return [Points(x[first], y[first], style_of(run)[0], f"{history.label}: start", run, size=7.0)]


def _threshold(run: int, history: History, x: Array) -> list[Mark]:
    """The line η̃·g̃ = √(ηλ(2 − ηλ)), above which a step makes the norm grow."""
    shown = x[np.isfinite(x)]
    if history.threshold is None or len(shown) == 0:
        return []
    ends = np.array([shown.min() / 1.3, shown.max() * 1.3])
    line = history.threshold / ends
    label = f"{history.label}: above this line the norm grows"
    return [Line(ends, line, style_of(run)[0], label, run, "dash", width=0.9, opacity=0.8)]
