"""The watch's own voice."""

import sys


def notice(text: str) -> None:
    """One line to the person who watches."""
    print(f"limitcycle: {text}", file=sys.stderr)  # noqa: T201 - the library's voice
