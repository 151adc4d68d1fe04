"""What several seeds say together: their spread, and t-intervals of differences.

The seeds are few, so nothing is resampled: an interval is Student's, at 95 %.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Quantiles 0.975 of Student's t with 1, 2, 3, … degrees of freedom; beyond them the last one.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
      2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086)  # fmt: skip


class Interval(NamedTuple):
    """A mean with its 95 % interval; NaN where there is nothing to take it of."""

    middle: float
    low: float
    high: float

    @property
    def known(self) -> bool:
        """Whether there was enough to tell."""
        return math.isfinite(self.low) and math.isfinite(self.high)


UNKNOWN = Interval(math.nan, math.nan, math.nan)


def spread(values: Sequence[float], form: str = ".2g") -> str:
    """Median and range as text: "0.45 [0.40, 0.52]"."""
    found = _finite(values)
    if not len(found):
        return "none"
    middle, low, high = (float(f(found)) for f in (np.median, np.min, np.max))
    if low == high:
        return format(middle, form)
    return f"{format(middle, form)} [{format(low, form)}, {format(high, form)}]"


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of a few seeds with its t-interval."""
    found = _finite(values)
    if len(found) < 2:
        return UNKNOWN
    return _around(float(found.mean()), float(found.var(ddof=1)) / len(found), len(found) - 1)


def difference(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """Mean of ``ours`` less that of ``theirs``, with Welch's interval: variances may differ."""
    one, other = _finite(ours), _finite(theirs)
    if len(one) < 2 or len(other) < 2:
        return UNKNOWN
    parts = [float(each.var(ddof=1)) / len(each) for each in (one, other)]
    variance = sum(parts)
    freedom = float(len(one) + len(other) - 2)
    if variance > 0:
        weighted = parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(other) - 1)
        freedom = variance**2 / weighted
    return _around(float(one.mean() - other.mean()), variance, freedom)


def log_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The same of logarithms: of values above 0, whose ratio is asked for."""
    return difference(_logs(ours), _logs(theirs))


def as_ratio(logs: Interval, form: str = ".2f") -> str:
    """An interval of logarithms as a factor: "× 0.80 [0.71, 0.92]"."""
    middle, low, high = (format(math.exp(each), form) for each in logs)
    return f"× {middle} [{low}, {high}]"


def as_percent(interval: Interval) -> str:
    """A difference of fractions in percent: "-0.40% [-1.20%, +0.40%]"."""
    middle, low, high = (format(each, "+.2%") for each in interval)
    return f"{middle} [{low}, {high}]"


def error_of_difference(one: float, other: float, images: int) -> float:
    """Binomial standard error of the difference of two error rates on so many images each."""
    variance = (one * (1 - one) + other * (1 - other)) / images
    return math.sqrt(max(variance, 0.0))


def _around(middle: float, variance: float, freedom: float) -> Interval:
    reach = _quantile(freedom) * math.sqrt(variance)
    return Interval(middle, middle - reach, middle + reach)


def _quantile(freedom: float) -> float:
    """Degrees of freedom are rounded down, which makes the interval wider."""
    return _T[min(max(int(freedom + 1e-9), 1), len(_T)) - 1]


def _finite(values: Sequence[float]) -> NDArray[np.float64]:
    found = np.asarray(list(values), dtype=np.float64)
    return found[np.isfinite(found)]


def _logs(values: Sequence[float]) -> list[float]:
    return [math.log(value) for value in values if value > 0 and math.isfinite(value)]
