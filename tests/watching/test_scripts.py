"""What people's scripts do: nothing of it ends a training, nothing is silently wrong."""

import copy
import dataclasses
import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import limitcycle as lc
from limitcycle.errors import UserError
from tests.watching import loops
from tests.watching.test_rows import check


def sgd(parameters, **settings):
    return torch.optim.SGD(parameters, **{"lr": 0.1, "weight_decay": 0.01, **settings})


# What cannot be searched: watching falls back.


@dataclasses.dataclass
class Graphs:
    """A batch that is no tensor, as of graphs."""

    nodes: torch.Tensor

    def __len__(self) -> int:
        return len(self.nodes)


class OfGraphs(loops.Net):
    def forward(self, graphs):
        return super().forward(graphs.nodes)


class Counting(loops.Net):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x) * self.calls


class Drawing(loops.Net):
    def __init__(self):
        super().__init__()
        self.generator = torch.Generator().manual_seed(0)

    def forward(self, x):
        return super().forward(x) + torch.rand(3, generator=self.generator)


class InAList(loops.Net):
    """Some of the weights are known to the optimizer only."""

    def __init__(self):
        super().__init__()
        self.hidden = [nn.Parameter(torch.ones(3))]

    def forward(self, x):
        if not isinstance(x, torch.Tensor):
            raise TypeError("tensors only")
        self.hidden[0].data  # noqa: B018
        return super().forward(x) * self.hidden[0].sum()


class Strict(loops.Net):
    """Insists on numbers of the type it was made for."""

    def forward(self, x):
        if x.dtype != torch.float32:
            raise ValueError("expected float32\nand nothing else")
        return super().forward(x)


class NeverCalled(loops.Net):
    def logits(self, x):
        return super().forward(x)

    def forward(self, x):
        raise NotImplementedError


FALLBACKS = {
    "graphs": (OfGraphs, lambda model, x: model(Graphs(x)), ""),
    "a counter": (Counting, lambda model, x: model(x), "differs between two equal calls"),
    "its own generator": (Drawing, lambda model, x: model(x), "differs between two equal calls"),
    "strict types": (Strict, lambda model, x: model(x), "ValueError: expected float32"),
    "never called": (NeverCalled, lambda model, x: model.logits(x), "was not called since"),
}


def trained(make, call, steps=3, watching=True, **settings):
    torch.manual_seed(0)
    model = make()
    optimizer = sgd(model.parameters())
    w = lc.watch(model, optimizer, quiet=True, **settings) if watching else None
    for step in range(steps):
        x, y = loops.batch(step)
        optimizer.zero_grad()
        loss = F.cross_entropy(call(model, x), y)
        loss.backward()
        optimizer.step()
        if w is not None:
            w.log(loss=loss)
    if w is not None:
        w.close()
    return w, model


@pytest.mark.parametrize("name", FALLBACKS)
def test_a_model_that_cannot_be_searched_is_watched_as_one(name, tmp_path, capsys):
    make, call, reason = FALLBACKS[name]
    w, model = trained(make, call, steps=40, sink=tmp_path / "run")
    _, alone = trained(make, call, steps=40, watching=False)
    for key, value in alone.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    names = [key for key, _ in model.named_parameters()]
    assert list(w.groups["group"][: len(names)]) == names
    assert len(w.steps) == 40 and np.isfinite(w.steps[["norm", "rotation", "loss"]]).all(axis=None)
    whole = w.groups[w.groups["step"] == 7]["norm"]
    assert w.steps["norm"][7] == pytest.approx(np.sqrt((whole**2).sum()))
    for said in (w.diagnosis(), lc.diagnose(tmp_path / "run")):
        assert said.label == "unknown"
        assert reason in said.reason and "\n" not in said.reason
        assert np.isnan(said.forecast.median) and said.advice.text == said.advice.code == ""
    heard = capsys.readouterr().err
    assert heard.count("all weights are watched as one and the run is not judged") == 1


