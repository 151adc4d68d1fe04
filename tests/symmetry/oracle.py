"""The definition, tried out: scale the tensors and look whether the output moves."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

FACTOR = 1.5
VISIBLE = 2e-3


def moves(model: nn.Module, batch: Any, exponents: Mapping[str, float]) -> bool:
    """Whether w_i → FACTOR^{k_i} w_i moves the output, at perturbed weights, in float64.

    The model keeps its own eps, so that "does not move" has the tolerance `VISIBLE`.
    """
    here = copy.deepcopy(model).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in here.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter += 0.4 * noise * max(float(parameter.square().mean().sqrt()), 0.3)
        scaled = copy.deepcopy(here)  # before a forward pass changes buffers
        before = _forward(here, batch)
        for name, parameter in scaled.named_parameters():
            parameter *= FACTOR ** exponents.get(name, 0)
        after = _forward(scaled, batch)
    return any(_distance(a, b) > VISIBLE for a, b in zip(after, before, strict=True))


def _distance(after: Tensor, before: Tensor) -> float:
    return float((after - before).norm() / before.norm().clamp(min=1e-12))


def _forward(model: nn.Module, batch: Any) -> list[Tensor]:
    if isinstance(batch, dict):
        batch = {k: v.double() if v.is_floating_point() else v for k, v in batch.items()}
        output = model(**batch)
        return [value for value in output.values() if value.is_floating_point()]
    args = batch if isinstance(batch, tuple) else (batch,)
    return [model(*(a.double() if a.is_floating_point() else a for a in args))]
