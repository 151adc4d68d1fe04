"""Checkpoints: safetensors files that name the last step they cover and carry a digest.

The digest is what tells a damaged file from a whole one: safetensors itself only checks its header.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from limitcycle.errors import UserError
from limitcycle.record.files import disk_errors, write_whole

Arrays = Mapping[str, NDArray[Any]]

_NAME = re.compile(r"step-(?P<last>\d{12})\.safetensors")


class Checkpoint(NamedTuple):
    """State after ``completed`` updates: arrays by name.

    ``rows``: how many rows the tables then held, by table; empty where nobody said.
    """

    completed: int
    arrays: dict[str, NDArray[Any]]
    rows: Mapping[str, int] = MappingProxyType({})


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files in ``folder``, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def write_checkpoint(
    folder: Path,
    completed: int,
    arrays: Arrays,
    rows: Mapping[str, int] = MappingProxyType({}),
) -> Path:
    """Write the state after ``completed`` ≥ 1 updates, and how many rows the tables hold."""
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"last_step": str(completed - 1), "digest": _digest(plain), "format_version": "1"}
    metadata["rows"] = json.dumps(dict(rows))
    path = folder / f"step-{completed - 1:012d}.safetensors"
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    write_whole(path, lambda beside: _save(plain, beside, metadata))
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        UserError: the file is missing or damaged.
    """
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, ValueError) as problem:
        raise UserError(f"checkpoint {path} cannot be read ({problem})") from None
    if metadata.get("digest") != _digest(arrays):
        raise UserError(f"checkpoint {path} is damaged: its digest does not match its content")
    rows = json.loads(metadata.get("rows", "{}"))
    return Checkpoint(int(metadata["last_step"]) + 1, arrays, rows)


def newest_checkpoint(folder: Path, notice: Callable[[str], None]) -> Checkpoint | None:
    """The newest whole checkpoint; ``notice`` is told of every damaged one passed over."""
    for path in reversed(list_checkpoints(folder)):
        try:
            return read_checkpoint(path)
        except UserError as problem:
            notice(f"{problem}; it is passed over")
    return None


def prune_checkpoints(folder: Path, keep: int = 2) -> None:
    """Remove all but the ``keep`` newest: one to go on from, one should that be damaged."""
    for path in list_checkpoints(folder)[:-keep]:
        path.unlink(missing_ok=True)


def remove_beyond(folder: Path, completed: int) -> None:
    """Remove checkpoints later than ``completed`` updates: they were found damaged."""
    for path in list_checkpoints(folder):
        match = _NAME.fullmatch(path.name)
        if match and int(match["last"]) >= completed:
            path.unlink(missing_ok=True)


def _save(arrays: dict[str, NDArray[Any]], path: Path, metadata: dict[str, str]) -> None:
    try:
        save_file(arrays, path, metadata)
    except SafetensorError as problem:  # wraps the operating system's error as text
        raise OSError(str(problem)) from None


def _digest(arrays: Arrays) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
