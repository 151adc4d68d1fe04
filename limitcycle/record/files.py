"""Files that are whole or absent: write beside, flush to disk, rename.

A process may be killed between any two instructions here. What it leaves is the old file, or the
new one, or besides either a ``*.tmp`` that the next opening sweeps away.
"""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from limitcycle.errors import RunError, UserError

TEMPORARY = ".tmp"
_UMASK = os.umask(0o077)  # it can only be read by setting it
os.umask(_UMASK)
_NOT_WRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS),
    *(errno.ENOTDIR, errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG),
)


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Have ``write`` fill a temporary file beside ``path``, then put it in place of ``path``.

    Raises:
        RunError: the disk is full or failed; ``path`` is as it was.
        UserError: the folder may not be written.
    """
    # Two processes may fill a cache at once: each has a temporary file of its own.
    beside = path.with_name(f"{path.name}.{os.getpid()}{TEMPORARY}")
    with disk_errors(path):
        try:
            write(beside)
            beside.chmod(0o666 & ~_UMASK)  # some writers make files that only their owner may read
            _flush(beside)
            os.replace(beside, path)  # noqa: PTH105 - the one call whose atomicity we rely on
            _flush(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def write_json(path: Path, content: Any) -> None:
    """Write ``content`` as indented JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=True) + "\n"
    write_whole(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: it is missing or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing: is {path.parent} a run folder?") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise UserError(f"{path} cannot be read ({problem}): restore it or remove it") from None


def read_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        UserError: it is missing, no JSON, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"{path} does not hold an object: restore it or remove it")
    return content


def sweep_temporaries(folder: Path) -> None:
    """Remove what a killed process left half written below ``folder``."""
    for path in folder.rglob("*" + TEMPORARY):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals while writing ``path`` into one clear line."""
    try:
        yield
    except OSError as problem:
        reason = problem.strerror or str(problem)
        if problem.errno in _NOT_WRITABLE:
            raise UserError(f"cannot write {path}: {reason}; choose another --out") from None
        raise RunError(
            f"cannot write {path}: {reason}; what was written before is kept, the same command "
            "goes on from the last checkpoint, or from the start where there is none"
        ) from None


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
