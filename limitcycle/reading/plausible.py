"""Whether a table's norm can be what it is taken for: remarks, which decide nothing."""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from limitcycle.reading.columns import Array
from limitcycle.reading.constants import MIN_ROWS

# Of the gradient's norm in eight runs every fifth step (and in a tiny GPT): 0.48 to 0.78 of the
# rows turn, correlation with the loss 0.81 to 0.92. Of the weights' norm in these, every 1, 5, 20
# or 100 steps: where more than 0.4 of the rows turn, a correlation of at most 0.36.
_TURNS, _WITH_LOSS, _MOVES = 0.4, 0.6, 0.01
_ENOUGH = 100  # rows: forty of a periodic run, a hundred steps apart, correlate by chance
_FASTER = 2.0  # times the rate of weight decay: more than scatter and a schedule explain
_SLOWER = 1 / 8
_STEADY = 1.5  # between the quartiles of the rates at which the norm falls
_OFTEN = 0.3  # of the rows show a fall
_MOST = 200_000  # rows looked at


class Fall(NamedTuple):
    """How fast the norm falls, against what weight decay alone makes of it.

    Attributes:
        times: so many times as fast; NaN where that is not known, or it does not fall steadily.
        steps_an_update: how much the step counts on in one update: 1, or more where it counts
            samples or tokens. Told by a norm that falls steadily, but many times as slowly as it
            should, and steps that are multiples of as much.
    """

    times: float
    steps_an_update: float

    @property
    def too_fast(self) -> bool:
        """Faster than these learning rates and weight decays can make it."""
        return self.times > _FASTER


NOT_KNOWN = Fall(math.nan, 1.0)


def fall_of(table: pd.DataFrame) -> Fall:
    """How fast the norm of a table falls.

    Args:
        table: of `limitcycle.reading.series.read_table`.
    """
    table = _piece(table)
    if len(table) < MIN_ROWS:
        return NOT_KNOWN
    times = _fall_per_decay(table)
    unit = _unit(table["step"].to_numpy(np.float64)) if times < _SLOWER else 0.0
    return Fall(times, _rounded_to_a_part(1 / times, unit) if unit * times > 0.5 else 1.0)


def remarks(table: pd.DataFrame, fall: Fall) -> list[str]:
    """What is hard to believe of a table in order; nothing where all is as it should be.

    Args:
        table: of `limitcycle.reading.series.read_table`.
        fall: of that table.
    """
    piece = _piece(table)
    if len(piece) < MIN_ROWS:
        return []
    with np.errstate(all="ignore"):  # of losses of 1e308 nothing is remarked
        return [*_gradients(piece), *_rates(fall, "momentum" in table)]


def _piece(table: pd.DataFrame) -> pd.DataFrame:
    """The usable rows in the middle of the table, at most `_MOST` of them."""
    first = max((len(table) - _MOST) // 2, 0)
    piece: pd.DataFrame = table.iloc[first : first + _MOST]
    usable = np.isfinite(piece["loss"]) & (piece["norm"] > 0) & np.isfinite(piece["norm"])
    return pd.DataFrame(piece[usable])


def _gradients(table: pd.DataFrame) -> list[str]:
    moves = np.diff(np.log(table["norm"].to_numpy(np.float64)))
    turns = float(np.mean(moves[1:] * moves[:-1] < 0))
    if len(table) < _ENOUGH or turns <= _TURNS or np.median(np.abs(moves)) <= _MOVES:
        return []
    losses = table["loss"].to_numpy(np.float64)
    noise = float(np.median(np.abs(np.diff(losses))))
    if not noise or not np.isfinite(np.ptp(losses)):
        return []
    with_loss = np.diff(np.log1p((losses - losses.min()) / noise))  # whatever its unit and floor
    if not np.corrcoef(moves, with_loss)[0, 1] > _WITH_LOSS:
        return []
    return [
        "the norm goes up and down with the loss from row to row, as the norm of a gradient does, "
        "not that of weights: if it is the gradient's, nothing said here holds"
    ]


def _rates(fall: Fall, with_momentum: bool) -> list[str]:
    """How fast the norm falls, against what weight decay can do."""
    if fall.too_fast:
        also = "" if with_momentum else ", or there is momentum that is not said"
        return [
            f"the norm falls {_rounded(fall.times)} times as fast as learning rate × weight decay "
            f"let it: these are another run's settings{also}; forecasts do not hold"
        ]
    if fall.steps_an_update > 1:
        unit = f"{fall.steps_an_update:,g}"
        return [
            f"the norm falls steadily, but {unit} times as slowly as learning rate × weight decay "
            f"make it fall: the steps look like samples or tokens, {unit} an update, and are taken "
            "for that"
        ]
    return []


def _fall_per_decay(table: pd.DataFrame) -> float:
    """How fast the norm falls against weight decay alone; NaN where it does not fall steadily."""
    if "lr" not in table or "weight_decay" not in table:
        return math.nan
    steps = table["step"].to_numpy(np.float64)
    momentum = table["momentum"].to_numpy(np.float64) if "momentum" in table else 0.0
    decay = (table["lr"] * table["weight_decay"]).to_numpy(np.float64) / (1 - momentum)
    with np.errstate(all="ignore"):
        allowed = decay[:-1] * np.diff(steps)
        fall = -np.diff(np.log(table["norm"].to_numpy(np.float64)))
        falling = (fall > 0) & (allowed > 0) & np.isfinite(allowed)
        if not falling.any() or falling.sum() < _OFTEN * len(fall):
            return math.nan
        low, usual, high = np.quantile(fall[falling] / allowed[falling], [0.25, 0.5, 0.75])
    if not 0 < usual < math.inf or (usual < _SLOWER and high >= _STEADY * low):
        return math.nan
    return float(usual)


def _rounded_to_a_part(number: float, whole: float) -> float:
    """The divisor of ``whole`` that is nearest to ``number``."""
    return whole / max(round(whole / number), 1)


def _unit(steps: Array) -> float:
    """The largest number of which all distances between steps are multiples."""
    gaps = np.diff(steps)
    if not np.all(gaps == np.round(gaps)) or gaps.max() >= 2**53:
        return 0.0
    return float(np.gcd.reduce(gaps.astype(np.int64)))


def _rounded(number: float) -> str:
    """Two significant digits."""
    return f"{round(number, 1 - math.floor(math.log10(number))):,g}"
