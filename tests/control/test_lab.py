"""hold_norm(per="all") under torch's SGD against the lab's engine with a fixed norm."""

import pytest
import torch
from torch.nn import functional as F

import limitcycle as lc
from limitcycle.lab.engine import step
from limitcycle.lab.nets import build_net
from limitcycle.lab.setup import prepare
from limitcycle.lab.training import batches, hyper
from limitcycle.record import Run

STEPS = 100


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("norm", ["start", 4.0])
def test_equals_the_labs_fixed_norm(norm, momentum):
    run = Run(
        dtype="float64",
        lr=0.3 * (1 - momentum),
        weight_decay=1e-2,
        momentum=momentum,
        width=16,
        train_size=384,
        steps=STEPS,
        fixed_norm=norm,
    )
    setup = prepare(run, torch.device("cpu"))
    plain = list(batches(run, setup, 0, STEPS))
    state = setup.state
    for batch in plain:
        rate = torch.tensor(run.lr, dtype=torch.float64)
        state, _ = step(setup.net, state, batch, {**hyper(run, setup), "lr": rate})

    net = build_net(run, setup.data.image_shape, setup.data.classes).double().train()
    symmetries = setup.symmetries.bound(net)
    assert set(symmetries.scale_invariant) == set(setup.measured)
    trained = [p for p in net.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(
        trained, lr=run.lr, momentum=momentum, weight_decay=run.weight_decay
    )
    with lc.hold_norm(optimizer, symmetries, "current" if norm == "start" else norm, per="all"):
        if norm != "start":  # the lab's first gradient is taken on the sphere
            optimizer.step()
        for images, labels in plain:
            optimizer.zero_grad()
            F.cross_entropy(net(images), labels).backward()
            optimizer.step()

    found = dict(net.named_parameters())
    for name, expected in setup.net.parts["weights"].named(state["weights"]).items():
        torch.testing.assert_close(found[name].detach(), expected, rtol=1e-10, atol=1e-10)
