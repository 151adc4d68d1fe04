"""What is printed arrives, whatever the terminal's alphabet."""

import io
import sys


def print_anything() -> None:
    """Have both streams spell out what their encoding lacks: ``\\u03c1`` for ρ where that is ASCII.

    A path may be no UTF-8 either, and a name in somebody's file may be half a character.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
