"""When the first δ-jump comes (Proposition 2, Eqs. 5 and 6, Corollary 1).

Legend: ρ norm, η learning rate, λ weight decay, ℓ ≤ g̃ ≤ L (``low``, ``high``) bounds on the
effective gradient norm, δ cosine distance, x = ρ², α and κ as in ``norm``, T(g̃) = g̃·u the
threshold of x below which a step is a δ-jump. Times count steps: a jump "at t" leads from x_t to
x_{t+1}.
"""

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import Array, Form, decay_product, numbers, printed, require
from limitcycle.theory.sequences import require_alpha
from limitcycle.theory.waiting import (
    PRODUCT,
    ROUNDING,
    case_of,
    closed_early,
    falls,
    printed_early,
    printed_late,
    require_feasible,
    require_unavoidable,
    shrinkage,
    shrinking_steps,
    threshold,
    time_above,
)


def t_min(
    rho: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    delta: ArrayLike,
    form: Form = "exact",
) -> Array:
    """The first t at which a δ-jump is possible.

    Printed: Eq. (5), a real number. Exact: a whole number, the least t with x_{ℓ,t} < T(L), where
    x_{ℓ,t} is the sequence with g̃ = ℓ throughout; no run jumps earlier and one jumps then. It is
    iterated step by step, at most 10⁸ steps an element, each rounded to float64: after n steps the
    whole number can be off by one where x passes T within about n·1e-16 of it. ``t_min_closed`` is
    the instant bound.

    Args:
        rho: ρ_0 (not squared).
        low: ℓ, a lower bound on g̃ up to the jump.
        high: L, an upper bound on g̃ up to the jump.
        eta: learning rate η.
        lam: weight decay λ.
        delta: cosine distance δ.
        form: exact or printed.

    Returns:
        steps, float64, broadcast shape.

    Raises:
        PremiseError: printed, unless 0 < 2ηλ < 1/2, ρ_0² > κℓ and δ < ηλL²/ℓ² (κ printed); exact,
            unless ηλ(2 − ηλ) < 1/2, a δ-jump is possible at all (ρ_0² or κℓ below T(L)) and comes
            within 10⁸ steps.
    """
    case = case_of(rho, low, high, eta, lam, delta, form)
    if printed(form):
        return printed_early(case)
    least = closed_early(case)
    require_feasible(least)
    return falls(case, case.low, threshold(case, case.high))[0]


def t_min_closed(
    rho: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    delta: ArrayLike,
) -> Array:
    """A lower bound on ``t_min`` in closed form, from the nearly linear recursion of ρ⁴.

    log((ρ_0⁴ − κ²ℓ²)/(T² − κ²ℓ²)) / −log((1 − ηλ)⁴ − αη²ℓ²/T²) with T = T(L); 0 where ρ_0² ≤ T.
    With that first logarithm called R it is too early by less than 1 + R/4 steps for small ηλ, and
    less than 1 + 3R/4 always. Arguments and premises as in ``t_min``.
    """
    return closed_early(case_of(rho, low, high, eta, lam, delta, "exact"))


def t_max(
    rho: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    delta: ArrayLike,
    form: Form = "exact",
) -> Array:
    """The t by which a δ-jump has certainly happened.

    Printed: Eq. (6), a real number. Exact: a whole number, the first jump of the run that takes at
    each step the largest g̃ ∈ [ℓ, L] that is no δ-jump; every run jumps at that t or before.
    Accuracy and limit as in ``t_min``, for either part of the way; close to δ = ηλ the rounding of
    the product ηλ weighs 1/(1 − δ/ηλ) times more. ``t_max_closed`` allows for it.

    Args:
        rho: ρ_0 (not squared).
        low: ℓ, a lower bound on g̃ up to the jump.
        high: L, an upper bound on g̃ up to the jump.
        eta: learning rate η.
        lam: weight decay λ.
        delta: cosine distance δ.
        form: exact or printed.

    Returns:
        steps, float64, broadcast shape.

    Raises:
        PremiseError: printed, unless 0 < 2ηλ < 1/2, ρ_0² > κL and δ < ηλℓ²/L² (κ printed); exact,
            unless ηλ(2 − ηλ) < 1/2, ρ_0² < T(ℓ) or ℓ > 0 and δ < ηλ, and it comes within 10⁸
            steps.
    """
    case = case_of(rho, low, high, eta, lam, delta, form)
    if printed(form):
        return printed_late(case)
    require_unavoidable(case)
    require_feasible(time_above(case))
    steps, x = falls(case, case.high, threshold(case, case.high))
    rest = shrinking_steps(case, x)
    require_feasible(rest)
    return steps + rest


def t_max_closed(
    rho: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    delta: ArrayLike,
) -> Array:
    """An upper bound on ``t_max`` in closed form; arguments and premises as there.

    First the recursion of ρ⁴ with g̃ = L down to T(L), then ρ² shrinks by (1 − ηλ)²/(1 − δ)² per
    step, the most that a step without a jump leaves, down to T(ℓ).
    """
    case = case_of(rho, low, high, eta, lam, delta, "exact")
    require_unavoidable(case)
    end = threshold(case, case.high)
    first = np.floor(time_above(case) * (1 + ROUNDING)) + 1
    ratio = np.log1p((case.high - case.low) / np.where(case.low > 0, case.low, 1))
    waits = case.x >= end
    slowest = shrinkage(case) - PRODUCT * case.q
    second = np.ceil(ratio / np.where(waits, slowest, 1) * (1 + ROUNDING))
    return np.where(waits, first + second, shrinking_steps(case, case.x))


def time_at_product(
    time: ArrayLike, product: ArrayLike, new_product: ArrayLike, form: Form = "exact"
) -> Array:
    """Corollary 1: what becomes of a waiting time when ηλ changes from one product to another.

    Printed: inversely proportional, time·ηλ/(ηλ)'. Exact: time·log(1 − 2α)/log(1 − 2α').

    The exact form is *not* the law of t_min or t_max, which have none so simple: it is exact for a
    bound, the time in which ρ⁴ − κ²g̃² ~ (1 − 2α)^t (Lemma 1) falls by a given factor. Do not feed
    it a t_min to predict another; call ``t_min`` again. Both forms keep ρ_0²/κ and T/κ, that is
    δ/ηλ, which change with ηλ unless all else is scaled along; with ρ_0, η and δ fixed all that is
    left of Corollary 1 for the exact t_min and t_max is that they cannot grow with λ.

    Raises:
        PremiseError: unless time ≥ 0 and both products lie in 0 < ηλ(2 − ηλ) < 1/2.
    """
    time, old, new = numbers(time, product, new_product)
    require(time >= 0, "time ≥ 0", {"time": time})
    for q in (old, new):
        decay_product(np.ones_like(q), q)
        require_alpha(q * (2 - q))
    if printed(form):
        return time * old / new
    return np.asarray(time * np.log1p(-2 * old * (2 - old)) / np.log1p(-2 * new * (2 - new)))