def test_a_fallback_is_remembered_by_a_resumed_job(tmp_path):
    make, call, _ = FALLBACKS["a counter"]
    w, _ = trained(make, call, sink=tmp_path / "run")
    state = w.state_dict()
    torch.manual_seed(0)
    model = make()
    optimizer = sgd(model.parameters())
    again = lc.watch(model, optimizer, sink=tmp_path / "run", quiet=True)
    again.load_state_dict(state)
    loops.plain_step(model, optimizer, 3)
    again.close()
    assert again.diagnosis().reason == w.diagnosis().reason
    assert list(again.groups["group"][-5:]) == list(w.groups["group"][-5:])


def test_tensors_are_declared_by_names_and_patterns():
    for given in ("*.weight", ["one.weight", "two.*", "head.w*"]):
        w, _ = trained(Counting, lambda model, x: model(x), symmetries=given)
        assert list(w.groups["group"][:4]) == ["one.weight", "two.weight", "head.weight", "other"]
        named = [w.groups["norm"][k] ** 2 for k in range(3)]
        assert w.steps["norm"][0] == pytest.approx(np.sqrt(sum(named)))
        assert w.symmetries.groups[0].why == "declared by the user"
        assert w.diagnosis().label != "unknown" or "too few" in w.diagnosis().reason


# What grows or shrinks.


@pytest.mark.parametrize("unfrozen", [True, False])
def test_a_param_group_that_is_added_later(unfrozen, tmp_path, capsys):
    """A backbone that is unfrozen; or one that was trainable and not moved."""
    model = loops.net()
    model.two.weight.requires_grad_(not unfrozen)
    first = [model.one.weight, *model.head.parameters()]
    optimizer = sgd(first)
    seen = []
    with lc.watch(model, optimizer, sink=tmp_path / "run", quiet=True) as w:
        for step in range(8):
            if step == 3:
                model.two.weight.requires_grad_(True)
                optimizer.add_param_group({"params": [model.two.weight], "lr": 0.02})
            oracle = loops.net().double()
            oracle.load_state_dict(model.state_dict())
            before = loops.weights(model)
            loss = loops.plain_step(model, optimizer, step)
            gradients = loops.plain_gradients(oracle, step)
            seen.append(loops.Seen(before, gradients, loops.weights(model), float(loss.detach())))
            w.log(loss=loss)
    joined = 4 if unfrozen else 3  # what was a constant is searched at the next call
    for t in range(8):
        names = ("one.weight",) if t < joined else ("one.weight", "two.weight")
        check(w.steps.iloc[t], seen[t], names)
    two = w.groups[w.groups["group"] == "two.weight"]
    assert list(two["step"]) == list(range(joined, 8)) and set(two["lr"]) == {0.02}
    assert f"step {joined}: other tensors are trained; the joint norm begins anew" in (
        capsys.readouterr().err
    )
    for said in (w.diagnosis(), lc.diagnose(tmp_path / "run")):
        assert said.rows == 8 - joined
        assert any(f"from step {joined} on" in note for note in said.notes)


def test_tensors_that_are_unfrozen_in_their_group():
    model = loops.net()
    model.one.weight.requires_grad_(False)
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(6):
            model.one.weight.requires_grad_(step >= 2)
            w.log(loss=loops.plain_step(model, optimizer, step))
    one = w.groups[w.groups["group"] == "one.weight"]
    assert list(one["step"]) == [3, 4, 5] and (one["rotation"] > 0).all()


# Layers in eval mode.


class Frozen(loops.Net):
    """One normalisation stays in eval mode, as in fine-tuning."""

    def train(self, mode=True):
        super().train(mode)
        self.norm1.eval()
        return self


def test_a_normalisation_in_eval_mode_is_a_constant():
    w, model = trained(Frozen, lambda model, x: model.train()(x), steps=3)
    assert w.symmetries.scale_invariant == ("two.weight",)
    assert not model.norm1.training


def test_a_model_that_is_trained_in_eval_mode():
    w, _ = trained(loops.Net, lambda model, x: model.eval()(x))
    assert w.symmetries.scale_invariant == () and len(w.steps) == 3
    assert w.diagnosis().reason.startswith("3 usable rows")


