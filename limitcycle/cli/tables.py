"""What people have: plain tables, W&B's CSV files, TensorBoard's folders. One reader for all."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from limitcycle.checks import lost_link
from limitcycle.cli.voice import say
from limitcycle.errors import UserError
from limitcycle.record.files import reading
from limitcycle.record.logs import MEASURE, Log, as_table
from limitcycle.record.roles import candidates, listed, needs_norm
from limitcycle.record.tensorboard import event_bytes, event_folders, read_events
from limitcycle.record.wandb import is_chart, is_history, read_charts, read_histories

_SEPARATORS = {".csv": ",", ".csv.gz": ",", ".tsv": "\t", ".tsv.gz": "\t"}
_REMEDY = MEASURE + "and write it into the column 'norm'"
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
    columns = {path: _columns(path) for path in paths}
    charts = [path for path in paths if is_chart(columns[path])]
    if charts == list(paths):
        return _tables(_reading(charts[0], lambda: read_charts(charts)), _stepless(given, charts))
    if len(paths) > 1:
        raise UserError("several files are taken together only where all are exports of W&B charts")
    (path,) = paths
    if is_history(columns[path]):
        return _tables(_reading(path, lambda: read_histories(path, given.get("step"))), given)
    frame = _reading(path, lambda: _read_table(path))
    return [Table(path.name, _renamed(path, frame, given), ())], []


def read_events_below(path: Path, given: Given) -> tuple[list[Table], list[str]]:
    """The tables of the TensorBoard runs in ``path`` and below; what `read_files` returns.

    Raises:
        UserError: there are runs, but none makes a table; ``tensorboard`` is missing.
    """
    folders = event_folders(path)
    if not folders:
        return [], []
    named = {folder: folder.relative_to(path).as_posix() for folder in folders}
    _announce(sum(event_bytes(folder) for folder in folders))
    logs = [
        read_events(folder, path.resolve().name if name == "." else name)
        for folder, name in named.items()
    ]
    with_scalars = [log for log in logs if log.names]
    if not with_scalars:
        raise UserError(f"{path}: its event files hold no scalars")
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
    """The header of a CSV file; nothing for a file of another kind."""
    separator = _separator(path)
    if separator is None:
        return []
    return _reading(path, lambda: [str(c) for c in pd.read_csv(path, sep=separator, nrows=0)])


def _separator(path: Path) -> str | None:
    """What separates the columns; None for Parquet."""
    with reading(path):
        if lost := lost_link(path):
            raise UserError(f"{lost}: give a folder or a table")
        if not path.exists():
            raise UserError(f"{path} does not exist: give a run's folder or a table")
        if not path.is_file():  # a pipe would be waited for, and read but once
            raise UserError(f"{path} is no plain file: give a run's folder or a table")
    name = path.name.lower()
    separators = [mark for end, mark in _SEPARATORS.items() if name.endswith(end)]
    if not (separators or name.endswith(".parquet")):
        raise UserError(
            f"{path}: a table is a .csv, .tsv (also .gz) or .parquet file, a run is a folder"
        )
    return separators[0] if separators else None


def _read_table(path: Path) -> pd.DataFrame:
    separator = _separator(path)
    return pd.read_parquet(path) if separator is None else pd.read_csv(path, sep=separator)


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
        usable = {role, "train_loss"} if role == "loss" else {role}
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
