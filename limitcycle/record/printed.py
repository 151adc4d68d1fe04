"""What training scripts print: lines with names and numbers, such as ``step: 10  loss: 8.12``.

Megatron-LM, torchtitan, nanoGPT and their kind differ in marks, not in this. A line counts if it
says at which step (or epoch) it stands; anything else is left out.
"""

import gzip
import re
from pathlib import Path
from typing import TextIO, cast

import pandas as pd

from limitcycle.errors import UserError

_COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_NUMBER = r"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?)"
_PAIR = re.compile(
    rf"([A-Za-z_][\w/]*(?:[ -][A-Za-z_][\w/]*)*)['\"]?\s*[:=]?\s*({_NUMBER}|[-+]?(?:nan|inf)\b)",
    re.IGNORECASE,
)
_COUNTERS = ("iteration", "global_step", "global step", "step", "iter")
_SPEED = re.compile(r"\btok(?:ens)?/s(?:ec)?\b|\bdt\b")
GRADIENT = "norm, of the gradient"
"""The name for what scripts after nanoGPT print as ``norm``, beside the time a step took."""


def read_printed(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """A row for each line that says at which step or epoch it stands; columns as they are named.

    Raises:
        UserError: no line does.
    """
    rows: list[dict[str, float]] = []
    with _opened(path) as file:
        for line in file:
            row = _row(line)
            if len(row) > 1 and {"step", "epoch"} & {*row}:
                rows.append(row)
    if not rows:
        raise UserError(
            f"{path}: no line of it names a step and a number, as in 'step: 10 loss: 2.3 norm: 41'"
        )
    return pd.DataFrame(rows), []


def _opened(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return cast(TextIO, gzip.open(path, "rt", encoding="utf-8-sig", errors="replace"))
    return path.open(encoding="utf-8-sig", errors="replace")


def _row(line: str) -> dict[str, float]:
    """The names and numbers of a line; the first counter in it is its ``step``."""
    row: dict[str, float] = {}
    for name, number in _PAIR.findall(_COLOUR.sub(" ", line)):
        row.setdefault(name.lower(), float(number.replace(",", "")))
    counter = next((name for name in _COUNTERS if name in row), None)
    if counter is not None:
        row["step"] = row.pop(counter)
    if "norm" in row and _SPEED.search(line):
        row[GRADIENT] = row.pop("norm")
    return row
