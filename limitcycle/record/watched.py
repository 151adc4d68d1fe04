"""The folder of somebody else's run that is being watched: step table and group table, no weights.

Rows are appended as they come. What was written before a kill is whole; a job that goes on from a
checkpoint of its own says at which step, and what lies beyond is dropped.

The status says how many rows there are up to which step. It is brought up to date after rows were
added and before rows are dropped, so that it never promises more than there is.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record.locked import LockedFolder
from limitcycle.record.parts import drop_beyond, list_parts, read_part, write_part
from limitcycle.record.promised import Promise, check_rows, count_tables

_TABLES = ("steps", "groups")


class WatchedFolder(LockedFolder):
    """A watched run's folder, open for writing and locked; see `LockedFolder`."""

    _covered = Promise(0, dict.fromkeys(_TABLES, 0))

    @property
    def next_step(self) -> int:
        """The step after the last one recorded."""
        return max((part.last + 1 for part in list_parts(self.path / "steps")), default=0)

    def blocks(self) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
        """Both tables part by part, for whoever cannot hold all of them at once.

        Raises:
            UserError: a part is damaged.
        """
        groups = {part[1:]: part for part in list_parts(self.path / "groups")}
        last = -1
        for part in list_parts(self.path / "steps"):
            beside = groups.get(part[1:])
            frames = [read_part(part), pd.DataFrame() if beside is None else read_part(beside)]
            # After a kill at a bad moment two parts may share steps.
            new = [frame[frame["step"] > last] if len(frame) else frame for frame in frames]
            last = max(last, part.last)
            yield new[0], new[1]

    def go_back(self, step: int) -> None:
        """Say that the run goes on from ``step``; the rows from there on, made again, are dropped.

        Raises:
            UserError: a part before it is damaged.
        """
        self._covered = Promise(step, count_tables(self.path, step, _TABLES))
        self.set_status("running", step)
        for name in _TABLES:
            drop_beyond(self.path / name, step - 1)

    def append(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Write rows, whole or not at all."""
        rows = dict(self._covered.rows)
        for name, frame in zip(_TABLES, (steps, groups), strict=True):
            write_part(self.path / name, frame)
            rows[name] += len(frame)
        if len(steps):
            self._covered = Promise(int(steps["step"].iloc[-1]) + 1, rows)
            self.set_status("running", self._covered.completed)

    def _describe(self) -> dict[str, Any]:
        return {"run": None}

    def _recognise(self, known: dict[str, Any], info: Mapping[str, Any]) -> None:
        refuse_of_the_lab(self.path, known)
        check_rows(self.path)


def refuse_of_the_lab(path: Path, known: Mapping[str, Any]) -> None:
    """Refuse a folder whose ``run.json`` is that of a run which was not watched.

    Raises:
        UserError: it is.
    """
    if known["run"] is not None:
        raise UserError(f"{path} holds a run of the lab: choose another folder to watch into")
