"""Projection to the sphere of a given radius, the closest point on it."""

import torch
from torch import Tensor


def project(weights: Tensor, norm: Tensor) -> Tensor:
    """``weights`` scaled to ``norm``: argmin ‖w − weights‖ over ‖w‖ = norm.

    Args:
        weights: any shape, not all zero; one factor for all of it.
        norm: scalar.
    """
    length: Tensor = torch.linalg.vector_norm(weights, dtype=torch.float64)
    return weights * (norm / length).to(weights.dtype)
