"""A table as Parquet parts that carry their range of steps in their names.

A part is written whole and never changed. Reading is concatenating; going back to an earlier step
is removing the parts beyond it, and shortening the one that straddles it.
"""

import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from limitcycle.errors import UserError
from limitcycle.record.files import disk_errors, write_whole
from limitcycle.record.schema import empty, to_arrow

_NAME = re.compile(r"(?P<first>\d{12})-(?P<last>\d{12})\.parquet")


class Part(NamedTuple):
    """One file of a table and the steps (inclusive) it covers."""

    path: Path
    first: int
    last: int


def list_parts(folder: Path) -> list[Part]:
    """The parts in ``folder``, in order of their first step."""
    if not folder.is_dir():
        return []
    matches = ((path, _NAME.fullmatch(path.name)) for path in folder.iterdir())
    return sorted(
        (Part(path, int(m["first"]), int(m["last"])) for path, m in matches if m),
        key=lambda part: (part.first, part.last),
    )


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
        lambda beside: pq.write_table(table, beside, compression="zstd", write_page_checksum=True),
    )


def read_parts(folder: Path) -> pd.DataFrame:
    """The whole table, sorted by step; of steps that overlapping parts share the last part's stay.

    Raises:
        UserError: a part is damaged (its path is named).
    """
    parts = list_parts(folder)
    tables = [table for part in parts if (table := _read(part.path)) is not None]
    if not tables:
        return empty(folder.name)
    frame = pa.concat_tables(tables, promote_options="permissive").to_pandas()
    if any(late.first <= early.last for early, late in itertools.pairwise(parts)):
        key = ["step", "group"] if "group" in frame else ["step"]
        frame = frame.drop_duplicates(key, keep="last")
        frame = frame.sort_values("step", kind="stable", ignore_index=True)
    assert isinstance(frame, pd.DataFrame)
    return frame


def count_rows(folder: Path) -> int:
    """How many rows the parts hold, by their footers alone.

    Raises:
        UserError: a part has none that can be read (its path is named).
    """
    return sum(_footer(part.path).num_rows for part in list_parts(folder))


def drop_beyond(folder: Path, last: int) -> None:
    """Remove the rows after step ``last``."""
    for part in list_parts(folder):
        if part.last <= last:
            continue
        if part.first <= last and (table := _read(part.path)) is not None:
            kept = table.to_pandas()
            write_part(folder, kept[kept["step"] <= last], double=_is_double(table))
        with disk_errors(part.path):
            part.path.unlink(missing_ok=True)


def _read(path: Path) -> pa.Table | None:
    """A part's table, or None where a run going on has just replaced it."""
    try:
        with _damaged(path):
            return pq.read_table(path, partitioning=None, page_checksum_verification=True)
    except FileNotFoundError:
        return None


def _footer(path: Path) -> Any:
    with _damaged(path):
        return pq.read_metadata(path)


@contextlib.contextmanager
def _damaged(path: Path) -> Iterator[None]:
    """Whatever pyarrow says of a damaged file, made one line that names it."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as problem:
        first_line = str(problem).splitlines()[0]
        raise UserError(
            f"{path} is damaged ({first_line}): restore it, or start the run anew in another folder"
        ) from None


def _is_double(table: pa.Table) -> bool:
    return "loss" in table.column_names and table.schema.field("loss").type == pa.float64()
