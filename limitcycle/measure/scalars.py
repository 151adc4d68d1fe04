"""The inner products from which everything about a step follows."""

import torch
from torch import Tensor

SCALARS = ("norm", "grad_norm", "radial", "update_norm", "update_radial")
"""‖x‖, ‖g‖, ⟨x, g⟩, ‖u‖, ⟨x, u⟩ of weights x, gradient g and update direction u."""


def step_scalars(weights: Tensor, gradient: Tensor, update: Tensor | None) -> list[Tensor]:
    """The `SCALARS` of a step, accumulated in float64, left on the device.

    Sums of float32 squares would lose what the recursion of the norm lives on: a step changes ρ² by
    a relative 2ηλ, often 1e-5 and less.

    Args:
        weights: x_t, flat.
        gradient: ∇f(x_t), flat.
        update: u_t of x_{t+1} = x_t − η·u_t where it is more than g + λx (momentum), else None.

    Returns:
        Five float64 scalars; the last two are NaN where ``update`` is None.
    """
    scalars = [_norm(weights), _norm(gradient), _inner(weights, gradient)]
    if update is None:
        nan = torch.full_like(scalars[0], torch.nan)
        return [*scalars, nan, nan]
    return [*scalars, _norm(update), _inner(weights, update)]


def _norm(vector: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(vector, dtype=torch.float64)
    return norm


def _inner(first: Tensor, second: Tensor) -> Tensor:
    return (first * second).sum(dtype=torch.float64)
