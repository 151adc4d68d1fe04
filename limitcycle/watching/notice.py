"""The watch's own voice."""

import sys

from limitcycle.sharded import is_first


def notice(text: str, *, anyone: bool = False) -> None:
    """One line to the person who watches; of several processes the first one speaks.

    Args:
        anyone: what only this process knows: it speaks, whichever it is.
    """
    if anyone or is_first():
        print(f"limitcycle: {text}", file=sys.stderr)  # noqa: T201 - the library's voice
