"""δ-jumps: the exact threshold against the angle itself; on which side the printed ones fail."""

import numpy as np
import pytest

from limitcycle.theory import (
    cosine_distance,
    crossover_delta,
    distance_bounds,
    guaranteed_jump_threshold,
    is_jump,
    jump_threshold,
    largest_unavoidable_delta,
    possible_jump_threshold,
    sgd_step,
    t_max,
)
from limitcycle.theory.premises import PremiseError
from tests.theory.support import settings


def cases(seed, n=5000):
    rng = np.random.default_rng(seed)
    eta, q, lam = settings(rng, n, smallest=1e-8, largest=0.999)
    g = 10 ** rng.uniform(-3, 3, n)
    delta = np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-9, -0.1, n), rng.uniform(0.01, 1, n))
    return eta, q, lam, g, delta


@pytest.mark.parametrize("aside", [1e-9, 1e-3, 0.5])
def test_exactly_below_the_threshold_a_step_is_a_jump(aside):
    eta, _, lam, g, delta = cases(0)
    threshold = jump_threshold(g, eta, lam, delta)
    # The distance is so flat near 1 that its own rounding hides a small step aside.
    delta, keep = delta, (1 - delta) * aside > 1e-14
    below = cosine_distance(np.sqrt(threshold * (1 - aside)), g, eta, lam)
    above = cosine_distance(np.sqrt(threshold * (1 + aside)), g, eta, lam)
    assert np.all((below > delta)[keep]) and np.all((above < delta)[keep])


def test_definition_one_on_vectors():
    eta, _, lam, g, delta = cases(1)
    threshold = jump_threshold(g, eta, lam, delta)
    for factor, jumps in ((0.99, True), (1.01, False)):
        rho = np.sqrt(threshold * factor)
        x = np.stack([rho, 0 * rho], axis=1)
        gradient = np.stack([0 * rho, g / rho], axis=1)
        after = sgd_step(x, gradient, eta[:, None], lam[:, None])
        clear = 1 - delta > 1e-3
        assert np.all(is_jump(x, after, delta)[clear] == jumps)


def test_printed_thresholds_are_their_formulas():
    eta, q, lam, g, delta = cases(2)
    bare = eta * g / np.sqrt(2 * delta)
    for function in (possible_jump_threshold, guaranteed_jump_threshold):
        np.testing.assert_allclose(function(g, eta, lam, delta, "printed"), bare, rtol=1e-14)
        np.testing.assert_array_equal(
            function(g, eta, lam, delta), jump_threshold(g, eta, lam, delta)
        )
    nine = jump_threshold(g, eta, lam, delta, "printed")
    np.testing.assert_allclose(nine, bare / (1 - q), rtol=1e-13)


def test_eq_9_is_necessary_and_never_sufficient():
    eta, _, lam, g, delta = cases(3)
    assert np.all(
        jump_threshold(g, eta, lam, delta, "printed") > jump_threshold(g, eta, lam, delta)
    )


def test_printed_4a_and_4b_change_sides_at_the_crossover():
    eta, q, lam, g, _ = cases(4)
    cross = crossover_delta(eta, lam)
    assert np.all((cross > q) & (cross < 4 * q / 3 * (1 + 1e-12)))
    for factor, too_large in ((1 - 1e-4, False), (1 + 1e-4, True), (0.01, False)):
        delta = np.minimum(factor * cross, (1 + cross) / 2)
        printed = possible_jump_threshold(g, eta, lam, delta, "printed")
        assert np.all((printed > possible_jump_threshold(g, eta, lam, delta)) == too_large)


def test_4a_and_4b_fail_above_the_crossover():
    """docs/theory.md: η = 0.1, λ = 0.5, δ = 0.2 > 0.066, ℓ = L = 1, ρ² = 0.15."""
    rho, args = np.sqrt(0.15), (0.1, 0.5, 0.2)
    assert rho**2 < possible_jump_threshold(1, *args, "printed")
    assert rho**2 < guaranteed_jump_threshold(1, *args, "printed")
    assert np.isclose(cosine_distance(rho, 1, 0.1, 0.5), 0.1814, atol=1e-4)


def test_4a_is_not_necessary_below_the_crossover():
    """docs/theory.md: the same with δ = 0.01, ρ² = 0.72: a jump above the printed threshold."""
    rho, args = np.sqrt(0.72), (0.1, 0.5, 0.01)
    assert rho**2 > possible_jump_threshold(1, *args, "printed")
    assert np.isclose(cosine_distance(rho, 1, 0.1, 0.5), 0.01051, atol=1e-5)


def test_exact_distance_bounds_enclose_and_are_attained():
    eta, _, lam, high, _ = cases(5)
    rng = np.random.default_rng(6)
    low, rho = high * rng.random(5000), 10 ** rng.uniform(-2, 2, 5000)
    found = distance_bounds(rho, low, high, eta, lam)
    for share in np.linspace(0, 1, 11):
        distance = cosine_distance(rho, low + share * (high - low), eta, lam)
        assert np.all(distance >= found.lower * (1 - 1e-12))
        assert np.all(distance <= found.upper * (1 + 1e-12))
    np.testing.assert_array_equal(found.upper, cosine_distance(rho, high, eta, lam))


def test_printed_delta_max_and_delta_min_are_no_bounds():
    """docs/theory.md: with ℓ = L, the distance lies above δ_max or below δ_min."""
    small = distance_bounds(1, 0.1, 0.1, 1, 0.02, "printed")
    assert np.isclose(small.upper, 0.005)
    assert np.isclose(cosine_distance(1, 0.1, 1, 0.02), 0.005166, atol=1e-6)
    large = distance_bounds(1, 2, 2, 1, 0.02, "printed")
    assert large.lower == 2 and np.isclose(cosine_distance(1, 2, 1, 0.02), 0.559985, atol=1e-6)


def test_without_a_lower_bound_no_jump_is_certain():
    assert guaranteed_jump_threshold(0.0, 0.1, 0.05, 0.001) == 0
    with pytest.raises(PremiseError):
        largest_unavoidable_delta(0.0, 1.0, 0.1, 0.05)
    with pytest.raises(PremiseError):
        t_max(3.0, 0.0, 1.0, 0.1, 0.05, 0.001)


def test_beyond_a_product_of_one_the_cosine_turns_over():
    eta, lam = 1.0, 1.5
    x = np.array([1.0, 0.0])
    after = (1 - eta * lam) * x
    assert after @ x / (np.linalg.norm(after) * np.linalg.norm(x)) == -1
    printed = (1 + 0.0 / (1 - eta * lam) ** 2) ** -0.5
    assert printed == 1
    with pytest.raises(PremiseError, match="ηλ < 1"):
        cosine_distance(1.0, 0.0, eta, lam)
