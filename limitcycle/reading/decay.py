"""What weight decay alone does to the norm, with heavy-ball momentum or without."""

import numpy as np
from numpy.typing import ArrayLike

from limitcycle.reading.clock import Array


def log_decay(product: float, momentum: float = 0.0) -> float:
    """Change of log ρ in one step without gradient, at most 0; NaN where ρ does not just shrink.

    Without momentum ρ shrinks by the factor 1 − ηλ (Eq. 3). With v_t = μ·v_{t−1} + λx_t and
    x_{t+1} = x_t − η·v_t (PyTorch's convention) every weight obeys
    x_{t+1} = (1 + μ − ηλ)·x_t − μ·x_{t−1}, so that ρ shrinks in the long run by the larger root of
    z² − (1 + μ − ηλ)·z + μ = 0: about 1 − ηλ/(1 − μ) where that is small. From ηλ = (1 − √μ)² on
    the weights swing through zero.

    Args:
        product: ηλ.
        momentum: μ, in [0, 1).
    """
    return float(log_decays(product, momentum))


def log_decays(products: ArrayLike, momenta: ArrayLike) -> Array:
    """`log_decay` of each row: ηλ and μ of any shape, broadcast; NaN likewise."""
    product, momentum = np.asarray(products, np.float64), np.asarray(momenta, np.float64)
    with np.errstate(all="ignore"):
        shrinks = (momentum >= 0) & (momentum < 1) & (product >= 0) & (product < 1)
        shrinks &= product <= (1 - np.sqrt(momentum)) ** 2
        # One minus the root, from 1 − z = d: d² − (1 − μ + ηλ)·d + ηλ = 0, without cancellation.
        half = (1 - momentum + product) / 2
        distance = product / (half + np.sqrt(np.maximum(half * half - product, 0.0)))
        return np.where(shrinks, np.log1p(-distance), np.nan)
