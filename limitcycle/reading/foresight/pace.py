"""A run on the clock of its weight decay: how far the effective learning rate has come, and when.

The clock u counts e-foldings of the norm by weight decay alone, so that runs of all learning rates
and weight decays can be laid on each other. Against it stands z, the logarithm of the effective
learning rate, with learning rate and momentum in it: where the learning rate changes, z jumps as
the training does, while the norm tells nothing.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from limitcycle.reading.clock import Array
from limitcycle.reading.decay import log_decays
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
    lr, weight_decay = _filled(series.lr), _filled(series.weight_decay)
    rates = -log_decays(lr * weight_decay, series.momentum) / series.steps_an_update
    u = np.zeros(len(series))
    np.cumsum(rates[:-1] * np.diff(series.step), out=u[1:])
    with np.errstate(all="ignore"):
        z = np.log(lr / (1 - series.momentum)) - power * series.log_norm
    return Pace(u, z, power, float(rates[-1]))


def _filled(values: Array) -> Array:
    """What is missing in a row is as it was before."""
    if np.all(np.isfinite(values)):
        return values
    return np.asarray(pd.Series(values).ffill().bfill(), dtype=np.float64)
