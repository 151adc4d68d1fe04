"""What a first call did not use; and what is said of a step that was read already."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import limitcycle as lc
from limitcycle.symmetry import Group, Symmetries
from limitcycle.watching import later
from tests.watching import loops
from tests.watching.test_bystander import Tasks, with_call
from tests.watching.test_rows import check
from tests.watching.test_scripts import sgd


def trained(steps, tasks, sink=None):
    torch.manual_seed(0)
    model = Tasks()
    optimizer = sgd(model.parameters())
    seen = []
    with lc.watch(model, optimizer, sink=sink, quiet=True) as w:
        for t in range(steps):
            oracle = Tasks().double()
            oracle.load_state_dict(model.state_dict())
            step = with_call(lambda m, x, t=t: m(x, tasks[t]))
            before = loops.weights(model)
            loss = step(model, optimizer, t)
            used = {
                name: torch.zeros_like(p).double() if p.grad is None else p.grad.double().clone()
                for name, p in model.named_parameters()
            }
            seen.append(loops.Seen(before, used, loops.weights(model), float(loss.detach())))
            w.log(loss=loss)
    return w, seen


BODY, FIRST, SECOND = "body.weight", "heads.0.0.weight", "heads.1.0.weight"


@pytest.mark.parametrize("tasks", [[0, 1, 0, 1, 0, 1], [0, 0, 0, 1, 1, 1]])
def test_a_head_that_is_used_later_is_no_dead_one(tasks, tmp_path):
    w, seen = trained(6, tasks, tmp_path / "run")
    assert w.symmetries.scale_invariant == (BODY, FIRST, SECOND)
    assert not any(group.kind == "dead" for group in w.symmetries.groups)
    rows = w.groups[w.groups["group"] == SECOND]
    began = int(rows["step"].iloc[0])
    assert began == tasks.index(1)
    for t in range(6):
        names = (BODY, FIRST) if t < began else (BODY, FIRST, SECOND)
        check(w.steps.iloc[t], seen[t], names)
    assert any(f"from step {began} on" in note for note in lc.diagnose(tmp_path / "run").notes)


class Shared(nn.Module):
    """What is invariant for one task is not for the other."""

    def __init__(self):
        super().__init__()
        self.body, self.norm = nn.Linear(12, 20, bias=False), nn.BatchNorm1d(20, affine=False)
        self.plain = nn.Linear(20, 3)

    def forward(self, x, task):
        h = self.body(x)
        return self.plain(h) if task else self.norm(h)[:, :3]


def test_what_a_later_call_contradicts_is_given_up():
    torch.manual_seed(0)
    model = Shared()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        with_call(lambda m, x: m(x, 0))(model, optimizer, 0)
        assert w.symmetries.scale_invariant == ("body.weight",)
        with_call(lambda m, x: m(x, 1))(model, optimizer, 1)
    assert w.symmetries.scale_invariant == ()
    assert set(w.symmetries.not_invariant) == {"body.weight", "plain.weight", "plain.bias"}


def test_searches_of_later_calls_end(monkeypatch):
    """Gradients of zeros, as some wrappers leave them, are no use; nor is a search without end."""
    asked = []
    search = later.LaterCalls.search
    monkeypatch.setattr(later.LaterCalls, "search", lambda *a: asked.append(1) or search(*a))
    torch.manual_seed(0)
    model = Tasks()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        for t in range(10):
            optimizer.zero_grad(set_to_none=False)
            F.cross_entropy(model(loops.batch(t)[0], 0), loops.batch(t)[1]).backward()
            optimizer.step()
    assert len(asked) == 10 and w.symmetries.scale_invariant == (BODY, FIRST)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_answers_are_put_together():
    def group(kind, *names):
        ones = dict.fromkeys(names, 1.0)
        return Group(names, (ones,), ones, kind, 0.0, 0.0, "")

    parameters = {name: nn.Parameter(torch.ones(2)) for name in "abcd"}
    first = Symmetries(
        (group("scale-invariant", "a"), group("dead", "b"), group("dead", "c")),
        ("d",),
        (),
        parameters,
    )
    second = Symmetries(
        (group("dead", "a"), group("scale-invariant", "b"), group("dead", "c")),
        ("d",),
        (),
        parameters,
    )
    both = later.put_together(first, second)
    assert both.scale_invariant == ("a", "b") and both.not_invariant == ("d",)
    assert later.dead_names(both) == {"c"}


# What is logged.


def test_more_may_be_said_of_a_step_after_its_newest_row(capsys):
    model = loops.net()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        for t in range(3):
            w.log(loss=loops.plain_step(model, optimizer, t))
            assert w.latest()["loss"] > 0
            w.log(accuracy=float(t))
            assert w.latest()["accuracy"] == t
    assert w.steps["accuracy"].to_list() == [0, 1, 2] and w.steps["loss"].notna().all()
    assert capsys.readouterr().err == ""


def test_what_comes_too_late_is_named(capsys):
    model = loops.net()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        for t in range(3):
            w.log(loss=loops.plain_step(model, optimizer, t))
            assert len(w.steps) == t + 1
            w.log(accuracy=float(t))
    assert capsys.readouterr().err.count("accuracy was logged of a step whose row had been") == 1


def test_what_is_no_number_is_left_out_with_a_line(capsys):
    model = loops.net()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        for t in range(3):
            loss = loops.plain_step(model, optimizer, t)
            w.log(loss=loss, phase="warm-up", per_class=torch.ones(3), config={"a": 1})
    heard = capsys.readouterr().err
    for name in ("phase", "per_class", "config"):
        assert heard.count(f"log({name}=…) is left out") == 1 and name not in w.steps
    assert np.isfinite(w.steps["loss"]).all()
