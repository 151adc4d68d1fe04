"""Controls of several optimizers: what is held is held after each step, as on the sphere."""

import pytest
import torch

import limitcycle as lc
from limitcycle.errors import UserError
from tests.control.nets import build, held_norms, loss_of, split

STEPS = 12


def pair(net, kind=torch.optim.SGD, **settings):
    """Two optimizers of one kind: the first matrix, and all else."""
    settings = {"lr": 0.05, "weight_decay": 0.05, **settings}
    rest = [net.second.weight, *net.head.parameters()]
    return [kind([net.first.weight], **settings), kind(rest, **settings)]


def train(net, optimizers, steps):
    for step in steps:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss_of(net, step).backward()
        for optimizer in optimizers:
            optimizer.step()


CONTROLS = {
    "norm": lambda o, s: lc.hold_norm(o, s),
    "value": lambda o, s: lc.hold_norm(o, s, 1.7),
    "schedule": lambda o, s: lc.hold_norm(o, s, lambda t: 2.0 + 0.3 * t),
    "effective": lambda o, s: lc.hold_effective_lr(o, s, 0.02),
    "effective schedule": lambda o, s: lc.hold_effective_lr(o, s, lambda t: 0.02 + 0.01 * t),
    "radial": lambda o, s: lc.without_radial(o, s),
}


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW])
def test_two_are_as_one(control, kind):
    """Groups that lie whole in one of two optimizers move as under one optimizer of all."""
    settings = {"momentum": 0.8} if kind is torch.optim.SGD else {}
    one, found = build()
    alone = kind(one.parameters(), lr=0.05, weight_decay=0.05, **settings)
    with CONTROLS[control](alone, found):
        train(one, [alone], range(STEPS))
    two, bound = build()
    both = pair(two, kind, **settings)
    with CONTROLS[control](both, bound) as handle:
        train(two, both, range(5))
        state = handle.state_dict()
        handle.remove()
        again = CONTROLS[control](both, bound)
        again.load_state_dict(state)
        train(two, both, range(5, STEPS))
        again.remove()
    for name, tensor in one.named_parameters():
        torch.testing.assert_close(tensor, two.get_parameter(name), rtol=1e-9, atol=1e-10)
    assert not any(o._optimizer_step_pre_hooks or o._optimizer_step_post_hooks for o in both)


def test_decay_follows_each_optimizers_rate():
    net, found = build()
    groups = split(net, found)
    both = [
        torch.optim.AdamW(groups[0]["params"], lr=0.02, weight_decay=0.3),
        torch.optim.AdamW(groups[1]["params"], lr=0.02, weight_decay=0.2),
    ]
    both[0].param_groups[0]["lr"] = 0.01
    seen = []
    with lc.decay_with_lr(both, found, peak=0.02):
        both[0].register_step_pre_hook(
            lambda *_: seen.append([o.param_groups[0]["weight_decay"] for o in both])
        )
        train(net, both, range(2))
    assert seen == [[0.15, 0.2]] * 2
    assert [o.param_groups[0]["weight_decay"] for o in both] == [0.3, 0.2]


@pytest.mark.parametrize("per", ["group", "all"])
def test_a_group_in_two_optimizers_is_held_after_each_of_their_steps(per):
    """Against two plain loops with a projection behind each optimizer's step."""
    net, found = build("uneven" if per == "group" else "even")
    names = ("twice", "once") if per == "group" else ("first", "second")
    first = [getattr(net, names[0]).weight]
    rest = [p for p in net.parameters() if p is not first[0]]
    both = [torch.optim.SGD(first, lr=0.1), torch.optim.SGD(rest, lr=0.05)]
    start = held_norms(found, per)
    for_each = []
    with lc.hold_norm(both, found, per=per):
        for optimizer in both:
            optimizer.register_step_post_hook(lambda *_: for_each.append(held_norms(found, per)))
        train(net, both, range(STEPS))
    assert len(for_each) == 2 * STEPS
    for norms in for_each:
        assert norms == pytest.approx(start, rel=1e-12)


