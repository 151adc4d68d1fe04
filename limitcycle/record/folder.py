"""A run's folder: the only writer of its files, behind an operating-system lock.

Kill safety rests on one order: the rows first, then the checkpoint that covers them, then the
pruning of older checkpoints. Whatever the newest whole checkpoint does not cover is dropped on
opening and computed again.
"""

import fcntl
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.record.checkpoints import (
    Arrays,
    Checkpoint,
    newest_checkpoint,
    prune_checkpoints,
    remove_beyond,
    write_checkpoint,
)
from limitcycle.record.files import disk_errors, read_json, sweep_temporaries, write_json
from limitcycle.record.parts import drop_beyond, write_part
from limitcycle.record.run import Run
from limitcycle.record.schema import FORMAT_VERSION

State = Literal["running", "done", "stopped", "failed"]

# Under another of these a resumed run is sound but no longer bit-identical.
_MACHINE = ("device", "threads", "memory_format", "torch")


class RunFolder:
    """The folder of one run, open for writing and locked.

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
        self.path = path
        self._run = run
        self._notice = notice
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(path)
        try:
            self._claim(dict(info))
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.close()

    @property
    def status(self) -> dict[str, Any]:
        """The content of ``status.json``; empty before the first `set_status`."""
        path = self.path / "status.json"
        return dict(read_json(path)) if path.exists() else {}

    def set_status(self, state: State, step: int, reason: str = "") -> None:
        """Say what the run is doing, after ``step`` completed updates."""
        content = {"state": state, "step": step, "reason": reason}
        write_json(self.path / "status.json", content)

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the folder's small files (``symmetries.json``, ``timing.json``)."""
        write_json(self.path / name, content)

    def add_info(self, **content: Any) -> None:
        """Add to ``run.json`` what became known after the folder was opened."""
        known = read_json(self.path / "run.json")
        if any(known.get(name) != value for name, value in content.items()):
            write_json(self.path / "run.json", {**known, **content})

    def resume(self) -> Checkpoint | None:
        """Go back to the newest whole checkpoint, or to the start (None); drop what lies beyond."""
        checkpoint = newest_checkpoint(self.path / "checkpoints", self._notice)
        completed = checkpoint.completed if checkpoint else 0
        remove_beyond(self.path / "checkpoints", completed + 1)
        drop_beyond(self.path / "steps", completed - 1)
        drop_beyond(self.path / "epochs", completed if checkpoint else -1)
        return checkpoint

    def save(
        self, completed: int, steps: pd.DataFrame, epochs: pd.DataFrame, arrays: Arrays
    ) -> None:
        """Keep the rows since the last call and the state after ``completed`` updates."""
        self.append(steps, epochs)
        write_checkpoint(self.path / "checkpoints", completed, arrays)
        prune_checkpoints(self.path / "checkpoints")

    def append(self, steps: pd.DataFrame, epochs: pd.DataFrame) -> None:
        """Keep rows without a checkpoint that covers them: those of a failed run's last block."""
        double = self._run.dtype == "float64"
        write_part(self.path / "steps", steps, double=double)
        write_part(self.path / "epochs", epochs, double=double)

    def snapshot(self, completed: int, arrays: Arrays) -> None:
        """Keep the weights after ``completed`` updates for good."""
        write_checkpoint(self.path / "snapshots", completed, arrays)

    def _claim(self, info: dict[str, Any]) -> None:
        """Make the folder this run's, or check that it is."""
        path = self.path / "run.json"
        if not path.exists():
            _refuse_foreign(self.path)
            self._write_info({**info, "resumed_under": []})
            return
        sweep_temporaries(self.path)
        known = read_json(path)
        if known.get("identity") != self._run.identity:
            raise UserError(_difference(self.path, known.get("run", {}), self._run))
        if info.get("start_from_digest") != known.get("start_from_digest"):
            raise UserError(
                f"{self.path} was started from another content of {self._run.start_from} "
                "(start_from): choose another --out"
            )
        changed = {key: info.get(key) for key in _MACHINE if info.get(key) != known.get(key)}
        if changed and changed not in known["resumed_under"] and self.status.get("state") != "done":
            known["resumed_under"].append(changed)
            write_json(path, known)
            what = ", ".join(f"{key} {known.get(key)} → {info.get(key)}" for key in changed)
            self._notice(f"{self.path} goes on under {what}: sound, but no longer bit-identical")

    def _write_info(self, info: Mapping[str, Any]) -> None:
        content = {
            "format_version": FORMAT_VERSION,
            "identity": self._run.identity,
            "run": self._run.to_dict(),
            "seed": self._run.seed,
            **info,
        }
        write_json(self.path / "run.json", content)


def _take_lock(path: Path) -> IO[str]:
    """An exclusive lock that the operating system releases however the process ends."""
    with disk_errors(path / "lock"):
        file = (path / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise UserError(
            f"another process is running in {path}: wait for it, or choose another --out"
        ) from None
    return file


def _refuse_foreign(path: Path) -> None:
    ours = {"lock", "run.json.tmp"}
    foreign = sorted(entry.name for entry in path.iterdir() if entry.name not in ours)
    if foreign:
        raise UserError(
            f"{path} is no run folder and not empty (it holds {foreign[0]!r}): choose another --out"
        )


def _difference(path: Path, known: Mapping[str, Any], run: Run) -> str:
    mine = run.to_dict()
    names = [name for name in mine if mine[name] != known.get(name)] or ["format"]
    what = ", ".join(f"{name} {known.get(name)!r} there, {mine.get(name)!r} here" for name in names)
    return f"{path} holds another run ({what}): choose another --out, or remove the folder"
