"""δ-jumps: steps that turn the weights by more than a cosine distance δ (Definition 1, Prop. 1).

Legend: ρ norm, η learning rate, λ weight decay, g̃ effective gradient norm, ℓ ≤ g̃ ≤ L (``low``,
``high``), δ cosine distance, T(g̃) the threshold of ρ² below which a step is a δ-jump.
"""

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
    require_bounds,
    require_delta,
    require_gradient,
    require_positive,
    step_product,
)
from limitcycle.theory.step import cosine_distance, distance_of, effective_step


def measured_distance(x: ArrayLike, y: ArrayLike) -> Array:
    """1 − cos(x, y) over the last axis (Definition 1), from the chord: small angles keep digits.

    Raises:
        PremiseError: where a vector is zero or not finite.
    """
    x, y = numbers(x, y)
    chord = _direction("‖x_t‖", x) - _direction("‖x_{t+1}‖", y)
    return np.asarray(np.sum(chord**2, axis=-1) / 2)


def _direction(name: str, x: Array) -> Array:
    """x/‖x‖; divided by its largest component first, so that no square over- or underflows."""
    size = np.max(np.abs(np.atleast_1d(x)), axis=-1, keepdims=True, initial=0)
    require_positive(name, size)
    scaled = x / size
    return np.asarray(scaled / np.linalg.norm(scaled, axis=-1, keepdims=True))


def is_jump(x: ArrayLike, y: ArrayLike, delta: ArrayLike) -> np.ndarray:
    """Definition 1: whether the step from x to y (last axis: components) is a δ-jump.

    >>> from limitcycle.theory import is_jump
    >>> bool(is_jump([1.0, 0.0], [0.0, 2.0], delta=0.5))  # a right angle: 1 − cos = 1
    True

    Raises:
        PremiseError: unless δ > 0, or where a vector is zero or not finite.
    """
    delta = np.asarray(delta, dtype=np.float64)
    require(delta > 0, "δ > 0", {"δ": delta})
    return np.asarray(measured_distance(x, y) > delta)


def jump_threshold(
    effective_gradient: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    delta: ArrayLike,
    form: Form = "exact",
) -> Array:
    """T(g̃), the value of ρ² below which a step with this g̃ is a δ-jump (Eq. 9).

    Exact: η·g̃(1 − δ)/((1 − ηλ)√(δ(2 − δ))), necessary and sufficient, from Eq. (8). Printed:
    η·g̃/((1 − ηλ)√(2δ)), which is larger: necessary, never quite sufficient.

    Args:
        effective_gradient: g̃ ≥ 0 at this step.
        eta: learning rate η.
        lam: weight decay λ; 0 ≤ ηλ < 1.
        delta: cosine distance, 0 < δ < 1.
        form: exact or printed.

    Returns:
        T in units of ρ², broadcast shape.

    Raises:
        PremiseError: outside the ranges above.
    """
    g, eta, lam, delta = numbers(effective_gradient, eta, lam, delta)
    q = step_product(eta, lam)
    require_gradient("g̃", g)
    require_delta(delta)
    if printed(form):
        return np.asarray(eta * g / ((1 - q) * np.sqrt(2 * delta)))
    return np.asarray(eta * g * (1 - delta) / ((1 - q) * np.sqrt(delta * (2 - delta))))


def possible_jump_threshold(
    high: ArrayLike, eta: ArrayLike, lam: ArrayLike, delta: ArrayLike, form: Form = "exact"
) -> Array:
    """Eq. (4a): a δ-jump is possible when ρ² lies below this; exact: T(L), and only then.

    Printed: ηL/√(2δ). It is too large (claims too much) for δ above ``crossover_delta`` and below
    it too small, i.e. not necessary. Arguments and premises as in ``jump_threshold``.
    """
    return _without_shrinkage(high, eta, lam, delta, form)


def guaranteed_jump_threshold(
    low: ArrayLike, eta: ArrayLike, lam: ArrayLike, delta: ArrayLike, form: Form = "exact"
) -> Array:
    """Eq. (4b): a δ-jump is certain when ρ² lies below this; exact: T(ℓ), and only then.

    Printed: ηℓ/√(2δ). It is too large (guarantees what need not happen) for δ above
    ``crossover_delta``. Arguments and premises as in ``jump_threshold``.
    """
    return _without_shrinkage(low, eta, lam, delta, form)


