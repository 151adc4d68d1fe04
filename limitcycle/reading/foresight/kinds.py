"""Which kinds of training the forecast knows, and what effective learning rate these have."""

from typing import Literal, NamedTuple

import numpy as np

from limitcycle.reading.optimizers import UpdateRule
from limitcycle.reading.series import Series

Threshold = Literal["sgd", "adamw"]


class Kind(NamedTuple):
    """A kind of optimizer.

    Attributes:
        threshold: whose numbers serve.
        power: of ρ in the effective learning rate.
        calibrated: this very kind was among the runs of the fit.
    """

    threshold: Threshold
    power: float
    calibrated: bool


SGD, ADAMW = Kind("sgd", 2.0, True), Kind("adamw", 1.0, True)


def kind_of(series: Series, rule: UpdateRule | None, *, known: bool) -> Kind | None:
    """The kind of a run; None where nothing like it was among the runs of the fit.

    Args:
        series: of a bare table, whose column ``effective_lr`` tells the power of ρ.
        rule: of the optimizer; None: a run of the lab, or a bare table.
        known: it is known whether there was momentum, as of a run of the lab or a watched one.
    """
    if rule is None:
        kind = ADAMW if _power(series) == 1 else SGD
        return kind._replace(calibrated=known and kind is SGD)
    if not rule.decays:
        return None
    if rule.scaling == "gradient":
        return SGD._replace(calibrated=rule.name == "SGD" and not rule.nesterov)
    if rule.name == "AdamW":
        return ADAMW
    return None


def _power(series: Series) -> float:
    """The power of ρ in the effective learning rate, whatever the norm's unit; NaN: unknown."""
    if series.lr is None or series.effective_lr is None or len(series) < 2:
        return float("nan")
    low, high = int(np.argmin(series.log_norm)), int(np.argmax(series.log_norm))
    with np.errstate(all="ignore"):
        rates = np.log(series.lr[[low, high]] / series.effective_lr[[low, high]])
        power = np.diff(rates)[0] / np.diff(series.log_norm[[low, high]])[0]
    return float(np.round(power))
