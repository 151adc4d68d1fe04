"""Every printed number, and every exact one in closed form, against its formula spelt out.

Random η, λ, ρ, ℓ, L, δ, none of them 1, so that no power and no factor can hide.
"""

import numpy as np
import pytest

from limitcycle import theory

RNG = np.random.default_rng(0)
N = 200
ETA = 10 ** RNG.uniform(-3, 1, N)
Q = RNG.uniform(0.001, 0.24, N)  # ηλ
LAM = Q / ETA
RHO = 10 ** RNG.uniform(-1, 1, N)
HIGH = 10 ** RNG.uniform(-1, 1, N)
LOW = HIGH * RNG.uniform(0.6, 0.95, N)
TINY = 0.5 * Q * HIGH * RNG.uniform(0.1, 1.9, N)  # ℓ < 2ηλL
DELTA = Q * RNG.uniform(0.01, 0.3, N)
T = np.floor(10 ** RNG.uniform(0, 3, N))
MEAN = 10 ** RNG.uniform(-1, 1, N)

A, K = 2 * Q, np.sqrt(ETA / (2 * LAM))  # α, κ as printed
EA, EK = 1 - (1 - Q) ** 2, ETA / np.sqrt(1 - (1 - Q) ** 2)  # exact
FAR = np.sqrt(K * HIGH * 10 ** RNG.uniform(1, 3, N))  # ρ_0 above κL and both thresholds

TWO_FORMS = [
    (theory.alpha, (ETA, LAM), A, EA),
    (theory.kappa, (ETA, LAM), K, EK),
    (theory.effective_lr, (RHO, ETA, LAM), ETA / RHO**2, ETA / ((1 - Q) * RHO**2)),
    (
        theory.jump_threshold,
        (HIGH, ETA, LAM, DELTA),
        ETA * HIGH / ((1 - Q) * np.sqrt(2 * DELTA)),
        ETA * HIGH / ((1 - Q) * np.sqrt((1 - DELTA) ** -2 - 1)),
    ),
    (
        theory.possible_jump_threshold,
        (HIGH, ETA, LAM, DELTA),
        ETA * HIGH / np.sqrt(2 * DELTA),
        ETA * HIGH / ((1 - Q) * np.sqrt((1 - DELTA) ** -2 - 1)),
    ),
    (
        theory.guaranteed_jump_threshold,
        (LOW, ETA, LAM, DELTA),
        ETA * LOW / np.sqrt(2 * DELTA),
        ETA * LOW / ((1 - Q) * np.sqrt((1 - DELTA) ** -2 - 1)),
    ),
    (
        theory.distance_bounds,
        (RHO, LOW, HIGH, ETA, LAM),
        (ETA**2 * LOW**2 / (2 * RHO**4), ETA**2 * HIGH**2 / (2 * RHO**4)),
        tuple(1 - np.cos(np.arctan(ETA * g / ((1 - Q) * RHO**2))) for g in (LOW, HIGH)),
    ),
    (
        theory.largest_possible_delta,
        (LOW, HIGH, ETA, LAM),
        Q * HIGH**2 / LOW**2,
        1 - 1 / np.sqrt(1 + EA * HIGH**2 / ((1 - Q) * LOW) ** 2),
    ),
    (theory.largest_unavoidable_delta, (LOW, HIGH, ETA, LAM), Q * LOW**2 / HIGH**2, Q),
    (theory.smallest_low, (HIGH, ETA, LAM), A * HIGH, EA / (1 - EA) * HIGH),
    (theory.hop_threshold, (HIGH, ETA, LAM), A * HIGH, EA / (1 - EA) * EK * HIGH),
    (
        lambda *args, form: theory.largest_squared_norm(*args, form=form),
        (TINY, HIGH, ETA, LAM),
        (1 - Q) ** 2 * K * TINY + ETA**2 * HIGH**2 / (K * TINY),
        (1 - Q) ** 2 * EK * TINY + ETA**2 * HIGH**2 / (EK * TINY),
    ),
    (
        theory.mean_weight,
        (T, ETA, LAM),
        ETA**2 * (1 - (1 - Q) ** 2) / (1 - (1 - Q) ** (2 * T)),
        ETA**2 * (1 - (1 - Q) ** (2 * T)) / (1 - (1 - Q) ** 2),
    ),
    (theory.mean_weight_limit, (ETA, LAM), 2 * ETA**3 * LAM, ETA / (LAM * (2 - Q))),
    (
        theory.squared_norm_from_mean,
        (RHO, MEAN, T, ETA, LAM),
        (1 - Q) ** (2 * T) * RHO**2 + ETA**2 * (1 - (1 - Q) ** 2) / (1 - (1 - Q) ** (2 * T)) * MEAN,
        (1 - Q) ** (2 * T) * RHO**2 + ETA**2 * (1 - (1 - Q) ** (2 * T)) / (1 - (1 - Q) ** 2) * MEAN,
    ),
    (
        theory.time_at_product,
        (T, Q, Q / 3),
        3 * T,
        T * np.log(1 - 2 * EA) / np.log(1 - 2 * Q / 3 * (2 - Q / 3)),
    ),
]


def both(found):
    return (found.lower, found.upper) if isinstance(found, theory.Interval) else found


