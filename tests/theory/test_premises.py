"""Outside its premises every function raises an error that names the premise."""

import numpy as np
import pytest

from limitcycle import theory
from limitcycle.errors import UserError
from limitcycle.theory import PremiseError
from tests.theory.support import refuses

BEYOND = [
    ("0 ≤ ηλ < 1", theory.cosine, (1, 1, 2, 0.6)),
    ("0 ≤ ηλ < 1", theory.cosine_distance, (1, 1, 2, 0.5)),
    ("0 ≤ ηλ < 1", theory.cosine_distance, (1, 1, 2, -0.1)),
    ("η > 0", theory.cosine_distance, (1, 1, 0, 0.5)),
    ("ρ > 0", theory.cosine, (0, 1, 0.1, 0.1)),
    ("g̃ ≥ 0", theory.cosine, (1, -1, 0.1, 0.1)),
    ("ρ > 0", theory.effective_lr, (np.nan, 0.1, 0.1)),
    ("c > 0", theory.rescaled_gradient, ([1.0, 2.0], -1)),
    ("0 ≤ ηλ ≤ 2", theory.growth_threshold, (1, 2.1)),
    ("0 < ηλ < 1", theory.alpha, (0.1, 0)),
    ("0 < ηλ < 1", theory.kappa, (1, 1)),
    ("steps > 0", theory.mean_log_cosine, (1, 1, 0, 0.1, 0.1)),
    ("t ≥ 1", theory.mean_weight, (0, 0.1, 0.1)),
    ("0 < δ < 1", theory.jump_threshold, (1, 0.1, 0.1, 1.0)),
    ("0 < δ < 1", theory.possible_jump_threshold, (1, 0.1, 0.1, 0.0)),
    ("0 < δ < 1", theory.guaranteed_jump_threshold, (1, 0.1, 0.1, -1, "printed")),
    ("0 ≤ ℓ ≤ L", theory.distance_bounds, (1, 2, 1, 0.1, 0.1)),
    ("‖x_t‖ > 0", theory.measured_distance, ([0.0, 0.0], [1.0, 0.0])),
    ("δ > 0", theory.is_jump, ([1.0, 0.0], [1.0, 1.0], 0.0)),
    ("0 < α < 1/2", theory.phi, (1, 0.5)),
    ("0 < α < 1/2", theory.landmarks, (0,)),
    ("γ > 0", theory.contraction, (0, 0.1)),
    ("x₀ > √(β/α)", theory.convergence_bounds, (1, 0.1, 1, 3)),
    ("x₀ > √(β/α)", theory.lower_bound, (np.sqrt(10), 0.1, 1, 3, "printed")),
    ("t ≥ 0", theory.upper_bound, (10, 0.1, 1, -1)),
    ("α/(1 − α)·√b ≤ √a", theory.limit_interval, (0.1, 0.01, 1)),
    ("0 ≤ a ≤ b", theory.limit_interval, (0.1, 2, 1)),
    ("tolerance > 0", theory.settling_steps, (10, 0.1, 1, 0)),
    ("0 < α < 1", theory.reachable, (1, 1.0, [0.1], [0.2])),
    ("ρ₀ > 0", theory.norm_envelope, (0, [0.1], [0.2], 0.1, 0.1)),
    ("δ ≤ 1 − 1/√2", theory.jump_window, (1, [0.1], [0.2], 0.1, 0.1, 0.5)),
    ("ρ₀² > κL", theory.settling_time, (0.1, 1, 0.1, 0.1, 0.1)),
    ("0 < ηλ(2 − ηλ) < 1/2", theory.norm_interval, (1, 1, 1, 0.3)),
    ("0 < 2ηλ < 1/2", theory.norm_interval, (1, 1, 1, 0.25, "printed")),
    ("α/(1 − α)·L ≤ ℓ", theory.norm_interval, (0.21, 1, 1, 0.1)),
    ("2ηλL ≤ ℓ", theory.effective_lr_interval, (0.19, 1, 1, 0.1, "printed")),
    ("ℓ > 0", theory.largest_squared_norm, (0, 1, 0.1, 0.1)),
    ("ℓ < 2ηλL", theory.largest_squared_norm, (0.3, 1, 1, 0.1, None, "printed")),
    ("ℓ > 0", theory.largest_unavoidable_delta, (0, 1, 0.1, 0.1)),
    ("L > 0", theory.largest_possible_delta, (0, 0, 0.1, 0.1)),
    ("ρ₀² > κℓ", theory.t_min, (0.1, 1, 1, 0.1, 0.1, 0.001, "printed")),
    ("δ < ηλL²/ℓ²", theory.t_min, (3, 1, 1, 0.1, 0.1, 0.02, "printed")),
    ("a δ-jump is possible", theory.t_min, (3, 1, 1, 0.1, 0.1, 0.02)),
    ("a δ-jump is possible", theory.t_min_closed, (3, 1, 1, 0.1, 0.1, 0.02)),
    ("ρ₀² > κL", theory.t_max, (0.1, 1, 1, 0.1, 0.1, 0.001, "printed")),
    ("δ < ηλℓ²/L²", theory.t_max, (3, 0.5, 1, 0.1, 0.1, 0.005, "printed")),
    ("δ < ηλ", theory.t_max, (3, 0.5, 1, 0.1, 0.1, 0.011)),
    ("ℓ > 0", theory.t_max, (3, 0, 1, 0.1, 0.1, 0.001)),
    ("0 < 2ηλ < 1/2", theory.t_max, (30, 1, 1, 1, 0.26, 0.001, "printed")),
    ("0 < ηλ(2 − ηλ) < 1/2", theory.t_min, (30, 1, 1, 1, 0.3, 0.001)),
    ("fewer than 10⁸ steps", theory.t_min, (3, 0.1, 1, 1e-5, 1e-5, 1e-11)),
    ("0 < α < 1/2", theory.time_at_product, (10, 0.1, 0.3)),
    ("c > 0", theory.rescaled, (1, 0.1, 0.1, 0)),
    ("ρ₀ > 0", theory.canonical, (0, 0.1, 0.1)),
    ("t > t₀", theory.power_bound, (5, 5, 1)),
    ("a step t > t₀ exists", theory.fit_power_bounds, ([1, 2], [1, 1], 2)),
    ("0 < c", theory.fit_power_bounds, ([1, 2, 3], [1, 0, 1], 0)),
    ("0 ≤ g̃ < ∞", theory.fit_power_bounds, ([1, 2, 3], [1, np.nan, 1], 0)),
    ("0 ≤ skip < 1", lambda: theory.fit_power_bounds([1, 2], [1, 1], 0, skip=1.0), ()),
    ("‖x‖ > 0", theory.rayleigh, ([0.0, 0.0],)),
    ("‖x₀‖ > 0", lambda: theory.rayleigh_oscillator((0.0, 0.0)), ()),
    ('form is "exact" or "printed"', theory.alpha, (0.1, 0.1, "approximate")),
    ("ρ > 0", theory.next_squared_norm, (0, 1, 0.1, 0.1)),
    ("ρ > 0", theory.next_squared_norm, (np.nan, 1, 0.1, 0.1)),
    ("g ≥ 0", theory.next_squared_norm, (1, -1, 0.1, 0.1)),
    ("g ≥ 0", theory.next_squared_norm, (1, [1, np.nan], 0.1, 0.1)),
    ("g ≥ 0", theory.next_squared_norm, (1, np.inf, 0.1, 0.1)),
    ("η > 0", theory.next_squared_norm, (1, 1, 0, 0.1)),
    ("0 ≤ ηλ < 1", theory.next_squared_norm, (1, 1, 0.1, -0.1)),
    ("0 ≤ ηλ < 1", theory.next_squared_norm, (1, 1, 0.1, 10)),
    ("⟨x, ∇f⟩ is finite", theory.next_squared_norm, (1, 1, 0.1, 0.1, np.nan)),
    ("g̃ ≥ 0", theory.squared_norms, (1, [1, -1], 0.1, 0.1)),
    ("g̃ ≥ 0", theory.squared_norms, (1, [1, np.nan], 0.1, 0.1)),
    ("g̃ ≥ 0", theory.squared_norms, (1, [1, np.inf], 0.1, 0.1)),
    ("g̃ is a series", theory.squared_norms, (1, 1.0, 0.1, 0.1)),
    ("ρ₀ > 0", theory.unrolled_squared_norm, (-1, [1.0], 0.1, 0.1)),
    ("g ≥ 0", theory.unrolled_squared_norm, (1, [-1.0], 0.1, 0.1)),
    ("g is a series", theory.unrolled_squared_norm, (1, 1.0, 0.1, 0.1)),
    ("g ≥ 0", theory.mean_squared_gradient, ([1.0, -1.0], 0.1, 0.1)),
    ("T ≥ 1", theory.mean_squared_gradient, ([], 0.1, 0.1)),
    ("g is a series", theory.mean_squared_gradient, (1.0, 0.1, 0.1)),
    ("ρ₀ > 0", theory.squared_norm_from_mean, (-1, 5, 3, 0.1, 0.1)),
    ("ḡ² ≥ 0", theory.squared_norm_from_mean, (1, -5, 3, 0.1, 0.1)),
    ("ρ₀ > 0", theory.settling_time, (-3, 1, 0.1, 0.1, 0.1)),
    ("0 ≤ 1 − cos ≤ 2", theory.norm_grows, (np.nan, 0.1, 0.1)),
    ("0 ≤ 1 − cos ≤ 2", theory.norm_grows, (-0.1, 0.1, 0.1)),
    ("0 ≤ 1 − cos ≤ 2", theory.norm_grows, (2.1, 0.1, 0.1)),
    ("x₀ > 0", theory.upper_bound_for_ever, (np.nan, 0.1, 1, 1)),
    ("x₀ > 0", theory.upper_bound_for_ever, (0, 0.1, 1, 1)),
    ("x₀ > 0", theory.upper_bound_for_ever, (np.inf, 0.1, 1, 1)),
    ("b ≥ 0", theory.covered, ([4.0], 0.1, -1.0)),
    ("b ≥ 0", theory.covered, ([4.0], 0.1, np.nan)),
    ("b ≥ 0", theory.covered, ([4.0], 0.1, np.inf)),
    ("x > 0", theory.covered, ([4.0, np.nan], 0.1, 1.0)),
    ("x > 0", theory.covered, ([4.0, 0.0], 0.1, 1.0)),
    ("x₀ > √(b/α)", theory.covered, ([3.0, 2.0], 0.1, 1.0)),
    ("x is a series", theory.covered, (4.0, 0.1, 1.0)),
    ("β is a series", theory.sequence, (1, 0.1, 1.0)),
    ("ℓ is a series", theory.norm_envelope, (1, 0.1, 0.2, 0.1, 0.1)),
    ("ℓ is a series", theory.jump_window, (1, 0.1, 0.2, 0.1, 0.1, 0.01)),
    ("a is a series", theory.reachable, (1, 0.1, 0.2, 0.3)),
    ("x is a series", theory.determined_bounds, (1, 0.1, 0.2, 0.3)),
    ("x_t > √(b/(1 − α))", theory.determined_bounds, ([3.0, 1.0], 0.1, 0.2, 1.0)),
    ("0 ≤ a ≤ b", theory.determined_bounds, ([3.0], 0.1, 0.2, 0.1)),
    ("η > 0", theory.rescaled, (1, 0, 0.1, 2)),
    ("λ ≥ 0", theory.rescaled, (1, 0.1, -0.1, 2)),
    ("x₀ is finite", theory.rescaled, (np.nan, 0.1, 0.1, 2)),
    ("η > 0", theory.canonical, (1, -0.1, 0.1)),
    ("λ ≥ 0", theory.canonical, (1, 0.1, np.nan)),
    ("η > 0", theory.growth_threshold, (-1, -0.1)),
    ("η > 0", theory.growth_threshold, (0, 0.1)),
    ("λ ≥ 0", theory.growth_threshold, (0.1, -0.1)),
    ("T ≥ 0", lambda: theory.rayleigh_oscillator(steps=-1), ()),
    ("∇f(x_t) is finite", theory.simulate, (lambda x: x * np.nan, [1.0], 0.1, 0.1, 3)),
    ("p ≥ 0", theory.power_bound, (5, 1, 1, np.nan)),
    ("p ≥ 0", theory.power_bound, (5, 1, 1, -1)),
    ("p ≥ 0", lambda: theory.fit_power_bounds([1, 2], [1, 1], 0, low_power=-1), ()),
    ("P ≥ 0", lambda: theory.fit_power_bounds([1, 2], [1, 1], 0, high_power=np.nan), ()),
    ("no ρ₀ for the printed", theory.largest_squared_norm, (0.01, 1, 1, 0.1, 0.1, "printed")),
    ("0 ≤ ℓ ≤ L", theory.distance_bounds, (1, -1, 1, 0.1, 0.1)),
    ("0 ≤ ℓ ≤ L", theory.t_min, (3, -0.1, 1, 0.1, 0.1, 0.001)),
    ("0 ≤ ℓ ≤ L", theory.norm_envelope, (1, [-0.1], [0.2], 0.1, 0.1)),
    ("η > 0", theory.alpha, (-0.1, -0.1)),
    ("η > 0", theory.kappa, (-0.1, -0.1)),
    ("‖x_{t+1}‖ > 0", theory.measured_distance, ([1.0, 0.0], [np.inf, 0.0])),
]


