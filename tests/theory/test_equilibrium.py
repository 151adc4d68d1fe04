"""Where norm and rotation settle: the formulas against optimizers fed random gradients."""

import numpy as np
import pytest

from limitcycle.theory import (
    PremiseError,
    adamw_equilibrium_norm,
    adamw_equilibrium_rotation,
    kappa,
    sgd_equilibrium_norm,
    sgd_equilibrium_rotation,
)

SIZE, STEPS = 2_000, 3_000


def settle(step, x):
    """Mean ρ and mean angle over the later half of ``step`` repeated, gradients across x."""
    rng = np.random.default_rng(0)
    norms, angles = [], []
    for t in range(STEPS):
        g = rng.standard_normal(SIZE)
        new = step(x, g - x * (g @ x) / (x @ x), t)
        along = new @ x / np.linalg.norm(x)
        across = np.linalg.norm(new - x * (new @ x) / (x @ x))
        if t >= STEPS // 2:
            norms.append(np.linalg.norm(x))
            angles.append(np.arctan2(across, along))
        x = new
    return np.mean(norms), np.mean(angles)


@pytest.mark.parametrize(("mu", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_settles_where_theory_lets_it(mu, nesterov):
    eta, lam, length = 0.05, 0.04 * (1 - mu), 3.0  # of the effective gradient
    velocity = np.zeros(SIZE)

    def step(x, g, _):
        g = g * length / np.linalg.norm(g) / np.linalg.norm(x) + lam * x
        velocity[:] = mu * velocity + g
        return x - eta * (g + mu * velocity if nesterov else velocity)

    start = np.ones(SIZE) * sgd_equilibrium_norm(length, eta, lam, mu) / np.sqrt(SIZE)
    norm, angle = settle(step, 1.2 * start)
    assert norm == pytest.approx(sgd_equilibrium_norm(length, eta, lam, mu), rel=0.02)
    expected = sgd_equilibrium_rotation(eta, lam, mu, nesterov=nesterov)
    assert angle == pytest.approx(expected, rel=0.02)


def test_adamw_settles_where_theory_lets_it():
    eta, lam, beta1, beta2 = 0.01, 0.4, 0.9, 0.99
    m, v = np.zeros(SIZE), np.ones(SIZE)

    def step(x, g, _):
        m[:] = beta1 * m + (1 - beta1) * g
        v[:] = beta2 * v + (1 - beta2) * g**2
        return (1 - eta * lam) * x - eta * m / np.sqrt(v)

    start = np.ones(SIZE) * adamw_equilibrium_norm(SIZE, eta, lam) / np.sqrt(SIZE)
    norm, angle = settle(step, 1.2 * start)
    assert norm == pytest.approx(adamw_equilibrium_norm(SIZE, eta, lam), rel=0.03)
    assert angle == pytest.approx(adamw_equilibrium_rotation(eta, lam, beta1), rel=0.03)


def test_without_momentum_it_is_the_resting_point_of_eq_3():
    g = np.array([0.3, 1.0, 20.0])
    np.testing.assert_allclose(sgd_equilibrium_norm(g, 0.1, 0.5) ** 2, kappa(0.1, 0.5) * g)
    assert sgd_equilibrium_rotation(0.1, 0.5) == pytest.approx(np.arccos(0.95), rel=1e-12)


@pytest.mark.parametrize("momentum", [-0.1, 1.0, np.nan])
def test_momentum_outside_its_range_is_refused(momentum):
    for function in (
        lambda: sgd_equilibrium_norm(1, 0.1, 0.1, momentum),
        lambda: sgd_equilibrium_rotation(0.1, 0.1, momentum),
        lambda: adamw_equilibrium_rotation(0.1, 0.1, momentum),
    ):
        with pytest.raises(PremiseError, match=r"< 1 fails"):
            function()
    with pytest.raises(PremiseError, match="ηλ"):
        adamw_equilibrium_norm(10, 0.1, 0.0)
