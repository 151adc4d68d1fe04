"""What is given at a door, checked before anything is done with it; a refusal is one line.

Commands and Python meet here alike: numbers that are finite, counts within bounds, paths that the
operating system takes. Nothing heavy is imported.
"""

import math
import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from limitcycle.errors import UserError

LARGEST_COUNT = 2**63 - 1  # of torch's generators and the tables' int64
_SHOWN = 120  # letters of a value that a refusal repeats
_NAME_BYTES, _PATH_BYTES = 255, 4096  # where the system does not say
_ROOM = 128  # bytes for the names of the files in a folder


def finite(name: str, value: Any) -> float:
    """``value`` as a float.

    Raises:
        UserError: it is no number, or none that a float can hold.
    """
    if not isinstance(value, bool) and isinstance(value, Real):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number
    raise UserError(f"{name} must be a finite number, not {shown(value)}")


def positive(name: str, value: Any) -> float:
    """The same, above zero."""
    if finite(name, value) <= 0:
        raise UserError(f"{name} must be positive, not {shown(value)}")
    return float(value)


def whole(name: str, value: Any, *, least: int = 1, most: int = LARGEST_COUNT) -> int:
    """``value`` as an int within bounds; NumPy's integers will do.

    Raises:
        UserError: it is something else, or out of them.
    """
    good = isinstance(value, Integral) and not isinstance(value, bool)
    if not good or value < least:
        raise UserError(f"{name} must be a whole number of at least {least}, not {shown(value)}")
    if value > most:
        raise UserError(f"{name} must be a whole number of at most {most:,}, not {shown(value)}")
    return int(value)


def usable_path(given: str | os.PathLike[str], what: str = "a path") -> Path:
    """``given`` as a path that the operating system can take, whether anything is there or not.

    An empty one is refused: an unset variable of a shell does not mean this folder.

    Raises:
        UserError: it is empty, holds a NUL character, or is too long.
    """
    text = os.fspath(given)
    if not text.strip():
        raise UserError(f"{what} is empty: give one")
    if "\0" in text:
        raise UserError(f"{what} holds a NUL character: {shown(text)}")
    path = Path(text)
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _limit(path, "PC_NAME_MAX", _NAME_BYTES):
        raise UserError(f"{what} has a name of {longest:,} bytes, too long here: {shown(text)}")
    if len(os.fsencode(path.absolute())) + _ROOM > _limit(path, "PC_PATH_MAX", _PATH_BYTES):
        raise UserError(f"{what} is too long: {shown(text)}")
    return path


def shown(value: Any) -> str:
    """``value`` as a refusal repeats it: short, and in one line."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        return f"a number of {value.bit_length():,} bits"
    text = " ".join(text.splitlines())
    half = _SHOWN // 2
    return text if len(text) <= _SHOWN else f"{text[:half]}…{text[-half:]}"


def _limit(path: Path, name: str, usual: int) -> int:
    """A limit of the file system that ``path`` lies in, or will."""
    if not hasattr(os, "pathconf"):
        return usual
    for folder in (Path.cwd() / path).parents:
        try:
            return os.pathconf(folder, name)
        except OSError:  # not there yet, or not for us: the one above it decides
            continue
    return usual
