"""Proposition 3, Remark 3 and A.7: where the norm ends up, and where the printed interval fails."""

import numpy as np
import pytest

from limitcycle.theory import (
    effective_lr_interval,
    hop_threshold,
    kappa,
    largest_squared_norm,
    next_squared_norm,
    norm_interval,
    settling_time,
    smallest_low,
    squared_norms,
)
from tests.theory.support import norms, settings, strategies


def cases(seed, n=600, smallest=0.02):
    rng = np.random.default_rng(seed)
    eta, _, lam = settings(rng, n, smallest=smallest)
    high = 10 ** rng.uniform(-2, 2, n)
    least = smallest_low(high, eta, lam)
    low = least + (high - least) * np.where(rng.random(n) < 0.3, 1e-9, rng.random(n))
    return rng, eta, lam, low, high


def test_every_run_ends_in_the_exact_interval():
    rng, eta, lam, low, high = cases(0)
    found = norm_interval(low, high, eta, lam)
    rates = effective_lr_interval(low, high, eta, lam)
    start = np.sqrt(found.upper) * 10 ** rng.uniform(-1, 1, 600)
    for series in strategies(rng, low, high, 800):
        x = norms(start, series, eta, lam)[-100:]
        assert np.all(x >= found.lower * (1 - 1e-3)) and np.all(x <= found.upper * (1 + 1e-3))
        assert np.all(eta / x >= rates.lower * (1 - 1e-3))
        assert np.all(eta / x <= rates.upper * (1 + 1e-3))


def test_both_ends_are_limits_of_runs():
    _, eta, lam, low, high = cases(1)
    found = norm_interval(low, high, eta, lam)
    for g, end in ((low, found.lower), (high, found.upper)):
        x = norms(np.sqrt(2 * end), np.broadcast_to(g, (1000, 600)), eta, lam)
        np.testing.assert_allclose(x[-1], end, rtol=1e-6)
        rates = effective_lr_interval(low, high, eta, lam)
        assert np.all((eta / x[-1] > rates.lower * 0.999) & (eta / x[-1] < rates.upper * 1.001))


def test_inside_it_stays():
    rng, eta, lam, low, high = cases(2)
    found = norm_interval(low, high, eta, lam)
    for inside in (0, 1, rng.random(600)):
        x = found.lower + inside * (found.upper - found.lower)
        for g in (low, high):
            after = next_squared_norm(np.sqrt(x), g / np.sqrt(x), eta, lam)
            assert np.all(after >= found.lower * (1 - 1e-9))
            assert np.all(after <= found.upper * (1 + 1e-9))


def test_printed_numbers():
    found = norm_interval([0.5, 1], 2, 0.1, 0.2, "printed")
    np.testing.assert_allclose(found.lower, [0.25, 0.5])
    np.testing.assert_allclose(found.upper, 1)
    rates = effective_lr_interval(0.5, 2, 0.1, 0.2, "printed")
    assert np.isclose(rates.lower, 0.1) and np.isclose(rates.upper, 0.4)
    assert np.isclose(smallest_low(2, 0.1, 0.2, "printed"), 0.08)
    assert np.isclose(hop_threshold(2, 0.1, 0.2, "printed"), 0.08)
    leap = 0.98**2 * 0.5 * 0.03 + 0.04 / (0.5 * 0.03)
    assert np.isclose(largest_squared_norm(0.03, 2, 0.1, 0.2, None, "printed"), leap)


def test_upper_side_of_7_is_not_a_bound():
    """docs/theory.md: g̃ = L = 1, η = 0.1, λ = 1, ρ_0 = 1."""
    assert np.isclose(norm_interval(1, 1, 0.1, 1, "printed").upper, 0.223607, atol=1e-6)
    assert np.isclose(norm_interval(1, 1, 0.1, 1).upper, 0.229416, atol=1e-6)
    x = squared_norms(1, np.ones(100), 0.1, 1)
    assert np.all(x > norm_interval(1, 1, 0.1, 1).upper * (1 - 1e-12))  # never inside
    assert np.isclose(x[-1], 0.229416, atol=1e-6)
    assert np.isclose(effective_lr_interval(1, 1, 0.1, 1, "printed").lower, 0.447214, atol=1e-6)
    assert np.isclose(0.1 / x[-1], 0.435890, atol=1e-6)


def test_printed_condition_admits_leaps_without_end():
    """docs/theory.md: η = 1, λ = 0.1, ℓ = 0.21 > 2ηλL = 0.2; 40 steps of ℓ, one of L = 1."""
    printed = norm_interval(0.21, 1, 1, 0.1, "printed")
    assert np.isclose(smallest_low(1, 1, 0.1), 0.234568, atol=1e-6)
    x = squared_norms(1, np.tile([*[0.21] * 40, 1.0], 20), 1, 0.1)
    leaps = x[41::41]
    assert np.isclose(printed.upper, 2.236068, atol=1e-6)
    assert np.all((leaps > 2.4658) & (leaps < 2.466) & (leaps > kappa(1, 0.1)))


def test_just_below_the_condition_a_run_leaps():
    """From rest at κℓ one step with L ends above κL exactly for ℓ < ``smallest_low``."""
    _, eta, lam, _, high = cases(6)
    end = kappa(eta, lam) * high
    for aside in (1e-6, 1e-2):
        for factor, leaps in ((1 - aside, True), (1 + aside, False)):
            low = np.minimum(high, factor * smallest_low(high, eta, lam))
            rest = np.sqrt(kappa(eta, lam) * low)
            after = next_squared_norm(rest, high / rest, eta, lam)
            clear = (low < high * (1 - 1e-3)) & (np.abs(after / end - 1) > 1e-12)
            assert clear.sum() > 300 and np.all((after > end)[clear] == leaps)


