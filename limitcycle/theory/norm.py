"""How one SGD step with weight decay changes the norm of scale-invariant weights (Eq. 3)."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def next_squared_norm(
    rho: ArrayLike,
    gradient_norm: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    radial: ArrayLike = 0.0,
) -> Array:
    """ρ²_{t+1} after x_{t+1} = (1 − ηλ)x_t − η∇f(x_t), Eq. (3) with the radial term kept.

    The paper's form is ``radial=0``, exact for an exactly scale-invariant function (Eq. 2a). A
    normalisation with eps > 0 leaks a little: then ⟨x, ∇f⟩ ≠ 0 and enters as −2(1 − ηλ)η⟨x, ∇f⟩.

    Args:
        rho: norm ρ_t, any shape that broadcasts with the rest.
        gradient_norm: g_t = ‖∇f(x_t)‖ with respect to the same weights.
        eta: learning rate η.
        lam: weight decay λ.
        radial: ⟨x_t, ∇f(x_t)⟩.

    Returns:
        ρ²_{t+1}, float64, broadcast shape.
    """
    rho, g, eta, lam, radial = map(_float64, (rho, gradient_norm, eta, lam, radial))
    shrink = 1 - eta * lam
    return shrink**2 * rho**2 - 2 * shrink * eta * radial + (eta * g) ** 2


def growth_threshold(eta: ArrayLike, lam: ArrayLike) -> Array:
    """The value of η̃·g̃ = η·g/ρ above which a step makes the norm grow: √(ηλ(2 − ηλ)).

    It follows from Eq. (3): ρ²_{t+1} > ρ²_t exactly when (η·g/ρ)² > 1 − (1 − ηλ)². In the phase
    diagram it is a straight line of slope −1.
    """
    product = _float64(eta) * _float64(lam)
    return np.sqrt(product * (2 - product))


def _float64(value: Any) -> Array:
    return np.asarray(value, dtype=np.float64)
