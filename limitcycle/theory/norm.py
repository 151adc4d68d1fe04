"""How SGD with weight decay moves the norm of scale-invariant weights (Eqs. 3, 15, 16).

Legend: ρ norm, η learning rate, λ weight decay, g gradient norm, g̃ = ρ·g effective gradient norm,
α and κ of Section 4: x_t = ρ_t² follows x' = (1 − α)x + η²g̃²/x and rests at κ·g̃.
"""

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import (
    Array,
    Form,
    decay_product,
    numbers,
    printed,
    require,
    require_gradient,
    require_positive,
    require_setting,
    series,
    step_product,
)


def next_squared_norm(
    rho: ArrayLike,
    gradient_norm: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    radial: ArrayLike = 0.0,
) -> Array:
    """ρ²_{t+1} after x_{t+1} = (1 − ηλ)x_t − η∇f(x_t), Eq. (3) with the radial term kept.

    The paper's form is ``radial=0``, exact for an exactly scale-invariant function (Eq. 2a). A
    normalisation with eps > 0 leaks a little: then ⟨x, ∇f⟩ ≠ 0 and enters as −2(1 − ηλ)η⟨x, ∇f⟩
    (A.2 prints it with a plus).

    Args:
        rho: norm ρ_t, any shape that broadcasts with the rest.
        gradient_norm: g_t = ‖∇f(x_t)‖ with respect to the same weights.
        eta: learning rate η.
        lam: weight decay λ.
        radial: ⟨x_t, ∇f(x_t)⟩.

    Returns:
        ρ²_{t+1}, float64, broadcast shape.

    Raises:
        PremiseError: unless ρ > 0, g ≥ 0, 0 ≤ ηλ < 1 and ⟨x, ∇f⟩ is finite; rows of a measured run
            that hold NaN are the caller's to leave out.
    """
    rho, g, eta, lam, radial = numbers(rho, gradient_norm, eta, lam, radial)
    shrink = 1 - step_product(eta, lam)
    require_positive("ρ", rho)
    require_gradient("g", g)
    require(np.isfinite(radial), "⟨x, ∇f⟩ is finite", {"⟨x, ∇f⟩": radial})
    return shrink**2 * rho**2 - 2 * shrink * eta * radial + (eta * g) ** 2


