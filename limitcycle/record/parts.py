"""A table as Parquet parts that carry their range of steps in their names.

A part is written whole and never changed. Reading is concatenating; going back to an earlier step
is removing the parts beyond it, and shortening the one that straddles it.

A part is believed only as far as it is checked: pages have checksums, and of the rest (names of
columns, types, the range of steps) what readers rely on is compared with what must be there.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from limitcycle.checks import lost_link
from limitcycle.errors import UserError
from limitcycle.record.files import disk_errors, first_line, open_plain, reading, write_whole
from limitcycle.record.schema import COLUMNS_DIGEST, UNITS, columns_digest, empty, to_arrow

_NAME = re.compile(r"(?P<first>\d{12})-(?P<last>\d{12})\.parquet")
_TRIES = 5  # at a table whose parts a run that goes on replaces meanwhile


class Part(NamedTuple):
    """One file of a table and the steps (inclusive) it covers."""

    path: Path
    first: int
    last: int


def list_parts(folder: Path) -> list[Part]:
    """The parts in ``folder``, in order of their first step.

    Raises:
        UserError: the folder may not be looked into.
    """
    with reading(folder):
        if not folder.is_dir():
            return []
        parts = [part_at(path) for path in folder.iterdir()]
    return sorted(
        (part for part in parts if part is not None), key=lambda part: (part.first, part.last)
    )


def part_at(path: Path) -> Part | None:
    """The part that ``path`` names; None where that is no part's name."""
    match = _NAME.fullmatch(path.name)
    return None if match is None else Part(path, int(match["first"]), int(match["last"]))


def write_part(folder: Path, frame: pd.DataFrame, *, double: bool = False) -> None:
    """Write the rows of ``frame`` as a part; no rows, no file."""
    if frame.empty:
        return
    table = to_arrow(frame, folder.name, double=double)
    first, last = int(frame["step"].iloc[0]), int(frame["step"].iloc[-1])
    with disk_errors(folder):
        folder.mkdir(exist_ok=True)
    write_whole(
        folder / f"{first:012d}-{last:012d}.parquet",
        lambda file: pq.write_table(table, file, compression="zstd", write_page_checksum=True),
    )


def read_parts(folder: Path) -> pd.DataFrame:
    """The whole table, sorted by step; of steps that overlapping parts share the last part's stay.

    Raises:
        UserError: a part is damaged (its path is named).
    """
    for _ in range(_TRIES):
        parts = list_parts(folder)
        tables = [_read(part) for part in parts]
        whole = [table for table in tables if table is not None]
        if len(whole) == len(parts):  # or a run going on has replaced a part: look again
            return _joined(folder, parts, whole)
    raise UserError(f"{folder} changes while it is read: try again when its run rests")


def read_part(part: Part) -> pd.DataFrame:
    """The rows of one part.

    Raises:
        UserError: it is damaged, or gone.
    """
    table = _read(part)
    if table is None:
        raise UserError(f"{part.path} is gone: restore it, or start anew in another folder")
    return _frame(table)


def count_rows(folder: Path, last: int) -> int:
    """How many rows the parts hold up to step ``last``; by their footers alone where that will do.

    Raises:
        UserError: a part is damaged (its path is named).
    """
    parts = [part for part in list_parts(folder) if part.first <= last]
    if _overlap(parts) or any(part.last > last for part in parts):
        return int((read_parts(folder)["step"] <= last).sum())
    return sum(_rows_in(part.path) for part in parts)


def drop_beyond(folder: Path, last: int) -> None:
    """Remove the rows after step ``last``."""
    for part in list_parts(folder):
        if part.last <= last:
            continue
        if part.first <= last and (table := _read(part)) is not None:
            kept = _frame(table)
            write_part(folder, kept[kept["step"] <= last], double=_is_double(table))
        with disk_errors(part.path):
            part.path.unlink(missing_ok=True)


def _overlap(parts: Sequence[Part]) -> bool:
    return any(late.first <= early.last for early, late in itertools.pairwise(parts))


def _joined(folder: Path, parts: Sequence[Part], tables: Sequence[pa.Table]) -> pd.DataFrame:
    if not tables:
        return empty(folder.name)
    with _damaged(folder):
        frame = _frame(pa.concat_tables(tables, promote_options="permissive"))
    if _overlap(parts):
        key = ["step", "group"] if "group" in frame else ["step"]
        frame = frame.drop_duplicates(key, keep="last")
        frame = frame.sort_values("step", kind="stable", ignore_index=True)
    return frame


def _read(part: Part) -> pa.Table | None:
    """A part's table, or None where a run going on has just replaced it."""
    try:
        with _damaged(part.path), open_plain(part.path) as file:
            content = pa.BufferReader(file.read())
            table = pq.ParquetFile(content, page_checksum_verification=True).read()
            table.validate(full=True)
            _check(part, table)
    except FileNotFoundError:
        return None
    # What pandas left there for itself is not needed, and no checksum covers it.
    return table.replace_schema_metadata(None)


def _rows_in(path: Path) -> int:
    try:
        with _damaged(path), open_plain(path) as file:
            return _counted(pq.read_metadata(file))
    except FileNotFoundError:
        return 0


def _counted(footer: pq.FileMetaData) -> int:
    """The rows of a part. Its footer says twice how many: as a whole, and group by group."""
    groups = sum(footer.row_group(index).num_rows for index in range(footer.num_row_groups))
    if footer.num_rows != groups:
        raise ValueError("its footer says two numbers of rows")
    return int(groups)


@contextlib.contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Whatever pyarrow says of a damaged file, made one line that names it."""
    try:
        yield
    except FileNotFoundError:
        if lost := lost_link(path):
            raise UserError(f"{lost}: restore what it leads to") from None
        raise
    except Exception as problem:  # it raises of every kind: a name in a footer may be no UTF-8
        raise UserError(
            f"{path} is damaged ({first_line(problem)}): restore it, or start the run anew in "
            "another folder"
        ) from None


def _check(part: Part, table: pa.Table) -> None:
    """Refuse a part that is not what its name says: a flipped bit, or another's content."""
    names = table.column_names
    if len(set(names)) < len(names):
        raise ValueError("a column is there twice")
    written = (table.schema.metadata or {}).get(COLUMNS_DIGEST)  # earlier versions wrote none
    if written is not None and written != columns_digest(table.schema):
        raise ValueError("its columns are not those that were written")
    units = UNITS.get(part.path.parent.name, {})
    for field in table.schema:
        text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        numbers = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        if field.name in units and not (text if field.name == "group" else numbers):
            raise ValueError(f"column {field.name!r} holds {field.type}")
    steps = table.column("step")
    if not pa.types.is_integer(steps.type) or steps.null_count:
        raise ValueError("its steps are no whole numbers")
    if len(steps) and (steps[0].as_py(), steps[-1].as_py()) != (part.first, part.last):
        raise ValueError("its rows are not those of its name")


def _frame(table: pa.Table) -> pd.DataFrame:
    frame = table.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    return frame


def _is_double(table: pa.Table) -> bool:
    return "loss" in table.column_names and table.schema.field("loss").type == pa.float64()
