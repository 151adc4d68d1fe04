"""The two-dimensional oscillator: everything the theory says, on one run without a network."""

import numpy as np

from limitcycle.theory import (
    distance_bounds,
    growth_threshold,
    jump_threshold,
    largest_squared_norm,
    norm_grows,
    rayleigh,
    rayleigh_gradient,
    rayleigh_oscillator,
    t_max,
    t_min,
)

ETA, LAM = 0.1, 0.05
RUN = rayleigh_oscillator(steps=4000)


def test_it_oscillates():
    loss = rayleigh(RUN.x)
    jumps = np.flatnonzero((loss[1:] > 1.2) & (loss[:-1] < 1.2))
    assert 15 < len(jumps) < 30
    gaps = np.diff(jumps[1:])
    assert np.all((gaps > 80) & (gaps < 400))
    assert np.all(RUN.squared_norm[jumps] < ETA / (1 - ETA * LAM))  # the minimum became unstable


def test_effective_gradient_is_the_sine_of_twice_the_angle():
    angle = np.arctan2(RUN.x[:, 1], RUN.x[:, 0])
    np.testing.assert_allclose(RUN.effective_gradient, np.abs(np.sin(2 * angle)), rtol=1e-9)
    assert RUN.effective_gradient.max() <= 1


def test_the_gradient_keeps_its_digits_next_to_the_minimum():
    """On (1, ε) the gradient is (−2ε², 2ε) to leading order."""
    np.testing.assert_allclose(rayleigh_gradient([1.0, 1e-80]), [-2e-160, 2e-80], rtol=1e-12)


def test_the_norm_grows_above_the_line():
    grew = np.diff(RUN.squared_norm) > 0
    assert np.array_equal(norm_grows(RUN.cosine_distance, ETA, LAM), grew)
    above = ETA * RUN.effective_gradient / RUN.squared_norm > growth_threshold(ETA, LAM)
    assert np.array_equal(above[:-1], grew)


def test_every_distance_lies_between_its_bounds():
    """ℓ and L over windows of ten steps around each."""
    g = RUN.effective_gradient[:-1].reshape(-1, 10)
    low, high = (np.repeat(f(axis=1), 10) for f in (g.min, g.max))
    found = distance_bounds(np.sqrt(RUN.squared_norm[:-1]), low, high, ETA, LAM)
    assert np.all(found.lower <= RUN.cosine_distance + 1e-30 + 1e-9 * found.lower)
    assert np.all(found.upper >= RUN.cosine_distance * (1 - 1e-9) - 1e-30)


def test_first_jumps_lie_between_the_times():
    """For many starts and δ, with ℓ and L of the run itself up to its first δ-jump."""
    checked = 0
    for offset in range(440, 3000, 37):
        for delta in (0.0005, 0.002, 0.004):
            jumps = np.flatnonzero(RUN.cosine_distance[offset:] > delta)
            first = jumps[0]
            g = RUN.effective_gradient[offset : offset + first + 1]
            args = np.sqrt(RUN.squared_norm[offset]), g.min(), g.max(), ETA, LAM, delta
            assert t_min(*args) <= first <= t_max(*args)
            checked += first > 0
    assert checked > 100


def test_below_the_threshold_it_jumps():
    threshold = jump_threshold(RUN.effective_gradient[:-1], ETA, LAM, 0.1)
    assert np.array_equal(RUN.squared_norm[:-1] < threshold, RUN.cosine_distance > 0.1)


def test_the_norm_stays_bounded():
    """With ℓ and L of each stretch of twenty steps; for most of them it is the first norm."""
    g = RUN.effective_gradient[:-1].reshape(-1, 20)
    x = np.append(RUN.squared_norm[:-1].reshape(-1, 20), RUN.squared_norm[20::20, None], axis=1)
    bound = largest_squared_norm(g.min(axis=1), g.max(axis=1), ETA, LAM, np.sqrt(x[:, 0]))
    assert np.all(x.max(axis=1) <= bound * (1 + 1e-9))
    assert 0.5 < np.mean(np.isclose(x.max(axis=1), bound)) < 1


def test_the_effective_gradient_vanishes():
    effective = RUN.effective_gradient
    assert effective.min() < 1e-80
    deep = np.flatnonzero((effective[1:] < 1e-10) & (effective[:-1] >= 1e-10))
    assert len(deep) > 5
