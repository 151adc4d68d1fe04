"""What people have: tables, logs, W&B's exports, TensorBoard's and MLflow's runs. One door."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from limitcycle.cli.readers import DATABASES, reader_of
from limitcycle.cli.voice import say
from limitcycle.errors import UserError
from limitcycle.reading.columns import runs_in
from limitcycle.record.jsons import SUMMARY
from limitcycle.record.logs import MEASURE, Log, as_table
from limitcycle.record.mlflow import mlflow_folders, read_mlflow_database, read_mlflow_folder
from limitcycle.record.roles import (
    NEEDED,
    OPTIONAL,
    candidates,
    choose,
    choose_step,
    listed,
    needs_norm,
)
from limitcycle.record.tensorboard import event_bytes, event_folders, read_events
from limitcycle.record.wandb import is_chart, is_history, read_charts, read_histories

_REMEDY = MEASURE + "and write it into the column 'norm'"
_OF_TRAINERS = {"total_flos", "train_runtime", "eval_runtime"}
"""Columns that the trainer of transformers writes: the names beside them are its own."""
_ALSO = {"loss": "train_loss"}  # what an epoch table calls it
Given = Mapping[str, str | None]
T = TypeVar("T")


class Table(NamedTuple):
    """A run's table for `diagnose`, and remarks on how it came about."""

    name: str
    frame: pd.DataFrame
    notes: Sequence[str]


def read_files(paths: Sequence[Path], given: Given) -> tuple[list[Table], list[str]]:
    """The tables in ``paths``: one table, one history, or the exports of charts over the same runs.

    Args:
        paths: of files.
        given: ``step``, ``loss``, ``norm`` → name of the column; None: not said.

    Returns:
        The tables, and why runs that are there have none.

    Raises:
        UserError: none of the runs makes a table, or a file cannot be read.
    """
    if len(paths) == 1 and paths[0].name.lower().endswith(DATABASES) and paths[0].is_file():
        return _tables(read_mlflow_database(paths[0]), _stepless(given, paths))
    columns = {path: _columns(path) for path in paths}
    charts = [path for path in paths if is_chart(columns[path])]
    if charts == list(paths):
        return _tables(_reading(charts[0], lambda: read_charts(charts)), _stepless(given, charts))
    if len(paths) > 1:
        raise UserError("several files are taken together only where all are exports of W&B charts")
    (path,) = paths
    if is_history(columns[path]):
        return _tables(_reading(path, lambda: read_histories(path, given.get("step"))), given)
    frame, notes = _reading(path, lambda: reader_of(path).read(path))
    return [_named(path, name, rows, notes, given) for name, rows in _runs(path, frame)], []


def read_logs_below(path: Path, given: Given) -> tuple[list[Table], list[str]]:
    """The tables of TensorBoard's and MLflow's runs in ``path`` and below, as `read_files` returns.

    Raises:
        UserError: there are runs, but none makes a table; ``tensorboard`` is missing.
    """
    folders, of_mlflow = event_folders(path), mlflow_folders(path)
    if not (folders or of_mlflow):
        return [], []
    named = {folder: folder.relative_to(path).as_posix() for folder in folders}
    _announce(sum(event_bytes(folder) for folder in folders))
    logs = [
        read_events(folder, path.resolve().name if name == "." else name)
        for folder, name in named.items()
    ]
    with_scalars = [log for log in [*logs, *map(read_mlflow_folder, of_mlflow)] if log.names]
    if not with_scalars:
        raise UserError(f"{path}: its event files hold no scalars, its runs no metrics")
    return _tables(with_scalars, _stepless(given, [path]))


def _announce(size: int) -> None:
    """Say how long reading takes where that is seconds: TensorBoard's reader does 1.5 MB in one."""
    if size > 3e6:
        text = f"reading {size / 1e6:,.0f} MB of event files, about {size / 1.5e6:,.0f} seconds …"
        say(text, aside=True)


