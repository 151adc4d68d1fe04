"""Panels of the same name, one below the other, on axes of the same limits."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from limitcycle.reading.clock import Array
from limitcycle.report.figure import Axis, Figure, Line, Panel, Points, drawable

MARGIN = 0.04  # of the range, on either side


def aligned(figures: Sequence[Figure]) -> list[Figure]:
    """``figures`` in which panels of the same name span the same values; time is left alone."""
    names = {panel.name for figure in figures for panel in figure.panels}
    alike = {
        name: [panel for figure in figures for panel in figure.panels if panel.name == name]
        for name in names
    }
    return [
        replace(figure, panels=tuple(_within(panel, alike[panel.name]) for panel in figure.panels))
        for figure in figures
    ]


def _within(panel: Panel, alike: Sequence[Panel]) -> Panel:
    """``panel`` with the limits of all the panels that are like it."""
    log = any(each.y.log for each in alike)
    y = replace(panel.y, log=log)
    y = replace(y, limits=_limits(y, [_heights(each, log) for each in alike]))
    if panel.x is None:
        return replace(panel, y=y)
    x = replace(panel.x, limits=_limits(panel.x, [_widths(each) for each in alike]))
    return replace(panel, x=x, y=y)


def _heights(panel: Panel, log: bool) -> Array:
    marks = [mark for mark in panel.marks if isinstance(mark, Line | Points)]
    return np.concatenate([np.empty(0), *(drawable(mark.y, log=log) for mark in marks)])


def _widths(panel: Panel) -> Array:
    """Where the marks of a panel that is not drawn against time stand on its horizontal axis."""
    log = panel.x is not None and panel.x.log
    marks = [mark for mark in panel.marks if isinstance(mark, Line | Points)]
    values = [mark.x for mark in marks if isinstance(mark.x, np.ndarray)]
    return np.concatenate([np.empty(0), *(drawable(each, log=log) for each in values)])


def _limits(axis: Axis, values: Sequence[Array]) -> tuple[float, float] | None:
    found = np.concatenate(values)
    found = found[np.isfinite(found)]
    if len(found) == 0 or np.ptp(found) == 0:
        return None
    low, high = found.min(), found.max()
    if axis.log:
        room = (high / low) ** MARGIN
        return (float(low / room), float(high * room))
    room = MARGIN * (high - low)
    return (float(low - room), float(high + room))
