"""Scales of colours: where a value lies on one, and the ticks of its bar."""

import math

import numpy as np

from limitcycle.reading.clock import Array
from limitcycle.report.figure import Scale


def shares(scale: Scale, values: Array) -> Array:
    """How far ``values`` lie from the first stop (0) to the last (1), same shape."""
    ends = np.array([scale.stops[0][0], scale.stops[-1][0]])
    if scale.log:
        values, ends = np.log(np.maximum(values, ends[0])), np.log(ends)
    return np.asarray((values - ends[0]) / (ends[1] - ends[0]))


def stops_of(scale: Scale) -> list[tuple[float, str]]:
    """The stops by their shares."""
    places = shares(scale, np.array([value for value, _ in scale.stops]))
    return [(float(at), colour) for at, (_, colour) in zip(places, scale.stops, strict=True)]


def bar_ticks(scale: Scale) -> list[tuple[float, str]]:
    """A few round values of a logarithmic scale, and what the bar says there."""
    factor = 100 if scale.percent else 1
    found = round_values(scale.stops[0][0], scale.stops[-1][0])
    return [(value, f"{factor * value:g}") for value in found]


def round_values(low: float, high: float) -> list[float]:
    """A few round values from ``low`` > 0 to ``high``."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for leading in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        each = [float(f"{lead}e{at}") for at in decades for lead in leading]
        found = [value for value in each if low * 0.999 <= value <= high * 1.001]
        if len(found) >= 3:
            break
    return found