@pytest.mark.parametrize(("function", "args", "printed", "exact"), TWO_FORMS)
def test_printed_numbers_are_their_formulas(function, args, printed, exact):
    np.testing.assert_allclose(both(function(*args, form="printed")), printed, rtol=1e-10)
    np.testing.assert_allclose(both(function(*args, form="exact")), exact, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("form", ["printed", "exact"])
def test_intervals_are_their_formulas(form):
    k, root = (K, np.sqrt(2 * Q)) if form == "printed" else (EK, np.sqrt(EA))
    low = np.maximum(LOW, 1.001 * EA / (1 - EA) * HIGH)
    high = np.maximum(HIGH, low)
    low = np.maximum(low, 1.001 * EA / (1 - EA) * high)
    good = low <= high
    low, high, eta, lam = (each[good] for each in (low, high, ETA, LAM))
    assert good.sum() > 100
    found = theory.norm_interval(low, high, eta, lam, form)
    np.testing.assert_allclose(both(found), (k[good] * low, k[good] * high), rtol=1e-10)
    found = theory.effective_lr_interval(low, high, eta, lam, form)
    np.testing.assert_allclose(both(found), (root[good] / high, root[good] / low), rtol=1e-10)


def test_printed_times_are_their_formulas():
    delta = 0.3 * Q * LOW**2 / HIGH**2
    end = ETA / np.sqrt(2 * delta)
    five = np.log((FAR**2 - K * LOW) / (end * HIGH - K * LOW)) / -np.log(1 - 4 * Q)
    six = np.log((FAR**2 - K * HIGH) / (end * LOW - K * HIGH)) / -np.log(1 - 2 * Q)
    assert np.all(six > 0) and np.all(five > 0)
    args = FAR, LOW, HIGH, ETA, LAM, delta
    np.testing.assert_allclose(theory.t_min(*args, "printed"), five, rtol=1e-10)
    np.testing.assert_allclose(theory.t_max(*args, "printed"), six, rtol=1e-10)


def test_closed_t_min_is_its_formula():
    end = ETA * HIGH / ((1 - Q) * np.sqrt((1 - DELTA) ** -2 - 1))
    whole = np.log((FAR**4 - (EK * LOW) ** 2) / (end**2 - (EK * LOW) ** 2))
    expected = whole / -np.log((1 - Q) ** 4 - EA * ETA**2 * LOW**2 / end**2)
    found = theory.t_min_closed(FAR, LOW, HIGH, ETA, LAM, DELTA)
    np.testing.assert_allclose(found, np.maximum(0, expected), rtol=1e-9)


def test_bounds_of_sequences_are_their_formulas():
    beta, rest = (ETA * HIGH) ** 2, ETA * HIGH / np.sqrt(A)
    start, t = rest * (1 + MEAN), np.minimum(T, 50)
    args = start, A, beta, t
    printed = [rest + factor**t * (start - rest) for factor in (1 - 2 * A, 1 - A)]
    np.testing.assert_allclose(both(theory.convergence_bounds(*args, "printed")), printed)
    rates = 1 - 2 * A, (1 - A) ** 2 - A**2 * rest**2 / start**2
    exact = [np.sqrt(rest**2 + rate**t * (start**2 - rest**2)) for rate in rates]
    np.testing.assert_allclose(both(theory.convergence_bounds(*args)), exact, rtol=1e-12)
    for form, (low, high) in (("printed", printed), ("exact", exact)):
        np.testing.assert_allclose(theory.lower_bound(*args, form), low)
        np.testing.assert_allclose(theory.upper_bound(*args, form), high)


def test_settling_is_its_formula():
    beta, rest = (ETA * HIGH) ** 2, EK * HIGH
    gamma, tolerance = 1 + 30 * MEAN, 0.1 * RHO
    ratio = (gamma**2 - 1) / ((1 + tolerance) ** 2 - 1)
    steps = np.log(ratio) / -np.log((1 - EA) ** 2 - EA**2 / gamma**2)
    expected = np.maximum(0, np.ceil(steps))
    found = theory.settling_steps(gamma * rest, EA, beta, tolerance)
    np.testing.assert_array_equal(found, expected)
    rho = np.sqrt(gamma * rest)
    np.testing.assert_array_equal(theory.settling_time(rho, HIGH, ETA, LAM, tolerance), expected)


def test_formulas_without_two_forms():
    np.testing.assert_allclose(theory.growth_threshold(ETA, LAM), np.sqrt(Q * (2 - Q)))
    np.testing.assert_allclose(theory.equilibrium_angle(ETA, LAM), np.arccos(1 - Q), rtol=1e-9)
    cross = theory.crossover_delta(ETA, LAM)
    np.testing.assert_allclose((1 - Q) ** 2 * (1 - cross / 2), (1 - cross) ** 2)
    np.testing.assert_allclose(theory.stationary_point(A, MEAN), np.sqrt(MEAN / A))
    ends = theory.limit_interval(A, LOW**2, LOW**2 * 1.01)
    np.testing.assert_allclose(both(ends), (LOW / np.sqrt(A), LOW * np.sqrt(1.01 / A)))
    made = theory.canonical(RHO, ETA, LAM)
    np.testing.assert_allclose(made.eta, ETA / RHO**2)
    np.testing.assert_allclose(made.lam, LAM * RHO**2)
    leak = 0.3 * RHO * MEAN
    expected = ((1 - Q) * RHO) ** 2 - 2 * (1 - Q) * ETA * leak + ETA**2 * MEAN**2
    np.testing.assert_allclose(theory.next_squared_norm(RHO, MEAN, ETA, LAM, leak), expected)
