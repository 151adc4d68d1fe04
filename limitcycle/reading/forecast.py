"""When the next jump is to be expected."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.decay import log_decay
from limitcycle.reading.events import Event
from limitcycle.reading.series import Series

SCHEDULED_OUT = "the schedule has brought the learning rate down so far that jumps are over"


@dataclass(frozen=True)
class Forecast:
    """The next jump, in steps from the last row on.

    Attributes:
        low, median, high: by when it comes in 10, 50 and 90 of 100 cases; NaN where nothing can be
            said of that.
        alarm: it is due.
        calibrated: this kind of training was among those that the forecast was calibrated on.
        reason: why it is withheld; empty where it is not.
    """

    low: float
    median: float
    high: float
    alarm: bool
    calibrated: bool
    reason: str


def forecast(series: Series, events: Sequence[Event]) -> Forecast:
    """The time that weight decay alone takes to bring the norm to where the last jump began."""
    steps, reason = _free_way(series, events)
    return Forecast(
        low=math.nan,
        median=steps,
        high=math.nan,
        alarm=steps < 1,
        calibrated=False,
        reason=reason,
    )


def _free_way(series: Series, events: Sequence[Event]) -> tuple[float, str]:
    """Steps until weight decay alone has brought the norm to where the last jump began.

    By Eq. (3) without gradient ρ shrinks by the factor 1 − ηλ a step, so this takes
    log(ρ/ρ_jump) / (−log(1 − ηλ)) steps; with momentum see `limitcycle.reading.decay`. Returns NaN
    and a reason where that cannot be said.
    """
    if not events:
        return math.nan, "no jump to judge by"
    if series.lr is None or series.weight_decay is None:
        return math.nan, "learning rate or weight decay are not known"
    if not series.trusted:
        return math.nan, "the norm falls faster than learning rate and weight decay let it"
    products = series.lr * series.weight_decay
    product = float(products[-1])
    if product < c.SCHEDULED_OUT * float(np.median(products[[event.start for event in events]])):
        return math.nan, SCHEDULED_OUT
    decay = log_decay(product, float(series.momentum[-1])) / series.steps_an_update
    if not decay < 0:
        return math.nan, "weight decay does not shrink the norm"
    if series.log_norm[events[-1].top :].argmax() == len(series) - 1 - events[-1].top:
        return math.nan, "the norm is still rising after the last jump"
    fall = series.log_norm[-1] - series.log_norm[events[-1].turn]
    return max(float(fall / -decay), 0.0), ""
