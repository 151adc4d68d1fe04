"""A.4: sequences with constant and varying β, inside the premises and at their edges."""

import numpy as np
import pytest

from limitcycle.theory import (
    contraction,
    convergence_bounds,
    covered,
    landmarks,
    limit_interval,
    lower_bound,
    phi,
    sequence,
    settling_steps,
    stationary_point,
    upper_bound,
    upper_bound_for_ever,
)
from limitcycle.theory.premises import PremiseError
from tests.theory.support import refuses, strategies

STEPS = 80
T = np.arange(STEPS + 1)[:, None]


def cases(seed, n=3000):
    """α up to both ends, b = 1 to 1e6 times a, starts on both sides of the interval."""
    rng = np.random.default_rng(seed)
    alpha = np.where(rng.random(n) < 0.2, 0.5 - 10 ** rng.uniform(-12, -1, n),
                     10 ** rng.uniform(-4, np.log10(0.5), n)) * (1 - 1e-12)  # fmt: skip
    high = 10 ** rng.uniform(-3, 3, n)
    low = high * 10 ** rng.uniform(-6, 0, n)
    start = np.sqrt(high / alpha) * 10 ** rng.uniform(-3, 3, n)
    return rng, alpha, low, high, start


def test_the_sequence_is_the_recursion():
    x = sequence(2.0, 0.25, [1.0, 0.0, 3.0])
    np.testing.assert_allclose(x, [2, 2, 1.5, 1.125 + 2])
    assert sequence(np.ones(3), 0.25, np.ones((5, 1))).shape == (6, 3)


def test_the_stationary_point_rests():
    _, alpha, low, _, _ = cases(0)
    rest = stationary_point(alpha, low)
    np.testing.assert_allclose(sequence(rest, alpha, low[None])[1], rest, rtol=1e-12)


def test_eqs_13a_to_13g():
    rng, alpha, _, _, _ = cases(1)
    marks = landmarks(alpha)
    assert np.all((marks.hop <= marks.turn) & (marks.turn <= marks.lowest) & (marks.lowest <= 1))
    clear = alpha < 0.49
    assert np.all((marks.hop < marks.turn) & (marks.turn < marks.lowest), where=clear)
    np.testing.assert_allclose(phi(marks.hop, alpha), 1, rtol=1e-12)  # (13c)
    np.testing.assert_allclose(phi(marks.turn, alpha), marks.lowest, rtol=1e-12)  # (13g)
    below, above = rng.random(3000) * (1 - 1e-6), 1 + 10 ** rng.uniform(-6, 3, 3000)
    assert np.all(phi(below, alpha) > below)  # (13a)
    assert np.all((phi(above, alpha) < above) & (phi(above, alpha) > 1 - 1e-15))  # (13b)
    inside = marks.hop + (1 - marks.hop) * (0.001 + 0.998 * rng.random(3000))
    assert np.all(phi(inside, alpha) < 1 + 1e-15)  # (13d)
    assert np.all(phi(marks.hop * (0.999 * rng.random(3000) + 1e-9), alpha) > 1)
    falling = np.sort(rng.random((2, 3000)), axis=0) * marks.turn
    assert np.all(phi(falling[0], alpha) >= phi(falling[1], alpha))  # (13e)
    rising = marks.turn * (1 + np.sort(rng.random((2, 3000)), axis=0))
    assert np.all(phi(rising[0], alpha) <= phi(rising[1], alpha) * (1 + 1e-15))  # (13f)


