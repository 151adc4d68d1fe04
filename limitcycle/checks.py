"""What is given at a door, checked before anything is done with it; a refusal is one line.

Commands and Python meet here alike: numbers that are finite, counts within bounds, paths that the
operating system takes. Nothing heavy is imported.
"""

import errno
import math
import os
import shlex
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from limitcycle.errors import UserError

LARGEST_COUNT = 2**63 - 1  # of torch's generators and the tables' int64
_LONGEST = 1_000  # letters of a refusal
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
    try:
        number = finite(name, value)
    except UserError:
        number = 0.0
    if number <= 0:
        raise UserError(f"{name} must be positive and finite, not {shown(value)}")
    return number


def whole(name: str, value: Any, *, least: int = 1, most: int = LARGEST_COUNT) -> int:
    """``value`` as an int within bounds; NumPy's integers will do.

    Raises:
        UserError: it is something else, or out of them.
    """
    number = isinstance(value, Integral) and not isinstance(value, bool)
    if number and least <= value <= most:
        return int(value)
    range_ = f"of at least {least}" if most == LARGEST_COUNT else f"from {least} to {most:,}"
    beyond = " and below 2^63" if number and value > most == LARGEST_COUNT else ""
    raise UserError(f"{name} must be a whole number {range_}{beyond}, not {shown(value)}")


def usable_path(given: str | os.PathLike[str], what: str = "a path") -> Path:
    """``given`` as a path that the operating system can take, whether anything is there or not.

    An empty one is refused: an unset variable of a shell does not mean this folder.

    Raises:
        UserError: it is empty, too long, or holds what no file name can.
    """
    text = os.fspath(given)
    if not text.strip():
        raise UserError(f"{what} is empty: give one")
    if "\0" in text:
        raise UserError(f"{what} holds a NUL character: {shown(text)}")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise UserError(f"{what} holds what no file name can hold: {shown(text)}") from None
    path = Path(text)
    longest = max((len(os.fsencode(part)) for part in path.parts), default=0)
    if longest > _limit(path, "PC_NAME_MAX", _NAME_BYTES):
        raise UserError(f"{what} has a name of {longest:,} bytes, too long here: {shown(text)}")
    if len(os.fsencode(path.absolute())) + _ROOM > _limit(path, "PC_PATH_MAX", _PATH_BYTES):
        raise UserError(f"{what} is too long: {shown(text)}")
    return path


def lost_link(path: Path) -> str:
    """What is wrong with ``path`` if it is a link that leads nowhere; empty if it is none."""
    if not os.path.islink(path):  # noqa: PTH114 - it may be a name that pathlib refuses
        return ""
    try:
        path.stat()
    except OSError as problem:
        if problem.errno == errno.ELOOP:
            return f"{path} is a link to itself"
        return f"{path} is a link to nothing"
    return ""


def usable_folder(given: str | os.PathLike[str], what: str = "a path") -> Path:
    """The same, for a folder that is there or can be made; nothing is made yet.

    Raises:
        UserError: as `usable_path`; something else is there, or on the way, or no folder may be
            made there.
    """
    path = usable_path(given, what)
    there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
    if not there.is_dir():
        wrong = lost_link(there) or f"{there} is no folder"
        raise UserError(f"cannot write {path}: {wrong}; choose another {what}")
    if there != path and not os.access(there, os.W_OK | os.X_OK):
        raise UserError(f"cannot write {path}: no folder may be made there; choose another {what}")
    return path


def shown(value: Any) -> str:
    """``value`` as a refusal repeats it: short, and in one line."""
    try:
        text = repr(value)
    except ValueError:  # Python does not write out whole numbers of thousands of digits
        return f"a number of {value.bit_length():,} bits"
    return abridged(" ".join(text.splitlines()), _SHOWN)


def one_line(message: str) -> str:
    """``message`` in one line, whatever names in it hold, and no longer than a reader reads."""
    return abridged(printable(message), _LONGEST)


def printable(text: str) -> str:
    """``text`` in one line, what no line can show spelled out."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def shell_word(path: str | os.PathLike[str]) -> str:
    """``path`` as a word to paste into a shell, in one line, whatever it holds.

    What no line can show is spelled ``$'a\\012b'``, which bash, zsh and ksh read.
    """
    text = os.fspath(path)
    if text.startswith("-"):  # else it would be taken for an option
        text = f"./{text}"
    if text.isprintable():
        return shlex.quote(text)
    spelled = "".join(_spelled(byte) for byte in os.fsencode(text))
    return f"$'{spelled}'"


def _spelled(byte: int) -> str:
    plain = 32 <= byte < 127 and chr(byte) not in "'\\"
    return chr(byte) if plain else f"\\{byte:03o}"


def abridged(text: str, letters: int) -> str:
    """``text`` without its middle, where it has more ``letters``."""
    half = letters // 2
    return text if len(text) <= letters else f"{text[:half]}…{text[-half:]}"


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
