"""The recursion of the norm against two-dimensional gradient descent."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from limitcycle.theory import growth_threshold, next_squared_norm

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
