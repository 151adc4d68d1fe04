"""Checkpoints: safetensors files that name the last step they cover and carry a digest.

The digest is what tells a damaged file from a whole one: safetensors itself only checks its header.

A large checkpoint is several files, because what files must pass through is often limited in their
size. The first has the name that any checkpoint has, and is written last: without it the others are
nothing. A tensor too large for one file is cut along its first axis: ``name[0:512]``, ….
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save

from limitcycle.errors import UserError
from limitcycle.record.files import disk_errors, first_line, open_plain, reading, write_whole

Arrays = Mapping[str, NDArray[Any]]

FILE_BYTES = 16_000_000  # of tensors: with its header a file stays below 16 MiB

_MOST_FILES = 10_000  # of one checkpoint
_NAME = re.compile(r"step-(?P<last>\d{12})\.safetensors")
_FURTHER = re.compile(r"(?P<first>step-\d{12})\.\d+-of-\d+\.safetensors")


class Checkpoint(NamedTuple):
    """State after ``completed`` updates: arrays by name.

    ``rows``: how many rows the tables then held, by table; empty where nobody said.
    """

    completed: int
    arrays: dict[str, NDArray[Any]]
    rows: Mapping[str, int] = MappingProxyType({})


class _Header(NamedTuple):
    """What a checkpoint's first file says besides arrays; ``cut``: names of those in slices."""

    completed: int
    digest: str
    rows: dict[str, int]
    files: int
    cut: list[str]


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoint files in ``folder``, oldest first.

    Raises:
        UserError: the folder may not be looked into.
    """
    with reading(folder):
        if not folder.is_dir():
            return []
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def files_of(path: Path) -> list[Path]:
    """The files of the checkpoint ``path``, in the order in which they may be written."""
    return [*sorted(path.parent.glob(f"{path.stem}.*-of-*{path.suffix}")), path]


def write_checkpoint(
    folder: Path,
    completed: int,
    arrays: Arrays,
    rows: Mapping[str, int] = MappingProxyType({}),
    *,
    file_bytes: float = math.inf,
) -> Path:
    """Write the state after ``completed`` ≥ 1 updates, and how many rows the tables hold.

    Args:
        folder: made if missing.
        completed: updates.
        arrays: the state.
        rows: of the tables, by name.
        file_bytes: of tensors, at most, in one file.

    Returns:
        The checkpoint's path: of its first file.
    """
    plain = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    metadata = {"last_step": str(completed - 1), "digest": _digest(plain), "format_version": "1"}
    metadata["rows"] = json.dumps(dict(rows))
    path = folder / f"step-{completed - 1:012d}.safetensors"
    first, *further = _distributed(plain, file_bytes)
    if further:
        metadata["files"] = str(1 + len(further))
    if cut := [name for name, array in plain.items() if array.nbytes > file_bytes]:
        metadata["cut"] = json.dumps(cut)
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    for beside, part in zip(_further(path, 1 + len(further)), further, strict=True):
        _write(part, beside, metadata)
    _write(first, path, metadata)
    return path


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Raises:
        UserError: a file of it is missing or damaged.
    """
    metadata, arrays = _read(path)
    header = _header(path, metadata)
    for beside in _further(path, header.files):
        arrays |= _read(beside)[1]
    try:
        whole = _joined(arrays, header.cut)
        sound = header.digest == _digest(whole)
    except (ValueError, KeyError):  # slices of different checkpoints
        sound = False
    if not sound:
        raise UserError(f"checkpoint {path} is damaged: its digest does not match its content")
    return Checkpoint(header.completed, whole, header.rows)


def promised_rows(folder: Path) -> tuple[int, dict[str, int]] | None:
    """What the newest checkpoint in ``folder`` says it covers: updates, and rows by table.

    Only its header is read. None where there is no checkpoint that has one.
    """
    for path in reversed(list_checkpoints(folder)):
        try:
            header = _header(path, _read(path, only_header=True)[0])
        except UserError:
            continue
        return header.completed, header.rows
    return None


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
    _remove_remains(folder)


