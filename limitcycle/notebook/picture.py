"""A small picture of a run: a few curves on one time axis, as SVG in the page's own colours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

WIDTH, STRIP, GAP, LABEL = 420, 46, 6, 76  # pixels: of the picture, a strip, between two, names
COLUMNS = 170  # as many stretches of time as are drawn apart
JUMP = "#D55E00"


class Curve(NamedTuple):
    """A series on a logarithmic axis.

    Attributes:
        name: stands beside it.
        values: shape (n,); what is not positive leaves a gap.
        colour: any of CSS.
    """

    name: str
    values: Array
    colour: str


def picture(steps: Array, curves: Sequence[Curve], jumps: Sequence[float] = ()) -> str:
    """``curves`` below each other, with a line through all of them at every jump.

    Args:
        steps: shape (n,), ascending.
        curves: of the same length.
        jumps: steps.

    Returns:
        an ``<svg>`` element; empty where there is nothing to draw.
    """
    drawn = [each for each in curves if len(_shown(each.values)) > 1]
    if not drawn or len(steps) < 2:
        return ""
    height = len(drawn) * (STRIP + GAP)
    parts = [_jump(_across(steps, at), height) for at in jumps]
    parts += [_strip(steps, each, row * (STRIP + GAP)) for row, each in enumerate(drawn)]
    names = ", ".join(each.name for each in drawn)
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" '
        f'aria-label="{names} against time" style="max-width:100%;height:auto">'
        f"{''.join(parts)}</svg>"
    )


def _shown(values: Array) -> Array:
    return values[np.isfinite(values) & (values > 0)]


def _across(steps: Array, at: float) -> float:
    """Pixels from the left."""
    share = (at - steps[0]) / max(steps[-1] - steps[0], 1)
    return float(LABEL + share * (WIDTH - LABEL - 2))


def _jump(x: float, height: float) -> str:
    return (
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}" stroke="{JUMP}" '
        'stroke-width="1" opacity="0.35"/>'
    )


def _strip(steps: Array, curve: Curve, top: float) -> str:
    """One curve with its name."""
    shown = _shown(curve.values)
    low, high = np.log(shown.min()), np.log(shown.max())
    points = " ".join(_points(steps, curve.values, top, low, max(high - low, 1e-9)))
    middle = top + STRIP / 2 + 4
    return (
        f'<text x="0" y="{middle:.0f}" font-size="11" fill="currentColor">{curve.name}</text>'
        f'<polyline points="{points}" fill="none" stroke="{curve.colour}" stroke-width="1.3" '
        'stroke-linejoin="round"/>'
    )


def _points(steps: Array, values: Array, top: float, low: float, span: float) -> list[str]:
    """The least and the largest value of every stretch of time, in their order."""
    points = []
    for rows in np.array_split(np.arange(len(steps)), min(COLUMNS, len(steps))):
        kept = rows[np.isfinite(values[rows]) & (values[rows] > 0)]
        if not len(kept):
            continue
        ends = {int(kept[np.argmin(values[kept])]), int(kept[np.argmax(values[kept])])}
        for row in sorted(ends):
            y = top + 2 + (STRIP - 4) * (1 - (np.log(values[row]) - low) / span)
            points.append(f"{_across(steps, steps[row]):.1f},{y:.1f}")
    return points
