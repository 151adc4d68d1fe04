"""Where norm and rotation settle: the formulas against optimizers fed random gradients."""

import numpy as np
import pytest

from limitcycle.theory import (
    PremiseError,
    adamw_equilibrium_norm,
    adamw_equilibrium_rotation,
    kappa,
    lion_persistence,
    muon_persistence,
    muon_size,
    neighbour_correlation,
    persistent_rest,
    sgd_equilibrium_norm,
    sgd_equilibrium_rotation,
    sgdw_equilibrium_norm,
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


def test_lion_settles_where_theory_lets_it():
    eta, lam, beta1, beta2 = 1e-3, 0.1, 0.9, 0.98
    m = np.zeros(SIZE)

    def step(x, g, _):
        update = np.sign(beta1 * m + (1 - beta1) * g)
        m[:] = beta2 * m + (1 - beta2) * g
        return (1 - eta * lam) * x - eta * update

    norm, angle = persistent_rest(eta, lam, [SIZE], [lion_persistence(beta1, beta2)])
    found = settle(step, np.ones(SIZE) * norm / np.sqrt(SIZE))
    assert found == pytest.approx((float(norm), float(angle)), rel=0.02)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("shape", [(32, 32), (16, 64)])
def test_muon_settles_where_theory_lets_it(shape, nesterov):
    eta, lam, mu = 0.02, 0.05, 0.9
    size, straight = muon_size(shape)
    norm, angle = persistent_rest(eta, lam, [size], [muon_persistence(shape, mu, nesterov)])
    rng, m = np.random.default_rng(0), np.zeros(shape)
    x = rng.standard_normal(shape)
    x *= norm / np.linalg.norm(x)
    turns, norms, linear = [], [], []
    for t in range(1_500):
        g = rng.standard_normal(shape)
        g -= x * (np.sum(g * x) / np.sum(x * x))
        m = mu * m + (1 - mu) * g
        average = mu * m + (1 - mu) * g if nesterov else m
        update = orthogonal(average)
        linear.append(np.sum(update * average) / np.linalg.norm(average) / np.linalg.norm(update))
        new = (1 - eta * lam) * x - eta * update
        across = new - x * (np.sum(new * x) / np.sum(x * x))
        if t > 500:
            turns.append(np.linalg.norm(across) / np.linalg.norm(x))
            norms.append(np.linalg.norm(x))
        x = new
    assert np.mean(turns) == pytest.approx(float(angle), rel=0.02)
    assert np.mean(norms) == pytest.approx(float(norm), rel=0.03)
    assert np.mean(np.square(linear)) == pytest.approx(straight, rel=0.03)
    adamw = adamw_equilibrium_rotation(eta, lam, mu)
    assert float(angle) > 1.01 * adamw


def orthogonal(matrix):
    """Newton-Schulz's five steps, as Muon makes them."""
    x = matrix / np.linalg.norm(matrix)
    a, b, c = 3.4445, -4.7750, 2.0315
    for _ in range(5):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def test_neighbours_correlate_as_their_averages_do():
    """Of (1 − b)g + bm against a long series of independent numbers."""
    rng = np.random.default_rng(0)
    for b, beta in ((0.9, 0.99), (0.9025, 0.95), (0.8, 0.8)):
        g, m, series = rng.standard_normal(200_000), 0.0, []
        for each in g:
            series.append((1 - b) * each + b * m)
            m = beta * m + (1 - beta) * each
        found = np.corrcoef(series[1_000:-1], series[1_001:])[0, 1]
        assert neighbour_correlation(b, beta) == pytest.approx(found, abs=0.01)
    assert neighbour_correlation(0.0, 0.9) == 0  # no average, no memory
    assert lion_persistence(0.0, 0.99) == 1


@pytest.mark.parametrize("mu", [0.0, 0.9])
def test_sgd_with_decoupled_decay_settles_where_theory_lets_it(mu):
    eta, lam, length = 0.02, 0.02, 3.0
    velocity = np.zeros(SIZE)

    def step(x, g, _):
        velocity[:] = mu * velocity + g * length / np.linalg.norm(g) / np.linalg.norm(x)
        return (1 - eta * lam) * x - eta * velocity

    expected = float(sgdw_equilibrium_norm(length, eta, lam, mu))
    norm, _ = settle(step, np.ones(SIZE) * expected / np.sqrt(SIZE))
    assert norm == pytest.approx(expected, rel=0.02)
