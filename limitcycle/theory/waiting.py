"""The working parts of Proposition 2: the arguments checked, printed and closed forms, iteration.

Legend: x = ρ², η learning rate, λ weight decay, q = ηλ, ℓ ≤ g̃ ≤ L (``low``, ``high``) bounds on
the effective gradient norm, δ cosine distance, α and κ as in ``norm``, T(g̃) the threshold of x
below which a step is a δ-jump.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.jumps import jump_threshold
from limitcycle.theory.norm import alpha as alpha_of
from limitcycle.theory.norm import kappa as kappa_of
from limitcycle.theory.premises import (
    Array,
    Form,
    PremiseError,
    decay_product,
    numbers,
    printed,
    require,
    require_bounds,
    require_delta,
    require_positive,
)
from limitcycle.theory.sequences import require_alpha, square_rate

MOST_STEPS = 1e8  # of one element that are iterated one by one, about half a minute
NEGLIGIBLE = 1e-100  # a stationary point that many times smaller is as good as zero
FAR = 1e17  # times the stationary point: from there on the gradient adds less than rounding
PRODUCT = 4 * np.finfo(float).eps  # of ηλ: what its rounding can add to twice ηλ − δ
ROUNDING = 1e-12  # a closed bound is widened by this much before it becomes a whole number


@dataclass(frozen=True)
class Case:
    """The arguments of Proposition 2 as arrays of one shape, checked."""

    x: Array
    low: Array
    high: Array
    eta: Array
    lam: Array
    delta: Array
    q: Array


def case_of(
    rho: ArrayLike, low: ArrayLike, high: ArrayLike, eta: ArrayLike, lam: ArrayLike,
    delta: ArrayLike, form: Form,
) -> Case:  # fmt: skip
    """The arguments, after the premises that all of Proposition 2 shares."""
    rho, low, high, eta, lam, delta = numbers(rho, low, high, eta, lam, delta)
    q = decay_product(eta, lam)
    require_alpha(alpha_of(eta, lam, form), "2ηλ" if printed(form) else "ηλ(2 − ηλ)")
    require_positive("ρ₀", rho)
    require_bounds(low, high)
    require_positive("L", high)
    require_delta(delta)
    with np.errstate(over="ignore"):
        x = np.asarray(rho**2)
    require_positive("ρ₀²", x)
    return Case(x, low, high, eta, lam, delta, q)


def printed_early(case: Case) -> Array:
    """Eq. (5)."""
    rest = kappa_of(case.eta, case.lam, "printed") * case.low
    end = case.eta * case.high / np.sqrt(2 * case.delta)
    require(case.x > rest, "ρ₀² > κℓ", {"ρ₀²": case.x, "κℓ": rest})
    small = (case.delta * case.low**2 < case.q * case.high**2) & (rest < end)
    shown = {"δ": case.delta, "ηλ": case.q, "ℓ": case.low, "L": case.high}
    require(small, "δ < ηλL²/ℓ²", shown)
    time = (np.log(case.x - rest) - np.log(end - rest)) / -np.log(1 - 4 * case.q)
    return np.maximum(0, time)


def printed_late(case: Case) -> Array:
    """Eq. (6)."""
    rest = kappa_of(case.eta, case.lam, "printed") * case.high
    end = case.eta * case.low / np.sqrt(2 * case.delta)
    require(case.x > rest, "ρ₀² > κL", {"ρ₀²": case.x, "κL": rest})
    small = (case.delta * case.high**2 < case.q * case.low**2) & (rest < end)
    shown = {"δ": case.delta, "ηλ": case.q, "ℓ": case.low, "L": case.high}
    require(small, "δ < ηλℓ²/L²", shown)
    time = (np.log(case.x - rest) - np.log(end - rest)) / -np.log(1 - 2 * case.q)
    return np.maximum(0, time)


def threshold(case: Case, g: Array) -> Array:
    """T(g̃), exact."""
    return jump_threshold(g, case.eta, case.lam, case.delta)


def shrinkage(case: Case) -> Array:
    """−log of (1 − ηλ)²/(1 − δ)², the least loss of log ρ² in a step that is no δ-jump."""
    return np.asarray(2 * np.log1p((case.q - case.delta) / (1 - case.q)))


def shrinking_steps(case: Case, x: Array) -> Array:
    """Steps from x < T(L) to below T(ℓ) where each shrinks x as little as it can."""
    end = threshold(case, case.low)
    waits = x >= end
    logs = np.log(np.where(waits, x, 1)) - np.log(np.where(waits, end, 1))
    return np.where(waits, np.floor(logs / np.where(waits, shrinkage(case), 1)) + 1, 0.0)


def require_unavoidable(case: Case) -> None:
    """A certain jump needs ρ_0² < T(ℓ), or ℓ > 0 and δ < ηλ."""
    now = case.x < threshold(case, case.low)
    require(now | (case.low > 0), "ℓ > 0", {"ℓ": case.low})
    rest = kappa_of(case.eta, case.lam) * case.high
    # T(L) > κL says δ < ηλ again. Nearer to the edge than rounding there is no number to be had.
    small = (case.delta < case.q * (1 - 1e-13)) & (rest < threshold(case, case.high))
    require(now | small, "δ < ηλ", {"δ": case.delta, "ηλ": case.q})


def closed_early(case: Case) -> Array:
    """A lower bound on the time in which the sequence with g̃ = ℓ falls to T(L)."""
    end = threshold(case, case.high)
    rest = kappa_of(case.eta, case.lam) * case.low
    premise = "ρ₀² < T(L) or κℓ < T(L) (a δ-jump is possible)"
    shown = {"ρ₀²": case.x, "κℓ": rest, "T(L)": end, "δ": case.delta}
    require((case.x < end) | (rest * (1 + 1e-15) < end), premise, shown)
    beta = (case.eta * case.low) ** 2
    rate = square_rate(case.q * (2 - case.q), beta, end)
    time = _log_ratio(case.x, end, rest) / rate * (1 - ROUNDING)
    return np.where(case.x > end, time, 0.0)


def time_above(case: Case) -> Array:
    """An upper bound on the time in which the sequence with g̃ = L falls to T(L)."""
    end = threshold(case, case.high)
    rest = kappa_of(case.eta, case.lam) * case.high
    rate = square_rate(case.q * (2 - case.q), (case.eta * case.high) ** 2, case.x)
    return np.where(case.x > end, _log_ratio(case.x, end, rest) / rate, 0.0)


def _log_ratio(x: Array, end: Array, rest: Array) -> Array:
    """log((x² − rest²)/(end² − rest²)), differences as in ``_fall``; 0 at x ≤ end."""
    wanted, free = x > end, rest < NEGLIGIBLE * end
    at, unit = (np.where(wanted & ~free, value, one) for value, one in ((x, 2.0), (rest, 1.0)))
    settling = _log_gap(at, unit) - _log_gap(np.where(wanted & ~free, end, 2.0), unit)
    shrinking = 2 * (np.log(np.where(wanted, x, 1)) - np.log(np.where(wanted, end, 1)))
    return np.maximum(0, np.where(free, shrinking, settling))


def _log_gap(value: Array, rest: Array) -> Array:
    """log((value/rest)² − 1), also where that quotient leaves the range of float64."""
    with np.errstate(over="ignore"):
        z = value / rest - 1
    far = z > FAR
    near = np.where(far, 1, z)
    return np.where(far, 2 * (np.log(value) - np.log(rest)), np.log(near) + np.log(near + 2))


def require_feasible(steps: Array) -> None:
    """Refuse what would take minutes; the closed forms answer at once."""
    require(steps < MOST_STEPS, "fewer than 10⁸ steps to iterate", {"steps": steps})


def falls(case: Case, g: Array, end: Array) -> tuple[Array, Array]:
    """Steps until the sequence with constant g̃ is below ``end``, and where it then is."""
    run = np.vectorize(_fall, otypes=[float, float])
    rest = kappa_of(case.eta, case.lam) * g
    steps, last = run(case.x, case.q * (2 - case.q), rest, end)
    return np.asarray(steps), np.asarray(last)


def _fall(x: float, alpha: float, rest: float, end: float) -> tuple[float, float]:
    """Iterate the distance z = x/x* − 1 to the stationary point, by the exact factor of Eq. (14).

    Each step then rounds relative to z, not to x*, however near to x* the sequence comes.
    """
    x, alpha, rest, end = float(x), float(alpha), float(rest), float(end)
    steps = 0
    while x >= max(end, FAR * rest):
        x, steps = x * (1 - alpha), steps + 1
    if x < end:
        return float(steps), x
    z, last = x / rest - 1, end / rest - 1
    if last <= 0:
        raise PremiseError(f"premise κ·g̃ < T fails: κ·g̃ = {rest!r}, T = {end!r}")
    while z >= last:
        z, steps = z * (1 - alpha - alpha / (1 + z)), steps + 1
    return float(steps), rest * (1 + z)
