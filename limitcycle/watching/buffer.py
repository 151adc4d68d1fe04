"""What the steps since the last reading left: on the device, so that no step waits for the host."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64]

# Rows of a block: few, so that words and files keep up; enough, so that reading costs nothing.
CAPACITY = 512


@dataclass
class Row:
    """What is known of a step on the host, or lies on the device by itself.

    Attributes:
        step: its number.
        settings: learning rate, weight decay and momentum of each parameter group.
        scale: factor on its gradients (`torch.amp.GradScaler` with a fused optimizer).
        skipped: not zero where that scaler found infinities and the weights did not move.
        logged: what the user said of the step, by name; several values of one step are averaged.
        second_moments: Σ v̂ of each group after the step, (G,); None where none is kept.
    """

    step: int
    settings: list[tuple[Any, Any, Any]]
    scale: Tensor | None = None
    skipped: Tensor | None = None
    logged: dict[str, list[Any]] = field(default_factory=dict)
    second_moments: Tensor | None = None


class Measurements(NamedTuple):
    """A block on the host: T steps, G groups, P parameter groups of the optimizer.

    ``with_gradient`` and ``with_update``: (T, G, 2, 2); ``settings``: (T, P, 3); ``logged``: (T,)
    by name, NaN where nothing was said; ``second_moments``: (T, G), None where none is kept.
    """

    step: NDArray[np.int64]
    with_gradient: Array
    with_update: Array
    settings: Array
    logged: dict[str, Array]
    second_moments: Array | None


Total = Callable[[list[Row], Tensor], tuple[list[Row], Tensor]]


class GramBuffer:
    """The Gram matrices of up to `CAPACITY` steps."""

    def __init__(self, groups: int, device: torch.device) -> None:
        dtype = torch.float32 if device.type == "mps" else torch.float64  # it has no other
        self._grams = torch.zeros(CAPACITY, groups, 3, 3, dtype=dtype, device=device)
        # Views made once: in a short step making them would be a tenth of the measurement.
        self._places = self._grams.unbind()
        self._rows: list[Row] = []

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def full(self) -> bool:
        """Whether it must be read before the next step."""
        return len(self._rows) == CAPACITY

    def complete(self, *, in_a_turn: bool) -> int:
        """How many rows are; within a turn of several optimizers the newest is not."""
        return max(len(self._rows) - in_a_turn, 0)

    def open(self, row: Row) -> Tensor:
        """Begin a row; the place of its Gram matrices of (x_t, ∇f, x_{t+1} − x_t), zeros."""
        place = self._places[len(self._rows)]
        self._rows.append(row)
        return place

    @property
    def row(self) -> Row:
        """The newest row."""
        return self._rows[-1]

    @property
    def dtype(self) -> torch.dtype:
        """Of what is kept here."""
        return self._grams.dtype

    def drop(self) -> None:
        """Take the newest row back."""
        self._rows.pop()
        self._places[len(self._rows)].zero_()

    @property
    def place(self) -> Tensor:
        """That of the newest row."""
        return self._places[len(self._rows) - 1]

    def read(self, *, keep_newest: bool = False, total: Total | None = None) -> Measurements | None:
        """Everything since the last reading, without steps that a scaler skipped; then empty.

        Args:
            keep_newest: the newest row is not complete: it stays, alone, in the first place.
            total: what becomes of rows and their Gram matrices first, where these are but a part
                of what several processes measure.

        Returns:
            the block; None where ``total`` leaves no row.
        """
        kept = self._rows[-1:] if keep_newest else []
        rows = self._rows[: len(self._rows) - len(kept)]
        grams = self._grams[: len(rows)]
        whole = (rows, grams) if total is None else total(rows, grams)
        found = _measurements(*whole) if whole[0] else None
        grams.zero_()
        if kept and rows:
            self._places[0].copy_(self.place)
            self.place.zero_()
        self._rows = kept
        return found

    def newest(self, *, complete: int) -> tuple[Row, Tensor] | None:
        """The newest row that no scaler skipped, and its Gram matrices; they stay here.

        Args:
            complete: how many rows are; the others are not asked for.
        """
        rows, places = self._rows[:complete], self._places[:complete]
        for row, place in zip(reversed(rows), reversed(places), strict=True):
            if row.skipped is None or not float(row.skipped):
                return row, place
        return None


def _measurements(rows: Sequence[Row], grams: Tensor) -> Measurements:
    """Rows and their Gram matrices, (T, G, 3, 3), on the host, without those that were skipped."""
    values = grams.cpu().double().numpy().copy()
    scale = _numbers([[1.0 if row.scale is None else row.scale for row in rows]])[0]
    values[:, :, 1, :] /= scale[:, None, None]
    values[:, :, :, 1] /= scale[:, None, None]
    skipped = _numbers([[0.0 if row.skipped is None else row.skipped for row in rows]])[0]
    kept = skipped == 0
    settings = _numbers([[v for group in row.settings for v in group] for row in rows])
    names = dict.fromkeys(name for row in rows for name in row.logged)
    logged = {name: _means([row.logged.get(name, []) for row in rows])[kept] for name in names}
    return Measurements(
        step=np.array([row.step for row in rows], dtype=np.int64)[kept],
        with_gradient=values[kept][:, :, :2, :2],
        with_update=values[kept][:, :, ::2, ::2],
        settings=settings.reshape(len(rows), -1, 3)[kept],
        logged=logged,
        second_moments=_second_moments(rows, kept),
    )


def _second_moments(rows: Sequence[Row], kept: NDArray[np.bool_]) -> Array | None:
    there = [i for i, row in enumerate(rows) if row.second_moments is not None]
    if not there:
        return None
    found = torch.stack([row.second_moments for row in rows if row.second_moments is not None])
    values = np.full((len(rows), found.shape[1]), np.nan)
    values[there] = found.cpu().numpy()
    return values[kept]


def _means(values: list[list[Any]]) -> Array:
    counts = np.array([len(each) for each in values], dtype=float)
    flat = _numbers([[value for each in values for value in each]])[0]
    sums = np.zeros(len(values))
    np.add.at(sums, np.repeat(np.arange(len(values)), counts.astype(int)), flat)
    counts = np.where(counts == 0, np.nan, counts)
    return np.asarray(sums / counts)


def _numbers(rows: list[list[Any]]) -> Array:
    """Numbers and scalar tensors as an array, with one read-back for each device."""
    flat = [value for row in rows for value in row]
    by_device: dict[torch.device, list[int]] = {}
    for index, value in enumerate(flat):
        if isinstance(value, Tensor):
            by_device.setdefault(value.device, []).append(index)
    if not by_device:
        return np.array(flat, dtype=np.float64).reshape(len(rows), -1)
    found = np.array([math.nan if isinstance(value, Tensor) else value for value in flat])
    for indices in by_device.values():
        stacked = torch.stack([flat[index].detach().reshape(()) for index in indices])
        found[indices] = stacked.float().cpu().numpy()
    return found.reshape(len(rows), -1)
