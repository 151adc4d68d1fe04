"""Settings that train alike (Proposition 4).

Legend: x_0 start, ρ_0 = ‖x_0‖, η learning rate, λ weight decay, c > 0 scale.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import (
    Array,
    numbers,
    require,
    require_positive,
    require_setting,
)


@dataclass(frozen=True)
class Setting:
    """A start (weights or their norm), a learning rate and a weight decay."""

    start: Array
    eta: Array
    lam: Array


def rescaled(start: ArrayLike, eta: ArrayLike, lam: ArrayLike, c: ArrayLike) -> Setting:
    """Proposition 4, exact as printed: (c·x_0, c²η, λ/c²) gives x'_t = c·x_t for all t.

    So functions, losses, η/ρ² and cosines are the same; ηλ is unchanged. With c a power of two the
    two runs agree bit by bit, short of underflow. Shapes broadcast.

    Raises:
        PremiseError: unless 0 < c < ∞ (for c < 0 the weights change sign, which is no rescaling),
            x_0 is finite, η > 0 and λ ≥ 0.
    """
    start, eta, lam, c = numbers(start, eta, lam, c)
    require(np.isfinite(start), "x₀ is finite", {"x₀": start})
    require_setting(eta, lam)
    require_positive("c", c)
    return Setting(c * start, c**2 * eta, lam / c**2)


def canonical(rho: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Setting:
    """The equivalent setting with norm 1: (1, η/ρ_0², λρ_0²).

    Two settings with the same direction x_0/ρ_0 train alike exactly when these agree.

    Raises:
        PremiseError: unless ρ_0 > 0, η > 0 and λ ≥ 0.
    """
    rho, eta, lam = numbers(rho, eta, lam)
    require_setting(eta, lam)
    require_positive("ρ₀", rho)
    return Setting(np.ones_like(rho), eta / rho**2, lam * rho**2)
