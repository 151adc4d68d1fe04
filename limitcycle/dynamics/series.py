"""From anybody's table to clean arrays: sorted by step, one row a step, missing values dropped."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from limitcycle.errors import UserError

Array = NDArray[np.float64]
Hyper = ArrayLike | None


@dataclass(frozen=True)
class Series:
    """The usable rows of a table, oldest first; all arrays have one entry a row.

    ``lr``, ``weight_decay`` and ``epoch`` are None where they are not known, ``broken_from`` is the
    step at which loss or norm ceased to be finite for good (None: they did not).
    """

    step: NDArray[Any]
    loss: Array
    norm: Array
    lr: Array | None
    weight_decay: Array | None
    effective_lr: Array | None
    epoch: Array | None
    given: int
    broken_from: int | None
    log_loss: Array = field(init=False)
    log_norm: Array = field(init=False)

    def __post_init__(self) -> None:
        positive = self.loss[self.loss > 0]
        # A float32 loss underflows to 0: it is as good as half of the smallest seen.
        floor = positive.min() / 2 if positive.size else 1.0
        object.__setattr__(self, "log_loss", np.log(np.maximum(self.loss, floor)))
        object.__setattr__(self, "log_norm", np.log(self.norm))

    def __len__(self) -> int:
        return len(self.step)


def read_series(frame: pd.DataFrame, lr: Hyper, weight_decay: Hyper) -> Series:
    """The usable rows of ``frame``: finite norm > 0, finite loss ≥ 0.

    Args:
        frame: columns ``step``, ``norm`` and ``loss`` (or ``train_loss``: an epoch table); any
            order of rows; of rows with the same step the last wins.
        lr, weight_decay: one number, or one a row; None takes the column of that name, if any.

    Raises:
        UserError: a column is missing or holds no numbers, or an array has another length.
    """
    table = _needed_columns(frame)
    for name, given in (("lr", lr), ("weight_decay", weight_decay)):
        if given is not None:
            table[name] = _hyper(name, given, len(table))
    table = table[np.isfinite(table["step"])]
    table = table.drop_duplicates("step", keep="last").sort_values("step", kind="stable")
    arrays = {str(name): table[name].to_numpy(np.float64) for name in table.columns}
    loss, norm = arrays["loss"], arrays["norm"]
    finite = np.isfinite(loss) & np.isfinite(norm)
    usable = finite & (norm > 0) & (loss >= 0)
    steps = _whole(arrays.pop("step"))
    broken = _broken_from(finite, np.isinf(loss) | np.isinf(norm))
    kept = {name: values[usable] for name, values in arrays.items()}
    return Series(
        step=steps[usable],
        loss=kept["loss"],
        norm=kept["norm"],
        lr=kept.get("lr"),
        weight_decay=kept.get("weight_decay"),
        effective_lr=_effective_lr(kept),
        epoch=kept.get("epoch"),
        given=len(frame),
        broken_from=None if broken is None else int(steps[broken]),
    )


def _needed_columns(frame: pd.DataFrame) -> pd.DataFrame:
    if "step" not in frame.columns and frame.index.name == "step":
        frame = frame.reset_index()
    loss = "loss" if "loss" in frame.columns else "train_loss"
    for name in ("step", loss, "norm"):
        if name not in frame.columns:
            wanted = "'loss' (or 'train_loss')" if name == "train_loss" else repr(name)
            raise UserError(
                f"the table has no column {wanted}; it has {', '.join(map(repr, frame.columns))}"
            )
    optional = [c for c in ("lr", "weight_decay", "effective_lr", "epoch") if c in frame.columns]
    return pd.DataFrame(
        {
            "loss" if name == loss else name: _numbers(frame, name)
            for name in ("step", loss, "norm", *optional)
        }
    )


def _numbers(frame: pd.DataFrame, name: str) -> Array:
    column: Any = frame[name]
    if isinstance(column, pd.DataFrame):
        raise UserError(f"the table has more than one column {name!r}")
    try:
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        raise UserError(f"column {name!r} does not hold numbers") from None


def _hyper(name: str, given: ArrayLike, rows: int) -> Array:
    values = np.asarray(given, dtype=np.float64)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != rows):
        raise UserError(f"{name} has shape {values.shape}, the table has {rows} rows")
    return np.broadcast_to(values, (rows,))


def _effective_lr(columns: Mapping[str, Array]) -> Array | None:
    if "effective_lr" in columns:
        return columns["effective_lr"]
    return columns["lr"] / columns["norm"] ** 2 if "lr" in columns else None


def _whole(steps: Array) -> NDArray[Any]:
    whole = steps.astype(np.int64)
    return whole if np.array_equal(whole, steps) else steps


def _broken_from(finite: NDArray[np.bool_], infinite: NDArray[np.bool_]) -> int | None:
    """The row from which nothing is finite any more; None if the table ends well.

    NaN also stands for *not recorded*: only a longer gap than any before it, of at least two rows,
    is taken for an end. An infinity never means *not recorded*.
    """
    good = np.flatnonzero(finite)
    first = int(good[-1]) + 1 if good.size else 0
    tail = len(finite) - first
    if infinite[first:].any():
        return first
    if not good.size:
        return None
    longest_gap = int(np.diff(good, prepend=-1).max()) - 1
    return first if tail > max(longest_gap, 1) else None
