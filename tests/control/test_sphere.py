"""The directions under a hold are those of training on the unit sphere, for each family."""

import math

import pytest
import torch
from torch.nn.utils import parameters_to_vector

import limitcycle as lc
from limitcycle.control import hold
from tests.control.nets import build, held_norms, loss_of, split, train
from tests.control.oracle import adam_update, on_the_sphere, rmsprop_update, sgd_update

STEPS = 25
BETAS = {"betas": (0.9, 0.99)}
FAMILIES = {
    "sgd": (torch.optim.SGD, sgd_update, {"lr": 0.3, "weight_decay": 0.05}, 2),
    "momentum": (
        torch.optim.SGD,
        sgd_update,
        {"lr": 0.05, "weight_decay": 0.05, "momentum": 0.9},
        2,
    ),
    "nesterov": (
        torch.optim.SGD,
        sgd_update,
        {"lr": 0.05, "weight_decay": 0.05, "momentum": 0.8, "nesterov": True},
        2,
    ),
    "adam": (torch.optim.Adam, adam_update, {"lr": 0.02, "weight_decay": 0.01, "eps": 1e-3}, 1),
    "adamw": (torch.optim.AdamW, adam_update, {"lr": 0.02, "weight_decay": 0.5, "eps": 1e-3}, 1),
    "rmsprop": (
        torch.optim.RMSprop,
        rmsprop_update,
        {"lr": 0.005, "weight_decay": 0.01, "eps": 1e-3, "momentum": 0.7},
        1,
    ),
}


def make(kind, net, settings):
    betas = BETAS if issubclass(kind, torch.optim.Adam) else {}
    return kind(net.parameters(), **settings, **betas)


def members(net, per):
    groups = [[net.first.weight], [net.second.weight]]
    return groups if per == "group" else [groups[0] + groups[1]]


def rho_at(step: int) -> float:
    return 2.0 + 1.5 * math.sin(step)


def rate_at(step: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / STEPS)) + 0.1


@pytest.mark.parametrize("per", ["group", "all"])
@pytest.mark.parametrize("how", ["current", "value", "schedule", "effective", "both"])
@pytest.mark.parametrize("family", FAMILIES)
def test_directions_are_those_of_the_sphere(family, how, per):
    kind, update, settings, power = FAMILIES[family]
    net, symmetries = build()
    optimizer = make(kind, net, settings)
    lr = settings["lr"]
    rates = [lr * (rate_at(t) if how in ("effective", "both") else 1.0) for t in range(STEPS)]
    if how == "current":
        handle = lc.hold_norm(optimizer, symmetries, per=per)
        radii = [held_norms(symmetries, per)] * STEPS
    elif how == "value":
        handle = lc.hold_norm(optimizer, symmetries, 1.7, per=per)
        radii = [[1.7, 1.7]] * STEPS
    elif how == "schedule":
        handle = lc.hold_norm(optimizer, symmetries, rho_at, per=per)
        radii = [[rho_at(t)] * 2 for t in range(STEPS)]
    elif how == "effective":
        handle = lc.hold_effective_lr(optimizer, symmetries, lr / 4, per=per)
        radii = [[(4 * rate / lr) ** (1 / power)] * 2 for rate in rates]
    else:
        handle = lc.hold_effective_lr(
            optimizer, symmetries, lambda t: lr * rho_at(t) ** -power, per=per
        )
        radii = [[(rate / lr) ** (1 / power) * rho_at(t)] * 2 for t, rate in enumerate(rates)]
    twin, _ = build()
    groups = members(twin, per)
    radii = [rho[: len(groups)] for rho in radii]
    decoupled = {"decoupled": kind is torch.optim.AdamW}
    expected = on_the_sphere(twin, groups, update, settings | decoupled, radii, rates)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda t: rates[min(t, STEPS - 1)] / lr
    )
    for step in range(STEPS):
        train(net, optimizer, [step], scheduler)
        found = [parameters_to_vector(group).detach() for group in members(net, per)]
        for x, direction, rho in zip(found, expected[step], radii[step], strict=True):
            torch.testing.assert_close(x, rho * direction, rtol=1e-8, atol=1e-9)
    torch.testing.assert_close(net.head.weight, twin.head.weight, rtol=1e-8, atol=1e-9)
    handle.remove()


