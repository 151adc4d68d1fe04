"""How far the loss came down: what tells *stuck* from the other labels, whatever the norm does."""

import math
import sys
from dataclasses import dataclass

import numpy as np

from limitcycle.reading import constants as c
from limitcycle.reading.clock import Array
from limitcycle.reading.drift import drift_of
from limitcycle.reading.level import Level, scatter
from limitcycle.reading.series import Series


@dataclass(frozen=True)
class Descent:
    """How far the loss came down.

    Attributes:
        start: the first row; NaN where the table begins after its training.
        first: median of the first rows.
        late: median of the last half.
        lowest: the lowest running median.
        noise: scatter of the loss over the last half.
        limit: a loss above it is high; NaN where nobody said what is.
        falling: the loss still falls over the last half, and has come below its first rows.
        never: it never came low, as far as that can be told, and it no longer falls.
        errors: by how many standard errors the last half lies below the first rows.
    """

    start: float
    first: float
    late: float
    lowest: float
    noise: float
    limit: float
    falling: bool
    never: bool
    errors: float

    @property
    def close(self) -> bool:
        """Whether it never came low is a close call."""
        told = math.isnan(self.limit) and math.isfinite(self.start) and not self.falling
        least = c.DESCENT_ERRORS / c.CLOSE_DESCENT
        return told and least < self.errors < c.DESCENT_ERRORS * c.CLOSE_DESCENT

    @property
    def untold(self) -> bool:
        """Whether the loss came low cannot be told: it moved little, and nobody said what is."""
        moved = max(self.start, self.first) - self.late > c.CLEAR_DESCENT * self.noise
        return math.isnan(self.limit) and not (self.never or self.falling or moved)


def descent_of(series: Series, level: Level, stuck_above: float | None) -> Descent:
    """The descent of the loss.

    Without ``stuck_above`` a table that begins with its training is compared with its own
    beginning: a loss that does not lie below that by five standard errors never came down.

    Args:
        series: at least `c.MIN_ROWS` rows.
        level: of `limitcycle.reading.level.running_level`.
        stuck_above: a loss above it is high; None: nobody knows.
    """
    loss = series.loss
    early = loss[: max(round(c.FIRST_SHARE * len(loss)), min(c.FIRST_ROWS, len(loss) // 4))]
    half = loss[len(loss) // 2 :]
    first, late = float(np.median(early)), float(np.median(half))
    lowest, noise = float(np.nanmin(level.low)), scatter(half)
    errors = _errors_below(early, half)
    trend, end = drift_of(half), loss[-max(len(loss) // 10, 1) :]
    lower = float(np.median(end)) < first - c.DESCENT_ERRORS * _error(early)
    falling = trend.sure and trend.size < -noise and lower
    begins = _begins_with_training(series)
    if stuck_above is not None:
        high = lowest > stuck_above
    else:
        came_down = (
            errors > c.DESCENT_ERRORS
            or first - lowest > c.DESCENT_ERRORS * noise
            or float(loss[0]) - late > c.CLEAR_DESCENT * noise
        )
        high = begins and not came_down
    return Descent(
        start=float(loss[0]) if begins else math.nan,
        first=first,
        late=late,
        lowest=lowest,
        noise=noise,
        limit=math.nan if stuck_above is None else float(stuck_above),
        falling=bool(falling),
        never=bool(high and not falling),
        errors=errors,
    )


def _errors_below(early: Array, half: Array) -> float:
    """By how many standard errors of the medians the last half lies below the first rows."""
    error = min(_error(early), _error_of_some(half, len(early)))
    below = float(np.median(early) - np.median(half))
    return below / max(math.hypot(error, _error(half)), sys.float_info.min)


def _begins_with_training(series: Series) -> bool:
    """The first row is one of the first of the training, not one of a job that was resumed."""
    step = series.step
    usual = float(np.median(np.diff(step)))
    return bool(step[0] <= c.BEGINNING * float(step[-1] - step[0]) + usual)


def _error(values: Array) -> float:
    """Standard error of the median, by the scatter of the rows or that of the medians of blocks.

    The second is larger where neighbouring rows depend on each other.
    """
    apart = math.sqrt(math.pi / 2 / len(values)) * scatter(values)
    blocks = min(c.DRIFT_BLOCKS, len(values))
    medians = [float(np.median(block)) for block in np.array_split(values, blocks)]
    return max(apart, float(np.std(medians)) / math.sqrt(blocks))


def _error_of_some(values: Array, rows: int) -> float:
    """How the median of so many of ``values`` scatters, rows that follow each other.

    So the first rows would scatter if they were like these. Their own medians cannot tell it where
    the loss falls among them.
    """
    apart = math.sqrt(math.pi / 2 / rows) * scatter(values)
    blocks = max(len(values) // rows, 1)
    medians = [float(np.median(block)) for block in np.array_split(values, blocks)]
    return max(apart, float(np.std(medians)))
