"""The kinds of files that `limitcycle diagnose` takes, by the ends of their names."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from pyarrow import parquet

from limitcycle.checks import lost_link
from limitcycle.errors import UserError
from limitcycle.record.delimited import read_delimited
from limitcycle.record.files import reading
from limitcycle.record.jsons import read_json, read_json_lines
from limitcycle.record.printed import read_printed

Read = tuple[pd.DataFrame, list[str]]


class Reader(NamedTuple):
    """A kind of file.

    Attributes:
        ends: of its names.
        read: from a path to a table and remarks on it.
        columns: from a path to the columns' names, without reading all; none for a log.
        logger: names are a logger's: usual ones are taken and told; else they are suggested.
    """

    ends: tuple[str, ...]
    read: Callable[[Path], Read]
    columns: Callable[[Path], list[str]]
    logger: bool


def reader_of(path: Path) -> Reader:
    """What reads a file with such a name.

    Raises:
        UserError: nothing does, or there is no plain file.
    """
    with reading(path):
        if lost := lost_link(path):
            raise UserError(f"{lost}: give a folder or a table")
        if not path.exists():
            raise UserError(f"{path} does not exist: give a run's folder or a table")
        if not path.is_file():  # a pipe would be waited for, and read but once
            raise UserError(f"{path} is no plain file: give a run's folder or a table")
    name = path.name.lower().removesuffix(".gz")
    for reader in READERS:
        if name.endswith(reader.ends):
            return reader
    ends = ", ".join([*(end for reader in READERS for end in reader.ends), *DATABASES])
    raise UserError(f"{path}: a table or a log ends in {ends} (also .gz), a run is a folder")


def _text_columns(path: Path) -> list[str]:
    return list(read_delimited(path, rows=0).columns)


def _text_table(path: Path) -> Read:
    return read_delimited(path), []


def _parquet_columns(path: Path) -> list[str]:
    return list(parquet.read_schema(path).names)


def _parquet_table(path: Path) -> Read:
    return pd.read_parquet(path), []


def _no_columns(path: Path) -> list[str]:
    return []


READERS = (
    Reader((".csv", ".tsv"), _text_table, _text_columns, logger=False),
    Reader((".parquet",), _parquet_table, _parquet_columns, logger=False),
    Reader((".jsonl", ".ndjson"), read_json_lines, _no_columns, logger=True),
    Reader((".json",), read_json, _no_columns, logger=True),
    Reader((".log", ".txt", ".out"), read_printed, _no_columns, logger=True),
)
DATABASES = (".db", ".sqlite", ".sqlite3")
"""Ends of MLflow's files, each with many runs."""
