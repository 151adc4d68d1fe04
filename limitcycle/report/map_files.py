"""A map's files: its picture, and its page, on which every cell says what it is."""

from html import escape
from pathlib import Path
from string import Template
from typing import Any

import pandas as pd

from limitcycle._version import __version__
from limitcycle.errors import UserError
from limitcycle.extras import from_extra
from limitcycle.lab.plane import Plane
from limitcycle.report.curves import curves_of
from limitcycle.report.map import COLOURS, footnote, map_figure
from limitcycle.report.page import asset, packed_plotly, script_of, script_safe
from limitcycle.report.web_cells import paint_web_cells
from limitcycle.report.writing import write_page

WIDTH = 7.4  # inches


def save_map(plane: Plane, table: pd.DataFrame, out: str | Path, *, width: float = WIDTH) -> Path:
    """Draw the map into ``out``.

    Args:
        plane: whose map it is.
        table: of `limitcycle.lab.Map.table`; cells may be missing.
        out: the file; its suffix, .png or .svg, chooses the format.
        width: in inches.

    Raises:
        UserError: another suffix, ``out`` cannot be written, or matplotlib is not installed.
        RunError: the disk is full; an existing file is as it was.
    """
    check_map_picture(Path(out))
    from limitcycle.report.paint import paint_sheet

    figure, words = map_figure(plane, table), footnote(plane, table)
    paint_sheet([figure], Path(out), width=width, footnote=words)
    return Path(out)


def check_map_picture(out: Path) -> None:
    """Refuse, before hours of training, a picture that could not be drawn.

    Raises:
        UserError: with the reason.
    """
    if out.suffix.lower() not in (".png", ".svg"):
        raise UserError(f"{out}: the map's picture ends in .png or .svg")
    if out.is_dir():
        raise UserError(f"cannot write {out}: it is a folder")
    with from_extra("report", "pictures need matplotlib"):
        import limitcycle.report.paint  # noqa: F401


def write_map_page(
    plane: Plane, table: pd.DataFrame, out: str | Path, *, runs: Path | None = None
) -> Path:
    """Write the map as one self-contained HTML page; a cell under the pointer says what it is.

    Args:
        plane: whose map it is.
        table: of `limitcycle.lab.Map.table`.
        out: the file.
        runs: the map's folder, of whose runs the cell under the pointer shows the curves; None:
            it shows none.

    Raises:
        UserError: ``out`` cannot be written, or plotly is not installed.
        RunError: the disk is full; an existing file is as it was.
    """
    figure = map_figure(plane, table, shared_axis=False)
    curves = {} if runs is None else curves_of(table, runs)
    data: dict[str, Any] = {"panels": paint_web_cells(figure), "curves": curves}
    page = Template(asset("map.html")).substitute(
        title=escape(figure.title),
        lead=escape(footnote(plane, table)),
        version=escape(__version__),
        style=asset("report.css"),
        script=script_of(["common.js", "map.js"]),
        plotly=packed_plotly(),
        regions="\n".join(_region(word, table) for word in COLOURS if _has(word, table)),
        data=script_safe(data),
    )
    return write_page(Path(out), page)


def _has(word: str, table: pd.DataFrame) -> bool:
    return bool((table["region"] == word).any())


def _region(word: str, table: pd.DataFrame) -> str:
    """A region's line of the table, as HTML."""
    cells = table[table["region"] == word]
    numbers = (
        str(len(cells)),
        _span(cells["product"], ".1e"),
        _span(cells["period_units"], ".2f"),
        _span(cells["best_test_error"], ".2%"),
    )
    square = f'<rect width="26" height="10" fill="{COLOURS[word]}"/>'
    swatch = f'<svg class="swatch" viewBox="0 0 26 10" aria-hidden="true">{square}</svg>'
    row = "".join(f'<td class="number">{number}</td>' for number in numbers)
    return f"<tr><td>{swatch}{escape(word)}</td>{row}</tr>"


def _span(values: pd.Series, form: str) -> str:
    known = values.dropna()
    if known.empty:
        return "–"
    low, high = (format(float(end), form) for end in (known.min(), known.max()))
    return low if low == high else f"{low} … {high}"
