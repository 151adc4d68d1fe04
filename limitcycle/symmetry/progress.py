"""Progress of a search: nothing for two seconds, then one line that renews itself."""

import sys
import time
from collections.abc import Callable

Report = Callable[[str], None]

AFTER = 2.0
EVERY = 10.0


class Late:
    """Writes what it is told to standard error, once the search has taken a while.

    On a terminal the line is renewed and in the end wiped; elsewhere there is a line every ten
    seconds if ``everywhere``, and none if not.
    """

    def __init__(self, *, everywhere: bool = False) -> None:
        self.terminal = sys.stderr is not None and sys.stderr.isatty()
        self.everywhere, self.due = everywhere, time.monotonic() + AFTER

    def __call__(self, text: str) -> None:
        """Report ``text``; an empty one ends the report."""
        if sys.stderr is None or time.monotonic() < self.due:
            return
        if self.terminal:
            sys.stderr.write(f"\r\033[K{text}")
        elif self.everywhere and text:
            sys.stderr.write(f"{text}\n")
            self.due = time.monotonic() + EVERY
        sys.stderr.flush()


def silent(_text: str) -> None:
    """Report nothing."""
