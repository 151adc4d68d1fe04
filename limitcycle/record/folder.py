"""The folder of a run of the lab.

Kill safety rests on one order: the rows first, then the checkpoint that covers them, then the
pruning of older checkpoints, then the status, which says how many rows there are. Whatever the
newest whole checkpoint does not cover is dropped on opening and computed again; before that the
status promises no more than will be left.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record.checkpoints import (
    FILE_BYTES,
    Arrays,
    Checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    remove_beyond,
    write_checkpoint,
)
from limitcycle.record.described import read_info, read_status
from limitcycle.record.files import is_there, write_json
from limitcycle.record.locked import LockedFolder, refuse_foreign
from limitcycle.record.parts import drop_beyond, list_parts, write_part
from limitcycle.record.promised import Promise, check_rows, compare_rows, count_tables
from limitcycle.record.run import Run

_TABLES = ("steps", "epochs")

# Under another of these a resumed run is sound but no longer bit-identical.
_MACHINE = ("device", "threads", "memory_format", "torch", "precision", "together")


class RunFolder(LockedFolder):
    """The folder of one run of the lab, open for writing and locked.

    Args:
        path: the folder; made if missing.
        run: what is to be run there.
        info: how it is run: device, threads, memory format, versions, git state.
        notice: told, in one line each, what the user should know.

    Raises:
        UserError: the folder holds another run or something else, is locked, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        run: Run,
        info: Mapping[str, Any],
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._run = run
        super().__init__(path, info, notice)

    def abandon(self) -> None:
        """Give the folder back if it was claimed just now: its run cannot be made."""
        if self._fresh:
            for name in ("run.json", "symmetries.json", "lock"):
                (self.path / name).unlink(missing_ok=True)
            self._remove_made()

    def resume(self) -> Checkpoint | None:
        """Go back to the newest whole checkpoint, or to the start (None); drop what lies beyond.

        Raises:
            UserError: of what that checkpoint covers a part is damaged or missing.
        """
        checkpoint = newest_checkpoint(self.path / "checkpoints", self._notice)
        if checkpoint is None and (parts := list_parts(self.path / "steps")):
            self._notice(
                f"{self.path} has no checkpoint to go on from: its steps up to "
                f"{parts[-1].last:,} are computed again from the start"
            )
        completed = checkpoint.completed if checkpoint else 0
        remove_beyond(self.path / "checkpoints", completed)
        self._covered = Promise(0, dict.fromkeys(_TABLES, 0))
        if checkpoint is not None:
            found = count_tables(self.path, completed, _TABLES)
            compare_rows(self.path, Promise(completed, checkpoint.rows), found)
            self._covered = Promise(completed, found)
        self._promise_less()
        drop_beyond(self.path / "steps", completed - 1)
        drop_beyond(self.path / "epochs", completed if checkpoint else -1)
        return checkpoint

    def save(
        self, completed: int, steps: pd.DataFrame, epochs: pd.DataFrame, arrays: Arrays
    ) -> None:
        """Keep the rows since the last call and the state after ``completed`` updates."""
        rows = self._append(steps, epochs)
        self._write("checkpoints", completed, arrays, rows)
        self._covered = Promise(completed, rows)
        prune_checkpoints(self.path / "checkpoints")

    def append(self, steps: pd.DataFrame, epochs: pd.DataFrame) -> None:
        """Keep rows without a checkpoint that covers them: those of a failed run's last block."""
        rows = self._append(steps, epochs)
        completed = self._covered.completed if self._covered else 0
        if len(steps):
            completed = max(completed, int(steps["step"].iloc[-1]) + 1)
        if len(epochs):
            completed = max(completed, int(epochs["step"].iloc[-1]))
        self._covered = Promise(completed, rows)

    def snapshot(self, completed: int, arrays: Arrays) -> None:
        """Keep the weights after ``completed`` updates for good."""
        self._write("snapshots", completed, arrays, {})

    def _append(self, steps: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, int]:
        """Write parts; how many rows the tables have then."""
        double = self._run.dtype == "float64"
        rows = dict(self._covered.rows) if self._covered else dict.fromkeys(_TABLES, 0)
        for name, frame in zip(_TABLES, (steps, epochs), strict=True):
            write_part(self.path / name, frame, double=double)
            rows[name] += len(frame)
        return rows

    def _promise_less(self) -> None:
        """Have the status promise no rows that are about to be dropped."""
        status = self.status
        known = status.pop("recorded", None)
        if known is not None and {"recorded": known} != self._promised():
            write_json(self.path / "status.json", {**status, **self._promised()})

    def _write(self, name: str, completed: int, arrays: Arrays, rows: Mapping[str, int]) -> None:
        folder = self.path / name
        write_checkpoint(folder, completed, arrays, rows, file_bytes=FILE_BYTES)

    def _describe(self) -> dict[str, Any]:
        run = self._run
        return {
            "identity": run.identity,
            "run": run.to_dict(),
            "seed": run.seed,
            "resumed_under": [],
        }

    def _recognise(self, known: dict[str, Any], info: Mapping[str, Any]) -> None:
        _refuse_other(self.path, known, self._run, info)
        changed = {key: info.get(key) for key in _MACHINE if info.get(key) != known.get(key)}
        resumed_under = known.setdefault("resumed_under", [])
        if changed and changed not in resumed_under and self.status.get("state") != "done":
            resumed_under.append(changed)
            write_json(self.path / "run.json", known)
            what = ", ".join(f"{key} {known.get(key)} → {info.get(key)}" for key in changed)
            self._notice(f"{self.path} goes on under {what}: sound, but no longer bit-identical")


def is_finished(path: Path, run: Run, info: Mapping[str, Any]) -> bool:
    """Whether folder ``path`` holds ``run``, done and whole.

    Nothing is written and nothing locked, so a disk that can only be read will do.

    Raises:
        UserError: the folder holds another run, or rows are missing.
    """
    if not is_there(path / "run.json"):
        return False
    _refuse_other(path, read_info(path), run, info)
    if read_status(path).get("state") != "done":
        return False
    check_rows(path)
    return True


def check_folder(path: Path, run: Run) -> None:
    """Refuse a folder that `RunFolder` would not open for ``run``, without opening it.

    Raises:
        UserError: it holds another run or something else.
    """
    if is_there(path / "run.json"):
        known = read_info(path)
        if known.get("identity") != run.identity:
            raise UserError(_difference(path, known["run"] or {}, run))
    elif path.is_dir():
        refuse_foreign(path)


def _refuse_other(path: Path, known: Mapping[str, Any], run: Run, info: Mapping[str, Any]) -> None:
    """Refuse a folder whose ``run.json``, ``known``, is not that of ``run``."""
    # A description that is the same to the letter may still start from another content.
    same = known["run"] == run.to_dict()
    if not same and known.get("identity") != run.identity:
        raise UserError(_difference(path, known["run"] or {}, run))
    if info.get("start_from_digest") != known.get("start_from_digest"):
        raise UserError(
            f"{path} was started from another content of {run.start_from} (start_from): choose "
            "another --out"
        )


def _difference(path: Path, known: Mapping[str, Any], run: Run) -> str:
    mine = run.to_dict()
    known = {"classes": None, "drawn": "row", **known}  # what it was before these were settings
    names = [name for name in mine if mine[name] != known.get(name)] or ["format"]
    what = ", ".join(f"{name} {known.get(name)!r} there, {mine.get(name)!r} here" for name in names)
    return f"{path} holds another run ({what}): choose another --out, or remove the folder"