# Optimizers.


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, in its compiler
def test_a_compiled_step_is_measured():
    model = loops.net()
    optimizer = sgd(model.parameters())
    seen = []
    with lc.watch(model, optimizer, quiet=True) as w:
        step = torch.compile(lambda: optimizer.step(), backend="eager")
        for t in range(4):
            oracle = loops.net().double()
            oracle.load_state_dict(model.state_dict())
            before = loops.weights(model)
            optimizer.zero_grad()
            loss = loops.loss_of(model, t)
            loss.backward()
            step()
            gradients = loops.plain_gradients(oracle, t)
            seen.append(loops.Seen(before, gradients, loops.weights(model), float(loss.detach())))
            w.log(loss=loss)
    assert list(w.steps["step"]) == [0, 1, 2, 3]
    for t in range(4):
        check(w.steps.iloc[t], seen[t], ("one.weight", "two.weight"))
    torch.compiler.reset()


class NoRate(torch.optim.SGD):
    """Finds its own learning rate, and names none (Adafactor of Transformers)."""

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            assert group["lr"] is None
            for parameter in group["params"]:
                parameter.sub_(0.1 * parameter.grad)


def test_an_optimizer_without_a_learning_rate():
    model = loops.net()
    optimizer = NoRate(model.parameters(), lr=0.1)
    optimizer.param_groups[0]["lr"] = None
    with lc.watch(model, optimizer) as w:
        for step in range(40):
            w.log(loss=loops.plain_step(model, optimizer, step))
    assert w.steps[["lr", "effective_lr"]].isna().all(axis=None)
    assert np.isfinite(w.steps["norm"]).all()


def rotation_and_rate(kind, scale, **settings):
    """Of the scale-invariant weights, multiplied by ``scale`` before the first step."""
    model = loops.net()
    with torch.no_grad():
        model.one.weight *= scale
        model.two.weight *= scale
    optimizer = kind(model.parameters(), lr=0.01, **settings)
    with lc.watch(model, optimizer, ["one.weight", "two.weight"], quiet=True) as w:
        for step in range(2):
            loops.plain_step(model, optimizer, step)
    return w.steps[["rotation", "effective_lr"]].iloc[0].to_numpy()


class LARS(torch.optim.Optimizer):
    """A step in proportion to each tensor's norm."""

    def __init__(self, parameters, lr):
        super().__init__(parameters, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                p.sub_(group["lr"] * p.norm() / p.grad.norm() * p.grad)


class Scaled(torch.optim.SGD):
    """Adafactor as Transformers has it: scaling is a setting of the groups."""

    def __init__(self, parameters, lr, scaled):
        super().__init__(parameters, lr=lr)
        self.param_groups[0]["scale_parameter"] = scaled

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                size = p.norm() if group["scale_parameter"] else 1.0
                p.sub_(group["lr"] * size / p.grad.norm() * p.grad)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (torch.optim.SGD, {}),
        (torch.optim.AdamW, {"weight_decay": 0.0}),
        (torch.optim.Adafactor, {"weight_decay": 0.0}),
        (LARS, {}),
        (Scaled, {"scaled": True}),
        (Scaled, {"scaled": False}),
    ],
)
def test_the_effective_rate_changes_with_the_norm_as_the_rotation_does(kind, settings):
    small, large = (rotation_and_rate(kind, scale, **settings) for scale in (1.0, 2.0))
    assert large[0] / small[0] == pytest.approx(large[1] / small[1], rel=0.05)


class Complex(nn.Module):
    """Weights of complex numbers, a large one among them; the output does not see their size."""

    def __init__(self):
        super().__init__()
        self.small = nn.Parameter(torch.randn(12, 5, dtype=torch.complex64))
        self.large = nn.Parameter(torch.randn(5, 4000, dtype=torch.complex64))
        self.head = nn.Linear(4000, 3)

    def forward(self, x):
        h = x.to(self.small.dtype) @ self.small @ self.large
        return self.head(h.abs() / h.abs().square().mean().sqrt())


