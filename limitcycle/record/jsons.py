"""Logs in JSON: a line an object (``metrics.jsonl``), a trainer's state, columns or rows."""

import gzip
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from limitcycle.errors import UserError

SUMMARY = "train_runtime"
"""What the row holds that the trainer of transformers ends its history with: means, no step."""


def read_json_lines(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The objects of a file that has one a line, as rows; lines that are none are counted.

    Raises:
        UserError: no line is an object.
    """
    rows, other = [], 0
    with _opened(path) as file:
        for line in file:
            try:
                row = json.loads(line)
            except ValueError:
                row = None
            if isinstance(row, Mapping):
                rows.append(row)
            else:
                other += bool(line.strip())
    if not rows:
        raise UserError(f"{path}: no line of it is a JSON object")
    notes = [f"lines left out because they are no JSON objects: {other:,}"] if other else []
    return _frame(rows), notes


def read_json(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """A trainer's state (its ``log_history``), a list of rows, or a mapping of columns.

    Raises:
        UserError: it is something else.
    """
    with _opened(path) as file:
        text = file.read()
    try:
        content = json.loads(text)
    except ValueError as problem:
        if text.lstrip().startswith("{") and "\n" in text.strip():  # one object a line, after all
            return read_json_lines(path)
        raise UserError(f"{path} is no JSON ({problem})") from None
    if isinstance(content, Mapping) and "log_history" in content:
        content = content["log_history"]
    if isinstance(content, list) and content and all(isinstance(row, Mapping) for row in content):
        return _frame(content), []
    if isinstance(content, Mapping) and _is_columns(content):
        columns = pd.DataFrame({name: cells for name, cells in content.items() if cells})
        return _counted(columns), []
    raise UserError(
        f"{path}: its JSON is no log: that is a list of rows, a mapping from names to equally long "
        "lists, or a trainer's state with a log_history"
    )


def _opened(path: Path) -> Any:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    rows = [row for row in rows if SUMMARY not in row]
    if any(isinstance(cell, Mapping) for row in rows for cell in row.values()):
        return pd.json_normalize([dict(row) for row in rows], sep="/")
    return pd.DataFrame(rows)


def _is_columns(content: Mapping[str, Any]) -> bool:
    lengths = {len(cells) if isinstance(cells, list) else -1 for cells in content.values()}
    return len(lengths - {0}) == 1 and -1 not in lengths


def _counted(columns: pd.DataFrame) -> pd.DataFrame:
    """A history of Keras counts nothing: it has one value an epoch."""
    if {"step", "epoch", "global_step", "iteration"} & {*columns.columns}:
        return columns
    return columns.assign(epoch=range(len(columns)))
