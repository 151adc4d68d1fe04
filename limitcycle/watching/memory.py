"""The rows of a watch in memory: all of a short run, of a long one what tells most.

A run of a million steps has a million rows, and fifty times as many of groups. What is beyond a
limit is thinned (`thinning`). Where a folder holds every row they are read back from it; where
there is none, thinned tables are what there is, and that is said.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from limitcycle.reading.decayed import decayed, without
from limitcycle.watching.rises import Rises
from limitcycle.watching.thinning import staying

Steps = NDArray[np.int64]

STEP_ROWS = 200_000  # of the step table, about 30 MB
GROUP_ROWS = 300_000  # of the group table, about 40 MB
FRAMES = 64  # frames of a few rows that are put together
_JUDGED = ("norm", "grad_norm", "effective_grad_norm", "lr", "weight_decay", "effective_lr")


class Memory:
    """Step table, group table, and what the reading needs of the groups.

    Attributes:
        thinned_before: rows before this step are not all there; None while they are.
    """

    def __init__(self, step_rows: int = STEP_ROWS, group_rows: int = GROUP_ROWS) -> None:
        self.thinned_before: int | None = None
        self._limits = step_rows, group_rows
        self._rises = Rises()
        self._protected: list[Steps] = []
        self._steps, self._groups, self._judged = Table(), Table(), Table()
        self._keys = Table()  # step, loss and norm of the rows of the group table
        self._judged_by: str | None = None

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def steps(self) -> pd.DataFrame:
        """The step table, as far as it is here."""
        return self._steps.whole

    @property
    def groups(self) -> pd.DataFrame:
        """The group table, as far as it is here."""
        return self._groups.whole

    def newest(self) -> dict[str, float]:
        """The newest row of the step table; {} where there is none."""
        row = self._steps.newest
        return {} if row is None else {str(name): float(row[name]) for name in row.index}

    def add(
        self,
        steps: pd.DataFrame,
        groups: pd.DataFrame,
        info: Mapping[str, Any] | None = None,
        *,
        archived: bool,
    ) -> pd.DataFrame:
        """Take new rows; returns those of the step table as they are judged.

        Args:
            steps, groups: oldest first, of the same steps.
            info: what ``run.json`` says of the watching.
            archived: a folder holds them, too; then nothing that the reading needs is thinned.
        """
        if not len(steps):
            return steps
        keys = steps[["step", "loss", "norm"]]
        around = self._rises.around(
            keys["step"].to_numpy(np.int64), keys["loss"].to_numpy(np.float64)
        )
        self._protected.append(around)
        self._steps.add(steps)
        self._groups.add(groups)
        self._keys.add(keys)
        judged = self._judge(steps, without(groups, info))
        self._thin_groups()
        self._thin_steps(archived=archived)
        return judged

    def for_reading(self, every_step: pd.DataFrame) -> tuple[pd.DataFrame, str]:
        """The rows of ``every_step`` as they are judged, and a note on it.

        Where weight decay acts on some of the groups only, these are judged; what that needs of
        the groups is kept of every row, for the groups themselves are not.

        Args:
            every_step: the step table, from here or from the folder.
        """
        if not self._judged_by:
            return every_step, ""
        judged = self._judged.whole.set_index("step")
        rows = every_step[every_step["step"].isin(judged.index)].reset_index(drop=True)
        columns = judged.loc[rows["step"]]
        return rows.assign(**{n: columns[n].to_numpy() for n in _JUDGED}), self._judged_by

    def _judge(self, steps: pd.DataFrame, groups: pd.DataFrame) -> pd.DataFrame:
        """Keep what decides which norm is judged, while it is the same in every row."""
        if self._judged_by == "":
            return steps
        found, note = decayed(steps, groups) if len(groups) else (steps, "")
        if self._judged_by is not None and note != self._judged_by:
            note = ""
        self._judged_by = note
        if note:
            self._judged.add(
                found[["step", *_JUDGED]].astype(dict.fromkeys(_JUDGED[1:], "float32"))
            )
            return found
        self._judged = Table()
        return steps

    def _thin_steps(self, *, archived: bool) -> None:
        limit = self._limits[0]
        if len(self._steps) <= limit:
            return
        whole = self._steps.whole
        self._steps.keep(staying(whole, self._around(), limit))
        if not archived and self._judged_by:
            self._judged.keep(np.isin(self._judged.whole["step"], self._steps.whole["step"]))
        self._forget_protected()
        self._say_thinned(whole, limit)

    def _thin_groups(self) -> None:
        if len(self._groups) <= self._limits[1]:
            return
        per_step = max(len(self._groups) // max(len(self._keys), 1), 1)
        limit = max(self._limits[1] // per_step, 1)
        keys = self._keys.whole
        self._keys.keep(staying(keys, self._around(), limit))
        self._groups.keep(np.isin(self._groups.whole["step"], self._keys.whole["step"]))
        self._say_thinned(keys, limit)

    def _around(self) -> Steps:
        """Steps around rises, in order."""
        together = np.unique(np.concatenate(self._protected))
        self._protected = [together]
        return together

    def _forget_protected(self) -> None:
        """What is no longer here needs no protection."""
        here = self._steps.whole["step"].to_numpy()
        around = self._around()
        self._protected = [around[np.isin(around, here)]]

    def _say_thinned(self, keys: pd.DataFrame, limit: int) -> None:
        first_whole = int(keys["step"].iloc[-max(limit // 8, 1)])
        self.thinned_before = max(first_whole, self.thinned_before or 0)


class Table:
    """Frames one below the other."""

    def __init__(self) -> None:
        self._frames: list[pd.DataFrame] = []
        self._few: list[pd.DataFrame] = []
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def whole(self) -> pd.DataFrame:
        """All rows; without columns where there are none."""
        frames = [*self._frames, *self._few]
        if not frames:
            return pd.DataFrame()
        if len(frames) > 1:
            frames = [pd.concat(frames, ignore_index=True)]
        self._frames, self._few = frames, []
        return frames[0]

    @property
    def newest(self) -> "pd.Series[Any] | None":
        """The last row; None where there is none."""
        frames = self._few or self._frames
        return frames[-1].iloc[-1] if self._rows else None

    def add(self, frame: pd.DataFrame) -> None:
        """Put rows behind the others."""
        self._few.append(frame)
        self._rows += len(frame)
        if len(self._few) == FRAMES:  # a frame of few rows takes many times their room
            self._frames.append(pd.concat(self._few, ignore_index=True))
            self._few = []

    def keep(self, rows: Any) -> None:
        """Let go of all rows but those of a mask, (n,)."""
        kept = self.whole[rows].reset_index(drop=True)
        self._frames, self._few, self._rows = [kept], [], len(kept)
