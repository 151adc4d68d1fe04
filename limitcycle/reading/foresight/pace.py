"""A run on the clock of its weight decay: how far the effective learning rate has come, and when.

The clock u counts e-foldings of the norm by weight decay alone, so that runs of all learning rates
and weight decays can be laid on each other. Against it stands z, the logarithm of the effective
learning rate, with learning rate and momentum in it: where the learning rate changes, z jumps as
the training does, while the norm tells nothing.
"""

from dataclasses import dataclass

import numpy as np

from limitcycle.reading.clock import Array
from limitcycle.reading.decay import log_decay
from limitcycle.reading.series import Series


@dataclass(frozen=True)
class Pace:
    """The rows of a run, one entry each.

    Attributes:
        u: e-foldings of the norm that weight decay alone would have made since the first row.
        z: log of the effective learning rate: log(η / (1 − μ)) − power · log ρ.
        power: of ρ in the effective learning rate: 2, or 1 where the update is normalised.
        rate: of u, a step, in the last row.
    """

    u: Array
    z: Array
    power: float
    rate: float


def pace_of(series: Series, power: float) -> Pace | None:
    """``series`` on its clock; None where learning rate or weight decay are not known."""
    if series.lr is None or series.weight_decay is None or not len(series):
        return None
    rates = _rates(series.lr * series.weight_decay, series.momentum) / series.steps_an_update
    gaps = np.diff(series.step.astype(np.float64))
    u = np.concatenate([[0.0], np.cumsum(rates[:-1] * gaps)])
    with np.errstate(all="ignore"):
        z = np.log(series.lr / (1 - series.momentum)) - power * series.log_norm
    return Pace(u, z, power, float(rates[-1]))


def _rates(products: Array, momentum: Array) -> Array:
    """Fall of log ρ in one update by weight decay alone, row by row; few values, as a rule."""
    pairs = np.column_stack([products, momentum])
    changed = np.any(pairs[1:] != pairs[:-1], axis=1)
    first = np.concatenate([[0], np.flatnonzero(changed) + 1])
    values = np.array([-log_decay(*pairs[row]) for row in first], dtype=np.float64)
    return np.repeat(values, np.diff([*first, len(pairs)]))
