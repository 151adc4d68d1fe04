"""What is known of optimizers: one list, for tables and for what moves their state."""

import math

import numpy as np
import pytest
import torch

from limitcycle.control.degrees import _STATE, degrees_of
from limitcycle.reading.optimizers import (
    OPTIMIZERS,
    Extent,
    UpdateRule,
    group_rule,
    joint_rule,
    momentum_of,
    update_rule,
)


def rule_of(optimizer):
    names = [kind.__name__ for kind in type(optimizer).__mro__]
    return update_rule(names, optimizer.param_groups)


def made(name, **settings):
    """An optimizer of torch by its name; one of a class of that name where torch has none."""
    weights = [torch.nn.Parameter(torch.ones(3, 3))]
    if hasattr(torch.optim, name):
        return getattr(torch.optim, name)(weights, lr=0.1, **settings)
    kind = type(name, (torch.optim.Optimizer,), {})
    return kind(weights, {"lr": 0.1, **settings})


def test_whose_state_can_be_moved_is_a_part_of_the_list():
    assert _STATE.keys() <= OPTIMIZERS.keys()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_how_the_update_scales_is_said_once(name):
    degrees, rule = degrees_of(made(name)), rule_of(made(name))
    assert rule.scaling == OPTIMIZERS[name].scaling
    if degrees is not None:
        assert (degrees.update == -1) == (rule.scaling == "gradient")
    assert UpdateRule.from_dict(rule.to_dict()) == rule


@pytest.mark.parametrize(
    ("name", "settings", "decays", "equilibrium"),
    [
        ("SGD", {}, True, "sgd"),
        ("Adam", {}, False, ""),
        ("Adam", {"decoupled_weight_decay": True}, True, "adamw"),
        ("AdamW", {}, True, "adamw"),
        ("NAdam", {"decoupled_weight_decay": True}, True, ""),
        ("Lion", {}, True, ""),
        ("Lion", {"betas": (0.9, 0.99)}, True, "lion"),
        ("Rprop", {}, False, ""),
        ("Mystery", {}, False, ""),
    ],
)
def test_whether_weight_decay_shrinks_the_norm(name, settings, decays, equilibrium):
    rule = rule_of(made(name, **settings))
    assert (rule.name, rule.decays, rule.equilibrium) == (name, decays, equilibrium)


def test_a_class_derived_from_a_known_one_is_known():
    class Mine(torch.optim.AdamW):
        pass

    optimizer = Mine([torch.nn.Parameter(torch.ones(2))])
    assert (rule_of(optimizer).name, rule_of(optimizer).equilibrium) == ("Mine", "adamw")
    assert degrees_of(optimizer).state["exp_avg_sq"] == -2


@pytest.mark.parametrize(
    ("settings", "momentum"),
    [({"momentum": 0.9}, 0.9), ({"betas": (0.8, 0.99)}, 0.8), ({}, 0.0), ({"betas": None}, 0.0)],
)
def test_momentum_goes_by_two_names(settings, momentum):
    assert momentum_of(settings) == momentum


BNB = ["Optimizer2State", "Optimizer8bit", "Optimizer"]


@pytest.mark.parametrize(
    ("classes", "settings", "scaling", "decays", "equilibrium"),
    [
        (["PagedAdamW8bit", *BNB], {}, "normalised", True, "adamw"),
        (["Adam8bit", *BNB], {}, "normalised", True, "adamw"),  # it shrinks the weights there
        (["Adam8bit", "_AdamBase"], {}, "normalised", False, ""),
        (["AdamW4bit", "_AdamBase"], {}, "normalised", True, "adamw"),
        (["AdamWFp8", "_AdamBase"], {}, "normalised", True, "adamw"),
        (["LAMB8bit", *BNB], {}, "unknown", True, ""),
        (["RMSprop8bit", *BNB], {}, "normalised", False, ""),
        (["AdEMAMix"], {"weight_decouple": False}, "normalised", False, ""),
        (["AdEMAMix"], {}, "normalised", True, ""),
        (["Adan"], {"weight_decouple": False}, "normalised", True, ""),
        (["StableAdamW"], {"weight_decouple": True}, "normalised", True, "adamw"),
        (["StableAdamW"], {"weight_decouple": True, "fixed_decay": True}, "normalised", False, ""),
        (["AdamP"], {"weight_decouple": True}, "normalised", False, ""),
        (["SGDP"], {}, "gradient", False, ""),
        (["SGDW"], {"momentum": 0.9}, "gradient", True, "sgdw"),
        (["AdamWScheduleFree"], {}, "normalised", False, ""),
        (["Lamb"], {"weight_decouple": True}, "weights", True, ""),
        (["Lamb"], {}, "weights", False, ""),
        (["Adafactor"], {"scale_parameter": True}, "weights", False, ""),
        (["Adafactor"], {"scale_parameter": False}, "normalised", True, ""),
        (["MuonWithAuxAdam"], {"use_muon": False}, "normalised", True, "adamw"),
        (["MuonWithAuxAdam"], {"use_muon": True}, "normalised", True, "muon"),
    ],
)
def test_settings_and_kin_decide(classes, settings, scaling, decays, equilibrium):
    rule = group_rule(classes, settings)
    assert (rule.scaling, rule.decays, rule.equilibrium) == (scaling, decays, equilibrium)


