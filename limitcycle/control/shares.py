"""Sharded weights under control: their norms need one small sum over the processes."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from limitcycle.errors import UserError
from limitcycle.sharded import Part, dealt, held_here, in_company, local
from limitcycle.sharded.parts import is_dtensor


class Shares:
    """Which of T tensors' parts this process counts.

    Args:
        counted: (T,) 1 where it does, float64 on the tensors' device.
    """

    def __init__(self, counted: Tensor) -> None:
        self._counted = counted

    def whole(self, sums: Tensor) -> Tensor:
        """Sums over entries that lie here, (…, T), added up over the processes.

        All of them take part, on the training's own group: what follows from the sums moves the
        training, and must be the same everywhere.
        """
        total = (sums.to(self._counted) * self._counted).contiguous()
        dist.all_reduce(total)
        return total


def shares_of(named: Mapping[str, Tensor]) -> Shares | None:
    """Settle who counts what; all processes take part. None where every tensor lies here whole.

    Args:
        named: the tensors that are controlled, by name.

    Raises:
        UserError: the processes' tensors do not make whole ones, or are different ones.
    """
    if not in_company() or not any(is_dtensor(tensor) for tensor in named.values()):
        return None
    told = [list(named), held_here(named)]
    answers: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(answers, told)
    if any(names != list(named) for names, _ in answers):
        raise UserError(
            "the processes hold different scale-invariant weights (stages of a pipeline): control "
            "each stage with symmetries of its own on a job without stages"
        )
    everyone: list[list[Part]] = [parts for _, parts in answers]
    mine = dealt(everyone)[dist.get_rank()]
    device = local(next(iter(named.values()))).device
    counted = [1.0 if name in mine else 0.0 for name in named]
    return Shares(torch.tensor(counted, dtype=torch.float64, device=device))
