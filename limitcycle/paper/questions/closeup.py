"""One period from close by, as Figures 3 and 10 draw it: with bounds (17) and the growth line."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from limitcycle.errors import UserError
from limitcycle.paper.evidence import MissingError
from limitcycle.paper.questions.bounded import FitRule, PhaseB, phase_b
from limitcycle.paper.questions.phases import require_period
from limitcycle.reading.clock import Array
from limitcycle.reading.history import History
from limitcycle.report.figure import RUN_COLOURS, Figure, Key, Line, Mark, Panel
from limitcycle.report.period import one_period
from limitcycle.theory import growth_threshold

UPPER, LOWER, GROWTH = RUN_COLOURS[1], RUN_COLOURS[2], RUN_COLOURS[6]
KEYS = (
    Key("upper bound: L, δmax", UPPER, "dash"),
    Key("lower bound: ℓ, δmin", LOWER, "dash"),
    Key("above this line the norm grows", GROWTH, "dash"),
)


def closeup(history: History, title: str, rule: FitRule) -> Figure:
    """The six panels of one period.

    Raises:
        MissingError: the run has no complete period.
    """
    try:
        phase = phase_b(history, require_period(history), rule)
    except UserError as problem:
        raise MissingError(str(problem)) from None
    figure = one_period(history, "steps")
    assert figure is not None, "it has a period"
    more = {"angle": distance_lines(history, phase), "phase": _growth_line(history, figure)}
    panels = tuple(_with(panel, more.get(panel.name, ())) for panel in figure.panels)
    return replace(figure, panels=panels, keys=KEYS, title=title)


def gradient_lines(history: History, phase: PhaseB) -> list[Mark]:
    """ℓ(t) and L(t) against time."""
    return _bounds(history, phase, phase.gradient.lower, phase.gradient.upper)


def distance_lines(history: History, phase: PhaseB) -> list[Mark]:
    """δ_min(t) and δ_max(t) against time."""
    return _bounds(history, phase, phase.distance.lower, phase.distance.upper)


def _bounds(history: History, phase: PhaseB, lower: Array, upper: Array) -> list[Mark]:
    at = history.clock.take(phase.rows)
    return [
        Line(at, upper, UPPER, "upper bound", dash="dash"),
        Line(at, lower, LOWER, "lower bound", dash="dash"),
    ]


def _growth_line(history: History, figure: Figure) -> list[Mark]:
    """η̃·g̃ = √(ηλ(2 − ηλ)) across the phase diagram, within the height of the loop."""
    loop = next(panel for panel in figure.panels if panel.name == "phase")
    lines = [mark for mark in loop.marks if isinstance(mark, Line)]
    x = np.concatenate([np.asarray(line.x, dtype=float) for line in lines])
    y = np.concatenate([line.y for line in lines])
    product = float(growth_threshold(history.lr, history.weight_decay))
    low, high = max(np.nanmin(x), product / np.nanmax(y)), min(np.nanmax(x), product / np.nanmin(y))
    ends = np.array([low, high])
    return [Line(ends, product / ends, GROWTH, KEYS[2].label, dash="dash", width=1.0)]


def _with(panel: Panel, more: Sequence[Mark]) -> Panel:
    return replace(panel, marks=(*panel.marks, *more))
