"""The rows of anybody's table in order: one a step, oldest first, loss and norm side by side.

Loggers write what they have when they have it: a validation row repeats the step of its training
row, loss and norm stand in rows of their own, a job that was resumed goes over steps again or
counts from zero. Nothing of that is lost here without a note.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.errors import UserError
from limitcycle.reading.columns import Array
from limitcycle.record.logs import join_curves, last_values

_SHUFFLED = 3.0  # rows between two falls of the step, on average: below it, rows are in no order
_COUNTABLE = 2.0**53  # beyond it not every whole number is a float
_SAME_NORM = 0.01  # of log ρ: a norm that moved less cannot tell a resume from a run begun anew


def in_order(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """``table`` by step, each step once, and what had to be done for that.

    Of several values for one step and column the last that is there (not NaN) wins.

    Args:
        table: numbers; columns ``step``, ``loss``, ``norm`` and others.

    Raises:
        UserError: the table holds several runs, one below the other.
    """
    notes = []
    counted = np.isfinite(table["step"].to_numpy(np.float64))
    if not counted.all():
        notes.append(f"{(~counted).sum():,} of {len(table):,} rows have no step and are left out")
        table = table[counted]
    if np.any(np.diff(table["step"].to_numpy(np.float64)) <= 0):
        table, said = _one_a_step(table)
        notes += said
    table, said = _side_by_side(table)
    return table, notes + said


def _one_a_step(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    merged, replaced = _merged(table)
    if not replaced:
        return merged, []
    notes = []
    steps, times = _counted_on(table)
    if times:
        notes.append(
            f"the step begins anew {_times(times)}, and the norm goes on where it was: taken for "
            "one run that was resumed, its steps counted on"
        )
        merged, replaced = _merged(table.assign(step=steps))
    if replaced:
        notes.append(
            f"{replaced:,} of {len(table):,} rows have another loss or norm than a later row of "
            "the same step: the later one counts"
        )
    return merged, notes


def _merged(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """One row a step, and how many rows held another loss or norm than the one that counts."""
    ordered = table.sort_values("step", kind="stable")
    steps = ordered["step"].to_numpy(np.float64)
    group = np.concatenate([[0], np.cumsum(np.diff(steps) > 0)])
    if len(steps) == group[-1] + 1:
        return ordered, 0
    merged = ordered.groupby(group, sort=False).last()
    other = np.zeros(len(ordered), dtype=bool)
    for name in ("loss", "norm"):
        values = ordered[name].to_numpy(np.float64)
        other |= ~np.isnan(values) & (values != merged[name].to_numpy(np.float64)[group])
    return merged, int(other.sum())


def _counted_on(table: pd.DataFrame) -> tuple[Array, int]:
    """The steps of a run whose counter was set back to its beginning, and how many times it was.

    Raises:
        UserError: the norm begins anew, too.
    """
    steps = table["step"].to_numpy(np.float64).copy()
    change = np.diff(steps)
    falls = np.flatnonzero(change < 0) + 1
    countable = np.abs(steps).max() < _COUNTABLE / (len(falls) + 1)
    if not countable or len(steps) < _SHUFFLED * (len(falls) + 1):
        return steps, 0
    interval = float(np.median(change[change > 0])) if (change > 0).any() else 1.0
    anew = falls[np.abs(steps[falls] - steps[0]) <= 1.5 * interval]
    _refuse_several(table, anew)
    for at in anew:
        steps[at:] += steps[:at].max() + interval - steps[at]
    return steps, len(anew)


def _refuse_several(table: pd.DataFrame, anew: NDArray[np.intp]) -> None:
    """Refuse runs one below the other: each begins with the norm of the first one's beginning."""
    norm = table["norm"].to_numpy(np.float64)
    norm = np.log(np.where(norm > 0, norm, np.nan))
    first = _nearest(norm)
    several = 0
    for at in anew:
        here, before = _nearest(norm[at:]), _nearest(norm[:at][::-1])
        told = abs(before - first) > _SAME_NORM
        several += bool(told and abs(here - first) < abs(here - before))
    if several:
        raise UserError(
            f"the step begins anew {_times(len(anew))}, and the norm {_times(several)} with it: "
            f"these are {several + 1:,} runs, one below the other; give each a table of its own, "
            "or a column 'run' that tells them apart"
        )


def _nearest(values: Array) -> float:
    """The first value that is there."""
    there = values[np.isfinite(values)]
    return float(there[0]) if there.size else float("nan")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _side_by_side(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Loss and norm in one row, where a logger gave each rows of its own."""
    there = {name: table[name].notna().to_numpy() for name in ("loss", "norm")}
    fewer = min(int(rows.sum()) for rows in there.values())
    if 2 * int((there["loss"] & there["norm"]).sum()) >= fewer:  # single gaps, or nothing at all
        return table, []
    by_step = table.set_index("step")
    curves = {name: by_step[name].dropna() for name in there}
    joined = join_curves(curves["loss"], curves["norm"])
    if joined.empty:
        return table, ["loss and norm were logged at steps too far apart to be joined"]
    for name in by_step.columns.difference(["loss", "norm"], sort=False):
        joined[name] = last_values(by_step[name].dropna(), joined["step"].to_numpy(np.float64))
    return joined, [
        f"loss (at {len(curves['loss']):,} steps) and norm (at {len(curves['norm']):,}) stand in "
        f"rows of their own: joined to {len(joined):,} rows"
    ]