def squared_norms(
    rho: ArrayLike, effective_gradients: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Array:
    """ρ_t² for t = 0 … T by Eq. (3), from the start ρ_0 and the series of g̃_t.

    Args:
        rho: ρ_0, any shape S.
        effective_gradients: g̃_t, shape (T,) + S' where S' broadcasts with S.
        eta: learning rate η.
        lam: weight decay λ.

    Returns:
        shape (T + 1,) + broadcast shape.

    Raises:
        PremiseError: unless ρ_0 > 0, g̃ ≥ 0, 0 ≤ ηλ < 1 and g̃ is a series.
    """
    g = series("g̃", effective_gradients)
    require_gradient("g̃", g)
    rho, eta, lam, _ = numbers(rho, eta, lam, np.zeros(g.shape[1:]))
    q = step_product(eta, lam)
    require_positive("ρ₀", rho)
    x = np.empty((len(g) + 1, *rho.shape))
    x[0] = rho**2
    for t in range(len(g)):
        x[t + 1] = (1 - q) ** 2 * x[t] + (eta * g[t]) ** 2 / x[t]
    return x


def alpha(eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """α of recursion (3): printed (A.5) 2ηλ, exact ηλ(2 − ηλ). Requires 0 < ηλ < 1."""
    q = decay_product(*numbers(eta, lam))
    return 2 * q if printed(form) else q * (2 - q)


def kappa(eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """κ, so that a constant g̃ holds ρ² at κ·g̃: printed √(η/(2λ)), exact η/√(ηλ(2 − ηλ)).

    Requires η > 0 and 0 < ηλ < 1.
    """
    eta, lam = numbers(eta, lam)
    q = decay_product(eta, lam)
    return np.sqrt(eta / (2 * lam)) if printed(form) else eta / np.sqrt(q * (2 - q))


def free_decay(rho: ArrayLike, t: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """(1 − ηλ)^t·ρ_0, below which no norm is after t steps: what weight decay alone leaves.

    It follows from Eq. (3), whose gradient term is not negative; a vanishing gradient attains it.

    Args:
        rho: norm ρ_0 > 0.
        t: steps ≥ 0.
        eta: learning rate η.
        lam: weight decay λ; 0 ≤ ηλ < 1.

    Raises:
        PremiseError: outside these ranges.
    """
    rho, t, eta, lam = numbers(rho, t, eta, lam)
    q = step_product(eta, lam)
    require_positive("ρ", rho)
    require_gradient("t", t)
    return np.asarray(rho * (1 - q) ** t)


def growth_threshold(eta: ArrayLike, lam: ArrayLike) -> Array:
    """The value of η̃·g̃ = η·g/ρ above which a step makes the norm grow: √(ηλ(2 − ηλ)).

    It follows from Eq. (3): ρ²_{t+1} > ρ²_t exactly when (η·g/ρ)² > 1 − (1 − ηλ)². In the phase
    diagram it is a straight line of slope −1. Here η̃ = η/ρ², as on the paper's axes, not the exact
    ``effective_lr``; for that one, η/((1 − ηλ)ρ²), divide the threshold by 1 − ηλ.

    >>> from limitcycle.theory import growth_threshold
    >>> round(float(growth_threshold(eta=0.1, lam=0.05)), 4)
    0.0999

    Raises:
        PremiseError: unless η > 0, λ ≥ 0 and ηλ ≤ 2.
    """
    eta, lam = numbers(eta, lam)
    require_setting(eta, lam)
    q = eta * lam
    require((q >= 0) & (q <= 2), "0 ≤ ηλ ≤ 2", {"ηλ": q})
    return np.sqrt(q * (2 - q))


def norm_grows(cosine_distance: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> np.ndarray:
    """Whether the step raises the norm: exactly when 1 − cos(x_t, x_{t+1}) > ηλ (Eqs. 3 and 8).

    >>> from limitcycle.theory import norm_grows
    >>> norm_grows([0.004, 0.006], eta=0.1, lam=0.05).tolist()
    [False, True]

    Boolean, broadcast shape.

    Raises:
        PremiseError: unless 0 ≤ 1 − cos ≤ 2 and 0 ≤ ηλ < 1.
    """
    distance, eta, lam = numbers(cosine_distance, eta, lam)
    require((distance >= 0) & (distance <= 2), "0 ≤ 1 − cos ≤ 2", {"1 − cos": distance})
    return np.asarray(distance > step_product(eta, lam))


def equilibrium_angle(eta: ArrayLike, lam: ArrayLike) -> Array:
    """The rotation per step, in radians, at which the norm stands still: arccos(1 − ηλ).

    It is about √(2ηλ). Requires 0 ≤ ηλ < 1.

    >>> from limitcycle.theory import equilibrium_angle
    >>> round(float(equilibrium_angle(eta=0.1, lam=0.05)), 3)
    0.1
    """
    return np.asarray(2 * np.arcsin(np.sqrt(step_product(*numbers(eta, lam)) / 2)))


def mean_log_cosine(
    rho_start: ArrayLike, rho_end: ArrayLike, steps: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Array:
    """The mean of −log cos(x_t, x_{t+1}) over a stretch, from its ends alone.

    Each step has cos = (1 − ηλ)ρ_t/ρ_{t+1}, so the mean is −log(1 − ηλ) + log(ρ_end/ρ_start)/steps;
    over a closed stretch (same norm at both ends) just −log(1 − ηλ). Shapes broadcast.

    Raises:
        PremiseError: unless both norms and steps are positive and 0 ≤ ηλ < 1.
    """
    start, end, steps, eta, lam = numbers(rho_start, rho_end, steps, eta, lam)
    q = step_product(eta, lam)
    for name, value in (("ρ at the start", start), ("ρ at the end", end), ("steps", steps)):
        require_positive(name, value)
    return np.asarray(np.log(end / start) / steps - np.log1p(-q))


def unrolled_squared_norm(
    rho: ArrayLike, gradients: ArrayLike, eta: ArrayLike, lam: ArrayLike
) -> Array:
    """ρ_t² as the explicit sum of Eq. (15), exact as printed.

    Args:
        rho: ρ_0, any shape S.
        gradients: g_0 … g_{t−1}, gradient norms at the actual weights (not g̃), shape (t,) + S'
            where S' broadcasts with S.
        eta: learning rate η.
        lam: weight decay λ.

    Raises:
        PremiseError: unless ρ_0 > 0, g ≥ 0, 0 ≤ ηλ < 1 and g is a series.
    """
    g = series("g", gradients)
    require_gradient("g", g)
    rho, eta, lam, _ = numbers(rho, eta, lam, np.zeros(g.shape[1:]))
    s, t = 1 - step_product(eta, lam), len(g)
    require_positive("ρ₀", rho)
    total = np.zeros(rho.shape)
    for past in range(t):
        total = total + s ** (2 * (t - past - 1)) * g[past] ** 2
    return np.asarray(s ** (2 * t) * rho**2 + eta**2 * total)


def mean_squared_gradient(gradients: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """ḡ_t² of Eq. (16) for t = 1 … T: the mean of g² with weights (1 − ηλ)^(2·age).

    Args:
        gradients: g_0 … g_{T−1}, shape (T, …), T ≥ 1.
        eta: learning rate η.
        lam: weight decay λ; 0 < ηλ < 1.

    Returns:
        ḡ_1² … ḡ_T², the shape of ``gradients``.

    Raises:
        PremiseError: unless g is a series with T ≥ 1, g ≥ 0 and 0 < ηλ < 1.
    """
    g = series("g", gradients)
    require(len(g) >= 1, "T ≥ 1", {"T": len(g)})
    require_gradient("g", g)
    s = 1 - decay_product(*numbers(eta, lam))
    total, weight = np.zeros(g.shape[1:]), np.zeros(s.shape)
    means = []
    for row in g:
        total, weight = s**2 * total + row**2, s**2 * weight + 1
        means.append(total / weight)
    return np.array(means)


def mean_weight(t: ArrayLike, eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """The factor of ḡ_t² in Eq. (16).

    Printed: η²(1 − (1 − ηλ)²)/(1 − (1 − ηλ)^{2t}), upside down. Exact: the sum of the weights of
    (15), η²(1 − (1 − ηλ)^{2t})/(1 − (1 − ηλ)²). Requires t ≥ 1 and 0 < ηλ < 1.
    """
    t, eta, lam = numbers(t, eta, lam)
    q = decay_product(eta, lam)
    require(t >= 1, "t ≥ 1", {"t": t})
    one, many = q * (2 - q), -np.expm1(2 * t * np.log1p(-q))
    return eta**2 * (one / many if printed(form) else many / one)


def mean_weight_limit(eta: ArrayLike, lam: ArrayLike, form: Form = "exact") -> Array:
    """C of Eq. (16), the limit of ``mean_weight``: printed 2η³λ, exact η/(λ(2 − ηλ)).

    Requires η > 0 and 0 < ηλ < 1.
    """
    eta, lam = numbers(eta, lam)
    q = decay_product(eta, lam)
    return 2 * eta**3 * lam if printed(form) else eta / (lam * (2 - q))


def squared_norm_from_mean(
    rho: ArrayLike,
    mean_square: ArrayLike,
    t: ArrayLike,
    eta: ArrayLike,
    lam: ArrayLike,
    form: Form = "exact",
) -> Array:
    """ρ_t² from ρ_0 and ḡ_t², Eq. (16); the two forms differ in ``mean_weight``.

    Shapes broadcast.

    Raises:
        PremiseError: unless ρ_0 > 0, ḡ² ≥ 0, t ≥ 1 and 0 < ηλ < 1.
    """
    rho, mean, t, eta, lam = numbers(rho, mean_square, t, eta, lam)
    require_positive("ρ₀", rho)
    require_gradient("ḡ²", mean)
    weight = mean_weight(t, eta, lam, form)
    return (1 - eta * lam) ** (2 * t) * rho**2 + weight * mean
