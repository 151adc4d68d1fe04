"""The radial-free step against SGDP and AdamW with a projected update, written plainly."""

import pytest
import torch
from torch.nn.utils import parameters_to_vector

import limitcycle as lc
from limitcycle.control import radial_free
from limitcycle.theory import next_squared_norm
from tests.control.nets import build, held_norms, loss_of, train


def test_the_rule_takes_out_what_lies_along():
    random = torch.Generator().manual_seed(0)
    update, weights = torch.randn(2, 4, 5, generator=random, dtype=torch.float64)
    free = radial_free(update, weights)
    assert abs(float((free * weights).sum())) < 1e-14
    torch.testing.assert_close(radial_free(free, weights), free)
    torch.testing.assert_close(radial_free(update + 3 * weights, weights), free)


def sgd(state, g, x, nesterov):
    g = g + 0.1 * x
    state["v"] = g if "v" not in state else 0.9 * state["v"] + g
    return 0.05 * (g + 0.9 * state["v"] if nesterov else state["v"]), 0.05 * 0.1 / (1 - 0.9)


def adamw(state, g, x, _):
    t = state["t"] = state.get("t", 0) + 1
    state["m"] = 0.9 * state.get("m", 0) + 0.1 * g
    state["s"] = 0.999 * state.get("s", 0) + 0.001 * g**2
    m, s = state["m"] / (1 - 0.9**t), state["s"] / (1 - 0.999**t)
    return 0.02 * m / (s.sqrt() + 1e-8), 0.02 * 0.1


MOMENTUM = {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1}
CASES = {
    "momentum": (torch.optim.SGD, MOMENTUM, sgd),
    "nesterov": (torch.optim.SGD, {**MOMENTUM, "nesterov": True}, sgd),
    "adamw": (torch.optim.AdamW, {"lr": 0.02, "weight_decay": 0.1}, adamw),
}


@pytest.mark.parametrize("per", ["group", "all"])
@pytest.mark.parametrize("case", CASES)
def test_equals_a_plain_loop(case, per):
    """w' = (1 − δ)w − P⊥(η·u); the norm then obeys Eq. (3)."""
    kind, settings, update = CASES[case]
    net, symmetries = build()
    twin, _ = build()
    for model in (net, twin):
        model.head.requires_grad_(False)
    optimizer = kind([net.first.weight, net.second.weight], **settings)
    lc.without_radial(optimizer, symmetries, per)
    layers = [[twin.first.weight], [twin.second.weight]]
    groups = layers if per == "group" else [layers[0] + layers[1]]
    states = [{} for _ in groups]
    for step in range(25):
        train(net, optimizer, [step])
        loss = loss_of(twin, step)
        gradients = [torch.autograd.grad(loss, group, retain_graph=True) for group in groups]
        for state, group, gradient in zip(states, groups, gradients, strict=True):
            x = parameters_to_vector(group).detach()
            g = torch.cat([part.flatten() for part in gradient])
            moved, shrink = update(state, g, x, settings.get("nesterov"))
            across = moved - (moved @ x) / (x @ x) * x
            after = (1 - shrink) * x - across
            squared = next_squared_norm(float(x.norm()), float(across.norm()), 1.0, shrink)
            assert float(after @ after) == pytest.approx(float(squared), rel=1e-12)
            torch.nn.utils.vector_to_parameters(after, group)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("kind", ["even", "uneven"])
def test_plain_sgd_has_nothing_to_lose(kind):
    net, symmetries = build(kind)
    twin, _ = build(kind)
    made, bare = (torch.optim.SGD(m.parameters(), lr=0.2, weight_decay=0.05) for m in (net, twin))
    lc.without_radial(made, symmetries)
    train(net, made, range(20))
    train(twin, bare, range(20))
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p.detach(), q.detach(), rtol=1e-9, atol=1e-11)


def test_momentum_grows_the_norm_less_without_it():
    grown = []
    for free in (False, True):
        net, symmetries = build()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9)
        if free:
            lc.without_radial(optimizer, symmetries)
        start = held_norms(symmetries, "all")[0]
        train(net, optimizer, range(25))
        grown.append(held_norms(symmetries, "all")[0] / start)
    assert grown[0] > grown[1] > 1


def test_coupled_decay_under_a_preconditioner_is_refused():
    net, symmetries = build()
    with pytest.raises(lc.UserError, match="Adam mixes weight decay"):
        lc.without_radial(torch.optim.Adam(net.parameters(), weight_decay=0.1), symmetries)
    lc.without_radial(torch.optim.Adam(net.parameters()), symmetries)


def test_channels_last_in_single_precision():
    """A layout of its own, and float32: the radial part goes to rounding."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, bias=False), torch.nn.BatchNorm2d(8, affine=False)
    ).to(memory_format=torch.channels_last)
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    weight = net[0].weight
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)
    lc.without_radial(optimizer, lc.symmetries(net, images))
    for step in range(5):
        before = weight.detach().clone().double()
        optimizer.zero_grad()
        (net(images + step) ** 3).mean().backward()
        optimizer.step()
        moved = weight.detach().double() - before
        assert moved.norm() > 1e-6
        assert abs(float((moved * before).sum())) < 1e-6 * float(before.norm() ** 2)
