"""The exact reach of the norm (Lemma 2), and the window of the first δ-jump with local bounds."""

from itertools import product

import numpy as np
import pytest

from limitcycle.theory import (
    alpha,
    cosine_distance,
    determined_bounds,
    jump_window,
    kappa,
    norm_envelope,
    reachable,
    sequence,
    squared_norms,
    t_max,
    t_min,
)
from tests.theory.support import gradient_bounds, norms, refuses, settings, strategies


def drifting_bounds(rng, low, high, steps):
    """ℓ_t ≤ L_t that wander by a factor of 100 up and down."""
    factor = np.exp(np.cumsum(rng.normal(size=(steps, len(low))), axis=0).clip(-4, 4))
    return low * factor, high * factor


def test_no_run_leaves_the_envelope():
    rng = np.random.default_rng(0)
    eta, _, lam = settings(rng, 2000, largest=0.999)
    lows, highs = drifting_bounds(rng, *gradient_bounds(rng, 2000), 60)
    rho = np.sqrt(kappa(eta, lam) * highs[0]) * 10 ** rng.uniform(-1, 1, 2000)
    found = norm_envelope(rho, lows, highs, eta, lam)
    for series in strategies(rng, lows, highs, 60):
        x = norms(rho, series, eta, lam)
        assert np.all(x >= found.lower * (1 - 1e-9)) and np.all(x <= found.upper * (1 + 1e-9))


def test_the_envelope_is_attained():
    """All 31³ series on a grid come as near to both ends as the grid is fine."""
    rng = np.random.default_rng(1)
    grid = np.array(list(product(np.linspace(0, 1, 31), repeat=3))).T
    for _ in range(40):
        a = rng.uniform(0, 1, 3)
        b = a + rng.uniform(0, 3, 3)
        coefficient, start = rng.uniform(0.01, 0.49), rng.uniform(0.05, 4)
        x = sequence(start, coefficient, a[:, None] + (b - a)[:, None] * grid)
        found = reachable(start, coefficient, a, b)
        np.testing.assert_allclose(x.max(axis=1), found.upper, rtol=1e-12)
        np.testing.assert_allclose(x.min(axis=1), found.lower, rtol=0.02)
        assert np.all(x.min(axis=1) >= found.lower * (1 - 1e-12))


def test_with_constant_bounds_the_lower_end_is_the_sequence_of_lemma_2():
    rng = np.random.default_rng(2)
    a, coefficient = 10 ** rng.uniform(-3, 0, 500), rng.uniform(1e-3, 0.5, 500)
    start = 10 ** rng.uniform(-2, 2, 500)
    lows, highs = np.broadcast_to(a, (50, 500)), np.broadcast_to(5 * a, (50, 500))
    found = reachable(start, coefficient, lows, highs)
    np.testing.assert_allclose(found.lower, sequence(start, coefficient, lows), rtol=1e-12)
    upper = sequence(start, coefficient, highs)
    assert np.all(found.upper >= upper * (1 - 1e-12))
    rising = found.lower[:-1] * found.upper[:-1] >= 5 * a / (1 - coefficient)
    safe = np.logical_and.accumulate(rising, axis=0)
    same = np.isclose(found.upper[1:], upper[1:], rtol=1e-9)
    assert np.all(same | ~safe) and 0 < safe.sum() < safe.size


def test_lemma_2_as_printed():
    """As far as its premise holds, and one step more; the next step may already break it."""
    rng = np.random.default_rng(4)
    broken = checked = 0
    for _ in range(300):
        coefficient, high = rng.uniform(0.01, 0.49), 10 ** rng.uniform(-2, 2)
        low = high * rng.uniform(0, 0.2)
        betas = np.where(rng.random(60) < 0.8, low, high)
        x = sequence(np.sqrt(high / coefficient) * 3, coefficient, betas)
        above = x > np.sqrt(high / (1 - coefficient))
        last = len(x) - 1 if above.all() else int(np.argmin(above))  # x_0 … x_{last−1} are above
        found = determined_bounds(x[:last], coefficient, low, high)
        assert len(found.lower) == len(found.upper) == last + 1
        assert np.all(found.lower <= x[: last + 1] * (1 + 1e-12))
        assert np.all(x[: last + 1] <= found.upper * (1 + 1e-12))
        if not above.all():
            checked += 1
            assert refuses(
                "x_t > √(b/(1 − α))", determined_bounds, x[: last + 1], coefficient, low, high
            )
            longer = sequence(x[0], coefficient, np.full(len(betas), high))
            broken += bool(np.any(x > longer * (1 + 1e-9)))
    assert checked > 100 and broken > 20  # the premise is not idle


