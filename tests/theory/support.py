"""Random instances inside the premises, and runs of the norm that try to break a bound."""

import numpy as np

from limitcycle.theory import PremiseError

ROUNDING = 1e-9  # relative
LARGEST_PRODUCT = 1 - np.sqrt(0.5)  # of ηλ, so that α = ηλ(2 − ηλ) < 1/2


def settings(rng, n, smallest=1e-3, largest=LARGEST_PRODUCT):
    """η, ηλ, λ over several decades of both, ηλ up to the edge of the premise."""
    eta = 10 ** rng.uniform(-3, 1, n)
    q = np.exp(rng.uniform(np.log(smallest), np.log(largest * (1 - 1e-9)), n))
    return eta, q, q / eta


def gradient_bounds(rng, n, widest=1e3):
    """ℓ ≤ L, a tenth of them equal."""
    high = 10 ** rng.uniform(-2, 2, n)
    ratio = np.where(rng.random(n) < 0.1, 1.0, np.exp(rng.uniform(0, np.log(widest), n)))
    return high / ratio, high


def strategies(rng, low, high, steps):
    """Admissible series of g̃, shape (steps, n): extremes, random, alternating, in blocks.

    The bounds have shape (n,) or, where they change in time, (steps, n).
    """
    shape = (steps, np.shape(low)[-1])
    t = np.arange(steps)[:, None]
    mix = [
        np.zeros(shape),
        np.ones(shape),
        rng.random(shape),
        (rng.random(shape) < 0.5).astype(float),
        np.broadcast_to(t % 2, shape),
        np.broadcast_to((t // 7) % 2, shape),
        np.broadcast_to(t < steps // 2, shape),
        np.broadcast_to(t >= steps // 2, shape),
    ]
    return [low + (high - low) * part for part in mix]


def norms(rho, gradients, eta, lam):
    """ρ² by an independent loop that carries ρ and forms the new weights' length by hypot."""
    rho, out = np.array(rho, dtype=float), []
    for g in gradients:
        out.append(rho**2)
        rho = np.hypot((1 - eta * lam) * rho, eta * g / rho)
    return np.array([*out, rho**2])


def distances(squared, gradients, eta, lam):
    """Cosine distances by the angle itself."""
    angle = np.arctan(eta * gradients / ((1 - eta * lam) * squared[: len(gradients)]))
    return 2 * np.sin(angle / 2) ** 2


def first_jump(distance, delta):
    """The first t with a δ-jump, infinite where there is none."""
    happens = distance > delta
    return np.where(happens.any(axis=0), happens.argmax(axis=0), np.inf)


def refuses(premise, function, *args, **kwargs):
    """Whether the function raises a PremiseError that names the premise."""
    try:
        function(*args, **kwargs)
    except PremiseError as error:
        return premise in str(error)
    return False
