"""The recursion of the norm against two-dimensional gradient descent, and what follows from it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from limitcycle.theory import (
    alpha,
    equilibrium_angle,
    free_decay,
    growth_threshold,
    kappa,
    mean_log_cosine,
    mean_squared_gradient,
    mean_weight,
    mean_weight_limit,
    next_squared_norm,
    norm_grows,
    rayleigh_oscillator,
    squared_norm_from_mean,
    squared_norms,
    unrolled_squared_norm,
)
from tests.theory.support import distances, norms, settings

small = st.floats(1e-6, 0.5)
plain = st.floats(-10, 10)


@given(small, small, plain, plain, st.floats(0.1, 10))
def test_recursion_is_exact_with_the_radial_term(eta, lam, along, across, rho):
    x, g = np.array([rho, 0.0]), np.array([along, across])
    after = (1 - eta * lam) * x - eta * g
    predicted = next_squared_norm(rho, np.hypot(along, across), eta, lam, x @ g)
    np.testing.assert_allclose(predicted, after @ after, rtol=1e-9, atol=1e-9)


@given(small, small, st.floats(0.1, 10), st.floats(0.5, 2))
def test_norm_grows_exactly_above_the_threshold(eta, lam, rho, times):
    gradient = times * growth_threshold(eta, lam) * rho / eta
    grows = next_squared_norm(rho, gradient, eta, lam) > rho**2
    if abs(times - 1) > 1e-6:
        assert grows == (times > 1)


def random_runs(seed, n=3000, steps=40):
    rng = np.random.default_rng(seed)
    eta, q, lam = settings(rng, n, largest=0.999)
    rho = 10 ** rng.uniform(-2, 2, n)
    gradients = 10 ** rng.uniform(-3, 2, (steps, n))
    return rho, gradients, eta, lam, q


def test_series_of_norms():
    rho, gradients, eta, lam, _ = random_runs(0)
    mine = squared_norms(rho, gradients, eta, lam)
    np.testing.assert_allclose(mine, norms(rho, gradients, eta, lam), rtol=1e-9)


def test_norm_grows_exactly_when_the_distance_exceeds_the_product():
    rho, gradients, eta, lam, q = random_runs(1)
    x = norms(rho, gradients, eta, lam)
    distance = distances(x, gradients, eta, lam)
    clear = np.abs(distance / q - 1) > 1e-6
    grew = np.diff(x, axis=0) > 0
    assert np.array_equal(norm_grows(distance, eta, lam)[clear], grew[clear])
    above = eta * gradients / x[:-1] > growth_threshold(eta, lam)
    assert np.array_equal(above[clear], grew[clear])


def test_at_rest_the_angle_is_the_equilibrium_angle():
    rng = np.random.default_rng(2)
    eta, q, lam = settings(rng, 2000, smallest=1e-9, largest=0.999)
    g = 10 ** rng.uniform(-3, 3, 2000)
    rho = np.sqrt(kappa(eta, lam) * g)
    np.testing.assert_allclose(next_squared_norm(rho, g / rho, eta, lam), rho**2, rtol=1e-12)
    np.testing.assert_allclose(equilibrium_angle(eta, lam), np.arccos(1 - q), rtol=1e-6)
    assert np.all(equilibrium_angle(eta, lam) >= np.sqrt(2 * q))


def test_the_mean_of_minus_log_cos_comes_from_the_ends():
    rho, gradients, eta, lam, q = random_runs(3)
    x = norms(rho, gradients, eta, lam)
    logs = -np.log1p(-distances(x, gradients, eta, lam)).mean(axis=0)
    found = mean_log_cosine(rho, np.sqrt(x[-1]), len(gradients), eta, lam)
    np.testing.assert_allclose(found, logs, rtol=1e-6, atol=1e-15)
    np.testing.assert_allclose(mean_log_cosine(rho, rho, 7, eta, lam), -np.log(1 - q), rtol=1e-9)


def test_the_mean_of_minus_log_cos_on_the_oscillator():
    run = rayleigh_oscillator(steps=3000)
    rho, logs = np.sqrt(run.squared_norm), -np.log1p(-run.cosine_distance)
    expected = mean_log_cosine(rho[400], rho[2900], 2500, 0.1, 0.05)
    np.testing.assert_allclose(logs[400:2900].mean(), expected, rtol=1e-9)


def test_unrolled_sum_and_mean_agree_with_the_recursion():
    rho, gradients, eta, lam, _ = random_runs(4)
    x = norms(rho, gradients, eta, lam)
    plain_gradients = gradients / np.sqrt(x[:-1])
    np.testing.assert_allclose(
        unrolled_squared_norm(rho, plain_gradients, eta, lam), x[-1], rtol=1e-9
    )
    mean = mean_squared_gradient(plain_gradients, eta, lam)
    for t in (1, 2, 17, 40):
        found = squared_norm_from_mean(rho, mean[t - 1], t, eta, lam)
        np.testing.assert_allclose(found, x[t], rtol=1e-9)


def test_the_mean_is_one():
    gradients = np.full((30, 4), 2.0)
    np.testing.assert_allclose(mean_squared_gradient(gradients, 0.1, 0.3), 4.0)


def test_weights_and_their_limit():
    q = np.array([1e-10, 1e-3, 0.5, 0.99])
    np.testing.assert_allclose(mean_weight(1, 1, q), 1)
    np.testing.assert_allclose(mean_weight(2, 1, q), 1 + (1 - q) ** 2)
    np.testing.assert_allclose(mean_weight(1e13, 1, q), mean_weight_limit(1, q))
    np.testing.assert_allclose(mean_weight_limit(0.1, 1e-6), 0.1 / 2e-6, rtol=1e-6)


def test_printed_fraction_of_eq_16_is_upside_down():
    """docs/theory.md: η = 0.1, λ = 0.5, g = 1 for 50 steps from ρ_0² = 1."""
    s = 0.95
    assert np.isclose(mean_weight(2, 0.1, 0.5, "printed"), 0.01 * (1 - s**2) / (1 - s**4))
    assert mean_weight_limit(0.1, 0.5, "printed") == 2 * 0.1**3 * 0.5
    true = unrolled_squared_norm(1.0, np.ones(50), 0.1, 0.5)
    assert np.isclose(true, 0.107877, atol=1e-6)
    assert np.isclose(squared_norm_from_mean(1, 1, 50, 0.1, 0.5), true)
    assert np.isclose(squared_norm_from_mean(1, 1, 50, 0.1, 0.5, "printed"), 0.006901, atol=1e-6)


def test_alpha_and_kappa():
    assert alpha(0.5, 0.5, "printed") == 0.5
    assert alpha(0.5, 0.5) == 1 - 0.75**2
    assert kappa(0.5, 0.5, "printed") == np.sqrt(0.5)
    assert kappa(0.5, 0.5) == 0.5 / np.sqrt(1 - 0.75**2)


def test_no_norm_falls_faster_than_weight_decay():
    rng = np.random.default_rng(0)
    eta, _, lam = settings(rng, 500, smallest=1e-4, largest=0.9)
    t = np.arange(51.0)[:, None]
    for gradients in (np.zeros((50, 500)), 10 ** rng.uniform(-6, 1, (50, 500))):
        squared = squared_norms(np.full(500, 2.0), gradients, eta, lam)
        floor = free_decay(2.0, t, eta, lam)
        assert (np.sqrt(squared) >= floor * (1 - 1e-12)).all()
        if not gradients.any():
            np.testing.assert_allclose(np.sqrt(squared), floor, rtol=1e-12)
