"""From a block of step scalars to the columns of the step table."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def step_columns(scalars: Mapping[str, Array], lr: Array, weight_decay: Array) -> dict[str, Array]:
    """The measured columns of the step table (SGD, with or without momentum).

    Args:
        scalars: arrays (T,) under the names of `limitcycle.measure.SCALARS`.
        lr: learning rate η_t, (T,).
        weight_decay: λ_t, (T,).

    Returns:
        ``norm``, ``grad_norm``, ``radial``, ``lr``, ``weight_decay``, ``effective_lr`` = η/ρ²,
        ``effective_grad_norm`` = ρ·‖∇f‖ and ``cosine_distance``, each (T,).
    """
    norm, grad_norm = scalars["norm"], scalars["grad_norm"]
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
    norm, radial = scalars["norm"], scalars["radial"]
    with_momentum = ~np.isnan(scalars["update_norm"])
    inner = np.where(with_momentum, scalars["update_radial"], radial + weight_decay * norm**2)
    across_from = np.where(with_momentum, scalars["update_norm"], scalars["grad_norm"])
    across_radial = np.where(with_momentum, inner, radial) / norm
    across = lr * np.sqrt(np.maximum(across_from**2 - across_radial**2, 0))
    along = norm - lr * inner / norm
    length = np.hypot(along, across)
    # 1 − a/l = (l − a)/l, and l − a = c²/(l + a) without cancellation where a > 0.
    return np.where(along > 0, across**2 / (length * (length + np.abs(along))), 1 - along / length)
