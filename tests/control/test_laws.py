"""What every control promises under every optimizer."""

import copy
import json

import pytest
import torch

import limitcycle as lc
from tests.control.nets import batch, build, held_norms, loss_of, split, train

OPTIMIZERS = {
    "sgd": lambda groups: torch.optim.SGD(groups, lr=0.2),
    "momentum": lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9),
    "nesterov": lambda groups: torch.optim.SGD(groups, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda groups: torch.optim.Adam(groups, lr=0.02),
    "adamw": lambda groups: torch.optim.AdamW(groups, lr=0.02, amsgrad=True),
}
HOLDS = {
    "norm, current": lambda o, s, per: lc.hold_norm(o, s, per=per),
    "norm, value": lambda o, s, per: lc.hold_norm(o, s, 3.0, per),
    "norm, schedule": lambda o, s, per: lc.hold_norm(o, s, lambda t: 2.0 + t % 3, per),
    "effective lr, current": lambda o, s, per: lc.hold_effective_lr(o, s, per=per),
    "effective lr, value": lambda o, s, per: lc.hold_effective_lr(o, s, 0.02, per),
    "effective lr, schedule": lambda o, s, per: lc.hold_effective_lr(
        o, s, lambda t: 0.01 + 0.01 * (t % 2), per
    ),
}
CONTROLS = {
    **HOLDS,
    "cap": lambda o, s, per: lc.hold_effective_lr(o, s, 0.02, per, cap=True),
    "without radial": lambda o, s, per: lc.without_radial(o, s, per),
    "decay with lr": lambda o, s, per: lc.decay_with_lr(o, s),
}  # fmt: skip
every = pytest.mark.parametrize("optimizer", OPTIMIZERS)
each_per = pytest.mark.parametrize("per", ["group", "all"])


def start(optimizer: str, kind: str = "even", decay: float = 0.1):
    """A net, its symmetries, and an optimizer with a decaying and a free param group."""
    net, symmetries = build(kind)
    mine, others = split(net, symmetries)
    made = OPTIMIZERS[optimizer]([mine, {**others, "lr": 0.03}])
    if optimizer != "adam":
        made.param_groups[0]["weight_decay"] = decay
    made.param_groups[1]["weight_decay"] = 0.0
    return net, symmetries, made


def anneal(optimizer):
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: 1 / (1 + t % 4))


@each_per
@pytest.mark.parametrize("kind", ["even", "uneven"])
@pytest.mark.parametrize("control", HOLDS)
@every
def test_what_is_held_is_held(optimizer, control, kind, per):
    """To 1e-12, under a schedule of the learning rate and several param groups."""
    net, symmetries, made = start(optimizer, kind)
    power = 2 if optimizer in ("sgd", "momentum", "nesterov") else 1
    before = held_norms(symmetries, per)
    first_rate = made.param_groups[0]["lr"]
    handle = HOLDS[control](made, symmetries, per)
    scheduler = anneal(made)
    for step in range(8):
        rate = made.param_groups[0]["lr"]
        train(net, made, [step], scheduler)
        norms = held_norms(symmetries, per)
        if control.startswith("norm"):
            wanted = {"current": before, "value": [3.0, 3.0], "schedule": [2.0 + step % 3] * 2}
            expected, found = wanted[control.split(", ")[1]], norms
        else:
            current = [first_rate / rho**power for rho in before]
            scheduled = [0.01 + 0.01 * (step % 2)] * 2
            wanted = {"current": current, "value": [0.02, 0.02], "schedule": scheduled}
            expected = wanted[control.split(", ")[1]]
            found = [rate / rho**power for rho in norms]
        assert found == pytest.approx(expected[: len(found)], rel=1e-12)
    assert handle.norms.tolist() == pytest.approx(norms, rel=1e-12)