@pytest.mark.parametrize(("premise", "function", "args"), BEYOND)
def test_the_error_names_the_premise(premise, function, args):
    assert refuses(premise, function, *args)


def test_the_error_gives_the_numbers():
    with pytest.raises(PremiseError, match=r"premise 0 ≤ ηλ < 1 fails: ηλ = 1\.2$"):
        theory.cosine(1, 1, 2, 0.6)


def test_in_arrays_the_first_offender_is_named():
    with pytest.raises(PremiseError, match=r"0 < δ < 1 fails: δ = 1\.5 at index \(1, 0\)$"):
        theory.jump_threshold(np.ones((2, 2)), 0.1, 0.1, [[0.1, 0.2], [1.5, 2.0]])


def test_a_premise_error_is_a_users_mistake():
    assert issubclass(PremiseError, UserError) and issubclass(PremiseError, ValueError)


def test_printed_and_exact_check_their_own_premises():
    assert refuses("α/(1 − α)·L ≤ ℓ", theory.norm_interval, 0.21, 1, 1, 0.1)
    assert theory.norm_interval(0.21, 1, 1, 0.1, "printed").upper == pytest.approx(np.sqrt(5))
    assert theory.t_max(3, 0.1, 1, 0.1, 0.05, 0.004) == 1433
    assert refuses("δ < ηλℓ²/L²", theory.t_max, 3, 0.1, 1, 0.1, 0.05, 0.004, "printed")
