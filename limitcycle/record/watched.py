"""The folder of somebody else's run that is being watched: step table and group table, no weights.

Rows are appended as they come. What was written before a kill is whole; a job that goes on from a
checkpoint of its own says at which step, and what lies beyond is dropped.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record.locked import LockedFolder
from limitcycle.record.parts import drop_beyond, list_parts, read_parts, write_part

_TABLES = ("steps", "groups")


class WatchedFolder(LockedFolder):
    """A watched run's folder, open for writing and locked; see `LockedFolder`."""

    @property
    def next_step(self) -> int:
        """The step after the last one recorded."""
        return max((part.last + 1 for part in list_parts(self.path / "steps")), default=0)

    def read_steps(self) -> pd.DataFrame:
        """The step table as it stands."""
        return read_parts(self.path / "steps")

    def read_groups(self) -> pd.DataFrame:
        """The group table as it stands."""
        return read_parts(self.path / "groups")

    def go_back(self, step: int) -> None:
        """Drop the rows from ``step`` on: they are made again."""
        for name in _TABLES:
            drop_beyond(self.path / name, step - 1)

    def append(self, steps: pd.DataFrame, groups: pd.DataFrame) -> None:
        """Write rows, whole or not at all."""
        for name, frame in zip(_TABLES, (steps, groups), strict=True):
            write_part(self.path / name, frame)

    def _describe(self) -> dict[str, Any]:
        return {"run": None}

    def _recognise(self, known: dict[str, Any], info: Mapping[str, Any]) -> None:
        if known["run"] is not None:
            raise UserError(
                f"{self.path} holds a run of the lab: choose another folder to watch into"
            )
