"""A map in the terminal: its plane in letters, and its regions in numbers."""

from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from limitcycle.cli.fitted import Heading, fitted
from limitcycle.lab import Plane
from limitcycle.lab.cells import NOT_IN_BUDGET
from limitcycle.reading.labels import LABELS, look

# Region → its letter and style, in the order in which they are listed.
MARKS: dict[str, tuple[str, str]] = {
    **{label: look(label)[1:] for label in LABELS},
    NOT_IN_BUDGET: ("·", "dim"),
    "refused": ("×", "dim"),
    "failed": ("!", "bold red"),
    "": (" ", ""),
}


def letters(plane: Plane, table: pd.DataFrame, width: int = 80) -> Text:
    """The plane, a letter a cell, the highest row on top; without gaps where it is narrow."""
    words = table.set_index(["row", "column"])["region"]
    heads = [short(value) for value in plane.ys]
    margin, text = max(map(len, heads)), Text(f"{plane.y}\n")
    gap = " " if margin + 1 + 2 * len(plane.xs) <= width else ""
    for row in reversed(range(len(plane.ys))):
        text.append(f"{heads[row]:>{margin}} ")
        for column in range(len(plane.xs)):
            letter, style = MARKS[words[row, column]]
            text.append(letter + gap, style)
        text.append("\n")
    first, last = short(plane.xs[0]), short(plane.xs[-1])
    room = max(1, (1 + len(gap)) * len(plane.xs) - len(gap) - len(first) - len(last))
    text.append(f"{'':{margin}} {first}{' ' * room}{last}  {plane.x}\n")
    return text


_HEADINGS = (
    Heading("region", "left"),
    Heading("cells"),
    Heading("ηλ"),
    Heading("period × ηλ"),
    Heading("best error"),
)


def regions(table: pd.DataFrame, console: Console) -> Table:
    """One line a region: how many cells, at which products, what periods, what error."""
    rows = []
    for word, (letter, style) in MARKS.items():
        cells = table[table["region"] == word]
        if len(cells):
            name = f"{letter} {word}" if word else "not made yet"
            rows.append(
                (
                    Text(name, style),
                    str(len(cells)),
                    _span(cells["product"], ".1e"),
                    _span(cells["period_units"], ".2f"),
                    _span(cells["best_test_error"], ".1%"),
                )
            )
    return fitted(_HEADINGS, rows, console)


def short(value: Any) -> str:
    """A value of a setting in a few letters."""
    if value is None:
        return "none"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _span(values: pd.Series, form: str) -> str:
    """The range of what is known of ``values``."""
    found = values.to_numpy(float)
    found = found[np.isfinite(found)]
    if not len(found):
        return "–"
    low, high = (format(float(end), form) for end in (found.min(), found.max()))
    return low if low == high else f"{low} – {high}"
