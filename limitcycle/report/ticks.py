"""Where values lie along an axis counted in cells, and the lines of constant ηλ across it."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from limitcycle.lab.plane import Plane
from limitcycle.reading.clock import Array

_FEW = 6  # values are all written down; of more only round ones are
_POINTS = 200  # of a line across the plane
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class ProductLine(NamedTuple):
    """A line of constant ηλ: its name, and its points in cells, inside of the plane."""

    text: str
    x: Array
    y: Array


def said(value: Any) -> str:
    """A setting's value as a reader sees it."""
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def ticks(values: Sequence[Any]) -> tuple[tuple[float, str], ...]:
    """Where an axis of these values has ticks, and what they say."""
    if len(values) <= _FEW or not _are_positive_numbers(values):
        return tuple((float(at), said(value)) for at, value in enumerate(values))
    low, high = float(values[0]), float(values[-1])
    if low > 0 and high / low >= 10:
        leading = (1,) if high / low >= 100 else (1, 3)
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        wanted = [float(f"{lead}e{at}") for at in decades for lead in leading]
    else:
        stride = -(-len(values) // _FEW)
        wanted = [float(value) for value in values[::stride]]
    places = position(values, np.array(wanted))
    return tuple(
        (float(at), said(value))
        for at, value in zip(places, wanted, strict=True)
        if np.isfinite(at)
    )


def position(values: Sequence[Any], wanted: Array) -> Array:
    """Where the numbers ``wanted`` lie along an axis of ``values``, in cells; NaN beyond its ends.

    Between two positive values they go by ratios, and half a cell beyond the first and the last.
    """
    at = np.array([index for index, value in enumerate(values) if value > 0], dtype=float)
    known = np.log([value for value in values if value > 0])
    if len(known) < 2:
        return np.full(len(wanted), np.nan)
    first, last = known[1] - known[0], known[-1] - known[-2]
    known = np.array([known[0] - first / 2, *known, known[-1] + last / 2])
    at = np.array([at[0] - 0.5, *at, at[-1] + 0.5])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.interp(np.log(wanted), known, at, left=np.nan, right=np.nan))


def product_lines(plane: Plane) -> list[ProductLine]:
    """The lines of round constant ηλ over a plane of learning rate and weight decay; else none."""
    if {plane.x, plane.y} != {"lr", "weight_decay"}:
        return []
    across = np.linspace(-0.5, len(plane.xs) - 0.5, _POINTS)
    marks = position(plane.xs, np.array(plane.xs, dtype=float))
    known = np.isfinite(marks)
    if known.sum() < 2:
        return []
    logs = np.log(np.array(plane.xs, dtype=float)[known])
    x = np.exp(_extended(across, marks[known], logs))
    found = []
    for product in _round_products(plane):
        y = position(plane.ys, product / x)
        inside = np.isfinite(y) & np.isfinite(x)
        if inside.sum() > 1:
            found.append(ProductLine(_power(product), across[inside], y[inside]))
    return found


def _extended(across: Array, marks: Array, logs: Array) -> Array:
    """Piecewise linear through the marks, and straight on for half a cell; NaN further out."""
    ends = (logs[0] - (logs[1] - logs[0]) / 2, logs[-1] + (logs[-1] - logs[-2]) / 2)
    at = np.array([marks[0] - 0.5, *marks, marks[-1] + 0.5])
    values = np.array([ends[0], *logs, ends[1]])
    return np.asarray(np.interp(across, at, values, left=np.nan, right=np.nan))


def _round_products(plane: Plane) -> list[float]:
    """Powers of ten between the least and the largest ηλ, two to six of them."""
    products = [cell.run.lr * cell.run.weight_decay for cell in plane.cells if cell.run]
    positive = [product for product in products if product > 0]
    if not positive:
        return []
    low, high = math.log10(min(positive)), math.log10(max(positive))
    stride = max(1, math.ceil((high - low) / 6))
    return [float(f"1e{at}") for at in range(math.ceil(low), math.floor(high) + 1, stride)]


def _are_positive_numbers(values: Sequence[Any]) -> bool:
    """Whether an axis can be read by the values: all are numbers above 0."""
    return all(isinstance(v, int | float) and v > 0 for v in values)


def _power(value: float) -> str:
    return "10" + str(round(math.log10(value))).translate(_SUPERSCRIPTS)
