"""Nothing is read back from the weights' device in a step, and nothing is copied to it."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import limitcycle as lc
from tests.control.nets import build, loss_of, split, train

_WAITS = ("_local_scalar_dense", "nonzero", "equal", "lift_fresh", "is_nonzero")


class NoReads(TorchDispatchMode):
    """Fails at operations for which a CUDA device would have to be waited for."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in _WAITS, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


CONTROLS = {
    "current": lambda o, s: lc.hold_norm(o, s),
    "all": lambda o, s: lc.hold_norm(o, s, per="all"),
    "schedule": lambda o, s: lc.hold_norm(o, s, lambda t: 2.0 + t % 3),
    "effective": lambda o, s: lc.hold_effective_lr(o, s, 0.01),
    "cap": lambda o, s: lc.hold_effective_lr(o, s, 0.01, cap=True),
    "radial": lambda o, s: lc.without_radial(o, s),
    "decay": lambda o, s: lc.decay_with_lr(o, s),
}


@pytest.mark.parametrize("kind", ["even", "uneven"])
@pytest.mark.parametrize("control", CONTROLS)
def test_no_step_waits_for_the_device(control, kind):
    net, symmetries = build(kind)
    optimizer = torch.optim.SGD(split(net, symmetries), lr=0.1, momentum=0.9)
    handle = CONTROLS[control](optimizer, symmetries)
    train(net, optimizer, range(2))
    for rate in (0.1, 0.05, 0.02):
        optimizer.param_groups[0]["lr"] = rate
        loss_of(net, 0).backward()
        with NoReads():
            handle._before_step(optimizer)
            handle._after_step(optimizer)


def test_the_guard_sees_reads():
    with pytest.raises(AssertionError, match="waits"), NoReads():
        float(torch.ones(2).sum())
    with pytest.raises(AssertionError, match="waits"), NoReads():
        torch.tensor([1.0])
