"""The columns of anybody's table: which are needed, what else they are called, what they hold."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from limitcycle.checks import shown
from limitcycle.errors import UserError
from limitcycle.record.roles import listed

Array = NDArray[np.float64]

ALIASES = {
    "step": {"steps", "global_step", "_step", "trainer/global_step", "iteration", "iter"},
    "loss": {"training_loss", "train/loss", "loss/train", "train-loss", "batch_loss"},
    "norm": {"weight_norm", "weights_norm", "norm_of_weights", "param_norm", "parameter_norm"},
}
"""Usual names of the needed columns: suggested, not taken, as one may hold another quantity."""

RUNS = ("run", "run_id", "run_name", "run_uuid", "name")
"""Columns by which tables of several runs tell these apart."""

OPTIONAL = ("lr", "weight_decay", "momentum", "effective_lr", "epoch")
MEASURED = ("grad_norm", "rotation", "cosine_distance", "second_moment_lag")
"""Used where they hold numbers: other scripts write something else under these names, too."""


def as_frame(table: Any) -> pd.DataFrame:
    """``table`` as a frame: of polars or Arrow, or a mapping from names to equally long sequences.

    Raises:
        UserError: it is something else, or has no column.
    """
    if not isinstance(table, pd.DataFrame | Mapping):
        table = _translated(table)
    if isinstance(table, Mapping):
        try:
            table = pd.DataFrame({name: _plain(column) for name, column in table.items()})
        except (TypeError, ValueError, RuntimeError) as problem:
            raise UserError(f"the mapping is no table ({str(problem).splitlines()[0]})") from None
    if not isinstance(table, pd.DataFrame):
        kind = type(table).__name__
        raise UserError(
            "a table is a frame of pandas, polars or Arrow, or a mapping of columns, not " + kind
        )
    if not len(table.columns) and table.index.name is None:
        raise UserError("the table is empty: it needs the columns 'step', 'loss' and 'norm'")
    return table


def _plain(column: Any) -> Any:
    """A column of tensors, or a list of them, as numbers; they may carry gradients or be bf16."""
    if hasattr(column, "detach"):
        tensor = column.detach().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    if isinstance(column, list | tuple) and any(hasattr(cell, "detach") for cell in column):
        return [cell.detach().item() if hasattr(cell, "detach") else cell for cell in column]
    return column


def _translated(table: Any) -> Any:
    """A frame of another library by the protocols that these share; what has none as it is."""
    try:
        if hasattr(table, "__arrow_c_stream__"):
            return pa.table(table).to_pandas()
        if hasattr(table, "to_pandas"):
            return table.to_pandas()
    except (TypeError, ValueError, RuntimeError, ImportError, pa.ArrowException) as problem:
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise UserError(f"the table cannot be read ({reason})") from None
    return table


def needed_columns(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """``step``, ``loss`` and ``norm`` as numbers, and of `OPTIONAL` what there is; remarks.

    Epochs count the steps where nothing else does.

    Raises:
        UserError: a column is missing, is there twice or holds no numbers; there are several runs.
    """
    if "step" not in frame.columns and frame.index.name == "step":
        frame = frame.reset_index()
    _refuse_several_runs(frame)
    frame, notes = _by_epochs(frame)
    loss = "loss" if "loss" in frame.columns or "train_loss" not in frame.columns else "train_loss"
    for name in ("step", loss, "norm"):
        if name not in frame.columns:
            raise UserError(_missing(name, list(frame.columns)))
    optional = [name for name in OPTIONAL if name in frame.columns]
    optional += [name for name in MEASURED if _holds_numbers(frame, name)]
    table = pd.DataFrame(
        {
            "loss" if name == loss else name: _numbers(frame, name)
            for name in ("step", loss, "norm", *optional)
        },
        copy=False,
    )
    return table, notes


def runs_in(frame: pd.DataFrame) -> tuple[str, list[Any]] | None:
    """The column that tells several runs in one table apart, and their names; None: one run."""
    for column in RUNS:
        if list(frame.columns).count(column) != 1:
            continue
        try:
            names = frame[column].dropna().unique().tolist()
        except TypeError:  # cells that cannot be compared name nothing
            continue
        if len(names) > 1:
            return column, names
    return None


def _refuse_several_runs(frame: pd.DataFrame) -> None:
    several = runs_in(frame)
    if several is not None:
        column, names = several
        raise UserError(
            f"the table holds {len(names):,} runs by its column {column!r} ({listed(names)}): give "
            f"one at a time, such as table[table[{column!r}] == {shown(names[0])}]"
        )


def counts_epochs(frame: pd.DataFrame) -> bool:
    """Whether nothing but the epoch counts the rows of this table."""
    names = {str(name).strip().lower() for name in (*frame.columns, frame.index.name)}
    return not {"step", *ALIASES["step"]} & names and "epoch" in frame.columns


def _by_epochs(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """``frame`` with its epochs as steps, where nothing else counts them."""
    if not counts_epochs(frame):
        return frame, []
    frame = frame.drop(columns="weight_decay", errors="ignore").rename(columns={"epoch": "step"})
    return frame, [
        "no column counts the steps, so epochs do: all times are in epochs, and weight decay, "
        "which acts by steps, is not reckoned with"
    ]


def _missing(name: str, there: list[Any]) -> str:
    """What to say where the column ``name`` is not among those that are ``there``."""
    wanted = "'loss' (or 'train_loss')" if name == "loss" else repr(name)
    text = f"the table has no column {wanted}; it has {listed(there)}"
    close = [other for other in there if str(other).strip().lower() in {name, *ALIASES[name]}]
    return f"{text}: rename {close[0]!r} to {name!r} if it is that" if close else text


def _holds_numbers(frame: pd.DataFrame, name: str) -> bool:
    return list(frame.columns).count(name) == 1 and frame[name].dtype.kind in "fiu"


def _numbers(frame: pd.DataFrame, name: str) -> Array:
    column: Any = frame[name]
    if isinstance(column, pd.DataFrame):
        raise UserError(f"the table has more than one column {name!r}")
    if column.dtype.kind in "mM":
        raise UserError(f"column {name!r} holds times, not numbers")
    if column.dtype.kind == "c":
        raise UserError(f"column {name!r} holds complex numbers")
    try:
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    except (TypeError, ValueError, OverflowError):
        example = _no_number(column)
        raise UserError(f"column {name!r} does not hold numbers{example}") from None


def _no_number(column: "pd.Series[Any]") -> str:
    """An example of a cell that is none."""
    for row, cell in enumerate(column.tolist()):
        try:
            float(cell)
        except (TypeError, ValueError, OverflowError):
            if cell is not None and cell is not pd.NA:
                return f" (row {row:,} holds {shown(cell)})"
    return ""
