"""The inner products from which everything about a step follows."""

import torch
from torch import Tensor

SCALARS = ("norm²", "grad_norm²", "radial")
"""⟨x, x⟩, ⟨g, g⟩, ⟨x, g⟩ of weights x and gradient g."""

UPDATE_SCALARS = ("update_norm²", "update_radial")
"""⟨u, u⟩, ⟨x, u⟩ of the update direction u, where it is more than g + λx."""


def step_scalars(weights: Tensor, gradient: Tensor, update: Tensor | None = None) -> list[Tensor]:
    """The `SCALARS` of a step, and its `UPDATE_SCALARS` if ``update`` is given, on the device.

    Everything is converted to float64 first. Sums of float32 squares would lose what the recursion
    of the norm lives on: a step changes ρ² by a relative 2ηλ, often 1e-5 and less.

    Args:
        weights: x_t, flat.
        gradient: ∇f(x_t), flat.
        update: u_t of x_{t+1} = x_t − η·u_t where it is more than g + λx (momentum).

    Returns:
        Three or five float64 scalars.
    """
    x, g = weights.double(), gradient.double()
    scalars = [torch.dot(x, x), torch.dot(g, g), torch.dot(x, g)]
    if update is not None:
        u = update.double()
        scalars += [torch.dot(u, u), torch.dot(x, u)]
    return scalars
