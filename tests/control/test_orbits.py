"""The way along an orbit, and which optimizers and symmetries are refused."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import limitcycle as lc
from limitcycle.control.orbits import find_orbits, scaling_to, squared_norms
from tests.control.nets import build, split, train

exponent = st.integers(1, 6).map(float)
size = st.floats(-12, 12).map(lambda power: 10.0**power)


@given(st.lists(st.tuples(exponent, size, st.integers(0, 1)), min_size=1, max_size=8), size, size)
def test_newton_finds_the_factor(tensors, first, second):
    """Over 24 orders of magnitude of norms and exponents from 1 to 6."""
    tensors = [*tensors, (1.0, 1.0, 0), (2.0, 1.0, 1)]
    k, norms, owners = (torch.tensor(column) for column in zip(*tensors, strict=True))
    k, squares = k.double(), norms.double() ** 2
    members = owners[:, None] == torch.arange(2)
    wanted = torch.tensor([first, second], dtype=torch.float64)
    alpha = scaling_to(wanted, squares, k, members)
    found = (alpha[owners] ** (2 * k) * squares) @ members.double()
    torch.testing.assert_close(found.sqrt(), wanted, rtol=1e-12, atol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(), (70_001,), (600, 700), (64, 40, 3, 3)])
def test_norms_are_summed_well(shape, dtype):
    tensor = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    layouts = (
        [tensor, tensor.to(memory_format=torch.channels_last)] if len(shape) == 4 else [tensor]
    )
    expected = tensor.double().square().sum()
    for found in squared_norms(layouts):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_one_joint_group_or_each():
    _, symmetries = build("uneven")
    optimizer = torch.optim.SGD(symmetries.parameters.values(), lr=0.1)
    each = find_orbits(optimizer, symmetries, "group")
    joint = find_orbits(optimizer, symmetries, "all")
    assert each.labels == ("plain.weight", "twice.weight")
    assert joint.labels == ("all",)
    torch.testing.assert_close(each.norms().square().sum(), joint.norms().square()[0])


def sgd(net):
    return torch.optim.SGD(net.parameters(), lr=0.1)


def test_unbound_symmetries_are_refused():
    net, symmetries = build()
    unbound = lc.Symmetries.from_dict(symmetries.to_dict())
    with pytest.raises(lc.UserError, match=r"symmetries\.bound\(model\)"):
        lc.hold_norm(sgd(net), unbound)
    lc.hold_norm(sgd(net), unbound.bound(net))


def test_a_tensor_that_the_optimizer_lacks_is_named():
    net, symmetries = build()
    with pytest.raises(lc.UserError, match=r"'second.weight' is in no param group"):
        lc.hold_norm(torch.optim.SGD([net.first.weight, *net.head.parameters()], lr=1), symmetries)


def test_nothing_invariant_is_refused():
    net = torch.nn.Linear(3, 2)
    found = lc.symmetries(net, torch.randn(4, 3))
    with pytest.raises(lc.UserError, match="no scale-invariant group"):
        lc.hold_norm(sgd(net), found)


def test_vanished_weights_are_refused():
    net, symmetries = build()
    torch.nn.init.zeros_(net.second.weight)
    with pytest.raises(lc.UserError, match=r"'second.weight' have norm 0"):
        lc.hold_norm(sgd(net), symmetries)


def test_lbfgs_is_refused_by_name():
    net, symmetries = build()
    with pytest.raises(lc.UserError, match="LBFGS"):
        lc.hold_norm(torch.optim.LBFGS(net.parameters()), symmetries)


def test_what_is_no_optimizer_is_refused():
    with pytest.raises(lc.UserError, match="not Linear"):
        lc.hold_norm(torch.nn.Linear(1, 1), build()[1])


@pytest.mark.parametrize("norm", ["start", 0, -1.0, float("nan"), float("inf")])
def test_impossible_norms_are_refused(norm):
    net, symmetries = build()
    optimizer = sgd(net)
    with pytest.raises(lc.UserError, match="hold_norm"):
        lc.hold_norm(optimizer, symmetries, norm)
    with pytest.raises(lc.UserError, match="neither"):
        lc.hold_norm(optimizer, symmetries, per="layer")
    assert not optimizer._optimizer_step_post_hooks


def test_a_schedule_that_goes_wrong_is_refused_before_the_step():
    net, symmetries = build()
    optimizer = sgd(net)
    lc.hold_norm(optimizer, symmetries, lambda step: 1.0 - step)
    train(net, optimizer, [0])
    before = net.head.weight.detach().clone()
    with pytest.raises(lc.UserError, match=r"schedule at 1: 0\.0 is no positive"):
        train(net, optimizer, [1])
    assert torch.equal(net.head.weight, before)


def test_different_rates_in_one_group_are_refused():
    net, symmetries = build()
    first, second = (
        {"params": [layer.weight], "lr": rate}
        for layer, rate in ((net.first, 0.1), (net.second, 0.2))
    )
    optimizer = torch.optim.SGD([first, second, {"params": net.head.parameters()}], lr=1.0)
    with pytest.raises(lc.UserError, match=r"different learning rates \(0.1, 0.2\)"):
        lc.hold_effective_lr(optimizer, symmetries, per="all")
    assert not optimizer._optimizer_step_pre_hooks
    with lc.hold_effective_lr(optimizer, symmetries, 0.05):
        train(net, optimizer, range(2))
    optimizer.param_groups[1]["lr"] = 0.1
    lc.hold_effective_lr(optimizer, symmetries, per="all")
    train(net, optimizer, range(2))
    optimizer.param_groups[1]["lr"] = 0.3
    with pytest.raises(lc.UserError, match="different learning rates"):
        train(net, optimizer, range(2))


def test_a_learning_rate_of_zero():
    """Nothing moves: the norm stays; there is nothing that "current" could mean."""
    net, symmetries = build()
    optimizer = torch.optim.SGD(split(net, symmetries), lr=0.0, momentum=0.9)
    with lc.hold_effective_lr(optimizer, symmetries), pytest.raises(lc.UserError, match="is 0"):
        train(net, optimizer, [0])
    before = net.first.weight.detach().clone()
    with lc.hold_effective_lr(optimizer, symmetries, 0.05):
        train(net, optimizer, [0])
        torch.testing.assert_close(net.first.weight.detach(), before, rtol=1e-14, atol=0)
        optimizer.param_groups[0]["lr"] = 0.2
        train(net, optimizer, [1])
        assert float(net.first.weight.detach().norm()) == pytest.approx(2.0, rel=1e-12)


class Stranger(torch.optim.Optimizer):
    """An optimizer that nothing is known of: it remembers the sum of all gradients."""

    def __init__(self, params):
        super().__init__(params, {"lr": 0.05})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                kept = self.state[p].setdefault("total", torch.zeros_like(p))
                kept += p.grad
                p -= group["lr"] * kept


def test_a_stranger_is_held_where_it_is_and_nowhere_else():
    net, symmetries = build()
    optimizer = Stranger(net.parameters())
    before = float(net.first.weight.detach().norm())
    for refused in (
        lambda: lc.hold_norm(optimizer, symmetries, lambda step: 1.0),
        lambda: lc.hold_effective_lr(optimizer, symmetries),
    ):
        with pytest.raises(lc.UserError, match="Stranger"):
            refused()
    with lc.hold_norm(optimizer, symmetries):
        train(net, optimizer, range(5))
    assert float(net.first.weight.detach().norm()) == pytest.approx(before, rel=1e-12)
    with pytest.raises(lc.UserError, match="Stranger's state 'total'"):
        lc.hold_norm(optimizer, symmetries, 2.0)
    fresh_net, fresh_symmetries = build()
    fresh = Stranger(fresh_net.parameters())
    with lc.hold_norm(fresh, fresh_symmetries, 2.0):
        train(fresh_net, fresh, range(2))
    assert float(fresh_net.first.weight.detach().norm()) == pytest.approx(2.0, rel=1e-12)


def test_weights_that_are_not_finite_are_left_to_themselves():
    net, symmetries = build()
    optimizer = sgd(net)
    lc.hold_norm(optimizer, symmetries)
    train(net, optimizer, [0])
    second = net.second.weight.detach().clone()
    with torch.no_grad():
        net.first.weight[0, 0] = float("nan")
    optimizer.zero_grad()
    optimizer.step()
    torch.testing.assert_close(net.second.weight.detach(), second)
    assert int(net.first.weight.isnan().sum()) == 1
