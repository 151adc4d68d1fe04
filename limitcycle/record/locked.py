"""A folder with one writer, behind an operating-system lock: what lab and watching share."""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Self

from filelock import BaseFileLock, FileLock, Timeout

from limitcycle.checks import lost_link
from limitcycle.errors import UserError
from limitcycle.record.described import read_info, read_status
from limitcycle.record.files import (
    TEMPORARY,
    disk_errors,
    is_there,
    reading,
    sweep_temporaries,
    write_json,
)
from limitcycle.record.promised import Promise
from limitcycle.record.schema import FORMAT_VERSION

State = Literal["running", "done", "stopped", "failed"]

_DYING_SECONDS = 2.0  # until the operating system has taken a killed process's lock from it
_HALF_WRITTEN = rf"run\.json\.[0-9a-f]+{re.escape(TEMPORARY)}"


class LockedFolder:
    """A folder open for writing. What it holds is described in its ``run.json``.

    Args:
        path: the folder; made if missing.
        info: how it is run: device, threads, memory format, versions, git state.
        notice: told, in one line each, what the user should know.

    Raises:
        UserError: the folder holds another run or something else, is locked, or cannot be written.
    """

    _covered: Promise | None = None
    """The rows that are surely there; None before they were counted."""

    def __init__(
        self,
        path: Path,
        info: Mapping[str, Any],
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._notice = notice
        # What is made here, the deepest first: it goes again where the run cannot be made.
        self._made = [folder for folder in (path, *path.parents) if not is_there(folder)]
        for folder in (path, *path.parents):
            if lost := lost_link(folder):
                raise UserError(f"cannot write {path}: {lost}; choose another --out")
        try:
            with disk_errors(path):
                path.mkdir(parents=True, exist_ok=True)
                if not (path / "run.json").exists():
                    refuse_foreign(path)  # before a lock is left among what is somebody else's
            self._lock = take_lock(path)
        except BaseException:
            self._remove_made()
            raise
        self._fresh = not is_there(path / "run.json")
        try:
            self._claim(info)
        except BaseException:
            if self._made:
                (path / "lock").unlink(missing_ok=True)  # while it is ours
                self._remove_made()
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @property
    def status(self) -> dict[str, Any]:
        """The content of ``status.json``; empty before the first `set_status`."""
        return read_status(self.path)

    def set_status(self, state: State, step: int, reason: str = "", *, final: bool = False) -> None:
        """Say what the run is doing, after ``step`` completed updates.

        A failure is ``final`` if the run's description leads to it again (a non-finite loss, not a
        full disk).
        """
        content = {"state": state, "step": step, "reason": reason, **self._promised()}
        if final:
            content["final"] = True
        write_json(self.path / "status.json", content)

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the folder's small files (``symmetries.json``, ``timing.json``)."""
        write_json(self.path / name, content)

    def add_info(self, **content: Any) -> None:
        """Add to ``run.json`` what became known after the folder was opened."""
        known = read_info(self.path)
        if any(known.get(name) != value for name, value in content.items()):
            write_json(self.path / "run.json", {**known, **content})

    def _claim(self, info: Mapping[str, Any]) -> None:
        """Make the folder this run's, or check that it is."""
        path = self.path / "run.json"
        if self._fresh:
            refuse_foreign(self.path)
            write_json(path, {"format_version": FORMAT_VERSION, **self._describe(), **info})
            return
        sweep_temporaries(self.path)
        self._recognise(read_info(self.path), info)

    def _remove_made(self) -> None:
        """Remove the folders that were made for the run, as far as nothing is in them."""
        for folder in self._made:
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _describe(self) -> dict[str, Any]:
        """What ``run.json`` says of a new run besides how it is run."""
        raise NotImplementedError

    def _recognise(self, known: dict[str, Any], info: Mapping[str, Any]) -> None:
        """Refuse a ``run.json`` of another run."""
        raise NotImplementedError

    def _promised(self) -> dict[str, Any]:
        """What ``status.json`` says of the rows that are there.

        Before the first update nothing: an evaluation may come that belongs to no update.
        """
        if self._covered is None:
            known = self.status
            return {"recorded": known["recorded"]} if "recorded" in known else {}
        completed, rows = self._covered
        return {"recorded": {"completed": completed, **rows}} if completed else {}


def take_lock(path: Path, patience: float = 0.0) -> BaseFileLock:
    """An exclusive lock that the operating system releases however the process ends.

    On POSIX it is ``flock`` on the file ``lock``, on which versions without `filelock` wait, too.
    Where another process holds it, it is waited for so many seconds.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
    lock = FileLock(path / "lock", thread_local=False)  # whoever closes a watch may be any thread
    with disk_errors(path / "lock"):
        try:
            lock.acquire(timeout=patience)
        except Timeout:
            raise UserError(
                f"another process is running in {path}: wait for it, or choose another --out"
            ) from None
    return lock


@contextlib.contextmanager
def locked(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Inside, the lock of folder ``path`` is held; see `take_lock`."""
    lock = take_lock(path, patience)
    try:
        yield
    finally:
        lock.release()


def say_for_killed(path: Path, state: State, reason: str) -> None:
    """Say how the run in ``path`` ended whose process was killed before it could.

    A last word is left as it is. Nothing is said where there is no run, or where another process
    goes on with it already.

    Raises:
        UserError, RunError: the folder is in use, damaged or cannot be written.
    """
    if not is_there(path / "run.json"):
        return
    with locked(path, _DYING_SECONDS):
        known = read_status(path)
        if known.get("state") != "done" and not known.get("final"):
            write_json(path / "status.json", {"step": 0, **known, "state": state, "reason": reason})


def refuse_foreign(path: Path) -> None:
    """Refuse a folder that holds something and no run.

    Raises:
        UserError: it names what was found.
    """
    with reading(path):
        names = sorted(entry.name for entry in path.iterdir())
    foreign = [n for n in names if n != "lock" and not re.fullmatch(_HALF_WRITTEN, n)]
    if foreign:
        raise UserError(
            f"{path} is no run folder and not empty (it holds {foreign[0]!r}): choose another --out"
        )
