"""What became of a cell: its row of the map's table."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from limitcycle.errors import UserError
from limitcycle.lab.parallel import Outcome
from limitcycle.lab.plane import Cell, Plane
from limitcycle.reading import diagnose
from limitcycle.record import LoadedRun, load

Row = dict[str, Any]

NOT_IN_BUDGET = "not in the budget"
OPEN = ("waiting", "stopped", "failed")
"""States of cells that are to be made: a disk that was full may have room now."""

_UNDECIDED = ("converging", "equilibrium", "unknown")  # what periods may still follow upon


def row_of(plane: Plane, cell: Cell, folder: Path | None, outcome: Outcome | None = None) -> Row:
    """A cell as its record tells it, or else its outcome, or its refusal.

    Args:
        plane: whose cell it is.
        cell: which one.
        folder: of its run; None where it has none.
        outcome: how the run ended just now.
    """
    blank = blank_row(plane, cell)
    if cell.run is None or folder is None:
        return {**blank, "state": "refused", "region": "refused", "reason": cell.problem}
    try:
        loaded = _finished(folder)
        if loaded is not None:
            return {**blank, **_judged(loaded, is_cut=plane.is_cut(cell.run))}
    except UserError as damaged:
        return {**blank, **_failed(str(damaged))}
    if outcome is not None and outcome.state == "failed":
        return {**blank, **_failed(outcome.problem)}
    return {**blank, "state": "waiting" if outcome is None else outcome.state}


def blank_row(plane: Plane, cell: Cell) -> Row:
    """What is known of a cell before it is made."""
    run, nan = cell.run, math.nan
    product = float(f"{run.lr * run.weight_decay:.9g}") if run else nan
    steps = (run.steps or 0) if run else 0
    return {
        plane.x: plane.xs[cell.column],
        plane.y: plane.ys[cell.row],
        "column": cell.column,
        "row": cell.row,
        "product": product,
        "steps": steps,
        "units": product * steps,
        "state": "",
        "verdict": "",
        "region": "",
        "destabilisations": 0,
        "period": nan,
        "period_units": nan,
        "best_test_error": nan,
        "reason": "",
        "identity": run.identity if run else "",
    }


def _failed(reason: str) -> Row:
    return {"state": "failed", "region": "failed", "reason": reason}


def _finished(folder: Path) -> LoadedRun | None:
    """The run in ``folder`` if it has said all it can say: done, or ended by a non-finite loss."""
    if not (folder / "status.json").exists():
        return None
    loaded = load(folder)
    status = loaded.status
    return loaded if status.get("state") == "done" or status.get("final") else None


def _judged(loaded: LoadedRun, *, is_cut: bool) -> Row:
    found, run = diagnose(loaded), loaded.description
    errors = loaded.epochs["test_error"].to_numpy(float)
    measured = errors[np.isfinite(errors)]
    return {
        "state": "done",
        "verdict": found.label,
        "region": NOT_IN_BUDGET if is_cut and found.label in _UNDECIDED else found.label,
        "destabilisations": len(found.events),
        "period": found.period,
        "period_units": found.period * run.lr * run.weight_decay,
        "best_test_error": float(measured.min()) if len(measured) else math.nan,
        "reason": found.reason,
    }
