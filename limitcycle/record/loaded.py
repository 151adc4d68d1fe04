"""Opening what was recorded: a run, or all the runs below a folder."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.checks import lost_link, usable_path
from limitcycle.errors import UserError
from limitcycle.late import late
from limitcycle.record.checkpoints import Checkpoint, list_checkpoints, read_checkpoint
from limitcycle.record.described import read_info, read_status
from limitcycle.record.files import first_line, reading, remedy
from limitcycle.record.parts import read_parts
from limitcycle.record.promised import check_rows
from limitcycle.record.run import Run


@dataclass(frozen=True)
class LoadedRun:
    """A run as it lies on disk; tables are read on first use.

    Attributes:
        path: its folder.
        run: its description; None for somebody else's run that was watched.
        info: the content of ``run.json``: versions, device, threads, memory format, git state.
    """

    path: Path
    run: Run | None
    info: dict[str, Any]

    def __repr__(self) -> str:
        return f"<LoadedRun {str(self.path)!r}: {self._state()}>"

    def _repr_html_(self) -> str:
        return str(late("notebook", "run_card")(self))

    def _state(self) -> str:
        try:
            status = self.status
            return f"{status['state']}, step {status['step']:,}"
        except (KeyError, TypeError, ValueError):  # a damaged file is said when it is asked for
            return "its status cannot be read"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def description(self) -> Run:
        """`run`, where there has to be one.

        Raises:
            UserError: the run was watched, not made by the lab.
        """
        if self.run is None:
            raise UserError(f"{self.path} was watched: there is no description to make it again")
        return self.run

    @property
    def status(self) -> dict[str, Any]:
        """``state`` (running, done, stopped, failed), ``step`` (updates completed), ``reason``."""
        known = read_status(self.path)
        known.pop("recorded", None)  # not about the run but about its tables
        return known or {"state": "running", "step": 0, "reason": ""}

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row a step; columns in `limitcycle.record.STEP_COLUMNS`, and ``momentum``."""
        return _with_momentum(read_parts(self.path / "steps"), self.run)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row an evaluation; columns in `limitcycle.record.EPOCH_COLUMNS`."""
        return read_parts(self.path / "epochs")

    @cached_property
    def groups(self) -> pd.DataFrame:
        """Of a watched run: one row a step and group; `limitcycle.record.GROUP_COLUMNS`."""
        return read_parts(self.path / "groups")

    @property
    def snapshots(self) -> list[Path]:
        """The weight snapshots kept for good, oldest first."""
        return list_checkpoints(self.path / "snapshots")

    def checkpoint(self) -> Checkpoint:
        """The newest checkpoint: updates completed, and arrays by name.

        Raises:
            UserError: there is none, or it is damaged.
        """
        paths = list_checkpoints(self.path / "checkpoints")
        if not paths:
            raise UserError(f"{self.path} has no checkpoint yet")
        return read_checkpoint(paths[-1])


def _with_momentum(steps: pd.DataFrame, run: Run | None) -> pd.DataFrame:
    """``steps`` with the run's momentum in the rows of versions that did not record it.

    So a run that was begun by one of these and gone on with is the same table as any other.
    """
    if run is None or ("momentum" in steps and steps["momentum"].notna().all()):
        return steps
    return steps.assign(momentum=np.full(len(steps), run.momentum, dtype=run.dtype))


def load(path: str | Path) -> LoadedRun:
    """Open the run in folder ``path``.

    Raises:
        UserError: there is no run, its ``run.json`` is damaged, or its tables lack rows that they
            had.
    """
    path = usable_path(path)
    with reading(path):
        if not path.is_dir():
            wrong = lost_link(path) or f"{path} is no folder"
            raise UserError(f"{wrong}: give a run's folder")
    info = read_info(path)
    try:
        run = None if info["run"] is None else Run.from_dict(info["run"])
    except (KeyError, TypeError, ValueError, OverflowError) as problem:
        said = first_line(problem)
        raise UserError(
            f"{path / 'run.json'} does not describe a run ({said}): {remedy('run.json')}"
        ) from None
    read_status(path)
    check_rows(path)
    return LoadedRun(path, run, info)


def load_all(path: str | Path) -> list[LoadedRun]:
    """Open every run in folder ``path`` or below, in order of their paths.

    Raises:
        UserError: there is none, or one of them cannot be opened.
    """
    runs, problems = load_sound(path)
    if problems:
        raise problems[0]
    return runs


def load_sound(path: str | Path) -> tuple[list[LoadedRun], list[UserError]]:
    """Of the runs in folder ``path`` or below those that can be opened, and why others cannot.

    Raises:
        UserError: there is none at all.
    """
    path = usable_path(path)
    if lost := lost_link(path):
        raise UserError(f"{lost}: give a folder of runs")
    with reading(path):
        found = sorted(file.parent for file in path.rglob("run.json"))
    if not found:
        raise UserError(f"there is no run in {path}: it has no run.json, nor has a folder below it")
    runs: list[LoadedRun] = []
    problems: list[UserError] = []
    for folder in found:
        try:
            runs.append(load(folder))
        except UserError as problem:
            problems.append(problem)
    return runs, problems
