"""Pages and pictures are written whole or not at all: an existing one survives a full disk."""

from collections.abc import Callable
from pathlib import Path
from typing import IO

from limitcycle.errors import RunError, UserError
from limitcycle.record.files import disk_errors, write_whole


def write_page(path: Path, text: str) -> Path:
    """Write ``text`` as UTF-8; as `write_file`."""
    content = text.encode("utf-8", errors="backslashreplace")  # of a path that is no UTF-8
    return write_file(path, lambda file: file.write(content))


def write_file(path: Path, write: Callable[[IO[bytes]], object]) -> Path:
    """Have ``write`` fill ``path``, by way of a temporary file beside it whose name ends in .tmp.

    Raises:
        UserError: ``path`` is a folder, or may not be written.
        RunError: the disk is full or failed; ``path`` is as it was.
    """
    with disk_errors(path):
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; choose another --out")
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_whole(path, write)
    except RunError as problem:
        # Not in the words of a run that goes on from a checkpoint.
        reason = getattr(problem.__context__, "strerror", None) or "the disk failed"
        raise RunError(f"cannot write {path}: {reason}; what was there is as it was") from None
    return path
