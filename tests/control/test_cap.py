"""A cap on the effective learning rate: below it nothing is done, at it the norm is held."""

import pytest
import torch

import limitcycle as lc
from tests.control.nets import build, held_norms, train

KINDS = {
    "sgd": (torch.optim.SGD, {"lr": 0.3, "weight_decay": 0.2}, 2),
    "momentum": (torch.optim.SGD, {"lr": 0.02, "weight_decay": 0.4, "momentum": 0.9}, 2),
    "adamw": (torch.optim.AdamW, {"lr": 0.02, "weight_decay": 5.0}, 1),
}
each_kind = pytest.mark.parametrize("kind", KINDS)
each_per = pytest.mark.parametrize("per", ["group", "all"])


def start(kind):
    net, symmetries = build()
    made, settings, power = KINDS[kind]
    return net, symmetries, made(net.parameters(), **settings), settings["lr"], power


def weights(net):
    return [each.detach().clone() for each in net.parameters()]


@each_per
@each_kind
def test_below_the_cap_no_bit_is_another(kind, per):
    net, _, optimizer, _, _ = start(kind)
    train(net, optimizer, range(12))
    free = weights(net)
    net, symmetries, optimizer, _, _ = start(kind)
    lc.hold_effective_lr(optimizer, symmetries, 1e6, per=per, cap=True)
    train(net, optimizer, range(12))
    assert all(torch.equal(one, other) for one, other in zip(free, weights(net), strict=True))


@each_per
@each_kind
def test_what_falls_to_the_cap_stays_there_as_if_held(kind, per):
    """And with the weights that a hold at the same value has, once both are there."""
    ends = []
    for cap in (True, False):
        net, symmetries, optimizer, lr, power = start(kind)
        before = held_norms(symmetries, per)
        value = lr / max(before) ** power * 1.001
        lc.hold_effective_lr(optimizer, symmetries, value, per=per, cap=cap)
        rates = []
        for step in range(30):
            train(net, optimizer, [step])
            rates.append([lr / norm**power for norm in held_norms(symmetries, per)])
        ends.append(weights(net))
        if cap:
            assert all(rate <= value * (1 + 1e-12) for row in rates for rate in row)
            assert rates[-1] == pytest.approx([value] * len(rates[-1]), rel=1e-9)
    assert not all(torch.equal(one, other) for one, other in zip(*ends, strict=True))


@each_kind
def test_a_cap_lets_the_norm_rise_and_catches_it_again(kind):
    net, symmetries, optimizer, lr, power = start(kind)
    value = lr / held_norms(symmetries, "all")[0] ** power
    lc.hold_effective_lr(optimizer, symmetries, value, per="all", cap=True)
    train(net, optimizer, range(3))
    sphere = held_norms(symmetries, "all")[0]
    with torch.no_grad():
        net.first.weight *= 1.3
        net.second.weight *= 1.3
    train(net, optimizer, [3])
    assert held_norms(symmetries, "all")[0] > 1.005 * sphere
    train(net, optimizer, range(4, 60))
    assert lr / held_norms(symmetries, "all")[0] ** power == pytest.approx(value, rel=1e-9)


def test_a_cap_follows_the_schedule():
    """A learning rate that rises moves the norm out, with the state; one that falls does not."""
    net, symmetries, optimizer, lr, _ = start("momentum")
    value = lr / held_norms(symmetries, "all")[0] ** 2
    lc.hold_effective_lr(optimizer, symmetries, value, per="all", cap=True)
    train(net, optimizer, range(3))
    at_first = held_norms(symmetries, "all")[0]
    buffer = optimizer.state[net.first.weight]["momentum_buffer"].clone()
    optimizer.param_groups[0]["lr"] = 0.0
    train(net, optimizer, [3])
    optimizer.param_groups[0]["lr"] = 4 * lr
    train(net, optimizer, [4])
    assert held_norms(symmetries, "all")[0] == pytest.approx(2 * at_first, rel=1e-9)
    assert not torch.equal(buffer, optimizer.state[net.first.weight]["momentum_buffer"])
    optimizer.param_groups[0]["lr"] = lr
    train(net, optimizer, [5])
    assert held_norms(symmetries, "all")[0] > 1.5 * at_first


def test_the_state_of_a_cap_is_not_that_of_a_hold():
    net, symmetries, optimizer, _, _ = start("sgd")
    with lc.hold_effective_lr(optimizer, symmetries, 0.02, cap=True) as handle:
        train(net, optimizer, range(2))
        state = handle.state_dict()
    with (
        lc.hold_effective_lr(optimizer, symmetries, 0.02) as other,
        pytest.raises(lc.UserError, match="not for this hold_effective_lr"),
    ):
        other.load_state_dict(state)
