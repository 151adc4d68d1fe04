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
)
from limitcycle.theory.sequences import require_betas

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
    """
    lows, highs = numbers(lows, highs)
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


def norm_envelope(
    rho: ArrayLike, lows: ArrayLike, highs: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Interval:
    """The least and the greatest ρ_t² over all runs with ℓ_t ≤ g̃_t ≤ L_t; both are attained.

    Args:
        rho: ρ_0 > 0, shape S.
        lows: ℓ_0 … ℓ_{T−1}, shape (T,) + S' where S' broadcasts with S.
        highs: L_0 … L_{T−1}, the shape of ``lows``.
        eta: learning rate η.
        lam: weight decay λ; 0 < ηλ < 1.

    Returns:
        arrays of shape (T + 1,) + broadcast shape.
    """
    lows, highs = numbers(lows, highs)
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
    """
    lows, highs = numbers(lows, highs)
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


def _rows(series: Array, like: Array) -> Array:
    """The series with its trailing shape broadcast to that of ``like``."""
    return np.array([np.broadcast_to(row, like.shape) for row in series]).reshape(-1, *like.shape)


def _first(happens: np.ndarray) -> Array:
    return np.where(happens.any(axis=0), np.argmax(happens, axis=0).astype(float), np.inf)
