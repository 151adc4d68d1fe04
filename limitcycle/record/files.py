"""Files: written whole or not at all, and read through one door.

A process may be killed between any two instructions of a writing. What it leaves is the old file,
or the new one, or besides either a ``*.tmp`` that the next opening sweeps away.

A file that is read may be anything: damaged, a folder, a link to nothing, a pipe in its place.
Whatever is wrong with it is said in one line that names it.
"""

import contextlib
import errno
import json
import os
import re
import secrets
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from limitcycle.checks import lost_link
from limitcycle.errors import RunError, UserError

TEMPORARY = ".tmp"
HALF_WRITTEN = re.compile(r".+\.(json|parquet|safetensors)\.[0-9a-f]+\.tmp")
"""Names of temporary files; earlier versions put the number of their process there."""

_REMEDIES = {
    "run.json": "restore it, or start the run anew in another folder",
    "status.json": "restore it or remove it; without it the run counts as one that was killed",
    "timing.json": "restore it or remove it; only the times are lost with it",
}
_KEPT_NAME = 40  # characters of a file's name in its temporary one, which must not become too long
_DEEPEST = 64  # levels of a JSON file; ours have a handful
_NOT_WRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.EISDIR),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
)


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then put it in place of ``path``.

    Raises:
        RunError: the disk is full or failed; ``path`` is as it was.
        UserError: the folder may not be written.
    """
    # Nobody can lay a link of that name beforehand; "x" would refuse it, and follows none.
    beside = path.with_name(f"{path.name[:_KEPT_NAME]}.{secrets.token_hex(8)}{TEMPORARY}")
    with disk_errors(path):
        file = beside.open("xb")
        try:
            with file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)  # noqa: PTH105 - the one call whose atomicity we rely on
            _flush_folder(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all.

    What no UTF-8 can say, the bytes of a path that are none, becomes ``\\udc..``: in JSON that is
    how such a character is written.
    """
    content = text.encode("utf-8", errors="backslashreplace")
    write_whole(path, lambda file: file.write(content))


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n")


def open_plain(path: Path) -> IO[bytes]:
    """Open a file to read. In the place of one a pipe or a device is refused, not waited for.

    Raises:
        OSError: it cannot be opened, or is no plain file.
    """
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 - pathlib has no opener
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    return file


def is_there(path: Path) -> bool:
    """Whether there is something under that name, be it a link to nothing."""
    return os.path.lexists(path)


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: it is missing, cannot be read or is no JSON.
    """
    return parse_json(_content(path), str(path))


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        UserError: it is missing, cannot be read, is no JSON, or holds something else.
    """
    return parse_object(_content(path), str(path))


def parse_json(content: bytes, name: str) -> Any:
    """What a JSON file holds; ``name`` is what a refusal calls the file.

    Raises:
        UserError: ``content`` is no JSON.
    """
    wrong, parsed = "", None
    try:
        parsed = json.loads(content.decode("utf-8"))
        wrong = "is nested too deep" if _is_deep(parsed) else ""
    except UnicodeDecodeError:
        wrong = "is no text in UTF-8"
    except json.JSONDecodeError as problem:
        wrong = f"is no JSON (line {problem.lineno})" if content.strip() else "is empty"
    except RecursionError:
        wrong = "is nested too deep"
    except ValueError:
        wrong = "holds a number of too many digits"
    if wrong:
        raise UserError(f"{name} {wrong}: {remedy(name)}")
    return parsed


def remedy(name: str) -> str:
    """What helps where the small file of that path or name is damaged."""
    for file, what in _REMEDIES.items():
        if name.startswith(file) or name.endswith(file):
            return what
    return "restore it or remove it"


def parse_object(content: bytes, name: str) -> dict[str, Any]:
    """The object that a JSON file holds, as `parse_json`.

    Raises:
        UserError: ``content`` is no JSON, or no object.
    """
    parsed = parse_json(content, name)
    if not isinstance(parsed, dict):
        raise UserError(f"{name} does not hold an object: {remedy(name)}")
    return parsed


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed process left half written below ``folder``."""
    for path in folder.rglob("*" + TEMPORARY):
        if HALF_WRITTEN.fullmatch(path.name):
            with contextlib.suppress(OSError):  # somebody's folder of that name
                path.unlink()


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing ``path`` into one clear line."""
    try:
        yield
    except OSError as problem:
        reason = first_line(problem)
        if problem.errno in _NOT_WRITABLE:
            raise UserError(f"cannot write {path}: {reason}; choose another --out") from None
        raise RunError(
            f"cannot write {path}: {reason}; what was written before is kept, the same command "
            "goes on from the last checkpoint, or from the start where there is none"
        ) from None


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while looking into ``path`` into one clear line."""
    try:
        yield
    except UserError:
        raise
    except (OSError, ValueError) as problem:  # ValueError: a name that no file can have
        raise UserError(f"{path} cannot be read ({first_line(problem)})") from None


def first_line(problem: BaseException) -> str:
    """What went wrong, in one line and without the path, which stands beside it."""
    if getattr(problem, "errno", None) == errno.ELOOP:
        return "it is a link to itself"
    said = getattr(problem, "strerror", None) or str(problem)
    return next((line for line in str(said).splitlines() if line), type(problem).__name__)


def _content(path: Path) -> bytes:
    try:
        with open_plain(path) as file:
            return file.read()
    except (OSError, ValueError) as problem:  # ValueError: a name that no file can have
        lost = lost_link(path)
        if isinstance(problem, FileNotFoundError) and not lost:
            raise UserError(f"{path} is missing: is {path.parent} a run folder?") from None
        wrong = lost or f"{path} cannot be read ({first_line(problem)})"
        raise UserError(f"{wrong}: {remedy(path.name)}") from None


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _is_deep(content: Any) -> bool:
    level = [content]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for each in level:
            if isinstance(each, dict):
                inner += each.values()
            elif isinstance(each, list):
                inner += each
        if not inner:
            return False
        level = inner
    return True


def _flush_folder(path: Path) -> None:
    """Have the folder's new entry on the disk, where folders can be opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # as on Windows, and of a folder that may only be written
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
