"""From what is typed to values; what cannot be one is refused in a few words."""

import argparse
import math
from collections.abc import Callable
from typing import Any

from limitcycle.errors import did_you_mean


def number(text: str, what: str = "a number", kind: type[int] | type[float] = float) -> float:
    """``text`` as a number; argparse says what it should be instead."""
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {what}, not {text!r}") from None


def whole(text: str) -> int:
    """A whole number."""
    return int(number(text, "a whole number", int))


def real(text: str) -> float:
    """A number."""
    return number(text)


def count(text: str) -> int:
    """A whole number above 0."""
    found = whole(text)
    if found < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text!r}")
    return found


def batch_size(text: str) -> int | None:
    """Images; None for ``full``."""
    return None if text == "full" else int(number(text, "a whole number or full", int))


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
        raise argparse.ArgumentTypeError(f"must be above 0, not {text!r}")
    return found


def one_of(*choices: str) -> Callable[[str], str]:
    """What reads one of ``choices``."""

    def read(text: str) -> str:
        if text not in choices:
            listed = ", ".join(choices)
            raise argparse.ArgumentTypeError(
                f"must be one of {listed}, not {text!r}{did_you_mean(text, choices)}"
            )
        return text

    return read


def completing(action: Any, choices: tuple[str, ...]) -> None:
    """Have the shell's completion (argcomplete) offer ``choices`` for ``action``."""
    action.completer = lambda **_: choices
