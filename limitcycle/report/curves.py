"""Small curves of many runs: what a map shows of the cell under the pointer."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record import load
from limitcycle.report.figure import drawable
from limitcycle.report.thin import thin
from limitcycle.report.web import encode, encode_steps

SHOWN = ("loss", "effective_lr", "norm")
_ALL_ROWS = 120_000  # of all cells together: two megabytes
_FEWEST, _MOST = 60, 400  # of a cell


def curves_of(table: pd.DataFrame, folder: Path) -> dict[str, Any]:
    """Steps, loss, effective learning rate and norm of every run, by its identity.

    Args:
        table: of `limitcycle.lab.Map.table`.
        folder: the map's; a run that cannot be read has no curves.
    """
    done = table.loc[table["state"] == "done", "identity"].unique()
    rows = int(np.clip(_ALL_ROWS // max(len(done), 1), _FEWEST, _MOST))
    found = {}
    for identity in map(str, done):
        try:
            steps = load(folder / "cells" / identity).steps
        except UserError:
            continue
        if len(steps):
            found[identity] = _thinned(steps, rows)
    return found


def _thinned(steps: pd.DataFrame, rows: int) -> dict[str, Any]:
    columns = {name: drawable(steps[name].to_numpy(float), log=True) for name in SHOWN}
    kept = thin(list(columns.values()), rows)
    curves = {name: encode(values[kept]) for name, values in columns.items()}
    return {"step": encode_steps(steps["step"].to_numpy(float)[kept]), **curves}
