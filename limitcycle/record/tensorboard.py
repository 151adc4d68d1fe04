"""TensorBoard's event files: the scalars of a folder, read with TensorBoard's own reader.

A folder is a run, whatever number of files it holds: a job that was restarted has begun another
one, and goes over steps again that the file before has, too. As in TensorBoard, what a later file
says of a tag replaces all that earlier ones say of it from its first step on.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.record.logs import MEASURE, Log

REMEDY = MEASURE + 'writer.add_scalar("weight_norm", norm, step)'

_FRAME = 16  # bytes around each record: its length and two checksums
_TEXT = 7  # DT_STRING


class _File(NamedTuple):
    """One event file: when it was begun, its scalars (tag → step, value), unreadable bytes."""

    path: Path
    begun: float
    scalars: dict[str, list[tuple[int, float]]]
    unread: int


def event_folders(path: Path) -> list[Path]:
    """The folders at ``path`` and below with event files, but for those inside recorded runs."""
    folders = {file.parent for file in _event_files(path, "**/")}
    recorded = {file.parent for file in path.rglob("run.json")}
    return sorted(f for f in folders if not recorded & {f, *f.parents})


def event_bytes(folder: Path) -> int:
    """The size of the event files of ``folder``."""
    return sum(file.stat().st_size for file in _event_files(folder))


def read_events(folder: Path, name: str) -> Log:
    """The log of the run ``name`` in the event files of ``folder``.

    Raises:
        UserError: ``tensorboard`` is not installed, or a file cannot be read.
    """
    files = sorted((_read(path) for path in _event_files(folder)), key=lambda file: file.begun)
    scalars: dict[str, dict[int, float]] = {}
    notes = [_cut(file) for file in files if file.unread]
    for file in files:
        replaced = sum(_add(scalars.setdefault(tag, {}), new) for tag, new in file.scalars.items())
        if replaced:
            notes.append(
                f"{file.path.name} goes over steps again: {replaced:,} earlier values dropped"
            )

    def curve(tag: str) -> "pd.Series[float]":
        return pd.Series(scalars[tag], dtype="float64")

    return Log(name, str(folder), list(scalars), curve, REMEDY, notes=tuple(notes))


def _event_files(folder: Path, below: str = "") -> list[Path]:
    found = folder.glob(f"{below}*tfevents*")
    return sorted(p for p in found if p.is_file() and p.suffix != ".profile-empty")


def _add(earlier: dict[int, float], new: list[tuple[int, float]]) -> int:
    """Put ``new`` in place of all that is not before it; how many values went."""
    gone = [step for step in earlier if step >= new[0][0]]
    for step in gone:
        del earlier[step]
    earlier.update(new)
    return len(gone)


def _cut(file: _File) -> str:
    return f"{file.path.name} is cut or damaged: its last {file.unread:,} bytes are left out"


def _read(path: Path) -> _File:
    scalars: dict[str, list[tuple[int, float]]] = {}
    begun, read = 0.0, 0
    for event, size in _events(path):
        begun, read = begun or event.wall_time, read + size
        for value in event.summary.value:
            number = _number(value)
            if number is not None:
                scalars.setdefault(value.tag, []).append((event.step, number))
    return _File(path, begun, scalars, path.stat().st_size - read)


def _events(path: Path) -> Iterator[tuple[Any, int]]:
    """The events of a file up to its end or to the first damaged one, each with its size."""
    with from_extra("tensorboard", f"{path.parent}: event files need tensorboard"):
        from google.protobuf.message import DecodeError
        from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
        from tensorboard.compat.proto.event_pb2 import Event
    try:
        for record in RawEventFileLoader(str(path)).Load():
            yield Event.FromString(record), len(record) + _FRAME
    except DecodeError:  # a whole record of something else
        return
    except OSError as problem:
        raise UserError(f"{path} cannot be read ({problem.strerror or problem})") from None


def _number(value: Any) -> float | None:
    """A summary's scalar, old style or new; None where it is something else."""
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        return float(value.simple_value)
    if kind != "tensor" or value.tensor.dtype == _TEXT or value.tensor.tensor_shape.dim:
        return None
    if value.tag.startswith("_hparams_"):
        return None
    from tensorboard.util import tensor_util

    return float(tensor_util.make_ndarray(value.tensor))
