"""From what is typed to values; what cannot be one is refused in a few words."""

import argparse
import math
from collections.abc import Callable
from typing import Any

from limitcycle.checks import LARGEST_COUNT, shown
from limitcycle.errors import did_you_mean

MOST_VALUES = 1_000  # of a range, or seeds


def number(text: str, what: str = "a number", kind: type[int] | type[float] = float) -> float:
    """``text`` as a number; argparse says what it should be instead."""
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, not {shown(text)}") from None


def whole(text: str, what: str = "a whole number") -> int:
    """A whole number that a table can hold."""
    found = int(number(text, what, int))
    if abs(found) > LARGEST_COUNT:
        raise argparse.ArgumentTypeError(f"must be {what} below 2^63, not {shown(text)}")
    return found


def real(text: str) -> float:
    """A number."""
    return number(text)


def count(text: str) -> int:
    """A whole number above 0."""
    found = whole(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {shown(text)}")
    return found


def seeds(text: str) -> int:
    """A number of seeds."""
    found = count(text)
    if found > MOST_VALUES:
        raise argparse.ArgumentTypeError(f"must be at most {MOST_VALUES:,}")
    return found


def port(text: str) -> int:
    """A number of a port; 0 stands for a free one."""
    found = whole(text)
    if not 0 <= found < 2**16:
        raise argparse.ArgumentTypeError(f"must be a port, 0 to 65535, not {shown(text)}")
    return found


def batch_size(text: str) -> int | None:
    """Images; None for ``full``."""
    return None if text == "full" else whole(text, "a whole number or full")


def norm(text: str) -> float | str:
    """A norm, or ``start``."""
    return text if text == "start" else number(text, "a number or start")


def or_none(text: str) -> float | None:
    """A number; None for ``none``."""
    return None if text == "none" else number(text, "a number or none")


def seconds(text: str) -> float:
    """Seconds from ``90``, ``90s``, ``9m`` or ``2h``."""
    units = {"s": 1, "m": 60, "h": 3600}
    amount, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    found = number(amount, "a time such as 90s, 9m or 2h") * units[unit]
    if not 0 < found < math.inf:
        raise argparse.ArgumentTypeError(f"must be above 0, not {shown(text)}")
    return found


def one_of(*choices: str) -> Callable[[str], str]:
    """What reads one of ``choices``."""

    def read(text: str) -> str:
        if text not in choices:
            listed = ", ".join(choices)
            raise argparse.ArgumentTypeError(
                f"must be one of {listed}, not {shown(text)}{did_you_mean(text, choices)}"
            )
        return text

    return read


def completing(action: Any, choices: tuple[str, ...]) -> None:
    """Have the shell's completion (argcomplete) offer ``choices`` for ``action``."""
    action.completer = lambda **_: choices
