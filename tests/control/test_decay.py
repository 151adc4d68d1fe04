"""Weight decay that follows the learning rate: the rule, the wrapper, and what it is for."""

import pytest
import torch

import limitcycle as lc
from limitcycle.control import following_decay
from tests.control.nets import build, loss_of, split, train


def test_decay_per_step_goes_with_the_square():
    full, tenth = (lr * following_decay(0.05, lr, 0.4) for lr in (0.4, 0.04))
    assert full == 0.4 * 0.05
    assert tenth == pytest.approx(full / 100)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW])
def test_equals_setting_it_by_hand(kind):
    nets = []
    for by_hand in (False, True):
        net, symmetries = build()
        optimizer = kind(split(net, symmetries), lr=0.1, weight_decay=0.2)
        scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
        if not by_hand:
            lc.decay_with_lr(optimizer, symmetries)
        for step in range(10):
            if by_hand:
                group = optimizer.param_groups[0]
                group["weight_decay"] = 0.2 * (group["lr"] / 0.1)
            train(net, optimizer, [step], scheduler)
        nets.append(net)
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(p, q)


def resting_norm(lr: float, decay: float, control: bool) -> float:
    """Where SGD rests with gradients of effective norm 1 in random tangential directions."""
    net, symmetries = build()
    weight = net.first.weight
    net.second.requires_grad_(False)
    optimizer = torch.optim.SGD(split(net, symmetries), lr=0.1, weight_decay=decay)
    if control:
        lc.decay_with_lr(optimizer, symmetries)
    optimizer.param_groups[0]["lr"] = lr
    random = torch.Generator().manual_seed(0)
    start = (0.1 / (2 * 0.1)) ** 0.25
    with torch.no_grad():
        weight *= start / weight.norm()
    for _ in range(3_000):
        g = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
        w = weight.detach()
        g -= (g * w).sum() / (w * w).sum() * w
        weight.grad = g / g.norm() / w.norm()
        optimizer.step()
    return float(weight.detach().norm())


def test_the_resting_norm_stays_where_it_was():
    """ρ⁴ = ηg̃²/(2λ): a quarter of the rate moves the norm by 4^(−1/4); following decay does not."""
    at_peak = resting_norm(0.1, 0.1, control=False)
    assert at_peak == pytest.approx((0.1 / 0.2) ** 0.25, rel=0.01)
    assert resting_norm(0.025, 0.1, control=False) == pytest.approx(at_peak / 2**0.5, rel=0.03)
    assert resting_norm(0.025, 0.1, control=True) == pytest.approx(at_peak, rel=0.01)


def test_between_steps_nothing_shows():
    net, symmetries = build()
    optimizer = torch.optim.SGD(split(net, symmetries), lr=0.1, weight_decay=0.2)
    lc.decay_with_lr(optimizer, symmetries, peak=0.4)
    seen = []
    optimizer.register_step_pre_hook(
        lambda o, *_: seen.append([g["weight_decay"] for g in o.param_groups])
    )
    train(net, optimizer, range(2))
    assert seen == [[0.05, 0.2]] * 2
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.2, 0.2]


def test_a_step_that_raised_is_forgotten():
    net, symmetries = build()
    optimizer = torch.optim.SGD(split(net, symmetries), lr=0.1, weight_decay=0.2)
    handle = lc.decay_with_lr(optimizer, symmetries, peak=0.4)

    def failing():
        raise RuntimeError("out of memory")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            optimizer.step(failing)
        assert optimizer.param_groups[0]["weight_decay"] == 0.05
    handle.remove()
    assert optimizer.param_groups[0]["weight_decay"] == 0.2


def test_a_group_without_decay_stays_without():
    net, symmetries = build()
    mine, others = split(net, symmetries)
    optimizer = torch.optim.SGD([{**mine, "weight_decay": 0.0}, others], lr=0.1, weight_decay=0.3)
    lc.decay_with_lr(optimizer, symmetries)
    optimizer.register_step_pre_hook(
        lambda o, *_: pytest.fail("decay") if o.param_groups[0]["weight_decay"] else None
    )
    train(net, optimizer, range(2))


def test_the_peak_is_what_the_scheduler_says():
    net, symmetries = build()
    optimizer = torch.optim.SGD(split(net, symmetries), lr=0.1, weight_decay=0.2)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10)
    handle = lc.decay_with_lr(optimizer, symmetries)
    assert handle.state_dict()["peaks"] == [0.5]
    train(net, optimizer, [0], scheduler)
    handle.remove()
    del optimizer.param_groups[0]["max_lr"]
    optimizer.param_groups[0]["initial_lr"] = 0.3
    assert lc.decay_with_lr(optimizer, symmetries).state_dict()["peaks"] == [0.3]


def test_refusals():
    net, symmetries = build()
    mixed = torch.optim.SGD(net.parameters(), lr=0.1, weight_decay=0.2)
    with pytest.raises(lc.UserError, match="param group 0 decays scale-invariant tensors and 2"):
        lc.decay_with_lr(mixed, symmetries)
    free = torch.optim.SGD(net.parameters(), lr=0.0)
    with pytest.raises(lc.UserError, match="positive peak"):
        lc.decay_with_lr(free, symmetries)
    lc.decay_with_lr(free, symmetries, peak=0.1)
    loss_of(net, 0).backward()
    free.step()
