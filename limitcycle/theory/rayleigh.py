"""The Rayleigh quotient: a scale-invariant function small enough to be a complete oscillator.

Legend: f(x) = ⟨x, Mx⟩/⟨x, x⟩ with M diagonal (``spectrum``), η learning rate, λ weight decay.
With M = diag(1, 2) the effective gradient norm is |sin 2θ|, where θ is the angle to the first axis;
that axis is a stable minimum as long as ρ² > η/(1 − ηλ), and weight decay ends that.
"""

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.theory.premises import Array, require_positive
from limitcycle.theory.step import Trajectory, simulate


def rayleigh(x: ArrayLike, spectrum: ArrayLike = (1.0, 2.0)) -> Array:
    """f(x) over the last axis. Requires x ≠ 0.

    >>> from limitcycle.theory import rayleigh
    >>> rayleigh([[1.0, 1.0], [10.0, 10.0]]).round(6).tolist()  # its length makes no difference
    [1.5, 1.5]
    """
    x, mu = np.asarray(x, dtype=np.float64), np.asarray(spectrum, dtype=np.float64)
    return np.asarray(np.sum(mu * _unit(x) ** 2, axis=-1))


def rayleigh_gradient(x: ArrayLike, spectrum: ArrayLike = (1.0, 2.0)) -> Array:
    """∇f(x) = 2(M − f(x))x/‖x‖², the shape of ``x``. Requires x ≠ 0."""
    x, mu = np.asarray(x, dtype=np.float64), np.asarray(spectrum, dtype=np.float64)
    unit = _unit(x)
    # Sums of differences of eigenvalues: no digits are lost next to an eigenvector.
    gaps = np.sum((mu[:, None] - mu) * unit[..., None, :] ** 2, axis=-1)
    return np.asarray(2 * gaps * unit / np.linalg.norm(x, axis=-1, keepdims=True))


def rayleigh_oscillator(
    start: ArrayLike = (1.0, 0.5),
    eta: float = 0.1,
    lam: float = 0.05,
    steps: int = 2000,
    spectrum: ArrayLike = (1.0, 2.0),
) -> Trajectory:
    """Train a Rayleigh quotient by Eq. (1). ``start`` has shape (n,), as ``spectrum``.

    >>> from limitcycle.theory import rayleigh_oscillator
    >>> run = rayleigh_oscillator((1.0, 0.5), eta=0.1, lam=0.05, steps=1000)
    >>> int((run.cosine_distance > 0.5).sum())  # steps that turn the weights by more than 60°
    2
    """
    mu = np.asarray(spectrum, dtype=np.float64)
    return simulate(lambda x: rayleigh_gradient(x, mu), start, eta, lam, steps)


def _unit(x: Array) -> Array:
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    require_positive("‖x‖", length)
    return np.asarray(x / length)
