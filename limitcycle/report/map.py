"""A map as a figure: what runs do over the plane of two settings, their periods, their best errors.

Squares lie in units of cells, whatever the axes' values are: ranges of equal ratios look like
logarithmic axes, words and uneven lists have their place, too. While cells are missing, each is
drawn pale, in the colour of the nearest one that is there.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from limitcycle.lab.cells import NOT_IN_BUDGET
from limitcycle.lab.plane import Plane
from limitcycle.reading.clock import Array
from limitcycle.reading.labels import LABELS, look
from limitcycle.report.figure import (
    Axis,
    Cells,
    Figure,
    Key,
    Line,
    Mark,
    Panel,
    Points,
    Scale,
    Text,
)
from limitcycle.report.regions import Words, borders, place, regions
from limitcycle.report.ticks import ProductLine, product_lines, said, ticks

Texts = tuple[tuple[str, ...], ...]

PANEL_HEIGHT = 2.25  # inches
_LETTER = (0.058, 0.115)  # inches, of the words in regions
_NAME_INCHES = 0.19  # half of the name of a line, and some room
_INSIDE = (1.82, 1.75)  # inches, about, of a panel's squares
_PALE = 0.38

COLOURS: dict[str, str] = {
    **{label: look(label).colour for label in LABELS},
    NOT_IN_BUDGET: "#EBEBEB",
    "failed": "#FFFFFF",
    "refused": "#FFFFFF",
}
_PERIODS = ("#0D3B66", "#1F7A8C", "#5FB49C", "#C9E265", "#FDF0A6")
_ERRORS = ("#FFF3C4", "#F8B26A", "#D9654F", "#8E2C59", "#2D1140")
_NO_VALUE = "#EFEFEF"
_LINE = "#4A4A4A"
_NETS = {"mlp": "MLP", "convnet": "ConvNet", "resnet18": "ResNet-18"}
_NAMES = {"lr": "learning rate η", "weight_decay": "weight decay λ"}


def map_figure(plane: Plane, table: pd.DataFrame, *, shared_axis: bool = True) -> Figure:
    """Three panels: regions with their words, period × ηλ, best test error.

    With a ``shared_axis`` only the first one says what stands on the vertical axis.
    """
    words, texts = _grid(plane, table, "region").astype(str), _texts(plane, table)
    panels = [
        _regions(plane, words, texts),
        _numbers(plane, table, "period_units", "Period × ηλ (grey: none)", _PERIODS, texts),
        _numbers(plane, table, "best_test_error", "Best test error, %", _ERRORS, texts),
    ]
    if shared_axis:
        panels = [panels[0], *(_without_label(panel) for panel in panels[1:])]
    counts = {word: int((words == word).sum()) for word in COLOURS}
    keys = [Key(f"{word} ({n})", COLOURS[word], filled=True) for word, n in counts.items() if n]
    if product_lines(plane):
        keys.append(Key("constant ηλ", _LINE, "dash"))
    return Figure(tuple(panels), "steps", tuple(keys), _title(plane, words), 3, PANEL_HEIGHT)


def footnote(plane: Plane, table: pd.DataFrame) -> str:
    """What the picture's readers must know: the budget, what is missing, what was refused."""
    words = [
        f"A cell ends after {plane.units:g} units of 1/(ηλ), at the latest after {plane.steps:,} "
        "updates"
    ]
    if (table["region"] == NOT_IN_BUDGET).any():
        words.append(f"{NOT_IN_BUDGET}: these ended it before a period could show")
    if (table["region"] == "").any():
        words.append("pale: not made yet, in the colour of the nearest cell that is")
    for word in ("refused", "failed"):
        reasons = table.loc[table["region"] == word, "reason"]
        if len(reasons):
            words.append(f"× {word}: {reasons.iloc[0]}")
    return "; ".join(words) + "."


