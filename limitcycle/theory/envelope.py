"""What can happen at most and at least while the bounds on the gradient hold (Lemma 2, Remark 1).

Legend: ρ norm, η learning rate, λ weight decay, ℓ_t ≤ g̃_t ≤ L_t (``lows``, ``highs``) bounds on the
effective gradient norm, which may change with t, T(g̃) the threshold of a δ-jump, x = ρ²,
β = η²g̃² ∈ [a, b].
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.jumps import jump_threshold
from limitcycle.theory.norm import alpha as alpha_of
from limitcycle.theory.premises import (
    Array,
    Interval,
    numbers,
    require,
    require_bounds,
    require_positive,
    series,
)
from limitcycle.theory.sequences import require_alpha, require_betas, sequence

LARGEST_DELTA = 1 - np.sqrt(0.5)


def reachable(start: ArrayLike, alpha: ArrayLike, lows: ArrayLike, highs: ArrayLike) -> Interval:
    """Lemma 2 made exact: the least and the greatest x_t over all sequences with a_t ≤ β_t ≤ b_t.

    Both are attained, at every t, also after hops and with bounds that change in time (Remark 1).
    With a constant a the lower one is the sequence of Lemma 2.1; the upper one is that of Lemma 2.2
    as long as no sequence can hop.

    Args:
        start: x_0 > 0, shape S.
        alpha: α; here 0 < α < 1 is enough.
        lows: a_0 … a_{T−1}, shape (T,) + S' where S' broadcasts with S.
        highs: b_0 … b_{T−1}, the shape of ``lows``.

    Returns:
        arrays of shape (T + 1,) + broadcast shape.

    Raises:
        PremiseError: unless x_0 > 0, 0 < α < 1, 0 ≤ a_t ≤ b_t and the bounds are series.
    """
    lows, highs = _both("a", lows, "b", highs)
    start, alpha, _ = numbers(start, alpha, np.zeros(lows.shape[1:]))
    require((alpha > 0) & (alpha < 1), "0 < α < 1", {"α": alpha})
    require_positive("x₀", start)
    require_betas(lows, highs)
    least = np.empty((len(lows) + 1, *start.shape))
    greatest = np.empty_like(least)
    least[0] = greatest[0] = start
    for t in range(len(lows)):
        m, M = least[t], greatest[t]
        bottom = np.clip(np.sqrt(lows[t] / (1 - alpha)), m, M)  # where (1 − α)x + a/x is least
        least[t + 1] = (1 - alpha) * bottom + lows[t] / bottom
        ends = [(1 - alpha) * end + highs[t] / end for end in (m, M)]  # convex: largest at an end
        greatest[t + 1] = np.maximum(*ends)
    return Interval(least, greatest)


def determined_bounds(x: ArrayLike, alpha: ArrayLike, low: ArrayLike, high: ArrayLike) -> Interval:
    """Lemma 2 as printed: x_{a,t} ≤ x_t ≤ x_{b,t} for t = 0 … T + 1, with constant a ≤ β_t ≤ b.

    x_{a,t} and x_{b,t} are the sequences (11) with β = a and β = b from the same x_0. The premise
    is about the sequence itself, up to T; the conclusion reaches one step further. Lemma 2.1 alone,
    the lower side, needs no premise: it is ``sequence`` with β = a. ``reachable`` needs none.

    Args:
        x: x_0 … x_T, a sequence (10) with these bounds, shape (T + 1,) + S, T ≥ 0.
        alpha: α, 0 < α < 1/2, of a shape that broadcasts with S.
        low: a, likewise.
        high: b, likewise.

    Returns:
        x_{a,t} and x_{b,t}, arrays of shape (T + 2,) + broadcast shape.

    Raises:
        PremiseError: unless x_t > √(b/(1 − α)) for t = 0 … T, 0 < α < 1/2 and 0 ≤ a ≤ b.
    """
    x = series("x", x)
    require(len(x) >= 1, "T ≥ 0", {"T": len(x) - 1})
    start, alpha, low, high = numbers(x[0], alpha, low, high)
    require_alpha(alpha)
    require_betas(low, high)
    least = np.sqrt(high / (1 - alpha))
    every = _rows(x, start)
    holds = (every > least) & np.isfinite(every)
    require(holds, "x_t > √(b/(1 − α)), t = 0 … T", {"x_t": every, "√(b/(1 − α))": least})
    ends = (np.broadcast_to(beta, every.shape) for beta in (low, high))
    return Interval(*(sequence(start, alpha, betas) for betas in ends))


def norm_envelope(
    rho: ArrayLike, lows: ArrayLike, highs: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Interval:
    """The least and the greatest ρ_t² over all runs with ℓ_t ≤ g̃_t ≤ L_t; both are attained.

    Recursion (3) as the sequence (10) of Lemma 2 (see ``reachable``), with the local bounds that
    Remark 1 speaks of.

    Args:
        rho: ρ_0 > 0, shape S.
        lows: ℓ_0 … ℓ_{T−1}, shape (T,) + S' where S' broadcasts with S.
        highs: L_0 … L_{T−1}, the shape of ``lows``.
        eta: learning rate η.
        lam: weight decay λ; 0 < ηλ < 1.

    Returns:
        arrays of shape (T + 1,) + broadcast shape.

    Raises:
        PremiseError: unless ρ_0 > 0, 0 ≤ ℓ_t ≤ L_t, 0 < ηλ < 1 and the bounds are series.
    """
    lows, highs = _both("ℓ", lows, "L", highs)
    rho, eta, lam, _ = numbers(rho, eta, lam, np.zeros(lows.shape[1:]))
    require_positive("ρ₀", rho)
    require_bounds(lows, highs)
    lows, highs = _rows(lows, rho), _rows(highs, rho)
    return reachable(rho**2, alpha_of(eta, lam), (eta * lows) ** 2, (eta * highs) ** 2)


@dataclass(frozen=True)
class JumpWindow:
    """The first step that can and the first that must be preceded by or be a δ-jump.

    Attributes:
        earliest: no run makes a δ-jump from an iterate x_t with t < earliest; one does at it.
        latest: every run has made one from an x_t with t ≤ latest; one only just at it.
    Both are infinite where the series of bounds ends before.
    """

    earliest: Array
    latest: Array


def jump_window(
    rho: ArrayLike,
    lows: ArrayLike,
    highs: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    delta: ArrayLike,
) -> JumpWindow:
    """Proposition 2 for bounds that change in time, exact: when the first δ-jump happens.

    Arguments as in ``norm_envelope``, with 0 < δ ≤ 1 − 1/√2. A jump "at t" leads from x_t to
    x_{t+1}. The latest run is the one that always takes the largest g̃ that is not yet a jump.

    Raises:
        PremiseError: unless ρ_0 > 0, 0 ≤ ℓ_t ≤ L_t, 0 < ηλ < 1, 0 < δ ≤ 1 − 1/√2 and the bounds
            are series.
    """
    lows, highs = _both("ℓ", lows, "L", highs)
    rho, eta, lam, delta, _ = numbers(rho, eta, lam, delta, np.zeros(lows.shape[1:]))
    require(delta <= LARGEST_DELTA, "δ ≤ 1 − 1/√2", {"δ": delta})
    unit = jump_threshold(1.0, eta, lam, delta)
    least = norm_envelope(rho, lows, highs, eta, lam).lower[:-1]
    slow = np.empty(least.shape)
    x = rho**2
    for t in range(len(slow)):
        slow[t] = x
        g = np.minimum(highs[t], x / unit)
        x = (1 - eta * lam) ** 2 * x + (eta * g) ** 2 / x
    earliest = _first(least < unit * _rows(highs, rho))
    return JumpWindow(earliest, _first(slow < unit * _rows(lows, rho)))


def _both(low: str, lows: ArrayLike, high: str, highs: ArrayLike) -> tuple[Array, Array]:
    """Two series of bounds, broadcast against each other."""
    first, second = numbers(lows, highs)
    return series(low, first), series(high, second)


def _rows(bounds: Array, like: Array) -> Array:
    """The series with its trailing shape broadcast to that of ``like``."""
    return np.array([np.broadcast_to(row, like.shape) for row in bounds]).reshape(-1, *like.shape)


def _first(happens: np.ndarray) -> Array:
    if len(happens) == 0:
        return np.full(happens.shape[1:], np.inf)
    return np.where(happens.any(axis=0), np.argmax(happens, axis=0).astype(float), np.inf)
