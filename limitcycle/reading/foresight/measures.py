"""What the forecast hangs on, of one moment: where the run is, and what its past jumps were like.

Everything is in the run's own units, so nothing of it knows the unit of loss, norm or step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limitcycle.reading.events import Event
from limitcycle.reading.foresight.alarm import curvature_share, is_quiet
from limitcycle.reading.foresight.pace import Pace
from limitcycle.reading.series import Series

RECENT = 5
"""Past jumps that count: a run drifts while it warms up."""

PERIODS = 7
"""... and past periods."""

LAG_ROWS = 20
"""Rows over which the lag of Adam's second moment is taken, but none before the last jump."""

SMALLEST_LAG, LARGEST_LAG = -6.0, 4.0
"""Bounds on its logarithm."""

SMALLEST_RISE, LARGEST_RISE = 0.15, 4.0
SLOWEST = 0.1
"""Bounds on a run's own rise of the effective learning rate a period, and on the share of free
decay at which it rises: beyond them the rows do not show what they are taken for."""


@dataclass(frozen=True)
class Measures:
    """One moment, after two jumps at least.

    Attributes:
        position: e: log effective learning rate from the mean of past thresholds on, in rises.
        rise: this run's own rise of the log effective learning rate a period.
        rise_per_step: how much e grows a step while weight decay has its usual way.
        log_growth: of how much e grows in a usual period.
        last: where the last threshold lay, on the scale of e.
        by_period: where e will be when the usual period is over.
        quiet: whether the loss has no noise of batches.
        curved: h of `curvature_share` where the loss is quiet, else 0.
        age: since the last start, in usual periods.
        period: the usual one, steps.
        lag: log of Σg²/Σv̂ lately, of Adam's second moment; NaN where that is not recorded.
    """

    position: float
    rise: float
    rise_per_step: float
    log_growth: float
    last: float
    by_period: float
    quiet: bool
    curved: float
    age: float
    period: float
    lag: float


def measure(series: Series, pace: Pace, events: Sequence[Event]) -> Measures:
    """The measures of the last row.

    Args:
        series: the rows up to the moment.
        pace: of the same rows.
        events: the jumps in them, two at least.
    """
    starts = np.array([event.start for event in events])
    tops = np.array([event.top for event in events])
    u, z = pace.u, pace.z
    rises = (z[starts[1:]] - z[tops[:-1]])[-RECENT:]
    times = (u[starts[1:]] - u[tops[:-1]])[-RECENT:]
    rise = float(np.clip(np.median(rises), SMALLEST_RISE, LARGEST_RISE))
    share = float(np.clip(np.median(rises / np.maximum(pace.power * times, 1e-12)), SLOWEST, 1.0))
    thresholds = z[starts[-RECENT:]]
    usual = float(np.exp(np.mean(np.log(np.maximum(np.diff(u[starts])[-PERIODS:], 1e-12)))))
    position = float(z[-1] - thresholds.mean()) / rise
    age = float(u[-1] - u[starts[-1]])
    growth = pace.power * share / rise
    first = int(tops[-1])
    quiet = is_quiet(series.loss[first:])
    curved = curvature_share(series, first) if quiet else 0.0
    return Measures(
        position=position,
        rise=rise,
        rise_per_step=growth * pace.rate,
        log_growth=float(np.log(growth * usual)),
        last=float(np.clip((thresholds[-1] - thresholds.mean()) / rise, -2, 2)),
        by_period=float(np.clip(position + growth * (usual - age), -2, 2)),
        quiet=quiet,
        curved=float(np.clip(np.nan_to_num(curved), -1, 1.5)),
        age=age / usual,
        period=usual / pace.rate,
        lag=_lag(series, first),
    )


def _lag(series: Series, first: int) -> float:
    """How large squared gradients are against what Adam divides by, since row ``first``."""
    if series.second_moment_lag is None:
        return float("nan")
    recent = series.second_moment_lag[max(first, len(series) - LAG_ROWS) :]
    recent = recent[np.isfinite(recent) & (recent > 0)]
    if not recent.size:
        return float("nan")
    return float(np.clip(np.log(np.median(recent)), SMALLEST_LAG, LARGEST_LAG))
