"""Sequences x' = (1 − α)x + β/x with constant or varying β (A.4: Eqs. 10–14, Lemmas, Prop. 5).

Legend: x > 0 the sequence (ρ² in the application), 0 < α < 1/2, β ∈ [a, b] with 0 ≤ a ≤ b
(``low``, ``high``), x* = √(β/α) the stationary point, γ = x/x*. The exact forms rest on
γ'² − 1 = (γ² − 1)·((1 − α)² − α²/γ²): the recursion of the square is nearly linear.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import (
    Array,
    Form,
    Interval,
    numbers,
    printed,
    require,
    require_gradient,
    require_positive,
    series,
)


def sequence(start: ArrayLike, alpha: ArrayLike, betas: ArrayLike) -> Array:
    """x_0 … x_T of Eq. (10), or of Eq. (11) where the betas are equal.

    Args:
        start: x_0 > 0, shape S.
        alpha: α, 0 < α < 1/2.
        betas: β_0 … β_{T−1} ≥ 0, shape (T,) + S' where S' broadcasts with S.

    Returns:
        shape (T + 1,) + broadcast shape.

    Raises:
        PremiseError: unless x_0 > 0, 0 < α < 1/2, β ≥ 0 and the betas are a series.
    """
    betas = series("β", betas)
    start, alpha, _ = numbers(start, alpha, np.zeros(betas.shape[1:]))
    require_alpha(alpha)
    require_positive("x₀", start)
    require_gradient("β", betas)
    x = np.empty((len(betas) + 1, *start.shape))
    x[0] = start
    for t in range(len(betas)):
        x[t + 1] = (1 - alpha) * x[t] + betas[t] / x[t]
    return x


def stationary_point(alpha: ArrayLike, beta: ArrayLike) -> Array:
    """x* = √(β/α), the only stationary point of Eq. (11). Requires 0 < α < 1/2 and β ≥ 0."""
    alpha, beta = numbers(alpha, beta)
    require_alpha(alpha)
    require_gradient("β", beta)
    return np.sqrt(beta / alpha)


def phi(gamma: ArrayLike, alpha: ArrayLike) -> Array:
    """φ(γ) = (1 − α)γ + α/γ, Eq. (12). Requires γ > 0 and 0 < α < 1/2."""
    gamma, alpha = _gamma(gamma, alpha)
    return (1 - alpha) * gamma + alpha / gamma


@dataclass(frozen=True)
class Landmarks:
    """Where φ changes its ways (Eqs. 13a–13g), in units of x*.

    Attributes:
        hop: α/(1 − α): φ = 1 there, below it a sequence leaps over x* (13c, 13d).
        turn: √(α/(1 − α)): φ falls below it and rises above it (13e, 13f).
        lowest: 2√(α(1 − α)): the least value of φ, reached at ``turn`` (13g).
    """

    hop: Array
    turn: Array
    lowest: Array


def landmarks(alpha: ArrayLike) -> Landmarks:
    """hop < turn < lowest < 1 for this α (Eqs. 13a–13g).

    Raises:
        PremiseError: unless 0 < α < 1/2.
    """
    alpha = np.asarray(alpha, dtype=np.float64)
    require_alpha(alpha)
    hop = alpha / (1 - alpha)
    return Landmarks(hop, np.sqrt(hop), 2 * np.sqrt(alpha * (1 - alpha)))


def contraction(gamma: ArrayLike, alpha: ArrayLike) -> Array:
    """(γ' − 1)/(γ − 1), the factor φ'(ξ) of Eq. (14), which is 1 − α − α/γ: ξ = √γ exactly.

    Raises:
        PremiseError: unless γ > 0 and 0 < α < 1/2.
    """
    gamma, alpha = _gamma(gamma, alpha)
    return 1 - alpha - alpha / gamma


def convergence_bounds(
    start: ArrayLike, alpha: ArrayLike, beta: ArrayLike, t: ArrayLike, form: Form = "exact"
) -> Interval:
    """Lemma 1: bounds on x_t of a sequence with constant β that starts above x*.

    Printed: x* + (1 − 2α)^t(x_0 − x*) and x* + (1 − α)^t(x_0 − x*); both hold. Exact (sharper on
    both sides): the same for squares, x*² + r^t(x_0² − x*²), with r = 1 − 2α below and
    r = (1 − α)² − α²/γ_0² above.

    Raises:
        PremiseError: unless 0 < α < 1/2, β ≥ 0, t ≥ 0 and x_0 > x*.
    """
    start, alpha, beta, t = numbers(start, alpha, beta, t)
    rest = _rest_below(start, alpha, beta, t, "√(β/α)")
    if printed(form):
        gap = start - rest
        return Interval(rest + (1 - 2 * alpha) ** t * gap, rest + (1 - alpha) ** t * gap)
    gap, fast = (start - rest) * (start + rest), 1 - 2 * alpha
    slow = np.exp(-t * square_rate(alpha, beta, start))
    return Interval(np.sqrt(rest**2 + fast**t * gap), np.sqrt(rest**2 + slow * gap))


def square_rate(alpha: Array, beta: Array, x: Array) -> Array:
    """−log of (x'² − x*²)/(x² − x*²) = (1 − α)² − αβ/x², for x > x*."""
    loss = alpha * (2 - alpha) + alpha * beta / x / x
    return np.asarray(-np.log1p(-np.minimum(loss, 2 * alpha)))


def lower_bound(
    start: ArrayLike, alpha: ArrayLike, low: ArrayLike, t: ArrayLike, form: Form = "exact"
) -> Array:
    """Corollary 2.1: a lower bound on x_t of every sequence with β ≥ a that starts above √(a/α).

    The lower side of ``convergence_bounds`` with β = a; valid for all t, in both forms.

    Raises:
        PremiseError: unless 0 < α < 1/2, a ≥ 0, t ≥ 0 and x_0 > √(a/α).
    """
    return convergence_bounds(start, alpha, low, t, form).lower


def upper_bound(
    start: ArrayLike, alpha: ArrayLike, high: ArrayLike, t: ArrayLike, form: Form = "exact"
) -> Array:
    """Corollary 2.2: an upper bound on x_t of a sequence with β ≤ b that starts above √(b/α).

    The upper side of ``convergence_bounds`` with β = b. It holds at the t that ``covered`` names.

    Raises:
        PremiseError: unless 0 < α < 1/2, b ≥ 0, t ≥ 0 and x_0 > √(b/α).
    """
    return convergence_bounds(start, alpha, high, t, form).upper


def covered(x: ArrayLike, alpha: ArrayLike, high: ArrayLike, form: Form = "exact") -> np.ndarray:
    """The t at which Corollary 2.2 speaks about the sequence x.

    Printed ("while x_t ≥ √(αb)/(1 − α)"), read for each t by itself: then it is false after a hop.
    Exact: all earlier x_s, s < t, were ≥ √(αb)/(1 − α).

    Args:
        x: x_0 … x_T, shape (T + 1,) + S, T ≥ 0.
        alpha: α, 0 < α < 1/2, of a shape that broadcasts with S.
        high: b, likewise.
        form: exact or printed.

    Returns:
        boolean, shape (T + 1,) + broadcast shape.

    Raises:
        PremiseError: unless x is a series with x_t > 0 that starts at x_0 > √(b/α), 0 < α < 1/2
            and b ≥ 0.
    """
    x = series("x", x)
    require(len(x) >= 1, "T ≥ 0", {"T": len(x) - 1})
    alpha, high, _ = numbers(alpha, high, x[0])
    _rest_below(x[0], alpha, high, np.zeros(()), "√(b/α)", "b")
    require_positive("x", x)
    threshold = np.sqrt(alpha * high) / (1 - alpha)
    above = np.array([row >= threshold for row in x])
    if printed(form):
        return above
    before = np.concatenate([np.ones_like(above[:1]), above[:-1]])
    return np.asarray(np.logical_and.accumulate(before, axis=0))


def limit_interval(alpha: ArrayLike, low: ArrayLike, high: ArrayLike) -> Interval:
    """Proposition 5: [√(a/α), √(b/α)], between which lie lim inf x_t and lim sup x_t.

    Exact as an asymptotic statement, and sharp. A sequence need not enter: with β = b throughout
    it stays above √(b/α) for ever.

    Raises:
        PremiseError: unless 0 < α < 1/2, 0 ≤ a ≤ b and α/(1 − α)·√b ≤ √a; without the last one
            a sequence can leap over √(b/α) again and again.
    """
    alpha, low, high = numbers(alpha, low, high)
    require_alpha(alpha)
    require_betas(low, high)
    hop = alpha / (1 - alpha) * np.sqrt(high)
    shown = {"α/(1 − α)·√b": hop, "√a": np.sqrt(low)}
    require(hop <= np.sqrt(low), "α/(1 − α)·√b ≤ √a", shown)
    return Interval(np.sqrt(low / alpha), np.sqrt(high / alpha))


def upper_bound_for_ever(
    start: ArrayLike, alpha: ArrayLike, low: ArrayLike, high: ArrayLike
) -> np.ndarray:
    """Remark 2: whether the upper bounds of Lemma 2 and Corollary 2 hold at all t.

    True where α/(1 − α)·√b ≤ √a and x_0 > √(b/α). Boolean, broadcast shape.

    Raises:
        PremiseError: unless x_0 > 0, 0 < α < 1/2 and 0 ≤ a ≤ b.
    """
    start, alpha, low, high = numbers(start, alpha, low, high)
    require_alpha(alpha)
    require_positive("x₀", start)
    require_betas(low, high)
    no_hop = alpha / (1 - alpha) * np.sqrt(high) <= np.sqrt(low)
    return np.asarray(no_hop & (start > np.sqrt(high / alpha)))


def settling_steps(
    start: ArrayLike, alpha: ArrayLike, high: ArrayLike, tolerance: ArrayLike
) -> Array:
    """Steps after which x_t ≤ (1 + tolerance)·√(b/α) is certain to have happened ("O(1/α) time").

    The second half of Proposition 5 as a number: log((γ_0² − 1)/((1 + tolerance)² − 1)) divided by
    −log((1 − α)² − α²/γ_0²), with γ_0 = x_0/√(b/α). Without a tolerance there is no such time.

    Raises:
        PremiseError: unless 0 < α < 1/2, b > 0, tolerance > 0 and x_0 > √(b/α).
    """
    start, alpha, high, tolerance = numbers(start, alpha, high, tolerance)
    require_positive("b", high)
    require_positive("tolerance", tolerance)
    rest = _rest_below(start, alpha, high, np.zeros(()), "√(b/α)")
    gamma = start / rest
    ratio = (gamma - 1) * (gamma + 1) / (tolerance * (2 + tolerance))
    steps = np.log(ratio) / square_rate(alpha, high, start)
    return np.maximum(0, np.ceil(steps * (1 + 1e-12)))


def require_alpha(alpha: Array, name: str = "α") -> None:
    """Require 0 < α < 1/2."""
    require((alpha > 0) & (alpha < 0.5), f"0 < {name} < 1/2", {name: alpha})


def require_betas(low: Array, high: Array) -> None:
    """Require 0 ≤ a ≤ b < ∞."""
    holds = (low >= 0) & (low <= high) & np.isfinite(high)
    require(holds, "0 ≤ a ≤ b", {"a": low, "b": high})


def _gamma(gamma: ArrayLike, alpha: ArrayLike) -> tuple[Array, Array]:
    gamma, alpha = numbers(gamma, alpha)
    require_alpha(alpha)
    require_positive("γ", gamma)
    return gamma, alpha


def _rest_below(
    start: Array, alpha: Array, beta: Array, t: Array, name: str, symbol: str = "β"
) -> Array:
    require_alpha(alpha)
    require_gradient(symbol, beta)
    rest = np.sqrt(beta / alpha)
    require(t >= 0, "t ≥ 0", {"t": t})
    require((start > rest) & np.isfinite(start), f"x₀ > {name}", {"x₀": start, name: rest})
    return rest