@pytest.mark.parametrize("aside", [1e-6, 0.1])
def test_below_the_hop_threshold_a_step_leaps_over_the_end(aside):
    _, eta, lam, _, high = cases(3)
    hop, end = hop_threshold(high, eta, lam), kappa(eta, lam) * high
    for factor, leaps in ((1 - aside, True), (1 + aside, False)):
        x = hop * factor
        after = next_squared_norm(np.sqrt(x), high / np.sqrt(x), eta, lam)
        clear = (hop * (1 + aside) < end) & (np.abs(after / end - 1) > 1e-12)
        assert np.all((after > end)[clear] == leaps)


def test_printed_hop_threshold_lacks_kappa():
    """docs/theory.md: η = 0.4, λ = 0.05, L = 1: ρ² = 0.06 lies above 0.04 and leaps."""
    assert np.isclose(hop_threshold(1, 0.4, 0.05, "printed"), 0.04)
    assert np.isclose(hop_threshold(1, 0.4, 0.05), 0.082881, atol=1e-6)
    assert np.isclose(kappa(0.4, 0.05), 2.010076, atol=1e-6)
    leap = next_squared_norm(np.sqrt(0.06), 1 / np.sqrt(0.06), 0.4, 0.05)
    assert np.isclose(leap, 2.724291, atol=1e-6)
    # and with κ = 0.03 the printed threshold, 0.1, is three times κL itself
    assert hop_threshold(1, 0.01, 5, "printed") > 3 * kappa(0.01, 5)


def test_largest_norm_bounds_everything():
    rng, eta, lam, _, high = cases(4, smallest=0.1)
    low = high * 10 ** rng.uniform(-3, 0, 600)
    start = np.sqrt(kappa(eta, lam) * high) * 10 ** rng.uniform(-2, 1, 600)
    always = largest_squared_norm(low, high, eta, lam, start)
    finally_ = largest_squared_norm(low, high, eta, lam)
    assert np.all(finally_ <= always)
    leap = np.where(np.arange(800)[:, None] % 200 < 199, low, high)
    for series in (*strategies(rng, low, high, 800), leap):
        x = norms(start, series, eta, lam)
        assert np.all(x <= always * (1 + 1e-9))
        assert np.all(x[-150:] <= finally_ * (1 + 1e-3))
    reached = norms(start, leap, eta, lam)[201:].max(axis=0)
    assert np.all(reached >= finally_ * (1 - 2e-2) * (low < smallest_low(high, eta, lam)))


@pytest.mark.parametrize("away", [1e-2, 0.3, 3.0, 1e3])
def test_largest_norm_is_reached(away):
    """By the start itself, by L at once, after a rest at κℓ, or by L for ever."""
    rng, eta, lam, _, high = cases(7, smallest=0.1)
    low = high * 10 ** rng.uniform(-3, 0, 600)
    start = np.sqrt(kappa(eta, lam) * high * away)
    always = largest_squared_norm(low, high, eta, lam, start)
    finally_ = largest_squared_norm(low, high, eta, lam)
    waiting = np.arange(300)[:, None] < 299
    runs = [
        norms(start, np.where(when, low, high), eta, lam) for when in (False * waiting, waiting)
    ]
    reached = np.maximum(*(run.max(axis=0) for run in runs))
    np.testing.assert_allclose(reached, always, rtol=1e-6)
    late = np.maximum(*(run[-1] for run in runs))
    np.testing.assert_allclose(late, finally_, rtol=1e-6)


def test_printed_bound_of_a7_forgets_the_start():
    """docs/theory.md: η = 0.4, λ = 0.05, ℓ = 0.03, L = 1, ρ_0² = 0.01."""
    printed = largest_squared_norm(0.03, 1, 0.4, 0.05, None, "printed")
    assert np.isclose(printed, 2.724291, atol=1e-6)
    assert squared_norms(0.1, [1.0], 0.4, 0.05)[1] > 16
    assert largest_squared_norm(0.03, 1, 0.4, 0.05, 0.1) > 16


def test_printed_upper_bound_in_the_proof_of_6():
    """docs/theory.md: ρ_0² = 100, g̃ = L = 1, η = 0.1, λ = 1: 81.0 after a step, not 80.04."""
    k = kappa(0.1, 1, "printed")
    assert squared_norms(10, [1.0], 0.1, 1)[1] > k + (1 - 0.2) * (100 - k) + 0.9


def test_settling_time():
    rng, eta, lam, _, high = cases(5)
    end = kappa(eta, lam) * high
    start = np.sqrt(end * (1 + 10 ** rng.uniform(-1, 3, 600)))
    found = settling_time(start, high, eta, lam, 0.05)
    x = norms(start, np.broadcast_to(high, (int(found.max()), 600)), eta, lam)
    inside = x <= 1.05 * end * (1 + 1e-12)
    assert np.all(np.take_along_axis(inside, found.astype(int)[None], axis=0))
    assert np.all(found <= 1.6 * inside.argmax(axis=0) + 2)


def test_settling_takes_longer_from_further():
    eta, lam, high = 0.1, 0.05, 1.0
    end = float(kappa(eta, lam)) * high
    near, far = (
        float(settling_time(np.sqrt(factor * end), high, eta, lam, tolerance=0.01))
        for factor in (1e2, 1e8)
    )
    assert (near, far) == (655, 2033)
    furthest = settling_time(np.sqrt(1e60 * end), high, eta, lam, tolerance=0.01)
    assert furthest > 5 * far
