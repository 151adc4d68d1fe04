"""Gradients that a training leaves to be summed over processes in the optimizer's step.

Under sequence parallelism each process has the gradient of its part of the sequence for weights
that all hold whole (norms): ``Partial`` where the weight is ``Replicate``. The optimizer sums them
on the training's group; here they are summed on connections of the watch's own, so that a process
that watches no longer holds nobody up.
"""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from limitcycle.errors import UserError
from limitcycle.sharded.parts import is_dtensor, local
from limitcycle.sharded.wire import Wire


class Pending:
    """The gradients that are still to be summed; found once, at the first step.

    Args:
        named: tensors by name, in the same order on all processes.
        wire: between all processes.

    Raises:
        UserError: a gradient lies on the processes in another way than its weight.
        WireError: a process is missing.
    """

    def __init__(self, named: Mapping[str, Tensor], wire: Wire) -> None:
        self._tensors = dict(named)
        self._axes: dict[str, list[tuple[int, ...]]] = {}  # of each tensor: who sums it, in order
        self._wires: dict[tuple[int, ...], Wire] = {}
        for name, tensor in named.items():
            axes = _unsummed(name, tensor)
            if axes:
                self._axes[name] = axes
            for ranks in axes:
                if ranks not in self._wires:
                    self._wires[ranks] = wire.among(ranks)

    @torch.no_grad()
    def summed(self) -> dict[int, Tensor]:
        """The sums, by the id of the weight; of all these tensors together.

        Raises:
            WireError: a process is missing.
        """
        if not self._axes:
            return {}
        gradients = {name: _host(self._tensors[name]) for name in self._axes}
        for ranks, wire in self._wires.items():
            names = [name for name, axes in self._axes.items() if ranks in axes]
            flat = wire.sum(torch.cat([gradients[name].reshape(-1) for name in names]))
            parts = torch.split(flat, [gradients[name].numel() for name in names])
            for name, part in zip(names, parts, strict=True):
                gradients[name] = part.view(gradients[name].shape)
        found = {}
        for name, gradient in gradients.items():
            tensor = self._tensors[name]
            found[id(tensor)] = gradient.to(local(tensor).device)
        return found

    def close(self) -> None:
        """Let go of the connections."""
        for wire in self._wires.values():
            wire.close()


def _host(tensor: Tensor) -> Tensor:
    """What lies here of the gradient, in double precision on the host; zeros where there is none.

    A mean over processes is a sum of shares.
    """
    gradient: Any = tensor.grad
    if gradient is None:
        return torch.zeros_like(local(tensor), dtype=torch.float64, device="cpu")
    here = local(gradient).cpu().to(torch.float64, copy=True)
    for axis, placement in enumerate(gradient.placements):
        if placement.is_partial() and placement.reduce_op == "avg":
            here /= gradient.device_mesh.size(axis)
    return here


def _unsummed(name: str, tensor: Any) -> list[tuple[int, ...]]:
    """The groups of processes over which the gradient is to be summed."""
    gradient: Any = tensor.grad
    if gradient is None or not (is_dtensor(gradient) and is_dtensor(tensor)):
        return []
    found = []
    for axis, (of_gradient, of_weight) in enumerate(
        zip(gradient.placements, tensor.placements, strict=True)
    ):
        if of_gradient == of_weight:
            continue
        partial = of_gradient.is_partial() and of_gradient.reduce_op in ("sum", "avg")
        if not (partial and of_weight.is_replicate()):
            raise UserError(
                f"the gradient of {name} lies on the processes in another way ({of_gradient}) than "
                f"the weight ({of_weight}): redistribute it before the optimizer's step"
            )
        ranks = dist.get_process_group_ranks(gradient.device_mesh.get_group(axis))
        found.append(tuple(ranks))
    return found
