"""What every verb says with, the base's verbs too, which have no rich: lines of plain text."""

import os
import shutil
import sys
import textwrap


def say(text: str, *, aside: bool = False, bold: bool = False) -> None:
    """One line on standard output, as it is; ``aside``: on standard error."""
    stream = sys.stderr if aside else sys.stdout
    if bold and stream.isatty() and "NO_COLOR" not in os.environ:
        text = f"\033[1m{text}\033[0m"
    print(text, file=stream, flush=True)


def say_paragraph(text: str) -> None:
    """``text`` in the terminal's width; elsewhere a line is a line, for grep."""
    if sys.stdout.isatty():
        text = textwrap.fill(text, shutil.get_terminal_size().columns, break_on_hyphens=False)
    say(text)
