"""Where the norm ends up (Proposition 3, Eq. 7, Remark 3, A.7).

Legend: ρ norm, η learning rate, λ weight decay, ℓ ≤ g̃ ≤ L (``low``, ``high``) bounds on the
effective gradient norm, α and κ as in ``norm``. All of it is asymptotic: it binds lim inf and
lim sup of ρ_t². Bounds ℓ, L that hold only for a while bind nothing later: see ``envelope``.
"""

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.norm import alpha as alpha_of
from limitcycle.theory.norm import kappa as kappa_of
from limitcycle.theory.premises import (
    Array,
    Form,
    Interval,
    decay_product,
    numbers,
    printed,
    require,
    require_bounds,
    require_positive,
)
from limitcycle.theory.sequences import require_alpha, settling_steps


def smallest_low(high: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """The ℓ from which Proposition 3 holds: printed 2ηλL, exact α/(1 − α)·L, which is larger.

    Below it a run can hop over κL again and again.

    Raises:
        PremiseError: unless L > 0 and 0 < α < 1/2.
    """
    high, eta, lam = numbers(high, eta, lam)
    a = _alpha(eta, lam, form)
    require_positive("L", high)
    return a * high if printed(form) else a / (1 - a) * high


def norm_interval(
    low: ArrayLike, high: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact"
) -> Interval:
    """Eq. (7): [κℓ, κL], in which lim inf and lim sup of ρ_t² lie if ℓ ≤ g̃_t ≤ L for all t.

    Printed and exact differ in κ and in the premise. The exact interval is the smallest possible,
    but ρ_t² need not enter it: with g̃ = L it can stay above κL at every t. The printed κL lies
    even below the limit of that run.

    Args:
        low: ℓ.
        high: L.
        eta: learning rate η.
        lam: weight decay λ.
        form: exact or printed.

    Returns:
        bounds in units of ρ², broadcast shape.

    Raises:
        PremiseError: printed, unless 0 < 2ηλ < 1/2 and 2ηλL ≤ ℓ ≤ L; exact, unless
            0 < ηλ(2 − ηλ) < 1/2 and α/(1 − α)·L ≤ ℓ ≤ L.
    """
    low, high, eta, lam = numbers(low, high, eta, lam)
    _require_no_hop(low, high, eta, lam, form)
    k = kappa_of(eta, lam, form)
    return Interval(k * low, k * high)


def effective_lr_interval(
    low: ArrayLike, high: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact"
) -> Interval:
    """Remark 3: the same for η̃ = η/ρ²: [√α/L, √α/ℓ], printed with √(2ηλ) for √α.

    Asymptotic like ``norm_interval``. The printed √(2ηλ)/L is no lower bound: with g̃ = L, η̃ tends
    to √α/L from below. This bounds η/ρ², in both forms, and not what ``effective_lr`` returns by
    default: for η/((1 − ηλ)ρ²) divide both ends by 1 − ηλ.

    Raises:
        PremiseError: unless ℓ > 0 and the premises of ``norm_interval`` hold.
    """
    low, high, eta, lam = numbers(low, high, eta, lam)
    _require_no_hop(low, high, eta, lam, form)
    require_positive("ℓ", low)
    root = np.sqrt(alpha_of(eta, lam, form))
    return Interval(root / high, root / low)


def settling_time(
    rho: ArrayLike, high: ArrayLike, eta: ArrayLike, lam: ArrayLike, tolerance: ArrayLike
) -> Array:
    """Steps after which ρ_t² ≤ (1 + tolerance)·κL is certain to have happened (Proposition 3).

    The "O(1/ηλ) time" as a number; exact κ. See ``settling_steps``.

    Raises:
        PremiseError: unless ηλ(2 − ηλ) < 1/2, L > 0, tolerance > 0, ρ_0 > 0 and ρ_0² > κL.
    """
    rho, high, eta, lam, tolerance = numbers(rho, high, eta, lam, tolerance)
    a = _alpha(eta, lam, "exact")
    require_positive("L", high)
    require_positive("ρ₀", rho)
    rest = kappa_of(eta, lam) * high
    require(rho**2 > rest, "ρ₀² > κL", {"ρ₀²": rho**2, "κL": rest})
    return settling_steps(rho**2, a, (eta * high) ** 2, tolerance)


def hop_threshold(high: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """A.7: the value of ρ² below which a step can leap over κL.

    Printed: 2ηλL, where a factor κ is missing (the units disagree). Exact: α/(1 − α)·κL, which is
    ηL√α/(1 − ηλ)².

    Raises:
        PremiseError: unless L > 0 and 0 < α < 1/2.
    """
    high, eta, lam = numbers(high, eta, lam)
    a = _alpha(eta, lam, form)
    require_positive("L", high)
    return a * high if printed(form) else a / (1 - a) * kappa_of(eta, lam) * high


def largest_squared_norm(
    low: ArrayLike,
    high: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    rho: ArrayLike | None = None,
    form: Form = "exact",
) -> Array:
    """A.7: a bound on ρ² where ℓ may be too small for Proposition 3.

    Printed: (1 − ηλ)²κℓ + η²L²/(κℓ), the leap from the lower end, with the printed κ. Exact: the
    larger of that (with the exact κ) and κL, which is the largest possible lim sup of ρ_t²; with
    ``rho`` = ρ_0 it bounds all ρ_t², t ≥ 0, a start outside the interval included.

    Raises:
        PremiseError: printed, unless 0 < 2ηλ < 1/2, 0 < ℓ < 2ηλL and no ``rho`` is given, of
            which the printed bound knows nothing; exact, unless 0 < ηλ(2 − ηλ) < 1/2, 0 < ℓ ≤ L
            and ρ_0 > 0 where given: for ℓ = 0 there is no such bound.
    """
    low, high, eta, lam, start = numbers(low, high, eta, lam, np.nan if rho is None else rho)
    a = _alpha(eta, lam, form)
    require_bounds(low, high)
    require_positive("ℓ", low)
    bottom = kappa_of(eta, lam, form) * low
    if printed(form):
        require(rho is None, "no ρ₀ for the printed bound", {"ρ₀": start})
        require(low < a * high, "ℓ < 2ηλL", {"ℓ": low, "2ηλL": a * high})
        return _leap(bottom, high, eta, lam)
    rest = kappa_of(eta, lam) * high
    if rho is None:
        return np.maximum(rest, _leap(bottom, high, eta, lam))
    require_positive("ρ₀", start)
    leap = _leap(np.minimum(bottom, start**2), high, eta, lam)
    return np.maximum(np.maximum(rest, leap), start**2)


def _leap(x: Array, high: Array, eta: Array, lam: Array) -> Array:
    return np.asarray((1 - eta * lam) ** 2 * x + (eta * high) ** 2 / x)


def _alpha(eta: Array, lam: Array, form: Form) -> Array:
    a = alpha_of(eta, lam, form)
    require_alpha(a, "2ηλ" if printed(form) else "ηλ(2 − ηλ)")
    return a


def _require_no_hop(low: Array, high: Array, eta: Array, lam: Array, form: Form) -> None:
    decay_product(eta, lam)
    require_bounds(low, high)
    least = smallest_low(high, eta, lam, form)
    name = "2ηλL" if printed(form) else "α/(1 − α)·L"
    require(least <= low, f"{name} ≤ ℓ", {name: least, "ℓ": low})