def _title(plane: Plane, words: Words) -> str:
    varies = {plane.x: "several", plane.y: "several"}
    fixed = {"net": "mlp", "data": "digits", **plane.fixed, **varies}
    shown = [f"{_NETS.get(fixed['net'], 'nets')} on {fixed['data']}"]
    rest = [name for name in plane.fixed if name not in ("net", "data")]
    shown += [f"{_axis_name(name)} {said(fixed[name])}" for name in rest]
    if (words == "").any():
        shown.append(f"{_known(words).sum()} of {words.size} cells")
    return ", ".join(shown)


def _texts(plane: Plane, table: pd.DataFrame) -> Texts:
    """What each cell is: its settings, what its run does and why, its numbers, its folder."""
    said_of = {(row["row"], row["column"]): _text(plane, row) for row in table.to_dict("records")}
    rows, columns = range(len(plane.ys)), range(len(plane.xs))
    return tuple(tuple(said_of[row, column] for column in columns) for row in rows)


def _text(plane: Plane, row: Mapping[Hashable, Any]) -> str:
    settings = [f"{_axis_name(name)} {said(row[name])}" for name in (plane.x, plane.y)]
    what = str(row["region"] or "not made yet")
    lines = [", ".join(settings), f"{what}: {row['reason']}" if row["reason"] else what]
    for what, name, form in (
        ("period × ηλ", "period_units", ".2f"),
        ("best test error", "best_test_error", ".2%"),
    ):
        if np.isfinite(row[name]):
            lines.append(f"{what} {row[name]:{form}}")
    return "\n".join([*lines, f"cells/{row['identity']}" if row["identity"] else ""]).strip()


def _regions(plane: Plane, words: Words, texts: Texts) -> Panel:
    """The verdicts as colours, the regions' borders, their words."""
    names = list(COLOURS)
    scale = Scale(tuple((float(at), COLOURS[name]) for at, name in enumerate(names)))
    numbers = np.full(words.shape, np.nan)
    for at, name in enumerate(names):
        numbers[words == name] = at
    marks: list[Mark] = [
        *_squares(numbers, words, scale, texts),
        *_lines(plane),
        Line(*borders(_filled(words, words)), "#2A2A2A", width=1.2),
        *_crosses(words),
        *_words(plane, words),
    ]
    return _panel(plane, "regions", "What the runs do", marks)


def _numbers(
    plane: Plane, table: pd.DataFrame, name: str, title: str, colours: Sequence[str], texts: Texts
) -> Panel:
    """A column of the table as colours; where it has no value the ground shows."""
    words = _grid(plane, table, "region").astype(str)
    values = _grid(plane, table, name).astype(float)
    positive = values[np.isfinite(values) & (values > 0)]
    ground = Scale(((0.0, _NO_VALUE), (1.0, _NO_VALUE)))
    marks: list[Mark] = [*_squares(np.zeros(words.shape), words, ground, texts)]
    if len(positive):
        scale = _scale(positive, colours, percent=name == "best_test_error")
        # An error may be 0, which has no place among ratios.
        shown = np.where(np.isfinite(values), np.maximum(values, positive.min()), np.nan)
        marks += _squares(shown, words, scale, texts)
    marks += [*_lines(plane), *_crosses(words)]
    return _panel(plane, name, title, marks)


def _scale(values: Array, colours: Sequence[str], *, percent: bool) -> Scale:
    """A scale of ``colours`` over all ``values`` > 0, by ratios."""
    low, high = float(values.min()), float(values.max())
    room = 1.05 if high < 1.05 * low else 1.0
    stops = np.geomspace(low / room, high * room, len(colours))
    pairs = tuple((float(at), colour) for at, colour in zip(stops, colours, strict=True))
    return Scale(pairs, log=True, percent=percent)


def _panel(plane: Plane, name: str, title: str, marks: Sequence[Mark]) -> Panel:
    x = Axis(_axis_name(plane.x), limits=(-0.5, len(plane.xs) - 0.5), ticks=ticks(plane.xs))
    y = Axis(_axis_name(plane.y), limits=(-0.5, len(plane.ys) - 0.5), ticks=ticks(plane.ys))
    return Panel(name, title, y, tuple(marks), x)