def test_eq_14_with_the_exact_point():
    rng, alpha, _, _, _ = cases(2)
    gamma = 10 ** rng.uniform(-2, 3, 3000)
    factor = contraction(gamma, alpha)
    np.testing.assert_allclose(phi(gamma, alpha) - 1, factor * (gamma - 1), rtol=1e-7, atol=1e-12)
    derivative = 1 - alpha - alpha / np.sqrt(gamma) ** 2
    np.testing.assert_allclose(factor, derivative, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("side", [1e-6, 0.1, 1e3])
def test_lemma_1_encloses_and_the_exact_form_is_sharper(side):
    _, alpha, beta, _, _ = cases(3)
    start = stationary_point(alpha, beta) * (1 + side)
    x = sequence(start, alpha, np.broadcast_to(beta, (STEPS, 3000)))
    printed = convergence_bounds(start, alpha, beta, T, "printed")
    exact = convergence_bounds(start, alpha, beta, T)
    room = 1e-12
    for bounds in (printed, exact):
        assert np.all(bounds.lower <= x * (1 + room)) and np.all(x <= bounds.upper * (1 + room))
    assert np.all(exact.lower >= printed.lower * (1 - room))
    assert np.all(exact.upper <= printed.upper * (1 + room))


def test_lemma_1_without_gradient():
    found = convergence_bounds(2.0, 0.1, 0.0, 5)
    np.testing.assert_allclose(found.upper, 2 * 0.9**5, rtol=1e-12)
    assert found.lower < found.upper
    assert convergence_bounds(2.0, 0.1, 0.0, 5, "printed").lower == 2 * 0.8**5


def test_corollary_2_against_adversaries():
    rng, alpha, low, high, start = cases(4)
    fall, top = start > np.sqrt(low / alpha), start > np.sqrt(high / alpha)
    for roots in strategies(rng, np.sqrt(low), np.sqrt(high), STEPS):
        x = sequence(start, alpha, np.clip(roots**2, low, high))
        for form in ("printed", "exact"):
            least = lower_bound(start[fall], alpha[fall], low[fall], T, form)
            assert np.all(x[:, fall] >= least * (1 - 1e-12))
            most = upper_bound(start[top], alpha[top], high[top], T, form)
            speaks = covered(x[:, top], alpha[top], high[top])
            assert np.all((x[:, top] <= most * (1 + 1e-12)) | ~speaks)


def test_corollary_2_fails_after_a_hop_if_while_is_read_step_by_step():
    """docs/theory.md: α = 0.1, b = 1, x_0 = 4, β = 0 down to 0.319, then β = 1."""
    betas = np.zeros(25)
    betas[24] = 1
    x = sequence(4.0, 0.1, betas)
    assert np.isclose(x[24], 0.319066, atol=1e-6) and np.isclose(x[25], 3.421309, atol=1e-6)
    bound = upper_bound(4.0, 0.1, 1.0, 25, "printed")
    assert np.isclose(bound, 3.222418, atol=1e-6)
    assert covered(x, 0.1, 1.0, "printed")[25] and not covered(x, 0.1, 1.0)[25]
    assert x[25] > bound


def test_corollary_2_speaks_up_to_the_first_x_below():
    """That x itself included, since all earlier ones were above."""
    x = sequence(4.0, 0.1, np.zeros(40))
    below = int(np.argmax(x < np.sqrt(0.1) / 0.9))
    exact, printed = covered(x, 0.1, 1.0), covered(x, 0.1, 1.0, "printed")
    assert exact[: below + 1].all() and not exact[below + 1 :].any()
    assert printed[:below].all() and not printed[below:].any()


def test_covered_takes_time_along_the_first_axis():
    x = np.tile(sequence(40.0, 0.1, np.zeros(9))[:, None], 10)  # as many columns as rows
    high = np.linspace(0.5, 100, 10)
    found = covered(x, 0.1, high, "printed")
    for column in range(10):
        np.testing.assert_array_equal(
            found[:, column], covered(x[:, 0], 0.1, high[column], "printed")
        )
    assert covered(x[:, 0], [0.1, 0.2], 1.0).shape == (10, 2)


@pytest.mark.parametrize("aside", [1e-9, 0.1])
def test_the_edges_of_remark_2_and_proposition_5(aside):
    _, alpha, _, high, _ = cases(8)
    alpha = np.minimum(alpha, 0.45)
    least, start = (alpha / (1 - alpha)) ** 2 * high, np.sqrt(high / alpha)
    inside = np.minimum(least * (1 + aside), high), start * (1 + aside)
    assert np.all(upper_bound_for_ever(inside[1], alpha, inside[0], high))
    assert not np.any(upper_bound_for_ever(start * (1 - aside), alpha, inside[0], high))
    assert not np.any(upper_bound_for_ever(inside[1], alpha, least * (1 - aside), high))
    limit_interval(alpha, inside[0], high)
    for i in range(0, 3000, 100):
        one = alpha[i], least[i] * (1 - aside), high[i]
        assert refuses("α/(1 − α)·√b ≤ √a", limit_interval, *one)


def test_remark_2():
    rng, alpha, low, high, start = cases(5)
    always = upper_bound_for_ever(start, alpha, low, high)
    assert 100 < always.sum() < 2900
    for roots in strategies(rng, np.sqrt(low), np.sqrt(high), STEPS):
        x = sequence(start, alpha, np.clip(roots**2, low, high))[:, always]
        assert covered(x, alpha[always], high[always]).all()


def test_proposition_5():
    rng, alpha, low, high, start = cases(6, 1000)
    alpha = np.maximum(alpha, 0.02)
    low = np.maximum(low, high * (alpha / (1 - alpha)) ** 2 * (1 + 1e-12))
    start = np.maximum(start, 1e-2 * np.sqrt(high / alpha))
    found = limit_interval(alpha, low, high)
    for roots in strategies(rng, np.sqrt(low), np.sqrt(high), 800):
        x = sequence(start, alpha, np.clip(roots**2, low, high))[-100:]
        assert np.all(x >= found.lower * (1 - 1e-3)) and np.all(x <= found.upper * (1 + 1e-3))


def test_proposition_5_needs_its_condition():
    """Just below it, a sequence leaps over the interval again and again."""
    alpha, high = 0.19, 1.0
    low = (0.98 * alpha / (1 - alpha)) ** 2
    betas = np.tile([*[low] * 40, high], 50)
    x = sequence(1.0, alpha, betas)
    assert np.all(x[41::41] > np.sqrt(high / alpha) * 1.001)


def test_settling_steps_are_enough_and_not_many_more():
    rng, alpha, _, high, _ = cases(7)
    alpha = np.clip(alpha, 0.02, 0.45)
    start = np.sqrt(high / alpha) * (1 + 10 ** rng.uniform(-1, 3, 3000))
    tolerance = 10 ** rng.uniform(-3, -0.5, 3000)
    found = settling_steps(start, alpha, high, tolerance)
    x = sequence(start, alpha, np.broadcast_to(high, (int(found.max()), 3000)))
    inside = x <= (1 + tolerance) * np.sqrt(high / alpha)
    needed = inside.argmax(axis=0)
    assert np.all(inside.any(axis=0)) and np.all(needed <= found)
    assert np.all(found <= 1.6 * needed + 2)


@pytest.mark.parametrize(("alpha", "leaps"), [(0.45, False), (0.5, True), (0.7, True)])
def test_from_alpha_one_half_on_neighbours_leap(alpha, leaps):
    gamma = 1 - 1e-6
    after = (1 - alpha) * gamma + alpha / gamma
    assert (after > 1) == leaps
    if leaps:
        with pytest.raises(PremiseError, match="1/2"):
            phi(gamma, alpha)
    else:
        assert phi(gamma, alpha) == pytest.approx(after)
