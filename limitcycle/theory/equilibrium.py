"""Where norm and rotation settle under the usual optimizers: equilibrium in the mean.

Derivation, for successive gradients that are orthogonal in the mean (to the weights exactly, to
each other nearly): a gradient adds to ρ², over all the steps in which momentum carries it, the
square of its whole contribution; weight decay takes a fixed share of ρ² a step. Where both are
equal the norm rests, and each step turns the weights by the length of its update over the norm.
Kosson, Messmer, Jaggi (2023), "Rotational Equilibrium", Table 1. Without momentum it is the resting
point κ·g̃ of Eq. (3), given exactly; all else holds to first order in ηλ.

Legend: η learning rate, λ weight decay, μ momentum, β₁ of Adam, g̃ effective gradient norm, C number
of entries of the weights.
"""

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.norm import equilibrium_angle, kappa
from limitcycle.theory.premises import Array, decay_product, numbers, require


def sgd_equilibrium_norm(
    effective_gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike, mu: ArrayLike = 0.0
) -> Array:
    """ρ at which the norm rests under SGD: ρ⁴ = η·g̃² / (2λ(1 − μ)); for μ = 0 exactly √(κg̃).

    Args:
        effective_gradient: g̃, any shape; with noise the root of its mean square.
        eta, lam, mu: learning rate, weight decay, heavy-ball or Nesterov momentum (PyTorch's).

    Raises:
        PremiseError: unless 0 < ηλ < 1 and 0 ≤ μ < 1.
    """
    g, eta, lam, mu = numbers(effective_gradient, eta, lam, mu)
    _require_momentum(mu)
    return np.sqrt(g * kappa(eta, lam) / np.sqrt(1 - mu))


def sgd_equilibrium_rotation(
    eta: ArrayLike, lam: ArrayLike, mu: ArrayLike = 0.0, *, nesterov: bool = False
) -> Array:
    """Angle in radians between x_t and x_{t+1} while the norm rests under SGD.

    Without momentum arccos(1 − ηλ), exactly; with heavy-ball momentum √(2ηλ/(1 + μ)); Nesterov's
    step u = g + μv has the variance (1 + μ)² + μ⁴/(1 − μ²) of g, hence √(2ηλ(1 − μ)·that).

    Args:
        eta, lam, mu: as in `sgd_equilibrium_norm`; any shapes that broadcast.
        nesterov: whether the step looks ahead.

    Raises:
        PremiseError: unless 0 < ηλ < 1 and 0 ≤ μ < 1.
    """
    eta, lam, mu = numbers(eta, lam, mu)
    q = decay_product(eta, lam)
    _require_momentum(mu)
    variance = (1 + mu) ** 2 + mu**4 / (1 - mu**2) if nesterov else 1 / (1 - mu**2)
    return np.where(mu == 0, equilibrium_angle(eta, lam), np.sqrt(2 * q * (1 - mu) * variance))


def sgdw_equilibrium_norm(
    effective_gradient: ArrayLike, eta: ArrayLike, lam: ArrayLike, mu: ArrayLike = 0.0
) -> Array:
    """ρ at which the norm rests under SGD with decoupled decay: ρ⁴ = η·g̃² / (2λ(1 − μ)²).

    A gradient contributes η/(1 − μ) over all its steps, and the weights shrink by ηλ, whatever μ.

    Args:
        effective_gradient: g̃, any shape; with noise the root of its mean square.
        eta, lam, mu: learning rate, decoupled weight decay, momentum.

    Raises:
        PremiseError: unless 0 < ηλ < 1 and 0 ≤ μ < 1.
    """
    mu = numbers(mu)[0]
    return sgd_equilibrium_norm(effective_gradient, eta, lam, mu) / np.sqrt(np.sqrt(1 - mu))


def adamw_equilibrium_norm(entries: ArrayLike, eta: ArrayLike, lam: ArrayLike) -> Array:
    """ρ at which the norm rests under AdamW: ρ² = η·C/(2λ), whatever the gradient.

    Args:
        entries: C, number of weights.
        eta, lam: learning rate, decoupled weight decay (the weights shrink by 1 − ηλ a step).

    Raises:
        PremiseError: unless 0 < ηλ < 1.
    """
    entries, eta, lam = numbers(entries, eta, lam)
    decay_product(eta, lam)
    return np.sqrt(eta * entries / (2 * lam))


def adamw_equilibrium_rotation(eta: ArrayLike, lam: ArrayLike, beta: ArrayLike) -> Array:
    """Angle in radians a step while the norm rests under AdamW: √(2ηλ(1 − β₁)/(1 + β₁)).

    Args:
        eta, lam: as in `adamw_equilibrium_norm`.
        beta: β₁, of the gradient's running mean.

    Raises:
        PremiseError: unless 0 < ηλ < 1 and 0 ≤ β₁ < 1.
    """
    eta, lam, beta = numbers(eta, lam, beta)
    q = decay_product(eta, lam)
    require((beta >= 0) & (beta < 1), "0 ≤ β₁ < 1", {"β₁": beta})
    return np.sqrt(2 * q * (1 - beta) / (1 + beta))


def _require_momentum(mu: Array) -> None:
    require((mu >= 0) & (mu < 1), "0 ≤ μ < 1", {"μ": mu})