def _without_label(panel: Panel) -> Panel:
    bare = tuple((at, "") for at, _ in panel.y.ticks)
    return replace(panel, y=replace(panel.y, label="", ticks=bare))


def _axis_name(setting: str) -> str:
    return _NAMES.get(setting, setting.replace("_", " "))


def _squares(values: Array, words: Words, scale: Scale, texts: Texts) -> list[Cells]:
    """The cells that are made, and pale ones where others are still missing."""
    missing = words == ""
    pale = np.where(missing, _filled(values, words), np.nan)
    marks = [Cells(pale, scale, _PALE)] if missing.any() else []
    return [*marks, Cells(np.where(missing, np.nan, values), scale, texts=texts)]


def _known(words: Words) -> np.ndarray:
    """Which cells have been made."""
    return ~np.isin(words, ("", "refused", "failed"))


def _filled(values: np.ndarray, words: Words) -> np.ndarray:
    """``values`` with that of the nearest cell that was made wherever one is missing."""
    missing, known = np.argwhere(words == ""), np.argwhere(_known(words))
    filled = values.copy()
    for row, column in missing if len(known) else ():
        near = known[np.argmin(((known - (row, column)) ** 2).sum(axis=1))]
        filled[row, column] = values[near[0], near[1]]
    return filled


def _lines(plane: Plane) -> list[Mark]:
    """The lines of constant ηλ with their names."""
    marks: list[Mark] = []
    for line in product_lines(plane):
        marks.append(Line(line.x, line.y, _LINE, f"ηλ = {line.text}", dash="dash", width=0.8))
        marks += _names(plane, line)
    return marks


def _names(plane: Plane, line: ProductLine) -> list[Text]:
    """The line's name near where it comes in from above or the left; none of a short line."""
    inside = (line.x > 0.35) & (line.y < len(plane.ys) - 1.35) & (line.y > 0.6)
    inner = np.flatnonzero(inside)[4:-4]
    if not len(inner):
        return []
    at = int(inner[0])
    slope = (line.y[at + 2] - line.y[at - 2]) / (line.x[at + 2] - line.x[at - 2])
    where = (float(line.x[at]), float(line.y[at]))
    return [Text(*where, line.text, "#3A3A3A", 5.2, slope=float(slope))]


def _crosses(words: Words) -> list[Mark]:
    """A cross in every cell of which there is no run."""
    rows, columns = np.nonzero((words == "refused") | (words == "failed"))
    return [Points(columns.astype(float), rows.astype(float), "#808080", symbol="cross", size=6)]


def _words(plane: Plane, words: Words) -> list[Mark]:
    """The regions' words where these have room, clear of the lines' names if that can be."""
    rows, columns = words.shape
    letter = (_LETTER[0] * columns / _INSIDE[0], _LETTER[1] * rows / _INSIDE[1])
    clear = np.ones(words.shape, dtype=bool)
    for name in [name for line in product_lines(plane) for name in _names(plane, line)]:
        up, across = np.ogrid[:rows, :columns]
        clear &= np.hypot(across - name.x, up - name.y) > _NAME_INCHES * columns / _INSIDE[0]
    marks: list[Mark] = []
    for region in regions(_filled(words, words)):
        if region.word in ("refused", "failed"):
            continue
        inner = region._replace(inside=region.inside & clear)
        found = place(inner, letter) or place(region, letter)
        if found is not None:
            text = Text(found.x, found.y, found.text, size=7.0, bold=True, upright=found.upright)
            marks.append(text)
    return marks


def _grid(plane: Plane, table: pd.DataFrame, name: str) -> np.ndarray:
    """A column of the table as rows and columns of the plane."""
    grid = np.full((len(plane.ys), len(plane.xs)), None, dtype=object)
    grid[table["row"].to_numpy(int), table["column"].to_numpy(int)] = table[name].to_numpy(object)
    return grid
