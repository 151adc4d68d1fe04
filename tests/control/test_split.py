"""Splitting param groups: options, order and state stay, training goes on in the same bits."""

import copy

import pytest
import torch

import limitcycle as lc
from limitcycle.errors import UserError
from tests.control.nets import build, train

KINDS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.2),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.2, betas=(0.8, 0.9)),
    "tensor-lr": lambda p: torch.optim.AdamW(p, lr=torch.tensor(0.1), foreach=False),
}


def options(group):
    return {name: value for name, value in group.items() if name not in ("params", "param_names")}


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_in_the_same_bits(kind):
    weights = []
    for split in (False, True):
        net, symmetries = build()
        optimizer = KINDS[kind](net.parameters())
        train(net, optimizer, range(3))
        if split:
            state = {p: dict(s) for p, s in optimizer.state.items()}
            lc.split_groups(optimizer, symmetries)
            assert len(optimizer.param_groups) == 2
            assert {p: dict(s) for p, s in optimizer.state.items()} == state
        train(net, optimizer, range(3, 6))
        weights.append([p.detach() for p in net.parameters()])
    assert all(map(torch.equal, *weights))


def test_options_and_order_stay():
    net, symmetries = build()
    first, *rest = net.named_parameters()
    optimizer = torch.optim.SGD(
        [{"params": rest, "lr": 0.3}, {"params": [first], "weight_decay": 0.0}], weight_decay=0.2
    )
    before = [options(group) for group in optimizer.param_groups]
    whole, untouched = optimizer.param_groups
    lc.split_groups(optimizer, symmetries)
    names = [group["param_names"] for group in optimizer.param_groups]
    assert names == [["second.weight"], ["head.weight", "head.bias"], ["first.weight"]]
    tensors = dict(net.named_parameters())
    for group in optimizer.param_groups:
        assert [id(p) for p in group["params"]] == [id(tensors[n]) for n in group["param_names"]]
    assert [options(group) for group in optimizer.param_groups] == [before[0], before[0], before[1]]
    assert optimizer.param_groups[0] is whole and optimizer.param_groups[2] is untouched
    lc.split_groups(optimizer, symmetries)
    assert len(optimizer.param_groups) == 3, "twice is once"


def test_a_learning_rate_that_is_a_tensor_is_scheduled_once():
    net, symmetries = build()
    optimizer = KINDS["tensor-lr"](net.parameters())
    lc.split_groups(optimizer, symmetries)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    train(net, optimizer, [0], scheduler)
    assert [float(group["lr"]) for group in optimizer.param_groups] == pytest.approx([0.05, 0.05])


def test_an_ordinary_optimizer_decays_with_its_learning_rate_then():
    net, symmetries = build()
    optimizer = KINDS["adamw"](net.parameters())
    with pytest.raises(lc.UserError, match=r"split_groups\(optimizer, symmetries\)"):
        lc.decay_with_lr(optimizer, symmetries)
    lc.split_groups(optimizer, symmetries)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    lc.decay_with_lr(optimizer, symmetries)
    seen = []
    optimizer.register_step_pre_hook(
        lambda o, *_: seen.append([g["weight_decay"] for g in o.param_groups])
    )
    train(net, optimizer, range(8), scheduler)
    assert seen[-1][0] < 0.1 and {others for _, others in seen} == {0.2}


def test_a_checkpoint_goes_into_the_same_groups():
    net, symmetries = build()
    optimizer = KINDS["sgd"](net.parameters())
    lc.split_groups(optimizer, symmetries)
    train(net, optimizer, range(3))
    saved = copy.deepcopy(optimizer.state_dict())
    again = KINDS["sgd"](net.parameters())
    lc.split_groups(again, symmetries)
    again.load_state_dict(saved)
    for parameter in net.parameters():
        expected = optimizer.state[parameter]["momentum_buffer"]
        assert torch.equal(again.state[parameter]["momentum_buffer"], expected)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (lambda o, s, n: torch.optim.lr_scheduler.ExponentialLR(o, 0.5), "a scheduler was made"),
        (lambda o, s, n: lc.hold_norm(o, s), "hold_norm works on"),
        (lambda o, s, n: lc.watch(n, o, s).__enter__(), "limitcycle.watch watches"),
    ],
)
def test_whoever_has_counted_the_groups_is_named(count, said):
    net, symmetries = build()
    optimizer = KINDS["sgd"](net.parameters())
    kept = count(optimizer, symmetries, net)
    with pytest.raises(lc.UserError, match=said):
        lc.split_groups(optimizer, symmetries)
    assert len(optimizer.param_groups) == 1 and kept is not None


@pytest.mark.parametrize("found", [None, {}, "weights"])
@pytest.mark.parametrize("control", [lc.split_groups, lc.hold_norm, lc.without_radial])
def test_what_is_no_symmetries_is_refused(control, found):
    net, _ = build()
    with pytest.raises(UserError, match="symmetries must be what"):
        control(torch.optim.SGD(net.parameters(), lr=0.1), found)
