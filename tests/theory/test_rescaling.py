"""Proposition 4 on real runs."""

import numpy as np
import pytest

from limitcycle.theory import canonical, rayleigh, rayleigh_oscillator, rescaled

START = np.array([1.0, 0.5, -0.3])


def train(setting, steps=800):
    return rayleigh_oscillator(
        setting.start, float(setting.eta.flat[0]), float(setting.lam.flat[0]), steps, (1, 2, 4)
    )


@pytest.mark.parametrize("c", [0.25, 2.0, 64.0])
def test_powers_of_two_give_the_same_bits(c):
    one, other = train(rescaled(START, 0.1, 0.05, 1)), train(rescaled(START, 0.1, 0.05, c))
    np.testing.assert_array_equal(other.x, c * one.x)
    np.testing.assert_array_equal(rayleigh(other.x, (1, 2, 4)), rayleigh(one.x, (1, 2, 4)))
    np.testing.assert_array_equal(other.cosine_distance, one.cosine_distance)


def test_any_scale_up_to_rounding():
    """Up to the first jump: after it the oscillator amplifies rounding."""
    one = train(rescaled(START, 0.1, 0.05, 1), 150)
    other = train(rescaled(START, 0.1, 0.05, 3.7), 150)
    np.testing.assert_allclose(other.x, 3.7 * one.x, rtol=1e-9, atol=1e-12)


def test_equivalent_settings_have_one_canonical_form():
    rng = np.random.default_rng(0)
    rho, eta, lam, c = 10 ** rng.uniform(-2, 2, (4, 1000))
    one, other = canonical(rho, eta, lam), rescaled(rho, eta, lam, c)
    two = canonical(other.start, other.eta, other.lam)
    np.testing.assert_allclose(two.eta, one.eta, rtol=1e-12)
    np.testing.assert_allclose(two.lam, one.lam, rtol=1e-12)
    np.testing.assert_allclose(one.eta * one.lam, eta * lam, rtol=1e-12)
    assert np.all(one.start == 1)


def test_another_product_is_another_run():
    one, other = (
        train(rescaled(START, 0.1, 0.05, 1), 300),
        train(rescaled(START, 0.1, 0.06, 1), 300),
    )
    assert not np.allclose(rayleigh(one.x, (1, 2, 4)), rayleigh(other.x, (1, 2, 4)))