def _without_shrinkage(
    g: ArrayLike, eta: ArrayLike, lam: ArrayLike, delta: ArrayLike, form: Form
) -> Array:
    exact = jump_threshold(g, eta, lam, delta)
    if not printed(form):
        return exact
    g, eta, lam, delta = numbers(g, eta, lam, delta)
    return np.asarray(eta * g / np.sqrt(2 * delta))


def crossover_delta(eta: ArrayLike, lam: ArrayLike) -> Array:
    """The δ at which the printed and the exact thresholds of Proposition 1 agree, ≈ 4ηλ/3.

    The root below 1 of (1 − ηλ)²(1 − δ/2) = (1 − δ)². Above it (4a) and (4b) claim too much, below
    it (4a) is not necessary.

    Raises:
        PremiseError: unless η > 0 and 0 ≤ ηλ < 1.
    """
    q = step_product(*numbers(eta, lam))
    a = q * (2 - q)
    b = (3 + a) / 2  # (2 − (1 − ηλ)²/2) with (1 − ηλ)² = 1 − a
    return np.asarray(2 * a / (b + np.sqrt(b**2 - 4 * a)))


def distance_bounds(
    rho: ArrayLike,
    low: ArrayLike,
    high: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    form: Form = "exact",
) -> Interval:
    """δ_min and δ_max, between which the cosine distance of this step lies (Section 4.1).

    Printed: η²ℓ²/(2ρ⁴) and η²L²/(2ρ⁴), which are not bounds: the upper one is too small where it
    is below about 4ηλ/3, the lower one too large above. Exact: Eq. (8) at g̃ = ℓ and g̃ = L.

    Raises:
        PremiseError: unless ρ > 0, 0 ≤ ℓ ≤ L and 0 ≤ ηλ < 1.
    """
    rho, low, high, eta, lam = numbers(rho, low, high, eta, lam)
    require_bounds(low, high)
    exact = Interval(*(cosine_distance(rho, g, eta, lam) for g in (low, high)))
    if not printed(form):
        return exact
    with np.errstate(over="ignore"):
        return Interval(*(effective_step(rho, g, eta) ** 2 / 2 for g in (low, high)))


def largest_possible_delta(
    low: ArrayLike, high: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact"
) -> Array:
    """The δ below which a δ-jump is possible after any decay of the norm (premise of Eq. 5).

    Printed: ηλ·L²/ℓ², infinite for ℓ = 0. Exact: 1 − 1/√(1 + αL²/((1 − ηλ)ℓ)²), equal for ℓ = L
    and smaller otherwise; it says κℓ < T(L). Requires 0 ≤ ℓ ≤ L, L > 0 and 0 < ηλ < 1.
    """
    low, high, eta, lam = numbers(low, high, eta, lam)
    q = decay_product(eta, lam)
    require_bounds(low, high)
    require_positive("L", high)
    with np.errstate(divide="ignore"):
        ratio = high / low
    if printed(form):
        return q * ratio**2
    steep = np.isinf(ratio)
    tangent = np.sqrt(q * (2 - q)) / (1 - q) * np.where(steep, 1, ratio)
    return np.where(steep, 1.0, distance_of(tangent))


def largest_unavoidable_delta(
    low: ArrayLike, high: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact"
) -> Array:
    """The δ below which a δ-jump cannot be avoided for ever (premise of Eq. 6).

    Printed: ηλ·ℓ²/L². Exact: ηλ, whatever L; from δ = ηλ on the norm can rest at κ·g̃ for ever.
    Requires 0 < ℓ ≤ L (with ℓ = 0 the gradient may vanish along with the norm) and 0 < ηλ < 1.
    """
    low, high, eta, lam = numbers(low, high, eta, lam)
    q = decay_product(eta, lam)
    require_bounds(low, high)
    require_positive("ℓ", low)
    return q * (low / high) ** 2 if printed(form) else np.array(q)
