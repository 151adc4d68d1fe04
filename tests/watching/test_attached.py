"""Attaching and letting go: no trace, no waiting for the device, nothing refused without a name."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

import limitcycle as lc
from limitcycle.errors import UserError
from tests.watching import loops

WAITS = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero")


class NoReads(TorchDispatchMode):
    """Fails at operations for which a CUDA device would have to be waited for."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        assert name not in WAITS, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


def hooks_of(model, optimizer):
    return [
        dict(table)
        for table in (
            optimizer._optimizer_step_pre_hooks,
            optimizer._optimizer_step_post_hooks,
            model._forward_pre_hooks,
            model._forward_pre_hooks_with_kwargs,
        )
    ]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_closing_removes_every_trace(steps):
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before, attributes = hooks_of(model, optimizer), set(vars(model)) | set(vars(optimizer))
    w = lc.watch(model, optimizer, quiet=True)
    for step in range(steps):
        loops.plain_step(model, optimizer, step)
    w.close()
    w.close()
    assert hooks_of(model, optimizer) == before
    assert set(vars(model)) | set(vars(optimizer)) == attributes
    loops.plain_step(model, optimizer, steps)
    assert len(w.steps) == steps


@pytest.mark.parametrize("name", ["sgd", "adamw", "scaler fused", "lr is a tensor"])
def test_no_step_waits_for_the_device(name):
    loop, model = loops.LOOPS[name](), loops.net()
    optimizer = loop.optimizer(model)
    w = lc.watch(model, optimizer, quiet=True)
    loop.step(model, optimizer, 0)
    for step in range(1, 3):
        loss = loops.loss_of(model, step)
        loss.backward()
        with NoReads(), torch.no_grad():
            w._before()
            w._after()
            w.log(loss=loss)
    w.close()


def test_words_are_said_on_closing(capsys):
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    with lc.watch(model, optimizer) as w:
        for step in range(40):
            w.log(loss=loops.plain_step(model, optimizer, step))
    said = capsys.readouterr().err
    assert said.startswith("limitcycle: ") and "rad a step" in said
    assert str(w.diagnosis()) in said


def test_gradients_that_are_not_there_count_as_zero():
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(3):
            loops.plain_step(model, optimizer, step)
            if step == 1:
                optimizer.zero_grad()
                optimizer.step()
    assert w.steps["grad_norm"].to_list()[2] == 0 and w.steps["grad_norm"].iloc[3] > 0


def test_a_model_on_which_nothing_is_invariant_is_measured_as_a_whole(capsys):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 5), nn.Sigmoid(), nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        loops.plain_step(model, optimizer, 0)
    whole = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert w.steps["norm"].iloc[0] == pytest.approx(float(whole.norm()), rel=0.2)
    assert "nothing here is scale-invariant" in capsys.readouterr().err


def test_the_first_call_is_kept_whatever_its_shape():
    class Keyword(loops.Net):
        def forward(self, x, *, gain):
            return gain * super().forward(x)

    torch.manual_seed(0)
    model = Keyword()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        x, y = loops.batch(0)
        model.eval()(x, gain=torch.ones(24, 1))
        model.train()
        F.cross_entropy(model(x, gain=torch.ones(24, 1)), y).backward()
        optimizer.step()
    assert w.symmetries.scale_invariant == ("one.weight", "two.weight")


def test_a_part_that_holds_all_that_moves_may_be_called_instead():
    """The names are those of the watched model, whichever part is called."""

    class Holder(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.teacher = loops.net(), nn.Linear(3, 3)

    model = Holder()
    optimizer = torch.optim.SGD(model.net.parameters(), lr=0.1)
    before = hooks_of(model.net, optimizer), set(vars(model))
    with lc.watch(model, optimizer, quiet=True) as w:
        model.teacher(torch.ones(2, 3))
        loops.plain_step(model.net, optimizer, 0)
    assert w.symmetries.scale_invariant == ("net.one.weight", "net.two.weight")
    assert [group.names for group in w.symmetries.groups if group.kind == "dead"] == [
        ("teacher.weight",),
        ("teacher.bias",),
    ]
    assert list(w.groups["group"]) == ["net.one.weight", "net.two.weight", "other"]
    assert (hooks_of(model.net, optimizer), set(vars(model))) == before


def test_a_call_through_a_forward_put_in_for_it_is_not_the_first():
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        model.forward = lambda *_: None
        model("a batch", 3)
        del model.forward
        loops.plain_step(model, optimizer, 0)
    assert w.symmetries.scale_invariant == ("one.weight", "two.weight")


def test_the_newest_row_is_told_for_a_logger():
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        assert w.latest() == {}
        for step in range(3):
            loss = loops.plain_step(model, optimizer, step)
            w.log(loss=loss)
            row = w.latest()
            assert (row["step"], row["loss"]) == (step, pytest.approx(float(loss.detach())))
    assert list(w.steps["step"]) == [0, 1, 2]
    assert w.steps["loss"].notna().all()


def test_refusals_name_what_is_refused():
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for every in (0, 1.5, True):
        with pytest.raises(UserError, match="every must be"):
            lc.watch(model, optimizer, every=every)
    with pytest.raises(UserError, match="sink is a folder"):
        lc.watch(model, optimizer, sink=3)
    with pytest.raises(UserError, match="not dict"):
        lc.watch(model, {"lr": 1})
    with pytest.raises(UserError, match="names or patterns of tensors, not int"):
        lc.watch(model, optimizer, 3)
    with pytest.raises(UserError, match=r"'conv\*' fits no trainable tensor of the model: one\.w"):
        lc.watch(model, optimizer, ["one.weight", "conv*"])
    early = lc.watch(model, optimizer, quiet=True)
    loops.plain_step(model, optimizer, 0)
    with pytest.raises(UserError, match="before the first step"):
        early.load_state_dict(early.state_dict())
    early.close()
    assert len(early.steps) == 1
    model.head.to("meta")
    with pytest.raises(UserError, match=r"several devices \(cpu, meta\)"):
        lc.watch(model, optimizer)


def test_shards_are_refused():
    model = loops.net()
    sharded = type("FullyShardedDataParallel", (nn.Module,), {})()
    with pytest.raises(UserError, match="FSDP is not torch's, and keeps only a part"):
        lc.watch(nn.ModuleList([sharded, model]), torch.optim.SGD(model.parameters(), lr=0.1))


def test_a_step_that_fails_leaves_no_row():
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def fail(*_: object) -> None:
        raise OSError("no such thing")

    with lc.watch(model, optimizer, quiet=True) as w:
        loops.plain_step(model, optimizer, 0)
        failing = optimizer.register_step_pre_hook(fail)
        with pytest.raises(OSError, match="no such thing"):
            loops.plain_step(model, optimizer, 1)
        failing.remove()
        loops.plain_step(model, optimizer, 2)
    assert list(w.steps["step"]) == [0, 1]  # steps that were made
    assert (w.steps["relative_update"] > 0).all()


def test_what_is_said_of_a_step_without_a_row_is_not_taken_for_another():
    """Also where a resumed job's first step is such a one, and its loss is said before the step."""
    model = loops.net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, every=10, quiet=True) as w:
        w.load_state_dict({"step": 5, "symmetries": None})
        for step in range(5, 12):
            loops.loss_of(model, step).backward()
            w.log(loss=float(step))
            optimizer.step()
    assert w.steps[["step", "loss"]].to_numpy().tolist() == [[10, 10.0]]
