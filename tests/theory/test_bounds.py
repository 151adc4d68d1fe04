"""Eq. (17) and its fit."""

import numpy as np
import pytest

from limitcycle.theory import fit_power_bounds, free_decay, power_bound, turning_time


def stretch(seed, power=1.0, n=2000):
    rng = np.random.default_rng(seed)
    t = 100 + np.arange(1, n + 1.0)
    return t, 5 * np.exp(rng.normal(scale=0.3, size=n)) / (t - 100) ** power


def test_power_bound():
    np.testing.assert_allclose(power_bound([11, 12, 20], 10, 3), [3, 1.5, 0.3])
    np.testing.assert_allclose(power_bound([11, 12, 20], 10, 3, 2), [3, 0.75, 0.03])


@pytest.mark.parametrize(("low_power", "high_power"), [(1, 1), (2, 1), (0.5, 1.5)])
def test_the_whole_share_encloses_every_step_tightly(low_power, high_power):
    for seed in range(50):
        t, g = stretch(seed)
        fit = fit_power_bounds(t, g, 100, low_power=low_power, high_power=high_power)
        assert fit.inside == 1
        valid = t >= fit.valid_from
        ends = fit.at(t[valid])
        assert np.all(ends.lower <= g[valid]) and np.all(g[valid] <= ends.upper)
        assert np.isclose((g[valid] / ends.lower).min(), 1)
        assert np.isclose((ends.upper / g[valid]).min(), 1)
        np.testing.assert_allclose(
            ends.lower, power_bound(t[valid], 100, fit.low_constant, low_power)
        )


def test_constants_follow_the_rule():
    t, g = np.array([1.0, 2, 3, 4, 5]), np.array([9.0, 1, 1, 2, 0.2])
    fit = fit_power_bounds(t, g, 0, skip=0.3)
    assert fit.valid_from == 2
    assert np.isclose(fit.low_constant, 1) and np.isclose(fit.high_constant, 8)
    assert np.isnan(fit.at(1).lower) and np.isclose(fit.at(4).upper, 2)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.98])
def test_a_smaller_share_is_about_that_share(share):
    t, g = stretch(1)
    fit = fit_power_bounds(t, g, 100, share=share, skip=0)
    assert abs(fit.inside - share) < 0.01
    whole = fit_power_bounds(t, g, 100, skip=0)
    assert whole.low_constant < fit.low_constant < fit.high_constant < whole.high_constant


def test_the_first_step_itself_has_no_bound():
    fit = fit_power_bounds([0, 1, 2], [1.0, 1.0, 1.0], 0, skip=0)
    assert fit.valid_from == 1


@pytest.mark.parametrize("power", [1.0, 2.0])
@pytest.mark.parametrize("product", [0.1, 0.01, 1e-4])
def test_the_bounds_turn_where_it_is_said(power, product):
    eta = 0.1
    lam = product / eta
    t = np.linspace(0.2, 5, 100_001) / product
    norm = free_decay(3.0, t, eta, lam)
    distance = (eta * power_bound(t, 0.0, 7.0, power)) ** 2 / (2 * norm**4)
    turn = t[np.argmin(distance)]
    assert turn == pytest.approx(turning_time(eta, lam, power), abs=2 * (t[1] - t[0]))
    assert turning_time(eta, lam, power, "printed") == pytest.approx(power / (2 * product))
