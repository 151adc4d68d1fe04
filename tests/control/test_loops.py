"""Other people's loops: GradScaler, closures, accumulation, wrappers, frozen and tied tensors."""

import pytest
import torch
from torch import nn

import limitcycle as lc
from tests.control.nets import batch, build, held_norms, loss_of, split, train


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("control", ["norm", "schedule", "effective", "radial", "decay"])
def test_a_step_that_gradscaler_skips(control, fused):
    """Weights and the function stay; the next step goes on as if nothing had been."""
    net, symmetries = build()
    optimizer = torch.optim.AdamW(split(net, symmetries), lr=0.02, weight_decay=0.1, fused=fused)
    {
        "norm": lambda: lc.hold_norm(optimizer, symmetries),
        "schedule": lambda: lc.hold_norm(optimizer, symmetries, lambda t: 2.0 + t),
        "effective": lambda: lc.hold_effective_lr(optimizer, symmetries, 0.01),
        "radial": lambda: lc.without_radial(optimizer, symmetries),
        "decay": lambda: lc.decay_with_lr(optimizer, symmetries),
    }[control]()
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    for step in range(4):
        optimizer.zero_grad()
        scaler.scale(loss_of(net, step)).backward()
        if step == 2:
            net.head.weight.grad[0, 0] = float("inf")
        before = net(batch()[0]).detach()
        held = held_norms(symmetries, "group")
        scaler.step(optimizer)
        scaler.update()
        after = net(batch()[0]).detach()
        assert after.isfinite().all()
        if step == 2:
            torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)
            if control != "schedule":
                assert held_norms(symmetries, "group") == pytest.approx(held, rel=1e-14)
        else:
            assert not torch.equal(after, before)


def test_scaled_gradients_of_a_fused_step_give_the_same_training():
    """A moving sphere divides gradients before a fused step unscales them."""
    nets = []
    for scale in (1.0, 1024.0):
        net, symmetries = build()
        optimizer = torch.optim.AdamW(split(net, symmetries), lr=0.02, fused=True)
        lc.hold_norm(optimizer, symmetries, lambda t: 2.0 + t % 3)
        scaler = torch.amp.GradScaler("cpu", init_scale=scale)
        for step in range(8):
            optimizer.zero_grad()
            scaler.scale(loss_of(net, step)).backward()
            scaler.step(optimizer)
            scaler.update()
        nets.append(net)
    for p, q in zip(*(net.parameters() for net in nets), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-10)


def test_closure_and_accumulation_give_the_same_training():
    nets = []
    for way in ("plain", "closure", "halves"):
        net, symmetries = build()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        lc.hold_norm(optimizer, symmetries, lambda t: 2.0 + t % 3)
        for step in range(8):

            def whole(net=net, optimizer=optimizer, step=step):
                optimizer.zero_grad()
                loss = loss_of(net, step)
                loss.backward()
                return loss

            if way == "closure":
                optimizer.step(whole)
            else:
                optimizer.zero_grad()
                for _ in range(2 if way == "halves" else 1):
                    (loss_of(net, step) / (2 if way == "halves" else 1)).backward()
                optimizer.step()
        nets.append(net)
    for other in nets[1:]:
        for p, q in zip(nets[0].parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-10)


def test_accelerates_optimizer_is_looked_through():
    from accelerate import Accelerator

    net, symmetries = build()
    accelerator = Accelerator(cpu=True)
    optimizer = accelerator.prepare(torch.optim.SGD(net.parameters(), lr=0.3))
    lc.hold_norm(optimizer, symmetries, 2.0)
    train(net, optimizer, range(3))
    assert held_norms(symmetries, "group") == pytest.approx([2.0, 2.0], rel=1e-12)


def test_frozen_parameters_are_no_part_of_it():
    net, _ = build()
    net.first.requires_grad_(False)
    symmetries = lc.symmetries(net, batch()[0])
    optimizer = torch.optim.SGD((p for p in net.parameters() if p.requires_grad), lr=0.3)
    before = net.first.weight.clone()
    lc.hold_norm(optimizer, symmetries, 2.0, per="all")
    train(net, optimizer, range(3))
    assert torch.equal(net.first.weight, before)
    assert float(net.second.weight.detach().norm()) == pytest.approx(2.0, rel=1e-12)


def test_a_tied_tensor_is_scaled_once():
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(5, 5, bias=False, dtype=torch.float64)
            self.two = nn.Linear(5, 5, bias=False, dtype=torch.float64)
            self.two.weight = self.one.weight
            self.norm = nn.BatchNorm1d(5, affine=False, dtype=torch.float64)

        def forward(self, x):
            return self.norm(self.two(torch.tanh(self.norm(self.one(x)))))

    net = Tied()
    symmetries = lc.symmetries(net, batch()[0])
    optimizer = torch.optim.SGD(net.parameters(), lr=0.3)
    lc.hold_norm(optimizer, symmetries, 3.0)
    for _ in range(3):
        optimizer.zero_grad()
        (net(batch()[0]) ** 3).mean().backward()
        optimizer.step()
    assert float(net.one.weight.detach().norm()) == pytest.approx(3.0, rel=1e-12)


def test_a_learning_rate_that_is_a_tensor():
    net, symmetries = build()
    optimizer = torch.optim.Adam(net.parameters(), lr=torch.tensor(0.02, dtype=torch.float64))
    lc.hold_effective_lr(optimizer, symmetries, 0.01)
    train(net, optimizer, range(3))
    assert held_norms(symmetries, "group") == pytest.approx([2.0, 2.0], rel=1e-12)
