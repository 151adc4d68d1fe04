"""The inner products from which everything about a step follows."""

import torch
from torch import Tensor


def step_scalars(
    weights: Tensor, gradient: Tensor, update: Tensor | None = None
) -> dict[str, Tensor]:
    """⟨x, x⟩, ⟨g, g⟩, ⟨x, g⟩ and, if ``update`` is given, ⟨u, u⟩, ⟨x, u⟩, left on the device.

    Everything is converted to float64 first. Sums of float32 squares would lose what the recursion
    of the norm lives on: a step changes ρ² by a relative 2ηλ, often 1e-5 and less.

    Args:
        weights: x_t, flat.
        gradient: g = ∇f(x_t), flat.
        update: u_t of x_{t+1} = x_t − η·u_t where it is more than g + λx (momentum).

    Returns:
        ``norm²``, ``grad_norm²``, ``radial``; ``update_norm²``, ``update_radial``: float64 scalars.
    """
    x, g = weights.double(), gradient.double()
    scalars = {"norm²": torch.dot(x, x), "grad_norm²": torch.dot(g, g), "radial": torch.dot(x, g)}
    if update is not None:
        u = update.double()
        scalars |= {"update_norm²": torch.dot(u, u), "update_radial": torch.dot(x, u)}
    return scalars
