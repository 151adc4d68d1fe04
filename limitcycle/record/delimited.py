"""Tables as text, as spreadsheets and scripts of any country write them.

What separates columns, what marks decimals and thousands and how letters are encoded is found out
from the beginning and the end of the file. Python's own habits (commas, points, UTF-8) are read by
pandas as they are; anything else is rewritten cell by cell first.
"""

import codecs
import csv
import gzip
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

_SEPARATORS = (",", ";", "\t", "|")
_SPACES = r"\s+"
_SAMPLE = 1 << 16  # bytes from either end
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}([,.'’ \u00a0\u202f])\d{3}(?:\1\d{3})*([.,]\d+)?")
_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_LONG = re.compile(r"[+-]?\d{4,}")  # a whole number that would have been grouped


class Style(NamedTuple):
    """How a file writes tables.

    Attributes:
        separator: of columns; a pattern for runs of spaces.
        decimal: ``.`` or ``,``.
        thousands: what groups digits; empty: nothing does.
        encoding: of letters.
        skipped: lines before the header.
    """

    separator: str
    decimal: str
    thousands: str
    encoding: str
    skipped: int

    @property
    def plain(self) -> bool:
        """Numbers are written as Python writes them."""
        return self.decimal == "." and not self.thousands


def read_delimited(path: Path, *, rows: int | None = None, as_text: bool = False) -> pd.DataFrame:
    """The table in a text file, its columns' names without the spaces around them.

    Args:
        path: of the file; ``.gz`` is unpacked.
        rows: read so many; None: all.
        as_text: cells stay text, so that a logged NaN is told from a blank, which is missing.
    """
    style = style_of(path)
    text = as_text or not style.plain
    frame = pd.read_csv(
        path,
        sep=style.separator,
        encoding=style.encoding,
        skiprows=style.skipped,
        skipinitialspace=True,
        index_col=False,
        nrows=rows,
        dtype=str if text else None,
        keep_default_na=not as_text,
        na_values=[""],
    )
    frame.columns = [str(name).strip().removeprefix("#").strip() for name in frame.columns]
    if not style.plain:
        frame = frame.apply(_rewritten, style=style)
    return frame if as_text or style.plain else frame.apply(_numeric)


def style_of(path: Path) -> Style:
    """How the file writes its table."""
    head, tail = _ends(path)
    encoding = next((name for bom, name in _BOMS.items() if head.startswith(bom)), "")
    if not encoding:
        encoding = _encoding(head + tail)
    lines = _lines(head, encoding)
    skipped = int(bool(lines) and re.fullmatch(r'"?sep=.?"?', lines[0].strip()) is not None)
    lines = lines[skipped:]
    separator = _separator(lines[:50])
    cells = _cells(lines[1:] + _lines(tail, encoding)[1:-1], separator)
    return Style(separator, *_marks(cells), encoding, skipped)


def _ends(path: Path) -> tuple[bytes, bytes]:
    """The beginning of the file, and its end where that is not in the beginning."""
    if path.name.lower().endswith(".gz"):
        content = gzip.decompress(path.read_bytes())
        return content[:_SAMPLE], content[_SAMPLE:][-_SAMPLE:]
    with path.open("rb") as file:
        head = file.read(_SAMPLE)
        size = file.seek(0, 2)
        file.seek(max(size - _SAMPLE, len(head)))
        return head, file.read()


def _encoding(sample: bytes) -> str:
    """UTF-8, or what Windows writes in western Europe; letters cut at the sample's ends aside."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError as problem:
        return "utf-8" if len(sample) > _SAMPLE and problem.start >= _SAMPLE - 4 else "cp1252"
    return "utf-8"


def _lines(sample: bytes, encoding: str) -> list[str]:
    return [line for line in sample.decode(encoding, "replace").splitlines() if line.strip()]


def _separator(lines: list[str]) -> str:
    """What cuts most lines into as many cells as the header, and into most."""
    best, fits = ",", (0.0, 1)
    for separator in _SEPARATORS:
        counts = [len(cells) for cells in csv.reader(lines, delimiter=separator)]
        if counts and counts[0] > 1:
            agreeing = sum(count == counts[0] for count in counts) / len(counts)
            best, fits = max((best, fits), (separator, (agreeing, counts[0])), key=lambda it: it[1])
    spaced = [len(line.split()) for line in lines]
    if fits == (0.0, 1) and len(lines) > 1 and spaced[0] > 1 and len({*spaced}) == 1:
        return _SPACES
    return best


def _cells(lines: list[str], separator: str) -> list[str]:
    if separator == _SPACES:
        return [cell for line in lines for cell in line.split()]
    rows = csv.reader(lines, delimiter=separator, skipinitialspace=True)
    return [cell.strip() for row in rows for cell in row]


def _marks(cells: list[str]) -> tuple[str, str]:
    """What marks decimals, and what groups digits."""
    grouped = [found for cell in cells if (found := _GROUPED.fullmatch(cell))]
    decimal = "," if _decimal_comma(cells, grouped) else "."
    marks = [found[1] for found in grouped if found[1] != decimal]
    if "." in marks and any("." in cell and not _GROUPED.fullmatch(cell) for cell in cells):
        marks = [mark for mark in marks if mark != "."]  # points in other places group nothing
    return decimal, marks[0] if marks else ""


def _decimal_comma(cells: list[str], grouped: list["re.Match[str]"]) -> bool:
    if any(found[2] or found[0].count(found[1]) > 1 for found in grouped):  # 1,234.5 or 1,234,567
        last = [found[2][0] for found in grouped if found[2]]
        if last or any(found[1] == "," and found[0].count(",") > 1 for found in grouped):
            return "," in last
    commas = [cell for cell in cells if _COMMA.fullmatch(cell)]
    if any(not _GROUPED.fullmatch(cell) for cell in commas):
        return True
    return bool(commas) and any(_LONG.fullmatch(cell) for cell in cells)


def _rewritten(column: "pd.Series[str]", style: Style) -> "pd.Series[str]":
    """Numbers as Python writes them; cells that are none stay as they are."""
    number = rf"\s*[+-]?[\d{re.escape(style.thousands + style.decimal)}]+(?:[eE][+-]?\d+)?\s*"
    matches = column.str.fullmatch(number).fillna(False).astype(bool)
    plain = column.str.strip()
    if style.thousands:
        plain = plain.str.replace(style.thousands, "", regex=False)
    return column.where(~matches, plain.str.replace(style.decimal, ".", regex=False))


def _numeric(column: "pd.Series[str]") -> "pd.Series[str] | pd.Series[float]":
    try:
        return pd.to_numeric(column)
    except (TypeError, ValueError):
        return column
