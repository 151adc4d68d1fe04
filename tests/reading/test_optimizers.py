"""What is known of optimizers: one list, for tables and for what moves their state."""

import pytest
import torch

from limitcycle.control.degrees import _STATE, degrees_of
from limitcycle.reading.optimizers import OPTIMIZERS, UpdateRule, momentum_of, update_rule


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
        ("Lion", {}, True, "lion"),
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
