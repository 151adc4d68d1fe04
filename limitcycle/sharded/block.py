"""The measurements of several steps, added up over all processes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from limitcycle.sharded.wire import Wire, WireError

# Of a symmetric matrix of (x, ∇f, Δ): xx, x∇f, xΔ, ∇f∇f, ΔΔ; ∇fΔ is not measured.
_LINES, _COLUMNS = (0, 0, 0, 1, 2), (0, 1, 2, 1, 2)
_HEAD = 3  # the first process's wish, the first step, how many have spoken


class Summed(NamedTuple):
    """What all processes measured together.

    Attributes:
        grams: (T, G, 3, 3) float64 on the host.
        moments: (T, G); NaN where nobody keeps one. None if they were not asked for.
        losses: (T,) the mean of what was said of each step.
        said: (T,) bool, whether anybody said anything.
        wish: how many rows the first process wishes the next block to have.
    """

    grams: Tensor
    moments: Tensor | None
    losses: Tensor
    said: Tensor
    wish: int


class Block:
    """What one process measured in T steps of G groups, ready to be added up.

    Args:
        steps: their numbers, (T,).
        grams: (T, G, 3, 3), on any device.
        moments: (T, G), NaN where there is none; None: nobody keeps any.
        losses: (T,) of what was said here; None where nothing was.
    """

    def __init__(
        self,
        steps: Sequence[int],
        grams: Tensor,
        moments: Tensor | None,
        losses: Sequence[float | None],
    ) -> None:
        self.steps = list(steps)
        self._groups = grams.shape[1]
        self._has_moments = moments is not None
        packed = grams[..., _LINES, _COLUMNS].cpu().double()
        packed = packed.reshape(len(steps), self._groups * len(_LINES))
        said = [[0.0 if loss is None else loss, float(loss is not None)] for loss in losses]
        columns = [packed, torch.tensor(said, dtype=torch.float64).reshape(-1, 2)]
        if moments is not None:
            there = ~moments.isnan()
            columns += [torch.where(there, moments, 0.0).cpu().double(), there.cpu().double()]
        self._rows = torch.cat(columns, dim=1)

    def sum(self, wire: Wire, wish: int) -> Summed:
        """The sum over all processes; all of them take part, at the same row.

        Args:
            wire: between them.
            wish: for the next block; the first process's counts.

        Raises:
            WireError: a process is missing, or at another row.
        """
        told = float(wish) if wire.rank == 0 else 0.0
        head = torch.tensor([told, float(self.steps[0]), 1.0], dtype=torch.float64)
        flat = wire.sum(torch.cat([head, self._rows.reshape(-1)]))
        if float(flat[1]) != self.steps[0] * wire.size:
            raise WireError("the processes are at different steps")
        rows = flat[_HEAD:].reshape(self._rows.shape)
        return self._summed(rows, int(flat[0]))

    def to_bytes(self) -> bytes:
        """For a process that will add it up later."""
        steps = torch.tensor(self.steps, dtype=torch.float64)[:, None]
        return torch.cat([steps, self._rows], dim=1).numpy().tobytes()

    def sum_with(self, others: Sequence[bytes]) -> tuple[list[int], Summed]:
        """The sum with what others left: the steps that all of them have, and their rows."""
        read = [self._read(each) for each in others]
        common = [s for s in self.steps if all(s in each[:, 0] for each in read)]
        rows = self._rows[[self.steps.index(step) for step in common]].clone()
        for each in read:
            places = [int(np.flatnonzero(each[:, 0] == step)[0]) for step in common]
            rows += torch.from_numpy(each[places, 1:].copy())
        return common, self._summed(rows, 0)

    def lacks(self, other: bytes) -> bool:
        """Whether what another process left has not all of these steps."""
        return not set(self.steps) <= set(self._read(other)[:, 0])

    def _read(self, other: bytes) -> NDArray[np.float64]:
        width = self._rows.shape[1] + 1
        return np.frombuffer(other, dtype=np.float64).reshape(-1, width)

    def _summed(self, rows: Tensor, wish: int) -> Summed:
        count, width = len(rows), self._groups * len(_LINES)
        packed = rows[:, :width].reshape(count, self._groups, len(_LINES))
        grams = torch.zeros(count, self._groups, 3, 3, dtype=torch.float64)
        grams[..., _LINES, _COLUMNS] = packed
        grams[..., _COLUMNS, _LINES] = packed
        said = rows[:, width + 1]
        losses = torch.where(said > 0, rows[:, width] / said.clamp(min=1), torch.nan)
        moments = None
        if self._has_moments:
            values, there = torch.split(rows[:, width + 2 :], self._groups, dim=1)
            moments = torch.where(there > 0, values, torch.nan)
        return Summed(grams, moments, losses, said > 0, wish)
