"""Tables that give way to a narrow terminal: what matters most comes first and stays."""

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

_ENDLESS = 10_000  # columns


class Heading(NamedTuple):
    """A column's heading.

    Attributes:
        text: lines of it.
        justify: of the cells.
        least: width below which it is not wrapped; None: never wrapped.
    """

    text: str
    justify: JustifyMethod = "right"
    least: int | None = None


def fitted(
    headings: Sequence[Heading],
    rows: Sequence[Sequence[str | Text]],
    console: Console,
    *,
    kept: int = 2,
) -> Table:
    """A table of the first columns, as many as the console is wide enough for.

    Args:
        headings: the most important first.
        rows: a cell a heading.
        console: that will print it.
        kept: columns that stay, however narrow it is.
    """
    endless = console.options.update(width=_ENDLESS)  # or it would say what it can be squeezed to
    for count in range(len(headings), kept, -1):
        table = _table(headings[:count], rows)
        if console.measure(table, options=endless).minimum <= console.width:
            return table
    return _table(
        [heading._replace(least=heading.least and 1) for heading in headings[:kept]], rows
    )


def _table(headings: Sequence[Heading], rows: Sequence[Sequence[str | Text]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1))
    for at, (text, justify, least) in enumerate(headings):
        cells = [text, *(str(row[at]) for row in rows)]
        whole = max(cell_len(line) for cell in cells for line in cell.split("\n"))
        table.add_column(
            text,
            justify=justify,
            no_wrap=least is None,
            min_width=whole if least is None else min(least, whole),
        )
    for row in rows:
        table.add_row(*row[: len(headings)])
    return table