def remove_beyond(folder: Path, completed: int) -> None:
    """Remove checkpoints later than ``completed`` updates: they were found damaged."""
    for path in list_checkpoints(folder):
        match = _NAME.fullmatch(path.name)
        if match and int(match["last"]) >= completed:
            path.unlink(missing_ok=True)
    _remove_remains(folder)


def _remove_remains(folder: Path) -> None:
    """Remove further files of checkpoints whose first file is not, or no longer, there."""
    for path in folder.iterdir() if folder.is_dir() else ():
        match = _FURTHER.fullmatch(path.name)
        if match and not path.with_name(match["first"] + ".safetensors").exists():
            path.unlink(missing_ok=True)


def _further(path: Path, files: int) -> list[Path]:
    """The files of a checkpoint besides its first."""
    return [path.with_name(f"{path.stem}.{n}-of-{files}.safetensors") for n in range(2, files + 1)]


def _distributed(arrays: Arrays, file_bytes: float) -> list[dict[str, NDArray[Any]]]:
    """The arrays by file, the largest first, each where there is room; slices of the too large."""
    pieces = [each for name, array in arrays.items() for each in _slices(name, array, file_bytes)]
    files: list[dict[str, NDArray[Any]]] = [{}]
    room = [file_bytes]
    for label, piece in sorted(pieces, key=lambda each: -each[1].nbytes):
        at = next((i for i, left in enumerate(room) if piece.nbytes <= left), len(files))
        if at == len(files):
            files.append({})
            room.append(file_bytes)
        files[at][label] = piece
        room[at] -= piece.nbytes
    return [file for file in files if file] or [{}]


def _slices(name: str, array: NDArray[Any], most: float) -> Iterator[tuple[str, NDArray[Any]]]:
    if array.nbytes <= most:
        yield name, array
        return
    rows = max(1, int(most // array[0].nbytes))
    for start in range(0, len(array), rows):
        piece = array[start : start + rows]
        yield f"{name}[{start}:{start + len(piece)}]", piece


def _joined(arrays: dict[str, NDArray[Any]], cut: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The inverse of `_distributed`: all files' arrays, with those that were cut made whole."""
    whole = dict(arrays)
    for name in cut:
        labels = [label for label in arrays if label.startswith(f"{name}[")]
        labels.sort(key=lambda label: int(label[len(name) + 1 : label.index(":", len(name))]))
        whole[name] = np.concatenate([whole.pop(label) for label in labels])
    return whole


def _read(
    path: Path, *, only_header: bool = False
) -> tuple[Mapping[str, str], dict[str, NDArray[Any]]]:
    try:
        open_plain(path).close()  # safetensors would wait for a pipe
        with safe_open(path, framework="np") as file:
            names = [] if only_header else file.keys()
            return file.metadata() or {}, {name: file.get_tensor(name) for name in names}
    except Exception as problem:  # safetensors raises of every kind
        raise UserError(f"checkpoint {path} cannot be read ({first_line(problem)})") from None


def _header(path: Path, metadata: Mapping[str, str]) -> _Header:
    """The metadata of a checkpoint's first file, every field of its kind.

    Raises:
        UserError: they are damaged, or another checkpoint's.
    """
    try:
        rows = json.loads(metadata.get("rows", "{}"))
        header = _Header(
            completed=int(metadata["last_step"]) + 1,
            digest=metadata["digest"],
            rows={name: int(count) for name, count in rows.items()},
            files=int(metadata.get("files", 1)),
            cut=[str(name) for name in json.loads(metadata.get("cut", "[]"))],
        )
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
        raise UserError(f"checkpoint {path} is damaged: its header is not a checkpoint's") from None
    named, last = _NAME.fullmatch(path.name), header.completed - 1
    if named and int(named["last"]) != last:
        raise UserError(f"checkpoint {path} is damaged: it is that of step {last:,}")
    if not 1 <= header.files <= _MOST_FILES:
        raise UserError(f"checkpoint {path} is damaged: it has {header.files:,} files")
    return header


def _write(arrays: Arrays, path: Path, metadata: dict[str, str]) -> None:
    write_whole(path, lambda file: file.write(save(dict(arrays), metadata)))


def _digest(arrays: Arrays) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}:{array.dtype.str}:{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
