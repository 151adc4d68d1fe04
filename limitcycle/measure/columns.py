"""From a block of step scalars to the columns of the step table."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def step_columns(scalars: Mapping[str, Array], lr: Array, weight_decay: Array) -> dict[str, Array]:
    """The measured columns of the step table (SGD, with or without momentum).

    Args:
        scalars: arrays (T,) by the names of `limitcycle.measure.step_scalars`.
        lr: learning rate η_t, (T,).
        weight_decay: λ_t, (T,).

    Returns:
        ``norm``, ``grad_norm``, ``radial``, ``lr``, ``weight_decay``, ``effective_lr`` = η/ρ²,
        ``effective_grad_norm`` = ρ·‖∇f‖ and ``cosine_distance``, each (T,).
    """
    norm, grad_norm = np.sqrt(scalars["norm²"]), np.sqrt(scalars["grad_norm²"])
    with np.errstate(all="ignore"):  # a norm of zero or a non-finite step shows as such
        return {
            "norm": norm,
            "grad_norm": grad_norm,
            "radial": scalars["radial"],
            "lr": lr,
            "weight_decay": weight_decay,
            "effective_lr": lr / norm**2,
            "effective_grad_norm": norm * grad_norm,
            "cosine_distance": cosine_distance(scalars, lr, weight_decay),
        }


def cosine_distance(scalars: Mapping[str, Array], lr: Array, weight_decay: Array) -> Array:
    """1 − cos(x_t, x_{t+1}) from the parts of the update along and across x_t (cf. Eq. 8).

    The part across is measured itself. One minus a cosine would be rounding noise below 1e-6 in
    float32 and would vanish below 1e-16 in float64.
    """
    norm2, radial = scalars["norm²"], scalars["radial"]
    norm = np.sqrt(norm2)
    if "update_norm²" in scalars:
        inner = scalars["update_radial"]
        across2 = scalars["update_norm²"] - inner**2 / norm2
    else:  # u = g + λx: across x it is the gradient, free of the large part that decay adds along x
        inner = radial + weight_decay * norm2
        across2 = scalars["grad_norm²"] - radial**2 / norm2
    return _distance(norm - lr * inner / norm, lr * np.sqrt(np.maximum(across2, 0)))


def measured_columns(with_gradient: Array, with_update: Array) -> dict[str, Array]:
    """What two Gram matrices say of any optimizer's steps; see `limitcycle.measure.InnerProducts`.

    Args:
        with_gradient: Gram matrices of (x_t, ∇f), (…, 2, 2).
        with_update: those of (x_t, x_{t+1} − x_t), (…, 2, 2); NaN where it was not measured.

    Returns:
        ``norm``, ``grad_norm``, ``radial``, ``effective_grad_norm``, ``radial_share`` =
        |⟨x, ∇f⟩| / (‖x‖‖∇f‖), ``relative_update`` = ‖x_{t+1} − x_t‖/‖x_t‖, ``rotation``: the angle
        between x_t and x_{t+1} in radians, and ``cosine_distance``, each (…).
    """
    norm, grad_norm = np.sqrt(with_gradient[..., 0, 0]), np.sqrt(with_gradient[..., 1, 1])
    radial = with_gradient[..., 0, 1]
    length2, inner = with_update[..., 1, 1], with_update[..., 0, 1]
    with np.errstate(all="ignore"):  # a norm of zero or a non-finite step shows as such
        along = norm + inner / norm
        across = np.sqrt(np.maximum(length2 - (inner / norm) ** 2, 0))
        return {
            "norm": norm,
            "grad_norm": grad_norm,
            "radial": radial,
            "effective_grad_norm": norm * grad_norm,
            "radial_share": np.abs(radial) / (norm * grad_norm),
            "relative_update": np.sqrt(length2) / norm,
            "rotation": np.arctan2(across, along),
            "cosine_distance": _distance(along, across),
        }


def _distance(along: Array, across: Array) -> Array:
    """1 − cos of the angle between x_t and an x_{t+1} with these parts along and across it."""
    length = np.hypot(along, across)
    # 1 − a/l = (l − a)/l, and l − a = c²/(l + a) without cancellation where a > 0.
    return np.where(along > 0, across**2 / (length * (length + np.abs(along))), 1 - along / length)
