"""What a schedule of the learning rate means for the next jump.

What matters is the effective learning rate, never the norm: it grows as weight decay shrinks the
norm, and falls with the learning rate. Nobody here knows how a schedule goes on.
"""

from collections.abc import Sequence

import numpy as np

from limitcycle.reading.series import Series

SAME = 0.05
"""Change of log ηλ since the last jumps that is none."""

PIECE = 0.2
"""Share of the usual period over which the slope of a running schedule is taken."""

PIECE_ROWS = 5


def changed(series: Series, starts: Sequence[int]) -> bool:
    """Whether the product of learning rate and weight decay is not what it was at past jumps."""
    assert series.lr is not None and series.weight_decay is not None
    with np.errstate(all="ignore"):
        products = np.log(series.lr * series.weight_decay / (1 - series.momentum))
    return bool(np.any(np.abs(products[list(starts)] - products[-1]) > SAME))


def slope(series: Series, period: float, first: int) -> float:
    """Change of log η a step, as the schedule runs now; 0 where it stands still.

    Args:
        series: the rows up to now.
        period: usual steps between jumps.
        first: row from which on may be looked back.
    """
    assert series.lr is not None
    back = series.step[-1] - max(PIECE * period, 1.0)
    row = max(int(np.searchsorted(series.step, back)), first)
    row = max(min(row, len(series) - 1 - PIECE_ROWS), 0)
    steps = float(series.step[-1] - series.step[row])
    with np.errstate(all="ignore"):
        rise = float(np.log(series.lr[-1] / series.lr[row]))
    return rise / steps if steps > 0 and np.isfinite(rise) else 0.0
