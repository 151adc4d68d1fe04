"""What somebody else's logger wrote, as the table that `limitcycle.reading.diagnose` takes.

A logger keeps curves: each quantity at the steps at which it was logged. A table has rows that hold
loss and norm together. The rows are the steps of whichever was logged less often; the other gives
the value of the same step or, where there is none, the nearest earlier one that is no older than
one logging interval of its own (the median gap). Nothing is carried further than that, because a
value that stands still would look like one that was measured. A learning rate is what it was
last set to, so there the last value counts however old it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.errors import UserError
from limitcycle.record.roles import NEEDED, choose

MEASURE = (
    "log it beside the loss: once names = limitcycle.symmetries(model, batch).scale_invariant, "
    "then norm = torch.nn.utils.get_total_norm([p.detach() for name, p in "
    "model.named_parameters() if name in names]).item(); "
)
"""How to measure the norm that counts. A norm with the head in it hardly moves: it made an
equilibrium of a run with eleven periods."""


@dataclass(frozen=True)
class Log:
    """The curves of one run.

    Attributes:
        name: of the run.
        source: what a refusal calls it.
        names: of the quantities.
        curve: name → its values by step, as logged; of equal steps the last counts.
        remedy: what to add to the script so that the norm is logged.
        step: the name of what counts the steps, where it was chosen among several columns.
        notes: what was seen on reading.
    """

    name: str
    source: str
    names: Sequence[str]
    curve: Callable[[str], "pd.Series[float]"]
    remedy: str
    step: str | None = None
    notes: tuple[str, ...] = field(default=())


def as_table(log: Log, given: Mapping[str, str | None]) -> tuple[pd.DataFrame, list[str]]:
    """The table of a log (``step``, ``loss``, ``norm`` and what else is known), and remarks on it.

    Args:
        log: of one run.
        given: ``loss``, ``norm`` → name of the curve; None or absent: the usual names are tried.

    Raises:
        UserError: loss or norm are not there, could be several curves, hold no numbers or have
            no steps in common.
    """
    choice = choose(log.source, log.names, given, log.remedy, log.step)
    curves = {role: _clean(log, name) for role, name in choice.names.items()}
    for role in NEEDED:
        if not len(curves[role]):
            raise UserError(f"{log.source}: {choice.names[role]!r} holds no numbers")
    table = join_curves(curves["loss"], curves["norm"])
    if not len(table):
        names = [choice.names[role] for role in NEEDED]
        raise UserError(f"{log.source}: {names[0]!r} and {names[1]!r} have no steps in common")
    for role in curves.keys() - set(NEEDED):
        table[role] = last_values(curves[role], table["step"].to_numpy())
    return table, [*choice.notes, *_thinned(curves, table), *log.notes]


def _clean(log: Log, name: str) -> "pd.Series[float]":
    curve = log.curve(name)
    curve = curve[np.isfinite(curve.index.to_numpy(np.float64))]
    return curve[~curve.index.duplicated(keep="last")].sort_index()


def join_curves(loss: "pd.Series[float]", norm: "pd.Series[float]") -> pd.DataFrame:
    """Rows at the steps of the curve with fewer values, each with a value of the other.

    Args:
        loss, norm: values by step, oldest first, each step once.
    """
    rows, other = (loss, norm) if len(loss) <= len(norm) else (norm, loss)
    steps, theirs = rows.index.to_numpy(np.float64), other.index.to_numpy(np.float64)
    found, at = _last(other, steps)
    interval = float(np.median(np.diff(theirs))) if len(theirs) > 1 else 0.0
    found &= steps - theirs[at] <= interval
    pair = {id(rows): rows.to_numpy()[found], id(other): other.to_numpy()[at[found]]}
    return pd.DataFrame({"step": steps[found], "loss": pair[id(loss)], "norm": pair[id(norm)]})


def last_values(curve: "pd.Series[float]", steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The curve's last value at or before each step, however old; NaN before its first one."""
    if not len(curve):
        return np.full(len(steps), np.nan)
    found, at = _last(curve, steps)
    return np.where(found, curve.to_numpy(np.float64)[at], np.nan)


def _last(
    curve: "pd.Series[float]", steps: NDArray[np.float64]
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """Whether the curve has a value at or before each step, and where."""
    at = np.searchsorted(curve.index.to_numpy(np.float64), steps, side="right") - 1
    return at >= 0, np.maximum(at, 0)


def _thinned(curves: Mapping[str, "pd.Series[float]"], table: pd.DataFrame) -> list[str]:
    loss, norm, rows = len(curves["loss"]), len(curves["norm"]), len(table)
    if loss == norm == rows:
        return []
    return [
        f"loss was logged at {loss:,} steps, the norm at {norm:,}: judged by the {rows:,} rows "
        "that have both"
    ]
