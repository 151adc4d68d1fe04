"""A run whose folder is being written: what is new in it, and what is known of it so far."""

import math
import os
import time
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.errors import UserError
from limitcycle.reading import diagnose
from limitcycle.reading.data import data_of
from limitcycle.reading.decayed import OTHER, decayed, without
from limitcycle.reading.forecast import withheld
from limitcycle.reading.history import History, history_of
from limitcycle.reading.live import Live
from limitcycle.record import LoadedRun, load
from limitcycle.record.parts import Part, part_at, read_part
from limitcycle.report.depth import MEASURES, Depth, relative
from limitcycle.report.live.bins import Extremes, GroupMeans

LONGER = 1.15
"""A run that has become so many times as long is diagnosed again."""

READ_AT_ONCE = 5_000
"""Rows of a run that is diagnosed before it is shown for the first time."""

_TICK = 100_000_000  # nanoseconds, more than a file system's clock needs to move on
_DRAWN = ("loss", "norm", "effective_lr", "effective_grad_norm")
_AVERAGED = ("loss", "effective_grad_norm")


@dataclass(frozen=True)
class Sofar:
    """A run as the page shows it: few of its rows; what `limitcycle.load` returns, in short."""

    name: str
    run: Any
    info: dict[str, Any]
    status: dict[str, Any]
    steps: pd.DataFrame
    epochs: pd.DataFrame
    groups: pd.DataFrame = field(default_factory=pd.DataFrame)


