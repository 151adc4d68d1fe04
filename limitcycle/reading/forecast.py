"""When the next jump is to be expected: a range that is right eight times of ten, or why not."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.data import RunData
from limitcycle.reading.digits import two_digits
from limitcycle.reading.events import Event, Found
from limitcycle.reading.foresight import schedule
from limitcycle.reading.foresight.alarm import is_quiet
from limitcycle.reading.foresight.fitted import family_of, first_wait, fitted
from limitcycle.reading.foresight.kinds import Kind, kind_of
from limitcycle.reading.foresight.measures import PERIODS, Measures, measure
from limitcycle.reading.foresight.pace import Pace, pace_of
from limitcycle.reading.held import is_held
from limitcycle.reading.level import Level, height, resolution, scatter
from limitcycle.reading.series import Series

SCHEDULED_OUT = (
    "the schedule has brought the learning rate, and the effective learning rate with it, down so "
    "far that jumps are over, or many times as far away as the run is long"
)
HELD = "the norm is held, so weight decay brings no jump nearer"
TOO_FAR = "the next jump is many times as far away as the run is long"
BATCHES = "the order of the batches decides when in this range"
NOISELESS = "the loss has no noise of batches, so an alarm will say when it begins"
_IRREGULAR = (
    "ranges were not right eight times of ten for {}: their jumps come too irregularly, and "
    "nothing that is recorded tells when"
)
_NETS = {
    "convnet": _IRREGULAR.format("convolutional nets"),
    "resnet18": _IRREGULAR.format("convolutional nets"),
    "per-sample": _IRREGULAR.format("LayerNorm and the like"),
}
_TRIED = ("", "mlp")
LEVELS = np.array([0.1, 0.5, 0.9])


@dataclass(frozen=True)
class Forecast:
    """The next jump, in steps from the last row on.

    Attributes:
        low, median, high: by when it begins in 10, 50 and 90 of 100 cases; NaN where withheld.
        alarm: it is about to begin: earned only where the loss has no noise of batches.
        calibrated: this kind of training was among those that the forecast was calibrated on.
        reason: why it is withheld, or what decides within the range.
    """

    low: float
    median: float
    high: float
    alarm: bool
    calibrated: bool
    reason: str


def withheld(reason: str) -> Forecast:
    """No forecast, and why."""
    return Forecast(math.nan, math.nan, math.nan, alarm=False, calibrated=False, reason=reason)


def forecast(
    series: Series, found: Found, data: RunData, *, length: float | None = None
) -> Forecast:
    """The next jump after the last row.

    Args:
        series: the rows so far, or those of the last periods.
        found: the jumps in them.
        data: what is known of the optimizer.
        length: steps of the run so far; None: those of ``series``.
    """
    if data.unjudged:
        return withheld(data.unjudged)
    if length is None:
        length = float(series.step[-1] - series.step[0]) if len(series) else 0.0
    first = first_needed(found)
    series, found = series.since(first), found.since(first)
    kind = kind_of(series, data.rule, known=data.described or series.momentum_known)
    pace = None if kind is None else pace_of(series, kind.power)
    reason = _unknown(series, kind, pace, data)
    if reason or kind is None or pace is None:
        return withheld(reason)
    reason = _too_few(series, found, kind, pace, length) or in_between(series, found)
    if reason:
        return withheld(reason)
    foretold = _foretold(series, pace, found.events, kind, length)
    if foretold.median >= 0 and data.net not in _TRIED:
        return withheld(_NETS.get(data.net, "forecasts were not tried on such nets"))
    return foretold


def first_needed(found: Found) -> int:
    """The first row that a forecast looks at: all of it hangs on the last periods."""
    events = found.events
    return events[-PERIODS - 2].start if len(events) >= PERIODS + 2 else 0


def _foretold(
    series: Series, pace: Pace, events: Sequence[Event], kind: Kind, length: float
) -> Forecast:
    """The forecast of a run of which all is known that it needs."""
    measures = measure(series, pace, events)
    drift = schedule.slope(series, measures.period, events[-1].top) / measures.rise
    if drift < -c.SCHEDULE_SHARE * measures.rise_per_step:
        return withheld(SCHEDULED_OUT)
    moving = dataclasses.replace(measures, rise_per_step=measures.rise_per_step + drift)
    low, median, high = map(float, quantiles(moving, kind, LEVELS))
    changed = schedule.changed(series, [event.start for event in events[-2:]])
    if not median <= c.LONGEST * length:
        return withheld(SCHEDULED_OUT if changed else TOO_FAR)
    return Forecast(
        low=low,
        median=median,
        high=high,
        alarm=is_alarm(measures),
        calibrated=kind.calibrated and not changed and drift == 0,
        reason=NOISELESS if measures.quiet else BATCHES,
    )


def quantiles(measures: Measures, kind: Kind, levels: Array) -> Array:
    """Steps until the next jump at some probabilities, (levels,)."""
    return fitted(family_of(kind.threshold, measures)).steps(measures, levels)


def is_alarm(measures: Measures) -> bool:
    """Whether a step lowers the loss so much less than it should that a jump is about to begin."""
    late = measures.age >= c.ALARM_AGE and measures.position >= c.ALARM_POSITION
    return bool(late and measures.quiet and measures.curved >= c.ALARM_CURVED)


def _unknown(series: Series, kind: Kind | None, pace: Pace | None, data: RunData) -> str:
    """What is not known of the optimizer."""
    missing = _missing(series)
    if missing:
        return missing
    if not series.trusted:
        return "the norm falls faster than learning rate and weight decay let it"
    if kind is None:
        name = "this optimizer" if data.rule is None else data.rule.name
        return f"forecasts were calibrated for SGD and AdamW, not for {name}"
    if pace is None:
        return "there are no rows to judge by"
    if pace.rate == 0 and pace.u[-1] > 0:
        return SCHEDULED_OUT
    if not pace.rate > 0 or not np.isfinite(pace.u[-1]):
        return "weight decay does not shrink the norm"
    return HELD if is_held(series) else ""


def _missing(series: Series) -> str:
    """Which of the rates is not known, and how to say it; empty where both are."""
    said = {
        "the learning rate": (series.lr, "lr=…, --lr"),
        "the weight decay": (series.weight_decay, "weight_decay=…, --weight-decay"),
    }
    missing = {
        name: how
        for name, (values, how) in said.items()
        if values is None or not np.isfinite(values).any()
    }
    if not missing:
        return ""
    verb = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {verb} not known ({'; '.join(missing.values())})"


def _too_few(series: Series, found: Found, kind: Kind, pace: Pace, length: float) -> str:
    """That there are not two jumps to judge by, and what experience says of the first one."""
    if len(found.events) >= 2:
        return ""
    if found.events or found.unfinished is not None:
        return "one jump does not tell how far apart they come in this run"
    return f"no jump to judge by{_experience(series, kind, pace, length)}"


def in_between(series: Series, found: Found) -> str:
    """That the next jump may have begun, or the last one is not over."""
    if found.unfinished is not None:
        return "a jump is under way"
    first = found.events[-1].top
    if first >= len(series) - c.CALM_ROWS:
        return "the norm is still rising after the last jump"
    calm = series.loss[first + (len(series) - 1 - first) // 2 : -1]
    level = Level(np.median(calm), max(scatter(calm), resolution(series.loss[first:])))
    if float(height(series.loss[-1:], level)[0]) >= c.LEAVING:
        return "the loss is leaving its low level: a jump may be beginning"
    return ""


def _experience(series: Series, kind: Kind, pace: Pace, length: float) -> str:
    """When such runs of the lab had their first jump; empty where that says nothing of this run.

    Theirs had one learning rate all the time. Nor is a wait of many times the run worth a word.
    """
    if len(series) < c.MIN_ROWS:
        return ""
    if schedule.changed(series, [len(series) // 2]):
        return ", and a schedule is changing the learning rate"
    name = _family(series, kind)
    low, high, runs = first_wait(name)
    top = int(np.argmax(series.log_norm))
    began = float(series.step[top])
    if low / pace.rate > c.LONGEST * length:
        return ""
    first, last = (began + wait / pace.rate for wait in (low, high))
    return (
        f"; from experience, half of the first jumps of {runs} runs with {_FAMILIES[name]} began "
        f"at what is step {two_digits(first)} to {two_digits(last)} here"
    )


_FAMILIES = {
    "sgd": "SGD and mini-batches",
    "momentum": "momentum and mini-batches",
    "full batch": "full batches",
    "adamw": "AdamW",
}


def _family(series: Series, kind: Kind) -> str:
    if kind.threshold == "adamw":
        return "adamw"
    if is_quiet(series.loss[-c.QUIET_TAIL :]):
        return "full batch"
    return "momentum" if series.momentum[-1] > 0 else "sgd"
