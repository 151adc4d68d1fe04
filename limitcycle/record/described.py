"""The small files of a run folder, checked where they are read: what others ask of them is there.

What a version that is yet to come adds is kept.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from limitcycle.errors import UserError
from limitcycle.record.files import is_there, read_object, remedy
from limitcycle.record.schema import FORMAT_VERSION

STATES = ("running", "done", "stopped", "failed")

_LARGEST = sys.float_info.max  # JSON may hold whole numbers beyond it
_SHOWN = 60  # characters of a wrong value

_Kind = tuple[str, Callable[[Any], bool]]


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _are_counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_count, value.values()))


def _are_numbers(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_is_number, value.values()))


_COUNT: _Kind = ("a whole number of at least 0", _is_count)
_COUNTS: _Kind = ("an object of whole numbers", _are_counts)
_TEXT: _Kind = ("a text", lambda value: isinstance(value, str))
_TEXT_OR_NONE: _Kind = ("a text or null", lambda value: value is None or isinstance(value, str))
_OBJECT_OR_NONE: _Kind = (
    "an object or null",
    lambda value: value is None or isinstance(value, dict),
)
_OBJECTS: _Kind = (
    "a list of objects",
    lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value),
)

_RUN: Mapping[str, _Kind] = {
    "run": _OBJECT_OR_NONE,
    "identity": _TEXT,
    "resumed_under": _OBJECTS,
    "start_from_digest": _TEXT_OR_NONE,
    "data_digest": _TEXT,
    "train_size": _COUNT,
    "epoch_steps": _COUNT,
    "remark": _TEXT,
    "limitcycle": _TEXT,
    "device": _TEXT,
    "git": _TEXT_OR_NONE,
}
_STATUS: Mapping[str, _Kind] = {
    "state": (f"one of {', '.join(STATES)}", lambda value: value in STATES),
    "step": _COUNT,
    "reason": _TEXT,
    "final": ("true or false", lambda value: isinstance(value, bool)),
    "recorded": _COUNTS,
}
_TIMING: Mapping[str, _Kind] = {
    "seconds": ("an object of numbers", _are_numbers),
    "steps": _COUNT,
}


def read_info(folder: Path) -> dict[str, Any]:
    """The content of a folder's ``run.json``: it describes a run, or that one was watched.

    Raises:
        UserError: it is missing, damaged, or of a format that came after this one.
    """
    path = folder / "run.json"
    content = read_object(path)
    if "run" not in content:
        raise UserError(f"{path} does not describe a run: {remedy(path.name)}")
    _check_format(path, content)
    return _checked(str(path), content, _RUN, needed=())


def read_status(folder: Path) -> dict[str, Any]:
    """The content of a folder's ``status.json``; {} where there is none yet.

    Raises:
        UserError: it is damaged.
    """
    path = folder / "status.json"
    return as_status(read_object(path), str(path)) if is_there(path) else {}


def as_status(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """``content`` of a ``status.json``, checked; ``name`` is what a refusal calls the file.

    Raises:
        UserError: it is damaged.
    """
    return _checked(name, {"reason": "", **content}, _STATUS, needed=("state", "step"))


def read_seconds(folder: Path) -> dict[str, float]:
    """What time went into a run, in seconds by what for; {} where it is not known.

    Raises:
        UserError: ``timing.json`` is damaged.
    """
    path = folder / "timing.json"
    if not is_there(path):
        return {}
    content = _checked(str(path), read_object(path), _TIMING, needed=("seconds",))
    return {name: float(value) for name, value in content["seconds"].items()}


def _check_format(path: Path, content: Mapping[str, Any]) -> None:
    version = content.get("format_version", 0)
    if not isinstance(version, int):
        raise UserError(f"{path} has no format_version but {_short(version)}: {remedy(path.name)}")
    if version > FORMAT_VERSION:
        raise UserError(
            f"{path} has format {version}, this version reads up to {FORMAT_VERSION}: "
            "update limitcycle"
        )


def _checked(
    name: str, content: dict[str, Any], kinds: Mapping[str, _Kind], needed: tuple[str, ...]
) -> dict[str, Any]:
    """``content``, whose values are of their kinds."""
    for field in needed:
        if field not in content:
            raise UserError(f"{name} has no {field!r}: {remedy(name)}")
    for field, (kind, is_one) in kinds.items():
        if field in content and not is_one(content[field]):
            said = _short(content[field])
            raise UserError(f"{name}: {field!r} is {said}, not {kind}: {remedy(name)}")
    return content


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
