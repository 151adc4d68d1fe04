"""What claims read off a history: numbers that several of them share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from limitcycle.errors import UserError
from limitcycle.paper.claim import Finding, below, undecided
from limitcycle.paper.spread import Interval, as_percent, difference, error_of_difference, spread
from limitcycle.reading.history import History
from limitcycle.record.run import CLASSES

Array = NDArray[np.float64]


def periodic(history: History) -> bool:
    """Whether the run has periods: at least two destabilisations in which the norm turned."""
    return history.diagnosis.label == "periodic"


def unbroken(histories: Sequence[History]) -> Sequence[History]:
    """``histories``, of which none broke off: that a run had no jump says nothing if it could not.

    Raises:
        UserError: one diverged, or has too few rows to be judged.
    """
    for history in histories:
        if history.diagnosis.label == "diverged":
            raise UserError(f"{history.label} diverged: {history.diagnosis.failure}")
        if history.diagnosis.label == "unknown":
            raise UserError(f"{history.label} has too few rows to be judged")
    return histories


def jumps(history: History) -> int:
    """How many destabilisations were found in which the norm turned: those that make periods."""
    return len(history.diagnosis.events)


def spikes(history: History) -> int:
    """How often the loss rose out of its low level and came back, whatever the norm did.

    This is how a free norm and a control without one are compared. A run whose loss never came low
    has no level to rise from.
    """
    descent = history.diagnosis.descent
    if descent is None or descent.never:
        return 0
    return len(history.diagnosis.spikes)


def first_destabilisation(history: History) -> float:
    """The step at which the first one starts, the norm turning or not; infinity without any."""
    starts = [
        float(table["start"].iloc[0])
        for table in (history.diagnosis.events, history.diagnosis.spikes)
        if len(table)
    ]
    return min(starts, default=float("inf"))


def period_units(history: History) -> float:
    """The median period in units of 1/(ηλ); NaN with fewer than two destabilisations."""
    return float(history.diagnosis.period * history.lr * history.weight_decay)


def consistent(history: History) -> slice:
    """The rows of the consistent stage; the last half where warm-up's end is not known."""
    start = history.diagnosis.consistent_from
    rows = len(history.clock.steps)
    return slice(rows // 2 if start is None else int(history.rows_of([start])[0]), rows)


def low_and_high(values: Array) -> tuple[float, float]:
    """The range of ``values`` without their outermost 1 % on either side; NaN of none."""
    found = values[np.isfinite(values)]
    if not len(found):
        return float("nan"), float("nan")
    return (float(np.quantile(found, 0.01)), float(np.quantile(found, 0.99)))


def evaluations(histories: Iterable[History]) -> int:
    """The smallest number of test errors that one of the runs has."""
    return min((int(np.isfinite(each.test_error).sum()) for each in histories), default=0)


def best_test_error(history: History, count: int | None = None) -> float:
    """The smallest of ``count`` test errors, evenly spaced, as a fraction; NaN of none.

    The smallest of many is smaller than that of few: runs are compared by equally many.
    """
    measured = history.test_error[np.isfinite(history.test_error)]
    if count is not None and count < len(measured):
        measured = measured[np.linspace(0, len(measured) - 1, max(count, 1)).round().astype(int)]
    return float(measured.min()) if len(measured) else float("nan")


TEST_IMAGES = {"digits": 389, "cifar10": 10_000, "cifar100": 10_000}
LEARNT = 0.9  # of the error of a guess, above which nothing can be compared


def test_images(history: History) -> int:
    """How many images a run's test errors rest on."""
    run = history.source.run
    if run.test_size:
        return int(run.test_size)
    whole = TEST_IMAGES[run.data]
    return round(whole * (run.classes or CLASSES[run.data]) / CLASSES[run.data])


def guess(history: History) -> float:
    """The error of a guess."""
    run = history.source.run
    return 1 - 1 / (run.classes or CLASSES[run.data])


def error_difference(one: Sequence[float], other: Sequence[float], images: int) -> Interval:
    """Mean of ``one`` less that of ``other``: the wider of two intervals.

    Student's over seeds, and two binomial standard errors of a difference on so many images: all
    seeds are tested on the same ones.
    """
    seeds = difference(one, other)
    if not seeds.known:
        return seeds
    room = 2 * error_of_difference(float(np.mean(one)), float(np.mean(other)), images)
    middle = seeds.middle
    return Interval(middle, min(seeds.low, middle - room), max(seeds.high, middle + room))


def lower_error(
    one: Sequence[float],
    other: Sequence[float],
    histories: Sequence[History],
    words: str,
    **rest: Any,
) -> Finding:
    """Whether the errors of ``one`` are lower than those of ``other``, one a seed; ``histories``
    are those runs.

    Undecided inside the noise, and where the nets have hardly learnt the task.
    """
    if not np.isfinite([*one, *other]).all() or not (len(one) and len(other)):
        return undecided("the test error was not measured in all runs")
    images = min(map(test_images, histories))
    apart = error_difference(one, other, images)
    text = (
        f"{words}: {spread(one, '.2%')} against {spread(other, '.2%')}, difference "
        f"{as_percent(apart)}"
    )
    if min(*one, *other) > LEARNT * max(map(guess, histories)):
        return undecided(f"these nets hardly learn the task, a guess errs as much: {text}")
    return below(apart, 0.0, text, **rest)


def late_loss(history: History) -> float:
    """The median training loss of the last half of the run, nats; NaN of a run without rows."""
    loss = history.columns["loss"]
    late = loss[len(loss) // 2 :]
    return float(np.nanmedian(late)) if np.isfinite(late).any() else float("nan")


def share(conditions: Iterable[bool]) -> float:
    """The share that is true; NaN of none."""
    found = list(conditions)
    return sum(found) / len(found) if found else float("nan")


@dataclass(frozen=True)
class PowerLaw:
    """y ∝ x^exponent, with the exponent's 95 % interval."""

    exponent: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.exponent:.2f} [{self.low:.2f}, {self.high:.2f}]"


def power_law(x: Sequence[float], y: Sequence[float]) -> PowerLaw:
    """Least squares of log y on log x, the interval from the bootstrap over the points.

    Points that are not positive and finite are left out; NaN with fewer than three.
    """
    pairs = np.array(
        [(a, b) for a, b in zip(x, y, strict=True) if a > 0 and b > 0 and a * b < np.inf]
    )
    if len(pairs) < 3:
        return PowerLaw(*(float("nan"),) * 3)
    logs = np.log(pairs)
    rng = np.random.default_rng(0)
    drawn = [logs[rng.integers(0, len(logs), len(logs))] for _ in range(2000)]
    slopes = [_slope(sample) for sample in drawn if np.ptp(sample[:, 0]) > 0]
    low, high = np.quantile(slopes, (0.025, 0.975))
    return PowerLaw(_slope(logs), float(low), float(high))


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    """e of y ∝ x^e by least squares of logarithms; NaN where fewer than three x differ."""
    pairs = [(a, b) for a, b in zip(x, y, strict=True) if a > 0 and b > 0 and a * b < np.inf]
    if len({a for a, _ in pairs}) < 3:
        return float("nan")
    return _slope(np.log(np.array(pairs)))


def _slope(points: Array) -> float:
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0])


def listed(values: Iterable[float], form: str = ".2g") -> str:
    """Numbers as text: "0.51, 0.48, 0.55"."""
    return ", ".join(format(value, form) for value in values) or "none"