def test_complex_weights_have_two_parts():
    torch.manual_seed(0)
    model = Complex()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, ["small", "large"], quiet=True) as w:
        for step in range(2):
            before = [p.detach().clone() for p in (model.small, model.large)]
            loops.plain_step(model, optimizer, step)
    after = [p.detach() for p in (model.small, model.large)]
    gradient = [p.grad for p in (model.small, model.large)]
    for k, (x, y, g) in enumerate(zip(before, after, gradient, strict=True)):
        row = w.groups.iloc[len(w.groups) // 2 + k]
        assert row["norm"] == pytest.approx(float(x.norm()), rel=1e-6)
        assert row["grad_norm"] == pytest.approx(float(g.norm()), rel=1e-6)
        assert row["relative_update"] == pytest.approx(float((y - x).norm() / x.norm()), rel=1e-3)


def test_a_schedule_free_optimizer_is_watched_and_not_held():
    model = loops.net()
    optimizer = sgd(model.parameters())
    optimizer.param_groups[0]["train_mode"] = True
    with lc.watch(model, optimizer, quiet=True) as w:
        loops.plain_step(model, optimizer, 0)
    assert any("these are the training weights" in note for note in w.diagnosis().notes)
    with pytest.raises(UserError, match="is schedule-free: what is evaluated"):
        lc.hold_norm(optimizer, w.symmetries)


class Twice(torch.optim.SGD):
    """Has a step of its own that calls its parent's."""

    def step(self, closure=None):
        return super().step(closure)


def test_a_step_within_a_step_is_one():
    model = loops.net()
    plain = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=0.1)  # its class has hooks, too
    optimizer = Twice(model.parameters(), lr=0.1, weight_decay=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(3):
            w.log(loss=loops.plain_step(model, optimizer, step))
    assert plain is not None
    assert list(w.steps["step"]) == [0, 1, 2] and w.steps["loss"].notna().all()
    assert (w.steps["rotation"] > 0).all()


class SAM(torch.optim.Optimizer):
    """The gradient is taken further up; the step is made from where the weights were."""

    def __init__(self, parameters, rho=0.05, **settings):
        super().__init__(parameters, {"rho": rho, **settings})
        self.base_optimizer = torch.optim.SGD(self.param_groups, **settings)
        self.param_groups = self.base_optimizer.param_groups
        self.moved = {}

    @torch.no_grad()
    def first_step(self):
        every = [p for group in self.param_groups for p in group["params"]]
        norm = torch.stack([p.grad.norm() for p in every]).norm()
        self.moved = {p: p.grad * (0.05 / norm) for p in every}
        for p, e in self.moved.items():
            p.add_(e)
            p.grad = None

    @torch.no_grad()
    def second_step(self):
        for p, e in self.moved.items():
            p.sub_(e)
        self.base_optimizer.step()

    @torch.no_grad()
    def step(self, closure=None):
        self.first_step()
        torch.enable_grad()(closure)()
        self.second_step()


class Lookahead(torch.optim.Optimizer):
    """Every other step the weights go half the way back to slow ones."""

    def __init__(self, parameters, **settings):
        super().__init__(parameters, settings)
        self.optimizer = torch.optim.SGD(self.param_groups, **settings)
        self.param_groups = self.optimizer.param_groups
        self.count = 0
        self.slow = [p.detach().clone() for g in self.param_groups for p in g["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        self.optimizer.step()
        self.count += 1
        if self.count % 2 == 0:
            fast = [p for g in self.param_groups for p in g["params"]]
            for p, slow in zip(fast, self.slow, strict=True):
                slow.add_(p - slow, alpha=0.5)
                p.copy_(slow)


def sam_by_closure(model, optimizer, step):
    loss = loops.loss_of(model, step)
    loss.backward()
    optimizer.step(lambda: loops.loss_of(model, step).backward())
    return loss


def sam_in_two_steps(model, optimizer, step):
    loss = loops.loss_of(model, step)
    loss.backward()
    optimizer.first_step()
    loops.loss_of(model, step).backward()
    optimizer.second_step()
    return loss


@pytest.mark.parametrize(
    ("kind", "step"),
    [(SAM, sam_by_closure), (SAM, sam_in_two_steps), (Lookahead, loops.plain_step)],
)
def test_an_optimizer_around_an_optimizer(kind, step):
    """A row is from the weights before the step to those that the next one finds."""
    model = loops.net()
    optimizer = kind(model.parameters(), lr=0.1, weight_decay=0.01)
    seen = []
    with lc.watch(model, optimizer, quiet=True) as w:
        for t in range(5):
            before = loops.weights(model)
            loss = step(model, optimizer, t)
            used = {name: p.grad.detach().double() for name, p in model.named_parameters()}
            seen.append(loops.Seen(before, used, loops.weights(model), float(loss.detach())))
            optimizer.zero_grad()
            w.log(loss=loss)
    assert list(w.steps["step"]) == list(range(5)) and set(w.steps["lr"]) == {0.1}
    for t in range(5):
        check(w.steps.iloc[t], seen[t], ("one.weight", "two.weight"))


@pytest.mark.parametrize("given", [None, ["one.weight", "two.weight"]])
def test_what_others_do_around_a_step_is_in_it_whatever_the_order(given):
    """A clipping hook and a held norm, both put there after the watch."""
    model = loops.net()
    optimizer = sgd(model.parameters())

    def clip(*_):
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)

    seen = []
    with lc.watch(model, optimizer, given, quiet=True) as w:
        found = lc.symmetries(loops.net(), loops.batch(0)[0]).bound(model)
        with lc.hold_norm(optimizer, found):
            optimizer.register_step_pre_hook(clip)
            for t in range(4):
                oracle = loops.net().double()
                oracle.load_state_dict(model.state_dict())
                before = loops.weights(model)
                loss = loops.plain_step(model, optimizer, t)
                used = loops.clipped_gradients(oracle, t)
                seen.append(loops.Seen(before, used, loops.weights(model), float(loss.detach())))
                w.log(loss=loss)
    for t in range(4):
        check(w.steps.iloc[t], seen[t], ("one.weight", "two.weight"))
        assert w.steps["norm"].iloc[t] == pytest.approx(w.steps["norm"].iloc[0], rel=1e-6)


class Block(nn.Module):
    """A pre-norm block whose gains, values and outputs can scale against each other."""

    def __init__(self):
        super().__init__()
        self.norm, self.gate = nn.RMSNorm(8), nn.Linear(8, 16, bias=False)
        self.up, self.down = nn.Linear(8, 16, bias=False), nn.Linear(16, 8, bias=False)

    def forward(self, x):
        h = self.norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


def test_layers_of_a_pre_norm_model_have_rows_of_their_own(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8, bias=False), Block(), Block(), nn.RMSNorm(8))
    model.append(nn.Linear(8, 3))
    gains = [p for p in model.parameters() if p.ndim < 2]
    matrices = [p for p in model.parameters() if p.ndim > 1]
    groups = [{"params": gains, "weight_decay": 0.0}, {"params": matrices}]
    optimizer = torch.optim.AdamW(groups, lr=0.01, weight_decay=0.1)
    with lc.watch(model, optimizer, sink=tmp_path / "run", quiet=True) as w:
        for step in range(40):
            before = model[1].gate.weight.detach().clone()
            w.log(loss=loops.plain_step(model, optimizer, step))
    rows = w.groups.set_index("group")
    mixed = {n for group in w.symmetries.groups if group.kind == "mixed" for n in group.names}
    assert "1.gate.weight" in mixed
    apart = {name for name in mixed if dict(model.named_parameters())[name].ndim > 1}
    assert apart <= set(rows.index)
    turned = rows.loc["1.gate.weight", "relative_update"].iloc[-1]
    change = (model[1].gate.weight.detach() - before).norm() / before.norm()
    assert turned == pytest.approx(float(change), rel=1e-4)
    assert w.diagnosis().notes == lc.diagnose(tmp_path / "run").notes
    assert not any("judged by" in note for note in w.diagnosis().notes)


# What is logged.


def test_names_of_columns_do_not_replace_them(capsys):
    model = loops.net()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        for step in range(3):
            w.log(loss=loops.plain_step(model, optimizer, step), step=100 + step, norm=7.0)
    assert list(w.steps["step"]) == [0, 1, 2] and (w.steps["norm"] > 7.1).all()
    assert list(w.steps["logged_step"]) == [100, 101, 102]
    assert list(w.steps["logged_norm"]) == [7.0] * 3
    assert capsys.readouterr().err.count("step is a column of its own") == 1


@pytest.mark.parametrize("symmetries", [None, "one.weight"])
def test_a_loss_said_before_the_training_shifts_nothing(symmetries):
    model = loops.net()
    optimizer = sgd(model.parameters())
    losses = []
    with lc.watch(model, optimizer, symmetries, quiet=True) as w:
        with torch.no_grad():
            w.log(loss=float(loops.loss_of(model.eval(), 99)), began=1.0)
        model.train()
        for step in range(4):
            loss = loops.plain_step(model, optimizer, step)
            losses.append(float(loss.detach()))
            w.log(loss=loss)
    assert w.steps["loss"].to_list() == pytest.approx(losses)
    assert w.steps["began"][0] == 1.0 and w.steps["began"][1:].isna().all()


# No exception escapes, nothing stays behind.

PARTS = (
    "watch:settings_of",
    "watch:rows_of",
    "watch:facts",
    "watch:InnerProducts.before",
    "watch:InnerProducts.after",
    "watch:GramBuffer.read",
    "watch:GramBuffer.open",
    "watch:Sinks.open",
    "watch:diagnose",
    "watch:Memory.add",
    "subject:watched_groups",
    "subject:moved_alike",
    "first_call:_as_batch",
    "first_call:symmetries_in_use",
    "sinks:WatchedFolder.append",
)


ONLY_AT_FIRST = ("facts", "Sinks.open", "watched_groups", "_as_batch", "symmetries_in_use")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("at", [0, 2])
def test_errors_in_the_watch_stay_in_it(part, at, monkeypatch, tmp_path, capsys):
    model, alone = loops.net(), loops.net()
    optimizer, other = sgd(model.parameters()), sgd(alone.parameters())

    def fail(*_args, **_settings):
        raise RuntimeError("injected")

    with lc.watch(model, optimizer, sink=tmp_path / "run", quiet=True) as w:
        for step in range(4):
            if step == at:
                module, _, names = part.partition(":")
                owner = sys.modules[f"limitcycle.watching.{module}"]
                for name in names.split(".")[:-1]:
                    owner = getattr(owner, name)
                monkeypatch.setattr(owner, names.split(".")[-1], fail)
            w.log(loss=loops.plain_step(model, optimizer, step))
            w.state_dict()
            loops.plain_step(alone, other, step)
    for key, value in alone.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    assert not model._forward_pre_hooks and not optimizer._optimizer_step_pre_hooks
    late = at > 0 and part.partition(":")[2] in ONLY_AT_FIRST
    assert ("injected" in capsys.readouterr().err) != late


def test_what_cannot_be_measured_is_said_and_the_training_goes_on(capsys):
    model = nn.Sequential(nn.Embedding(7, 4, sparse=True), nn.Flatten(), nn.Linear(8, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True) as w:
        for _ in range(3):
            model(torch.tensor([[1, 2], [3, 4]])).sum().backward()
            optimizer.step()
    assert w.step == 3 and w.steps.empty
    assert capsys.readouterr().err.count("the gradient of 0.weight is sparse") == 1
    model, other = loops.net(), loops.net()
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1)
    with lc.watch(model, optimizer, quiet=True):
        loops.plain_step(other, optimizer, 0)
    assert "moves none" in capsys.readouterr().err


def test_an_optimizer_that_never_steps_is_named(capsys):
    model = loops.net()
    with lc.watch(model, sgd(model.parameters())) as w:
        loops.plain_step(model, sgd(model.parameters()), 0)  # another one
    assert w.steps.empty
    assert "no step of SGD was seen" in capsys.readouterr().err


def test_a_copy_made_before_the_first_step_is_free_of_the_watch():
    model = loops.net()
    optimizer = sgd(model.parameters())
    with lc.watch(model, optimizer, quiet=True) as w:
        average = copy.deepcopy(model)
        pickle.loads(pickle.dumps(average))
        w.log(loss=loops.plain_step(model, optimizer, 0))
    assert w.symmetries.scale_invariant == ("one.weight", "two.weight")
