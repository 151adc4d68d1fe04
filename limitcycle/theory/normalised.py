"""Where weights settle whose update is normalised after gradients were averaged: Lion and Muon.

Adam divides each gradient by its size and averages then: the update is linear in its gradients, and
old ones shorten it. Lion takes the sign of an average, Muon makes an average orthogonal: every
update is as long as the other, but neighbours point nearly the same way. With updates of length ηU
and correlations c_k between those k steps apart, weights that shrink by δ = ηλ a step and random
gradients across them rest at

    ρ² = η²U²·K/(2δ),   a turn of ηU/ρ = √(2δ/K) a step,   K = 1 + 2·Σ_{k ≥ 1} c_k,

to first order in δ and for δ ≪ 1 − β (an update is forgotten long before the weights are).

The average before it is normalised is a = (1 − b)·g + b·m of the newest gradient and a running
mean m ← βm + (1 − β)g; so averages k steps apart correlate as r_k = r_1·β^{k−1}. Lion has b = β₁,
β = β₂; Muon β = μ, b = μ² with Nesterov's step, b = μ without. Normalising loses correlation,
c = φ(r):

- the sign of normal numbers: φ(r) = (2/π)·arcsin r, exactly;
- the orthogonal part of a normal matrix: φ(r) = a₁r + higher odd powers of r, where a₁ =
  (mean singular value)²/(mean squared one), from the Marchenko-Pastur law: 0.72 for a square
  matrix, nearly 1 for a narrow one. The rest, 1 − a₁, is spread over the powers as the sign's is:
  an approximation, which `benchmarks.rotation` measures.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from limitcycle.theory.premises import Array

Shape = tuple[int, int]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # the polynomial that Muon takes five times
NEWTON_SCHULZ_STEPS = 5
_NODES = 512  # singular values that stand for all of a larger matrix
_FORGOTTEN = 1e-9  # a correlation that adds nothing


def neighbour_correlation(b: float, beta: float) -> float:
    """r₁: the correlation of successive averages (1 − b)·g + b·m of independent gradients.

    Args:
        b: weight of the running mean, 0 … 1.
        beta: how much of it is kept a step, 0 … 1, 1 excluded.
    """
    spread = b**2 * (1 - beta) / (1 + beta)
    own = (1 - b) ** 2 + spread
    return (b * (1 - b) * (1 - beta) + beta * spread) / own


@lru_cache(maxsize=256)
def lion_persistence(beta1: float, beta2: float) -> float:
    """K of Lion: what successive updates add up to, over what single ones would.

    Args:
        beta1, beta2: Lion's, of the update and of the running mean.
    """
    r = _correlations(beta1, beta2)
    return float(1 + 2 * _sign(r).sum())


@lru_cache(maxsize=256)
def muon_persistence(shape: Shape, mu: float, nesterov: bool) -> float:
    """K of Muon for a matrix.

    Args:
        shape: rows and columns.
        mu: its momentum.
        nesterov: whether the newest gradient counts twice, as is usual.
    """
    r = _correlations(mu**2 if nesterov else mu, mu)
    straight = muon_size(shape)[1]
    bent = (_sign(r) - 2 / np.pi * r) / (1 - 2 / np.pi)
    return float(1 + 2 * (straight * r + (1 - straight) * bent).sum())


@lru_cache(maxsize=256)
def muon_size(shape: Shape) -> tuple[float, float]:
    """‖O‖² of the orthogonal update of a matrix of normal numbers, and a₁.

    The orthogonal part is Newton-Schulz's, which leaves singular values between 0.7 and 1.2.

    Args:
        shape: rows and columns.
    """
    few, many = sorted(shape)
    singular = _singular_values(min(few, _NODES), few / many)
    size = np.sqrt((singular**2).mean() * few)  # the root of the sum of squares of all of them
    made = singular / size
    a, b, c = NEWTON_SCHULZ
    for _ in range(NEWTON_SCHULZ_STEPS):
        made = a * made + b * made**3 + c * made**5
    straight = (made * singular).mean() ** 2 / ((made**2).mean() * (singular**2).mean())
    return float(few * (made**2).mean()), float(straight)


def persistent_rest(
    eta: Array, lam: Array, squared: Sequence[float], persistence: Sequence[Array]
) -> tuple[Array, Array]:
    """Norm and rotation at rest of tensors that shrink together.

    Args:
        eta, lam: η and λ of the decay, any shape, 0 < ηλ < 1.
        squared: U² of each tensor.
        persistence: K of each tensor, of the shape of ``eta`` or a number.
    """
    moved = sum(square * k for square, k in zip(squared, persistence, strict=True))
    norm = np.sqrt(eta * moved / (2 * lam))
    return norm, np.sqrt(2 * eta * lam * sum(squared) / moved)


def _correlations(b: float, beta: float) -> Array:
    """r_k for k = 1, 2, … until they are forgotten."""
    first = neighbour_correlation(b, beta)
    if not first or not beta:
        return np.array([first])
    count = int(np.log(_FORGOTTEN) / np.log(beta)) + 1
    return first * beta ** np.arange(count, dtype=float)


def _sign(r: Array) -> Array:
    """The correlation of the signs of normal numbers with correlation r."""
    return 2 / np.pi * np.arcsin(r)


def _singular_values(count: int, ratio: float) -> Array:
    """Quantiles of the singular values of a matrix of normal numbers, (count,).

    Args:
        count: how many.
        ratio: of the smaller side to the larger one.
    """
    low, high = 1 - np.sqrt(ratio), 1 + np.sqrt(ratio)
    edges = np.linspace(low, high, 20_001)
    middle = (edges[1:] + edges[:-1]) / 2
    density = np.sqrt((high**2 - middle**2) * (middle**2 - low**2)) / middle
    share = np.concatenate([[0.0], np.cumsum(density)])
    share /= share[-1]
    return np.interp((np.arange(count) + 0.5) / count, share, edges)
