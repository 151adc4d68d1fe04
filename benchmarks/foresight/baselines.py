"""What the forecast has to beat: the rule it replaces, the last period, the median of past periods.

Each says one number: steps until the next jump. To be compared as distributions, too, each gets the
scatter that its errors had on the runs of the fit, in units of the run's median period (`spread`).
"""

import math
from collections.abc import Sequence

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.decay import log_decay
from limitcycle.reading.events import Event
from limitcycle.reading.series import Series

RECENT = 7  # periods whose median counts


def rule_of_before(series: Series, events: Sequence[Event]) -> float:
    """Steps by the rule of limitcycle before calibration; NaN where it said nothing.

    The time that weight decay alone takes to bring the norm to where the last jump began. Kept
    here as it was, to be scored.
    """
    if not events or series.lr is None or series.weight_decay is None or not series.trusted:
        return math.nan
    products = series.lr * series.weight_decay
    product = float(products[-1])
    if product < c.SCHEDULED_OUT * float(np.median(products[[event.start for event in events]])):
        return math.nan
    decay = log_decay(product, float(series.momentum[-1])) / series.steps_an_update
    if not decay < 0:
        return math.nan
    if series.log_norm[events[-1].top :].argmax() == len(series) - 1 - events[-1].top:
        return math.nan
    fall = series.log_norm[-1] - series.log_norm[events[-1].turn]
    return max(float(fall / -decay), 0.0)


def last_period(series: Series, events: Sequence[Event]) -> float:
    """Steps, if the next period is as long as the last one; 0 where it is longer already."""
    return _by_period(series, events, 1)


def median_period(series: Series, events: Sequence[Event]) -> float:
    """Steps, if the next period is as long as the last seven in the median."""
    return _by_period(series, events, RECENT)


def _by_period(series: Series, events: Sequence[Event], recent: int) -> float:
    starts = series.step[[event.start for event in events]].astype(np.float64)
    period = float(np.median(np.diff(starts)[-recent:]))
    return max(period - float(series.step[-1] - starts[-1]), 0.0)


BASELINES = {
    "rule of before": rule_of_before,
    "last period": last_period,
    "median of periods": median_period,
}


def spread(said: Array, periods: Array, truth: Array, levels: Array) -> Array:
    """Quantiles of a baseline's error on the runs of the fit, in periods, (levels,)."""
    there = np.isfinite(said) & np.isfinite(truth)
    errors = (truth[there] - said[there]) / periods[there]
    return np.asarray(np.quantile(errors, levels))