def test_lemma_2_as_printed_broadcasts():
    found = determined_bounds([4.0, 3.6], [[0.1], [0.2]], 0.1, [0.5, 1.0, 2.0])
    assert found.lower.shape == found.upper.shape == (3, 2, 3)
    one = sequence(4.0, 0.2, [1.0, 1.0])
    np.testing.assert_allclose(found.upper[:, 1, 1], one)


@pytest.mark.parametrize("shape", [(), (3,)])
def test_an_empty_series_of_bounds_has_no_jump(shape):
    window = jump_window(np.ones(shape), [], [], 0.1, 0.1, 1e-3)
    assert window.latest.shape == window.earliest.shape == shape
    assert np.all(np.isinf(window.earliest)) and np.all(np.isinf(window.latest))


def test_with_constant_bounds_the_window_is_proposition_2():
    rng = np.random.default_rng(3)
    eta, q, lam = settings(rng, 300, smallest=0.02)
    low, high = gradient_bounds(rng, 300, widest=10)
    rho = np.sqrt(kappa(eta, lam) * high) * 10 ** rng.uniform(0, 1, 300)
    delta = q * rng.uniform(0.05, 0.9, 300)
    late = t_max(rho, low, high, eta, lam, delta)
    steps = int(late.max()) + 1
    series = [np.broadcast_to(g, (steps, 300)) for g in (low, high)]
    window = jump_window(rho, *series, eta, lam, delta)
    np.testing.assert_array_equal(window.earliest, t_min(rho, low, high, eta, lam, delta))
    assert np.mean(window.latest == late) > 0.99 and np.all(abs(window.latest - late) <= 1)


def test_local_bounds_bind_nothing_later():
    """docs/theory.md: η = 0.1, λ = 0.05, ρ_0 = 1, g̃_t = 1/(t + 1), bounds valid for ten steps."""
    eta, lam, t = 0.1, 0.05, np.arange(3000)
    g, low = 1 / (t + 1), 1 / (t + 10)
    x = squared_norms(1.0, g, eta, lam)[:-1]
    assert np.all(x[1:] > kappa(eta, lam) * g[1:])  # never inside the local interval (7)
    assert np.isclose(x[50] / (kappa(eta, lam) * g[50]), 31.4, atol=0.05)
    args = np.sqrt(x[50]), low[50], g[50], eta, lam, 0.001
    assert np.isclose(t_max(*args, "printed"), 350.2, atol=0.05)
    assert t_max(*args) == 295
    jumps = cosine_distance(np.sqrt(x), g, eta, lam) > 0.001
    assert np.flatnonzero(jumps[50:])[0] == 519
    window = jump_window(args[0], g[50:], g[50:], eta, lam, 0.001)
    assert window.earliest == window.latest == 519
    assert np.isinf(jump_window(args[0], g[50:60], g[50:60], eta, lam, 0.001).latest)


def test_trailing_shapes_broadcast():
    found = norm_envelope(np.ones(3), [[0.1], [0.2]], [[0.3], [0.4]], 0.1, [0.1, 0.2, 0.3])
    assert found.lower.shape == (3, 3)
    single = norm_envelope(1.0, [0.1, 0.2], [0.3, 0.4], 0.1, 0.2)
    np.testing.assert_allclose(found.upper[:, 1], single.upper)
    assert jump_window(np.ones(3), [0.1], [0.3], 0.1, 0.1, 1e-3).latest.shape == (3,)
    assert np.isclose(alpha(0.1, 0.2), 0.0396)
