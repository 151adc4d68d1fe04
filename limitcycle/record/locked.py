"""A folder with one writer, behind an operating-system lock: what lab and watching share."""

import fcntl
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

from limitcycle.errors import UserError
from limitcycle.record.files import (
    TEMPORARY,
    disk_errors,
    read_object,
    sweep_temporaries,
    write_json,
)
from limitcycle.record.schema import FORMAT_VERSION

State = Literal["running", "done", "stopped", "failed"]

_HALF_WRITTEN = rf"run\.json\.\d+{re.escape(TEMPORARY)}"


class LockedFolder:
    """A folder open for writing. What it holds is described in its ``run.json``.

    Args:
        path: the folder; made if missing.
        info: how it is run: device, threads, memory format, versions, git state.
        notice: told, in one line each, what the user should know.

    Raises:
        UserError: the folder holds another run or something else, is locked, or cannot be written.
    """

    def __init__(
        self,
        path: Path,
        info: Mapping[str, Any],
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.path = path
        self._notice = notice
        # What is made here, the deepest first: it goes again where the run cannot be made.
        self._made = [folder for folder in (path, *path.parents) if not folder.exists()]
        with disk_errors(path):
            path.mkdir(parents=True, exist_ok=True)
            if not (path / "run.json").exists():
                refuse_foreign(path)  # before a lock is left among what is somebody else's
        self._lock = take_lock(path)
        self._fresh = not (path / "run.json").exists()
        try:
            self._claim(info)
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
        return read_object(path) if path.exists() else {}

    def set_status(self, state: State, step: int, reason: str = "", *, final: bool = False) -> None:
        """Say what the run is doing, after ``step`` completed updates.

        A failure is ``final`` if the run's description leads to it again (a non-finite loss, not a
        full disk).
        """
        content = {"state": state, "step": step, "reason": reason}
        if final:
            content["final"] = True
        write_json(self.path / "status.json", content)

    def write_json(self, name: str, content: Any) -> None:
        """Write one of the folder's small files (``symmetries.json``, ``timing.json``)."""
        write_json(self.path / name, content)

    def add_info(self, **content: Any) -> None:
        """Add to ``run.json`` what became known after the folder was opened."""
        known = read_object(self.path / "run.json")
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
        known = read_object(path)
        if "run" not in known:
            raise UserError(f"{path} does not describe a run: restore it or remove it")
        check_format(path, known)
        self._recognise(known, info)

    def _describe(self) -> dict[str, Any]:
        """What ``run.json`` says of a new run besides how it is run."""
        raise NotImplementedError

    def _recognise(self, known: dict[str, Any], info: Mapping[str, Any]) -> None:
        """Refuse a ``run.json`` of another run."""
        raise NotImplementedError


def check_format(path: Path, known: Mapping[str, Any]) -> None:
    """Refuse a ``run.json`` of a format that came after this one, or of none.

    Raises:
        UserError: it names ``path``.
    """
    version = known.get("format_version", 0)
    if not isinstance(version, int):
        raise UserError(f"{path} has no format_version but {version!r}: restore it")
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format {version}, this version reads up to {FORMAT_VERSION}: "
            "update limitcycle"
        )


def take_lock(path: Path) -> IO[str]:
    """An exclusive lock that the operating system releases however the process ends.

    Raises:
        UserError: another process holds it, or the folder cannot be written.
    """
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


def refuse_foreign(path: Path) -> None:
    """Refuse a folder that holds something and no run.

    Raises:
        UserError: it names what was found.
    """
    names = sorted(entry.name for entry in path.iterdir())
    foreign = [n for n in names if n != "lock" and not re.fullmatch(_HALF_WRITTEN, n)]
    if foreign:
        raise UserError(
            f"{path} is no run folder and not empty (it holds {foreign[0]!r}): choose another --out"
        )
