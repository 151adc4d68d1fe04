"""Which layer? What watching records of every group, as grids of depth × time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from limitcycle.reading.clock import Array, Rows
from limitcycle.reading.decayed import OTHER, without
from limitcycle.reading.history import History

COLUMNS = 240
"""Of a grid: of more no screen shows each."""

MOST_GROUPS = 400
MEASURES: Mapping[str, str] = {
    "effective_lr": "effective learning rate",
    "rotation": "rotation, radians a step",
    "norm": "norm over its median",
    "effective_grad_norm": "effective gradient norm",
}
_RELATIVE = ("norm",)  # of no use to compare between layers of several sizes


@dataclass(frozen=True)
class Depth:
    """Values of groups over time.

    Attributes:
        groups: their names, in the order in which data flows through them.
        edges: of the columns, in steps, ascending, shape (columns + 1,).
        grids: by name of `MEASURES`, each of shape (groups, columns): geometric means; NaN where
            nothing was recorded.
    """

    groups: tuple[str, ...]
    edges: Array
    grids: Mapping[str, Array]


def depth(history: History) -> Depth | None:
    """The groups of a watched run; None where fewer than two were recorded."""
    table = without(
        getattr(history.source, "groups", pd.DataFrame()), history.source.info.get("watched")
    )
    if not {"step", "group"} <= set(table.columns):
        return None
    return grids_of(table[table["group"] != OTHER])


def grids_of(table: pd.DataFrame) -> Depth | None:
    """The grids of a group table."""
    names = tuple(map(str, table["group"].unique()))[:MOST_GROUPS]
    if len(names) < 2:
        return None
    row = table["group"].map({name: at for at, name in enumerate(names)}).to_numpy(float)
    table, row = table[np.isfinite(row)], row[np.isfinite(row)].astype(np.int64)
    steps = table["step"].to_numpy(float)
    count = min(COLUMNS, len(np.unique(steps)))
    edges = np.linspace(steps.min(), steps.max() + 1, count + 1)
    column = np.clip(np.searchsorted(edges, steps, side="right") - 1, 0, count - 1)
    cell = row * count + column
    grids = {}
    for measure in MEASURES:
        if measure in table:
            grid = _means(table[measure].to_numpy(float), cell, (len(names), count))
            if np.isfinite(grid).any():
                grids[measure] = grid
    return Depth(names, edges, relative(grids)) if grids else None


def relative(grids: Mapping[str, Array]) -> dict[str, Array]:
    """``grids``, those that do not compare between groups over each group's median."""
    return {name: _relative(grid) if name in _RELATIVE else grid for name, grid in grids.items()}


def _means(values: Array, cell: Rows, shape: tuple[int, int]) -> Array:
    """Geometric means of the values in each cell."""
    used = np.isfinite(values) & (values > 0)
    counts = np.bincount(cell[used], minlength=shape[0] * shape[1])
    sums = np.bincount(cell[used], np.log(values[used]), minlength=shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        means: Array = np.exp(sums / counts)
    return means.reshape(shape)


def _relative(grid: Array) -> Array:
    """Each row over its median."""
    known = np.isfinite(grid).any(axis=1)
    middle = np.full(len(grid), np.nan)
    middle[known] = np.nanmedian(grid[known], axis=1)
    return np.asarray(grid / middle[:, None], dtype=np.float64)
