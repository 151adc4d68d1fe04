"""Weights & Biases on paper: the CSV of a chart, and that (or the Parquet) of ``run.history()``.

A chart's export has the x axis in its first column, then for every run and metric three columns:
``RUN - METRIC`` and the smallest and largest value of the steps that the row stands for. A history
has a column a metric and a row a call of ``wandb.log``, blank where that call logged something
else. A logged NaN is the text ``NaN`` there; where something has made it blank, it is missing.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record.delimited import read_delimited
from limitcycle.record.logs import MEASURE, Log
from limitcycle.record.roles import choose_step

REMEDY = MEASURE + 'wandb.log({"train/loss": loss, "weight_norm": norm})'
SAMPLED = 500
"""Rows to which ``run.history()`` samples unless told otherwise."""

_EXTREMES = ("__MIN", "__MAX")
_BETWEEN = " - "


def is_chart(columns: Sequence[str]) -> bool:
    """Whether a CSV with these columns is a chart's export."""
    values = [name for name in columns[1:] if not name.endswith(_EXTREMES)]
    return bool(values) and all(_BETWEEN in name for name in values)


def is_history(columns: Sequence[str]) -> bool:
    """Whether a CSV with these columns is a run's history."""
    return "_step" in columns and bool({"_timestamp", "_runtime"} & {*columns})


def read_histories(path: Path, step: str | None) -> list[Log]:
    """The logs in the CSV of ``run.history()``, of the rows of ``run.scan_history()``, or of
    ``runs.histories()``, whose column ``run_id`` tells the runs apart.

    Args:
        path: of the file.
        step: the column that counts the steps; None: a global step, else ``_step``.

    Raises:
        UserError: no column counts the steps, or several may.
    """
    frame = _strings(path)
    counter = choose_step(str(path), _logged(frame), step)
    if "run_id" not in frame:
        return [_history(frame, path, counter, path.name, str(path))]
    return [
        _history(_filled(rows, counter), path, counter, str(run), f"{path}, run {run!r}")
        for run, rows in frame.groupby("run_id", sort=False)
    ]


def _history(frame: pd.DataFrame, path: Path, counter: str, name: str, source: str) -> Log:
    steps = _numbers(frame, counter, path)
    # What counts updates is blank where another call logged something: that belongs to the last.
    steps = steps.ffill() if counter != "_step" else steps
    notes: tuple[str, ...] = ()
    if len(frame) == SAMPLED:
        notes = (f"history() samples to {SAMPLED} rows: run.scan_history() gives every step",)

    def curve(column: str) -> "pd.Series[float]":
        logged = frame[column].notna() & steps.notna()
        return pd.Series(_numbers(frame, column, path)[logged].to_numpy(), index=steps[logged])

    names = [c for c in _logged(frame) if c != counter and not c.startswith("_")]
    return Log(name, source, names, curve, REMEDY, counter, notes)


def _filled(frame: pd.DataFrame, counter: str) -> pd.DataFrame:
    """Without the columns that are blank because other runs logged these metrics."""
    return frame[[c for c in frame.columns if c == counter or frame[c].notna().any()]]


def _logged(frame: pd.DataFrame) -> list[str]:
    """The columns but for the rows' numbers and the run's name."""
    return [c for c in frame.columns if not c.startswith("Unnamed: ") and c != "run_id"]


def read_charts(paths: Sequence[Path]) -> list[Log]:
    """The logs, one a run, in the exports of one chart or of several over the same runs.

    Raises:
        UserError: an x axis is a time.
    """
    runs: dict[str, dict[str, pd.Series[float]]] = {}
    means: dict[str, list[str]] = {}
    for path in paths:
        frame = _strings(path)
        axis = frame.columns[0]
        if "time" in axis.lower():
            raise UserError(f"{path}: its x axis is {axis!r}: set the chart's to Step, then export")
        steps = _numbers(frame, axis, path)
        for column in frame.columns[1:]:
            if column.endswith(_EXTREMES):
                continue
            run, _, metric = column.rpartition(_BETWEEN)
            logged = frame[column].notna() & steps.notna()
            values = _numbers(frame, column, path)[logged].to_numpy()
            runs.setdefault(run, {})[metric] = pd.Series(values, index=steps[logged])
            if _averaged(frame, column, path):
                means.setdefault(run, []).append(metric)
    source = ", ".join(map(str, paths))
    return [
        Log(
            name=run,
            source=f"{source}, run {run!r}",
            names=[metric for metric in curves if not metric.startswith("_")],
            curve=curves.__getitem__,
            remedy=REMEDY,
            notes=_averages(means.get(run, [])),
        )
        for run, curves in runs.items()
    ]


def _averages(metrics: Sequence[str]) -> tuple[str, ...]:
    if not metrics:
        return ()
    return (
        f"the export's rows are means of several steps ({', '.join(map(repr, metrics))}): short "
        "jumps may be hidden; run.scan_history() gives every step",
    )


def _averaged(frame: pd.DataFrame, column: str, path: Path) -> bool:
    low, high = (column + extreme for extreme in _EXTREMES)
    if low not in frame or high not in frame:
        return False
    return bool((_numbers(frame, low, path) < _numbers(frame, high, path)).any())


def _strings(path: Path) -> pd.DataFrame:
    """The file as text, so that a logged NaN is told from a blank, which is missing."""
    if path.name.lower().endswith(".parquet"):
        return pd.read_parquet(path, dtype_backend="pyarrow")
    return read_delimited(path, as_text=True)


def _numbers(frame: pd.DataFrame, name: str, path: Path) -> "pd.Series[float]":
    try:
        values = frame[name].to_numpy(object, na_value=np.nan).astype(np.float64)  # as float() does
    except (TypeError, ValueError):
        raise UserError(f"{path}: column {name!r} does not hold numbers") from None
    return pd.Series(values, index=frame.index)
