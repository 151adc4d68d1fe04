"""Proposition 2: no admissible run beats the exact times, and some run attains them."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from limitcycle.theory import (
    cosine_distance,
    jump_threshold,
    kappa,
    largest_possible_delta,
    largest_unavoidable_delta,
    squared_norms,
    t_max,
    t_max_closed,
    t_min,
    t_min_closed,
    time_at_product,
)
from tests.theory.support import (
    distances,
    first_jump,
    gradient_bounds,
    norms,
    refuses,
    settings,
    strategies,
)

ASIDE = 1e-9


def early_cases(seed, n=1500):
    rng = np.random.default_rng(seed)
    eta, _, lam = settings(rng, n, smallest=0.01)
    low, high = gradient_bounds(rng, n)
    low = np.where(rng.random(n) < 0.1, 0, low)
    share = np.where(rng.random(n) < 0.2, 1 - 10 ** rng.uniform(-6, -1, n), rng.random(n))
    delta = np.clip(share * largest_possible_delta(low, high, eta, lam), 1e-4, 0.99)
    delta = np.minimum(delta, (1 - 1e-7) * largest_possible_delta(low, high, eta, lam))
    start = np.maximum(jump_threshold(high, eta, lam, delta), kappa(eta, lam) * low)
    rho = np.sqrt(start) * 10 ** rng.uniform(-0.1, 1, n)
    return rng, (rho, low, high, eta, lam, delta)


def late_cases(seed, n=1000):
    rng = np.random.default_rng(seed)
    eta, q, lam = settings(rng, n, smallest=0.01)
    low, high = gradient_bounds(rng, n, widest=30)
    delta = q * rng.uniform(0.01, 0.95, n)
    rho = np.sqrt(jump_threshold(low, eta, lam, delta)) * 10 ** rng.uniform(-0.2, 1.5, n)
    return rng, (rho, low, high, eta, lam, delta)


def test_no_run_jumps_before_t_min_and_one_jumps_then():
    rng, args = early_cases(0)
    rho, low, high, eta, lam, delta = args
    found = t_min(*args)
    steps = int(found.max()) + 1
    assert steps > 100
    for series in strategies(rng, low, high, steps):
        distance = distances(norms(rho, series, eta, lam), series, eta, lam)
        assert np.all(first_jump(distance, delta * (1 + ASIDE)) >= found)
    fastest = np.where(np.arange(steps)[:, None] < found, low, high)
    distance = distances(norms(rho, fastest, eta, lam), fastest, eta, lam)
    assert np.all(first_jump(distance, delta * (1 - ASIDE)) <= found)


def evade(rho, wishes, low, eta, lam, delta):
    """Follow the wished g̃ as far as it is no δ-jump, never below ℓ."""
    series = np.empty(wishes.shape)
    tangent = np.tan(np.arccos(1 - delta)) * (1 - 1e-12)
    for t, wish in enumerate(wishes):
        series[t] = np.maximum(low, np.minimum(wish, tangent * (1 - eta * lam) * rho**2 / eta))
        rho = np.hypot((1 - eta * lam) * rho, eta * series[t] / rho)
    return series


@pytest.mark.slow
def test_every_run_has_jumped_by_t_max_and_one_only_then():
    rng, args = late_cases(1)
    rho, low, high, eta, lam, delta = args
    found = t_max(*args)
    steps = int(found.max()) + 1
    assert steps > 200
    for wishes in strategies(rng, low, high, steps):
        for series in (wishes, evade(rho, wishes, low, eta, lam, delta)):
            distance = distances(norms(rho, series, eta, lam), series, eta, lam)
            assert np.all(first_jump(distance, delta * (1 - ASIDE)) <= found)
    slowest = evade(rho, np.broadcast_to(high, (steps, len(high))), low, eta, lam, delta)
    distance = distances(norms(rho, slowest, eta, lam), slowest, eta, lam)
    assert np.mean(first_jump(distance, delta) == found) > 0.995


def test_closed_forms_bracket_the_exact_times():
    _, args = early_cases(2)
    rho, low, high, eta, lam, delta = args
    exact, closed = t_min(*args), t_min_closed(*args)
    assert np.all(closed <= exact)
    end, rest = jump_threshold(high, eta, lam, delta), kappa(eta, lam) * low
    log = np.log(np.maximum(1, (rho**4 - rest**2) / (end**2 - rest**2)))
    assert np.all(exact < closed + 1 + 0.75 * log + 1e-9)
    small = eta * lam < 0.03
    assert np.all((exact < closed + 1 + 0.28 * log + 1e-9)[small])
    _, args = late_cases(3)
    exact, closed = t_max(*args), t_max_closed(*args)
    assert np.all(closed >= exact) and np.median(closed - exact) <= 1


def test_slow_decay():
    """ηλ = 1e-5, as in a real training: the closed form is within a step or two."""
    args = 3.0, 0.1, 1.0, 0.01, 0.001, 1e-6
    assert 0 <= t_min(*args) - t_min_closed(*args) < 2
    args = 3.0, 0.5, 1.0, 0.01, 0.001, 1e-6
    assert 0 <= t_max_closed(*args) - t_max(*args) <= 2


def test_printed_times_are_zero_below_the_printed_threshold():
    assert t_min(0.8, 0.7, 1.1, 0.1, 0.2, 0.004, "printed") == 0


def test_where_a_jump_is_certain_at_once_nothing_else_is_asked():
    assert t_max(0.1, 1, 2, 0.1, 0.1, 0.5) == 0
    assert t_max_closed(0.1, 1, 2, 0.1, 0.1, 0.5) == 0
    assert t_min(0.1, 1, 1, 0.1, 0.1, 0.5) == 0


def test_at_the_threshold_itself_the_step_is_no_jump():
    args = 1.0, 1.0, 0.5, 0.2, 0.05
    rho = np.sqrt(jump_threshold(*args[1:]))
    assert t_min(rho * (1 + 1e-12), 1, 1, 0.5, 0.2, 0.05) == 1
    assert t_min(rho * (1 - 1e-12), 1, 1, 0.5, 0.2, 0.05) == 0


@pytest.mark.parametrize("form", ["printed", "exact"])
def test_largest_possible_delta_is_the_premise_of_t_min(form):
    rng = np.random.default_rng(4)
    eta, q, lam = settings(rng, 300, smallest=0.05, largest=0.24)
    low, high = gradient_bounds(rng, 300, widest=3)
    edge = largest_possible_delta(low, high, eta, lam, form)
    rho = np.sqrt(kappa(eta, lam) * high) * 3
    inside = edge * 0.999 < 0.99
    args = [each[inside] for each in (rho, low, high, eta, lam)]
    t_min(*args, 0.999 * edge[inside], form)
    for i in np.flatnonzero(1.001 * edge < 1)[:50]:
        one = [each[i] for each in (rho, low, high, eta, lam)]
        premise = "δ < ηλL²/ℓ²" if form == "printed" else "a δ-jump is possible"
        assert refuses(premise, t_min, *one, 1.001 * edge[i], form)
    equal = largest_possible_delta(high, high, eta, lam, form)
    np.testing.assert_allclose(equal, q, rtol=1e-12)


def test_possible_delta_without_a_lower_bound():
    assert largest_possible_delta(0, 1, 0.1, 0.1) == 1
    assert np.isinf(largest_possible_delta(0, 1, 0.1, 0.1, "printed"))


def test_printed_possible_delta_is_too_generous():
    """docs/theory.md: η = 0.1, λ = 0.05, ℓ = 0.1, L = 1, δ = 0.4: printed yes, but never."""
    args = 0.1, 1, 0.1, 0.05
    assert np.isclose(largest_possible_delta(*args, "printed"), 0.5)
    assert np.isclose(largest_possible_delta(*args), 0.2942, atol=1e-4)
    assert np.isclose(t_min(3, *args, 0.4, "printed"), 327.9, atol=0.1)
    lowest = squared_norms(3, np.full(5000, 0.1), 0.1, 0.05)
    assert np.all(cosine_distance(np.sqrt(lowest), 1, 0.1, 0.05) < 0.4)


def test_a_jump_below_the_product_cannot_be_avoided_and_from_it_on_can():
    rng, args = late_cases(5, 300)
    _, low, high, eta, lam, _ = args
    assert np.array_equal(largest_unavoidable_delta(low, high, eta, lam), eta * lam)
    rest = np.sqrt(kappa(eta, lam) * (low + rng.random(300) * (high - low)))
    series = np.broadcast_to(rest**2 / kappa(eta, lam), (500, 300))
    distance = distances(norms(rest, series, eta, lam), series, eta, lam)
    assert np.all(distance <= eta * lam * (1 + 1e-6))


def test_a_jump_just_below_the_product_comes_and_just_above_is_refused():
    _, (rho, low, high, eta, lam, _) = late_cases(7, 50)
    q = eta * lam
    assert np.all(np.isfinite(t_max(rho, low, high, eta, lam, q * (1 - 1e-4))))
    rho = np.sqrt(jump_threshold(low, eta, lam, q * (1 + 1e-9))) * 1.01
    for i in range(50):
        args = [each[i] for each in (rho, low, high, eta, lam)]
        for bound in (t_max, t_max_closed):
            assert refuses("δ < ηλ", bound, *args, q[i] * (1 + 1e-9))


@pytest.mark.parametrize(("bound", "g"), [(t_min, 0.7), (t_max, 1.1)])
def test_printed_times_need_a_start_above_the_stationary_point(bound, g):
    edge, rest = np.sqrt(0.1 / 0.4) * g, (0.7, 1.1, 0.1, 0.2, 0.004)
    premise = "ρ₀² > κℓ" if bound is t_min else "ρ₀² > κL"
    for factor in (0.9, 0.95, 1 - 1e-9):
        assert refuses(premise, bound, np.sqrt(factor * edge), *rest, "printed")
    assert bound(np.sqrt(1.0001 * edge), *rest, "printed") == 0


def shrinking_time(delta, eta, lam):
    """Steps from T(L) to T(ℓ) = T(L)/10 by 50 digits, with the floats as they are."""
    with localcontext() as context:
        context.prec = 50
        q = Decimal(eta) * Decimal(lam)
        return float(Decimal(10).ln() / (2 * ((1 - Decimal(delta)) / (1 - q)).ln()))


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-9, 1e-12])
def test_the_shrinking_part_close_to_the_product(gap):
    """δ = ηλ(1 − gap): exact as long as it can be counted, and a bound beyond that."""
    args = 3, 0.1, 1, 0.1, 0.05, 0.1 * 0.05 * (1 - gap)
    first, last = t_min(3, 1, 1, 0.1, 0.05, args[-1]), shrinking_time(args[-1], 0.1, 0.05)
    closed = t_max_closed(*args)
    assert first + last <= closed < (first + last) * (1 + 1e-14 / gap) + 6
    if gap < 1e-8:
        assert refuses("fewer than 10⁸ steps", t_max, *args)
    else:
        assert first + last - 1 < t_max(*args) <= first + last + 1


def test_far_starts():
    """A start of any length that can be squared; the logarithm of ρ_0 still counts."""
    near, far = (t_min_closed(rho, 0.1, 1, 0.1, 0.1, 0.01) for rho in (1e20, 1e150))
    assert np.isclose(far - near, 260 * np.log(10) / -np.log(0.99**2), rtol=1e-3)
    assert abs(t_min(1e150, 0.1, 1, 0.1, 0.1, 0.01) - far) < 300
    assert t_max(1e150, 0.5, 1, 0.1, 0.1, 0.005) <= t_max_closed(1e150, 0.5, 1, 0.1, 0.1, 0.005)
    for bound in (t_min, t_min_closed, t_max, t_max_closed):
        assert refuses("ρ₀² > 0", bound, 1e160, 0.5, 1, 0.1, 0.1, 0.005)


def test_5_is_too_early_by_any_factor():
    """docs/theory.md: large ηλ, and T(L) next to κℓ."""
    args = 1e20, 0, 1, 0.1, 2.4, 0.001
    assert np.isclose(t_min(*args, "printed"), 28.36, atol=0.01) and t_min(*args) == 166
    assert np.isclose(np.log(1 - 0.96) / (2 * np.log(1 - 0.24)), 5.86, atol=0.01)
    args = 3, 0.1, 1, 0.1, 0.05
    for delta, printed, exact in ((0.29, 279.7, 634), (0.294, 281.1, 780)):
        assert np.isclose(t_min(*args, delta, "printed"), printed, atol=0.05)
        assert t_min(*args, delta) == exact
    edge = largest_possible_delta(*args[1:])
    assert np.isclose(edge, 0.29422, atol=1e-5)
    assert t_min(*args, edge * (1 - 1e-12)) > 1700 and t_min(*args, edge, "printed") < 282
    # the lower side of Lemma 1, far above the stationary point, at α = 0.4
    assert np.isclose(np.log(1 - 0.8) / np.log(1 - 0.4), 3.15, atol=0.01)


def test_5_is_twice_too_early_for_small_products():
    """docs/theory.md: ρ_0 = 10, ℓ = 0, L = 1, η = 0.1, λ = 0.01, δ = 0.001."""
    args = 10, 0, 1, 0.1, 0.01, 0.001
    assert np.isclose(t_min(*args, "printed"), 948.2, atol=0.1)
    assert np.isclose(t_min_closed(*args), 1899.15, atol=0.01)
    assert t_min(*args) == 1900


def test_5_can_be_too_late():
    """docs/theory.md: ρ_0² = 0.2265, ℓ = L = 1, η = 0.1, λ = 1, δ = 0.0999: a jump at once."""
    args = np.sqrt(0.2265), 1, 1, 0.1, 1, 0.0999
    assert np.isclose(t_min(*args, "printed"), 6.367, atol=1e-3)
    assert t_min(*args) == 0
    assert np.isclose(cosine_distance(args[0], 1, 0.1, 1), 0.1022, atol=1e-4)


def test_6_can_be_too_short():
    """docs/theory.md: ρ_0 = 1e5, ℓ = L = 1, η = 0.1, λ = 1, δ = 0.001."""
    args = 1e5, 1, 1, 0.1, 1, 0.001
    assert np.isclose(t_max(*args, "printed"), 100.05, atol=0.01)
    assert t_max(*args) == 105
    x = squared_norms(1e5, np.ones(106), 0.1, 1)
    jumps = cosine_distance(np.sqrt(x), 1, 0.1, 1) > 0.001
    assert not jumps[:105].any() and jumps[105]


def test_premise_of_6_is_narrower_than_need_be():
    """docs/theory.md: ρ_0 = 3, ℓ = 0.1, L = 1, η = 0.1, λ = 0.05, δ = 0.004."""
    assert np.isclose(largest_unavoidable_delta(0.1, 1, 0.1, 0.05, "printed"), 5e-5)
    assert t_max(3, 0.1, 1, 0.1, 0.05, 0.004) == 1433


def test_corollary_1_inverse_proportion_fails():
    """docs/theory.md: t_min for ρ_0 = 3, ℓ = 0.5, L = 1, δ = 0.002, and twice the product."""
    times = [t_min(3, 0.5, 1, eta, lam, 0.002)
             for eta, lam in ((0.1, 0.05), (0.1, 0.1), (0.2, 0.05), (0.01, 1.0))]  # fmt: skip
    assert times == [179, 88, 53, 202]
    assert time_at_product(179, 0.005, 0.01, "printed") == 89.5


@pytest.mark.parametrize("cases", [early_cases, late_cases])
def test_corollary_1_what_is_left_of_it(cases):
    """With ρ_0, η, ℓ, L and δ fixed, more weight decay never makes a jump come later."""
    _, (rho, low, high, eta, lam, delta) = cases(6, 800)
    more = np.minimum(lam * 1.3, 0.29 / eta)
    time = t_min if cases is early_cases else t_max
    before = time(rho, low, high, eta, lam, delta)
    after = time(rho, low, high, eta, np.maximum(lam, more), delta)
    assert np.all(after <= before)


def test_time_at_product_is_the_law_of_the_bound():
    """(1 − 2α)^t falls to the same value."""
    new = time_at_product(100.0, 0.01, 0.03)
    first, second = 1 - 2 * 0.01 * 1.99, 1 - 2 * 0.03 * 1.97
    assert np.isclose(second**new, first**100)
    assert np.isclose(time_at_product(100, 1e-9, 2e-9), 50)


def test_times_broadcast():
    assert t_min(np.full((2, 1), 3.0), 0.1, 1, 0.1, [0.1, 0.2, 0.3], 0.01).shape == (2, 3)
    assert t_max(3, 1, 1, 0.1, [0.1, 0.2], [[0.001], [0.002]]).shape == (2, 2)