def _tables(logs: Sequence[Log], given: Given) -> tuple[list[Table], list[str]]:
    """A table a log. One that makes none is named, unless all are like that: then it is refused."""
    tables, refused = [], []
    for log in logs:
        try:
            tables.append(Table(log.name, *as_table(log, given)))
        except UserError as problem:
            refused.append(str(problem))
    if not tables:
        more = len(refused) - 1
        raise UserError(
            refused[0] + (f" ({more} more of its runs cannot be judged, either)" if more else "")
        )
    return tables, refused


def _stepless(given: Given, paths: Sequence[Path]) -> Given:
    if given.get("step") is not None:
        raise UserError(f"{paths[0]} has steps of its own: leave out --step")
    return given


def _columns(path: Path) -> list[str]:
    """The names of the columns of a table; nothing for a log, whose lines have their own."""
    return _reading(path, lambda: reader_of(path).columns(path))


def _runs(path: Path, frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The runs in a table, each with its name; one is called as the file is."""
    several = runs_in(frame)
    if several is None:
        return [(path.name, frame)]
    column, names = several
    return [(str(name), frame[frame[column] == name]) for name in names]


def _named(path: Path, name: str, frame: pd.DataFrame, notes: Sequence[str], given: Given) -> Table:
    """A table whose columns are called by their roles."""
    if not (reader_of(path).logger or _OF_TRAINERS & {*frame.columns}):
        return Table(name, _renamed(path, frame, given), notes)
    frame = frame[[column for column in frame.columns if frame[column].notna().any()]]
    if SUMMARY in frame:  # a trainer's last row tells of all steps
        frame = frame[frame[SUMMARY].isna()].dropna(axis="columns", how="all")
    names = [str(column) for column in frame.columns]
    # What has a role's own name has the role, whatever else may have it.
    own = {role: role for role in (*NEEDED, *OPTIONAL, "step") if role in names}
    said = {**own, **{role: column for role, column in given.items() if column is not None}}
    counted = {}
    if "step" in said or candidates("step", names) or "epoch" not in names:
        counted = {"step": choose_step(str(path), names, said.get("step"))}
    choice = choose(str(path), names, said, _REMEDY, counted.get("step"))
    roles = {column: role for role, column in {**counted, **choice.names}.items()}
    stale = [role for column, role in roles.items() if role != column and role in names]
    frame = frame.drop(columns=stale).rename(columns=roles)
    return Table(name, frame, [*notes, *choice.notes])


def _reading(path: Path, read: Callable[[], T]) -> T:
    try:
        return read()
    except UserError:
        raise
    except Exception as problem:
        reason = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise UserError(f"{path} cannot be read as a table ({reason})") from None


def _renamed(path: Path, frame: pd.DataFrame, given: Given) -> pd.DataFrame:
    """``frame`` with the columns that were named in their roles; usual names are suggested."""
    names = [str(name) for name in frame.columns]
    for role, name in given.items():
        if name is not None and name not in names:
            raise UserError(f"{path} has no column {name!r} (--{role}); it has {listed(names)}")
    said = {name: role for role, name in given.items() if name is not None}
    stale = [role for name, role in said.items() if role != name and role in names]
    frame = frame.drop(columns=stale).rename(columns=said)
    for role in ("step", "loss", "norm"):
        usable = {role, _ALSO.get(role, role)}
        if not usable & {*frame.columns, frame.index.name}:
            _suggest(path, names, role)
    return frame


def _suggest(path: Path, names: Sequence[str], role: str) -> None:
    """Refuse a table without the column ``role``, naming what may be it."""
    found = candidates(role, names)
    if found:
        raise UserError(
            f"{path} has no column {role!r}; it has {listed(names)}: rename {found[0]!r} to "
            f"{role!r}, or say --{role} {found[0]!r}, if it is that"
        )
    if role == "norm":
        raise UserError(needs_norm(f"{path} has no column 'norm'; it has {listed(names)}", _REMEDY))