class Followed:
    """A run below the folder that is watched.

    Args:
        path: its folder.

    Raises:
        UserError: it cannot be opened, or read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pending, self.diagnosis = False, diagnose(_NONE)
        self._status: dict[str, Any] = {}
        self._steps, self._tests = Extremes(_DRAWN, _AVERAGED), Extremes(("test_error",))
        self._groups = GroupMeans(tuple(MEASURES))
        self._rows, self._last, self._note = 0, -1, ""
        self._begin()
        self._first_reading()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._loaded.name

    @property
    def run(self) -> Any:
        """The description; None for somebody else's run that is watched."""
        return self._loaded.run

    @property
    def ended(self) -> bool:
        """Whether the run says that it is over."""
        return self._status.get("state") not in ("running", None)

    @property
    def state(self) -> str:
        """running, done, stopped or failed."""
        return str(self._status.get("state", "running"))

    def refresh(self) -> bool:
        """Read what is new; whether there was anything.

        Raises:
            UserError: a part is damaged.
        """
        status = self._loaded.status
        changed = status != self._status
        self._status = status
        new = {name: self._new_parts(name) for name in ("steps", "epochs")}
        if new["steps"] is None or new["epochs"] is None:  # it went back: all is read anew
            self._begin()
            self._first_reading()
            return True
        for name in new["steps"]:
            self._take(name)
        for name in new["epochs"]:
            self._tests.add(_ascending(_read(self.path / "epochs" / name)))
        return changed or bool(new["steps"]) or bool(new["epochs"])

    def _first_reading(self) -> None:
        """Of a long run somebody else makes it, later; until then nothing is said."""
        self.pending = self._rows > READ_AT_ONCE
        if self.pending:
            self.diagnosis = diagnose(_NONE)
        else:
            self.diagnose()

    def wants_reading(self) -> bool:
        """Whether so much has happened since the last diagnosis that it is to be made again."""
        if self._rows == self._read_rows:
            return self.ended and not self._read_ended
        return self._rows > LONGER * self._read_rows or self.ended

    def diagnose(self) -> None:
        """Say anew what the run is doing, from all of its rows.

        Raises:
            UserError: a part is damaged.
        """
        rows, ended = self._rows, self.ended
        self.diagnosis = diagnose(load(self.path))
        self._read_rows, self._read_ended, self.pending = rows, ended, False

    def foresee(self) -> bool:
        """Look at the rows that have come since for the next jump; whether there were any.

        It may take longer the longer the run: let it not be waited for.
        """
        news: list[pd.DataFrame] = []
        while self._unforeseen:
            news.append(self._unforeseen.popleft())
        for steps in news:
            self._live.add(steps)
        if news:
            self.forecast = self._live.forecast()
            self.forecast_from = int(news[-1]["step"].iloc[-1])
        return bool(news)

    @property
    def last_step(self) -> int:
        """The last step that is known; -1 without any."""
        return self._last

    @property
    def rows(self) -> int:
        """How many rows have been read."""
        return self._rows

    def history(self, label: str) -> History:
        """The run as series, of the rows that are kept."""
        kept = self._steps.rows
        if kept.empty:
            kept = pd.DataFrame({"step": np.empty(0)})
        tests = self._tests.rows
        sofar = Sofar(self.name, self.run, self._loaded.info, self._status, kept, tests)
        history = history_of(sofar, label, self.diagnosis)
        if self._steps.rows.empty:
            return history
        means = {name: self._steps.means(name) for name in _AVERAGED}
        return replace(history, means={**history.means, **means}, note=self._note)

    def depth(self) -> Depth | None:
        """What its groups do; None where fewer than two were recorded."""
        if len(self._groups.groups) < 2:
            return None
        grids = self._groups.grids()
        known = {name: grid for name, grid in grids.items() if np.isfinite(grid).any()}
        return Depth(self._groups.groups, self._groups.edges(), relative(known))

    def _begin(self) -> None:
        self._loaded: LoadedRun = load(self.path)
        self._status = self._loaded.status
        sort = data_of(Sofar(self.name, self.run, self._loaded.info, self._status, _NONE, _NONE))
        self._live = Live(sort.rule, sort.net)
        self._unforeseen: deque[pd.DataFrame] = deque()  # rows, from one thread to another
        self.forecast, self.forecast_from = withheld("too few rows to tell"), -1
        self._steps, self._tests = Extremes(_DRAWN, _AVERAGED), Extremes(("test_error",))
        self._groups = GroupMeans(tuple(MEASURES))
        self._there: dict[str, dict[str, Part]] = {"steps": {}, "epochs": {}}
        self._seen: dict[str, set[str]] = {"steps": set(), "epochs": set()}
        self._stamps: dict[str, int] = {}
        self._rows, self._last, self._note = 0, -1, ""
        self._read_rows, self._read_ended = 0, False
        for name in self._new_parts("steps") or ():
            self._take(name)
        for name in self._new_parts("epochs") or ():
            self._tests.add(_ascending(_read(self.path / "epochs" / name)))

    def _new_parts(self, table: str) -> list[str] | None:
        """Names of the parts that have come, in order; None where some have gone.

        A part counts when the status says so, for of one step several tables may have rows.
        """
        self._list(table)
        there, seen = self._there[table], self._seen[table]
        if seen - set(there):
            return None
        covered = math.inf if self.ended else float(self._status.get("step", math.inf))
        new = [name for name in sorted(set(there) - seen) if there[name].last <= covered]
        seen.update(new)
        return new

    def _list(self, table: str) -> None:
        """Look which parts there are, where the folder was written since it was looked at last."""
        folder = self.path / table
        try:
            stamp = folder.stat().st_mtime_ns
            if self._stamps.get(table) == stamp:
                return
            names = [entry.name for entry in os.scandir(folder)]
        except FileNotFoundError:
            return
        except OSError as problem:
            raise UserError(f"{folder} cannot be read: {problem.strerror}") from None
        # A file may come within the same tick of the clock: only an old stamp is to be trusted.
        if time.time_ns() - stamp > _TICK:
            self._stamps[table] = stamp
        known = self._there[table]
        parts = {name: known.get(name) or part_at(folder / name) for name in names}
        self._there[table] = {name: part for name, part in parts.items() if part is not None}

    def _take(self, name: str) -> None:
        """Take in a part of the step table, and that of the group table beside it."""
        steps, groups = _read(self.path / "steps" / name), _read(self.path / "groups" / name)
        steps = steps[steps["step"] > self._last] if len(steps) else steps
        groups = groups[groups["step"] > self._last] if len(groups) else groups
        if steps.empty:
            return
        groups = without(groups, self._loaded.info.get("watched"))
        judged, self._note = decayed(steps, groups) if len(groups) else (steps, self._note)
        if {"loss", "norm"} <= set(judged.columns):
            self._unforeseen.append(judged)
        self._steps.add(judged)
        if len(groups):
            self._groups.add(groups[groups["group"] != OTHER])
        self._rows += len(steps)
        self._last = int(steps["step"].iloc[-1])


_NONE = pd.DataFrame({"step": np.empty(0), "loss": np.empty(0), "norm": np.empty(0)})


def _read(path: Path) -> pd.DataFrame:
    """A part; no rows where it is missing, or has just been replaced."""
    part = part_at(path)
    if part is None or not path.is_file():
        return pd.DataFrame()
    try:
        return read_part(part)
    except UserError:
        if path.is_file():
            raise
        return pd.DataFrame()


def _ascending(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values("step", kind="stable") if len(table) else table
