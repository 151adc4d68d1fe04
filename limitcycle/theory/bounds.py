"""Power laws around the effective gradient norm of phase B (Appendix D, Eq. 17).

Legend: g̃ effective gradient norm, t step, t_0 first step of the period, ℓ(t) = c/(t − t_0)^p and
L(t) = C/(t − t_0)^P (``c``, ``p``; ``C``, ``P`` as ``low_…``, ``high_…``).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import (
    Array,
    Form,
    Interval,
    decay_product,
    numbers,
    printed,
    require,
    require_gradient,
    require_positive,
)

WIDER = 4 * np.finfo(float).eps  # so that rounding in c/(t − t_0)^p leaves no point outside


def power_bound(
    t: ArrayLike, start: ArrayLike, constant: ArrayLike, power: ArrayLike = 1.0
) -> Array:
    """c/(t − t_0)^p, one side of Eq. (17).

    The paper takes p = 1, and p = 2 for ℓ under full-batch descent. Shapes broadcast.

    Raises:
        PremiseError: unless t > t_0, c > 0 and p ≥ 0.
    """
    t, start, constant, power = numbers(t, start, constant, power)
    require(t > start, "t > t₀", {"t": t, "t₀": start})
    require_positive("c", constant)
    require_gradient("p", power)
    return np.asarray(constant / (t - start) ** power)


def turning_time(
    eta: ArrayLike, lam: ArrayLike, power: ArrayLike = 1.0, form: Form = "exact"
) -> Array:
    """t − t_0 at which δ of a bound (17) turns from falling to growing, for a norm in free decay.

    With g̃ = c/(t − t_0)^p and ρ_t = (1 − ηλ)^(t − t_0)·ρ_0 the printed δ = (ηg̃)²/2ρ⁴ is least
    there, and so is every growing function of g̃/ρ². Exact: p/(−2·log(1 − ηλ)). Printed, with
    ρ ∝ exp(−ηλt): p/(2ηλ), so 1/(2ηλ) for SGD and 1/(ηλ) for the ℓ of full batches.

    Args:
        eta: learning rate η.
        lam: weight decay λ; 0 < ηλ < 1.
        power: p > 0.
        form: exact or printed.

    Returns:
        Steps, broadcast shape. A norm that falls more slowly turns δ later.

    Raises:
        PremiseError: outside these ranges.
    """
    eta, lam, power = numbers(eta, lam, power)
    q = decay_product(eta, lam)
    require_positive("p", power)
    rate = q if printed(form) else -np.log1p(-q)
    return np.asarray(power / (2 * rate))


@dataclass(frozen=True)
class PowerBounds:
    """Bounds (17) fitted to a stretch.

    Attributes:
        start: t_0.
        valid_from: t_valid, from which the bounds speak.
        low_constant: c.
        high_constant: C.
        low_power: p of ℓ(t).
        high_power: p of L(t).
        inside: share of the steps t ≥ t_valid with ℓ(t) ≤ g̃_t ≤ L(t).
    """

    start: float
    valid_from: float
    low_constant: float
    high_constant: float
    low_power: float
    high_power: float
    inside: float

    def at(self, t: ArrayLike) -> Interval:
        """ℓ(t) and L(t), the shape of ``t``; NaN before t_valid."""
        t = np.asarray(t, dtype=np.float64)
        valid = t >= self.valid_from
        age = np.where(valid, t - self.start, np.nan)
        low = self.low_constant / age**self.low_power
        return Interval(low, self.high_constant / age**self.high_power)


def fit_power_bounds(
    t: ArrayLike,
    effective_gradient: ArrayLike,
    start: float,
    *,
    low_power: float = 1.0,
    high_power: float = 1.0,
    skip: float = 0.1,
    share: float = 1.0,
) -> PowerBounds:
    """Fit Eq. (17) by a rule instead of by hand.

    t_valid is the first step after the fraction ``skip`` of the stretch from t_0 to the last t.
    From there on c is the (1 − share)/2 quantile of g̃_t(t − t_0)^p and C the (1 + share)/2
    quantile of g̃_t(t − t_0)^P: with ``share=1`` minimum and maximum, the tightest constants that
    enclose every step; with less, a few outliers do not set them. ``inside`` reports what is
    enclosed.

    Args:
        t: steps of phase B, shape (n,), increasing.
        effective_gradient: g̃_t, shape (n,).
        start: t_0, the first step of the period.
        low_power: p of ℓ(t); 2 for full-batch descent in the paper.
        high_power: p of L(t).
        skip: fraction of the stretch without bounds, in [0, 1).
        share: of the constants' spread to keep, in (0, 1].

    Raises:
        PremiseError: unless g̃ is finite and not negative, there is a step t > t_0 beyond t_valid,
            and the constants obey 0 < c; unless p ≥ 0, P ≥ 0 and the shares are in their ranges.
    """
    t, g = numbers(t, effective_gradient)
    require((g >= 0) & np.isfinite(g), "0 ≤ g̃ < ∞", {"g̃": g, "t": t})
    require_gradient("p", np.asarray(low_power))
    require_gradient("P", np.asarray(high_power))
    require(0 <= skip < 1, "0 ≤ skip < 1", {"skip": skip})
    require(0 < share <= 1, "0 < share ≤ 1", {"share": share})
    last = float(t.max()) if t.size else start
    kept = (t > start) & (t >= start + skip * (last - start))
    require(kept.any(), "a step t > t₀ exists", {"t₀": start, "last t": last})
    age, g = t[kept] - start, g[kept]
    low = float(np.quantile(g * age**low_power, (1 - share) / 2)) * (1 - WIDER)
    high = float(np.quantile(g * age**high_power, (1 + share) / 2)) * (1 + WIDER)
    require(low > 0, "0 < c", {"c": low})
    within = (low / age**low_power <= g) & (g <= high / age**high_power)
    valid_from = float(t[kept].min())
    return PowerBounds(start, valid_from, low, high, low_power, high_power, float(np.mean(within)))