def test_state_that_stays_behind_is_another_training(monkeypatch):
    """The transport is what makes it so: without it the law above fails."""
    kind, update, settings, _ = FAMILIES["momentum"]
    net, symmetries = build()
    optimizer = make(kind, net, settings)
    monkeypatch.setattr(hold, "carried_state", lambda *_: [])
    lc.hold_norm(optimizer, symmetries, rho_at, per="all")
    train(net, optimizer, range(STEPS))
    twin, _ = build()
    radii = [[rho_at(t)] for t in range(STEPS)]
    groups = members(twin, "all")
    expected = on_the_sphere(twin, groups, update, settings, radii, [settings["lr"]] * STEPS)
    found = parameters_to_vector(members(net, "all")[0]).detach()
    assert (found / found.norm() - expected[-1][0]).norm() > 0.01


OTHERS = {
    "amsgrad": (torch.optim.AdamW, {"lr": 0.02, "amsgrad": True}, 1),
    "fused": (torch.optim.AdamW, {"lr": 0.02, "fused": True}, 1),
    "dampening": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}, 2),
    "foreach": (torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "foreach": True}, 2),
    "nadam": (torch.optim.NAdam, {"lr": 0.02}, 1),
    "adamax": (torch.optim.Adamax, {"lr": 0.02}, 1),
    "adagrad": (torch.optim.Adagrad, {"lr": 0.05}, 1),
    "centred": (torch.optim.RMSprop, {"lr": 0.005, "centered": True, "momentum": 0.5}, 1),
}


@pytest.mark.parametrize("family", OTHERS)
def test_a_schedule_of_norms_is_one_of_the_effective_learning_rate(family):
    """Norm ρ_t at a constant rate turns the weights as norm 1 does with η/ρ_t² (η/ρ_t, eps·ρ_t)."""
    kind, settings, power = OTHERS[family]
    has_eps = kind is not torch.optim.SGD
    eps = 1e-3
    nets = []
    for moving in (True, False):
        net, symmetries = build()
        groups = [{**g, **({"eps": eps} if has_eps else {})} for g in split(net, symmetries)]
        optimizer = kind(groups, weight_decay=0, **settings)
        lc.hold_norm(optimizer, symmetries, rho_at if moving else 1.0)
        for step in range(STEPS):
            if not moving:
                optimizer.param_groups[0]["lr"] = settings["lr"] / rho_at(step) ** power
                if has_eps:
                    optimizer.param_groups[0]["eps"] = eps * rho_at(step)
            train(net, optimizer, [step])
        nets.append(net)
    moved, unit = nets
    factor = rho_at(STEPS - 1)
    for name in ("first", "second"):
        found, direction = getattr(moved, name).weight, getattr(unit, name).weight
        torch.testing.assert_close(found, factor * direction, rtol=1e-7, atol=1e-8)
    torch.testing.assert_close(moved.head.weight, unit.head.weight, rtol=1e-7, atol=1e-8)


def test_uneven_exponents_against_bisection():
    """Plain SGD with w ← α^k∘w after each step, α found by halving an interval."""
    net, symmetries = build("uneven")
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    lc.hold_norm(optimizer, symmetries)
    twin, _ = build("uneven")
    start = held_norms(symmetries, "group")
    exponents = {"plain": (0, 1), "twice": (1, 1), "once": (1, 2)}
    for step in range(20):
        train(net, optimizer, [step])
        tensors = list(twin.parameters())
        gradients = torch.autograd.grad(loss_of(twin, step), tensors)
        with torch.no_grad():
            for p, g in zip(tensors, gradients, strict=True):
                p -= 0.1 * g
            for group in (0, 1):
                mine = [
                    (getattr(twin, n).weight, k) for n, (g, k) in exponents.items() if g == group
                ]
                low, high = 0.1, 10.0
                for _ in range(100):
                    middle = (low + high) / 2
                    size = sum((middle**k * w).square().sum() for w, k in mine).sqrt()
                    low, high = (middle, high) if size < start[group] else (low, middle)
                for w, k in mine:
                    w *= low**k
    for name, p in net.named_parameters():
        torch.testing.assert_close(p, twin.get_parameter(name), rtol=1e-9, atol=1e-10)