@pytest.mark.parametrize("adjusted", [None, "original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", [(8, 8), (64, 8), (8, 64)])
def test_the_size_of_muons_step_is_known_by_the_shape(adjusted, shape):
    """Against its own step, whose singular values Newton and Schulz leave near one."""
    torch.manual_seed(0)
    weights = torch.nn.Parameter(torch.zeros(shape))
    optimizer = torch.optim.Muon([weights], lr=0.1, weight_decay=0.0, adjust_lr_fn=adjusted)
    rule = rule_of(optimizer)
    weights.grad = torch.randn(shape)
    optimizer.step()
    size = float(weights.detach().square().mean().sqrt())
    unit = rule.units([Extent(math.prod(shape), (shape,))])[0]
    assert size == pytest.approx(0.1 * unit, rel=0.2)
    assert rule.effective_lr(np.array([0.1]), np.array([2.0]), unit)[0] == 0.1 * unit / 2


def test_rules_of_several_are_no_mean():
    sgd, adamw = group_rule(["SGD"], {}), group_rule(["AdamW"], {})
    both = joint_rule([sgd, adamw, sgd])
    assert (both.name, both.scaling, both.equilibrium) == ("SGD and AdamW", "several", "")
    assert both.decays and joint_rule([sgd, sgd]) == sgd
    assert np.isnan(both.effective_lr(np.ones(2), np.ones(2))).all()
    nesterov = group_rule(["SGD"], {"nesterov": True})
    assert joint_rule([sgd, nesterov]).scaling == "gradient"


def test_where_nobody_says_how_muon_adjusts_its_rate():
    """Its rotation hangs on the shape alone, its norm on what is not known."""
    rule = group_rule(["Muon"], {"momentum": 0.95})
    settings = (np.full((1, 1), v) for v in (0.02, 0.02, 0.95, 1.0))
    norm, rotation = rule.rest(*settings, [Extent(64, ((8, 8),))])
    assert np.isnan(norm).all() and (rotation > 0).all()
    settings = (np.full((1, 1), v) for v in (0.02, 0.02, 0.95, 1.0))
    norm, rotation = rule.rest(*settings, [Extent(128, ((8, 8), (16, 4)))])
    assert np.isnan(norm).all() and np.isnan(rotation).all()


@pytest.mark.parametrize(
    "settings",
    [{"betas": None}, {"betas": 0.9}, {"betas": (0.9,)}, {"adjust_lr_fn": lambda *_: 1}, {}],
)
@pytest.mark.parametrize("name", ["Lion", "Muon"])
def test_settings_of_other_peoples_classes_are_no_error(name, settings):
    rule = group_rule([name], settings)
    assert rule.beta == 0 and UpdateRule.from_dict(rule.to_dict()) == rule
    extent = [Extent(64, ((8, 8),))]
    assert rule.units(extent)[0] == 1


def test_a_vector_has_no_orthogonal_step():
    rule = group_rule(["Muon"], {"momentum": 0.95, "adjust_lr_fn": None, "nesterov": True})
    settings = (np.full((1, 2), v) for v in (0.02, 0.02, 0.95, 1.0))
    norm, rotation = rule.rest(*settings, [Extent(8, ((8, 1),)), Extent(64, ((4, 4, 4),))])
    assert np.isfinite(norm).all() and np.isfinite(rotation).all()
