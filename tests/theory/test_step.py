"""Eqs. (1), (2a), (2b), (3) and (8) against training real scale-invariant functions."""

import numpy as np
import pytest

from limitcycle.theory import (
    cosine,
    cosine_distance,
    crossover_delta,
    effective_lr,
    euler_product,
    measured_distance,
    rayleigh,
    rayleigh_gradient,
    rayleigh_oscillator,
    rescaled_gradient,
    sgd_step,
    squared_norms,
)
from tests.theory.support import settings


def random_quotients(seed, n=2000, dimension=5):
    rng = np.random.default_rng(seed)
    spectrum = rng.normal(size=dimension) * 3
    x = rng.normal(size=(n, dimension)) * 10 ** rng.uniform(-2, 2, (n, 1))
    eta, _, lam = settings(rng, n, largest=0.999)
    return x, rayleigh_gradient(x, spectrum), eta[:, None], lam[:, None], spectrum


def test_the_gradient_is_that_of_the_function():
    x, gradient, _, _, spectrum = random_quotients(0)
    size = np.linalg.norm(x, axis=1, keepdims=True)
    for i in range(x.shape[1]):
        shift = np.zeros(x.shape[1])
        shift[i] = 1e-5
        ahead, behind = x + shift * size, x - shift * size
        slope = (rayleigh(ahead, spectrum) - rayleigh(behind, spectrum)) / (2e-5 * size[:, 0])
        np.testing.assert_allclose(slope, gradient[:, i], atol=1e-8 / size.min())


def test_the_gradient_is_orthogonal_and_scales_inversely():
    x, gradient, _, _, spectrum = random_quotients(1)
    size = np.linalg.norm(x, axis=1) * np.linalg.norm(gradient, axis=1)
    assert np.all(np.abs(euler_product(x, gradient)) < 1e-13 * size)
    there = rayleigh_gradient(3.7 * x, spectrum)
    np.testing.assert_allclose(there, rescaled_gradient(gradient, 3.7), rtol=1e-9, atol=1e-12)


def test_cosine_of_real_steps():
    x, gradient, eta, lam, _ = random_quotients(2)
    after = sgd_step(x, gradient, eta, lam)
    rho, g = np.linalg.norm(x, axis=1), np.linalg.norm(gradient, axis=1)
    args = rho, rho * g, eta[:, 0], lam[:, 0]
    np.testing.assert_allclose(cosine_distance(*args), measured_distance(x, after), rtol=1e-7,
                               atol=1e-30)  # fmt: skip
    np.testing.assert_allclose(1 - cosine(*args), cosine_distance(*args), atol=1e-15)


def test_cosine_distances_keep_their_digits():
    w = np.array([1e-12, 1e-6, 1e-3])
    series = w**2 / 2 - 3 * w**4 / 8 + 5 * w**6 / 16
    np.testing.assert_allclose(cosine_distance(1, w, 1, 0), series, rtol=1e-14)
    assert cosine_distance(1, 1e200, 1, 0) == 1


@pytest.mark.parametrize("lam", [0.0, 0.05, 0.9])
def test_the_exact_rate_reproduces_the_step_on_the_sphere(lam):
    x, gradient, _, _, spectrum = random_quotients(3)
    eta = 0.7
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    after = sgd_step(x, gradient, eta, lam)
    rate = effective_lr(np.linalg.norm(x, axis=1), eta, lam)[:, None]
    on_sphere = sgd_step(unit, rayleigh_gradient(unit, spectrum), rate, 0)
    assert np.all(measured_distance(after, on_sphere) < 1e-20)


def test_the_printed_rate_does_not():
    """docs/theory.md: η = 1, λ = 1/2, gradient (0, 1): the angle is atan 2, not atan 1."""
    assert effective_lr(1, 1, 0.5, "printed") == 1
    assert effective_lr(1, 1, 0.5) == 2
    after = sgd_step([1.0, 0.0], [0.0, 1.0], 1, 0.5)
    assert -after[1] / after[0] == 2


@pytest.mark.parametrize("spectrum", [(1, 2), (0, 1, 5), (-3, -1, 0.5, 4, 4.1)])
def test_whole_runs_obey_the_recursion(spectrum):
    start = np.linspace(1, 0.3, len(spectrum))
    run = rayleigh_oscillator(start, 0.1, 0.05, 400, spectrum)
    predicted = squared_norms(np.linalg.norm(start), run.effective_gradient[:-1], 0.1, 0.05)
    np.testing.assert_allclose(run.squared_norm, predicted, rtol=1e-9)
    rho = np.sqrt(run.squared_norm[:-1])
    distance = cosine_distance(rho, run.effective_gradient[:-1], 0.1, 0.05)
    np.testing.assert_allclose(run.cosine_distance, distance, rtol=1e-6, atol=1e-25)


def test_crossover_is_four_thirds_of_the_product_for_small_products():
    q = np.array([1e-12, 1e-8, 1e-4])
    np.testing.assert_allclose(crossover_delta(q, 1), 4 * q / 3, rtol=1e-3)