def test_directions_of_a_joint_norm_in_two_optimizers():
    """A turn: one matrix steps, all are scaled back, the other steps with its old gradient."""
    net, found = build()
    both = pair(net, weight_decay=0.1)
    twin, _ = build()
    mine = [twin.first.weight, twin.second.weight]
    rho = torch.sqrt(sum(p.detach().square().sum() for p in mine))
    with lc.hold_norm(both, found, per="all"):
        train(net, both, range(STEPS))
    for step in range(STEPS):
        tensors = list(twin.parameters())
        gradients = dict(
            zip(tensors, torch.autograd.grad(loss_of(twin, step), tensors), strict=True)
        )
        with torch.no_grad():
            for part in ([mine[0]], [mine[1], *twin.head.parameters()]):
                for p in part:
                    p -= 0.05 * (gradients[p] + 0.1 * p)
                scale = rho / torch.sqrt(sum(p.square().sum() for p in mine))
                for p in mine:
                    p *= scale
    for name, tensor in net.named_parameters():
        torch.testing.assert_close(tensor, twin.get_parameter(name), rtol=1e-9, atol=1e-10)


def test_a_schedule_counts_turns():
    net, found = build()
    often, seldom = pair(net)
    seen = []
    with lc.hold_norm([often, seldom], found, lambda t: seen.append(t) or 2.0):
        for step in range(6):
            train(net, [often, seldom] if step % 3 == 2 else [often], [step])
    assert sorted(set(seen)) == list(range(6))


def test_who_makes_no_step_keeps_its_bits():
    net, found = build()
    often, seldom = pair(net)
    with lc.hold_norm([often, seldom], found):
        train(net, [often, seldom], [0])
        before = net.second.weight.detach().clone()
        train(net, [often], [1, 2])
    assert torch.equal(before, net.second.weight)


def test_groups_of_several_are_split():
    net, found = build()
    both = pair(net)
    lc.split_groups(both, found)
    assert [len(o.param_groups) for o in both] == [1, 2]
    assert both[1].param_groups[0]["params"][0] is net.second.weight


def test_refusals():
    net, found = build()
    both = pair(net)
    with pytest.raises(UserError, match=r"where several optimizers move them, give all"):
        lc.hold_norm(both[0], found)
    mixed = [both[0], torch.optim.AdamW([net.second.weight, *net.head.parameters()], lr=0.1)]
    with pytest.raises(UserError, match="scale with the weights in different ways"):
        lc.hold_effective_lr(mixed, found, 0.01, per="all")
    lc.hold_effective_lr(mixed, found, 0.01).remove()
    with lc.hold_norm(both, found), pytest.raises(UserError, match="already controls the norm"):
        lc.without_radial([both[1], both[0]], found)


class EightBit(torch.optim.Optimizer):
    """Keeps codes for numbers, as bitsandbytes does; its name says of what it is a version."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr, "weight_decay": 0.0, "betas": (0.9, 0.99)})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                state = self.state[p]
                state.setdefault("state1", torch.zeros(p.shape, dtype=torch.uint8))
                state.setdefault("absmax1", torch.zeros(2))
                p.sub_(group["lr"] * p.grad.sign())


@pytest.mark.parametrize("base", [(), ("Optimizer8bit",)])
def test_eight_bit_states_are_held_and_not_moved(base):
    bases = tuple(type(name, (EightBit,), {}) for name in base) or (EightBit,)
    kind = type("AdamW8bit" if not base else "AdamW", bases, {})
    net, found = build()
    optimizer = kind(net.parameters(), lr=0.01)
    start = held_norms(found, "group")
    with lc.hold_norm(optimizer, found):
        train(net, [optimizer], range(3))
    assert held_norms(found, "group") == pytest.approx(start, rel=1e-12)
    with pytest.raises(UserError, match="state 'state1' scales with the weights is not known"):
        lc.hold_norm(optimizer, found, 5.0)
    fresh = kind(net.parameters(), lr=0.01)
    with pytest.raises(UserError, match="not known"):
        lc.hold_effective_lr(fresh, found, 0.01)
    with lc.hold_norm(fresh, found, 5.0):
        train(net, [fresh], range(2))
    assert held_norms(found, "group") == pytest.approx([5.0, 5.0], rel=1e-12)
