"""From anybody's table to clean arrays: sorted by step, one row a step, missing values dropped."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from limitcycle.checks import shown
from limitcycle.errors import UserError
from limitcycle.reading.columns import Array, as_frame, needed_columns
from limitcycle.reading.rows import in_order

Setting = ArrayLike | None
WHOLE = 2.0**53  # beyond it not every whole number is a float


@dataclass(frozen=True)
class Series:
    """The usable rows of a table, oldest first; all arrays have one entry a row.

    ``lr``, ``weight_decay``, ``epoch``, ``grad_norm``, ``rotation`` (radians) and
    ``second_moment_lag`` are None where they are not known, ``momentum`` is 0 then;
    ``broken_from`` is the step at which loss or norm ceased to be finite for good (None: they did
    not). ``steps_an_update`` is more than 1 where the step counts samples or tokens; ``trusted``
    says that the norm falls no faster than its learning rate and weight decay let it; ``epochs``
    that the step counts epochs, so that many updates lie between two rows.
    """

    step: NDArray[Any]
    loss: Array
    norm: Array
    lr: Array | None
    weight_decay: Array | None
    momentum: Array
    momentum_known: bool
    effective_lr: Array | None
    epoch: Array | None
    grad_norm: Array | None
    rotation: Array | None
    second_moment_lag: Array | None
    given: int
    broken_from: int | None
    steps_an_update: float
    trusted: bool
    epochs: bool = False
    log_norm: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "log_norm", np.log(self.norm))

    def since(self, row: int) -> "Series":
        """The rows from ``row`` on, without a copy."""
        if not row:
            return self
        arrays = {
            each.name: getattr(self, each.name)[row:]
            for each in fields(self)
            if each.init and isinstance(getattr(self, each.name), np.ndarray)
        }
        return replace(self, **arrays)

    def one_update(self, row: int) -> bool:
        """Whether the next row is one update later: what happens between them happens in it."""
        apart = self.step[row + 1] - self.step[row]
        return bool(apart <= self.steps_an_update) and not self.epochs

    def __len__(self) -> int:
        return len(self.step)


def read_table(
    frame: Any, lr: Setting, weight_decay: Setting, momentum: Setting = None
) -> tuple[pd.DataFrame, list[str]]:
    """``frame`` in order: the columns that are used, as numbers; one row a step, oldest first.

    Second comes what was dropped, joined or assumed for that, in words.

    Args:
        frame: columns ``step``, ``norm`` and ``loss`` (or ``train_loss``: an epoch table); any
            order of rows, see `limitcycle.reading.rows.in_order`.
        lr, weight_decay, momentum: one number, or one a row; None takes the column of that name,
            if any.

    Raises:
        UserError: ``frame`` is no table, a column is missing or holds no numbers, a number is
            outside its range, or an array has another length.
    """
    table, notes = needed_columns(as_frame(frame))
    for name, given in (("lr", lr), ("weight_decay", weight_decay), ("momentum", momentum)):
        if given is not None:
            table[name] = _setting(name, given, len(table))
    table, said = in_order(table)
    effective = _effective_lr(table)
    if effective is not None:
        table = table.assign(effective_lr=effective)
    return table, notes + said


def series_of(
    table: pd.DataFrame,
    given: int,
    steps_an_update: float = 1.0,
    *,
    trusted: bool = True,
    epochs: bool = False,
) -> Series:
    """The usable rows of a table in order: finite norm > 0, finite loss.

    Args:
        table: of `read_table`.
        given: how many rows there were before that.
        steps_an_update: how much the step counts on in one update.
        trusted: the norm may fall as it does with this learning rate and weight decay.
        epochs: the step counts epochs.
    """
    arrays = {str(name): table[name].to_numpy(np.float64) for name in table.columns}
    loss, norm = arrays["loss"], arrays["norm"]
    finite = np.isfinite(loss) & np.isfinite(norm)
    usable = finite & (norm > 0)
    steps = _whole(arrays.pop("step"))
    ends = [end for column in (loss, norm) if (end := _broken_from(column)) is not None]
    broken = min(ends, default=None)
    kept = arrays if usable.all() else {name: values[usable] for name, values in arrays.items()}
    return Series(
        step=steps[usable],
        loss=kept["loss"],
        norm=kept["norm"],
        lr=kept.get("lr"),
        weight_decay=kept.get("weight_decay"),
        momentum=np.nan_to_num(kept.get("momentum", np.zeros(int(usable.sum())))),
        momentum_known="momentum" in kept,
        effective_lr=kept.get("effective_lr"),
        epoch=kept.get("epoch"),
        grad_norm=kept.get("grad_norm"),
        rotation=_rotation(kept),
        second_moment_lag=kept.get("second_moment_lag"),
        given=given,
        broken_from=None if broken is None else int(steps[broken]),
        steps_an_update=steps_an_update,
        trusted=trusted,
        epochs=epochs,
    )


def _setting(name: str, given: ArrayLike, rows: int) -> Array:
    try:
        values = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{name} must be a number, or one a row, not {shown(given)}") from None
    if values.ndim > 1 or (values.ndim == 1 and len(values) != rows):
        raise UserError(f"{name} has shape {values.shape}, the table has {rows} rows")
    _check_range(name, values)
    return np.broadcast_to(values, (rows,))


def _check_range(name: str, values: Array) -> None:
    """Refuse what no optimizer takes. In an array NaN means missing, and a schedule may reach 0."""
    one = values.ndim == 0
    if name == "lr" and one:
        good, range_ = values > 0, "positive and finite"
    elif name == "momentum":
        good, range_ = (values >= 0) & (values < 1), "at least 0 and below 1"
    else:
        good, range_ = values >= 0, "finite and not negative"
    if not np.all((good & np.isfinite(values)) | (np.isnan(values) & (not one))):
        raise UserError(
            f"{name} must be {range_}" + (f", not {values:g}" if one else " in every row")
        )


def _effective_lr(table: pd.DataFrame) -> Array | None:
    if "effective_lr" in table:
        return table["effective_lr"].to_numpy(np.float64)
    if "lr" not in table:
        return None
    lr, norm = table["lr"].to_numpy(np.float64), table["norm"].to_numpy(np.float64)
    with np.errstate(all="ignore"):  # of a norm of 1e-200 it is infinite, and not reported
        return np.asarray(lr / norm / norm)


def _rotation(columns: Mapping[str, Array]) -> Array | None:
    """The angle of each step, from the cosine where only that was recorded."""
    distance = columns.get("cosine_distance")
    if "rotation" in columns or distance is None:
        return columns.get("rotation")
    return np.asarray(2 * np.arcsin(np.sqrt(np.clip(distance, 0, 2) / 2)))


def _whole(steps: Array) -> NDArray[Any]:
    if len(steps) and np.abs(steps).max() >= WHOLE:
        return steps
    whole = steps.astype(np.int64)
    return whole if np.array_equal(whole, steps) else steps


def _broken_from(column: Array) -> int | None:
    """The row from which a column is not finite any more; None if it ends well.

    NaN also stands for *not recorded*: only a gap of at least two rows, three times as long as all
    but one in a hundred before it, is taken for an end. An infinity never means *not recorded*.
    """
    good = np.flatnonzero(np.isfinite(column))
    first = int(good[-1]) + 1 if good.size else 0
    if np.isinf(column[first:]).any():
        return first
    if not good.size:
        return None
    usual = float(np.quantile(np.diff(good, prepend=-1) - 1, 0.99))
    return first if len(column) - first > max(3 * usual, 1) else None
