"""What a notebook's user has in hand, as runs to draw."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import Readable, Recorded, RunData
from limitcycle.reading.columns import as_frame
from limitcycle.record import load_all


@dataclass(frozen=True)
class Bare:
    """A table without a folder, in the form of a recorded run.

    Attributes:
        name: for legends.
        steps: the table.
        watched: where the table comes from, if that knows more of itself.
    """

    name: str
    steps: pd.DataFrame
    watched: Readable | None = None
    run: None = None
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)
    info: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)

    def run_data(self) -> RunData:
        """What `limitcycle.diagnose` judges by."""
        if self.watched is not None:
            return self.watched.run_data()
        return RunData(self.steps)


def runs_of(what: Any) -> list[Recorded]:
    """``what`` as runs.

    Args:
        what: a loaded run, the folder of one or of many, a table, a running watch, or a list of
            these.

    Raises:
        UserError: it is none of these, a list is empty, or a folder holds no run.
    """
    if not isinstance(what, list | tuple):
        return _runs(what, "table")
    if not what:
        raise UserError("there is nothing to show: the list is empty")
    return [run for at, each in enumerate(what) for run in _runs(each, f"table {at + 1}")]


def _runs(what: Any, name: str) -> list[Recorded]:
    if isinstance(what, str | Path):
        return list(load_all(what))
    if isinstance(what, pd.DataFrame | Mapping):
        return [Bare(name, _complete(as_frame(what)))]
    if isinstance(what, Readable):
        steps = pd.DataFrame(what.run_data().steps)
        return [Bare("watch", steps, what)]
    if isinstance(what, Recorded):
        return [what]
    return [Bare(name, _complete(as_frame(what)))]


def _complete(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the column ``effective_lr`` where it says what that is made of."""
    if "effective_lr" in table or not {"lr", "norm"} <= set(table.columns):
        return table
    lr, norm = (table[name].to_numpy(np.float64, na_value=np.nan) for name in ("lr", "norm"))
    with np.errstate(all="ignore"):
        return table.assign(effective_lr=lr / norm**2)
