"""One step of SGD with weight decay on a scale-invariant function, and many (Eqs. 1, 2a, 2b, 8).

Legend: x weights, ρ = ‖x‖, η learning rate, λ weight decay, g gradient norm, g̃ = ρ·g effective
gradient norm, w = η·g̃/((1 − ηλ)ρ²) tangent of the angle between x_t and x_{t+1}.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import (
    Array,
    Form,
    numbers,
    printed,
    require,
    require_gradient,
    require_positive,
    step_product,
)


def sgd_step(x: ArrayLike, gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """x_{t+1} = (1 − ηλ)x_t − η∇f(x_t), Eq. (1). Shapes broadcast; no premise."""
    x, gradient, eta, lam = numbers(x, gradient, eta, lam)
    return (1 - eta * lam) * x - eta * gradient


def euler_product(x: ArrayLike, gradient: ArrayLike) -> Array:
    """⟨∇f(x), x⟩ over the last axis, zero for a scale-invariant f, Eq. (2a)."""
    x, gradient = numbers(x, gradient)
    return np.asarray(np.sum(x * gradient, axis=-1))


def rescaled_gradient(gradient: ArrayLike, c: ArrayLike) -> Array:
    """∇f(c·x) = ∇f(x)/c, Eq. (2b). ``gradient`` is ∇f(x); shapes broadcast.

    Raises:
        PremiseError: unless c > 0.
    """
    gradient, c = numbers(gradient, c)
    require_positive("c", c)
    return gradient / c


def cosine(rho: ArrayLike, effective_gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """cos(x_t, x_{t+1}), Eq. (8), exact as printed.

    Args:
        rho: norm ρ_t.
        effective_gradient: g̃_t = ρ_t·‖∇f(x_t)‖.
        eta: learning rate η.
        lam: weight decay λ.

    Returns:
        The cosine, in (0, 1] (0 where it is below 1e-308), broadcast shape.

    Raises:
        PremiseError: unless ρ > 0, g̃ ≥ 0 and 0 ≤ ηλ < 1.
    """
    return 1 / np.hypot(1, _tangent(rho, effective_gradient, eta, lam))


def cosine_distance(
    rho: ArrayLike, effective_gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Array:
    """1 − cos(x_t, x_{t+1}) by Eq. (8), without cancellation for small angles.

    Arguments and shapes as in ``cosine``. It rounds to 1 where the angle nears a right one.

    Raises:
        PremiseError: unless ρ > 0, g̃ ≥ 0 and 0 ≤ ηλ < 1.
    """
    return distance_of(_tangent(rho, effective_gradient, eta, lam))


def distance_of(tangent: Array) -> Array:
    """1 − cos of the angle with this tangent: 1 − 1/√(1 + w²) = w²/(h(h + 1)), h = √(1 + w²)."""
    steep = np.isinf(tangent)
    w = np.where(steep, 1, tangent)
    h = np.hypot(1, w)
    return np.where(steep, 1.0, (w / h) * (w / (h + 1)))


def effective_step(rho: Array, gradient: Array, eta: Array) -> Array:
    """η·g̃/ρ²; ρ² by itself would leave the range of float64 long before the quotient does."""
    with np.errstate(over="ignore"):
        return np.asarray(eta * (gradient / rho) / rho)


def _tangent(rho: ArrayLike, gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    rho, gradient, eta, lam = numbers(rho, gradient, eta, lam)
    q = step_product(eta, lam)
    require_positive("ρ", rho)
    require_gradient("g̃", gradient)
    with np.errstate(over="ignore"):
        return np.asarray(effective_step(rho, gradient, eta) / (1 - q))


def effective_lr(rho: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """The learning rate that reproduces the step on the unit sphere.

    Printed (Section 4.2, A.1): η/ρ². Exact: η/((1 − ηλ)ρ²), because x_{t+1} is parallel to
    x_t − η/(1 − ηλ)·∇f(x_t). Shapes broadcast.

    Raises:
        PremiseError: unless ρ > 0 and 0 ≤ ηλ < 1.
    """
    rho, eta, lam = numbers(rho, eta, lam)
    q = step_product(eta, lam)
    require_positive("ρ", rho)
    return eta / rho**2 if printed(form) else eta / ((1 - q) * rho**2)


@dataclass(frozen=True)
class Trajectory:
    """A simulated run of T steps.

    Attributes:
        x: weights, shape (T + 1, n).
        squared_norm: ρ_t², shape (T + 1,).
        effective_gradient: g̃_t = ρ_t·‖∇f(x_t)‖, shape (T + 1,).
        cosine_distance: measured between x_t and x_{t+1}, not by Eq. (8); shape (T,).
    """

    x: Array
    squared_norm: Array
    effective_gradient: Array
    cosine_distance: Array


def simulate(
    gradient: Callable[[Array], Array], start: ArrayLike, eta: float, lam: float, steps: int
) -> Trajectory:
    """Run Eq. (1) as it stands.

    Args:
        gradient: maps weights of shape (n,) to ∇f of shape (n,).
        start: x_0, shape (n,).
        eta: learning rate η.
        lam: weight decay λ.
        steps: T ≥ 0.

    Raises:
        PremiseError: unless ‖x_0‖ > 0, 0 ≤ ηλ < 1, T ≥ 0 and every gradient is finite.
    """
    now = np.array(start, dtype=np.float64)
    step_product(*numbers(eta, lam))
    require_positive("‖x₀‖", np.asarray(np.linalg.norm(now)))
    require(steps >= 0, "T ≥ 0", {"T": steps})
    x, g = np.empty((steps + 1, len(now))), np.empty((steps + 1, len(now)))
    for t in range(steps + 1):
        x[t], g[t] = now, gradient(now)
        require(np.isfinite(g[t]), "∇f(x_t) is finite", {"∇f": g[t], "t": t})
        now = (1 - eta * lam) * now - eta * g[t]
    rho = np.linalg.norm(x, axis=1)
    effective = np.asarray(rho * np.linalg.norm(g, axis=1))
    unit = x / rho[:, None]
    return Trajectory(x, rho**2, effective, np.sum(np.diff(unit, axis=0) ** 2, axis=1) / 2)
