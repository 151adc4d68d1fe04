"""The alarm of a loss without noise: a step no longer lowers it as its gradient promises.

With the whole training set in each batch the loss falls by η‖g‖² a step to first order, and by less
where it is curved: h = (loss_t − loss_{t−1} + η‖g‖²) / (η‖g‖²), with η and g of row t − 1, is the
share that curvature takes. It is 0 in a calm, and 1 where the loss falls no more, which is where
jumps start.

What share a calm loss falls by is taken from the run itself, from the calm since the last jump. So
the units of the loss do not matter, nor that other weights are trained, too.
"""

import numpy as np

from limitcycle.reading.clock import Array
from limitcycle.reading.series import Series

QUIET = 0.25
"""Share of rows at which a loss turns that falls without the noise of batches. With noise it turns
at two rows of three; in full batch runs at one in ten or fewer."""

QUIET_ROWS = 10
"""... of so many rows of calm at least."""

RECENT = 5
"""Rows whose median counts."""

CALM = 0.9
"""Quantile over the calm of the fall a step: that of a step which curvature takes nothing from."""


def is_quiet(loss: Array) -> bool:
    """Whether the loss of a calm, (rows,), goes its way without the noise of mini-batches."""
    steps = np.diff(loss)
    if len(steps) < QUIET_ROWS:
        return False
    return bool(np.mean(steps[1:] * steps[:-1] < 0) <= QUIET)


def curvature_share(series: Series, first: int) -> float:
    """h in the last rows, by the calm since row ``first``; NaN where it cannot be told.

    Told it is where each row is one update after the one before, and gradients are recorded.
    """
    if series.grad_norm is None or series.lr is None or len(series) - first <= 2 * RECENT:
        return float("nan")
    if not np.all(np.diff(series.step[first:]) == series.steps_an_update):
        return float("nan")
    here = slice(first, len(series) - 1)
    promised = series.lr[here] * series.grad_norm[here] ** 2 / (1 - series.momentum[here])
    with np.errstate(all="ignore"):
        kept = -np.diff(series.loss[first:]) / promised
    calm = float(np.quantile(kept, CALM)) if np.all(np.isfinite(kept)) else float("nan")
    if not calm > 0:
        return float("nan")
    return 1 - float(np.median(kept[-RECENT:])) / calm
