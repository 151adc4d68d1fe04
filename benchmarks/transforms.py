"""What can happen to the table of a run before somebody reads it."""

import functools
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from limitcycle.reading import Diagnosis

Transform = Callable[[pd.DataFrame], pd.DataFrame]


def thinned(rows: int, table: pd.DataFrame) -> pd.DataFrame:
    """Every so many rows one."""
    return table.iloc[::rows]


def rolling(rows: int, table: pd.DataFrame) -> pd.DataFrame:
    """The mean of the loss over so many rows."""
    return table.assign(loss=table["loss"].rolling(rows, min_periods=1).mean())


def decaying(share: float, table: pd.DataFrame) -> pd.DataFrame:
    """An exponential mean of the loss, as loggers show it."""
    return table.assign(loss=table["loss"].ewm(alpha=share).mean())


def epochs(rows: int, table: pd.DataFrame) -> pd.DataFrame:
    """Means over epochs of so many rows."""
    groups = np.arange(len(table)) // rows
    means = table.groupby(groups).mean()
    return means.assign(step=table.groupby(groups)["step"].last())


def in_units(unit: int, table: pd.DataFrame) -> pd.DataFrame:
    """Steps that count samples or tokens."""
    return table.assign(step=table["step"] * unit)


EXACT: Mapping[str, Transform] = {
    "loss + 0.03": lambda t: t.assign(loss=t["loss"] + 0.03),
    "loss + 0.3": lambda t: t.assign(loss=t["loss"] + 0.3),
    "loss + 1": lambda t: t.assign(loss=t["loss"] + 1),
    "loss - 5": lambda t: t.assign(loss=t["loss"] - 5),
    "loss × 128": lambda t: t.assign(loss=t["loss"] * 128),
    "loss in bits": lambda t: t.assign(loss=t["loss"] / np.log(2)),
    "2.9 + 0.01 × loss": lambda t: t.assign(loss=2.9 + 0.01 * t["loss"]),
    "norm ÷ 1000": lambda t: t.assign(norm=t["norm"] * 1e-3),
    "norm × 50": lambda t: t.assign(norm=t["norm"] * 50),
    "rows shuffled": lambda t: t.sample(frac=1, random_state=1),
    "rows repeated": lambda t: pd.concat([t, t.sample(frac=0.5, random_state=2)]),
}
UNITS = {"steps in samples": 128, "steps in tokens": 524_288}
BLURRED: Mapping[str, Transform] = {
    "30 % of rows missing": lambda t: t.sample(frac=0.7, random_state=3).sort_values("step"),
    "30 % of losses missing": lambda t: t.assign(loss=t["loss"].where(t.index % 10 > 2)),
    **{f"one row in {k}": functools.partial(thinned, k) for k in (2, 5, 20, 100, 400)},
    **{f"mean of {k}": functools.partial(rolling, k) for k in (20, 100, 500)},
    **{f"exponential mean, {a}": functools.partial(decaying, a) for a in (0.1, 0.01)},
    **{f"epochs of {k}": functools.partial(epochs, k) for k in (11, 50, 300)},
    "rounded": lambda t: t.assign(loss=t["loss"].round(4), norm=t["norm"].round(3)),
}

_WORDS = (
    "are missing",
    "may be missed",
    "a close call",
    "not a jump",
    "may be a run that is stuck",
)


def cautious(found: Diagnosis) -> bool:
    """Something is said of a table that hides jumps, or of a close call."""
    told = any(word in note for note in found.notes for word in _WORDS)
    return told or found.label == "unknown"