@pytest.mark.parametrize("kind", ["even", "uneven"])
@pytest.mark.parametrize("control", HOLDS)
def test_holding_leaves_the_function_alone(control, kind):
    """A step that moves nothing (no gradients) goes to the sphere, and the output is the same."""
    net, symmetries, made = start("momentum", kind)
    expected = net(batch()[0]).detach()
    weights = [p.detach().clone() for p in net.parameters()]
    with HOLDS[control](made, symmetries, "group"):
        made.step()
        once = [p.detach().clone() for p in net.parameters()]
        torch.testing.assert_close(net(batch()[0]).detach(), expected, rtol=1e-11, atol=1e-11)
    if "current" not in control:
        assert (weights[0] - once[0]).norm() > 0.1
    with lc.hold_norm(made, symmetries):
        made.step()
    for p, q in zip(net.parameters(), once, strict=True):
        torch.testing.assert_close(p.detach(), q, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("control", CONTROLS)
@every
def test_removal_leaves_no_trace(optimizer, control):
    """Hooks, settings and state keys are those of an optimizer that was never controlled."""
    net, symmetries, made = start(optimizer)
    bare_net, _, bare = start(optimizer)
    handle = CONTROLS[control](made, symmetries, "group")
    train(net, made, range(3))
    train(bare_net, bare, range(3))
    handle.remove()
    handle.remove()
    assert not made._optimizer_step_pre_hooks
    assert not made._optimizer_step_post_hooks
    assert vars(made).keys() == vars(bare).keys()
    assert vars(net).keys() == vars(bare_net).keys()
    assert settings(made) == settings(bare)
    for p, q in zip(net.parameters(), bare_net.parameters(), strict=True):
        assert made.state.get(p, {}).keys() == bare.state.get(q, {}).keys()
        assert vars(p).keys() == vars(q).keys()


@pytest.mark.parametrize("control", CONTROLS)
def test_removal_before_the_first_step_changes_nothing_at_all(control):
    net, symmetries, made = start("adamw")
    bare_net, _, bare = start("adamw")
    with CONTROLS[control](made, symmetries, "group"):
        pass
    train(net, made, range(3))
    train(bare_net, bare, range(3))
    for p, q in zip(net.parameters(), bare_net.parameters(), strict=True):
        assert torch.equal(p, q)


def settings(optimizer) -> list[dict]:
    return [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]


@pytest.mark.parametrize(("loaded_first", "per"), [(True, "group"), (False, "all")])
@pytest.mark.parametrize("control", CONTROLS)
@every
def test_a_resumed_run_is_the_same_run(optimizer, control, loaded_first, per):
    """Bitwise, whether weights are loaded before the control is set up or after; state is JSON."""
    net, symmetries, made = start(optimizer)
    handle, scheduler = CONTROLS[control](made, symmetries, per), anneal(made)
    train(net, made, range(5), scheduler)
    saved = copy.deepcopy([part.state_dict() for part in (net, made, scheduler)])
    kept = json.loads(json.dumps(handle.state_dict()))
    train(net, made, range(5, 10), scheduler)

    twin, bound, again = start(optimizer)
    second = None if loaded_first else CONTROLS[control](again, bound, per)
    timer = anneal(again)
    for part, state in zip((twin, again, timer), saved, strict=True):
        part.load_state_dict(state)
    second = second or CONTROLS[control](again, bound, per)
    second.load_state_dict(kept)
    train(twin, again, range(5, 10), timer)
    for p, q in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.equal(p, q)
    assert second.state_dict() == handle.state_dict()


@pytest.mark.parametrize("control", CONTROLS)
def test_a_second_control_of_the_same_kind_is_refused(control):
    _, symmetries, made = start("sgd")
    first = CONTROLS[control](made, symmetries, "group")
    with pytest.raises(lc.UserError, match="already controls"):
        CONTROLS[control](made, symmetries, "all")
    first.remove()
    CONTROLS[control](made, symmetries, "all")


@pytest.mark.parametrize("control", CONTROLS)
def test_a_state_of_something_else_is_refused(control):
    _, symmetries, made = start("sgd")
    handle = CONTROLS[control](made, symmetries, "group")
    with pytest.raises(lc.UserError, match="control are 'other'"):
        handle.load_state_dict({**handle.state_dict(), "control": "other"})
    with pytest.raises(lc.UserError, match="groups are"):
        handle.load_state_dict({**handle.state_dict(), "groups": ["x"]})


@pytest.mark.parametrize("control", CONTROLS)
@every
def test_a_step_without_gradients_is_harmless(optimizer, control):
    """As after a skipped batch: from the second step on nothing moves."""
    net, symmetries, made = start(optimizer)
    CONTROLS[control](made, symmetries, "group")
    train(net, made, range(2))
    weights = [p.detach().clone() for p in net.parameters()]
    made.zero_grad()
    if "schedule" not in control:
        made.step()
        for p, q in zip(net.parameters(), weights, strict=True):
            torch.testing.assert_close(p.detach(), q, rtol=1e-14, atol=0)
    else:
        expected = loss_of(net, 0)
        made.step()
        torch.testing.assert_close(loss_of(net, 0), expected, rtol=1e-12, atol=0)
