"""What claims read off a history: numbers that several of them share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from limitcycle.errors import UserError
from limitcycle.reading.history import History

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
    """How many destabilisations were found."""
    return len(history.diagnosis.events)


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


def best_test_error(history: History) -> float:
    """The smallest test error measured, as a fraction; NaN where none was."""
    measured = history.test_error[np.isfinite(history.test_error)]
    return float(measured.min()) if len(measured) else float("nan")


def late_loss(history: History) -> float:
    """The median training loss of the last half of the run, nats."""
    loss = history.columns["loss"]
    return float(np.nanmedian(loss[len(loss) // 2 :]))


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


def _slope(points: Array) -> float:
    return float(np.polyfit(points[:, 0], points[:, 1], 1)[0])


def listed(values: Iterable[float], form: str = ".2g") -> str:
    """Numbers as text: "0.51, 0.48, 0.55"."""
    return ", ".join(format(value, form) for value in values) or "none"
