"""Eqs. (1), (2a), (2b), (3) and (8) against training real scale-invariant functions."""

import numpy as np
import pytest

from limitcycle.theory import (
    cosine,
    cosine_distance,
    crossover_delta,
    distance_bounds,
    effective_lr,
    effective_lr_interval,
    euler_product,
    growth_threshold,
    kappa,
    measured_distance,
    rayleigh,
    rayleigh_gradient,
    rayleigh_oscillator,
    rescaled_gradient,
    sgd_step,
    simulate,
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


def test_a_step_is_eq_1():
    after = sgd_step([[3.0, -2.0], [0.5, 7.0]], [[1.0, 4.0], [-2.0, 0.0]], 0.25, [[0.4], [2.0]])
    np.testing.assert_allclose(after, [[2.45, -2.8], [0.75, 3.5]])


def test_simulated_runs_repeat_eq_1():
    """Also with a gradient that is not scale-invariant: simulation assumes nothing of f."""
    run = simulate(lambda x: x * [2.0, -1.0] + 0.3, [1.0, 0.5], 0.2, 0.7, 6)
    x = np.array([1.0, 0.5])
    for t in range(7):
        gradient = x * [2.0, -1.0] + 0.3
        np.testing.assert_allclose(run.x[t], x)
        assert np.isclose(run.squared_norm[t], x @ x)
        assert np.isclose(run.effective_gradient[t], np.linalg.norm(x) * np.linalg.norm(gradient))
        after = sgd_step(x, gradient, 0.2, 0.7)
        if t < 6:
            assert np.isclose(run.cosine_distance[t], measured_distance(x, after))
        x = after
    assert len(run.x) == 7 and len(run.cosine_distance) == 6
    assert simulate(lambda x: x, [1.0], 0.1, 0.1, 0).x.shape == (1, 1)


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


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-160, 1.0, 1e160, 1e300])
def test_measured_distances_keep_their_digits_at_any_length(size):
    x, y = np.array([3.0, 4.0]), np.array([4.0, 3.0])
    assert np.isclose(measured_distance(size * x, y / size * 1e-5), 0.04, rtol=1e-12)
    turned = np.array([np.cos(1e-9), np.sin(1e-9)])
    found = measured_distance(size * np.array([1.0, 0.0]), size * turned)
    assert np.isclose(found, 5e-19, rtol=1e-6)


def test_extreme_norms_have_their_limits():
    """w = η·g̃/((1 − ηλ)ρ²) beyond 1e±308, where ρ² itself is zero or infinite."""
    assert cosine_distance(1e-160, 1, 0.1, 0.1) == 1
    assert cosine(1e-160, 1, 0.1, 0.1) == 0
    assert cosine_distance(1e-170, 0, 0.1, 0.1) == 0 and cosine(1e-170, 0, 0.1, 0.1) == 1
    assert cosine_distance(1e170, 1, 0.1, 0.1) == 0
    same = cosine_distance(1.0, 0.3, 0.1, 0.1)
    for size in (1e-150, 1e150):
        found = cosine_distance(size, 0.3 * size, 0.1 * size, 0.1 / size)
        assert np.isclose(found, same, rtol=1e-12)
    for form in ("exact", "printed"):
        found = distance_bounds(1e-160, 0, 1, 0.1, 0.1, form)
        assert found.lower == 0 and found.upper == (1 if form == "exact" else np.inf)


def test_remark_3_and_the_growth_line_speak_of_the_plain_rate():
    """docs/theory.md: η = 1, λ = 0.2, at rest: η/ρ² = 0.6, effective learning rate 0.75."""
    rho, ends = np.sqrt(kappa(1, 0.2)), effective_lr_interval(1, 1, 1, 0.2)
    assert np.isclose(ends.lower, 0.6) and np.isclose(ends.upper, 0.6)
    assert np.isclose(growth_threshold(1, 0.2), 0.6)
    assert np.isclose(effective_lr(rho, 1, 0.2, "printed"), 0.6)
    assert np.isclose(effective_lr(rho, 1, 0.2), 0.75)
    assert np.isclose(ends.lower / (1 - 0.2), 0.75)


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
