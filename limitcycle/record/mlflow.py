"""MLflow's stores: a folder of runs (``mlruns``) and an SQLite file, read without MLflow.

A folder has a run a sub-folder, with ``meta.yaml`` and a file a metric, whose lines are a time, a
value and a step; the file has them in a table.
"""

import contextlib
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record.logs import MEASURE, Log

REMEDY = MEASURE + 'mlflow.log_metric("weight_norm", norm, step=step)'
_METRICS = (
    "select m.run_uuid, coalesce(nullif(r.name, ''), m.run_uuid), m.key, m.step, m.value, m.is_nan "
    "from metrics m join runs r on r.run_uuid = m.run_uuid order by m.timestamp, m.rowid"
)


def mlflow_folders(path: Path) -> list[Path]:
    """The folders of runs at ``path`` and below."""
    return sorted(each.parent for each in path.rglob("metrics") if _is_run(each.parent))


def read_mlflow_folder(folder: Path) -> Log:
    """The log of the run in ``folder``.

    Raises:
        UserError: a metric's file cannot be read.
    """
    within = folder / "metrics"
    files = {
        file.relative_to(within).as_posix(): file for file in within.rglob("*") if file.is_file()
    }

    def curve(name: str) -> "pd.Series[float]":
        try:
            table = pd.read_csv(files[name], sep=" ", header=None, usecols=[0, 1, 2])
            return pd.Series(table[1].to_numpy("float64"), index=table[2].to_numpy("float64"))
        except (OSError, ValueError) as problem:
            raise UserError(f"{files[name]} is no file of a metric ({problem})") from None

    return Log(_name(folder), str(folder), sorted(files), curve, REMEDY)


def read_mlflow_database(path: Path) -> list[Log]:
    """The logs of the runs in an SQLite file.

    Raises:
        UserError: it is none, or not MLflow's.
    """
    try:
        opened = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        with contextlib.closing(opened):
            rows = opened.execute(_METRICS).fetchall()
    except sqlite3.Error as problem:
        raise UserError(f"{path} is no SQLite file of MLflow ({problem})") from None
    if not rows:
        raise UserError(f"{path}: no run in it has logged a metric")
    table = pd.DataFrame(rows, columns=["run", "name", "key", "step", "value", "nan"])
    table.loc[table["nan"].astype(bool), "value"] = float("nan")
    logs = []
    for run, of_run in table.groupby("run", sort=False):
        curves = {
            str(key): pd.Series(of_key["value"].to_numpy("float64"), index=of_key["step"])
            for key, of_key in of_run.groupby("key")
        }
        source = f"{path}, run {str(run)!r}"
        logs.append(_log(str(of_run["name"].iloc[0]), source, curves))
    return logs


def _log(name: str, source: str, curves: Mapping[str, "pd.Series[float]"]) -> Log:
    return Log(name, source, list(curves), curves.__getitem__, REMEDY)


def _is_run(folder: Path) -> bool:
    return (folder / "meta.yaml").is_file() and (folder / "metrics").is_dir()


def _name(folder: Path) -> str:
    """What the run is called; MLflow invents a name where nobody gave one."""
    try:
        text = (folder / "meta.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return folder.name
    found = re.search(r"^run_name: *['\"]?(.+?)['\"]? *$", text, re.MULTILINE)
    return found[1] if found else folder.name
